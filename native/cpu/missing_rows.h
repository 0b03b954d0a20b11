// Rows of G that have no bound: where h is infinite, a row is there for some problems of a unit, and for
// others it is not. What stands in their place leaves no trace:
//   • zeros, 0ᵀz ≤ hᵢ, where each problem has a G to itself, or the batch shares h too: coupled to nothing;
//   • otherwise the row itself, with a bound so far away that it cannot matter. Where it does, the problem
//     counts as one that could not be started, and goes to the general solver.
#pragma once

#include "engine/numbers.h"
#include "solver/data.h"
#include "solver/solve.h"

namespace optnet::OPTNET_ISA {

/// A row of zeros. Its bound, relative to the largest |h| of the others, and what its ‖Gᵢ‖∞ counts as. Both
/// follow from what a form takes for the row's unit. A bound that is far in this unit pushes the starting
/// point of all rows, by about an iteration; these do not (measured).
struct StandIn {
  double bound, norm;
};
/// Range space: Rᵢᵢ = 0 makes the unit 1, and the row never active.
constexpr StandIn kRangeSpaceStandIn{1e-5, 1};
/// Condensed: so small a norm that it never seems active, whatever the scale of λ.
constexpr StandIn kCondensedStandIn{1e-7, 1e-6};
template <FormKind kKind>
constexpr StandIn kStandIn = kKind == FormKind::kCondensed ? kCondensedStandIn : kRangeSpaceStandIn;

/// Which rows the problems of a unit of backend B lack.
template <class B>
class MissingRows {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;

  template <class Arena>
  MissingRows(int m, const StandIn& stand_in, Arena& own)
      : m_(m),
        stand_in_(stand_in),
        count_(B::vector(own, 1)),
        far_(B::vector(own, 1)),
        missing_(B::vector(own, m)) {}

  /// By h of the unit's problems, in which the bounds of what stands there take their place. `zeros`: of the
  /// two, it is these. `largest`: of |hᵢ|.
  void find(Real* h, Real largest, bool zeros) const {
    const Real zero(Scalar(0)), one(Scalar(1)), none(static_cast<Scalar>(kInfinite));
    count_[0] = zero;
    far_[0] = zeros ? zero : one;
    if (m_ == 0 || all(largest < none)) return;
    Real size = zero;
    for (int i = 0; i < m_; ++i) {
      missing_[i] = flag(h[i]);
      count_[0] = count_[0] + missing_[i];
      size = max(size, select(missing_[i] > zero, zero, abs(h[i])));
    }
    const Real near = Real(static_cast<Scalar>(stand_in_.bound)) * select(size > zero, size, one);
    const Real bound = zeros ? near : Real(static_cast<Scalar>(kFarBound)) * max(size, one);
    for (int i = 0; i < m_; ++i) h[i] = select(missing_[i] > zero, bound, h[i]);
  }

  /// Whether any problem of the unit lacks a row.
  bool any() const { return m_ > 0 && !all(!(count_[0] > Real(Scalar(0)))); }
  /// Of each row, 1 in the problems that lack it, else 0; if there are `any`.
  const Real* flags() const { return missing_; }
  /// The same, by an element of h.
  static Real flag(Real h) {
    return select(h < Real(static_cast<Scalar>(kInfinite)), Real(Scalar(0)), Real(Scalar(1)));
  }
  const StandIn& stand_in() const { return stand_in_; }

  /// Makes the end of a solve, and what is reported of it, that of the problems without these rows.
  template <class Workplace, class Report>
  void take_out(const B& b, const Workplace& work, Report& report) const {
    const Real zero(Scalar(0)), one(Scalar(1)), half(Scalar(0.5)), none(static_cast<Scalar>(1e30)),
        infinity(std::numeric_limits<Scalar>::infinity());
    const auto& x = work.x;
    Real *const r = work.v.r, *const h = work.data.h;
    const auto is_there = [&](int i) { return !(missing_[i] > zero); };
    const auto sum = [&](auto f) { return b.sum(m_, f); };
    // A far bound is still far.
    const Real reached =
        far_[0] * sum([&](int i) { return select(is_there(i) | (x.s[i] > half * h[i]), zero, one); });
    report.definite = report.definite & (reached <= zero);
    report.margin = b.min(m_, [&](int i) { return select(is_there(i), max(x.lambda[i], x.s[i]), none); });
    const Real rows = max(Real(static_cast<Scalar>(m_)) - count_[0], one);
    const Real gap = sum([&](int i) { return select(is_there(i), x.s[i] * x.lambda[i], zero); }) / rows;
    report.gap = select(count_[0] > zero, gap, report.gap);
    b.each(m_, [&](int i) {
      r[i] = select(is_there(i), r[i], zero);
      x.lambda[i] = select(is_there(i), x.lambda[i], zero);
      x.s[i] = select(is_there(i), x.s[i], infinity);
    });
    report.primal = work.kkt.primal(r);
  }

  /// v ← 0 there.
  void clear(Real* v) const {
    const Real zero(Scalar(0));
    for (int i = 0; i < m_; ++i) v[i] = select(missing_[i] > zero, zero, v[i]);
  }

 private:
  /// A bound that is far, relative to the largest |h| of the others, and 1.
  static constexpr double kFarBound = 1e6;

  int m_;
  StandIn stand_in_;
  Real* count_;  ///< of missing rows, one number
  Real* far_;    ///< 1: what stands there is the row itself; one number
  Real* missing_;
};

}  // namespace optnet::OPTNET_ISA
