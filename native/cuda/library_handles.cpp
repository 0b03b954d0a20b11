#include "cuda/library_handles.h"

#include <utility>

namespace optnet::cuda {

Failure LibraryHandles::create(std::shared_ptr<const Libraries> libraries, cudaStream_t stream,
                               void* workspace, std::size_t workspace_bytes,
                               std::unique_ptr<LibraryHandles>& out) {
  std::unique_ptr<LibraryHandles> handles(new LibraryHandles(std::move(libraries)));
  Failure failure;
  failure.message = handles->open();
  if (failure.message.empty()) failure.message = handles->move(stream, workspace, workspace_bytes);
  if (failure.message.empty()) {
    out = std::move(handles);
  } else {
    failure.code = Failure::Code::kDevice;
  }
  return failure;
}

/// Empty, or why not.
std::string LibraryHandles::open() {
  const Libraries& l = *libraries_;
  if (const cublasStatus_t status = l.create_blas(&blas_); status != CUBLAS_STATUS_SUCCESS) {
    return describe(l, status);
  }
  const cusolverStatus_t status = l.create_solver(&solver_);
  return status == CUSOLVER_STATUS_SUCCESS ? "" : describe(l, status);
}

std::string LibraryHandles::move(cudaStream_t stream, void* workspace, std::size_t workspace_bytes) {
  const Libraries& l = *libraries_;
  cublasStatus_t blas = l.set_blas_stream(blas_, stream);
  // In this order: a change of stream puts the workspace back to the library's own.
  if (blas == CUBLAS_STATUS_SUCCESS) blas = l.set_blas_workspace(blas_, workspace, workspace_bytes);
  if (blas != CUBLAS_STATUS_SUCCESS) return describe(l, blas);
  const cusolverStatus_t solver = l.set_solver_stream(solver_, stream);
  return solver == CUSOLVER_STATUS_SUCCESS ? "" : describe(l, solver);
}

LibraryHandles::~LibraryHandles() {
  if (solver_) libraries_->destroy_solver(solver_);
  if (blas_) libraries_->destroy_blas(blas_);
}

std::string describe(const Libraries& libraries, cublasStatus_t status) {
  return std::string("cuBLAS: ") + libraries.get_blas_status_string(status);
}

std::string describe(const Libraries&, cusolverStatus_t status) {  // which has no such function
  const char* text = "error";
  switch (status) {
    case CUSOLVER_STATUS_SUCCESS: text = "success"; break;
    case CUSOLVER_STATUS_NOT_INITIALIZED: text = "the library was not initialized"; break;
    case CUSOLVER_STATUS_ALLOC_FAILED: text = "the resource allocation failed"; break;
    case CUSOLVER_STATUS_INVALID_VALUE: text = "an unsupported value or parameter was passed"; break;
    case CUSOLVER_STATUS_ARCH_MISMATCH: text = "the GPU's architecture is not supported"; break;
    case CUSOLVER_STATUS_EXECUTION_FAILED: text = "the GPU program failed to execute"; break;
    case CUSOLVER_STATUS_INTERNAL_ERROR: text = "an internal operation failed"; break;
    default: break;
  }
  return "cuSOLVER: " + std::string(text) + " (" + std::to_string(static_cast<int>(status)) + ")";
}

}  // namespace optnet::cuda
