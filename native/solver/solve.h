// One pack of problems from data to solution, and from upstream gradients to the adjoint: what a backend's
// unit of work does, whatever the backend.
#pragma once

#include "solver/condensed.h"
#include "solver/polish.h"
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
  typename B::Mask definite{true};   ///< Q is positive definite
  typename B::Mask solved{false};    ///< the scaled residuals are within tolerance
  typename B::Mask exact{false};     ///< the derivative is the active set's
  typename B::Mask polished{false};  ///< the solution is, at least
  Real iterations, objective, primal, dual, gap;
  Real rounding;  ///< of a solve with the derivative's factor, relative; 0 where it is not known
  Real margin;    ///< min over the rows of max(λᵢ, sᵢ); 1e30 without rows
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
  /// What the next factorisation is for: the starting point, the iterations of the reduced problem, those of
  /// the full one, the solution on its active set, or the derivative.
  enum class Stage { kBegin, kStart, kReduced, kFull, kPolish, kDerivative, kEnd };
  Stage stage = Stage::kBegin;

  /// The next factorisation is of the derivative's matrix.
  OPTNET_FUNCTION bool at_end() const { return stage == Stage::kPolish || stage == Stage::kDerivative; }

  bool early = false;     ///< the iterations stop short of the tolerance, for a first polish
  bool kept = false;      ///< the factor of the last polish is still there …
  bool measured = false;  ///< … and what it measured is of every problem's end
  Progress<B> progress;
  LoopState<B> loop;
  PolishState<B> polish;
  typename B::Real error{typename B::Scalar(0)};  ///< of the end, from the data as given …
  typename B::Real gap{typename B::Scalar(0)};    ///< … and its mean gap
};

/// √(λ/s) of the iterate, bounded: the derivative's weights on the central path.
template <class B, FormKind kKind>
OPTNET_FUNCTION void end_weights(const B& b, Workplace<B, kKind>& work) {
  const Iterate<B>& x = work.x;
  auto* const unit = work.v.t;
  work.form.row_units(b, work.data, unit);
  b.each(work.d.m, [&](int i) { work.v.w[i] = path_weight<B>(x.lambda[i], x.s[i], unit[i]); });
}

/// A solve, from one factorisation to the next. The data are factored (Form::prepare) before it begins:
///     while (const Real* w = solve.next()) {
///       solve.at_end() ? form.keep_factor(b, data, w) : form.factor(b, data, w);
///     }
/// The factors for `adjoint` stay behind if `differentiable`.
template <class B, FormKind kKind>
class Solve {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Stage = typename SolveState<B>::Stage;

  OPTNET_FUNCTION Solve(const B& backend, Workplace<B, kKind>& work, const SolverSettings& settings,
                        bool differentiable, SolveState<B>& state)
      : b(backend), work(work), settings(settings), differentiable(differentiable), state(state) {}

  /// The next factorisation is of the derivative's matrix.
  OPTNET_FUNCTION bool at_end() const { return state.at_end(); }

  /// The weights of the next factorisation, or null where there is none.
  OPTNET_FUNCTION const Real* next() {
    Turn turn = resume();
    while (turn != Turn::kFactor && turn != Turn::kEnd) {
      turn = turn == Turn::kMeasure ? measure() : turn == Turn::kStopped ? stopped() : settle();
    }
    return turn == Turn::kFactor ? work.v.w : nullptr;
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
    report.primal = work.kkt.primal(work.v.r);
    report.dual = work.kkt.dual();
    const Iterate<B>& x = work.x;
    report.exact = work.d.m > 0 ? state.polish.exact : typename B::Mask(true);
    report.polished = work.d.m > 0 ? state.polish.accepted : typename B::Mask(true);
    report.rounding = select(state.polish.accepted, state.polish.rounding, Real(Scalar(0)));
    report.margin = b.min(work.d.m, [&](int i) { return max(x.lambda[i], x.s[i]); });
    report.objective = b.sum(
        work.d.n, [&](int j) { return x.z[j] * fma(Real(Scalar(0.5)), work.kkt.Qz[j], work.data.p[j]); });
    return report;
  }

 private:
  using Form = typename FormOf<B, kKind>::type;
  using Mask = typename B::Mask;
  /// Where a solution is polished: float32 has no digits for it, and FullKkt is a reference.
  static constexpr int kNoLimit = 1 << 30;
  static constexpr bool kPolishes = kKind != FormKind::kFullKkt && sizeof(Scalar) == 8;

  const B& b;
  Workplace<B, kKind>& work;
  const SolverSettings& settings;
  const bool differentiable;
  SolveState<B>& state;

  OPTNET_FUNCTION Real tolerance() const { return Real(static_cast<Scalar>(settings.tolerance)); }
  OPTNET_FUNCTION Mask out_of_iterations() const {
    return !(state.progress.iterations < Real(static_cast<Scalar>(settings.max_iterations)));
  }
  OPTNET_FUNCTION static bool any(Mask mask) { return !all(!mask); }

  // One step after the other, in a loop and none within another: where functions call each other in a circle,
  // the compiler for GPUs makes room on the stack for the kernel's own frame alone.

  /// What `next` goes on with: the iterate is to be measured; the iterations have stopped; the end is to be
  /// settled. Or what it returns: the weights, in work.v.w, or nothing.
  enum class Turn { kMeasure, kStopped, kSettle, kFactor, kEnd };

  /// With the factorisation made that was asked for last.
  OPTNET_FUNCTION Turn resume() {
    switch (state.stage) {
      case Stage::kBegin: return begin();
      case Stage::kStart:
        work.form.end_begin(b, work.data, work.x, work.v, state.progress.units);
        return kKind == FormKind::kRangeSpace ? enter(Stage::kReduced) : enter(Stage::kFull);
      case Stage::kReduced:
      case Stage::kFull: return advance();
      case Stage::kPolish:
        if constexpr (kPolishes) return end_attempt();
        return Turn::kEnd;
      case Stage::kDerivative: state.stage = Stage::kEnd; return Turn::kEnd;
      default: return Turn::kEnd;
    }
  }

  template <class System>
  OPTNET_FUNCTION InteriorPoint<B, System> method(System& system) {
    const bool refining = kKind == FormKind::kRangeSpace && state.stage == Stage::kFull;
    return {b,
            system,
            work.data,
            work.x,
            work.v,
            state.early ? kEarlyTolerance : settings.tolerance,
            refining ? kRefinements : settings.max_iterations,
            refining ? kNoLimit : settings.max_iterations,
            state.progress,
            state.loop};
  }

  /// f of the method of this stage.
  template <class F>
  OPTNET_FUNCTION void with_method(F f) {
    if constexpr (kKind == FormKind::kRangeSpace) {
      if (state.stage == Stage::kReduced) {
        typename Form::Reduced system{work.form, b, work.data, work.x};
        return f(method(system));
      }
    }
    f(method(work.kkt));
  }

  OPTNET_FUNCTION Turn begin() {
    work.kkt.begin();
    if (work.d.m == 0 && kKind == FormKind::kRangeSpace) {
      state.progress.error = Real(Scalar(0));
      state.progress.done = Mask(true);
      return Turn::kSettle;
    }
    state.early = kPolishes && settings.polish && settings.tolerance < kEarlyTolerance;
    work.form.begin(b, work.data, work.x, work.v, state.progress.units);
    state.stage = Stage::kStart;
    return Turn::kFactor;
  }

  /// Starts the iterations of a stage.
  OPTNET_FUNCTION Turn enter(Stage stage) {
    state.stage = stage;
    state.loop = LoopState<B>{};
    state.loop.frozen = state.progress.done;
    return Turn::kMeasure;
  }

  OPTNET_FUNCTION Turn advance() {
    if constexpr (kKind == FormKind::kFullKkt) {
      work.kkt.answer(work.v.t);
      method(work.kkt).step();
    } else {
      state.kept = false;
      with_method([](auto method) { method.advance(); });
    }
    return Turn::kMeasure;
  }

  OPTNET_FUNCTION Turn measure() {
    Turn turn = Turn::kFactor;
    with_method([&](auto method) {
      if (method.measure()) return;
      method.end();
      turn = Turn::kStopped;
    });
    return turn;
  }

  OPTNET_LARGE_FUNCTION Turn stopped() {
    if constexpr (kPolishes) {
      const bool refined = kKind == FormKind::kRangeSpace && state.stage == Stage::kFull;
      if (settings.polish && !refined) {
        // What ran out of iterations after that says so, however near it is.
        const Mask near = state.progress.error <= Real(static_cast<Scalar>(kEarlyTolerance));
        const Mask in_time = Mask(state.early) | !out_of_iterations();
        const Mask worth =
            ((near & in_time) | (state.progress.error <= tolerance())) & !state.polish.accepted;
        if (!any(worth)) return end_polish();
        state.stage = Stage::kPolish;
        polish().begin(worth);
        return Turn::kFactor;
      }
    }
    return Turn::kSettle;
  }

  // ---- on the active set ----

  OPTNET_FUNCTION Polish<B, Form> polish() {
    return {b, work.data, work.form, work.kkt, work.x, work.v, state.progress.units, state.polish};
  }

  OPTNET_FUNCTION Turn end_attempt() {
    state.kept = true;
    const bool again = polish().next(tolerance(), state.early, state.error, state.measured);
    return again ? Turn::kFactor : end_polish();
  }

  /// What was not solved early goes on with the iterations.
  OPTNET_FUNCTION Turn end_polish() {
    if (state.early && !all(state.polish.accepted)) {
      state.early = false;
      Progress<B>& progress = state.progress;
      progress.done = state.polish.accepted | out_of_iterations() |
                      !(progress.error <= Real(static_cast<Scalar>(kEarlyTolerance)));
      return enter(kKind == FormKind::kRangeSpace ? Stage::kReduced : Stage::kFull);
    }
    return Turn::kSettle;
  }

  // ---- the end ----

  /// z and ν of the reduced problem, and what is measured from the data as given. Round-off in the reduction
  /// may have kept the residuals of the data above the tolerance: then they are what to go on with.
  OPTNET_LARGE_FUNCTION Turn settle() {
    if constexpr (kKind == FormKind::kRangeSpace) {
      if (state.stage != Stage::kFull && !state.measured) {
        const Mask polished = state.polish.accepted;
        work.kkt.keep(polished);
        work.form.recover(b, work.data, work.x);
        work.kkt.restore(polished);
        look_back();
        Progress<B>& progress = state.progress;
        const Mask stopped = out_of_iterations();
        progress.done = polished | (state.error <= tolerance()) | stopped;
        if (!all(progress.done)) {
          progress.error = Real(Scalar(1e30));
          return enter(Stage::kFull);
        }
        return derivative();
      }
    }
    if (!state.measured) look_back();
    return derivative();
  }

  /// The factor for `adjoint`.
  OPTNET_FUNCTION Turn derivative() {
    state.stage = Stage::kEnd;
    if (kKind == FormKind::kFullKkt || !differentiable || work.d.m == 0) return Turn::kEnd;
    if (state.kept && all(state.polish.exact)) return Turn::kEnd;
    state.stage = Stage::kDerivative;
    if constexpr (kPolishes) {
      if (settings.polish) {
        polish().derivative_weights();
        return Turn::kFactor;
      }
    }
    end_weights(b, work);
    return Turn::kFactor;
  }

  /// Measures the iterate from the data as given.
  OPTNET_FUNCTION void look_back() {
    state.gap = mean_gap(b, work.data, work.x);
    const Units<B>& units = state.progress.units;
    state.error = max(work.kkt.residual(work.v.r, units), scaled_gap(b, work.data, work.x, units, state.gap));
  }
};

/// Solves; the factors for `adjoint` stay behind if `differentiable`.
template <class B, FormKind kKind>
OPTNET_LARGE_FUNCTION Report<B> solve(const B& b, Workplace<B, kKind>& work, const SolverSettings& settings,
                                      bool differentiable) {
  const typename B::Mask definite = work.form.prepare(b, work.data, false);
  SolveState<B> state;
  Solve<B, kKind> solve(b, work, settings, differentiable, state);
  while (const typename B::Real* w = solve.next()) {
    if (solve.at_end()) {
      work.form.keep_factor(b, work.data, w);
    } else {
      work.form.factor(b, work.data, w);
    }
  }
  return solve.report(definite);
}

/// The adjoint of the solution map, from the factors that `solve` left behind: with g the gradients of the
/// loss,
///     | Q   Gᵀ         Aᵀ | |dz|     |gz|
///     | G  −diag(s/λ)  0  | |dλ| = − |gλ|
///     | A   0          0  | |dν|     |gν|     (the paper's equation 8, in the scaling of its code)
/// where s/λ is 0 for rows that are active in a polished solution, and ∞ for the others.
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

/// Whether the adjoint of a form may need `refined_adjoint`: the condensed form's solves are refined anyway,
/// and float32 has nothing to gain from the one more.
template <class B, FormKind kKind>
constexpr bool kRefinesAdjoint = kKind == FormKind::kRangeSpace && sizeof(typename B::Scalar) == 8;

/// … and for which problems of n variables it does, by what Report::rounding says of the factors.
template <class B>
OPTNET_FUNCTION typename B::Mask is_coarse(typename B::Real rounding, int n) {
  // Long sums lose more than what the refinement of the solution has shown.
  const double longer = n > 100 ? 100.0 / n : 1.0;
  return rounding > typename B::Real(static_cast<typename B::Scalar>(kRefineAdjointAbove * longer));
}

/// The same, for problems in `which` refined once against the data, which must still be there: range space
/// loses digits where Q or the rows of A are badly conditioned. What the iterates were kept in is free for
/// it.
template <class B, FormKind kKind>
OPTNET_LARGE_FUNCTION void refined_adjoint(const B& b, Workplace<B, kKind>& work, typename B::Real* z,
                                           typename B::Real* lambda, typename B::Real* nu,
                                           typename B::Real* dlambda, typename B::Mask which) {
  if (all(!which)) return adjoint(b, work, z, lambda, nu, dlambda);
  const Dimensions& d = work.d;
  const Iterate<B>& right = work.x;
  b.each(d.n, [&](int j) { right.z[j] = -z[j]; });
  b.each(d.q, [&](int k) { right.nu[k] = -nu[k]; });
  adjoint(b, work, z, lambda, nu, dlambda);
  auto* const correction = work.v.t;
  const auto rest =
      work.kkt.adjoint_rest(z, dlambda, nu, right.z, lambda, right.nu, work.form.end_weights(), work.v.r);
  work.form.solve_kkt_end(b, work.data, rest.z, rest.lambda, rest.nu, correction);
  b.each(d.n, [&](int j) { z[j] = select(which, z[j] + rest.z[j], z[j]); });
  b.each(d.m, [&](int i) { dlambda[i] = select(which, dlambda[i] + correction[i], dlambda[i]); });
  b.each(d.q, [&](int k) { nu[k] = select(which, nu[k] + rest.nu[k], nu[k]); });
}

/// How far an adjoint is from solving its system, from the data: the largest of what it leaves, over the
/// largest of g. In: the gradients gz, gλ, gν; the adjoint dz, dλ, dν; none of them where the iterates were
/// kept.
template <class B, FormKind kKind>
OPTNET_LARGE_FUNCTION typename B::Real adjoint_residual(
    const B& b, Workplace<B, kKind>& work, const typename B::Real* gz, const typename B::Real* glambda,
    const typename B::Real* gnu, const typename B::Real* dz, const typename B::Real* dlambda,
    const typename B::Real* dnu) {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  const Dimensions& d = work.d;
  const Iterate<B>& right = work.x;
  const Real zero(Scalar(0)), one(Scalar(1));
  const Real* weight = work.form.end_weights();
  b.each(d.n, [&](int j) { right.z[j] = -gz[j]; });
  b.each(d.m, [&](int i) { right.lambda[i] = -glambda[i]; });
  b.each(d.q, [&](int k) { right.nu[k] = -gnu[k]; });
  const auto rest =
      work.kkt.adjoint_rest(dz, dlambda, dnu, right.z, right.lambda, right.nu, weight, work.v.r);
  const auto largest = [&](int size, auto value) {
    return size > 0 ? b.max(size, [&](int i) { return abs(value(i)); }) : zero;
  };
  // A row with W⁻² > 1 counts in the unit of λ.
  const Real left = max(
      max(largest(d.n, [&](int j) { return rest.z[j]; }), largest(d.q, [&](int k) { return rest.nu[k]; })),
      largest(d.m, [&](int i) { return rest.lambda[i] * min(weight[i] * weight[i], one); }));
  const Real size =
      max(max(largest(d.n, [&](int j) { return gz[j]; }), largest(d.q, [&](int k) { return gnu[k]; })),
          largest(d.m, [&](int i) { return glambda[i]; }));
  return select(size > zero, left / size, left);
}

}  // namespace optnet
