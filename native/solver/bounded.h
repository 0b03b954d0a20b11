// Two-sided rows and simple bounds by their structure. To a Form, gl ≤ Gz ≤ h, lb ≤ z ≤ ub are 2(m + n) rows
//     Cz ≤ c,   C = diag(e) | G; −G; −I; I |,   c = | h; −gl; −lb; ub |
// with eᵢ = 0 where there is no such side, which leaves the row 0 ≤ cᵢ > 0. G is read once for both its
// sides, and I not at all: of CᵀDC it is a diagonal.
#pragma once

#include <limits>

#include "solver/data.h"
#include "solver/plain_problem.h"

namespace optnet {

/// C, by its parts.
template <class B>
struct BoundedRows {
  typename B::Matrix G;              ///< m×n
  typename B::Real* side = nullptr;  ///< e, 2(m + n)
};

/// Backend B, with the products of C.
template <class B>
class Bounded : public B {
 public:
  using typename B::Matrix;
  using typename B::Real;
  using typename B::Scalar;
  using typename B::Triangle;
  using typename B::WeightedGram;
  using Rows = BoundedRows<B>;
  using Shared = Bounded<typename B::Shared>;

  /// `d`: of the problem with its 2(m + n) rows.
  template <class Arena>
  OPTNET_FUNCTION Bounded(const Dimensions& d, Arena& scratch)
      : both_(B::vector(scratch, rows_of_G(d.m, d.n))) {}

  OPTNET_FUNCTION static int rows_of_G(int rows, int n) { return rows / 2 - n; }

  using B::add_weighted_gram;
  using B::multiply;
  using B::multiply_transpose;

  template <class Arena>
  OPTNET_FUNCTION static WeightedGram weighted_gram_storage(Arena& arena, int rows, int n) {
    return B::weighted_gram_storage(arena, rows_of_G(rows, n), n);
  }

  /// y ← C x
  OPTNET_FUNCTION void multiply(const Rows& C, const Real* x, Real* y) const {
    const int m = C.G.rows, n = C.G.columns;
    const Real* e = C.side;
    if (m > 0) B::multiply(C.G, x, y);
    B::each(m, [&](int i) {
      y[m + i] = -(e[m + i] * y[i]);
      y[i] = e[i] * y[i];
    });
    e += 2 * m;
    y += 2 * m;
    B::each(n, [&](int j) {
      y[j] = -(e[j] * x[j]);
      y[n + j] = e[n + j] * x[j];
    });
  }

  /// y ← Cᵀ x
  OPTNET_FUNCTION void multiply_transpose(const Rows& C, const Real* x, Real* y) const {
    const int m = C.G.rows, n = C.G.columns;
    const Real* e = C.side;
    B::each(m, [&](int i) { both_[i] = e[i] * x[i] - e[m + i] * x[m + i]; });
    B::multiply_transpose(C.G, both_, y);
    e += 2 * m;
    x += 2 * m;
    B::each(n, [&](int j) { y[j] = y[j] + (e[n + j] * x[n + j] - e[j] * x[j]); });
  }

  /// E ← Q + Cᵀ diag(w)² C (lower triangle)
  OPTNET_FUNCTION void add_weighted_gram(const Triangle& Q, const Rows& C, const Real* w,
                                         const WeightedGram& work, const Triangle& E) const {
    const int m = C.G.rows, n = C.G.columns;
    const Real* e = C.side;
    const auto square = [&](int i) { return e[i] * w[i] * w[i]; };
    if (m > 0) {
      B::each(m, [&](int i) { both_[i] = sqrt(square(i) + square(m + i)); });
      B::add_weighted_gram(Q, C.G, both_, work, E);
    } else {
      B::copy(Q, E);
    }
    B::add_diagonal(E, [&](int j) { return square(2 * m + j) + square(2 * m + n + j); });
  }

 private:
  Real* both_;  ///< of a row of G, what its sides come to; m
};

/// The problem with its 2(m + n) rows, which refers to the parts of `given`.
template <class B>
struct Data<Bounded<B>> {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;

  Dimensions d;
  Data<B> given;  ///< Q, p, G, A, b
  typename B::Triangle Q;
  BoundedRows<B> G;
  typename B::Matrix A;
  Real *p, *b, *A_norm;
  Real *h, *G_norm;     ///< c, ‖Cᵢ‖∞
  Real* inverse_sides;  ///< 1/Σeᵢ, one number

  template <class Arena>
  OPTNET_FUNCTION Data(const Dimensions& rows, const Sharing& sharing, Arena& shared, Arena& own)
      : d(rows),
        given({d.n, Bounded<B>::rows_of_G(d.m, d.n), d.q}, sharing, shared, own),
        Q(given.Q),
        G{given.G, B::vector(own, d.m)},
        A(given.A),
        p(given.p),
        b(given.b),
        A_norm(given.A_norm),
        h(B::vector(own, d.m)),
        G_norm(B::vector(own, d.m)),
        inverse_sides(B::vector(own, 1)) {}

  // The sides of the rows of G, and of z, within the rows of C.
  OPTNET_FUNCTION int upper(int i) const { return i; }
  OPTNET_FUNCTION int lower(int i) const { return given.d.m + i; }
  OPTNET_FUNCTION int lower_bound(int j) const { return 2 * given.d.m + j; }
  OPTNET_FUNCTION int upper_bound(int j) const { return 2 * given.d.m + d.n + j; }

  /// From h, gl, lb and ub as given, in the parts of `h`. What leaves no room between two sides is not for an
  /// interior-point method: such a problem ends at once, not solved.
  OPTNET_FUNCTION void set_sides(const B& b) const {
    const Real zero(Scalar(0)), one(Scalar(1)), none(static_cast<Scalar>(kInfinite));
    const Real not_a_number(std::numeric_limits<Scalar>::quiet_NaN());
    const Real farthest = b.max(d.m, [&](int i) { return select(abs(h[i]) < none, abs(h[i]), zero); });
    const Real far = select(farthest > zero, farthest, one);
    const auto set = [&](int low, int high, Real norm) {
      const auto room = (h[low] < h[high]) & (h[low] < none) & (h[high] > -none);
      const auto has_low = h[low] > -none, has_high = h[high] < none;
      G_norm[low] = G_norm[high] = select(room, norm, not_a_number);
      G.side[low] = select(has_low, one, zero);
      G.side[high] = select(has_high, one, zero);
      h[low] = select(has_low, -h[low], far);
      h[high] = select(has_high, h[high], far);
    };
    b.each(given.d.m, [&](int i) { set(lower(i), upper(i), given.G_norm[i]); });
    b.each(d.n, [&](int j) { set(lower_bound(j), upper_bound(j), one); });
    inverse_sides[0] = one / max(b.sum(d.m, [&](int i) { return G.side[i]; }), one);
  }
};

/// A bound's unit is 1/√Qⱼⱼ: variables may be of very different sizes.
template <class B, class Real = typename B::Real>
OPTNET_FUNCTION void set_own_units(const Bounded<B>& b, const Data<Bounded<B>>& data, const Real* diagonal,
                                   Real* unit) {
  using Scalar = typename B::Scalar;
  b.each(data.d.n, [&](int j) {
    unit[data.lower_bound(j)] = unit[data.upper_bound(j)] = Real(Scalar(1)) / sqrt(diagonal[j]);
  });
}

/// Sides that are not there do not count.
template <class B, class F>
OPTNET_FUNCTION typename B::Real mean_of_rows(const Bounded<B>& b, const Data<Bounded<B>>& data, F f) {
  using Real = typename B::Real;
  const Real* e = data.G.side;
  const Real total = b.sum(data.d.m, [&](int i) { return e[i] * f(i); });
  return total * data.inverse_sides[0];
}

}  // namespace optnet
