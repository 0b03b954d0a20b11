#include "cuda/memory.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "cuda/check.h"
#include "cuda/current_device.h"

namespace optnet::cuda {
namespace {

constexpr std::size_t kUnit = 256;        // what sizes are rounded up to
constexpr std::size_t kPartOfMemory = 4;  // 1 / this may be kept unused

}  // namespace

DeviceMemory::~DeviceMemory() {
  if (data_) heap_->give_back(data_, bytes_);
}

Failure Heap::create(int ordinal, std::shared_ptr<Heap>& out) {
  const std::shared_ptr<Heap> heap(new Heap(ordinal));
  OPTNET_TRY(heap->set_up());
  out = heap;
  return {};
}

Failure Heap::set_up() {
  std::size_t free = 0, total = 0;
  OPTNET_CUDA(cudaMemGetInfo(&free, &total));
  most_kept_ = total / kPartOfMemory;
  int pools = 0;
  OPTNET_CUDA(cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, ordinal_));
  if (!pools) return {};
  OPTNET_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  OPTNET_CUDA(cudaEventCreateWithFlags(&allocated_, cudaEventDisableTiming));
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, ordinal_};
  OPTNET_CUDA(cudaMemPoolCreate(&pool_, &properties));
  std::uint64_t threshold = most_kept_;
  OPTNET_CUDA(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &threshold));
  return {};
}

Heap::~Heap() {
  const CurrentDevice current(ordinal_);
  std::erase_if(not_freed_, [this](void* data) { return let_go(data); });
  trim();
  if (stream_) ignore(cudaStreamSynchronize(stream_));
  if (pool_) ignore(cudaMemPoolDestroy(pool_));
  if (allocated_) ignore(cudaEventDestroy(allocated_));
  if (stream_) ignore(cudaStreamDestroy(stream_));
}

Failure Heap::allocate(std::size_t bytes, DeviceMemory& out) {
  out = DeviceMemory();
  if (bytes == 0) return {};
  if (bytes > SIZE_MAX - kUnit) return out_of_memory(bytes);
  const CurrentDevice current(ordinal_);
  OPTNET_TRY(current.failure());
  const std::size_t size = (bytes + kUnit - 1) / kUnit * kUnit;
  const std::lock_guard lock(mutex_);
  std::erase_if(not_freed_, [this](void* data) { return let_go(data); });
  void* data = nullptr;
  cudaError_t error = take(size, &data);
  if (error == cudaErrorMemoryAllocation) {  // what is kept may lie in pieces that are too small
    ignore(error);
    trim();
    error = take(size, &data);
  }
  if (error == cudaErrorMemoryAllocation) {
    ignore(error);
    return out_of_memory(bytes);
  }
  if (Failure failure = failure_of(error, pool_ ? "cudaMallocFromPoolAsync" : "cudaMalloc")) return failure;
  used_ += size;
  out.heap_ = shared_from_this();
  out.data_ = static_cast<std::byte*>(data);
  out.bytes_ = size;
  return {};
}

cudaError_t Heap::take(std::size_t bytes, void** data) {
  if (pool_) return cudaMallocFromPoolAsync(data, bytes, pool_, stream_);
  if (const auto found = free_.find(bytes); found != free_.end()) {
    *data = found->second;
    free_.erase(found);
    free_bytes_ -= bytes;
    return cudaSuccess;
  }
  return cudaMalloc(data, bytes);
}

void Heap::give_back(std::byte* data, std::size_t bytes) {
  const CurrentDevice current(ordinal_);
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
  if (!pool_ && free_bytes_ + bytes <= most_kept_) {
    free_.emplace(bytes, data);
    free_bytes_ += bytes;
  } else if (!let_go(data)) {
    not_freed_.push_back(data);
  }
}

/// False where the driver refuses, because the context is in an error state.
bool Heap::let_go(void* data) {
  const cudaError_t error = pool_ ? cudaFreeAsync(data, stream_) : cudaFree(data);
  ignore(error);
  return error == cudaSuccess;
}

/// Gives what is kept back to the GPU.
void Heap::trim() {
  if (pool_) {
    ignore(cudaStreamSynchronize(stream_));
    ignore(cudaMemPoolTrimTo(pool_, 0));
  }
  for (const auto& [size, data] : free_) {
    if (!let_go(data)) not_freed_.push_back(data);
  }
  free_.clear();
  free_bytes_ = 0;
}

Failure Heap::order(cudaStream_t stream) {
  if (!pool_) return {};
  const std::lock_guard lock(mutex_);
  OPTNET_CUDA(cudaEventRecord(allocated_, stream_));
  OPTNET_CUDA(cudaStreamWaitEvent(stream, allocated_, 0));
  return {};
}

Failure Heap::settle() {
  if (pool_) OPTNET_CUDA(cudaStreamSynchronize(stream_));
  return {};
}

std::size_t Heap::kept() {
  if (!pool_) return free_bytes_;
  std::uint64_t reserved = 0;
  ignore(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved));
  return std::max<std::size_t>(reserved, used_) - used_;
}

std::size_t Heap::bytes_kept() {
  const std::lock_guard lock(mutex_);
  return kept();
}

Failure Heap::available(std::size_t& bytes) {
  std::size_t free = 0, total = 0;
  OPTNET_CUDA(cudaMemGetInfo(&free, &total));
  const std::lock_guard lock(mutex_);
  bytes = free + kept();
  return {};
}

std::size_t Heap::bytes_held() {
  const std::lock_guard lock(mutex_);
  return used_ + kept();
}

Failure Heap::out_of_memory(std::size_t bytes) const {
  Failure failure{Failure::Code::kMemory};
  failure.bytes = bytes;
  failure.message = "the memory of cuda:" + std::to_string(ordinal_);
  return failure;
}

}  // namespace optnet::cuda
