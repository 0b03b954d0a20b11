// Devices: how many there are, what they can do, and which one is current.
#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>

#include "emulation/block.h"
#include "emulation/runtime/limits.h"
#include "emulation/runtime/state.h"

using namespace optnet::emulation;

namespace {

bool exists(const State& s, int ordinal) { return 0 <= ordinal && ordinal < s.machine.devices; }

/// -1 for one that is not emulated.
int attribute_of(const Machine& m, cudaDeviceAttr attribute) {
  const int shared_memory = static_cast<int>(m.shared_memory);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY: return m.threads_per_block;
    case cudaDevAttrMaxBlockDimZ: return std::min(64, m.threads_per_block);
    case cudaDevAttrMaxGridDimX: return INT_MAX;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ: return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock: return shared_memory_without_asking(m);
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return shared_memory;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: return shared_memory + kReservedSharedMemory;
    case cudaDevAttrReservedSharedMemoryPerBlock: return kReservedSharedMemory;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor: return kRegistersPerMultiprocessor;
    case cudaDevAttrMaxThreadsPerMultiProcessor: return kThreadsPerMultiprocessor;
    case cudaDevAttrMaxBlocksPerMultiprocessor: return kBlocksPerMultiprocessor;
    case cudaDevAttrMultiProcessorCount: return m.multiprocessors;
    case cudaDevAttrWarpSize: return static_cast<int>(kWarpSize);
    case cudaDevAttrComputeCapabilityMajor: return m.compute_capability / 10;
    case cudaDevAttrComputeCapabilityMinor: return m.compute_capability % 10;
    case cudaDevAttrL2CacheSize: return 50 << 20;
    case cudaDevAttrTotalConstantMemory: return 64 << 10;
    case cudaDevAttrClockRate: return 1'000'000;
    case cudaDevAttrAsyncEngineCount: return 3;
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrUnifiedAddressing: return 1;
    case cudaDevAttrIntegrated:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrPageableMemoryAccess:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrKernelExecTimeout:
    case cudaDevAttrEccEnabled:
    case cudaDevAttrTccDriver:
    case cudaDevAttrComputeMode: return 0;
    default: return -1;
  }
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return enter(Needs::kDriver, [&](State& s) {
    *count = s.machine.devices;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return enter(Needs::kDriver, [&](State& s) {
    if (!exists(s, device)) return cudaErrorInvalidDevice;
    set_current_ordinal(device);
    return s.device(device).lost ? cudaErrorLaunchFailure : cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return enter(Needs::kDriver, [&](State&) {
    *device = current_ordinal();
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return enter(Needs::kDriver, [&](State& s) {
    if (!exists(s, device)) return cudaErrorInvalidDevice;
    *value = attribute_of(s.machine, attribute);
    if (*value >= 0) return cudaSuccess;
    std::fprintf(stderr, "emulation: cudaDeviceGetAttribute: attribute %d is not emulated\n", attribute);
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return enter(Needs::kDriver, [&](State& s) {
    if (!exists(s, device)) return cudaErrorInvalidDevice;
    const auto of = [&](cudaDeviceAttr attribute) { return attribute_of(s.machine, attribute); };
    cudaDeviceProp& p = *properties = {};
    std::strcpy(p.name, "Emulated GPU");
    p.uuid.bytes[0] = static_cast<char>(device + 1);
    p.pciBusID = device + 1;
    p.totalGlobalMem = s.machine.memory;
    p.major = of(cudaDevAttrComputeCapabilityMajor);
    p.minor = of(cudaDevAttrComputeCapabilityMinor);
    p.multiProcessorCount = of(cudaDevAttrMultiProcessorCount);
    p.warpSize = of(cudaDevAttrWarpSize);
    p.maxThreadsPerBlock = of(cudaDevAttrMaxThreadsPerBlock);
    p.maxThreadsDim[0] = of(cudaDevAttrMaxBlockDimX);
    p.maxThreadsDim[1] = of(cudaDevAttrMaxBlockDimY);
    p.maxThreadsDim[2] = of(cudaDevAttrMaxBlockDimZ);
    p.maxGridSize[0] = of(cudaDevAttrMaxGridDimX);
    p.maxGridSize[1] = of(cudaDevAttrMaxGridDimY);
    p.maxGridSize[2] = of(cudaDevAttrMaxGridDimZ);
    p.maxThreadsPerMultiProcessor = of(cudaDevAttrMaxThreadsPerMultiProcessor);
    p.maxBlocksPerMultiProcessor = of(cudaDevAttrMaxBlocksPerMultiprocessor);
    p.sharedMemPerBlock = of(cudaDevAttrMaxSharedMemoryPerBlock);
    p.sharedMemPerBlockOptin = of(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    p.sharedMemPerMultiprocessor = of(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    p.reservedSharedMemPerBlock = of(cudaDevAttrReservedSharedMemoryPerBlock);
    p.regsPerBlock = of(cudaDevAttrMaxRegistersPerBlock);
    p.regsPerMultiprocessor = of(cudaDevAttrMaxRegistersPerMultiprocessor);
    p.l2CacheSize = of(cudaDevAttrL2CacheSize);
    p.totalConstMem = of(cudaDevAttrTotalConstantMemory);
    p.asyncEngineCount = of(cudaDevAttrAsyncEngineCount);
    p.memoryPoolsSupported = of(cudaDevAttrMemoryPoolsSupported);
    p.concurrentKernels = of(cudaDevAttrConcurrentKernels);
    p.streamPrioritiesSupported = of(cudaDevAttrStreamPrioritiesSupported);
    p.unifiedAddressing = of(cudaDevAttrUnifiedAddressing);
    p.canMapHostMemory = of(cudaDevAttrCanMapHostMemory);
    p.hostRegisterSupported = of(cudaDevAttrHostRegisterSupported);
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  const std::lock_guard lock(mutex());
  *version = state().machine.driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return enter([&](State&) {
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
  });
}
