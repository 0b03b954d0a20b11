// One pack of problems from data to solution, and from upstream gradients to the adjoint: what a backend's
// unit of work does, whatever the backend.
#pragma once

#include "solver/condensed.h"
#include "solver/range_space.h"

namespace optnet {

enum class FormKind { kRangeSpace, kCondensed };

/// Range space costs m³/3 flops an iteration, condensed n²m + n³/3.
inline FormKind choose_form(const Dimensions& d) {
  return d.m > 2.5 * d.n ? FormKind::kCondensed : FormKind::kRangeSpace;
}

template <class B, FormKind kKind>
struct FormOf {
  using type = RangeSpace<B>;
};
template <class B>
struct FormOf<B, FormKind::kCondensed> {
  using type = Condensed<B>;
};

/// What a solve reports for each problem of a pack.
template <class B>
struct Report {
  using Real = typename B::Real;
  typename B::Mask definite{true};  ///< Q is positive definite
  typename B::Mask solved{false};   ///< the scaled residuals are within tolerance
  Real iterations, objective, primal, dual, gap;
};

/// All that one solve or adjoint works on. `shared` and `kept` hold what outlives it, `scratch` does not.
template <class B, FormKind kKind>
struct Workplace {
  using Real = typename B::Real;
  using Form = typename FormOf<B, kKind>::type;

  Dimensions d;
  Data<B> data;
  Form form;
  Iterate<B> x;
  InteriorPointWork<B> v;
  KktSystem<B, Form> kkt;

  template <class Arena>
  Workplace(const B& b, const Dimensions& d, const Sharing& sharing, Arena& shared, Arena& own, Arena& kept,
            Arena& scratch)
      : d(d),
        data(d, sharing, shared, own),
        form(d, sharing, shared, kept, scratch),
        x(d, kept),
        v(d.m, scratch),
        kkt(b, form, data, x, scratch) {}
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
};

/// Solves; the factors for `adjoint` stay behind if `differentiable`.
template <class B, FormKind kKind>
[[gnu::noinline]] Report<B> solve(const B& b, Workplace<B, kKind>& work, const SolverSettings& settings,
                                  bool differentiable) {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  const int n = work.d.n, m = work.d.m;
  const Data<B>& data = work.data;
  const Iterate<B>& x = work.x;
  const Real tolerance(static_cast<Scalar>(settings.tolerance)), infinity(Scalar(1e30));

  Report<B> report;
  report.definite = work.form.prepare(b, data, false);
  Progress<B> progress;
  const auto error = [&] {
    report.gap = mean_gap(b, x, m);
    return max(work.kkt.residual(work.v.r), scaled_gap(b, data, x, report.gap));
  };
  Real remaining;
  if constexpr (kKind == FormKind::kRangeSpace) {
    work.form.solve(b, data, work.x, work.v, settings, progress);
    remaining = error();
    progress.done = (remaining <= tolerance) |
                    !(progress.iterations < Real(static_cast<Scalar>(settings.max_iterations)));
    if (!all(progress.done)) {  // round-off in the reduction: go on with the residuals of the data
      progress.error = infinity;
      interior_point(b, work.kkt, data, work.x, work.v, settings.tolerance, kRefinements, progress);
      remaining = error();
    }
  } else {
    work.form.solve(b, work.kkt, data, work.x, work.v, settings, progress);
    remaining = error();
  }
  report.solved = remaining <= tolerance;
  report.iterations = progress.iterations;
  report.primal = work.kkt.primal;
  report.dual = work.kkt.dual;
  report.objective =
      b.sum(n, [&](int j) { return x.z[j] * fma(Real(Scalar(0.5)), work.kkt.Qz[j], data.p[j]); });

  if (differentiable && m > 0) {
    const Real most(static_cast<Scalar>(kLargestWeight<Scalar>)),
        least(static_cast<Scalar>(1 / kLargestWeight<Scalar>));
    b.each(m, [&](int i) { work.v.w[i] = min(max(sqrt(x.lambda[i] / x.s[i]), least), most); });
    work.form.keep_factor(b, data, work.v.w);
  }
  return report;
}

/// The adjoint of the solution map, from the factors that `solve` left behind: with g the gradients of the
/// loss,
///     | Q   Gᵀ         Aᵀ | |dz|     |gz|
///     | G  −diag(s/λ)  0  | |dλ| = − |gλ|
///     | A   0          0  | |dν|     |gν|     (the paper's equation 8, in the scaling of its code)
/// In: gz, gλ, gν. Out, in their place: dz and dν; dλ in `dlambda`.
template <class B, FormKind kKind>
[[gnu::noinline]] void adjoint(const B& b, const Workplace<B, kKind>& work, typename B::Real* z,
                               typename B::Real* lambda, typename B::Real* nu, typename B::Real* dlambda) {
  b.each(work.d.n, [&](int j) { z[j] = -z[j]; });
  b.each(work.d.m, [&](int i) { lambda[i] = -lambda[i]; });
  b.each(work.d.q, [&](int k) { nu[k] = -nu[k]; });
  work.form.solve_kkt_end(b, work.data, z, lambda, nu, dlambda);
}

}  // namespace optnet
