// The kernels between the libraries' calls: the algorithm's text (solver/solve.h) from one factorisation to
// the next, a thread block a problem, with everything in global memory. Included by the sources that
// instantiate them, one for each precision.
#pragma once

#include "cuda/kernel.h"
//
#include "cuda/crossovers.h"
#include "cuda/fused.h"
#include "cuda/library_backend.h"
#include "cuda/library_instances.h"
#include "solver/full_kkt.h"

namespace optnet::cuda {

/// Everything that a block works on; it lies in shared memory itself. Its memory, from the workspace's start:
/// the state, then what the fused kernels have in shared memory, then what only the setup needs.
template <class B, FormKind kKind>
struct Site : Places<B, kKind> {
  using T = typename B::Real;
  using Triangle = typename B::Triangle;
  using Base = Places<B, kKind>;

  SolveState<B>* state;
  Triangle raw_L;  ///< where Q is shared: as the libraries need it for later right-hand sides

  OPTNET_FUNCTION Site(const Plan& plan, const TeamMemory& memory)
      : Base(plan, {memory.shared, memory.kept, memory.workspace,
                    memory.workspace ? memory.workspace + kStateBytes : nullptr}),
        state(reinterpret_cast<SolveState<B>*>(memory.workspace)),
        raw_L(take_raw(plan)) {
#if defined(__CUDA_ARCH__) || defined(OPTNET_EMULATED)
    if (memory.workspace) {
      T* const head = reinterpret_cast<T*>(shared_memory() + aligned(sizeof(Site)));
      this->b = B(this->b.panel(), plan.panel, head, head + kBlock);
    }
#endif
  }

  /// Points at the data of one problem, all of them.
  OPTNET_FUNCTION void point_at(const SolveArguments& batch, std::size_t i) {
    this->point_at_matrices(batch.Q, batch.G, batch.A, i);
    Data<B>& data = this->work.data;
    data.p = Base::value(batch.p, i);
    data.h = Base::value(batch.h, i);
    data.b = Base::value(batch.b, i);
  }

  static constexpr std::size_t kStateBytes = aligned(sizeof(SolveState<B>));

 private:
  OPTNET_FUNCTION Triangle take_raw(const Plan& plan) {
    if constexpr (kKind == FormKind::kRangeSpace) {
      if (plan.sharing.Q) return B::triangle(this->shared, plan.d.n, true);
      return this->work.form.matrices().saddle.L;
    }
    return {};
  }
};

/// The site of one problem, by one of the block's threads for all; `point(site)` is for what that thread
/// adds.
template <class B, FormKind kKind, class Arguments, class Point>
OPTNET_DEVICE Site<B, kKind>& site_of(const Plan& plan, const Arguments& batch, std::size_t problem,
                                      Point point) {
  const TeamMemory memory{batch.shared, batch.kept + problem * plan.footprint.kept,
                          batch.workspace + problem * plan.problem, nullptr};
  return make_for_team<BlockTeam, Site<B, kKind>>(shared_memory(), plan, memory, point);
}
/// The same, pointing at the problem's data.
template <class B, FormKind kKind>
OPTNET_DEVICE Site<B, kKind>& site_of(const Plan& plan, const SolveArguments& batch, std::size_t problem) {
  return site_of<B, kKind>(plan, batch, problem, [&](auto& at) { at.point_at(batch, problem); });
}

/// The matrix behind a slot.
template <class B, FormKind kKind>
OPTNET_DEVICE void* slot_of(const Site<B, kKind>& at, Slot slot) {
  const auto& form = at.work.form;
  if constexpr (kKind == FormKind::kFullKkt) {
    return slot == Slot::kKkt ? form.matrix.data : slot == Slot::kRight ? form.right : nullptr;
  } else {
    const auto matrices = form.matrices();
    switch (slot) {
      case Slot::kL: return matrices.saddle.L.data;
      case Slot::kYa: return matrices.saddle.Ya.data;
      case Slot::kLe: return matrices.saddle.Le.data;
      default: break;
    }
    if constexpr (kKind == FormKind::kCondensed) {
      return slot == Slot::kScaled ? matrices.gram_work.scaled.data
             : slot == Slot::kRawL ? matrices.saddle.L.data
                                   : nullptr;
    } else {
      switch (slot) {
        case Slot::kRawL: return at.raw_L.data;
        case Slot::kY: return matrices.Y.data;
        case Slot::kV: return matrices.V.data;
        case Slot::kR: return matrices.R.data;
        case Slot::kT: return matrices.T.data;
        default: return nullptr;
      }
    }
  }
}

/// Element i of all slots.
template <class Pointer>
OPTNET_DEVICE void point_slots(const GroupMemory& group, int batch, int i, Pointer pointer) {
  for (int s = BlockTeam::rank(); s < static_cast<int>(Slot::kCount); s += BlockTeam::size()) {
    const auto slot = static_cast<Slot>(s);
    group.slot(slot)[i] = i < batch ? pointer(slot) : group.spare + (i - batch) * group.spare_bytes;
  }
}

/// A block for each element of the arrays.
template <class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kLibraryThreads, 2)
    begin_kernel(const OPTNET_GRID_CONSTANT LibraryArgument argument) {
  const auto& [plan, batch, group, step, shared_pass, all] = argument;
  const int i = static_cast<int>(blockIdx.x);
  if (i >= batch.batch) return point_slots(group, batch.batch, i, [](Slot) { return nullptr; });
  auto& at = site_of<B, kKind>(plan, batch, i);
  at.measure_matrices();
  if (BlockTeam::rank() == 0) *at.state = SolveState<B>{};
  point_slots(group, batch.batch, i, [&](Slot slot) { return slot_of(at, slot); });
}

/// The solver's text, up to the next factorisation.
template <class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kLibraryThreads, 2)
    advance_kernel(const OPTNET_GRID_CONSTANT LibraryArgument argument) {
  using Stage = typename SolveState<B>::Stage;
  const auto& [plan, batch, group, step, shared_pass, all] = argument;
  const std::size_t i = blockIdx.x;
  auto& at = site_of<B, kKind>(plan, batch, i);
  SolveState<B> state = *at.state;
  BlockTeam::sync();
  if (state.stage == Stage::kEnd) return;
  const Data<B>& data = at.work.data;
  Solve<B, kKind> solve(at.b, at.work, batch.settings, batch.differentiable, state);
  const auto* weights = solve.next();
  if constexpr (kKind == FormKind::kRangeSpace) {
    // The libraries go on with all problems of a group: what they do to a finished one must not be seen.
    const auto matrices = at.work.form.matrices();
    if (BlockTeam::rank() == 0) {
      group.slot(Slot::kT)[i] = weights && solve.at_end() ? matrices.T_end.data : matrices.T.data;
    }
  }
  if (weights) {
    if (solve.at_end()) {
      at.work.form.weigh_end(at.b, data, weights);
    } else {
      at.work.form.weigh(at.b, data, weights);
    }
    if (BlockTeam::rank() == 0) atomicAdd(group.unfinished + i / plan.group, 1);
  } else {
    store_results<BlockTeam>(at, solve.report(true), batch, i);
    if (kKind == FormKind::kFullKkt && batch.differentiable && plan.d.m > 0) {
      end_weights(at.b, at.work);
      at.work.form.weigh_end(at.b, data, at.work.v.w);
    }
  }
  if (BlockTeam::rank() == 0) *at.state = state;
}

/// Between two solves with the KKT matrix.
template <class B>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kLibraryThreads, 2)
    solve_again_kernel(const OPTNET_GRID_CONSTANT LibraryArgument argument) {
  using Stage = typename SolveState<B>::Stage;
  const auto& [plan, batch, group, step, shared_pass, all] = argument;
  const std::size_t i = blockIdx.x;
  auto& at = site_of<B, FormKind::kFullKkt>(plan, batch, i);
  SolveState<B> state = *at.state;
  if (state.stage == Stage::kEnd) return;
  Solve<B, FormKind::kFullKkt> solve(at.b, at.work, batch.settings, batch.differentiable, state);
  if (step == Step::kPredict) {
    solve.predict();
  } else {
    solve.correct();
  }
}

/// A block for some rows of a matrix, filled from the data and from the vectors.
template <class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kLibraryThreads, 2)
    fill_kernel(const OPTNET_GRID_CONSTANT LibraryArgument argument) {
  using T = typename B::Real;
  using Matrix = typename B::Matrix;
  using Stage = typename SolveState<B>::Stage;
  const auto& [plan, batch, group, step, shared_pass, all] = argument;
  const int slices = static_cast<int>(gridDim.x) / batch.batch;
  const std::size_t i = blockIdx.x / static_cast<unsigned>(slices);
  auto& at = site_of<B, kKind>(plan, batch, i);
  const bool finished = !all && at.state->stage == Stage::kEnd;
  if (finished && kKind != FormKind::kFullKkt) return;
  const Data<B>& data = at.work.data;

  const int slice = static_cast<int>(blockIdx.x) % slices, warps = BlockTeam::size() / kWarp;
  const auto fill = [&](const Matrix& to, auto element) {
    for (int r = slice * warps + BlockTeam::rank() / kWarp; r < to.rows; r += slices * warps) {
      for (int c = BlockTeam::rank() % kWarp; c < to.columns; c += kWarp) to.at(r, c) = element(r, c);
    }
  };
  const auto square = [](const typename B::Triangle& t) { return Matrix{t.data, t.size, t.size}; };
  const auto copy = [&](const Matrix& from, const Matrix& to) {
    fill(to, [&](int r, int c) { return from.at(r, c); });
  };
  if constexpr (kKind == FormKind::kFullKkt) {  // of finished problems: what has a factor
    fill(at.work.form.matrix,
         [&](int r, int c) { return finished ? (r == c ? T(1) : T(0)) : at.work.form.element(data, r, c); });
  } else {
    const auto matrices = at.work.form.matrices();
    switch (step) {
      case Step::kCopyQ: return copy({data.Q.data, plan.d.n, plan.d.n}, square(matrices.saddle.L));
      case Step::kCopyA: return copy(data.A, matrices.saddle.Ya);
      default: break;
    }
    if constexpr (kKind == FormKind::kCondensed) {
      return fill(matrices.gram_work.scaled,
                  [&](int r, int c) { return matrices.w_factor[r] * data.G.at(r, c); });
    } else {
      const auto scale = [&](const T* w, const auto& to) {
        fill(square(to), [&](int r, int c) {
          return c > r ? T(0) : w[r] * matrices.R.at(r, c) * w[c] + (r == c ? T(1) : T(0));
        });
      };
      switch (step) {
        case Step::kCopyRawL: return copy(square(matrices.saddle.L), square(at.raw_L));
        case Step::kCopyG: return copy(data.G, matrices.Y);
        case Step::kFillT:
          return at.state->at_end() ? scale(matrices.w_end, matrices.T_end) : scale(matrices.w, matrices.T);
        default: return;
      }
    }
  }
}

/// Whether a pivot of L, which a library says it could factor, is at most `floor(i)`.
template <class B, class Floor>
OPTNET_DEVICE bool has_small_pivot(const B& b, const typename B::Triangle& L, Floor floor) {
  using T = typename B::Real;
  return b.sum(L.size, [&](int i) { return L.at(i, i) * L.at(i, i) > floor(i) ? T(0) : T(1); }) > T(0);
}

/// From a library's factor to TeamBackend's format. Where a library found none, or one that round-off may
/// have spoiled, the text's own factorisation replaces it, which knows what such pivots mean.
template <class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kLibraryThreads, 2)
    finish_kernel(const OPTNET_GRID_CONSTANT LibraryArgument argument) {
  using T = typename B::Real;
  using Stage = typename SolveState<B>::Stage;
  const auto& [plan, batch, group, step, shared_pass, all] = argument;
  const std::size_t i = blockIdx.x;
  auto& at = site_of<B, kKind>(plan, batch, i);
  if (!all && at.state->stage == Stage::kEnd) return;
  const B& b = at.b;
  const bool failed = group.info[i] != 0;
  if constexpr (kKind == FormKind::kFullKkt) {
    const int size = at.work.form.matrix.rows;
    b.each(size, [&](int k) { at.work.form.pivots[k] = group.pivots[i * size + k]; });
  } else {
    const auto matrices = at.work.form.matrices();
    const SaddlePoint<B>& saddle = matrices.saddle;
    const auto& L = saddle.L;
    if (step == Step::kFinishQ) {
      const T floor = static_cast<T>(kSingularPivot * L.size) * kEpsilon<T>;
      const auto& Q = at.work.data.Q;
      if (failed || has_small_pivot(b, L, [&](int k) { return floor * Q.at(k, k); })) {
        if (BlockTeam::rank() == 0) atomicMin(batch.indefinite, batch.first + i);
      }
      return B::invert_diagonal_blocks(L);
    }
    if (step == Step::kFinishH) {  // the iteration ends where its numbers are none
      if (failed) b.each(L.size, [&](int k) { L.at(k, k) = static_cast<T>(NAN); });
      return B::invert_diagonal_blocks(L);
    }
    if (step == Step::kFinishE) {
      const auto& Le = saddle.Le;
      const T floor = static_cast<T>(kDependentPivot) * kEpsilon<T>;
      const auto diagonal = [&](int k) {
        T sum = T(0);
        for (int j = 0; j <= k; ++j) sum += Le.at(k, j) * Le.at(k, j);
        return sum;
      };
      if (!failed && !has_small_pivot(b, Le, [&](int k) { return floor * diagonal(k); })) {
        return B::invert_diagonal_blocks(Le);
      }
      BlockTeam::sync();
      b.gram(saddle.Ya, Le);
      return b.factor_dropping(Le, floor);
    }
    if constexpr (kKind == FormKind::kRangeSpace) {
      if (step == Step::kFinishV) return b.solve_rows(saddle.Le, matrices.V, matrices.V);
      const bool end = at.state->at_end();
      const auto& F = end ? matrices.T_end : matrices.T;
      // Without round-off, no pivot is below 1.
      if (!failed && !has_small_pivot(b, F, [](int) { return T(0.5); })) return B::invert_diagonal_blocks(F);
      BlockTeam::sync();
      b.factor_scaled(matrices.R, end ? matrices.w_end : matrices.w, F);
    }
  }
}

/// A block for each problem; of the oracle, for each element of the arrays.
template <class B, FormKind kKind>
OPTNET_GLOBAL void OPTNET_LAUNCH_BOUNDS(kLibraryThreads, 2)
    library_adjoint_kernel(const OPTNET_GRID_CONSTANT LibraryAdjointArgument argument) {
  const auto& [plan, batch, group, answer] = argument;
  const std::size_t i = blockIdx.x;
  if (i >= static_cast<std::size_t>(batch.batch)) {
    return point_slots(group, batch.batch, static_cast<int>(i), [](Slot) { return nullptr; });
  }
  auto& at = site_of<B, kKind>(plan, batch, i,
                               [&](auto& made) { made.point_at_matrices(batch.Q, batch.G, batch.A, i); });
  if constexpr (kKind == FormKind::kFullKkt) {
    const Dimensions& d = plan.d;
    auto& form = at.work.form;
    auto *const gz = at.gz, *const glambda = at.work.v.ds, *const gnu = at.gnu;
    const int size = form.matrix.rows;
    if (answer) {
      form.answer(at.b, gz, glambda, gnu);
      at.store_row(gz, batch.dz, i, d.n);
      at.store_row(glambda, batch.dlambda, i, d.m);
      at.store_row(gnu, batch.dnu, i, d.q);
      return;
    }
    point_slots(group, batch.batch, static_cast<int>(i), [&](Slot slot) { return slot_of(at, slot); });
    at.load_row(batch.gz, i, d.n, gz);
    at.load_row(batch.glambda, i, d.m, glambda);
    at.load_row(batch.gnu, i, d.q, gnu);
    form.ask(at.b, gz, glambda, gnu);
    at.b.each(size, [&](int k) { form.right[k] = -form.right[k]; });
    at.b.each(size, [&](int k) { group.pivots[i * size + k] = form.pivots[k]; });
  } else {
    draw_adjoint(at, batch, i);
  }
}

/// The kernels of one precision and form.
template <class B, FormKind kKind>
class LibraryForm {
  using At = Site<B, kKind>;

 public:
  static const LibraryInstance& instance() {
    static constexpr LibraryInstance kInstance{lay_out, run, adjoint};
    return kInstance;
  }

 private:
  static cudaError_t run(const LibraryArgument& with, Step step, cudaStream_t stream) {
    LibraryArgument argument = with;
    argument.step = step;
    const int batch = argument.batch.batch;
    switch (step) {
      case Step::kBegin: return launch_on(begin_kernel<B, kKind>, argument.group.padded, argument, stream);
      case Step::kAdvance: return launch_on(advance_kernel<B, kKind>, batch, argument, stream);
      case Step::kPredict:
      case Step::kCorrect:
        if constexpr (kKind == FormKind::kFullKkt) {
          return launch_on(solve_again_kernel<B>, batch, argument, stream);
        }
        return cudaErrorInvalidValue;
      case Step::kCopyQ:
      case Step::kCopyRawL:
      case Step::kCopyG:
      case Step::kCopyA:
      case Step::kFillT:
      case Step::kFillScaled:
      case Step::kFillKkt:
        return launch_on(fill_kernel<B, kKind>, batch * slices(argument.plan), argument, stream);
      default: return launch_on(finish_kernel<B, kKind>, batch, argument, stream);
    }
  }
  static cudaError_t adjoint(const LibraryAdjointArgument& argument, cudaStream_t stream) {
    const bool slots = kKind == FormKind::kFullKkt && !argument.answer;
    return launch_on(library_adjoint_kernel<B, kKind>, slots ? argument.group.padded : argument.batch.batch,
                     argument, stream);
  }

  template <class Argument>
  static cudaError_t launch_on(void (*kernel)(Argument), int blocks, const Argument& argument,
                               cudaStream_t stream) {
    const unsigned threads = static_cast<unsigned>(argument.plan.threads);
    return launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(threads), argument.plan.shared_memory,
                  stream, argument);
  }

  /// Blocks that share the copying of a problem's matrix: each has a few rows for every warp.
  static int slices(const Plan& plan) {
    const int rows = largest(plan.d), of_block = plan.threads / kWarp * 4;
    return (rows + of_block - 1) / of_block;
  }

  static void lay_out(Plan& plan) {
    const At count(plan, {});
    const auto [n, m, q] = plan.d;
    int panel = 0;
    if (kKind == FormKind::kRangeSpace) panel = factor_panel(m);
    if (kKind != FormKind::kFullKkt) {
      for (const int least : {factor_panel(q), gram_panel(q), rows_panel(q)}) {
        if (least > panel) panel = least;
      }
    }
    plan.panel = panel;
    plan.shared_memory = aligned(sizeof(At)) + At::kHead;
    plan.fast.vectors = 0;
    plan.fast.reduced = plan.fast.vectors + aligned(count.vectors.used());
    plan.fast.panel =
        plan.fast.reduced + (kKind == FormKind::kRangeSpace ? aligned(count.reduced.used()) : 0);
    plan.fast.end = plan.fast.panel + aligned(static_cast<std::size_t>(panel) * plan.scalar());
    plan.setup = At::kStateBytes + plan.fast.end;
    plan.problem = plan.setup + count.setup.used();
    plan.footprint.shared = count.shared.used();
    plan.footprint.kept = count.kept.used();
    plan.footprint.workspace = aligned(plan.problem + GroupMemory::element_bytes(plan));
    plan.footprint.fixed = GroupMemory::fixed_bytes(plan);
  }
};

/// The kernels of one precision.
template <class T>
const LibraryInstance& library_instance_of(const Plan& plan) {
  using B = LibraryBackend<T>;
#ifndef OPTNET_CUDA_WITHOUT_ORACLE
  if (plan.oracle) return LibraryForm<B, FormKind::kFullKkt>::instance();
#endif
  if (plan.condensed) return LibraryForm<B, FormKind::kCondensed>::instance();
  return LibraryForm<B, FormKind::kRangeSpace>::instance();
}

}  // namespace optnet::cuda
