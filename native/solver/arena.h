// Places arrays one after another in a block of memory. With no memory it only counts, so that the code that
// places arrays is also the code that says how many bytes they take.
#pragma once

#include <cstddef>

#include "solver/target.h"

namespace optnet {

constexpr std::size_t kAlignment = 64;

/// So many bytes as an Arena takes for them.
OPTNET_FUNCTION constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

class Arena {
 public:
  OPTNET_FUNCTION explicit Arena(std::byte* base = nullptr) : base_(base) {}

  template <class T>
  OPTNET_FUNCTION T* take(std::size_t count) {
    T* p = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    used_ += aligned(count * sizeof(T));
    return p;
  }
  OPTNET_FUNCTION std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

}  // namespace optnet
