// The kernels of the path over cuBLAS and cuSOLVER in float64; those of mixed precision too.
#include "cuda/library_kernels.h"

namespace optnet::cuda {

const LibraryInstance& library_double(const Plan& plan) { return library_instance_of<double>(plan); }

}  // namespace optnet::cuda
