// In place of native/cuda/library_path.cpp, where the libraries' headers are not: tests of what is too large
// for other kernels are left out.
#include "cuda/library_path.h"

namespace optnet::cuda {

Failure make_library_kernels(int, std::unique_ptr<Kernels>&) {
  Failure failure{Failure::Code::kDevice};
  failure.message =
      "problems of this size need cuBLAS and cuSOLVER, whose headers were missing when this was built";
  return failure;
}

}  // namespace optnet::cuda
