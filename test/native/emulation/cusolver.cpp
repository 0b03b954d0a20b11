// The double of cuSOLVER.
#include <limits>

#include "emulation/dense.h"
#include "emulation/library_call.h"

namespace optnet::emulation {
namespace {

using dense::View;

cusolverStatus_t create_solver(cusolverDnHandle_t* handle) {
  create_handle(false, handle);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t destroy_solver(cusolverDnHandle_t handle) {
  destroy_handle(handle, false, "cusolverDnDestroy");
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t set_solver_stream(cusolverDnHandle_t handle, cudaStream_t stream) {
  set_stream(handle, false, "cusolverDnSetStream", stream);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t get_solver_property(libraryPropertyType type, int* value) {
  const int parts[] = {CUSOLVER_VER_MAJOR, CUSOLVER_VER_MINOR, CUSOLVER_VER_PATCH};
  *value = parts[type];
  return CUSOLVER_STATUS_SUCCESS;
}

/// A Cholesky factor, as cuSOLVER leaves it: the other triangle has been its workspace, and so has all of a
/// matrix that is not positive definite.
template <class Scalar>
int factor(bool lower, int n, Scalar* A, int lda) {
  const View<Scalar> a(A, lda, !lower);
  const int info = dense::cholesky(n, a);
  dense::spoil(n, a);
  if (info > 0) dense::spoil(n, View<Scalar>(A, lda, lower));
  return info;
}

template <class Scalar>
void solve_factored(bool lower, int n, int columns, const Scalar* A, int lda, Scalar* B, int ldb) {
  const View<Scalar> b(B, ldb);
  dense::solve_triangular(true, false, n, columns, Scalar(1), View<const Scalar>(A, lda, !lower), b);
  dense::solve_triangular(false, false, n, columns, Scalar(1), View<const Scalar>(A, lda, lower), b);
}

template <class Scalar>
cusolverStatus_t potrf_batched(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, Scalar* A[], int lda,
                               int* info, int batch) {
  LibraryCall call(handle, false, routine_name<Scalar>("cusolverDn", "potrfBatched"));
  const bool lower = call.lower(uplo);
  call.size("n", n);
  call.size("batch", batch);
  call.leading_dimension("lda", lda, n);
  call.device("Aarray", A, batch);
  call.device("infoArray", info, batch);
  call.run([=](const Arguments& arguments) {
    arguments.matrices("Aarray", A, n, n, lda, batch);
    for (int i = 0; i < batch; ++i) info[i] = factor(lower, n, A[i], lda);
  });
  return CUSOLVER_STATUS_SUCCESS;
}

template <class Scalar>
cusolverStatus_t potrs_batched(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, int nrhs, Scalar* A[],
                               int lda, Scalar* B[], int ldb, int* info, int batch) {
  LibraryCall call(handle, false, routine_name<Scalar>("cusolverDn", "potrsBatched"));
  const bool lower = call.lower(uplo);
  call.size("n", n);
  call.require(nrhs == 1, "nrhs is not 1");
  call.size("batch", batch);
  call.leading_dimension("lda", lda, n);
  call.leading_dimension("ldb", ldb, n);
  call.device("A", A, batch);
  call.device("B", B, batch);
  call.device("d_info", info, 1);
  call.run([=](const Arguments& arguments) {
    const Scalar* const* const factors = A;  // read only: problems may share one
    arguments.matrices("A", factors, n, n, lda, batch);
    arguments.matrices("B", B, n, 1, ldb, batch);
    for (int i = 0; i < batch; ++i) solve_factored(lower, n, 1, factors[i], lda, B[i], ldb);
    *info = 0;
  });
  return CUSOLVER_STATUS_SUCCESS;
}

int potrf_workspace(int n) { return 32 * n + 7; }

template <class Scalar>
cusolverStatus_t potrf_buffer_size(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, Scalar* A,
                                   int lda, int* size) {
  LibraryCall call(handle, false, routine_name<Scalar>("cusolverDn", "potrf_bufferSize"));
  call.lower(uplo);
  call.size("n", n);
  call.leading_dimension("lda", lda, n);
  call.matrix("A", A, n, n, lda);
  call.host("Lwork", size);
  *size = potrf_workspace(n);
  return CUSOLVER_STATUS_SUCCESS;
}

template <class Scalar>
cusolverStatus_t potrf(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, Scalar* A, int lda,
                       Scalar* workspace, int size, int* info) {
  LibraryCall call(handle, false, routine_name<Scalar>("cusolverDn", "potrf"));
  const bool lower = call.lower(uplo);
  call.size("n", n);
  call.leading_dimension("lda", lda, n);
  call.require(size >= potrf_workspace(n), "Lwork is less than cusolverDn<t>potrf_bufferSize says");
  call.matrix("A", A, n, n, lda);
  call.device("Workspace", workspace, size);
  call.device("devInfo", info, 1);
  call.run([=](const Arguments&) {
    std::fill(workspace, workspace + size, std::numeric_limits<Scalar>::quiet_NaN());
    *info = factor(lower, n, A, lda);
  });
  return CUSOLVER_STATUS_SUCCESS;
}

template <class Scalar>
cusolverStatus_t potrs(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, int nrhs, const Scalar* A,
                       int lda, Scalar* B, int ldb, int* info) {
  LibraryCall call(handle, false, routine_name<Scalar>("cusolverDn", "potrs"));
  const bool lower = call.lower(uplo);
  call.size("n", n);
  call.size("nrhs", nrhs);
  call.leading_dimension("lda", lda, n);
  call.leading_dimension("ldb", ldb, n);
  call.matrix("A", A, n, n, lda);
  call.matrix("B", B, n, nrhs, ldb);
  call.device("devInfo", info, 1);
  call.run([=](const Arguments&) {
    solve_factored(lower, n, nrhs, A, lda, B, ldb);
    *info = 0;
  });
  return CUSOLVER_STATUS_SUCCESS;
}

template <class Scalar>
void fill(cuda::Routines<Scalar>& routines) {
#define OPTNET_EMULATE(name, function) routines.name = name<Scalar>;
  OPTNET_CUSOLVER_ROUTINES(OPTNET_EMULATE, )
#undef OPTNET_EMULATE
}

}  // namespace

void emulate_cusolver(cuda::Libraries& table) {
#define OPTNET_EMULATE(name, function) table.name = name;
  OPTNET_CUSOLVER_FUNCTIONS(OPTNET_EMULATE)
#undef OPTNET_EMULATE
  fill(table.routines_double);
  fill(table.routines_float);
}

}  // namespace optnet::emulation
