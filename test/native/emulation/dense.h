// Dense linear algebra in plain loops, as LAPACK's reference has it: column-major, element (i, j) of A at
// a[i + j·lda]. What the doubles of the GPU's libraries compute with.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace optnet::emulation::dense {

/// A matrix, or its transpose.
template <class Scalar>
struct View {
  Scalar* data;
  std::ptrdiff_t row, column;  ///< strides

  View(Scalar* data, int ld, bool transposed = false)
      : data(data), row(transposed ? ld : 1), column(transposed ? 1 : ld) {}
  Scalar& operator()(int i, int j) const { return data[i * row + j * column]; }
};

/// P A = L U in place of A; L has a unit diagonal. pivots[k]: the row, counted from one, that was swapped
/// with row k; null: no pivoting. Returns the first k, counted from one, with U(k, k) = 0, or 0.
template <class Scalar>
int lu(int n, View<Scalar> a, int* pivots) {
  int info = 0;
  for (int k = 0; k < n; ++k) {
    if (pivots) {
      int largest = k;
      for (int i = k + 1; i < n; ++i) {
        if (std::abs(a(i, k)) > std::abs(a(largest, k))) largest = i;
      }
      pivots[k] = largest + 1;
      for (int j = 0; j < n; ++j) std::swap(a(k, j), a(largest, j));
    }
    if (a(k, k) == Scalar(0) && info == 0) info = k + 1;
    for (int i = k + 1; i < n; ++i) {
      a(i, k) /= a(k, k);
      for (int j = k + 1; j < n; ++j) a(i, j) -= a(i, k) * a(k, j);
    }
  }
  return info;
}

/// op(T) X = B in place of B (m×n), T triangular; B scaled by alpha first.
template <class Scalar>
void solve_triangular(bool lower, bool unit_diagonal, int m, int n, Scalar alpha, View<const Scalar> t,
                      View<Scalar> b) {
  for (int j = 0; j < n; ++j) {
    for (int step = 0; step < m; ++step) {
      const int i = lower ? step : m - 1 - step;
      Scalar x = alpha * b(i, j);
      for (int k = lower ? 0 : i + 1; k < (lower ? i : m); ++k) x -= t(i, k) * b(k, j);
      b(i, j) = unit_diagonal ? x : x / t(i, i);
    }
  }
}

/// A X = B, or Aᵀ X = B, from the factors that `lu` left.
template <class Scalar>
void solve_lu(bool transposed, int n, int columns, const Scalar* a, int lda, const int* pivots,
              View<Scalar> b) {
  const auto swap = [&](int k) {
    for (int j = 0; j < columns; ++j) std::swap(b(k, j), b(pivots[k] - 1, j));
  };
  const View<const Scalar> f(a, lda, transposed);
  if (!transposed) {
    for (int k = 0; pivots && k < n; ++k) swap(k);
    solve_triangular(true, true, n, columns, Scalar(1), f, b);
    solve_triangular(false, false, n, columns, Scalar(1), f, b);
  } else {
    solve_triangular(true, false, n, columns, Scalar(1), f, b);
    solve_triangular(false, true, n, columns, Scalar(1), f, b);
    for (int k = n - 1; pivots && k >= 0; --k) swap(k);
  }
}

/// A = L Lᵀ in place of the lower triangle of A (for A = Uᵀ U, give the transposed view). Returns the size of
/// the first leading block that is not positive definite, or 0.
template <class Scalar>
int cholesky(int n, View<Scalar> a) {
  for (int k = 0; k < n; ++k) {
    for (int j = 0; j < k; ++j) a(k, k) -= a(k, j) * a(k, j);
    if (!(a(k, k) > Scalar(0))) return k + 1;
    a(k, k) = std::sqrt(a(k, k));
    for (int i = k + 1; i < n; ++i) {
      for (int j = 0; j < k; ++j) a(i, k) -= a(i, j) * a(k, j);
      a(i, k) /= a(k, k);
    }
  }
  return 0;
}

/// C ← alpha A B + beta C, C m×n, where `wanted(i, j)`. For beta = 0, C is not read.
template <class Scalar, class Wanted>
void multiply(int m, int n, int k, Scalar alpha, View<const Scalar> a, View<const Scalar> b, Scalar beta,
              View<Scalar> c, Wanted wanted) {
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < m; ++i) {
      if (!wanted(i, j)) continue;
      Scalar sum(0);
      for (int l = 0; l < k; ++l) sum += a(i, l) * b(l, j);
      c(i, j) = beta == Scalar(0) ? alpha * sum : alpha * sum + beta * c(i, j);
    }
  }
}

/// Fills what a routine leaves undefined, so that nobody reads it.
template <class Scalar>
void spoil(int n, View<Scalar> a) {  // above the diagonal
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < j; ++i) a(i, j) = std::numeric_limits<Scalar>::quiet_NaN();
  }
}

}  // namespace optnet::emulation::dense
