// The kernels of the path over cuBLAS and cuSOLVER, and the memory that they and the libraries share. Nothing
// here needs the libraries' headers.
#pragma once

#include "cuda/kernels.h"
#include "solver/arena.h"

namespace optnet::cuda {

/// Rows of the KKT matrix.
OPTNET_FUNCTION inline int size_of_kkt(const Dimensions& d) { return d.n + d.m + d.q; }

/// Arrays of pointers that the libraries get, an element for each problem.
enum class Slot : std::uint8_t {
  kL,       ///< Q's factor, or the condensed form's H and its factor; n×n
  kRawL,    ///< Q's factor as cuSOLVER leaves it
  kY,       ///< m×n
  kYa,      ///< q×n
  kLe,      ///< E, then its factor; q×q
  kV,       ///< m×q
  kR,       ///< m×m
  kT,       ///< T = I + W R W, then its factor; m×m. The derivative's, where that is next
  kScaled,  ///< W G, m×n
  kKkt,     ///< the KKT matrix, then its factors
  kRight,   ///< its right-hand side, then the solution
  kCount
};

/// What the problems of a launch have in common, in the workspace behind their own. Arrays have an element
/// for each problem and more, up to a multiple of the group: those point to memory that nobody needs.
struct GroupMemory {
  int padded = 0;  ///< problems, rounded up
  void** slots = nullptr;
  int* info = nullptr;           ///< of the last factorisation
  int* pivots = nullptr;         ///< of the last LU, n + m + q for each problem
  int* unfinished = nullptr;     ///< problems of each group
  std::byte* spare = nullptr;    ///< an element for each problem of a group but one …
  std::size_t spare_bytes = 0;   ///< … of so many bytes
  std::byte* library = nullptr;  ///< cuBLAS's workspace

  static constexpr std::size_t kLibraryBytes = std::size_t{32} << 20;
  static constexpr std::size_t kLibraryAlignment = 256;

  /// Of a problem: the arrays' elements.
  static std::size_t element_bytes(const Plan& plan) {
    const Dimensions& d = plan.d;
    return static_cast<int>(Slot::kCount) * sizeof(void*) + 2 * sizeof(int) +
           (plan.oracle ? sizeof(int) * static_cast<std::size_t>(d.n + d.m + d.q) : 0);
  }
  /// Elements of the largest matrix, or right-hand side, that the libraries read or write.
  static std::size_t largest_matrix(const Plan& plan) {
    const auto n = static_cast<std::size_t>(plan.d.n), m = static_cast<std::size_t>(plan.d.m),
               q = static_cast<std::size_t>(plan.d.q);
    if (plan.oracle) return (n + m + q) * (n + m + q);
    const std::size_t wide = n > q ? n : q, other = plan.condensed || wide > m ? wide : m;
    const std::size_t square = other * other, Y = m * n;
    return square > Y ? square : Y;
  }
  /// Bytes that are needed however many problems there are.
  static std::size_t fixed_bytes(const Plan& plan) {
    const auto padding = static_cast<std::size_t>(plan.group - 1);
    return padding * (element_bytes(plan) + largest_matrix(plan) * plan.scalar() + kAlignment) +
           5 * kAlignment + kLibraryAlignment + kLibraryBytes;
  }

  GroupMemory() = default;
  GroupMemory(const Plan& plan, int batch, std::byte* workspace)
      : padded((batch + plan.group - 1) / plan.group * plan.group) {
    Arena arena(workspace + static_cast<std::size_t>(batch) * plan.problem);
    const auto count = static_cast<std::size_t>(padded);
    slots = arena.take<void*>(count * static_cast<std::size_t>(Slot::kCount));
    info = arena.take<int>(count);
    unfinished = arena.take<int>(count / static_cast<std::size_t>(plan.group));
    if (plan.oracle) {
      pivots = arena.take<int>(count * static_cast<std::size_t>(plan.d.n + plan.d.m + plan.d.q));
    }
    spare_bytes = (largest_matrix(plan) * plan.scalar() + kAlignment - 1) / kAlignment * kAlignment;
    spare = arena.take<std::byte>(spare_bytes * static_cast<std::size_t>(plan.group - 1));
    library = arena.take<std::byte>(0);
    library += -reinterpret_cast<std::uintptr_t>(library) % kLibraryAlignment;
  }

  OPTNET_FUNCTION void** slot(Slot s) const { return slots + static_cast<int>(s) * padded; }
};

/// Kernels that work on each problem. A thread block a problem, or several where the work is only a copy.
enum class Step : std::uint8_t {
  kBegin,    ///< norms, state, pointers
  kAdvance,  ///< Solve::next, and its results at the end
  kPredict,  ///< Solve::predict
  kCorrect,  ///< Solve::correct

  // Fill a matrix from the data:
  kCopyQ,       ///< L ← Q
  kCopyRawL,    ///< raw L ← L
  kCopyG,       ///< Y ← G
  kCopyA,       ///< Yₐ ← A
  kFillT,       ///< T ← I + W R W
  kFillScaled,  ///< W G
  kFillKkt,     ///< the KKT matrix

  // From a library's factor to TeamBackend's format, and what to do where there is none:
  kFinishQ,  ///< L, of Q: says which problem is not convex
  kFinishH,  ///< L, of H
  kFinishE,  ///< Lₑ
  kFinishV,  ///< V ← V Lₑ⁻ᵀ
  kFinishT,
  kKeepPivots,  ///< with the KKT matrix's factors
};

struct LibraryArgument {
  Plan plan;
  SolveArguments batch;
  GroupMemory group;
  Step step = Step::kBegin;
  bool shared_pass = false;  ///< for what the batch shares
  bool all = true;           ///< finished problems too
};

struct LibraryAdjointArgument {
  Plan plan;
  AdjointArguments batch;
  GroupMemory group;
  bool answer = false;  ///< of the oracle: after the solve
};

/// Of one precision and form.
struct LibraryInstance {
  void (*lay_out)(Plan& plan);  ///< completes a plan whose form and sizes are chosen
  cudaError_t (*run)(const LibraryArgument& argument, Step step, cudaStream_t stream);
  /// The whole adjoint; of the oracle the part before and the part after its solve.
  cudaError_t (*adjoint)(const LibraryAdjointArgument& argument, cudaStream_t stream);
};

const LibraryInstance& library_double(const Plan& plan);
const LibraryInstance& library_single(const Plan& plan);

inline const LibraryInstance& library_instance(const Plan& plan) {
  return plan.precision == Precision::kSingle ? library_single(plan) : library_double(plan);
}

}  // namespace optnet::cuda
