// Which kernels serve which size: all the numbers, and where each comes from.
#pragma once

#include <cstddef>

#include "solver/settings.h"

namespace optnet::cuda {

/// Teams of lanes of a warp, for problems whose n, m and q are at most `largest`. A lane for each row.
struct LaneTeamSize {
  int largest, lanes;
};
constexpr LaneTeamSize kLaneTeams[] = {{8, 8}, {16, 16}, {32, 32}};

/// Threads of a block of lane teams: few enough that a small batch reaches every multiprocessor.
constexpr int kLaneBlockThreads = 64;

/// Teams of a whole thread block, by the largest of n, m and q.
struct BlockTeamSize {
  int largest, threads;
};
// Counted, not measured yet: each 4×4 tile of the largest triangle should find a thread, up to what fills a
// multiprocessor's float64 units (256 threads of 4 warps at a time).
constexpr int kMostBlockThreads = 256;
constexpr BlockTeamSize kBlockTeams[] = {{44, 64}, {64, 128}, {1 << 30, kMostBlockThreads}};

/// Threads of the block that works on a problem between the libraries' routines.
constexpr int kLibraryThreads = 256;

/// Problems that the libraries' routines get at a time: as many as keep a GPU busy, as far as the memory
/// that fills up an incomplete group allows.
// Not measured yet.
constexpr int kMostGroup = 64;
constexpr std::size_t kGroupBytes = std::size_t{32} << 20;

/// The larger of a problem's sizes.
inline int largest(const Dimensions& d) {
  const int nm = d.n > d.m ? d.n : d.m;
  return nm > d.q ? nm : d.q;
}

}  // namespace optnet::cuda
