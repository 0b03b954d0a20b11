// Sums of outer products: what the gradients of Q, G and A are made of.
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "cpu/simd.h"
#include "cpu/unit_solver.h"

namespace optnet::OPTNET_ISA {

/// out[i][j] ← scale·(u[i] v[j] + x[i] y[j])
template <class IO>
OPTNET_NOINLINE void outer(int rows, int columns, double scale, const double* u, const double* v,
                           const double* x, const double* y, IO* out) {
  constexpr int kLane = kLanes<double>;
  for (int i = 0; i < rows; ++i) {
    const double ui = scale * u[i], xi = scale * x[i];
    IO* row = out + static_cast<std::size_t>(i) * columns;
    int j = 0;
    if constexpr (std::is_same_v<IO, double>) {
      const F64 uu = ui - F64{}, xx = xi - F64{};
      for (; j + kLane <= columns; j += kLane) {
        F64 vj, yj;
        std::memcpy(&vj, v + j, sizeof vj);
        std::memcpy(&yj, y + j, sizeof yj);
        const F64 r = fma(uu, vj, xx * yj);
        std::memcpy(row + j, &r, sizeof r);
      }
    }
    for (; j < columns; ++j) row[j] = static_cast<IO>(OPTNET_ISA::fma(ui, v[j], xi * y[j]));
  }
}

constexpr int kSumRows = 4;

/// A tile of Σ over the batch, in registers; each entry is one sum in the order of the batch, whatever the
/// tiling.
template <class P>
void sum_tile(std::size_t batch, const UnitSolver::OuterSum& sum, int i, int rows, int j, DType dtype,
              void* out) {
  P acc[kSumRows] = {P(0), P(0), P(0), P(0)};
  for (std::size_t b = 0; b < batch; ++b) {
    const double *u = sum.u + b * sum.rows + i, *x = sum.x + b * sum.rows + i;
    P v, y;
    std::memcpy(&v, sum.v + b * sum.columns + j, sizeof v);
    std::memcpy(&y, sum.y + b * sum.columns + j, sizeof y);
    for (int t = 0; t < rows; ++t) acc[t] = fma(P(u[t]), v, fma(P(x[t]), y, acc[t]));
  }
  for (int t = 0; t < rows; ++t) {
    for (int l = 0; l < P::kWidth; ++l) {
      const std::size_t at = static_cast<std::size_t>(i + t) * sum.columns + j + l;
      const double value = sum.scale * acc[t].lane(l);
      if (dtype == DType::kFloat64) {
        static_cast<double*>(out)[at] = value;
      } else {
        static_cast<float*>(out)[at] = static_cast<float>(value);
      }
    }
  }
}

/// Rows [first, last) of scale·Σ (u vᵀ + x yᵀ) over the batch.
inline void sum_outer_products(std::size_t batch, const UnitSolver::OuterSum& sum, int first, int last,
                               DType dtype, void* out) {
  constexpr int kBlock = 2 * kLanes<double>;
  for (int i = first; i < last; i += kSumRows) {
    const int rows = last - i < kSumRows ? last - i : kSumRows;
    int j = 0;
    for (; j + kBlock <= sum.columns; j += kBlock)
      sum_tile<Pack<double, kBlock>>(batch, sum, i, rows, j, dtype, out);
    for (; j < sum.columns; ++j) sum_tile<Pack<double, 1>>(batch, sum, i, rows, j, dtype, out);
  }
}

}  // namespace optnet::OPTNET_ISA
