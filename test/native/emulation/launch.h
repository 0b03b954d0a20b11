// native/cuda/launch.h's launch, emulated.
#pragma once

#include <driver_types.h>

#include <cstddef>

namespace optnet::emulation {

/// A kernel and its argument, of any type.
struct ErasedKernel {
  const void* function;  ///< what cudaFuncSetAttribute knows it by
  const void* argument;
  void (*run)(const void* kernel);  ///< takes an ErasedKernel
};
cudaError_t launch_erased(const ErasedKernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes,
                          cudaStream_t stream);

/// The kernel has run to its end when this returns.
template <class Argument>
cudaError_t launch(void (*kernel)(Argument), dim3 grid, dim3 block, std::size_t shared_bytes,
                   cudaStream_t stream, const Argument& argument) {
  const auto run = [](const void* erased) {
    const auto& [function, argument, self] = *static_cast<const ErasedKernel*>(erased);
    reinterpret_cast<void (*)(Argument)>(const_cast<void*>(function))(
        *static_cast<const Argument*>(argument));
  };
  return launch_erased({reinterpret_cast<const void*>(kernel), &argument, run}, grid, block, shared_bytes,
                       stream);
}

}  // namespace optnet::emulation
