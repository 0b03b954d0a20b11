// In place of native/cuda/libraries.cpp, where the CUDA runtime is emulated too: the libraries are the
// doubles.
#include <cuda_runtime_api.h>

#include "emulation/libraries.h"
#include "emulation/machine.h"

namespace optnet::cuda {
namespace {

/// Of a lost device nothing can be said.
std::optional<bool> is_device_pointer(const void* address) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, address) != cudaSuccess) return std::nullopt;
  return attributes.type == cudaMemoryTypeDevice;
}

int current_device() {
  int device = -1;
  cudaGetDevice(&device);
  return device;
}

}  // namespace

/// Work is done when it is called for, as the emulated runtime does it. What is wrong aborts the process.
Failure load_libraries(std::shared_ptr<const Libraries>& out, std::vector<LibraryFile>* files) {
  static const bool set = [] {
    emulation::LibraryHooks hooks;
    hooks.is_device_pointer = is_device_pointer;
    hooks.current_device = current_device;
    emulation::set_library_hooks(hooks);
    return true;
  }();
  if (!emulation::machine().libraries) {
    Failure failure{Failure::Code::kDevice};
    failure.message = "cuBLAS could not be loaded: the emulated machine has none";
    return failure;
  }
  out = set ? emulation::emulated_libraries() : nullptr;
  if (out && files) {
    files->push_back({"cuBLAS", "/emulated/libcublas.so", library_version(out->get_blas_property)});
    files->push_back({"cuSOLVER", "/emulated/libcusolver.so", library_version(out->get_solver_property)});
  }
  return {};
}

}  // namespace optnet::cuda
