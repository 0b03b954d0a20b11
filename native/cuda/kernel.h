// What a kernel's source needs beside C++. The same source is compiled by nvcc for the GPU and, with
// OPTNET_EMULATED, by the host's compiler for tests, where threads, warps and barriers are emulated.
// Include it before anything of native/solver.
#pragma once

#include <cstddef>

#ifdef OPTNET_EMULATED

#include "emulation/builtins.h"

#define OPTNET_GLOBAL
#define OPTNET_LAUNCH_BOUNDS(threads, blocks)
#define OPTNET_GRID_CONSTANT
#define OPTNET_DEVICE
#define OPTNET_FUNCTION
#define OPTNET_NOINLINE_FUNCTION __attribute__((noinline))
#define OPTNET_UNROLL _Pragma("GCC unroll 16")
#define OPTNET_NO_UNROLL

#else

#define OPTNET_GLOBAL __global__
/// Of a kernel: the largest block, and how many such blocks a multiprocessor should have registers for.
#define OPTNET_LAUNCH_BOUNDS(threads, blocks) __launch_bounds__(threads, blocks)
/// Of a kernel's argument: nobody writes to it, so that each thread needs no copy on its stack to take the
/// address of.
#define OPTNET_GRID_CONSTANT __grid_constant__
#define OPTNET_DEVICE __device__
/// A function of native/solver, for the host and the GPU alike.
#define OPTNET_FUNCTION __host__ __device__
/// One that is large and called from several places: inlined it would multiply the code.
#define OPTNET_NOINLINE_FUNCTION __host__ __device__ __noinline__
/// Before a loop of constant length whose body indexes registers.
#define OPTNET_UNROLL _Pragma("unroll")
/// Before a loop that is short for most threads.
#define OPTNET_NO_UNROLL _Pragma("unroll 1")

#endif

/// Large functions of native/solver are calls on the GPU too: inlined, they would multiply code and compile
/// time.
#define OPTNET_LARGE_FUNCTION OPTNET_NOINLINE_FUNCTION

namespace optnet::cuda {

/// The block's dynamic shared memory, as many bytes as the launch asked for. Aligned to 16 bytes.
OPTNET_DEVICE inline std::byte* shared_memory() {
#ifdef OPTNET_EMULATED
  return emulation::shared_memory();
#else
  extern __shared__ __align__(16) std::byte optnet_shared_memory[];
  return optnet_shared_memory;
#endif
}

// Barriers take along where they stand in the source: the emulation's tests drop them one by one and expect a
// race to be found. A function that wraps one passes the place of its own caller on, in the same way. On the
// GPU these arguments cost nothing.

/// All threads of the block wait for each other, and see what the others wrote before.
OPTNET_FUNCTION inline void synchronize_block([[maybe_unused]] int line = __builtin_LINE(),
                                              [[maybe_unused]] const char* file = __builtin_FILE()) {
#if defined(OPTNET_EMULATED)
  __syncthreads(line, file);
#elif defined(__CUDA_ARCH__)
  __syncthreads();
#endif
}

/// The same for the lanes in `mask` of one warp.
OPTNET_FUNCTION inline void synchronize_lanes([[maybe_unused]] unsigned mask,
                                              [[maybe_unused]] int line = __builtin_LINE(),
                                              [[maybe_unused]] const char* file = __builtin_FILE()) {
#if defined(OPTNET_EMULATED)
  __syncwarp(mask, line, file);
#elif defined(__CUDA_ARCH__)
  __syncwarp(mask);
#endif
}

}  // namespace optnet::cuda
