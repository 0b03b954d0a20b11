// One pack of problems from data to solution, and from upstream gradients to the adjoint: what a backend's
// unit of work does, whatever the backend.
#pragma once

#include "solver/condensed.h"
#include "solver/range_space.h"

namespace optnet {

/// kFullKkt (solver/full_kkt.h) is never chosen by shape.
enum class FormKind { kRangeSpace, kCondensed, kFullKkt };

/// Range space costs m³/3 flops an iteration, condensed n²m + n³/3.
OPTNET_FUNCTION inline FormKind choose_form(const Dimensions& d) {
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

/// All that one solve or adjoint works on. `shared` and `kept` hold what outlives it, `scratch` its vectors,
/// `reduced` the matrix that the iterations read, `setup` what is needed only until the data are factored.
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

  /// `shared_data`, `own`: where the data are.
  template <class DataArena, class Arena>
  OPTNET_FUNCTION Workplace(const B& b, const Dimensions& d, const Sharing& sharing, DataArena& shared_data,
                            DataArena& own, Arena& shared, Arena& kept, Arena& scratch, Arena& reduced,
                            Arena& setup)
      : d(d),
        data(d, sharing, shared_data, own),
        form(d, sharing, shared, kept, scratch, reduced, setup),
        x(d, scratch),
        v(d.m, scratch),
        kkt(b, form, data, x, scratch) {}
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
};

/// How far a solve has come.
template <class B>
struct SolveState {
  /// What the next factorisation is for: the starting point, the iterations of the reduced problem, or those
  /// of the full one.
  enum class Stage { kBegin, kStart, kReduced, kFull, kEnd };
  Stage stage = Stage::kBegin;
  Progress<B> progress;
  LoopState<B> loop;
  typename B::Real error{typename B::Scalar(0)};  ///< of the end, from the data as given …
  typename B::Real gap{typename B::Scalar(0)};    ///< … and its mean gap
};

/// A solve, from one factorisation to the next. The data are factored (Form::prepare) before it begins:
///     while (const Real* w = solve.next()) form.factor(b, data, w);
template <class B, FormKind kKind>
class Solve {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Stage = typename SolveState<B>::Stage;

  OPTNET_FUNCTION Solve(const B& backend, Workplace<B, kKind>& work, const SolverSettings& settings,
                        SolveState<B>& state)
      : b(backend), work(work), settings(settings), state(state) {}

  /// The weights of the next factorisation, or null where there is none.
  OPTNET_FUNCTION const Real* next() {
    switch (state.stage) {
      case Stage::kBegin: return begin();
      case Stage::kStart:
        work.form.end_begin(b, work.data, work.x, work.v);
        return kKind == FormKind::kRangeSpace ? enter(Stage::kReduced) : enter(Stage::kFull);
      case Stage::kReduced:
        if constexpr (kKind == FormKind::kRangeSpace) {
          typename Form::Reduced system{work.form, b, work.data, work.x};
          return advance(method(system));
        }
        return nullptr;
      case Stage::kFull:
        if constexpr (kKind == FormKind::kFullKkt) {
          work.kkt.answer(work.v.t);
          auto last = method(work.kkt);
          last.step();
          return measure(last);
        } else {
          return advance(method(work.kkt));
        }
      default: return nullptr;
    }
  }

  // A form that is solved outside too (FormKind::kFullKkt) needs it twice between two calls of `next`:
  //     while (const Real* w = solve.next()) {
  //       <factor with w>  solve.predict();  <solve>  solve.correct();  <solve>
  //     }
  OPTNET_FUNCTION void predict() {
    if (state.stage == Stage::kStart) return work.form.ask_start(b, work.data);
    method(work.kkt).predictor();
    work.kkt.ask(work.v.t);
  }
  OPTNET_FUNCTION void correct() {
    if (state.stage == Stage::kStart) return work.form.answer_start(b, work.x);
    work.kkt.answer(work.v.t);
    method(work.kkt).corrector();
    work.kkt.ask(work.v.t);
  }

  /// Right after the end.
  OPTNET_FUNCTION Report<B> report(typename B::Mask definite) const {
    Report<B> report;
    report.definite = definite;
    report.gap = state.gap;
    report.solved = state.error <= Real(static_cast<Scalar>(settings.tolerance));
    report.iterations = state.progress.iterations;
    report.primal = work.kkt.primal;
    report.dual = work.kkt.dual;
    const Iterate<B>& x = work.x;
    report.objective = b.sum(
        work.d.n, [&](int j) { return x.z[j] * fma(Real(Scalar(0.5)), work.kkt.Qz[j], work.data.p[j]); });
    return report;
  }

 private:
  using Form = typename FormOf<B, kKind>::type;

  const B& b;
  Workplace<B, kKind>& work;
  const SolverSettings& settings;
  SolveState<B>& state;

  template <class System>
  OPTNET_FUNCTION InteriorPoint<B, System> method(System& system) {
    const bool refining = kKind == FormKind::kRangeSpace && state.stage == Stage::kFull;
    return {b,
            system,
            work.data,
            work.x,
            work.v,
            settings.tolerance,
            refining ? kRefinements : settings.max_iterations,
            state.progress,
            state.loop};
  }

  OPTNET_FUNCTION const Real* begin() {
    if (work.d.m == 0 && kKind == FormKind::kRangeSpace) {
      state.progress.error = Real(Scalar(0));
      state.progress.done = typename B::Mask(true);
      return end_reduced();
    }
    work.form.begin(b, work.data, work.x, work.v);
    state.stage = Stage::kStart;
    return work.v.w;
  }

  /// Starts the iterations of a stage.
  OPTNET_FUNCTION const Real* enter(Stage stage) {
    state.stage = stage;
    state.loop = LoopState<B>{};
    state.loop.frozen = state.progress.done;
    if constexpr (kKind == FormKind::kRangeSpace) {
      if (stage == Stage::kReduced) {
        typename Form::Reduced system{work.form, b, work.data, work.x};
        return measure(method(system));
      }
    }
    return measure(method(work.kkt));
  }

  template <class Method>
  OPTNET_FUNCTION const Real* advance(Method method) {
    method.advance();
    return measure(method);
  }

  template <class Method>
  OPTNET_FUNCTION const Real* measure(Method method) {
    if (method.measure()) return work.v.w;
    method.end();
    if (state.stage == Stage::kReduced) return end_reduced();
    look_back();
    state.stage = Stage::kEnd;
    return nullptr;
  }

  /// Round-off in the reduction may have kept the residuals of the data above the tolerance: then they are
  /// what to go on with.
  OPTNET_FUNCTION const Real* end_reduced() {
    if constexpr (kKind == FormKind::kRangeSpace) {
      work.form.recover(b, work.data, work.x);
      Progress<B>& progress = state.progress;
      look_back();
      progress.done = (state.error <= Real(static_cast<Scalar>(settings.tolerance))) |
                      !(progress.iterations < Real(static_cast<Scalar>(settings.max_iterations)));
      if (!all(progress.done)) {
        progress.error = Real(Scalar(1e30));
        return enter(Stage::kFull);
      }
    }
    state.stage = Stage::kEnd;
    return nullptr;
  }

  /// Measures the iterate from the data as given.
  OPTNET_FUNCTION void look_back() {
    state.gap = mean_gap(b, work.x, work.d.m);
    state.error = max(work.kkt.residual(work.v.r), scaled_gap(b, work.data, work.x, state.gap));
  }
};

/// √(λ/s) of the solution, bounded: what the derivative's factor is made of.
template <class B, FormKind kKind>
OPTNET_FUNCTION void end_weights(const B& b, Workplace<B, kKind>& work) {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  const Real most(static_cast<Scalar>(kLargestWeight<Scalar>)),
      least(static_cast<Scalar>(1 / kLargestWeight<Scalar>));
  const Iterate<B>& x = work.x;
  b.each(work.d.m, [&](int i) { work.v.w[i] = min(max(sqrt(x.lambda[i] / x.s[i]), least), most); });
}

/// Solves; the factors for `adjoint` stay behind if `differentiable`.
template <class B, FormKind kKind>
OPTNET_LARGE_FUNCTION Report<B> solve(const B& b, Workplace<B, kKind>& work, const SolverSettings& settings,
                                      bool differentiable) {
  const typename B::Mask definite = work.form.prepare(b, work.data, false);
  SolveState<B> state;
  Solve<B, kKind> solve(b, work, settings, state);
  while (const typename B::Real* w = solve.next()) work.form.factor(b, work.data, w);
  const Report<B> report = solve.report(definite);
  if (differentiable && work.d.m > 0) {
    end_weights(b, work);
    work.form.keep_factor(b, work.data, work.v.w);
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
OPTNET_LARGE_FUNCTION void adjoint(const B& b, const Workplace<B, kKind>& work, typename B::Real* z,
                                   typename B::Real* lambda, typename B::Real* nu,
                                   typename B::Real* dlambda) {
  b.each(work.d.n, [&](int j) { z[j] = -z[j]; });
  b.each(work.d.m, [&](int i) { lambda[i] = -lambda[i]; });
  b.each(work.d.q, [&](int k) { nu[k] = -nu[k]; });
  work.form.solve_kkt_end(b, work.data, z, lambda, nu, dlambda);
}

}  // namespace optnet
