#include "cuda/environment.h"

#include <algorithm>
#include <cstdio>

#include "cuda/check.h"
#include "cuda/copy_call.h"
#include "cuda/current_device.h"
#include "cuda/data_kernels.h"
#include "cuda/gpu.h"
#include "cuda/libraries.h"
#include "cuda/nvml.h"
#include "cuda/solution.h"

namespace optnet::cuda {
namespace {

constexpr int kOldestMajor = 7, kOldestMinor = 5;  // compute capability, of what nvcc 13 compiles for

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

struct Hindrance {
  Obstacle obstacle = Obstacle::kNone;
  std::string reason;
};

/// Why there are no GPUs to count.
Hindrance reason_for_none(cudaError_t error, int driver, int runtime) {
  if (driver == 0) return {Obstacle::kNoDriver, "no NVIDIA driver was found"};
  switch (error) {
    case cudaSuccess:
    case cudaErrorNoDevice: return {Obstacle::kNoGpu, "the NVIDIA driver finds no GPU that it may use"};
    case cudaErrorInsufficientDriver:
      return {Obstacle::kDriverTooOld, "the NVIDIA driver supports CUDA " + version(driver) +
                                           ", this build needs " + version(runtime) + ": update it"};
    default:
      return {Obstacle::kDriverFails, std::string("the NVIDIA driver does not start: ") +
                                          cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")"};
  }
}

/// Why a GPU that answers cannot be used, if so.
Hindrance reason_against(const cudaDeviceProp& properties, const std::string& compute_capability,
                         int ordinal) {
  int mode = cudaComputeModeDefault;
  ignore(cudaDeviceGetAttribute(&mode, cudaDevAttrComputeMode, ordinal));
  const bool too_old = properties.major < kOldestMajor ||
                       (properties.major == kOldestMajor && properties.minor < kOldestMinor);
  if (too_old) {
    return {Obstacle::kTooOld, "the GPU is too old: it has compute capability " + compute_capability +
                                   ", and " + std::to_string(kOldestMajor) + "." +
                                   std::to_string(kOldestMinor) + " is the oldest that works"};
  }
  if (mode == cudaComputeModeProhibited) {
    return {Obstacle::kForbidden, "the GPU's administrator has forbidden computing on it"};
  }
  return {};
}

DeviceInfo describe(int ordinal, int driver, int runtime) {
  DeviceInfo info;
  info.ordinal = ordinal;
  info.driver_version = driver;
  info.runtime_version = runtime;
  cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, ordinal);
  ignore(error);
  if (error != cudaSuccess) {
    info.obstacle = Obstacle::kNoAnswer;
    info.reason = std::string("the GPU does not answer: ") + cudaGetErrorString(error) + " (" +
                  cudaGetErrorName(error) + ")";
    return info;
  }
  info.name = properties.name;
  info.compute_capability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  info.total_memory = properties.totalGlobalMem;
  char bus[32];
  std::snprintf(bus, sizeof bus, "%08X:%02X:%02X.0", static_cast<unsigned>(properties.pciDomainID),
                static_cast<unsigned>(properties.pciBusID), static_cast<unsigned>(properties.pciDeviceID));
  info.free_memory = free_memory(bus);
  const Hindrance hindrance = reason_against(properties, info.compute_capability, ordinal);
  info.obstacle = hindrance.obstacle;
  info.reason = hindrance.reason;
  info.usable = hindrance.obstacle == Obstacle::kNone;
  return info;
}

class OwnedArray final : public DeviceArray {
 public:
  OwnedArray(std::shared_ptr<Gpu> gpu, DeviceMemory memory, std::size_t bytes)
      : gpu_(std::move(gpu)), memory_(std::move(memory)), bytes_(bytes) {}
  void* data() const override { return memory_.data(); }
  std::size_t bytes() const override { return bytes_; }
  int ordinal() const override { return gpu_->ordinal(); }

 private:
  std::shared_ptr<Gpu> gpu_;
  DeviceMemory memory_;
  std::size_t bytes_;
};

class OpenDevice final : public CudaDevice {
 public:
  explicit OpenDevice(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}

  Failure solve(const Problem& problem, const Settings& settings, const Results& results,
                std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                std::shared_ptr<Call>& call) override {
    return CudaSolution::create(gpu_, problem, settings, results, std::move(control), solution, call);
  }

  Failure allocate(std::size_t bytes, std::shared_ptr<DeviceArray>& out) override {
    const CurrentDevice current(gpu_->ordinal());
    OPTNET_TRY(current.failure());
    DeviceMemory memory;
    OPTNET_TRY(gpu_->heap().allocate(bytes, memory));
    OPTNET_TRY(gpu_->heap().settle());
    out = std::make_shared<OwnedArray>(gpu_, std::move(memory), bytes);
    return {};
  }

  using CudaDevice::upload;
  Failure upload(const void* from, std::size_t bytes, void* to, std::shared_ptr<Call>& out) override {
    return UploadCall::create(gpu_, from, bytes, to, out);
  }

  Failure download(const void* from, std::size_t bytes, void* to, std::shared_ptr<Call>& out) override {
    out = std::make_shared<DownloadCall>(gpu_, from, bytes, to);
    return {};
  }

  Failure check_pointer(const void* data, std::size_t bytes) const override {
    const CurrentDevice current(gpu_->ordinal());
    OPTNET_TRY(current.failure());
    const auto* first = static_cast<const std::byte*>(data);
    for (const std::byte* at : {first, first + (bytes > 0 ? bytes - 1 : 0)}) {
      cudaPointerAttributes attributes{};
      OPTNET_CUDA(cudaPointerGetAttributes(&attributes, at));
      const bool on_device =
          attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
      if (on_device && attributes.device == gpu_->ordinal()) continue;
      Failure failure{Failure::Code::kDevice};
      failure.message = on_device ? "the pointer is to memory of cuda:" + std::to_string(attributes.device) +
                                        ", not of cuda:" + std::to_string(gpu_->ordinal())
                                  : "the pointer is not to memory of a GPU";
      return failure;
    }
    return {};
  }

  std::size_t bytes_held() const override {
    const CurrentDevice current(gpu_->ordinal());
    return gpu_->heap().bytes_held();
  }

 private:
  std::shared_ptr<Gpu> gpu_;
};

}  // namespace

std::vector<DeviceInfo> devices(bool look_for_libraries) {
  int driver = 0, runtime = 0, count = 0;
  ignore(cudaDriverGetVersion(&driver));
  ignore(cudaRuntimeGetVersion(&runtime));
  const cudaError_t error = cudaGetDeviceCount(&count);
  ignore(error);
  std::vector<DeviceInfo> found;
  for (int ordinal = 0; error == cudaSuccess && ordinal < count; ++ordinal) {
    found.push_back(describe(ordinal, driver, runtime));
  }
  if (found.empty()) {
    DeviceInfo none;
    none.driver_version = driver;
    none.runtime_version = runtime;
    const Hindrance hindrance = reason_for_none(error, driver, runtime);
    none.obstacle = hindrance.obstacle;
    none.reason = hindrance.reason;
    found.push_back(none);
  }
  std::string missing;
  std::vector<LibraryFile> loaded;
  std::shared_ptr<const Libraries> libraries;
  const bool any_usable =
      std::any_of(found.begin(), found.end(), [](const DeviceInfo& info) { return info.usable; });
  if (look_for_libraries && any_usable) missing = load_libraries(libraries, &loaded).message;
  const std::string release = driver == 0 ? "" : driver_release();
  for (DeviceInfo& info : found) {
    info.driver_release = release;
    info.libraries = info.usable ? missing : "";
    if (info.usable) info.loaded = loaded;
  }
  return found;
}

Failure CudaDevice::create(int ordinal, ThreadPool& pool, std::shared_ptr<CudaDevice>& out) {
  Failure failure{Failure::Code::kDevice};
  int driver = 0, runtime = 0, count = 0;
  ignore(cudaDriverGetVersion(&driver));
  ignore(cudaRuntimeGetVersion(&runtime));
  const cudaError_t error = cudaGetDeviceCount(&count);
  ignore(error);
  if (error != cudaSuccess || count == 0) {
    failure.message = reason_for_none(error, driver, runtime).reason;
    return failure;
  }
  if (ordinal >= count) {
    failure.message =
        "there is no cuda:" + std::to_string(ordinal) + ": " +
        (count == 1 ? "the only GPU is cuda:0" : "the last GPU is cuda:" + std::to_string(count - 1));
    return failure;
  }
  const DeviceInfo info = describe(ordinal, driver, runtime);
  if (!info.usable) {
    failure.message = info.reason;
    return failure;
  }
  const CurrentDevice current(ordinal);
  OPTNET_TRY(current.failure());
  const cudaError_t kernels = find_kernels();
  ignore(kernels);
  if (kernels == cudaErrorNoKernelImageForDevice || kernels == cudaErrorInvalidDeviceFunction) {
    failure.message = "this build of optnet has no kernels for " + info.name + " (compute capability " +
                      info.compute_capability + ")";
    return failure;
  }
  OPTNET_TRY(failure_of(kernels, "cudaFuncGetAttributes"));
  std::shared_ptr<Gpu> gpu;
  OPTNET_TRY(Gpu::create(ordinal, pool, gpu));
  out = std::make_shared<OpenDevice>(std::move(gpu));
  return {};
}

}  // namespace optnet::cuda
