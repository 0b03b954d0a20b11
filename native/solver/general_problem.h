// A problem of the general form, scaled:
//     minimise ½xᵀQx + pᵀx  subject to  Ax = b,  l ≤ Cx ≤ u,   C = | G |  m rows
//                                                                 | I |  n rows, where there are bounds
// The solver works on scaled data (equilibration.h): a residual of the scaled problem is one of the data as
// given.
#pragma once

#include "solver/arena.h"
#include "solver/equilibration.h"

namespace optnet {

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
    Equilibration<B>(backend, plain, scales, work).run();
    backend.set(G, [&](int i, int j) { return plain.G[static_cast<std::size_t>(i) * n + j]; });
    backend.set(A, [&](int i, int j) { return plain.A[static_cast<std::size_t>(i) * n + j]; });
    place(backend);
  }

  /// Makes 1 of x's that are `value` now.
  OPTNET_FUNCTION void rescale(const B& backend, double value, Real* work) {
    Equilibration<B>(backend, plain, scales, work).rescale(value);
    place(backend);
  }

  /// What hangs on the typical size of x, from the plain numbers.
  OPTNET_FUNCTION void place(const B& backend) {
    const int n = d.n;
    backend.set(Q,
                [&](int i, int j) { return plain.Q ? plain.Q[static_cast<std::size_t>(i) * n + j] : 0.0; });
    backend.each(n, [&](int j) { p[j] = plain.p[j]; });
    backend.each(d.q, [&](int k) { b[k] = plain.b[k]; });
    backend.each(rows, [&](int i) {
      const bool row_of_G = i < d.m, row_of_I = i >= offset;
      const int at = row_of_G ? i : i - offset;
      const double* low = row_of_G ? plain.gl : plain.lb;
      const double* high = row_of_G ? plain.h : plain.ub;
      has_l[i] = (row_of_G || row_of_I) && low && low[at] > -infinite(i) ? 1 : 0;
      has_u[i] = (row_of_G || row_of_I) && high && high[at] < infinite(i) ? 1 : 0;
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

  /// From here on a bound of row i of C, scaled, is none.
  OPTNET_FUNCTION double infinite(int i) const { return kInfinite / value_scale(i); }

  /// What a number of the scaled problem is in the caller's: Cᵢx, and y of a row of C.
  OPTNET_FUNCTION double value_scale(int i) const {
    return i < d.m ? 1 / scales.row[i] : i >= offset ? scales.column[i - offset] : 1;
  }
  OPTNET_FUNCTION double multiplier_scale(int i) const { return 1 / (value_scale(i) * scales.cost); }
  OPTNET_FUNCTION double dual_scale(int j) const { return 1 / (scales.column[j] * scales.cost); }
};

}  // namespace optnet
