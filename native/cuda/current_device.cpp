#include "cuda/current_device.h"

#include <dlfcn.h>

namespace optnet::cuda {
namespace {

/// Asks the driver, which is loaded by the time that it matters: the runtime has no such question.
bool thread_has_context() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (!driver) return false;
  using GetCurrent = int (*)(void** context);
  const auto get_current = reinterpret_cast<GetCurrent>(dlsym(driver, "cuCtxGetCurrent"));
  void* context = nullptr;
  const bool has = get_current && get_current(&context) == 0 && context;
  dlclose(driver);
  return has;
}

}  // namespace

CurrentDevice::CurrentDevice(int ordinal) {
  int before = 0;
  error_ = cudaGetDevice(&before);
  if (error_ != cudaSuccess || before == ordinal) return;
  if (thread_has_context()) before_ = before;
  error_ = cudaSetDevice(ordinal);
}

CurrentDevice::~CurrentDevice() {
  if (before_ >= 0) ignore(cudaSetDevice(before_));
}

}  // namespace optnet::cuda
