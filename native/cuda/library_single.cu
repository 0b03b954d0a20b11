// The kernels of the path over cuBLAS and cuSOLVER in float32.
#include "cuda/library_kernels.h"

namespace optnet::cuda {

const LibraryInstance& library_single(const Plan& plan) { return library_instance_of<float>(plan); }

}  // namespace optnet::cuda
