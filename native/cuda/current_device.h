// The GPU that a thread's CUDA calls are about.
#pragma once

#include "cuda/check.h"

namespace optnet::cuda {

/// Makes a GPU the calling thread's current one, and the one before it again at the end of the scope, where
/// the thread had one: going back to GPU 0 only because it is the default would make a context there, which
/// takes hundreds of megabytes.
class CurrentDevice {
 public:
  explicit CurrentDevice(int ordinal);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  Failure failure() const { return failure_of(error_, "cudaSetDevice"); }

 private:
  cudaError_t error_ = cudaSuccess;
  int before_ = -1;
};

}  // namespace optnet::cuda
