// The double of cuBLAS.
#include "emulation/dense.h"
#include "emulation/library_call.h"

namespace optnet::emulation {
namespace {

using dense::View;

cublasStatus_t create_blas(cublasHandle_t* handle) {
  create_handle(true, handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_blas(cublasHandle_t handle) {
  destroy_handle(handle, true, "cublasDestroy");
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_blas_stream(cublasHandle_t handle, cudaStream_t stream) {
  set_stream(handle, true, "cublasSetStream", stream);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_blas_workspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  LibraryCall call(handle, true, "cublasSetWorkspace");
  call.device("workspace", static_cast<std::byte*>(workspace), static_cast<std::ptrdiff_t>(bytes));
  call.require(bytes > 0, "workspaceSizeInBytes is 0");
  call.require(reinterpret_cast<std::uintptr_t>(workspace) % 256 == 0,
               "workspace is not aligned to 256 bytes");
  call.handle().workspace = workspace;
  call.handle().workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t get_blas_version(cublasHandle_t handle, int* version) {
  LibraryCall call(handle, true, "cublasGetVersion");
  call.host("version", version);
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t get_blas_property(libraryPropertyType type, int* value) {
  const int parts[] = {CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH};
  *value = parts[type];
  return CUBLAS_STATUS_SUCCESS;
}
const char* get_blas_status_string(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "an emulated error";
}

template <class Scalar>
cublasStatus_t getrf_batched(cublasHandle_t handle, int n, Scalar* const A[], int lda, int* P, int* info,
                             int batch) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "getrfBatched"));
  call.size("n", n);
  call.size("batch", batch);
  call.leading_dimension("lda", lda, n);
  call.device("A", A, batch);
  call.device("info", info, batch);
  if (P) call.device("P", P, static_cast<std::ptrdiff_t>(n) * batch);
  call.note(P ? "pivots" : "no pivots");
  call.run([=](const Arguments& arguments) {
    arguments.matrices("A", A, n, n, lda, batch);
    for (int i = 0; i < batch; ++i) {
      info[i] = dense::lu(n, View<Scalar>(A[i], lda), P ? P + static_cast<std::ptrdiff_t>(i) * n : nullptr);
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Scalar>
cublasStatus_t getrs_batched(cublasHandle_t handle, cublasOperation_t trans, int n, int nrhs,
                             const Scalar* const A[], int lda, const int* P, Scalar* const B[], int ldb,
                             int* info, int batch) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "getrsBatched"));
  const bool transposed = call.transposed("trans", trans);
  call.size("n", n);
  call.size("nrhs", nrhs);
  call.size("batch", batch);
  call.leading_dimension("lda", lda, n);
  call.leading_dimension("ldb", ldb, n);
  call.device("Aarray", A, batch);
  call.device("Barray", B, batch);
  if (P) call.device("devIpiv", P, static_cast<std::ptrdiff_t>(n) * batch);
  call.note(P ? "pivots" : "no pivots");
  call.host("info", info);
  *info = 0;
  call.run([=](const Arguments& arguments) {
    arguments.matrices("Aarray", A, n, n, lda, batch);
    arguments.matrices("Barray", B, n, nrhs, ldb, batch);
    for (int i = 0; i < batch; ++i) {
      const int* const pivots = P ? P + static_cast<std::ptrdiff_t>(i) * n : nullptr;
      for (int k = 0; pivots && k < n; ++k) {
        arguments.require(pivots[k] > k && pivots[k] <= n,
                          "devIpiv has what cublas<t>getrfBatched never writes");
      }
      dense::solve_lu(transposed, n, nrhs, A[i], lda, pivots, View<Scalar>(B[i], ldb));
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

/// The checks and the one-matrix work of trsm and trsmBatched.
template <class Scalar>
struct TriangularSolve {
  bool left, lower, transposed, unit;
  int m, n, lda, ldb;
  Scalar alpha;

  TriangularSolve(LibraryCall& call, cublasSideMode_t side, cublasFillMode_t uplo, cublasOperation_t trans,
                  cublasDiagType_t diag, int m, int n, const Scalar* alpha, int lda, int ldb)
      : left(call.left(side)),
        lower(call.lower(uplo)),
        transposed(call.transposed("trans", trans)),
        unit(call.unit_diagonal(diag)),
        m(m),
        n(n),
        lda(lda),
        ldb(ldb) {
    call.size("m", m);
    call.size("n", n);
    call.leading_dimension("lda", lda, order());
    call.leading_dimension("ldb", ldb, m);
    call.host("alpha", alpha);
    this->alpha = *alpha;
  }

  int order() const { return left ? m : n; }

  void operator()(const Scalar* A, Scalar* B) const {
    // X op(A) = B is op(A)ᵀ Xᵀ = Bᵀ.
    const bool flip = transposed == left;
    dense::solve_triangular(lower != flip, unit, order(), left ? n : m, alpha,
                            View<const Scalar>(A, lda, flip), View<Scalar>(B, ldb, !left));
  }
};

template <class Scalar>
cublasStatus_t trsm_batched(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,
                            cublasOperation_t trans, cublasDiagType_t diag, int m, int n, const Scalar* alpha,
                            const Scalar* const A[], int lda, Scalar* const B[], int ldb, int batch) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "trsmBatched"));
  const TriangularSolve<Scalar> solve(call, side, uplo, trans, diag, m, n, alpha, lda, ldb);
  call.size("batch", batch);
  call.device("A", A, batch);
  call.device("B", B, batch);
  call.run([=](const Arguments& arguments) {
    arguments.matrices("A", A, solve.order(), solve.order(), lda, batch);
    arguments.matrices("B", B, m, n, ldb, batch);
    for (int i = 0; i < batch; ++i) solve(A[i], B[i]);
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Scalar>
cublasStatus_t trsm(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,
                    cublasOperation_t trans, cublasDiagType_t diag, int m, int n, const Scalar* alpha,
                    const Scalar* A, int lda, Scalar* B, int ldb) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "trsm"));
  const TriangularSolve<Scalar> solve(call, side, uplo, trans, diag, m, n, alpha, lda, ldb);
  call.matrix("A", A, solve.order(), solve.order(), lda);
  call.matrix("B", B, m, n, ldb);
  call.run([=](const Arguments&) { solve(A, B); });
  return CUBLAS_STATUS_SUCCESS;
}

/// The checks and the one-product work of gemm, gemmBatched and gemmStridedBatched.
template <class Scalar>
struct Product {
  bool transposed_a, transposed_b;
  int m, n, k, lda, ldb, ldc;
  Scalar alpha, beta;

  Product(LibraryCall& call, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
          const Scalar* alpha, int lda, int ldb, const Scalar* beta, int ldc)
      : transposed_a(call.transposed("transa", transa)),
        transposed_b(call.transposed("transb", transb)),
        m(m),
        n(n),
        k(k),
        lda(lda),
        ldb(ldb),
        ldc(ldc) {
    call.size("m", m);
    call.size("n", n);
    call.size("k", k);
    call.leading_dimension("lda", lda, rows_a());
    call.leading_dimension("ldb", ldb, rows_b());
    call.leading_dimension("ldc", ldc, m);
    call.host("alpha", alpha);
    call.host("beta", beta);
    this->alpha = *alpha;
    this->beta = *beta;
  }

  int rows_a() const { return transposed_a ? k : m; }
  int columns_a() const { return transposed_a ? m : k; }
  int rows_b() const { return transposed_b ? n : k; }
  int columns_b() const { return transposed_b ? k : n; }

  void operator()(const Scalar* A, const Scalar* B, Scalar* C) const {
    dense::multiply(m, n, k, alpha, View<const Scalar>(A, lda, transposed_a),
                    View<const Scalar>(B, ldb, transposed_b), beta, View<Scalar>(C, ldc),
                    [](int, int) { return true; });
  }
};

template <class Scalar>
cublasStatus_t gemm_batched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m,
                            int n, int k, const Scalar* alpha, const Scalar* const A[], int lda,
                            const Scalar* const B[], int ldb, const Scalar* beta, Scalar* const C[], int ldc,
                            int batch) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "gemmBatched"));
  const Product<Scalar> product(call, transa, transb, m, n, k, alpha, lda, ldb, beta, ldc);
  call.size("batch", batch);
  call.device("Aarray", A, batch);
  call.device("Barray", B, batch);
  call.device("Carray", C, batch);
  call.run([=](const Arguments& arguments) {
    arguments.matrices("Aarray", A, product.rows_a(), product.columns_a(), lda, batch);
    arguments.matrices("Barray", B, product.rows_b(), product.columns_b(), ldb, batch);
    arguments.matrices("Carray", C, m, n, ldc, batch);
    for (int i = 0; i < batch; ++i) product(A[i], B[i], C[i]);
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Scalar>
cublasStatus_t gemm_strided_batched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                    int m, int n, int k, const Scalar* alpha, const Scalar* A, int lda,
                                    long long stride_a, const Scalar* B, int ldb, long long stride_b,
                                    const Scalar* beta, Scalar* C, int ldc, long long stride_c, int batch) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "gemmStridedBatched"));
  const Product<Scalar> product(call, transa, transb, m, n, k, alpha, lda, ldb, beta, ldc);
  call.size("batch", batch);
  call.require(stride_a >= 0 && stride_b >= 0, "a stride is negative");
  call.require(batch < 2 || stride_c >= Arguments::extent(m, n, ldc), "strideC: two products overlap");
  call.matrix("A", A, product.rows_a(), product.columns_a(), lda, batch, stride_a);
  call.matrix("B", B, product.rows_b(), product.columns_b(), ldb, batch, stride_b);
  call.matrix("C", C, m, n, ldc, batch, stride_c);
  call.require(batch == 0 || m == 0 || n == 0 || (A != C && B != C), "C is A or B");
  call.run([=](const Arguments&) {
    for (int i = 0; i < batch; ++i) product(A + i * stride_a, B + i * stride_b, C + i * stride_c);
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Scalar>
cublasStatus_t gemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                    int k, const Scalar* alpha, const Scalar* A, int lda, const Scalar* B, int ldb,
                    const Scalar* beta, Scalar* C, int ldc) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "gemm"));
  const Product<Scalar> product(call, transa, transb, m, n, k, alpha, lda, ldb, beta, ldc);
  call.matrix("A", A, product.rows_a(), product.columns_a(), lda);
  call.matrix("B", B, product.rows_b(), product.columns_b(), ldb);
  call.matrix("C", C, m, n, ldc);
  call.require(m == 0 || n == 0 || (A != C && B != C), "C is A or B");
  call.run([=](const Arguments&) { product(A, B, C); });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Scalar>
cublasStatus_t syrk(cublasHandle_t handle, cublasFillMode_t uplo, cublasOperation_t trans, int n, int k,
                    const Scalar* alpha, const Scalar* A, int lda, const Scalar* beta, Scalar* C, int ldc) {
  LibraryCall call(handle, true, routine_name<Scalar>("cublas", "syrk"));
  const bool lower = call.lower(uplo), transposed = call.transposed("trans", trans);
  call.size("n", n);
  call.size("k", k);
  call.leading_dimension("lda", lda, transposed ? k : n);
  call.leading_dimension("ldc", ldc, n);
  call.host("alpha", alpha);
  call.host("beta", beta);
  call.matrix("A", A, transposed ? k : n, transposed ? n : k, lda);
  call.matrix("C", C, n, n, ldc);
  call.require(n == 0 || A != C, "C is A");
  call.run([=, alpha = *alpha, beta = *beta](const Arguments&) {
    dense::multiply(n, n, k, alpha, View<const Scalar>(A, lda, transposed),
                    View<const Scalar>(A, lda, !transposed), beta, View<Scalar>(C, ldc),
                    [lower](int i, int j) { return lower ? i >= j : i <= j; });
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class Scalar>
void fill(cuda::Routines<Scalar>& routines) {
#define OPTNET_EMULATE(name, function) routines.name = name<Scalar>;
  OPTNET_CUBLAS_ROUTINES(OPTNET_EMULATE, )
#undef OPTNET_EMULATE
}

}  // namespace

void emulate_cublas(cuda::Libraries& table) {
#define OPTNET_EMULATE(name, function) table.name = name;
  OPTNET_CUBLAS_FUNCTIONS(OPTNET_EMULATE)
#undef OPTNET_EMULATE
  fill(table.routines_double);
  fill(table.routines_float);
}

}  // namespace optnet::emulation
