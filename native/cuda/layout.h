// Places arrays one after another in a block of GPU memory, or in what is sent to it, that is yet to be
// allocated.
#pragma once

#include <cstddef>

#include "engine/sizes.h"

namespace optnet::cuda {

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
