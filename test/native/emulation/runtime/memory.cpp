// Memory: the "device's" is the host's, but every allocation is known, so that pointers of the wrong kind and
// ranges that are too long are found.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "emulation/runtime/state.h"

using namespace optnet::emulation;

namespace {

constexpr std::size_t kAlignment = 256;  // CUDA's promise

/// What new memory is full of: NaNs, as float64 and as float32, that no computation gives.
constexpr std::uint32_t kUnwritten = 0xfff70badU;

void fill_unwritten(void* data, std::size_t bytes) {
  auto* const to = static_cast<std::byte*>(data);
  for (std::size_t at = 0; at < bytes; at += sizeof kUnwritten) {
    std::memcpy(to + at, &kUnwritten, std::min(sizeof kUnwritten, bytes - at));
  }
}

/// Words that nobody has written.
std::size_t count_unwritten(const void* data, std::size_t bytes) {
  const auto* const from = static_cast<const std::byte*>(data);
  std::size_t count = 0;
  for (std::size_t at = 0; at + sizeof kUnwritten <= bytes; at += sizeof kUnwritten) {
    count += std::memcmp(from + at, &kUnwritten, sizeof kUnwritten) == 0 ? 1 : 0;
  }
  return count;
}

cudaError_t allocate(State& s, void** data, const Allocation& allocation) {
  if (s.allocations_until_failure > 0 && --s.allocations_until_failure == 0) return cudaErrorMemoryAllocation;
  const int ordinal = allocation.ordinal;
  if (!allocation.pinned && allocation.bytes > s.machine.memory - s.bytes_allocated(ordinal))
    return cudaErrorMemoryAllocation;
  if (posix_memalign(data, kAlignment, allocation.bytes) != 0) return cudaErrorMemoryAllocation;
  fill_unwritten(*data, allocation.bytes);
  s.allocations[reinterpret_cast<std::uintptr_t>(*data)] = allocation;
  if (allocation.pool) {
    CUmemPoolHandle_st& pool = *allocation.pool;
    pool.used += allocation.bytes;
    pool.reserved = std::max(pool.reserved, pool.used);
    pool.most_used = std::max(pool.most_used, pool.used);
    pool.most_reserved = std::max(pool.most_reserved, pool.reserved);
  }
  return cudaSuccess;
}

cudaError_t allocate_from(State& s, void** data, std::size_t bytes,
                          const std::shared_ptr<CUmemPoolHandle_st>& pool, cudaStream_t stream) {
  if (!data || bytes == 0) return cudaErrorInvalidValue;
  if (!s.stream(stream)) return cudaErrorInvalidResourceHandle;
  return allocate(s, data, {bytes, pool->ordinal, false, pool});
}

/// `data` must be where an allocation begins.
cudaError_t free_memory(State& s, void* data, bool pinned) {
  const auto at = s.allocations.find(reinterpret_cast<std::uintptr_t>(data));
  if (at == s.allocations.end() || at->second.pinned != pinned) return cudaErrorInvalidValue;
  release(at);
  return cudaSuccess;
}

/// The pool of that handle: one that was created, or a device's own. Null if there is none.
std::shared_ptr<CUmemPoolHandle_st> find_pool(State& s, cudaMemPool_t handle) {
  const auto at = s.pools.find(handle);
  if (at != s.pools.end()) return at->second;
  for (const auto& [ordinal, device] : s.devices)
    if (device.default_pool.get() == handle) return device.default_pool;
  return nullptr;
}

/// Whether [data, data + bytes) may stand on that side of a copy.
bool fits_side(const State& s, const void* data, std::size_t bytes, bool device) {
  const Allocation* allocation = s.find(data, bytes);
  if (device) return allocation && !allocation->pinned;
  // Memory of the host that CUDA does not know is taken on trust, unless it begins in memory that it knows.
  return allocation ? allocation->pinned : data != nullptr && !s.find(data, 1);
}

cudaError_t check_copy(const State& s, const void* to, const void* from, std::size_t bytes_to,
                       std::size_t bytes_from, cudaMemcpyKind kind) {
  const auto is_device = [&](const void* data) {
    const Allocation* allocation = s.find(data, 1);
    return allocation && !allocation->pinned;
  };
  bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) to_device = is_device(to), from_device = is_device(from);
  const bool fits = fits_side(s, to, bytes_to, to_device) && fits_side(s, from, bytes_from, from_device);
  return fits ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace

// ---- allocating
// ------------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  return enter([&](State& s) {
    if (!data) return cudaErrorInvalidValue;
    *data = nullptr;
    return bytes == 0 ? cudaSuccess : allocate(s, data, {bytes, current_ordinal(), false, nullptr});
  });
}

cudaError_t cudaFree(void* data) {
  return enter([&](State& s) { return data ? free_memory(s, data, false) : cudaSuccess; });
}

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t stream) {
  return enter([&](State& s) {
    const auto on = s.stream(stream);
    if (!on) return cudaErrorInvalidResourceHandle;
    return allocate_from(s, data, bytes, s.device(on->ordinal).current_pool, stream);
  });
}

cudaError_t cudaMallocFromPoolAsync(void** data, std::size_t bytes, cudaMemPool_t handle,
                                    cudaStream_t stream) {
  return enter([&](State& s) {
    const auto pool = find_pool(s, handle);
    return pool ? allocate_from(s, data, bytes, pool, stream) : cudaErrorInvalidValue;
  });
}

cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  return enter([&](State& s) {
    return s.stream(stream) ? free_memory(s, data, false) : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  return enter([&](State& s) {
    if (!data) return cudaErrorInvalidValue;
    *data = nullptr;
    return bytes == 0 ? cudaSuccess : allocate(s, data, {bytes, current_ordinal(), true, nullptr});
  });
}

cudaError_t cudaMallocHost(void** data, std::size_t bytes) {
  return cudaHostAlloc(data, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* data) {
  return enter([&](State& s) { return data ? free_memory(s, data, true) : cudaSuccess; });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return enter([&](State& s) {
    *total = s.machine.memory;
    *free = s.machine.memory - s.bytes_allocated(current_ordinal());
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  return enter([&](State& s) {
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = cudaInvalidDeviceId;
    const Allocation* allocation = s.find(data, 1);
    if (!allocation) {
      attributes->hostPointer = const_cast<void*>(data);
      return cudaSuccess;
    }
    attributes->type = allocation->pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    attributes->device = allocation->ordinal;
    attributes->devicePointer = const_cast<void*>(data);
    attributes->hostPointer = allocation->pinned ? const_cast<void*>(data) : nullptr;
    return cudaSuccess;
  });
}

// ---- pools
// -----------------------------------------------------------------------------------------------------------

cudaError_t cudaMemPoolCreate(cudaMemPool_t* handle, const cudaMemPoolProps* properties) {
  return enter([&](State& s) {
    if (!handle || !properties || properties->allocType != cudaMemAllocationTypePinned ||
        properties->location.type != cudaMemLocationTypeDevice)
      return cudaErrorInvalidValue;
    const int ordinal = properties->location.id;
    if (ordinal < 0 || ordinal >= s.machine.devices) return cudaErrorInvalidDevice;
    auto pool = std::make_shared<CUmemPoolHandle_st>();
    pool->ordinal = ordinal;
    *handle = pool.get();
    s.pools[*handle] = std::move(pool);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t handle) {
  return enter([&](State& s) {
    const auto at = s.pools.find(handle);
    if (at == s.pools.end()) return cudaErrorInvalidValue;
    for (auto& [ordinal, device] : s.devices)
      if (device.current_pool == at->second) device.current_pool = device.default_pool;
    s.pools.erase(at);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return enter([&](State& s) {
    const auto pool = find_pool(s, handle);
    if (!pool || !value) return cudaErrorInvalidValue;
    switch (attribute) {
      case cudaMemPoolReuseFollowEventDependencies:
      case cudaMemPoolReuseAllowOpportunistic:
      case cudaMemPoolReuseAllowInternalDependencies: return cudaSuccess;
      case cudaMemPoolAttrReleaseThreshold:
        pool->release_threshold = *static_cast<std::uint64_t*>(value);
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh: pool->most_reserved = pool->reserved; break;
      case cudaMemPoolAttrUsedMemHigh: pool->most_used = pool->used; break;
      default: return cudaErrorInvalidValue;
    }
    // The two last can only be set back.
    return *static_cast<std::uint64_t*>(value) == 0 ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return enter([&](State& s) {
    const auto pool = find_pool(s, handle);
    if (!pool || !value) return cudaErrorInvalidValue;
    auto& number = *static_cast<std::uint64_t*>(value);
    switch (attribute) {
      case cudaMemPoolAttrReleaseThreshold: number = pool->release_threshold; return cudaSuccess;
      case cudaMemPoolAttrReservedMemCurrent: number = pool->reserved; return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh: number = pool->most_reserved; return cudaSuccess;
      case cudaMemPoolAttrUsedMemCurrent: number = pool->used; return cudaSuccess;
      case cudaMemPoolAttrUsedMemHigh: number = pool->most_used; return cudaSuccess;
      default: return cudaErrorInvalidValue;
    }
  });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t handle, std::size_t kept) {
  return enter([&](State& s) {
    const auto pool = find_pool(s, handle);
    if (!pool) return cudaErrorInvalidValue;
    pool->reserved = std::max(pool->used, std::min(pool->reserved, kept));
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* handle, int device) {
  return enter([&](State& s) {
    if (device < 0 || device >= s.machine.devices) return cudaErrorInvalidDevice;
    *handle = s.device(device).default_pool.get();
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* handle, int device) {
  return enter([&](State& s) {
    if (device < 0 || device >= s.machine.devices) return cudaErrorInvalidDevice;
    *handle = s.device(device).current_pool.get();
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t handle) {
  return enter([&](State& s) {
    const auto pool = find_pool(s, handle);
    if (device < 0 || device >= s.machine.devices) return cudaErrorInvalidDevice;
    if (!pool || pool->ordinal != device) return cudaErrorInvalidValue;
    s.device(device).current_pool = pool;
    return cudaSuccess;
  });
}

// ---- copying and filling
// ---------------------------------------------------------------------------------------------

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return enter([&](State& s) {
    if (!s.stream(stream)) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    const cudaError_t error = check_copy(s, to, from, bytes, bytes, kind);
    if (error != cudaSuccess) return error;
    if (kind == cudaMemcpyHostToDevice) ++s.uploads;
    if (kind == cudaMemcpyDeviceToHost) s.unwritten_sent += count_unwritten(from, bytes);
    std::memmove(to, from, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t pitch_to, const void* from, std::size_t pitch_from,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return enter([&](State& s) {
    if (!s.stream(stream)) return cudaErrorInvalidResourceHandle;
    if (width > pitch_to || width > pitch_from) return cudaErrorInvalidPitchValue;
    if (width == 0 || height == 0) return cudaSuccess;
    const cudaError_t error =
        check_copy(s, to, from, pitch_to * (height - 1) + width, pitch_from * (height - 1) + width, kind);
    if (error != cudaSuccess) return error;
    for (std::size_t row = 0; row < height; ++row)
      std::memmove(static_cast<char*>(to) + row * pitch_to, static_cast<const char*>(from) + row * pitch_from,
                   width);
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy2D(void* to, std::size_t pitch_to, const void* from, std::size_t pitch_from,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return cudaMemcpy2DAsync(to, pitch_to, from, pitch_from, width, height, kind, nullptr);
}

cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  return enter([&](State& s) {
    if (!s.stream(stream)) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    if (!s.find(data, bytes)) return cudaErrorInvalidValue;
    std::memset(data, value, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMemset(void* data, int value, std::size_t bytes) {
  return cudaMemsetAsync(data, value, bytes, nullptr);
}
