// Kernels that solve a problem in one launch, all iterations included, and keep its factors for the adjoint:
// the algorithm's text (solver/solve.h) on a team of threads. Included by the sources that instantiate them,
// one for each precision.
//
// Where things lie: vectors, R and the panel in shared memory; factors in global memory, where the adjoint
// finds them; the matrices of the data where the caller has them.
#pragma once

#include "cuda/kernel.h"
//
#include <new>

#include "cuda/crossovers.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/mixed_backend.h"
#include "cuda/team_backend.h"
#include "solver/solve.h"

namespace optnet::cuda {

/// For data that stay where they are.
struct InPlace {
  template <class T>
  OPTNET_FUNCTION T* take(std::size_t) {
    return nullptr;
  }
};

/// Memory that one team works in: `fast` is shared memory, the rest global.
struct TeamMemory {
  std::byte *shared = nullptr, *kept = nullptr, *workspace = nullptr, *fast = nullptr;
};

/// Everything that a team works on, placed in the memory given (or, in none, counted). It lies at the start
/// of the team's shared memory itself (see make_for_team).
template <class B, FormKind kKind>
struct Places {
  using Backend = B;
  using T = typename B::Real;

  Arena shared, kept, vectors, reduced, setup;
  InPlace in_place;
  B b;
  Workplace<B, kKind> work;
  // Of the adjoint: its gradients are replaced by what is drawn from them. Where it may be refined, what the
  // iterates were kept in serves that.
  static constexpr bool kRefines = kRefinesAdjoint<B, kKind>;
  T *gz, *gnu;
  T* rounding = nullptr;  ///< of solves with the kept factors, one number

  OPTNET_FUNCTION Places(const Plan& plan, const TeamMemory& memory)
      : shared(memory.shared),
        kept(memory.kept),
        vectors(offset(memory.fast, plan.fast.vectors)),
        reduced(plan.reduced_in_global ? memory.workspace : offset(memory.fast, plan.fast.reduced)),
        setup(offset(memory.workspace, plan.setup)),
        b(at<T>(memory.fast, plan.fast.panel), plan.panel, head(memory.fast), head(memory.fast) + kBlock),
        work(b, plan.d, plan.sharing, in_place, in_place, shared, kept, vectors, reduced, setup) {
    Data<B>& data = work.data;
    data.p = B::vector(vectors, plan.d.n);
    data.h = B::vector(vectors, plan.d.m);
    data.b = B::vector(vectors, plan.d.q);
    data.G_norm = B::vector(vectors, plan.d.m);
    data.A_norm = B::vector(vectors, plan.d.q);
    gz = kRefines ? B::vector(vectors, plan.d.n) : work.x.z;
    gnu = kRefines ? B::vector(vectors, plan.d.q) : work.x.nu;
    if (kRefines) rounding = B::vector(kept, 1);
  }

  /// TeamBackend's block and partial results, which all threads write and read most.
  static constexpr std::size_t kHead = (kBlock + kWarp) * sizeof(T);

  /// By one thread: points at the matrices of one problem.
  OPTNET_FUNCTION void point_at_matrices(const DeviceDatum& Q, const DeviceDatum& G, const DeviceDatum& A,
                                         std::size_t problem) {
    Data<B>& data = work.data;
    data.Q = {value(Q, problem), work.d.n, work.d.n};
    data.G = {value(G, problem), work.d.m, work.d.n};
    data.A = {value(A, problem), work.d.q, work.d.n};
  }
  /// By all: measures their rows.
  OPTNET_FUNCTION void measure_matrices() const {
    measure_rows(work.data.G, work.data.G_norm);
    measure_rows(work.data.A, work.data.A_norm);
  }
  OPTNET_FUNCTION void load_vector(const DeviceDatum& from, std::size_t problem, int size, T* to) const {
    const T* source = size > 0 ? value(from, problem) : nullptr;
    b.each(size, [&](int i) { to[i] = source[i]; });
  }
  /// Row `problem` of an array [batch, size]; zeros where there is none.
  OPTNET_FUNCTION void load_row(const void* from, std::size_t problem, int size, T* to) const {
    const T* source = static_cast<const T*>(from) + problem * size;
    b.each(size, [&](int i) { to[i] = from ? source[i] : T(0); });
  }
  OPTNET_FUNCTION void store_row(const T* from, void* to, std::size_t problem, int size) const {
    T* target = static_cast<T*>(to) + problem * size;
    b.each(size, [&](int i) { target[i] = from[i]; });
  }
  OPTNET_FUNCTION static T* value(const DeviceDatum& datum, std::size_t problem) {
    return const_cast<T*>(static_cast<const T*>(datum.data)) + problem * datum.stride;
  }

 private:
  OPTNET_FUNCTION static T* head(std::byte* fast) { return at<T>(fast, aligned(sizeof(Places))); }
  OPTNET_FUNCTION static std::byte* offset(std::byte* base, std::size_t bytes) {
    return base ? base + bytes : nullptr;
  }
  template <class U>
  OPTNET_FUNCTION static U* at(std::byte* base, std::size_t bytes) {
    return reinterpret_cast<U*>(base + bytes);
  }

  /// ‖row‖∞, 1 for a row of zeros.
  OPTNET_FUNCTION void measure_rows(const typename B::Matrix& M, T* norms) const {
    b.row_reductions(
        M.rows, T(0),
        [&](int i, int part, int parts) {
          T norm = T(0);
          for (int j = part; j < M.columns; j += parts) norm = max(norm, abs(M.at(i, j)));
          return norm;
        },
        [](T x, T y) { return x > y ? x : y; }, [&](int i, T norm) { norms[i] = norm > T(0) ? norm : T(1); });
    b.each(0, [](int) {});  // for the barrier
  }
};

/// What a team works on, made by one of its threads at `memory`, in shared memory: a copy on each thread's
/// stack would be read as often, from further away. `point(object)` is for what that thread adds.
template <class Team, class Object, class Point>
OPTNET_DEVICE Object& make_for_team(std::byte* memory, const Plan& plan, const TeamMemory& of, Point point) {
  Object* const object = reinterpret_cast<Object*>(memory);
  if (Team::rank() == 0) {
    new (object) Object(plan, of);
    point(*object);
  }
  Team::sync();
  return *object;
}

/// 128 registers a thread: 512 threads a multiprocessor.
template <class Team>
constexpr int kMostThreads = Team::kFitsWarp ? kLaneBlockThreads : kMostBlockThreads;
template <class Team>
constexpr int kResidentBlocks = 512 / kMostThreads<Team>;

struct SolveKernelArgument {
  Plan plan;
  SolveArguments batch;
};
struct AdjointKernelArgument {
  Plan plan;
  AdjointArguments batch;
};

template <class Team>
OPTNET_FUNCTION std::size_t problem_of_team(const Plan& plan) {
#if defined(__CUDA_ARCH__) || defined(OPTNET_EMULATED)
  return static_cast<std::size_t>(blockIdx.x) * (plan.threads / plan.team) + Team::index();
#else
  return 0;
#endif
}

template <class Team, class Arguments>
OPTNET_DEVICE TeamMemory memory_of_team(const Plan& plan, const Arguments& batch, std::size_t problem,
                                        std::size_t fast) {
  return {batch.shared, batch.kept + problem * plan.footprint.kept,
          batch.workspace + problem * plan.footprint.workspace, shared_memory() + Team::index() * fast};
}

/// What follows from the data that the batch shares, by one team: of the same size as those that solve, for
/// the same bits as without sharing.
template <class Team, class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kMostThreads<Team>, kResidentBlocks<Team>)
    prepare_shared_kernel(const OPTNET_GRID_CONSTANT SolveKernelArgument argument) {
  const auto& [plan, batch] = argument;
  const TeamMemory memory = memory_of_team<Team>(plan, batch, 0, plan.fast.end);
  auto& at = make_for_team<Team, Places<B, kKind>>(
      memory.fast, plan, memory, [&](auto& made) { made.point_at_matrices(batch.Q, batch.G, batch.A, 0); });
  at.measure_matrices();
  const bool definite = at.work.form.prepare(at.b, at.work.data, true);
  if (!definite && Team::rank() == 0) atomicMin(batch.indefinite, 0ULL);
}

/// Writes the solution of problem i and what is reported of it.
template <class Team, class Places, class B>
OPTNET_DEVICE void store_results(const Places& at, const Report<B>& report, const SolveArguments& batch,
                                 std::size_t i) {
  const Dimensions& d = at.work.d;
  const Iterate<B>& x = at.work.x;
  at.store_row(x.z, batch.z, i, d.n);
  at.store_row(x.lambda, batch.lambda, i, d.m);
  at.store_row(x.nu, batch.nu, i, d.q);
  at.store_row(x.s, batch.slack, i, d.m);
  if (Team::rank() != 0) return;
  const int iterations = static_cast<int>(report.iterations);
  batch.objective[i] = report.objective;
  batch.primal_residual[i] = report.primal;
  batch.dual_residual[i] = report.dual;
  batch.gap[i] = report.gap;
  batch.margin[i] = d.m > 0 ? static_cast<double>(report.margin) : static_cast<double>(INFINITY);
  batch.derivative[i] =
      static_cast<std::uint8_t>(report.exact ? Derivative::kActiveSet : Derivative::kCentralPath);
  batch.iterations[i] = iterations;
  batch.status[i] =
      static_cast<std::uint8_t>(report.solved                                 ? Status::kSolved
                                : iterations >= batch.settings.max_iterations ? Status::kMaxIterations
                                                                              : Status::kNumericalError);
  if (Places::kRefines) at.rounding[0] = report.rounding;
  if (!report.definite) atomicMin(batch.indefinite, batch.first + i);
}

/// The adjoint of problem i, from the factors that `solve` left behind, between the arrays of the call.
template <class Places>
OPTNET_DEVICE void draw_adjoint(Places& at, const AdjointArguments& batch, std::size_t i) {
  auto& work = at.work;
  auto *const glambda = work.v.ds, *const dlambda = work.v.dlambda;
  at.load_row(batch.gz, i, work.d.n, at.gz);
  at.load_row(batch.glambda, i, work.d.m, glambda);
  at.load_row(batch.gnu, i, work.d.q, at.gnu);
  if constexpr (Places::kRefines) {
    const bool coarse = work.data.Q.data && is_coarse<typename Places::Backend>(at.rounding[0], work.d.n);
    refined_adjoint(at.b, work, at.gz, glambda, at.gnu, dlambda, coarse);
  } else {
    adjoint(at.b, work, at.gz, glambda, at.gnu, dlambda);
  }
  at.store_row(at.gz, batch.dz, i, work.d.n);
  at.store_row(dlambda, batch.dlambda, i, work.d.m);
  at.store_row(at.gnu, batch.dnu, i, work.d.q);
}

template <class Team, class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kMostThreads<Team>, kResidentBlocks<Team>)
    solve_kernel(const OPTNET_GRID_CONSTANT SolveKernelArgument argument) {
  const auto& [plan, batch] = argument;
  const std::size_t i = problem_of_team<Team>(plan);
  if (i >= static_cast<std::size_t>(batch.batch)) return;
  const TeamMemory memory = memory_of_team<Team>(plan, batch, i, plan.fast.end);
  auto& at = make_for_team<Team, Places<B, kKind>>(
      memory.fast, plan, memory, [&](auto& made) { made.point_at_matrices(batch.Q, batch.G, batch.A, i); });
  const Dimensions& d = plan.d;
  at.measure_matrices();
  at.load_vector(batch.p, i, d.n, at.work.data.p);
  at.load_vector(batch.h, i, d.m, at.work.data.h);
  at.load_vector(batch.b, i, d.q, at.work.data.b);

  const Report<B> report = solve(at.b, at.work, batch.settings, batch.differentiable);

  store_results<Team>(at, report, batch, i);
}

template <class Team, class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kMostThreads<Team>, kResidentBlocks<Team>)
    adjoint_kernel(const OPTNET_GRID_CONSTANT AdjointKernelArgument argument) {
  const auto& [plan, batch] = argument;
  const std::size_t i = problem_of_team<Team>(plan);
  if (i >= static_cast<std::size_t>(batch.batch)) return;
  const TeamMemory memory = memory_of_team<Team>(plan, batch, i, plan.fast.reduced);
  auto& at = make_for_team<Team, Places<B, kKind>>(
      memory.fast, plan, memory, [&](auto& made) { made.point_at_matrices(batch.Q, batch.G, batch.A, i); });
  if (plan.condensed) at.measure_matrices();
  draw_adjoint(at, batch, i);
}

/// Has the driver let this kernel use so many bytes of shared memory, which it does by itself up to 48 KB.
inline cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
  if (bytes <= (std::size_t{48} << 10)) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

/// Kernels of one precision, whose backend for a team is Backend<Team>.
template <template <class> class Backend>
class FusedKernels final : public Kernels {
 public:
  cudaError_t prepare_shared(const Plan& plan, const SolveArguments& arguments,
                             cudaStream_t stream) const override {
    return with_team(plan, [&](auto team, auto form) {
      using Team = decltype(team);
      return run(prepare_shared_kernel<Team, Backend<Team>, decltype(form)::value>, dim3(1), dim3(plan.team),
                 plan.fast.end, SolveKernelArgument{plan, arguments}, stream);
    });
  }
  cudaError_t solve(const Plan& plan, const SolveArguments& arguments, cudaStream_t stream) const override {
    return with_team(plan, [&](auto team, auto form) {
      using Team = decltype(team);
      return run(solve_kernel<Team, Backend<Team>, decltype(form)::value>, grid(plan, arguments.batch),
                 block(plan), teams(plan) * plan.fast.end, SolveKernelArgument{plan, arguments}, stream);
    });
  }
  cudaError_t adjoint(const Plan& plan, const AdjointArguments& arguments,
                      cudaStream_t stream) const override {
    return with_team(plan, [&](auto team, auto form) {
      using Team = decltype(team);
      return run(adjoint_kernel<Team, Backend<Team>, decltype(form)::value>, grid(plan, arguments.batch),
                 block(plan), teams(plan) * plan.fast.reduced, AdjointKernelArgument{plan, arguments},
                 stream);
    });
  }

  /// Completes a plan whose tier, form, sizes and team are chosen.
  static void lay_out(Plan& plan) {
    if (plan.condensed) {
      lay_out<FormKind::kCondensed>(plan);
    } else {
      lay_out<FormKind::kRangeSpace>(plan);
    }
  }

 private:
  template <FormKind kKind>
  struct Form {
    static constexpr FormKind value = kKind;
  };

  template <class F>
  static cudaError_t with_form(const Plan& plan, F f) {
    return plan.condensed ? f(Form<FormKind::kCondensed>{}) : f(Form<FormKind::kRangeSpace>{});
  }
  template <class F>
  static cudaError_t with_team(const Plan& plan, F f) {
    return with_form(plan, [&](auto form) {
      return plan.tier == Tier::kBlock ? f(BlockTeam{}, form) : f(LaneTeam{}, form);
    });
  }

  static int teams(const Plan& plan) { return plan.threads / plan.team; }
  static dim3 grid(const Plan& plan, int batch) { return dim3((batch + teams(plan) - 1) / teams(plan)); }
  static dim3 block(const Plan& plan) { return dim3(plan.team, teams(plan)); }

  template <class Argument>
  static cudaError_t run(void (*kernel)(Argument), dim3 grid, dim3 block, std::size_t bytes,
                         const Argument& argument, cudaStream_t stream) {
    const cudaError_t allowed = allow_shared_memory(reinterpret_cast<const void*>(kernel), bytes);
    return allowed == cudaSuccess ? launch(kernel, grid, block, bytes, stream, argument) : allowed;
  }

  template <FormKind kKind>
  static void lay_out(Plan& plan) {
    using P = Places<Backend<BlockTeam>, kKind>;
    const P count(plan, {});
    const auto [n, m, q] = plan.d;
    const int width = kKind == FormKind::kCondensed || n > m ? n : m;  // of the largest factor
    const int gram = kKind == FormKind::kCondensed ? n : m;
    int panel = gram_panel(gram > q ? gram : q);
    for (const int least : {factor_panel(width > q ? width : q), rows_panel(n), rows_panel(q)}) {
      if (least > panel) panel = least;
    }
    plan.panel = panel;
    plan.fast.vectors = aligned(sizeof(P)) + aligned(P::kHead);
    plan.fast.reduced = plan.fast.vectors + aligned(count.vectors.used());
    plan.fast.panel = plan.fast.reduced + (plan.reduced_in_global ? 0 : aligned(count.reduced.used()));
    plan.fast.end = plan.fast.panel + aligned(static_cast<std::size_t>(panel) * plan.scalar());
    plan.shared_memory = plan.threads / plan.team * plan.fast.end;
    plan.setup = plan.reduced_in_global ? count.reduced.used() : 0;
    plan.footprint.shared = count.shared.used();
    plan.footprint.kept = count.kept.used();
    plan.footprint.workspace = plan.setup + count.setup.used();
  }
};

}  // namespace optnet::cuda
