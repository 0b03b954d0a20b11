// Sums of the absolute values of the terms that the numbers of a general problem's conditions are the sums
// of: what rounding loses of these is a part of that. From the plain numbers, as they are asked for a few
// times only.
#pragma once

#include "solver/general_kkt.h"

namespace optnet {

template <class B>
class TermSizes {
 public:
  using Real = typename B::Real;
  using Vector = KktVector<Real>;

  template <class Arena>
  OPTNET_FUNCTION TermSizes(const B& backend, const GeneralData<B>& data, const GeneralKkt<B>& kkt,
                            Arena& scratch)
      : b(backend),
        data(data),
        kkt(kkt),
        n(data.d.n),
        sizes(kkt.vector(scratch)),
        curved(GeneralKkt<B>::zeros(scratch, n)) {}

  // Each overwrites what the one before has given.

  /// Of Sᵀν + Cᵀy, in .x.
  OPTNET_FUNCTION const Vector& of_transposed(const Vector& v) const {
    b.each(n, [&](int j) {
      Real sum(0);
      for (int i = 0; i < data.d.m; ++i) sum += abs(data.plain.G[at(i, j)] * v.y[i]);
      if (data.bounded) sum += abs(v.y[data.offset + j]);
      for (int k = 0; k < kkt.stiff_rows; ++k) sum += abs(of_stiff(k, j) * v.nu[k]);
      sizes.x[j] = sum;
    });
    return sizes;
  }
  /// Of Qx, Sx and Cx, in .x, .ν and .y.
  OPTNET_FUNCTION const Vector& of_values(const Vector& v) const {
    b.each(n, [&](int j) { sizes.x[j] = of_Qx(j, v.x); });
    b.each(kkt.stiff_rows, [&](int k) {
      Real sum(0);
      for (int j = 0; j < n; ++j) sum += abs(of_stiff(k, j) * v.x[j]);
      sizes.nu[k] = sum;
    });
    b.each(data.rows, [&](int i) {
      Real sum(0);
      for (int j = 0; i < data.d.m && j < n; ++j) sum += abs(data.plain.G[at(i, j)] * v.x[j]);
      if (i >= data.offset && data.bounded) sum = abs(v.x[i - data.offset]);
      sizes.y[i] = sum;
    });
    return sizes;
  }
  /// Of Qx + pτ + Sᵀν + Cᵀy in .x, of Sx − sτ in .ν, of Cx in .y; and of Qx alone in `curvature`.
  OPTNET_FUNCTION const Vector& of_residuals(const Vector& v, const Real* right_stiff, Real tau) const {
    of_transposed(v);
    b.each(n, [&](int j) { curved[j] = sizes.x[j]; });
    of_values(v);
    b.each(n, [&](int j) {
      const Real of_sum = curved[j];
      curved[j] = sizes.x[j];
      sizes.x[j] += of_sum + abs(data.p[j]) * tau;
    });
    b.each(kkt.stiff_rows, [&](int k) { sizes.nu[k] += abs(right_stiff[k]) * tau; });
    return sizes;
  }

  OPTNET_FUNCTION const Vector& last() const { return sizes; }
  OPTNET_FUNCTION const Real* curvature() const { return curved; }

 private:
  const B& b;
  const GeneralData<B>& data;
  const GeneralKkt<B>& kkt;
  int n;
  Vector sizes;
  Real* curved;

  OPTNET_FUNCTION std::size_t at(int i, int j) const { return static_cast<std::size_t>(i) * n + j; }
  OPTNET_FUNCTION Real of_Qx(int j, const Real* x) const {
    Real sum(0);
    for (int k = 0; data.plain.Q && k < n; ++k) sum += abs(data.plain.Q[at(j, k)] * x[k]);
    return sum;
  }
  /// Element j of row k of S.
  OPTNET_FUNCTION Real of_stiff(int k, int j) const {
    const int row = kkt.stiff[k], row_of_C = row - data.d.q;
    if (row_of_C < 0) return data.plain.A[at(row, j)];
    if (row_of_C < data.d.m) return data.plain.G[at(row_of_C, j)];
    return row_of_C - data.offset == j ? Real(1) : Real(0);
  }
};

}  // namespace optnet
