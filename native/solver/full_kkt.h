// The KKT matrix as it is, factored and solved outside:
//     | Q   Gᵀ     Aᵀ |
//     | G  −W⁻²    0  |   W = diag √(λ/s)
//     | A   0      0  |
// Nothing is eliminated, and nothing assumed but that the matrix is regular: slower than the other forms by
// far, and what they are checked against.
#pragma once

#include "solver/solve.h"

namespace optnet {

template <class B>
class FullKkt {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;

  template <class Arena>
  OPTNET_FUNCTION FullKkt(const Dimensions& dims, const Sharing&, Arena&, Arena& kept, Arena& scratch, Arena&,
                          Arena&)
      : d(dims) {
    matrix = B::matrix(kept, size(d), size(d), false);
    pivots = kept.template take<int>(static_cast<std::size_t>(size(d)));
    w = B::vector(kept, d.m);
    right = B::vector(scratch, size(d));
  }

  OPTNET_FUNCTION static int size(const Dimensions& d) { return d.n + d.m + d.q; }

  /// Before the first factorisation, with v.w: as Condensed::begin, with h as it is.
  OPTNET_FUNCTION void begin(const B& b, const Data<B>& data, Iterate<B>& x, InteriorPointWork<B>& v,
                             Units<B>&) {
    b.diagonal(data.Q, x.z);
    const Real curvature =
        sqrt(Real(static_cast<Scalar>(1.0 / d.n)) * b.sum(d.n, [&](int j) { return x.z[j]; }));
    const Real weight(static_cast<Scalar>(kStartWeight));
    b.each(d.m, [&](int i) {
      v.ds[i] = curvature / data.G_norm[i];  // the row's unit
      v.w[i] = weight * v.ds[i];
    });
  }
  /// The solution for s = −D⁻¹λ, complementarity dropped.
  OPTNET_FUNCTION void ask_start(const B& b, const Data<B>& data) {
    b.each(d.n, [&](int j) { right[j] = -data.p[j]; });
    b.each(d.m, [&](int i) { right[d.n + i] = data.h[i]; });
    b.each(d.q, [&](int k) { right[d.n + d.m + k] = data.b[k]; });
  }
  OPTNET_FUNCTION void answer_start(const B& b, Iterate<B>& x) { answer(b, x.z, x.lambda, x.nu); }
  /// After it.
  OPTNET_FUNCTION void end_begin(const B& b, const Data<B>& data, Iterate<B>& x, InteriorPointWork<B>& v,
                                 Units<B>& units) {
    b.each(d.m, [&](int i) { x.s[i] = -x.lambda[i] / (v.w[i] * v.w[i]); });
    set_units(b, data, v.ds, push_inside(b, d.m, v.ds, x.lambda, x.s), units);
  }

  /// uᵢ, as in the condensed form.
  OPTNET_FUNCTION void row_units(const B& b, const Data<B>& data, Real* unit) const {
    const Real curvature = b.max(d.n, [&](int j) { return data.Q.at(j, j); });
    b.each(d.m, [&](int i) { unit[i] = data.G_norm[i] / sqrt(curvature); });
  }

  OPTNET_FUNCTION void weigh(const B& b, const Data<B>&, const Real* weights) {
    b.each(d.m, [&](int i) { w[i] = weights[i]; });
  }
  OPTNET_FUNCTION void weigh_end(const B& b, const Data<B>& data, const Real* weights) {
    weigh(b, data, weights);
  }

  /// The right-hand side (az, aλ, aν), and later what the solution was: dz, dλ, dν.
  OPTNET_FUNCTION void ask(const B& b, const Real* z, const Real* alambda, const Real* nu) {
    b.each(d.n, [&](int j) { right[j] = z[j]; });
    b.each(d.m, [&](int i) { right[d.n + i] = alambda[i]; });
    b.each(d.q, [&](int k) { right[d.n + d.m + k] = nu[k]; });
  }
  OPTNET_FUNCTION void answer(const B& b, Real* z, Real* dlambda, Real* nu) const {
    b.each(d.n, [&](int j) { z[j] = right[j]; });
    b.each(d.m, [&](int i) { dlambda[i] = right[d.n + i]; });
    b.each(d.q, [&](int k) { nu[k] = right[d.n + d.m + k]; });
  }

  /// Element (i, j) of the matrix.
  OPTNET_FUNCTION Real element(const Data<B>& data, int i, int j) const {
    if (i < j) return element(data, j, i);
    if (i < d.n) return data.Q.at(i, j);
    if (i < d.n + d.m) {
      const int row = i - d.n;
      return j < d.n ? data.G.at(row, j) : i == j ? Real(Scalar(-1)) / (w[row] * w[row]) : Real(Scalar(0));
    }
    return j < d.n ? data.A.at(i - d.n - d.m, j) : Real(Scalar(0));
  }

  Dimensions d;
  typename B::Matrix matrix;  ///< then its factors
  int* pivots;
  Real* w;
  Real* right;  ///< right-hand side, then the solution: n + m + q
};

template <class B>
struct FormOf<B, FormKind::kFullKkt> {
  using type = FullKkt<B>;
};

}  // namespace optnet
