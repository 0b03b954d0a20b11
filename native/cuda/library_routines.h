// The libraries' batched routines on the problems of a launch, group by group, in the row-major names of the
// solver: a row-major matrix is to the libraries the transpose of a column-major one.
#pragma once

#include <string>
#include <vector>

#include "cuda/library_handles.h"
#include "cuda/library_instances.h"

namespace optnet::cuda {

/// What a sequence of calls has come to: nothing is done any more after the first error.
struct LibraryOutcome {
  cudaError_t error = cudaSuccess;
  std::string message;  ///< if a library said so

  explicit operator bool() const { return error == cudaSuccess; }
  void check(cudaError_t status) {
    if (error == cudaSuccess) error = status;
  }
  void check(const Libraries& libraries, cublasStatus_t status);
  void check(const Libraries& libraries, cusolverStatus_t status);
};

template <class T>
class LibraryRoutines {
 public:
  LibraryRoutines(const LibraryHandles& handles, const GroupMemory& memory, int group,
                  LibraryOutcome& outcome)
      : handles_(handles),
        routines_(handles.libraries().routines<T>()),
        memory_(memory),
        group_(group),
        outcome_(outcome) {}

  int groups() const { return memory_.padded / group_; }
  /// Whose problems are worked on from now on: an element a group, zero for none; null: all.
  void select(const int* groups) { selected_ = groups; }

  /// Cholesky factors of the symmetric n×n matrices M, in their lower triangles. The upper ones are spoilt.
  void cholesky(Slot M, int n) {
    if (n == 0) return;
    each([&](int first) {
      return routines_.potrf_batched(handles_.solver(), CUBLAS_FILL_MODE_UPPER, n, matrices(M, first), n,
                                     memory_.info + first, group_);
    });
  }

  /// B ← B L⁻ᵀ, L: n×n lower triangular, B: rows×n. To the library: Bᵀ ← L⁻¹ Bᵀ.
  void solve_rows(Slot L, int n, Slot B, int rows) {
    if (n == 0 || rows == 0) return;
    each([&](int first) {
      const T one = 1;
      return routines_.trsm_batched(handles_.blas(), CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_T,
                                    CUBLAS_DIAG_NON_UNIT, n, rows, &one, matrices(L, first), n,
                                    matrices(B, first), n, group_);
    });
  }

  /// C ← beta C + alpha A Bᵀ, A: rows×inner, B: columns×inner. To the library: Cᵀ ← beta Cᵀ + alpha B Aᵀ.
  void multiply_transposed(T alpha, Slot A, int rows, Slot B, int columns, int inner, T beta, Slot C) {
    multiply(CUBLAS_OP_T, CUBLAS_OP_N, columns, rows, inner, alpha, B, inner, A, inner, beta, C, columns);
  }

  /// C ← C + Aᵀ A, A: rows×n.
  void add_gram(Slot A, int rows, int n, Slot C) {
    multiply(CUBLAS_OP_N, CUBLAS_OP_T, n, n, rows, T(1), A, n, A, n, T(1), C, n);
  }

  /// LU factors of symmetric n×n matrices, with pivots.
  void lu(Slot M, int n) {
    each([&](int first) {
      return routines_.getrf_batched(handles_.blas(), n, matrices(M, first), n, pivots(first, n),
                                     memory_.info + first, group_);
    });
  }
  /// x ← M⁻¹ x from those.
  void solve(Slot M, int n, Slot x) {
    each([&](int first) {
      int info = 0;  // of the arguments alone
      return routines_.getrs_batched(handles_.blas(), CUBLAS_OP_N, n, 1, matrices(M, first), n,
                                     pivots(first, n), matrices(x, first), n, &info, group_);
    });
  }

 private:
  const LibraryHandles& handles_;
  const Routines<T>& routines_;
  const GroupMemory& memory_;
  int group_;
  LibraryOutcome& outcome_;
  const int* selected_ = nullptr;

  T** matrices(Slot slot, int first) const { return reinterpret_cast<T**>(memory_.slot(slot)) + first; }
  int* pivots(int first, int n) const { return memory_.pivots + static_cast<std::size_t>(first) * n; }

  void multiply(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, T alpha, Slot A, int lda,
                Slot B, int ldb, T beta, Slot C, int ldc) {
    if (m == 0 || n == 0 || k == 0) return;
    each([&](int first) {
      return routines_.gemm_batched(handles_.blas(), op_a, op_b, m, n, k, &alpha, matrices(A, first), lda,
                                    matrices(B, first), ldb, &beta, matrices(C, first), ldc, group_);
    });
  }

  template <class Call>
  void each(Call call) {
    for (int i = 0; i < groups() && outcome_; ++i) {
      if (!selected_ || selected_[i] > 0) outcome_.check(handles_.libraries(), call(i * group_));
    }
  }
};

}  // namespace optnet::cuda
