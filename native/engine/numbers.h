// The caller's numbers, of either type: checked, read and written.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/problem.h"

namespace optnet {

/// What f makes of `data` as an array of its type.
template <class F>
auto with_type(DType dtype, const void* data, F f) {
  return dtype == DType::kFloat64 ? f(static_cast<const double*>(data)) : f(static_cast<const float*>(data));
}

inline bool all_finite(const void* data, std::size_t count, DType dtype) {
  return count == 0 || with_type(dtype, data, [count](const auto* x) {
           auto nothing = x[0] * 0;
           for (std::size_t i = 0; i < count; ++i) nothing += x[i] * 0;
           return nothing == 0;
         });
}

/// Numbers [first, first + count) of `data`, widened.
inline void read_numbers(const void* data, std::size_t first, std::size_t count, DType dtype, double* to) {
  with_type(dtype, data, [&](const auto* x) { return std::copy_n(x + first, count, to); });
}

/// The same, written, and rounded where need be.
inline void write_numbers(const double* from, std::size_t count, void* data, std::size_t first, DType dtype) {
  if (dtype == DType::kFloat64) {
    std::copy_n(from, count, static_cast<double*>(data) + first);
  } else {
    std::transform(from, from + count, static_cast<float*>(data) + first,
                   [](double x) { return static_cast<float>(x); });
  }
}

/// Where a matrix of the batch is further from symmetric than allowed, if it is. Always inlined: it is also
/// compiled for single instruction sets, and the linker must not take that copy for everybody.
template <class T>
__attribute__((always_inline)) inline Failure find_asymmetry(std::size_t index, const T* Q, int n,
                                                             double allowed) {
  const auto at = [&](int i, int j) {
    return static_cast<double>(
        Q[static_cast<std::size_t>(i) * static_cast<std::size_t>(n) + static_cast<std::size_t>(j)]);
  };
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < i; ++j) {
      const double x = at(i, j) - at(j, i);
      if (x > allowed || -x > allowed) return {Failure::Code::kNotSymmetric, 'Q', index, i, j};
    }
  }
  return {};
}

}  // namespace optnet
