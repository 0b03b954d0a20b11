// The kernels around a solve: data into the solver's number type and checked, results into the caller's, and
// the gradients of the data from the adjoint.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <limits>

#include "engine/problem.h"

namespace optnet::cuda {

using Key = unsigned long long;  ///< what CUDA's 64-bit atomics take
constexpr Key kNoKey = ~Key{0};

// ---- data in --------------------------------------------------------------------------------------------

/// One array: `problems` × `elements` numbers.
struct LoadPart {
  const void* from = nullptr;
  void* to = nullptr;  ///< null: it is only checked
  std::size_t problems = 0, elements = 0;
  /// What an element that is not finite is reported as: first_key + problem × key_stride + element.
  Key first_key = 0, key_stride = 0;
  /// From here on an element is no bound, and reported as the key that lies `elements` further on.
  double no_bound = std::numeric_limits<double>::quiet_NaN();
};

struct LoadArguments {
  static constexpr int kMost = 6;
  LoadPart parts[kMost];
  int count = 0;
  Key* first_bad = nullptr;  ///< becomes the least key of all
};
/// Copies numbers of type `from` to numbers of type `to`, and checks that they are finite there.
cudaError_t load(const LoadArguments& arguments, DType from, DType to, cudaStream_t stream);

/// Matrices n×n. An element below the diagonal that differs from its mirror image by more than tolerance ×
/// max|Q| is reported as in LoadPart.
struct SymmetryArguments {
  const void* Q = nullptr;
  std::size_t problems = 0;
  int n = 0;
  double tolerance = 0;
  Key first_key = 0, key_stride = 0;
  Key* first_bad = nullptr;
  Key* norms = nullptr;  ///< scratch: one for each problem
};
cudaError_t check_symmetric(const SymmetryArguments& arguments, DType dtype, cudaStream_t stream);

// ---- numbers out ----------------------------------------------------------------------------------------

/// to ← sign × from
struct StorePart {
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t elements = 0;
  double sign = 1;
};

struct StoreArguments {
  static constexpr int kMost = 4;
  StorePart parts[kMost];
  int count = 0;
};
cudaError_t store(const StoreArguments& arguments, DType from, DType to, cudaStream_t stream);

// ---- gradients ------------------------------------------------------------------------------------------

/// For each problem, rows × columns: scale·(u vᵀ + x yᵀ). u and x: [problems, rows]; v and y:
/// [problems, columns].
struct OuterPart {
  const void *u = nullptr, *v = nullptr, *x = nullptr, *y = nullptr;
  int rows = 0, columns = 0;
  double scale = 1;
  void* to = nullptr;
};

struct OuterArguments {
  static constexpr int kMost = 3;
  OuterPart parts[kMost];
  int count = 0;
  std::size_t problems = 0;
};
/// One matrix for each problem, one after the other.
cudaError_t outer_products(const OuterArguments& arguments, DType from, DType to, cudaStream_t stream);

/// The sum of those over the batch: one matrix product whose inner dimension is the batch. In float64, in an
/// order that follows from the sizes alone. `partials`: scratch of outer_partials(…) doubles.
cudaError_t sum_outer_products(const OuterPart& part, std::size_t problems, double* partials, DType from,
                               DType to, cudaStream_t stream);
std::size_t outer_partials(int rows, int columns, std::size_t problems);

/// to ← sign × Σ over the batch of v: [problems, elements], likewise.
cudaError_t sum_vectors(const StorePart& part, std::size_t problems, double* partials, DType from, DType to,
                        cudaStream_t stream);
std::size_t vector_partials(std::size_t elements, std::size_t problems);

/// What the driver says of our kernels on the current GPU: cudaErrorNoKernelImageForDevice where this build
/// has none for it.
cudaError_t find_kernels();

}  // namespace optnet::cuda
