// A build without CUDA: there is no GPU, and this is why.
#include "cuda/environment.h"

namespace optnet::cuda {
namespace {

// Why, as the build found it (cmake/cuda.cmake).
constexpr const char* kReason = "this build of optnet has no CUDA backend: " OPTNET_CUDA_ABSENT;

}  // namespace

std::vector<DeviceInfo> devices(bool) {
  DeviceInfo none;
  none.reason = kReason;
  none.obstacle = Obstacle::kNoBackend;
  return {none};
}

Failure CudaDevice::create(int, ThreadPool&, std::shared_ptr<CudaDevice>&) {
  Failure failure{Failure::Code::kDevice};
  failure.message = kReason;
  return failure;
}

}  // namespace optnet::cuda
