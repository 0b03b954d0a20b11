// Kernels: what they may ask for, and their launch.
#include <algorithm>
#include <climits>

#include "emulation/block.h"
#include "emulation/launch.h"
#include "emulation/runtime/limits.h"
#include "emulation/runtime/state.h"

using namespace optnet::emulation;

namespace {

/// Shared memory that a block of this kernel may have.
int shared_memory_of(const State& s, const void* kernel) {
  const auto at = s.dynamic_shared_memory.find(kernel);
  return at == s.dynamic_shared_memory.end() ? shared_memory_without_asking(s.machine) : at->second;
}

}  // namespace

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return enter([&](State& s) {
    if (!kernel) return cudaErrorInvalidDeviceFunction;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaErrorInvalidValue;
    if (value < 0 || static_cast<std::size_t>(value) > s.machine.shared_memory) return cudaErrorInvalidValue;
    s.dynamic_shared_memory[kernel] = value;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  return enter([&](State& s) {
    if (!kernel) return cudaErrorInvalidDeviceFunction;
    *attributes = {};
    attributes->maxThreadsPerBlock = s.machine.threads_per_block;
    attributes->numRegs = kRegistersPerThread;
    attributes->ptxVersion = attributes->binaryVersion = s.machine.compute_capability;
    attributes->maxDynamicSharedSizeBytes = shared_memory_of(s, kernel);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          std::size_t shared_bytes) {
  return enter([&](State& s) {
    if (!kernel) return cudaErrorInvalidDeviceFunction;
    if (threads <= 0) return cudaErrorInvalidValue;
    *blocks = 0;
    if (threads > s.machine.threads_per_block) return cudaSuccess;
    if (shared_bytes > static_cast<std::size_t>(shared_memory_of(s, kernel))) return cudaSuccess;
    constexpr int kWarp = static_cast<int>(kWarpSize);
    const int in_warps = (threads + kWarp - 1) / kWarp * kWarp;
    const std::size_t shared_memory = s.machine.shared_memory + kReservedSharedMemory;
    *blocks = std::min({kBlocksPerMultiprocessor, kThreadsPerMultiprocessor / in_warps,
                        kRegistersPerMultiprocessor / (kRegistersPerThread * in_warps),
                        static_cast<int>(shared_memory / (shared_bytes + kReservedSharedMemory))});
    return cudaSuccess;
  });
}

namespace {

/// Whether a kernel can be launched like this; counts it if so, and says whether it is to run.
cudaError_t check_launch(State& s, const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes,
                         cudaStream_t handle, bool& runs) {
  const auto stream = s.stream(handle);
  if (!stream || stream->ordinal != current_ordinal()) return cudaErrorInvalidResourceHandle;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0)
    return cudaErrorInvalidConfiguration;
  if (grid.x > static_cast<unsigned>(INT_MAX) || grid.y > 65535 || grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  const auto threads = std::size_t{1} * block.x * block.y * block.z;
  if (threads > static_cast<std::size_t>(s.machine.threads_per_block)) return cudaErrorInvalidConfiguration;
  if (shared_bytes > static_cast<std::size_t>(shared_memory_of(s, kernel))) return cudaErrorInvalidValue;
  ++s.launches;
  runs = s.launches_until_loss == 0 || --s.launches_until_loss > 0;
  if (!runs) s.device(current_ordinal()).lost = true;
  return cudaSuccess;
}

}  // namespace

cudaError_t optnet::emulation::launch_erased(const ErasedKernel& kernel, dim3 grid, dim3 block,
                                             std::size_t shared_bytes, cudaStream_t stream) {
  bool runs = false;
  const cudaError_t error = enter(
      [&](State& s) { return check_launch(s, kernel.function, grid, block, shared_bytes, stream, runs); });
  if (error == cudaSuccess && runs) run_grid(grid, block, shared_bytes, kernel.run, &kernel);
  return error;
}
