// Launching kernels without nvcc's <<<>>>, so that any compiler can compile what launches them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <type_traits>

#ifdef OPTNET_EMULATED
#include "emulation/launch.h"
#endif

namespace optnet::cuda {

/// Queues a kernel, which takes one argument by value. More than 48 KB of shared memory must have been
/// allowed for this kernel by cudaFuncSetAttribute.
template <class Argument>
cudaError_t launch(void (*kernel)(Argument), dim3 grid, dim3 block, std::size_t shared_bytes,
                   cudaStream_t stream, const std::type_identity_t<Argument>& argument) {
#ifdef OPTNET_EMULATED
  return emulation::launch(kernel, grid, block, shared_bytes, stream, argument);
#else
  void* arguments[] = {const_cast<Argument*>(&argument)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, shared_bytes,
                          stream);
#endif
}

}  // namespace optnet::cuda
