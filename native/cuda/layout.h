// Places arrays one after another in a block of GPU memory that is yet to be allocated.
#pragma once

#include <cstddef>
#include <cstdint>

namespace optnet::cuda {

/// Sizes in bytes that do not wrap around: what does not fit stays at SIZE_MAX, which no GPU has.
inline std::size_t sum(std::size_t a, std::size_t b) {
  std::size_t result = 0;
  return __builtin_add_overflow(a, b, &result) ? SIZE_MAX : result;
}
inline std::size_t product(std::size_t a, std::size_t b) {
  std::size_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? SIZE_MAX : result;
}
inline std::size_t product(std::size_t a, std::size_t b, std::size_t c) { return product(product(a, b), c); }

class Layout {
 public:
  static constexpr std::size_t kAlignment = 256;

  /// The offset of so many bytes.
  std::size_t take(std::size_t bytes) {
    const std::size_t offset = bytes_;
    bytes_ = sum(sum(bytes_, bytes), kAlignment - 1);
    if (bytes_ != SIZE_MAX) bytes_ = bytes_ / kAlignment * kAlignment;
    return offset;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

}  // namespace optnet::cuda
