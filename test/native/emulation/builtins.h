// CUDA's built-in variables and functions, as far as our kernels use them, for the host's compiler.
#pragma once

#include <vector_types.h>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "emulation/block.h"

// ---- where a thread is: set whenever a fiber begins to run
// --------------------------------------------------------------

extern constinit thread_local uint3 threadIdx;
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;
constexpr int warpSize = optnet::emulation::kWarpSize;

// ---- barriers; the default arguments say where they are called
// ----------------------------------------------------------

inline void __syncthreads(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  optnet::emulation::synchronize_block(file, line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE(),
                       const char* file = __builtin_FILE()) {
  optnet::emulation::synchronize_lanes(mask, file, line);
}
inline void __threadfence() { optnet::emulation::fence(); }
inline void __threadfence_block() { optnet::emulation::fence(); }

// ---- shuffles: segments of `width` lanes, a power of two; as PTX's shfl.sync defines them
// ----------------------------------

namespace optnet::emulation {

template <class T>
concept Register = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

template <Register T>
T shuffle_value(unsigned mask, T value, unsigned source) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<T>(static_cast<Bits>(shuffle(mask, std::bit_cast<Bits>(value), source)));
}

}  // namespace optnet::emulation

template <optnet::emulation::Register T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize) {
  const unsigned lane = optnet::emulation::lane_index(), within = static_cast<unsigned>(width) - 1;
  return optnet::emulation::shuffle_value(mask, value, (lane & ~within) | (source & within));
}
/// From the lane `delta` above; a lane's own value where that one is not in its segment.
template <optnet::emulation::Register T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  const unsigned lane = optnet::emulation::lane_index(), within = static_cast<unsigned>(width) - 1;
  const unsigned source = lane + delta;
  return optnet::emulation::shuffle_value(mask, value, source <= (lane | within) ? source : lane);
}
template <optnet::emulation::Register T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  const unsigned lane = optnet::emulation::lane_index(), within = static_cast<unsigned>(width) - 1;
  return optnet::emulation::shuffle_value(mask, value, delta <= (lane & within) ? lane - delta : lane);
}
/// A lane's own value where the other one is in a later segment; an earlier one may be read.
template <optnet::emulation::Register T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize) {
  const unsigned lane = optnet::emulation::lane_index(), within = static_cast<unsigned>(width) - 1;
  const unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  return optnet::emulation::shuffle_value(mask, value, source <= (lane | within) ? source : lane);
}

// ---- votes
// ---------------------------------------------------------------------------------------------------------------

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return optnet::emulation::vote(mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return optnet::emulation::vote(mask, predicate != 0) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return optnet::emulation::vote(mask, predicate == 0) == 0;
}

// ---- atomics: relaxed, as CUDA's; several OS threads may work on the same memory
// ---------------------------------------------

template <class T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  __atomic_compare_exchange_n(address, &compare, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return compare;
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_and(address, value, __ATOMIC_RELAXED);
}
template <std::integral T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (value < old &&
         !__atomic_compare_exchange_n(address, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
template <std::integral T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (old < value &&
         !__atomic_compare_exchange_n(address, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

// ---- the rest
// --------------------------------------------------------------------------------------------------------------

template <class T>
T __ldg(const T* address) {
  return *address;
}
// Templates, because newer C libraries have functions of this name.
template <std::floating_point T>
T rsqrt(T x) {
  return T(1) / std::sqrt(x);
}
template <std::same_as<float> T>
T rsqrtf(T x) {
  return 1.0f / std::sqrt(x);
}
/// There is no clock: 0, always.
inline long long clock64() { return 0; }
