#include "cuda/library_routines.h"

namespace optnet::cuda {

void LibraryOutcome::check(const Libraries& libraries, cublasStatus_t status) {
  if (error != cudaSuccess || status == CUBLAS_STATUS_SUCCESS) return;
  error = status == CUBLAS_STATUS_ALLOC_FAILED       ? cudaErrorMemoryAllocation
          : status == CUBLAS_STATUS_EXECUTION_FAILED ? cudaErrorLaunchFailure
                                                     : cudaErrorUnknown;
  message = describe(libraries, status);
}

void LibraryOutcome::check(const Libraries& libraries, cusolverStatus_t status) {
  if (error != cudaSuccess || status == CUSOLVER_STATUS_SUCCESS) return;
  error = status == CUSOLVER_STATUS_ALLOC_FAILED       ? cudaErrorMemoryAllocation
          : status == CUSOLVER_STATUS_EXECUTION_FAILED ? cudaErrorLaunchFailure
                                                       : cudaErrorUnknown;
  message = describe(libraries, status);
}

}  // namespace optnet::cuda
