#include "cuda/gpu.h"

#include "cuda/check.h"
#include "cuda/current_device.h"
#include "cuda/library_path.h"

namespace optnet::cuda {
namespace {

Failure read_attribute(cudaDeviceAttr attribute, int ordinal, int& value) {
  OPTNET_CUDA(cudaDeviceGetAttribute(&value, attribute, ordinal));
  return {};
}

}  // namespace

Failure Gpu::create(int ordinal, ThreadPool& pool, std::shared_ptr<Gpu>& out) {
  const CurrentDevice current(ordinal);
  OPTNET_TRY(current.failure());
  const std::shared_ptr<Gpu> gpu(new Gpu(ordinal, pool));
  OPTNET_TRY(gpu->set_up());
  out = gpu;
  return {};
}

Failure Gpu::set_up() {
  int shared = 0;
  OPTNET_TRY(read_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal_, shared));
  OPTNET_TRY(read_attribute(cudaDevAttrMaxThreadsPerBlock, ordinal_, limits_.threads_per_block));
  limits_.shared_memory_per_block = static_cast<std::size_t>(shared);
  OPTNET_TRY(Heap::create(ordinal_, heap_));
  staging_ = std::make_unique<Staging>();
  streams_ = std::make_unique<StreamPool>();
  return {};
}

Gpu::~Gpu() {
  const CurrentDevice current(ordinal_);
  streams_.reset();
  library_kernels_.reset();
  staging_.reset();
  heap_.reset();
}

Failure Gpu::kernels(const Plan& plan, const Kernels*& out) {
  if (plan.tier != Tier::kLibrary) {
    out = &fused_kernels(plan.precision);
    return {};
  }
  const std::lock_guard lock(mutex_);
  if (!library_kernels_) OPTNET_TRY(make_library_kernels(ordinal_, library_kernels_));
  out = library_kernels_.get();
  return {};
}

}  // namespace optnet::cuda
