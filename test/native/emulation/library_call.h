// What every routine of the doubles does: takes a handle, checks its arguments, and puts its work into a
// stream.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "emulation/libraries.h"

namespace optnet::emulation {

/// What stands behind a cublasHandle_t or a cusolverDnHandle_t.
struct Handle {
  bool blas = false;
  int device = 0;
  cudaStream_t stream = nullptr;
  bool has_stream = false;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  std::atomic<bool> busy{false};
};

const LibraryHooks& library_hooks();
[[noreturn]] void violation(const std::string& message);
void record_library_call(const std::string& call);

/// Which routine, and what its arguments must be.
class Arguments {
 public:
  explicit Arguments(std::string routine) : routine_(std::move(routine)), log_(routine_) {}

  const std::string& log() const { return log_; }
  void note(const std::string& text) { log_ += " " + text; }

  void require(bool ok, const std::string& what) const {
    if (!ok) violation(routine_ + ": " + what);
  }
  void size(const std::string& name, int value) {
    require(value >= 0, name + " = " + std::to_string(value) + " is negative");
    note(name + "=" + std::to_string(value));
  }
  void leading_dimension(const std::string& name, int ld, int rows) const {
    const int least = std::max(1, rows);
    require(ld >= least, name + " = " + std::to_string(ld) + " is less than " + std::to_string(least));
  }
  bool transposed(const std::string& name, cublasOperation_t op) {
    require(op == CUBLAS_OP_N || op == CUBLAS_OP_T || op == CUBLAS_OP_C, name + " is no operation");
    note(op == CUBLAS_OP_N ? "N" : "T");
    return op != CUBLAS_OP_N;
  }
  bool lower(cublasFillMode_t uplo) {
    require(uplo == CUBLAS_FILL_MODE_LOWER || uplo == CUBLAS_FILL_MODE_UPPER, "uplo is no triangle");
    note(uplo == CUBLAS_FILL_MODE_LOWER ? "lower" : "upper");
    return uplo == CUBLAS_FILL_MODE_LOWER;
  }
  bool left(cublasSideMode_t side) {
    require(side == CUBLAS_SIDE_LEFT || side == CUBLAS_SIDE_RIGHT, "side is no side");
    note(side == CUBLAS_SIDE_LEFT ? "left" : "right");
    return side == CUBLAS_SIDE_LEFT;
  }
  bool unit_diagonal(cublasDiagType_t diag) {
    require(diag == CUBLAS_DIAG_UNIT || diag == CUBLAS_DIAG_NON_UNIT, "diag is no diagonal");
    if (diag == CUBLAS_DIAG_UNIT) note("unit");
    return diag == CUBLAS_DIAG_UNIT;
  }

  /// `count` elements of device memory.
  template <class T>
  void device(const std::string& name, T* data, std::ptrdiff_t count) const {
    if (count <= 0) return;
    address(name, data);
    const auto& is_device = library_hooks().is_device_pointer;
    if (!is_device) return;
    require(is_device(data).value_or(true), name + " is not in device memory");
    require(is_device(reinterpret_cast<const char*>(data + count) - 1).value_or(true),
            name + " ends outside device memory");
  }
  template <class T>
  void host(const std::string& name, T* data) const {
    address(name, data);
    const auto& is_device = library_hooks().is_device_pointer;
    require(!is_device || !is_device(data).value_or(false), name + " is not in host memory");
  }
  template <class T>
  void matrix(const std::string& name, T* data, int rows, int columns, int ld, int batch = 1,
              long long stride = 0) const {
    device(name, data, batch == 0 ? 0 : extent(rows, columns, ld) + (batch - 1) * stride);
  }
  /// What an array of pointers points to, when the stream comes to it. Matrices that are written must not
  /// overlap.
  template <class T>
  void matrices(const std::string& name, T* const* array, int rows, int columns, int ld, int batch) const {
    for (int i = 0; i < batch; ++i) {
      matrix(name + "[" + std::to_string(i) + "]", array[i], rows, columns, ld);
    }
    if (!std::is_const_v<T>) separate(name, std::vector<T*>(array, array + batch), extent(rows, columns, ld));
  }

  static std::ptrdiff_t extent(int rows, int columns, int ld) {
    return rows == 0 || columns == 0 ? 0 : static_cast<std::ptrdiff_t>(columns - 1) * ld + rows;
  }

 private:
  std::string routine_, log_;

  template <class T>
  void address(const std::string& name, T* data) const {
    require(data != nullptr, name + " is null");
    require(reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0, name + " is not aligned");
  }
  template <class T>
  void separate(const std::string& name, std::vector<T*> matrices, std::ptrdiff_t extent) const {
    std::sort(matrices.begin(), matrices.end());
    for (std::size_t i = 1; i < matrices.size(); ++i) {
      require(matrices[i] - matrices[i - 1] >= extent, name + ": two matrices of the batch overlap");
    }
  }
};

/// One call: a handle in use, and arguments.
class LibraryCall : public Arguments {
 public:
  /// `blas`: of cuBLAS, not of cuSOLVER.
  LibraryCall(const void* handle, bool blas, std::string routine);
  LibraryCall(const LibraryCall&) = delete;
  ~LibraryCall() {
    if (handle_) handle_->busy = false;
  }

  Handle& handle() const { return *handle_; }

  /// All arguments are checked: puts `work` into the handle's stream. What can only be checked there is
  /// checked with the Arguments that it gets.
  template <class Work>
  void run(Work work) {
    require(handle_->has_stream, "no stream was set on the handle");
    require(!handle_->blas || handle_->workspace, "no workspace was set on the handle since its stream was");
    record_library_call(log());
    const Arguments& arguments = *this;
    const auto job = [arguments, work, workspace = handle_->workspace, bytes = handle_->workspace_bytes] {
      if (workspace) std::memset(workspace, 0xff, std::min<std::size_t>(bytes, 4096));
      work(arguments);
    };
    library_hooks().enqueue ? library_hooks().enqueue(handle_->stream, job) : job();
  }

 private:
  Handle* handle_ = nullptr;
};

/// Writes a new handle to `out`: the address of a Handle.
void create_handle(bool blas, void* out);
void destroy_handle(const void* handle, bool blas, const char* routine);
void set_stream(const void* handle, bool blas, const char* routine, cudaStream_t stream);

/// "cublas", "getrfBatched": "cublasDgetrfBatched"
template <class Scalar>
std::string routine_name(const std::string& library, const std::string& routine) {
  return library + (sizeof(Scalar) == 8 ? "D" : "S") + routine;
}

/// Fill their parts of the table.
void emulate_cublas(cuda::Libraries& table);
void emulate_cusolver(cuda::Libraries& table);

}  // namespace optnet::emulation
