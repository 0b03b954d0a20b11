// The threads that work on one problem: a thread block, or some neighbouring lanes of a warp. All of a team
// go through the same code and meet at the same barriers; what they compute of a reduction is the same for
// all of them, bit for bit.
#pragma once

#include "cuda/kernel.h"

namespace optnet::cuda {

constexpr int kWarp = 32;

/// A thread block: a multiple of 32 threads.
struct BlockTeam {
  static constexpr bool kFitsWarp = false;
  OPTNET_FUNCTION static int rank() {
#if defined(__CUDA_ARCH__) || defined(OPTNET_EMULATED)
    return static_cast<int>(threadIdx.x);
#else
    return 0;
#endif
  }
  OPTNET_FUNCTION static int size() {
#if defined(__CUDA_ARCH__) || defined(OPTNET_EMULATED)
    return static_cast<int>(blockDim.x);
#else
    return 1;
#endif
  }
  /// Which team of its thread block this is.
  OPTNET_FUNCTION static int index() { return 0; }
  OPTNET_FUNCTION static unsigned mask() { return 0xffffffffU; }
  OPTNET_FUNCTION static void sync(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
    synchronize_block(line, file);
  }
  /// The same for the warp of the calling thread.
  OPTNET_FUNCTION static void sync_warp(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
    synchronize_lanes(mask(), line, file);
  }
};

/// Neighbouring lanes of a warp: 8, 16 or 32. The launch says how many in the block's second dimension: a
/// block of lanes × teams threads.
struct LaneTeam {
  static constexpr bool kFitsWarp = true;
  OPTNET_FUNCTION static int rank() { return BlockTeam::rank(); }
  OPTNET_FUNCTION static int size() { return BlockTeam::size(); }
  OPTNET_FUNCTION static int index() {
#if defined(__CUDA_ARCH__) || defined(OPTNET_EMULATED)
    return static_cast<int>(threadIdx.y);
#else
    return 0;
#endif
  }
  OPTNET_FUNCTION static unsigned mask() {
    const int lanes = size();
    return (0xffffffffU >> (kWarp - lanes)) << (index() * lanes % kWarp);
  }
  OPTNET_FUNCTION static void sync(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
    synchronize_lanes(mask(), line, file);
  }
  OPTNET_FUNCTION static void sync_warp(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
    sync(line, file);
  }
};

/// The value of the lane whose number differs by `distance`, within groups of twice that.
template <class T>
OPTNET_FUNCTION T exchange([[maybe_unused]] unsigned mask, T value, [[maybe_unused]] int distance) {
#if defined(__CUDA_ARCH__) || defined(OPTNET_EMULATED)
  return __shfl_xor_sync(mask, value, distance);
#else
  return value;
#endif
}

/// Combines the values of `count` neighbouring threads, a power of two up to 32. All of the team must call
/// it.
template <class Team, class T, class Combine>
OPTNET_FUNCTION T combine_neighbours(T value, int count, Combine combine) {
  for (int distance = count / 2; distance > 0; distance /= 2) {
    value = combine(value, exchange(Team::mask(), value, distance));
  }
  return value;
}

/// Combines the values of the whole team. `partial`: a number for each warp.
template <class Team, class T, class Combine>
OPTNET_FUNCTION T combine_all(T value, T* partial, Combine combine) {
  if constexpr (Team::kFitsWarp) {
    return combine_neighbours<Team>(value, Team::size(), combine);
  } else {
    const int warps = Team::size() / kWarp;
    value = combine_neighbours<Team>(value, kWarp, combine);
    if (warps <= 1) return value;
    if (Team::rank() % kWarp == 0) partial[Team::rank() / kWarp] = value;
    Team::sync();
    value = partial[0];
    for (int i = 1; i < warps; ++i) value = combine(value, partial[i]);
    Team::sync();  // before the next reduction writes them
    return value;
  }
}

}  // namespace optnet::cuda
