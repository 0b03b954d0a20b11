// Sizes in bytes that do not wrap around: what does not fit stays at SIZE_MAX, which no machine has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/problem.h"

namespace optnet {

inline std::size_t sum(std::size_t a, std::size_t b) {
  std::size_t result = 0;
  return __builtin_add_overflow(a, b, &result) ? SIZE_MAX : result;
}
inline std::size_t product(std::size_t a, std::size_t b) {
  std::size_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? SIZE_MAX : result;
}
inline std::size_t product(std::size_t a, std::size_t b, std::size_t c) { return product(product(a, b), c); }

/// Of an element.
inline std::size_t size_of(DType dtype) { return dtype == DType::kFloat64 ? sizeof(double) : sizeof(float); }

}  // namespace optnet
