// A build without the path over cuBLAS and cuSOLVER.
#include "cuda/library_path.h"

namespace optnet::cuda {

Failure make_library_kernels(int, std::unique_ptr<Kernels>&) {
  Failure failure{Failure::Code::kDevice};
  failure.message = "problems of this size need cuBLAS and cuSOLVER, which this build of optnet cannot use";
  return failure;
}

}  // namespace optnet::cuda
