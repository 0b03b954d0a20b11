// The solution on its active set. Rows that the iterate shows as active hold with equality, all others have
// λ = 0, and what is left is one linear system: exact up to rounding, where the interior point's weights s/λ
// blur active and inactive rows at any finite μ. The factor that solves it is the derivative's too.
//
// Row i counts as active where λᵢuᵢ² > sᵢ, uᵢ the row's unit (√Rᵢᵢ in range space): λᵢuᵢ and sᵢ/uᵢ are
// comparable. Where the solution has a wrong sign, the same rule gives the next set from that solution, which
// makes it the primal-dual active-set method (Hintermüller, Ito and Kunisch, SIAM J. Optim. 13, 2003).
#pragma once

#include "solver/kkt_system.h"

namespace optnet {

/// √(λ/s), bounded: the derivative's weight of a row, of this unit, on the central path.
template <class B, class Real = typename B::Real>
OPTNET_FUNCTION Real path_weight(Real lambda, Real s, Real unit) {
  using Scalar = typename B::Scalar;
  const Real one(Scalar(1)), zero(Scalar(0)), tiny(static_cast<Scalar>(1e-30)),
      most(static_cast<Scalar>(kLargestWeight<Scalar>)),
      least(static_cast<Scalar>(1 / kLargestWeight<Scalar>));
  const Real own = select(unit > tiny, unit, one);
  const Real square = max(lambda, zero) / max(s, tiny);
  return min(max(sqrt(square) * own, least), most) / own;
}

/// Which problems of a pack are solved on their active sets.
template <class B>
struct PolishState {
  using Mask = typename B::Mask;
  Mask tried{false};                             ///< since `begin`
  Mask trying{false};                            ///< the next factor is for their next set
  Mask accepted{false};                          ///< the iterate is the solution on its active set …
  Mask exact{false};                             ///< … of which no row is nearly weakly active
  typename B::Real bias{typename B::Scalar(1)};  ///< how much larger λᵢuᵢ² has to be than sᵢ
  /// How far the last refinement moved what the factor gave, relative to its size: what other solves with the
  /// factor have lost to rounding.
  typename B::Real rounding{typename B::Scalar(0)};
  typename B::Real error{typename B::Scalar(0)};  ///< the same of λᵢ and sᵢ, relative to `Scale`'s sizes
  Mask found{false};                              ///< since `begin`: a set that its signs agree with
  int attempts = 0;
};

template <class B, class Form>
class Polish {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Mask = typename B::Mask;

  OPTNET_FUNCTION Polish(const B& backend, const Data<B>& data, Form& form, KktSystem<B, Form>& kkt,
                         Iterate<B>& x, InteriorPointWork<B>& v, const Units<B>& units, PolishState<B>& state)
      : b(backend),
        data(data),
        form(form),
        kkt(kkt),
        x(x),
        v(v),
        units(units),
        state(state),
        m(data.d.m),
        unit(v.t) {}

  /// In v.w, the weights of the first set of the problems in `mask`, whose iterates are the best that they
  /// have been at.
  OPTNET_FUNCTION void begin(Mask mask) {
    state.tried = state.trying = mask;
    state.found = Mask(false);
    state.attempts = 0;
    state.bias = Real(Scalar(1));
    state.rounding = select(mask, Real(Scalar(0)), state.rounding);
    form.row_units(b, data, unit);
    b.each(m, [&](int i) { v.w[i] = active_weight(i); });
  }

  /// With the matrix factored: solves, and accepts what proves to be a solution, its scaled residuals within
  /// `limit`; with `only_exact`, only where the derivative is exact too. True: v.w has the weights of the
  /// next sets. False: nothing is left to be tried, and what was not accepted is back at its iterate (in
  /// range space without z and ν). `error`: of the problems accepted now. `measured`: all are, and `kkt`
  /// holds what it measured of them.
  OPTNET_LARGE_FUNCTION bool next(Real limit, bool only_exact, Real& error, bool& measured) {
    ++state.attempts;
    form.solve_active(b, x, v.w, state.trying);
    form.row_units(b, data, unit);
    if constexpr (Form::kReducesSlack) {
      // Signs from the reduced problem, which is at hand: the data are looked at once, when all is found.
      look(measure(false), kSignRounding);
      if (goes_on()) return true;
      state.trying = state.found;
    }
    Mask unsure(false);
    Real now = evaluate(unsure);
    if constexpr (!Form::kReducesSlack) {
      look(measure(true), kSignRounding);
      if (goes_on()) return true;
    }
    const Scale scale = measure(true);
    const Mask exact = any(unsure) ? (!unsure) | (!any_weak(scale, weak())) : Mask(true);
    Mask good = state.found & right_signs(scale, kSignRounding) & (now <= limit);
    if (only_exact) good = good & exact;
    error = select(good, now, error);
    state.accepted = state.accepted | good;
    state.exact = state.exact | (good & exact);
    const bool unchanged = end();
    measured = unchanged && all(state.accepted);
    return false;
  }

  /// In v.w, the derivative's weights: the active set's where the problem is solved on it, but √(λ/s) of the
  /// last iterate for rows that are nearly weakly active, and for every row of the other problems.
  OPTNET_LARGE_FUNCTION void derivative_weights() {
    form.row_units(b, data, unit);
    state.bias = Real(Scalar(1));
    const Scale scale = measure(true);
    const Real weak = this->weak();
    b.each(m, [&](int i) {
      const Real lambda = select(state.accepted, v.best_lambda[i], x.lambda[i]);
      const Real s = select(state.accepted, v.best_s[i], x.s[i]);
      const Real path = path_weight<B>(lambda, s, unit[i]);
      v.w[i] = select(state.accepted & !is_weak(scale, weak, i), active_weight(i), path);
    });
  }

 private:
  /// What λᵢuᵢ and sᵢ are large or small beside: the largest λᵢuᵢ, or what the objective's size makes of it
  /// where none is strongly active; ‖z‖∞. Of the two sizes that these give a slack, the larger one is an
  /// accident of badly scaled columns or of a nearly singular Q.
  struct Scale {
    Real lambda, z;
  };

  const B& b;
  const Data<B>& data;
  Form& form;
  KktSystem<B, Form>& kkt;
  Iterate<B>& x;
  InteriorPointWork<B>& v;
  const Units<B>& units;
  PolishState<B>& state;
  int m;
  Real* unit;

  OPTNET_FUNCTION static bool any(Mask mask) { return !all(!mask); }

  OPTNET_FUNCTION Real active_weight(int i) const {
    const Real u = unit[i], zero(Scalar(0)), weight(static_cast<Scalar>(kActiveWeight));
    return select((x.lambda[i] * u * u > state.bias * x.s[i]) & (u > zero), weight / u, zero);
  }

  /// Which of those that are tried have found their set, and which go on.
  OPTNET_FUNCTION void look(const Scale& scale, double rounding) {
    const Mask regular = form.is_regular(b, v.w, v.r);
    const Mask sound = state.trying & regular & is_near();
    const Mask signs = right_signs(scale, rounding);
    // Dependent rows: some only seem active yet, the ones whose λ and s are least apart.
    const Mask again = state.trying & !regular;
    state.found = state.found | (sound & signs);
    state.trying = again | (sound & !signs);
    copy_where(b, again, m, v.best_lambda, x.lambda);
    copy_where(b, again, m, v.best_s, x.s);
    state.bias = select(again, state.bias * Real(static_cast<Scalar>(kBias)), Real(Scalar(1)));
  }
  /// Whether there are next sets to be tried; v.w then has their weights.
  OPTNET_FUNCTION bool goes_on() {
    if (!any(state.trying) || state.attempts >= kPolishes) return false;
    b.each(m, [&](int i) { v.w[i] = select(state.trying, active_weight(i), v.w[i]); });
    return true;
  }

  /// z, ν and s of those that are tried, refined; returns their scaled residuals. `unsure`: a row may be
  /// weakly active; then how far the last refinement moved λ and s tells what is rounding.
  OPTNET_FUNCTION Real evaluate(Mask& unsure) {
    const Real loose(static_cast<Scalar>(kMostWeak));
    if constexpr (Form::kReducesSlack) {
      kkt.keep(state.accepted);
      form.recover(b, data, x);
      kkt.restore(state.accepted);
    }
    state.error = select(state.trying, Real(Scalar(0)), state.error);
    Real now = kkt.residual(v.r, units, v.w, state.trying);
    Mask refined(false);
    if constexpr (Form::kReducesSlack) unsure = any_weak(measure(true), loose);
    for (int k = 0; k < Form::kPolishSteps; ++k) {
      refined = state.trying;
      if constexpr (Form::kReducesSlack)
        refined = refined & ((now > Real(static_cast<Scalar>(kRefineAbove))) | unsure);
      if (!any(refined)) return now;
      b.each(m, [&](int i) {
        v.dlambda[i] = x.lambda[i];
        v.ds[i] = x.s[i];
      });
      const Real moved = kkt.refine(v.r, v.w, refined);
      state.rounding = select(refined, moved, state.rounding);
      now = kkt.residual(v.r, units, v.w, state.trying);
    }
    const Scale scale = measure(true);
    if constexpr (!Form::kReducesSlack) unsure = any_weak(scale, loose);
    if (any(unsure)) {
      const Real tiny(static_cast<Scalar>(1e-30));
      const Real error = b.max(m, [&](int i) {
        return max(abs(x.lambda[i] - v.dlambda[i]) * unit[i] / max(scale.lambda, tiny),
                   abs(x.s[i] - v.ds[i]) / max(size_of_slack(scale, i), tiny));
      });
      state.error = select(refined, error, state.error);
    }
    return now;
  }

  OPTNET_FUNCTION Scale measure(bool has_z) const {
    const Real infinity(static_cast<Scalar>(1e30));
    return {max(units.root, b.max(m, [&](int i) { return x.lambda[i] * unit[i]; })),
            has_z ? b.max(data.d.n, [&](int j) { return abs(x.z[j]); }) : infinity};
  }
  OPTNET_FUNCTION Real size_of_slack(const Scale& scale, int i) const {
    return max(abs(data.h[i]), min(data.G_norm[i] * scale.z, unit[i] * scale.lambda));
  }
  OPTNET_FUNCTION Mask right_signs(const Scale& scale, double most) const {
    const Real rounding(static_cast<Scalar>(most)), zero(Scalar(0)), one(Scalar(1));
    return b.sum(m, [&](int i) {
      const Mask wrong =
          (x.lambda[i] * unit[i] < -rounding * scale.lambda) | (x.s[i] < -rounding * size_of_slack(scale, i));
      return select(wrong, one, zero);
    }) <= zero;
  }
  /// What λᵢ and sᵢ may be of their sizes without being told from 0.
  OPTNET_FUNCTION Real weak() const {
    const Real least(static_cast<Scalar>(kWeakErrors * kLeastError)), most(static_cast<Scalar>(kMostWeak)),
        times(static_cast<Scalar>(kWeakErrors * kErrors));
    return min(most, least + times * state.error);
  }
  OPTNET_FUNCTION Mask is_weak(const Scale& scale, Real weak, int i) const {
    return (x.lambda[i] * unit[i] <= weak * scale.lambda) & (x.s[i] <= weak * size_of_slack(scale, i));
  }
  OPTNET_FUNCTION Mask any_weak(const Scale& scale, Real weak) const {
    const Real zero(Scalar(0)), one(Scalar(1));
    return b.sum(m, [&](int i) { return select(is_weak(scale, weak, i), one, zero); }) > zero;
  }
  /// λ has not left the iterate's behind: multipliers that are not unique may.
  OPTNET_FUNCTION Mask is_near() const {
    const Real far(static_cast<Scalar>(kFarMultiplier));
    const Real moved = b.max(m, [&](int i) { return abs(x.lambda[i] - v.best_lambda[i]) * data.G_norm[i]; });
    const Real size = b.max(m, [&](int i) { return v.best_lambda[i] * data.G_norm[i]; });
    return moved <= size + far;
  }

  /// True: nothing had to be changed.
  OPTNET_FUNCTION bool end() {
    const Mask rejected = state.tried & !state.accepted, cut = state.tried & state.accepted;
    const Real zero(Scalar(0));
    copy_where(b, rejected, m, v.best_lambda, x.lambda);
    copy_where(b, rejected, m, v.best_s, x.s);
    kkt.restore(rejected);
    const Real least = b.min(m, [&](int i) { return min(x.lambda[i], x.s[i]); });
    b.each(m, [&](int i) {  // signs are right up to rounding
      x.lambda[i] = select(cut, max(x.lambda[i], zero), x.lambda[i]);
      x.s[i] = select(cut, max(x.s[i], zero), x.s[i]);
    });
    return all(!(cut & (least < zero)));
  }
};

}  // namespace optnet
