#include "cuda/check.h"

#include <cstring>

#include "cuda/kernels.h"

namespace optnet::cuda {

bool context_is_lost(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice: return true;
    default: return false;
  }
}

Failure failure_of(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return {};
  ignore(error);
  Failure failure;
  failure.code = error == cudaErrorMemoryAllocation ? Failure::Code::kMemory : Failure::Code::kDevice;
  if (failure.code == Failure::Code::kMemory) {
    int ordinal = 0;
    ignore(cudaGetDevice(&ordinal));
    failure.message = "the memory of cuda:" + std::to_string(ordinal);
    return failure;
  }
  failure.message.assign(call, std::strcspn(call, "("));
  failure.message +=
      std::string(" failed with ") + cudaGetErrorName(error) + ": " + cudaGetErrorString(error);
  if (context_is_lost(error)) {
    failure.message +=
        "; CUDA serves no more calls on this GPU in this process, only a new process can use it";
  }
  return failure;
}

Failure failure_of(cudaError_t error, const char* call, const Kernels& kernels) {
  Failure failure = failure_of(error, call);
  if (failure.code == Failure::Code::kDevice) {
    if (const std::string said = kernels.last_error(); !said.empty()) failure.message += " (" + said + ")";
  }
  return failure;
}

}  // namespace optnet::cuda
