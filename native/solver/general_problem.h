// A problem of the general form, scaled:
//     minimise ½xᵀQx + pᵀx  subject to  Ax = b,  l ≤ Cx ≤ u,   C = | G |  m rows
//                                                                 | I |  n rows, where there are bounds
// The solver works on equilibrated data, with scales that are powers of two: scaling rounds nothing, and a
// residual of the scaled problem is one of the data as given.
#pragma once

#include "solver/arena.h"
#include "solver/scalar.h"
#include "solver/settings.h"

namespace optnet {

/// One problem in plain row-major arrays. Null where absent: Q, the bounds, and what m or q = 0 leaves empty.
struct PlainProblem {
  Dimensions d;
  double *Q = nullptr, *p = nullptr, *G = nullptr, *h = nullptr, *A = nullptr, *b = nullptr;
  double *gl = nullptr, *lb = nullptr, *ub = nullptr;
};

/// From here on a bound counts as infinite.
constexpr double kInfinite = 1e20;
constexpr double kNoBound = std::numeric_limits<double>::infinity();

/// The power of two next to 1/√x; 1 for x = 0.
OPTNET_FUNCTION inline double inverse_root_scale(double x) {
  if (!(x > 0)) return 1;
  double scale = 1;
  x = x < 1e-60 ? 1e-60 : x > 1e60 ? 1e60 : x;
  for (; x * scale * scale > 2; scale *= 0.5) {
  }
  for (; x * scale * scale < 0.5; scale *= 2) {
  }
  return scale;
}

/// What the scaled problem's numbers are in the caller's: z = column·x, λᵢ = rowᵢ·yᵢ/cost, and so on.
struct Scales {
  double* column;  ///< n
  double* row;     ///< of G, m
  double* row_A;   ///< q
  double cost = 1;
};

/// Ruiz's equilibration (2001), in place: rows and columns of the KKT matrix | Q Cᵀ Aᵀ | get a largest
/// element near 1. `work`: n. Each of `backend`'s threads takes rows or columns of its own.
template <class B>
OPTNET_FUNCTION void equilibrate(const B& backend, const PlainProblem& problem, Scales& scales,
                                 double* work) {
  const int n = problem.d.n, m = problem.d.m, q = problem.d.q;
  const auto at = [n](int i, int j) { return static_cast<std::size_t>(i) * n + j; };
  backend.each(n, [&](int j) { scales.column[j] = 1; });
  backend.each(m, [&](int i) { scales.row[i] = 1; });
  backend.each(q, [&](int k) { scales.row_A[k] = 1; });
  const auto largest_of_row = [&](const double* M, int i) {
    double largest = 0;
    for (int j = 0; j < n; ++j) largest = max(largest, abs(M[at(i, j)]));
    return largest;
  };
  const auto scale_rows = [&](double* M, int rows, double* scale) {
    backend.each(rows, [&](int i) {
      const double s = inverse_root_scale(largest_of_row(M, i));
      scale[i] *= s;
      for (int j = 0; j < n; ++j) M[at(i, j)] *= s;
    });
  };
  for (int pass = 0; pass < kEquilibrations; ++pass) {
    backend.each(n, [&](int j) {
      double largest = 0;
      if (problem.Q) largest = largest_of_row(problem.Q, j);
      for (int i = 0; i < m; ++i) largest = max(largest, abs(problem.G[at(i, j)]));
      for (int k = 0; k < q; ++k) largest = max(largest, abs(problem.A[at(k, j)]));
      work[j] = inverse_root_scale(largest);
      scales.column[j] *= work[j];
    });
    scale_rows(problem.G, m, scales.row);
    scale_rows(problem.A, q, scales.row_A);
    backend.each(m, [&](int i) {
      for (int j = 0; j < n; ++j) problem.G[at(i, j)] *= work[j];
    });
    backend.each(q, [&](int k) {
      for (int j = 0; j < n; ++j) problem.A[at(k, j)] *= work[j];
    });
    if (problem.Q) {
      backend.each(n, [&](int i) {
        for (int j = 0; j < n; ++j) problem.Q[at(i, j)] *= work[i] * work[j];
      });
    }
  }
  backend.each(n, [&](int j) { problem.p[j] *= scales.column[j]; });
  // The objective's scale: the larger of a typical column of Q and the largest of p becomes about 1.
  double largest = backend.max(n, [&](int j) { return abs(problem.p[j]); });
  if (problem.Q) {
    largest = max(largest, backend.sum(n, [&](int j) { return largest_of_row(problem.Q, j); }) / n);
  }
  const double root = inverse_root_scale(largest);
  scales.cost = root * root;
  backend.each(n, [&](int j) {
    problem.p[j] *= scales.cost;
    for (int i = 0; problem.Q && i < n; ++i) problem.Q[at(j, i)] *= scales.cost;
    if (problem.lb) problem.lb[j] /= scales.column[j];
    if (problem.ub) problem.ub[j] /= scales.column[j];
  });
  backend.each(m, [&](int i) {
    if (problem.h) problem.h[i] *= scales.row[i];
    if (problem.gl) problem.gl[i] *= scales.row[i];
  });
  backend.each(q, [&](int k) { problem.b[k] *= scales.row_A[k]; });
}

/// The scaled problem in its backend's layout. Rows of C are counted with the backend's padding between G's
/// and the bounds'.
template <class B>
struct GeneralData {
  using Real = typename B::Real;

  Dimensions d;
  bool bounded;  ///< there are rows of bounds
  int offset;    ///< the first of them
  int rows;      ///< of C
  typename B::Triangle Q;
  typename B::Matrix G, A;
  Real *p, *b;
  Real *l, *u;          ///< 0 where there is none
  Real *has_l, *has_u;  ///< 1 or 0
  Real *unit, *unit_A;  ///< ‖Cᵢ‖∞, ‖Aₖ‖∞ as given; 1 for a row of zeros
  PlainProblem plain;   ///< the scaled numbers again
  Scales scales;

  template <class Arena>
  OPTNET_FUNCTION GeneralData(const Dimensions& dims, bool bounded, Arena& kept)
      : d(dims), bounded(bounded), offset(B::padded(d.m)), rows(bounded ? offset + d.n : d.m) {
    Q = B::triangle(kept, d.n, false);
    G = B::matrix(kept, d.m, d.n, false);
    A = B::matrix(kept, d.q, d.n, false);
    for (Real** v : {&p, &scales.column}) *v = B::vector(kept, d.n);
    for (Real** v : {&b, &unit_A, &scales.row_A}) *v = B::vector(kept, d.q);
    for (Real** v : {&l, &u, &has_l, &has_u, &unit}) *v = B::vector(kept, rows);
    scales.row = B::vector(kept, d.m);
  }

  /// Takes `problem`, which it scales in place and goes on to use. `work`: n.
  OPTNET_FUNCTION void load(const B& backend, const PlainProblem& problem, Real* work) {
    plain = problem;
    const int n = d.n;
    const auto norm = [n](const double* row) {
      double largest = 0;
      for (int j = 0; j < n; ++j) largest = max(largest, abs(row[j]));
      return largest > 0 ? largest : 1;
    };
    backend.each(rows,
                 [&](int i) { unit[i] = i < d.m ? norm(plain.G + static_cast<std::size_t>(i) * n) : 1.0; });
    backend.each(d.q, [&](int k) { unit_A[k] = norm(plain.A + static_cast<std::size_t>(k) * n); });
    equilibrate(backend, plain, scales, work);
    backend.set(Q,
                [&](int i, int j) { return plain.Q ? plain.Q[static_cast<std::size_t>(i) * n + j] : 0.0; });
    backend.set(G, [&](int i, int j) { return plain.G[static_cast<std::size_t>(i) * n + j]; });
    backend.set(A, [&](int i, int j) { return plain.A[static_cast<std::size_t>(i) * n + j]; });
    backend.each(n, [&](int j) { p[j] = plain.p[j]; });
    backend.each(d.q, [&](int k) { b[k] = plain.b[k]; });
    backend.each(rows, [&](int i) {
      const bool row_of_G = i < d.m, row_of_I = i >= offset;
      const int at = row_of_G ? i : i - offset;
      const double* low = row_of_G ? plain.gl : plain.lb;
      const double* high = row_of_G ? plain.h : plain.ub;
      const double scale = row_of_G ? scales.row[at] : row_of_I ? 1 / scales.column[at] : 1;
      has_l[i] = (row_of_G || row_of_I) && low && low[at] > -kInfinite * scale ? 1 : 0;
      has_u[i] = (row_of_G || row_of_I) && high && high[at] < kInfinite * scale ? 1 : 0;
      l[i] = has_l[i] > 0 ? low[at] : 0;
      u[i] = has_u[i] > 0 ? high[at] : 0;
    });
  }

  /// v ← C x. Padding gets 0.
  OPTNET_FUNCTION void multiply(const B& backend, const Real* x, Real* v) const {
    if (d.m > 0) backend.multiply(G, x, v);
    if (bounded) backend.each(d.n, [&](int j) { v[offset + j] = x[j]; });
  }
  /// x ← Cᵀ v
  OPTNET_FUNCTION void multiply_transpose(const B& backend, const Real* v, Real* x) const {
    if (d.m > 0) {
      backend.multiply_transpose(G, v, x);
    } else {
      backend.each(d.n, [&](int j) { x[j] = 0; });
    }
    if (bounded) backend.each(d.n, [&](int j) { x[j] += v[offset + j]; });
  }

  /// What a number of the scaled problem is in the caller's: Cᵢx, and y of a row of C.
  OPTNET_FUNCTION double value_scale(int i) const {
    return i < d.m ? 1 / scales.row[i] : i >= offset ? scales.column[i - offset] : 1;
  }
  OPTNET_FUNCTION double multiplier_scale(int i) const { return 1 / (value_scale(i) * scales.cost); }
  OPTNET_FUNCTION double dual_scale(int j) const { return 1 / (scales.column[j] * scales.cost); }
};

}  // namespace optnet
