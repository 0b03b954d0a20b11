// Mehrotra's predictor–corrector for  s = h − Gz,  s ≥ 0, λ ≥ 0, sᵀλ = 0, coupled by a linear system: once,
// for every form and every backend. One factorisation and two solves an iteration.
//
// Each problem of a pack has its own step, its own end and its own best iterate; a finished one is frozen.
//
// A System is what couples s and λ:
//   Real residual(r, units)    r ← h − Gz − s at the current iterate; returns all residuals' scaled size
//   void factor(w)       Newton's matrix with D = W², W = diag √(λ/s)
//   void solve(t)        dλ in place of t, where G dz − D⁻¹dλ = t and the other residuals vanish
//   void step(alpha)     z, ν ← z, ν + α (dz, dν)
//   void keep(mask), restore(mask)    z, ν of the best iterate
#pragma once

#include "solver/data.h"

namespace optnet {

/// How far each problem of a pack has come.
template <class B>
struct Progress {
  typename B::Mask done{false};
  typename B::Real error{typename B::Scalar(1e30)};  ///< scaled, of the best iterate so far
  typename B::Real iterations{typename B::Scalar(0)};
  Units<B> units;
};

/// Vectors of length m.
template <class B>
struct InteriorPointWork {
  using Real = typename B::Real;
  Real *r, *t, *ds, *dlambda, *w, *inverse_lambda, *inverse_s, *best_lambda, *best_s;

  template <class Arena>
  OPTNET_FUNCTION InteriorPointWork(int m, Arena& arena) {
    for (Real** v : {&r, &t, &ds, &dlambda, &w, &inverse_lambda, &inverse_s, &best_lambda, &best_s}) {
      *v = B::vector(arena, m);
    }
  }
};

/// The mean of f(i) over the inequalities.
template <class B, class F>
OPTNET_FUNCTION typename B::Real mean_of_rows(const B& b, const Data<B>& data, F f) {
  const int m = data.d.m;
  const typename B::Real inverse_m(m > 0 ? static_cast<typename B::Scalar>(1.0 / m) : 0);
  return inverse_m * b.sum(m, f);
}

/// Mean complementarity sᵀλ/m.
template <class B>
OPTNET_FUNCTION typename B::Real mean_gap(const B& b, const Data<B>& data, const Iterate<B>& x) {
  return mean_of_rows(b, data, [&](int i) { return x.s[i] * x.lambda[i]; });
}

/// The same, measured against the sizes of the products that it is the difference of. Not finite iterates
/// give 1e30.
template <class B>
OPTNET_FUNCTION typename B::Real scaled_gap(const B& b, const Data<B>& data, const Iterate<B>& x,
                                            const Units<B>& units, typename B::Real gap) {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  const Real infinity(Scalar(1e30)), relative(static_cast<Scalar>(kRelative));
  const Real products = mean_of_rows(b, data, [&](int i) { return abs(data.h[i]) * x.lambda[i]; });
  const Real size = min(Real(Scalar(1)), units.gap) + relative * products;
  return select(gap < infinity, gap / size, infinity);
}

/// What lasts from one factorisation to the next, beside the iterate, the work and the progress.
template <class B>
struct LoopState {
  using Scalar = typename B::Scalar;
  typename B::Real since_best{Scalar(0)};  ///< iterations since the best iterate
  typename B::Real alpha{Scalar(1)};       ///< the last step length
  typename B::Real mu{Scalar(0)};          ///< mean gap of the current iterate
  typename B::Mask frozen{false};          ///< had finished before the start
  int iteration = 0;
};

/// The method, from one factorisation to the next. Starts from (λ, s) > 0 and leaves the best iterate found:
///     while (method.measure()) { system.factor(w); method.advance(); }
///     method.end();
template <class B, class System>
class InteriorPoint {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Mask = typename B::Mask;

  OPTNET_FUNCTION InteriorPoint(const B& backend, System& system, const Data<B>& data, Iterate<B>& x,
                                InteriorPointWork<B>& work, double tolerance, int max_iterations,
                                int max_total, Progress<B>& progress, LoopState<B>& state)
      : b(backend),
        system(system),
        data(data),
        x(x),
        v(work),
        m(data.d.m),
        tol(static_cast<Scalar>(tolerance)),
        max_iterations(max_iterations),
        max_total(static_cast<Scalar>(max_total)),
        progress(progress),
        state(state) {}

  /// Keeps the iterate where it is the best so far. False: nothing is left to be done; otherwise work.w holds
  /// √(λ/s) to factor with.
  OPTNET_LARGE_FUNCTION bool measure() {
    const Real zero(Scalar(0)), one(Scalar(1));
    const Real residual = system.residual(v.r, progress.units);
    state.mu = mean_gap(b, data, x);
    const Real error = max(residual, scaled_gap(b, data, x, progress.units, state.mu));

    const Mask better = (!progress.done) & (error < progress.error);
    progress.error = select(better, error, progress.error);
    copy_where(b, better, m, x.lambda, v.best_lambda);
    copy_where(b, better, m, x.s, v.best_s);
    system.keep(better);
    state.since_best = select(better, zero, state.since_best + one);
    progress.done = progress.done | (error <= tol) | (state.since_best > Real(Scalar(kPatience))) |
                    !(error < Real(Scalar(1e30))) | !(progress.iterations < max_total);
    if (state.iteration == max_iterations || all(progress.done)) return false;
    ++state.iteration;
    progress.iterations = progress.iterations + select(progress.done, zero, one);

    b.each(m, [&](int i) {  // reciprocals once: the step lengths then need no division
      v.inverse_lambda[i] = one / x.lambda[i];
      v.inverse_s[i] = one / x.s[i];
      v.w[i] = sqrt(x.lambda[i] * v.inverse_s[i]);
    });
    return true;
  }

  /// Predictor, corrector and step, with Newton's matrix factored.
  OPTNET_LARGE_FUNCTION void advance() {
    predictor();
    system.solve(v.t);
    corrector();
    system.solve(v.t);
    step();
  }

  // The parts of `advance`, for systems that are solved outside: work.t is to be solved for after the first
  // two.

  OPTNET_FUNCTION void predictor() {
    Real *const s = x.s, *const ds = v.ds, *const t = v.t;
    b.each(m, [&](int i) {  // affine scaling: rc = s
      ds[i] = s[i];
      t[i] = v.r[i] + s[i];
    });
  }

  OPTNET_FUNCTION void corrector() {
    const Real one(Scalar(1));
    Real *const lambda = x.lambda, *const s = x.s;
    Real *const dlambda = v.dlambda, *const ds = v.ds, *const t = v.t;
    const Real affine = one / max(finish_direction(), one);
    const Real mu_affine = mean_of_rows(
        b, data, [&](int i) { return (s[i] + affine * ds[i]) * (lambda[i] + affine * dlambda[i]); });
    const Real ratio = mu_affine / state.mu;
    const Real target = ratio * ratio * ratio * state.mu;  // σμ, σ = (μ_aff/μ)³

    b.each(m, [&](int i) {  // corrected: rc = s + (ds∘dλ − σμ)/λ
      const Real rc = s[i] + (ds[i] * dlambda[i] - target) * v.inverse_lambda[i];
      ds[i] = rc;
      t[i] = v.r[i] + rc;
    });
  }

  OPTNET_FUNCTION void step() {
    const Real one(Scalar(1));
    Real *const lambda = x.lambda, *const s = x.s;
    Real *const dlambda = v.dlambda, *const ds = v.ds;
    const Real inverse_step = finish_direction();  // 1 / the largest step that keeps s, λ ≥ 0
    // After a short step, stay further inside: nearly degenerate problems otherwise stick to the boundary.
    const Real near = min(max(Real(Scalar(0.995)), one - state.mu), Real(Scalar(0.9995)));
    const Real fraction = select(state.alpha < Real(Scalar(0.5)), Real(Scalar(0.9)), near);
    const Real alpha = min(one, fraction / max(inverse_step, Real(Scalar(1e-30))));
    state.alpha = alpha;
    b.each(m, [&](int i) {
      lambda[i] = select(progress.done, lambda[i], fma(alpha, dlambda[i], lambda[i]));
      s[i] = select(progress.done, s[i], fma(alpha, ds[i], s[i]));
    });
    system.step(alpha, progress.done);
  }

  /// What was frozen on entry has no best iterate here; the others go back to theirs.
  OPTNET_FUNCTION void end() {
    const Mask moved = (!state.frozen) & (progress.error < Real(Scalar(1e30)));
    copy_where(b, moved, m, v.best_lambda, x.lambda);
    copy_where(b, moved, m, v.best_s, x.s);
    system.restore(moved);
  }

 private:
  const B& b;
  System& system;
  const Data<B>& data;
  Iterate<B>& x;
  InteriorPointWork<B>& v;
  int m;
  Real tol;
  int max_iterations;
  Real max_total;
  Progress<B>& progress;
  LoopState<B>& state;

  /// From rc in ds and the solution in t: dλ, and ds = −rc − (s/λ) dλ, which solve G dz − (s/λ) dλ = r + rc.
  /// Returns 1 / the largest step that keeps s, λ ≥ 0.
  OPTNET_FUNCTION Real finish_direction() {
    b.each(m, [&](int i) {
      v.dlambda[i] = v.t[i];
      v.ds[i] = -v.ds[i] - x.s[i] * v.inverse_lambda[i] * v.dlambda[i];
    });
    return b.max(m,
                 [&](int i) { return max(-v.dlambda[i] * v.inverse_lambda[i], -v.ds[i] * v.inverse_s[i]); });
  }
};

/// D of the starting point: √(λ/s) in the rows' own units. With the shifts below it gave the fewest
/// iterations on the paper's generator (8.4 at n = m = 100, against 8.9 for D = I and 10.1 for the units
/// alone).
constexpr double kStartWeight = 5.0;

/// The slack q = h − Gz₀ at the solution z₀ without inequalities, cut where it is huge: rows far inside would
/// otherwise pull the starting point to their own scale. What is cut off each row stays in `rest`.
template <class B, class Real = typename B::Real>
OPTNET_LARGE_FUNCTION void cut_huge_slack(const B& b, int m, const Real* unit, Real* q, Real* rest) {
  using Scalar = typename B::Scalar;
  const Real zero(Scalar(0)), times(Scalar(10));
  const Real violation = b.max(m, [&](int i) { return -q[i] * unit[i]; });
  const Real nearest = b.min(m, [&](int i) { return abs(q[i] * unit[i]); });
  const Real most = times * select(violation > zero, violation, nearest);
  b.each(m, [&](int i) {
    const Real kept = select(q[i] * unit[i] > most, most / unit[i], q[i]);
    rest[i] = q[i] - kept;
    q[i] = kept;
  });
}

/// Pushes a starting point inside: (λ, s = −D⁻¹λ) solves the problem with its complementarity dropped, in
/// units (`unit` for λᵢ, 1/unit for sᵢ) that make rows comparable. Both are shifted until the least is a
/// fraction of a typical λ, so that scaling the objective or a row changes nothing. Rows with a huge slack
/// have no say in the shift, and get a λ that keeps their complementarity in line with the others'. Returns
/// the typical λ, in units.
template <class B, class Real = typename B::Real>
OPTNET_LARGE_FUNCTION Real push_inside(const B& b, int m, const Real* unit, Real* lambda, Real* s) {
  using Scalar = typename B::Scalar;
  const Real zero(Scalar(0)), one(Scalar(1));
  const Real active = b.sum(m, [&](int i) { return select(lambda[i] > zero, one, zero); });
  const Real total = b.sum(m, [&](int i) { return max(lambda[i] / unit[i], zero); });
  const Real nearest = b.min(m, [&](int i) { return abs(lambda[i] / unit[i]); });
  const Real mean = select(active > zero, total / max(active, one), nearest);
  const Real typical = select(mean > zero, mean, one);
  const Real huge = Real(Scalar(30)) * typical;

  const Real least_lambda = Real(Scalar(0.3)) * typical, least_s = Real(Scalar(0.02)) * typical;
  const Real now_lambda = max(b.min(m, [&](int i) { return lambda[i] / unit[i]; }), -huge);
  const Real now_s = b.min(m, [&](int i) { return s[i] * unit[i]; });
  const Real shift_lambda = max(least_lambda - now_lambda, zero), shift_s = max(least_s - now_s, zero);
  b.each(m, [&](int i) {
    const Real slack = s[i] * unit[i] + shift_s;
    const Real multiplier = max(lambda[i] / unit[i] + shift_lambda, least_lambda);
    lambda[i] = unit[i] * select(slack > huge, min(multiplier, typical * huge / slack), multiplier);
    s[i] = slack / unit[i];
  });
  return typical;
}

/// From the typical λ of a start, and ‖ẑ₀‖∞ of the solution without inequalities in `units.root`.
template <class B, class Real = typename B::Real>
OPTNET_FUNCTION void set_units(const B& b, const Data<B>& data, const Real* unit, Real typical,
                               Units<B>& units) {
  using Scalar = typename B::Scalar;
  const int m = data.d.m;
  const Real one(Scalar(1)), most(static_cast<Scalar>(kLargestUnit));
  units.root = max(units.root, typical);
  const Real mean =
      Real(static_cast<Scalar>(1.0 / m)) * b.sum(m, [&](int i) { return unit[i] * data.G_norm[i]; });
  units.row = min(one, most * units.root / mean);
  units.dual = most * units.root * mean;
  units.gap = most * units.root * units.root;
}

}  // namespace optnet
