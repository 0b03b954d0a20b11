// Handles of cuBLAS and cuSOLVER. The libraries promise the same bits again only for one handle on one stream
// with a workspace of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "cuda/libraries.h"

namespace optnet::cuda {

/// One handle of each library, of the GPU that was current when they were made, on one stream at a time. Used
/// by one thread at a time.
class LibraryHandles {
 public:
  /// What NVIDIA recommends for its largest GPUs; a smaller one may make products slower.
  static constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

  /// `workspace`: memory of the GPU, aligned to 256 bytes, that outlives the handles. Fails with kDevice.
  static Failure create(std::shared_ptr<const Libraries> libraries, cudaStream_t stream, void* workspace,
                        std::size_t workspace_bytes, std::unique_ptr<LibraryHandles>& out);
  /// Moves them to another stream and workspace. Empty, or why not.
  std::string move(cudaStream_t stream, void* workspace, std::size_t workspace_bytes);
  ~LibraryHandles();
  LibraryHandles(const LibraryHandles&) = delete;
  LibraryHandles& operator=(const LibraryHandles&) = delete;

  const Libraries& libraries() const { return *libraries_; }
  cublasHandle_t blas() const { return blas_; }
  cusolverDnHandle_t solver() const { return solver_; }

 private:
  explicit LibraryHandles(std::shared_ptr<const Libraries> libraries) : libraries_(std::move(libraries)) {}
  std::string open();

  std::shared_ptr<const Libraries> libraries_;
  cublasHandle_t blas_ = nullptr;
  cusolverDnHandle_t solver_ = nullptr;
};

/// Why a call failed, as "cuBLAS: <text>" or "cuSOLVER: <text>".
std::string describe(const Libraries& libraries, cublasStatus_t status);
std::string describe(const Libraries& libraries, cusolverStatus_t status);

}  // namespace optnet::cuda
