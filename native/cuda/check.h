// Every call of CUDA's is checked: what failed becomes a Failure that names the call, the error and what it
// means.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/problem.h"

namespace optnet::cuda {

/// The Failure for `error` (none for cudaSuccess), kMemory where memory ran out, kDevice otherwise. `call` is
/// the text of the call. CUDA's record of the thread's last error is cleared: the next call starts afresh,
/// unless the error is one after which the process's CUDA context is lost.
Failure failure_of(cudaError_t error, const char* call);

/// The same for a call of `kernels`, with what a library said.
class Kernels;
Failure failure_of(cudaError_t error, const char* call, const Kernels& kernels);

/// Whether CUDA answers every later call in this process with the same error. Nothing brings such a context
/// back but cudaDeviceReset, which would pull it away from all others who use the GPU in this process.
bool context_is_lost(cudaError_t error);

/// What is left to do about an error while cleaning up: clear CUDA's record of it.
inline void ignore(cudaError_t error) {
  if (error != cudaSuccess) (void)cudaGetLastError();
}

}  // namespace optnet::cuda

/// Returns from the enclosing function, which returns a Failure, if the call fails.
#define OPTNET_CUDA(call)                                                                        \
  do {                                                                                           \
    if (::optnet::Failure failure_ = ::optnet::cuda::failure_of((call), #call)) return failure_; \
  } while (false)

/// The same for a function of `kernels`, a Kernels*: OPTNET_KERNELS(kernels, solve(…)).
#define OPTNET_KERNELS(kernels, call)                                                                \
  do {                                                                                               \
    if (::optnet::Failure failure_ = ::optnet::cuda::failure_of((kernels)->call, #call, *(kernels))) \
      return failure_;                                                                               \
  } while (false)

/// The same for a call that returns a Failure itself.
#define OPTNET_TRY(call)                                      \
  do {                                                        \
    if (::optnet::Failure failure_ = (call)) return failure_; \
  } while (false)
