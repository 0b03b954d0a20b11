// An emulated device's limits that the machine does not say: as on an H100.
#pragma once

#include <algorithm>
#include <cstddef>

#include "emulation/machine.h"

namespace optnet::emulation {

constexpr int kRegistersPerMultiprocessor = 65536;
constexpr int kThreadsPerMultiprocessor = 2048;
constexpr int kBlocksPerMultiprocessor = 32;
constexpr int kRegistersPerThread = 64;      // of every kernel
constexpr int kReservedSharedMemory = 1024;  // of each block, in bytes

/// What a block may have of shared memory unless cudaFuncSetAttribute allows more.
inline int shared_memory_without_asking(const Machine& machine) {
  return static_cast<int>(std::min<std::size_t>(machine.shared_memory, 48 << 10));
}

}  // namespace optnet::emulation
