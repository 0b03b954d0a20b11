#include "cuda/library_routines.h"

namespace optnet::cuda {

namespace {

/// What CUDA calls it; where a kernel could not be launched, CUDA's own error.
cudaError_t error_of(bool no_memory, bool not_launched) {
  if (no_memory) return cudaErrorMemoryAllocation;
  const cudaError_t last = not_launched ? cudaPeekAtLastError() : cudaSuccess;
  return last == cudaSuccess ? cudaErrorUnknown : last;
}

}  // namespace

void LibraryOutcome::check(const Libraries& libraries, cublasStatus_t status) {
  if (error != cudaSuccess || status == CUBLAS_STATUS_SUCCESS) return;
  error = error_of(status == CUBLAS_STATUS_ALLOC_FAILED, status == CUBLAS_STATUS_EXECUTION_FAILED);
  message = describe(libraries, status);
}

void LibraryOutcome::check(const Libraries& libraries, cusolverStatus_t status) {
  if (error != cudaSuccess || status == CUSOLVER_STATUS_SUCCESS) return;
  error = error_of(status == CUSOLVER_STATUS_ALLOC_FAILED, status == CUSOLVER_STATUS_EXECUTION_FAILED);
  message = describe(libraries, status);
}

}  // namespace optnet::cuda
