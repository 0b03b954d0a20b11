#include "cuda/kernel.h"

#include "cuda/data_kernels.h"

#include <algorithm>
#include <cmath>

#include "cuda/launch.h"

namespace optnet::cuda {
namespace {

#ifdef OPTNET_EMULATED
constexpr int kThreads = 64;  // each costs time
#else
constexpr int kThreads = 256;
#endif
constexpr std::size_t kMostBlocks = 8192;  // kernels stride over what is left

/// Blocks for so many pieces of work, `each` of them a block; at least one.
unsigned blocks_for(std::size_t work, std::size_t each) {
  return static_cast<unsigned>(std::clamp<std::size_t>((work + each - 1) / each, 1, kMostBlocks));
}

OPTNET_DEVICE std::size_t thread_index() {
  return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
OPTNET_DEVICE std::size_t thread_count() { return static_cast<std::size_t>(gridDim.x) * blockDim.x; }

/// Calls f with a number of either type.
template <class F>
cudaError_t with_types(DType from, DType to, F f) {
  if (from == DType::kFloat64) {
    return to == DType::kFloat64 ? f(double(), double()) : f(double(), float());
  }
  return to == DType::kFloat64 ? f(float(), double()) : f(float(), float());
}

// ---- data in --------------------------------------------------------------------------------------------

template <class From, class To>
OPTNET_GLOBAL void load_kernel(LoadArguments a) {
  const LoadPart& part = a.parts[blockIdx.y];
  const From* from = static_cast<const From*>(part.from);
  To* to = static_cast<To*>(part.to);
  const std::size_t total = part.problems * part.elements;
  const From no_bound = static_cast<From>(part.no_bound);
  for (std::size_t i = thread_index(); i < total; i += thread_count()) {
    const From given = from[i];
    const To x = static_cast<To>(given);
    if (to) to[i] = x;
    const bool missing = given >= no_bound;
    if (missing || !(x - x == 0)) {
      const std::size_t problem = i / part.elements;
      const std::size_t element = i - problem * part.elements + (missing ? part.elements : 0);
      atomicMin(a.first_bad, part.first_key + problem * part.key_stride + element);
    }
  }
}

constexpr int kSlice = 2048;  // elements that a warp looks at for the norm of a matrix

OPTNET_DEVICE inline double as_number(Key bits) {
  union {
    Key bits;
    double number;
  } view{bits};
  return view.number;
}
OPTNET_DEVICE inline Key as_bits(double number) {
  union {
    double number;
    Key bits;
  } view{number};
  return view.bits;
}

// The largest element, by its bits: those of numbers that are not negative are in the numbers' order.
template <class T>
OPTNET_GLOBAL void measure_kernel(SymmetryArguments a) {
  const std::size_t elements = static_cast<std::size_t>(a.n) * a.n;
  const std::size_t slices = (elements + kSlice - 1) / kSlice;
  const T* Q = static_cast<const T*>(a.Q);
  for (std::size_t unit = thread_index() / 32; unit < a.problems * slices; unit += thread_count() / 32) {
    const std::size_t problem = unit / slices;
    const std::size_t begin = (unit - problem * slices) * kSlice;
    const std::size_t end = begin + kSlice < elements ? begin + kSlice : elements;
    T norm = 0;
    for (std::size_t i = begin + threadIdx.x % 32; i < end; i += 32) {
      const T x = std::fabs(Q[problem * elements + i]);
      if (x > norm && x - x == 0) norm = x;
    }
    if (norm > 0) atomicMax(a.norms + problem, as_bits(norm));
  }
}

// A warp compares a tile with its mirror image. What a lane reads there lies a row apart from what the next
// lane reads, but all of the tile's rows are read, and stay in the cache meanwhile.
template <class T>
OPTNET_GLOBAL void symmetry_kernel(SymmetryArguments a) {
  const auto n = static_cast<std::size_t>(a.n);
  const std::size_t side = (n + 31) / 32, tiles = side * side;
  const std::size_t lane = threadIdx.x % 32;
  for (std::size_t unit = thread_index() / 32; unit < a.problems * tiles; unit += thread_count() / 32) {
    const std::size_t problem = unit / tiles, tile = unit - problem * tiles;
    const std::size_t first_row = tile / side * 32, column = tile % side * 32 + lane;
    const T* Q = static_cast<const T*>(a.Q) + problem * n * n;
    const double allowed = a.tolerance * as_number(a.norms[problem]);
    const std::size_t last_row = first_row + 32 < n ? first_row + 32 : n;
    for (std::size_t row = first_row < column + 1 ? column + 1 : first_row; row < last_row; ++row) {
      const double difference =
          static_cast<double>(Q[row * n + column]) - static_cast<double>(Q[column * n + row]);
      if (std::fabs(difference) > allowed) {
        atomicMin(a.first_bad, a.first_key + problem * a.key_stride + (row * n + column));
      }
    }
  }
}

// ---- numbers out ----------------------------------------------------------------------------------------

template <class From, class To>
OPTNET_GLOBAL void store_kernel(StoreArguments a) {
  const StorePart& part = a.parts[blockIdx.y];
  const From* from = static_cast<const From*>(part.from);
  To* to = static_cast<To*>(part.to);
  const From sign = static_cast<From>(part.sign);
  for (std::size_t i = thread_index(); i < part.elements; i += thread_count()) {
    to[i] = static_cast<To>(sign * from[i]);
  }
}

// ---- gradients ------------------------------------------------------------------------------------------

constexpr unsigned kOuterSlice = 4096;  // elements of a matrix that a block writes

OPTNET_FUNCTION inline std::size_t outer_slices(const OuterPart& part) {
  return (static_cast<std::size_t>(part.rows) * part.columns + kOuterSlice - 1) / kOuterSlice;
}

template <class Scalar, class To>
OPTNET_GLOBAL void outer_kernel(OuterArguments a) {
  const OuterPart& part = a.parts[blockIdx.y];
  const auto rows = static_cast<std::size_t>(part.rows), columns = static_cast<std::size_t>(part.columns);
  const std::size_t elements = rows * columns, slices = outer_slices(part);
  const Scalar scale = static_cast<Scalar>(part.scale);
  // Small matrices share a block: a group of threads for each, as many as it has elements, in warps.
  unsigned group = kThreads;
  while (group > 32 && group / 2 >= elements) group /= 2;
  const std::size_t groups = static_cast<std::size_t>(gridDim.x) * (kThreads / group);
  for (std::size_t unit = blockIdx.x * (kThreads / group) + threadIdx.x / group; unit < a.problems * slices;
       unit += groups) {
    const std::size_t problem = unit / slices, slice = unit - problem * slices;
    const Scalar* u = static_cast<const Scalar*>(part.u) + problem * rows;
    const Scalar* x = static_cast<const Scalar*>(part.x) + problem * rows;
    const Scalar* v = static_cast<const Scalar*>(part.v) + problem * columns;
    const Scalar* y = static_cast<const Scalar*>(part.y) + problem * columns;
    To* to = static_cast<To*>(part.to) + problem * elements;
    const std::size_t first_row = slice * kOuterSlice / columns;
    const unsigned offset = static_cast<unsigned>(slice * kOuterSlice - first_row * columns);
    const unsigned left = static_cast<unsigned>(
        elements - slice * kOuterSlice < kOuterSlice ? elements - slice * kOuterSlice : kOuterSlice);
    const unsigned width = static_cast<unsigned>(part.columns);
    for (unsigned k = threadIdx.x % group; k < left; k += group) {
      const unsigned row = (offset + k) / width, j = offset + k - row * width;
      const std::size_t i = first_row + row;
      to[slice * kOuterSlice + k] = static_cast<To>(std::fma(scale * u[i], v[j], scale * x[i] * y[j]));
    }
  }
}

// Sums over the batch: the batch is cut into splits, so that there is work for all multiprocessors; each
// split is summed by one block for each tile of the result, and a second kernel adds the splits up.

constexpr int kTile = 32;        // rows and columns of a block's part of the result
constexpr int kDepth = 16;       // problems whose vectors are in shared memory at a time
constexpr int kSumThreads = 64;  // 8 × 8 of them, each with 4 × 4 sums, 8 rows and columns apart
constexpr std::size_t kOuterShared = 4 * sizeof(double) * kDepth * kTile;
constexpr std::size_t kWantedBlocks = 512;

std::size_t tiles_of(int size) { return (static_cast<std::size_t>(size) + kTile - 1) / kTile; }

struct Splits {
  std::size_t count, size;  ///< size: problems
};

Splits split(std::size_t tiles, std::size_t problems, std::size_t unit) {
  const std::size_t units = (problems + unit - 1) / unit;
  const std::size_t wanted = std::clamp<std::size_t>(kWantedBlocks / std::max<std::size_t>(1, tiles), 1,
                                                     std::max<std::size_t>(1, units));
  const std::size_t size = std::max<std::size_t>(1, (units + wanted - 1) / wanted) * unit;
  return {std::max<std::size_t>(1, (problems + size - 1) / size), size};
}
Splits outer_splits(int rows, int columns, std::size_t problems) {
  return split(tiles_of(rows) * tiles_of(columns), problems, 4 * kDepth);
}

struct OuterSumArguments {
  OuterPart part;
  std::size_t problems, splits, split_size, row_tiles, column_tiles;
  double* partials;  ///< [splits, rows, columns]
};

template <class Scalar>
OPTNET_GLOBAL void outer_sum_kernel(OuterSumArguments a) {
  const OuterPart& part = a.part;
  const auto rows = static_cast<std::size_t>(part.rows), columns = static_cast<std::size_t>(part.columns);
  double* const u = reinterpret_cast<double*>(shared_memory());  // each kDepth × kTile
  double* const x = u + kDepth * kTile;
  double* const v = x + kDepth * kTile;
  double* const y = v + kDepth * kTile;
  const unsigned down = threadIdx.x / 8, across = threadIdx.x % 8;

  const std::size_t tiles = a.row_tiles * a.column_tiles;
  for (std::size_t unit = blockIdx.x; unit < tiles * a.splits; unit += gridDim.x) {
    const std::size_t index = unit / tiles, tile = unit - index * tiles;
    const std::size_t first_row = tile / a.column_tiles * kTile, first_column = tile % a.column_tiles * kTile;
    const std::size_t begin = index * a.split_size;
    const std::size_t end = begin + a.split_size < a.problems ? begin + a.split_size : a.problems;
    double sum[4][4] = {};
    for (std::size_t first = begin; first < end; first += kDepth) {
      synchronize_block();
      for (unsigned k = threadIdx.x; k < kDepth * kTile; k += kSumThreads) {
        const std::size_t problem = first + k / kTile, i = first_row + k % kTile,
                          j = first_column + k % kTile;
        const bool in_row = problem < end && i < rows, in_column = problem < end && j < columns;
        u[k] = in_row ? static_cast<double>(static_cast<const Scalar*>(part.u)[problem * rows + i]) : 0;
        x[k] = in_row ? static_cast<double>(static_cast<const Scalar*>(part.x)[problem * rows + i]) : 0;
        v[k] = in_column ? static_cast<double>(static_cast<const Scalar*>(part.v)[problem * columns + j]) : 0;
        y[k] = in_column ? static_cast<double>(static_cast<const Scalar*>(part.y)[problem * columns + j]) : 0;
      }
      synchronize_block();
      for (int k = 0; k < kDepth; ++k) {
        double vk[4], yk[4];
        OPTNET_UNROLL
        for (int c = 0; c < 4; ++c) {
          vk[c] = v[k * kTile + across + 8 * c];
          yk[c] = y[k * kTile + across + 8 * c];
        }
        OPTNET_UNROLL
        for (int r = 0; r < 4; ++r) {
          const double uk = u[k * kTile + down + 8 * r], xk = x[k * kTile + down + 8 * r];
          OPTNET_UNROLL
          for (int c = 0; c < 4; ++c) sum[r][c] = std::fma(uk, vk[c], std::fma(xk, yk[c], sum[r][c]));
        }
      }
    }
    double* const to = a.partials + index * rows * columns;
    OPTNET_UNROLL
    for (int r = 0; r < 4; ++r) {
      OPTNET_UNROLL
      for (int c = 0; c < 4; ++c) {
        const std::size_t i = first_row + down + 8 * r, j = first_column + across + 8 * c;
        if (i < rows && j < columns) to[i * columns + j] = sum[r][c];
      }
    }
  }
}

struct VectorSumArguments {
  const void* from;
  std::size_t problems, elements, splits, split_size, tiles;
  double* partials;  ///< [splits, elements]
};

constexpr std::size_t kVectorTile = 64;
constexpr std::size_t kVectorUnit = 64;

Splits vector_splits(std::size_t elements, std::size_t problems) {
  return split((elements + kVectorTile - 1) / kVectorTile, problems, kVectorUnit);
}

template <class Scalar>
OPTNET_GLOBAL void vector_sum_kernel(VectorSumArguments a) {
  const Scalar* from = static_cast<const Scalar*>(a.from);
  for (std::size_t unit = blockIdx.x; unit < a.tiles * a.splits; unit += gridDim.x) {
    const std::size_t index = unit / a.tiles, j = (unit - index * a.tiles) * kVectorTile + threadIdx.x;
    if (j >= a.elements) continue;
    const std::size_t begin = index * a.split_size;
    const std::size_t end = begin + a.split_size < a.problems ? begin + a.split_size : a.problems;
    double sum = 0;
    for (std::size_t problem = begin; problem < end; ++problem) {
      sum += static_cast<double>(from[problem * a.elements + j]);
    }
    a.partials[index * a.elements + j] = sum;
  }
}

struct AddArguments {
  const double* partials;  ///< [splits, elements]
  std::size_t splits, elements;
  double scale;
  void* to;
};

template <class To>
OPTNET_GLOBAL void add_kernel(AddArguments a) {
  for (std::size_t i = thread_index(); i < a.elements; i += thread_count()) {
    double sum = 0;
    for (std::size_t s = 0; s < a.splits; ++s) sum += a.partials[s * a.elements + i];
    static_cast<To*>(a.to)[i] = static_cast<To>(a.scale * sum);
  }
}

cudaError_t add(const AddArguments& a, DType to, cudaStream_t stream) {
  const auto kernel = to == DType::kFloat64 ? &add_kernel<double> : &add_kernel<float>;
  return launch(kernel, blocks_for(a.elements, kThreads), kThreads, 0, stream, a);
}

}  // namespace

cudaError_t load(const LoadArguments& arguments, DType from, DType to, cudaStream_t stream) {
  std::size_t most = 0;
  for (int k = 0; k < arguments.count; ++k) {
    most = std::max(most, arguments.parts[k].problems * arguments.parts[k].elements);
  }
  if (most == 0) return cudaSuccess;
  const dim3 grid(blocks_for(most, 4 * kThreads), static_cast<unsigned>(arguments.count));
  return with_types(from, to, [&](auto x, auto y) {
    return launch(&load_kernel<decltype(x), decltype(y)>, grid, kThreads, 0, stream, arguments);
  });
}

cudaError_t check_symmetric(const SymmetryArguments& a, DType dtype, cudaStream_t stream) {
  if (a.problems == 0) return cudaSuccess;
  const cudaError_t error = cudaMemsetAsync(a.norms, 0, a.problems * sizeof(Key), stream);
  if (error != cudaSuccess) return error;
  const auto n = static_cast<std::size_t>(a.n);
  const std::size_t slices = (n * n + kSlice - 1) / kSlice, side = (n + 31) / 32;
  constexpr std::size_t kWarps = kThreads / 32;
  const auto run = [&](auto x) {
    const cudaError_t measured =
        launch(&measure_kernel<decltype(x)>, blocks_for(a.problems * slices, kWarps), kThreads, 0, stream, a);
    if (measured != cudaSuccess) return measured;
    return launch(&symmetry_kernel<decltype(x)>, blocks_for(a.problems * side * side, kWarps), kThreads, 0,
                  stream, a);
  };
  return dtype == DType::kFloat64 ? run(double()) : run(float());
}

cudaError_t store(const StoreArguments& arguments, DType from, DType to, cudaStream_t stream) {
  std::size_t most = 0;
  for (int k = 0; k < arguments.count; ++k) most = std::max(most, arguments.parts[k].elements);
  if (most == 0) return cudaSuccess;
  const dim3 grid(blocks_for(most, 4 * kThreads), static_cast<unsigned>(arguments.count));
  return with_types(from, to, [&](auto x, auto y) {
    return launch(&store_kernel<decltype(x), decltype(y)>, grid, kThreads, 0, stream, arguments);
  });
}

cudaError_t outer_products(const OuterArguments& arguments, DType from, DType to, cudaStream_t stream) {
  std::size_t most = 0;
  for (int k = 0; k < arguments.count; ++k) {
    const OuterPart& part = arguments.parts[k];
    const std::size_t elements = static_cast<std::size_t>(part.rows) * part.columns;
    most = std::max(most, arguments.problems * std::max(outer_slices(part), (elements + 1023) / 1024));
  }
  if (most == 0) return cudaSuccess;
  const dim3 grid(blocks_for(most, 1), static_cast<unsigned>(arguments.count));
  return with_types(from, to, [&](auto x, auto y) {
    return launch(&outer_kernel<decltype(x), decltype(y)>, grid, kThreads, 0, stream, arguments);
  });
}

cudaError_t sum_outer_products(const OuterPart& part, std::size_t problems, double* partials, DType from,
                               DType to, cudaStream_t stream) {
  const std::size_t elements = static_cast<std::size_t>(part.rows) * part.columns;
  if (elements == 0) return cudaSuccess;
  const Splits splits = outer_splits(part.rows, part.columns, problems);
  const OuterSumArguments a{
      part, problems, splits.count, splits.size, tiles_of(part.rows), tiles_of(part.columns), partials};
  const auto kernel = from == DType::kFloat64 ? &outer_sum_kernel<double> : &outer_sum_kernel<float>;
  const cudaError_t error = launch(kernel, blocks_for(a.row_tiles * a.column_tiles * a.splits, 1),
                                   kSumThreads, kOuterShared, stream, a);
  if (error != cudaSuccess) return error;
  return add({partials, splits.count, elements, part.scale, part.to}, to, stream);
}

std::size_t outer_partials(int rows, int columns, std::size_t problems) {
  return outer_splits(rows, columns, problems).count * static_cast<std::size_t>(rows) * columns;
}

cudaError_t sum_vectors(const StorePart& part, std::size_t problems, double* partials, DType from, DType to,
                        cudaStream_t stream) {
  if (part.elements == 0) return cudaSuccess;
  const Splits splits = vector_splits(part.elements, problems);
  const VectorSumArguments a{part.from,    problems,    part.elements,
                             splits.count, splits.size, (part.elements + kVectorTile - 1) / kVectorTile,
                             partials};
  const auto kernel = from == DType::kFloat64 ? &vector_sum_kernel<double> : &vector_sum_kernel<float>;
  const cudaError_t error = launch(kernel, blocks_for(a.tiles * a.splits, 1), kVectorTile, 0, stream, a);
  if (error != cudaSuccess) return error;
  return add({partials, splits.count, part.elements, part.sign, part.to}, to, stream);
}

std::size_t vector_partials(std::size_t elements, std::size_t problems) {
  return vector_splits(elements, problems).count * elements;
}

cudaError_t find_kernels() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(&add_kernel<double>));
}

}  // namespace optnet::cuda
