#include "emulation/launch.h"

#include "emulation/block.h"

namespace optnet::emulation {

cudaError_t launch_erased(const ErasedKernel& kernel, dim3 grid, dim3 block, std::size_t shared_bytes,
                          cudaStream_t) {
  run_grid(grid, block, shared_bytes, kernel.run, &kernel);
  return cudaSuccess;
}

}  // namespace optnet::emulation
