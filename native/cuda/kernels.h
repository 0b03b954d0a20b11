// What the engine launches to solve a batch that lies in a GPU's memory, and to draw its adjoint: one
// interface over the kernels that solve a problem in one launch (fused) and the path over cuBLAS and cuSOLVER
// (library).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/problem.h"
#include "solver/settings.h"

namespace optnet::cuda {

/// Who works on one problem: some lanes of a warp, a thread block, or the libraries' batched routines.
enum class Tier : std::uint8_t { kLanes, kBlock, kLibrary };

/// Of a GPU: what plans depend on.
struct Limits {
  std::size_t shared_memory_per_block = 0;  ///< bytes that a block may ask for (99 KB, 227 KB, …)
  int threads_per_block = 0;
};

/// Bytes of GPU memory.
struct Footprint {
  std::size_t shared = 0;     ///< factors that the batch shares, for as long as the solution lives
  std::size_t kept = 0;       ///< factors of one problem, for as long as it can be differentiated
  std::size_t workspace = 0;  ///< for one problem while it is solved or differentiated
  std::size_t fixed = 0;      ///< for a launch, however many problems
};

/// Where things lie in the shared memory of one team: bytes from its start.
struct FastLayout {
  std::size_t vectors = 0, reduced = 0, panel = 0, end = 0;
};

/// How problems of one shape are solved. Chosen by shape, precision and GPU alone, so that a problem's result
/// does not depend on the batch.
struct Plan {
  Tier tier = Tier::kBlock;
  bool condensed = false;  ///< the form: solver/condensed.h instead of solver/range_space.h
  Precision precision = Precision::kDouble;
  Dimensions d;
  Sharing sharing;
  int team = 0;                    ///< threads that work on one problem
  int threads = 0;                 ///< of a thread block
  bool reduced_in_global = false;  ///< R does not fit into a block's shared memory
  int panel = 0;                   ///< elements of the panel (see team_backend.h)
  FastLayout fast;
  std::size_t setup = 0;          ///< bytes of a problem's workspace before what only its setup needs
  std::size_t shared_memory = 0;  ///< bytes a block
  bool oracle = false;      ///< kLibrary: LU of the whole KKT matrix, which tests compare the forms with
  int group = 0;            ///< kLibrary: problems that the libraries' routines get at a time, always
  std::size_t problem = 0;  ///< kLibrary: bytes of a problem's workspace that are its alone
  Footprint footprint;

  /// The adjoint reads Q, G and A again: the condensed form's always, that of range space to be refined,
  /// which takes a polished solution.
  bool needs_data(bool polished) const {
    return condensed || (polished && precision != Precision::kSingle && d.m > 0);
  }

  /// Shared memory of one team in the adjoint: without R and the panel.
  std::size_t adjoint_memory() const { return fast.reduced; }

  /// Bytes of a number of the data and the vectors: float for Precision::kSingle, otherwise double.
  std::size_t scalar() const { return precision == Precision::kSingle ? sizeof(float) : sizeof(double); }
};

/// Arrays in GPU memory, in the plan's scalar type, row-major, the batch first. A datum that the batch shares
/// has stride 0.
struct DeviceDatum {
  const void* data = nullptr;
  std::size_t stride = 0;  ///< elements from one problem to the next
};

/// `batch` problems; pointers to the first of them. Kept factors and workspace: footprint × batch bytes (+
/// fixed, at the end of the workspace).
struct SolveArguments {
  int batch = 0;
  DeviceDatum Q, p, G, h, A, b;
  std::byte* shared = nullptr;
  std::byte* kept = nullptr;  ///< scratch only, if not differentiable; never null
  std::byte* workspace = nullptr;
  SolverSettings settings;
  bool differentiable = true;

  void *z = nullptr, *lambda = nullptr, *nu = nullptr, *slack = nullptr;  ///< scalars
  double* objective = nullptr;
  std::uint8_t* status = nullptr;  ///< Status
  std::int32_t* iterations = nullptr;
  double *primal_residual = nullptr, *dual_residual = nullptr, *gap = nullptr, *margin = nullptr;
  std::uint8_t* derivative = nullptr;  ///< Derivative
  /// One number for all of the batch: the least index (plus `first`) of a problem whose Q is not positive
  /// definite. The caller sets it to ~0ull.
  unsigned long long* indefinite = nullptr;
  unsigned long long first = 0;
};

/// dz, dλ, dν of solver/solve.h's adjoint. The upstream gradients are scalars, null where they are zero.
struct AdjointArguments {
  int batch = 0;
  DeviceDatum Q, p, G, h, A, b;  ///< Q, G, A only where the plan's adjoint `needs_data`
  std::byte* shared = nullptr;
  std::byte* kept = nullptr;
  std::byte* workspace = nullptr;
  const void *gz = nullptr, *glambda = nullptr, *gnu = nullptr;
  void *dz = nullptr, *dlambda = nullptr, *dnu = nullptr;
};

/// Everything is enqueued on `stream`; the functions return the first error of doing so.
class Kernels {
 public:
  virtual ~Kernels() = default;
  /// Factors what follows from shared data alone, once, before any `solve`. arguments.batch is ignored.
  virtual cudaError_t prepare_shared(const Plan& plan, const SolveArguments& arguments,
                                     cudaStream_t stream) const = 0;
  /// May keep the calling thread waiting (the library path does, for its iterations).
  virtual cudaError_t solve(const Plan& plan, const SolveArguments& arguments, cudaStream_t stream) const = 0;
  virtual cudaError_t adjoint(const Plan& plan, const AdjointArguments& arguments,
                              cudaStream_t stream) const = 0;
  /// What a library said when a function last failed; empty where CUDA's text for the error says it all.
  virtual std::string last_error() const { return {}; }
};

/// The kernels of plan.tier kLanes or kBlock. They have no state.
const Kernels& fused_kernels(Precision precision);

/// The plan for a shape. tier kLibrary where no fused kernel takes a problem of this size.
Plan make_plan(const Shape& shape, const Sharing& sharing, Precision precision, const Limits& limits);

/// Completes a plan of tier kLibrary whose form (or oracle), sizes, precision and sharing are chosen.
void lay_out_library(Plan& plan, const Limits& limits);

}  // namespace optnet::cuda
