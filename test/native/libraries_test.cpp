// The table of cuBLAS's and cuSOLVER's functions. With two arguments, a folder with a cuBLAS that lacks
// functions and one with both libraries: the doubles against the definitions of what they compute, and what
// is said of loading. Without them: the libraries that are installed here.
#include <stdlib.h>  // setenv
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cuda/library_handles.h"
#include "emulation/libraries.h"

namespace fs = std::filesystem;
using optnet::Failure;
using optnet::cuda::Libraries;
using optnet::cuda::LibraryFile;
using optnet::cuda::LibraryHandles;
using namespace optnet::emulation;

namespace {

/// "Device" memory: what lies in here, and nothing else.
class Memory {
 public:
  template <class T>
  T* take(std::size_t count) {
    void* const data = lines_.data() + used_;
    used_ += (count * sizeof(T) + sizeof(Line) - 1) / sizeof(Line);
    if (used_ > lines_.size()) throw std::length_error("a test needs more memory");
    return static_cast<T*>(data);
  }
  bool contains(const void* address) const {
    return address >= lines_.data() && address < lines_.data() + used_;
  }
  void clear() { used_ = 0; }

 private:
  struct alignas(256) Line {
    std::byte bytes[256];
  };
  std::vector<Line> lines_ = std::vector<Line>(1 << 14);
  std::size_t used_ = 0;
};

Memory memory;

template <class Scalar>
constexpr double kTolerance = sizeof(Scalar) == 8 ? 1e-12 : 1e-4;

/// A batch of column-major matrices with a gap below each column, and their array of pointers.
template <class Scalar>
struct Batch {
  int rows, columns, ld, count;
  Scalar** pointers;

  Batch(int rows, int columns, int count)
      : rows(rows), columns(columns), ld(rows + 2), count(count), pointers(memory.take<Scalar*>(count)) {
    for (int i = 0; i < count; ++i) pointers[i] = memory.take<Scalar>(stride());
  }
  std::size_t stride() const { return static_cast<std::size_t>(ld) * columns; }
  Scalar& operator()(int which, int i, int j) const { return pointers[which][i + j * ld]; }
};

std::mt19937 generator(7);

template <class Scalar>
Batch<Scalar> random_batch(int rows, int columns, int count) {
  Batch<Scalar> batch(rows, columns, count);
  std::normal_distribution<double> normal;
  for (int which = 0; which < count; ++which) {
    for (std::size_t i = 0; i < batch.stride(); ++i) {
      batch.pointers[which][i] = static_cast<Scalar>(normal(generator));
    }
  }
  return batch;
}

template <class Scalar>
Batch<Scalar> copy(const Batch<Scalar>& from) {
  Batch<Scalar> to(from.rows, from.columns, from.count);
  for (int which = 0; which < from.count; ++which) {
    std::copy_n(from.pointers[which], from.stride(), to.pointers[which]);
  }
  return to;
}

/// M Mᵀ + I
template <class Scalar>
Batch<Scalar> random_definite_batch(int n, int count) {
  const auto M = random_batch<Scalar>(n, n, count);
  Batch<Scalar> A(n, n, count);
  for (int which = 0; which < count; ++which) {
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        A(which, i, j) = i == j;
        for (int k = 0; k < n; ++k) A(which, i, j) += M(which, i, k) * M(which, j, k);
      }
    }
  }
  return A;
}

/// Which elements of a matrix count.
enum class Part { kAll, kLower, kUpper, kUnitLower, kUnitUpper };

template <class Scalar>
double element(const Batch<Scalar>& A, int which, int i, int j, bool transposed, Part part = Part::kAll) {
  if (transposed) std::swap(i, j);
  if ((part == Part::kLower || part == Part::kUnitLower) && i < j) return 0;
  if ((part == Part::kUpper || part == Part::kUnitUpper) && i > j) return 0;
  if ((part == Part::kUnitLower || part == Part::kUnitUpper) && i == j) return 1;
  return A(which, i, j);
}

/// The largest element of op(A) X − B, or of X op(A) − B, over the batch.
template <class Scalar>
double residual(const Batch<Scalar>& A, bool transposed, Part part, const Batch<Scalar>& X,
                const Batch<Scalar>& B, bool left = true) {
  double largest = 0;
  for (int which = 0; which < X.count; ++which) {
    for (int i = 0; i < B.rows; ++i) {
      for (int j = 0; j < B.columns; ++j) {
        double sum = -B(which, i, j);
        for (int k = 0; k < A.rows; ++k) {
          sum += left ? element(A, which, i, k, transposed, part) * X(which, k, j)
                      : X(which, i, k) * element(A, which, k, j, transposed, part);
        }
        largest = std::fmax(largest, std::fabs(sum));
      }
    }
  }
  return largest;
}

struct Fixture {
  std::shared_ptr<const Libraries> libraries = emulated_libraries();
  std::unique_ptr<LibraryHandles> handles;

  Fixture() {
    memory.clear();
    const Failure failure =
        LibraryHandles::create(libraries, nullptr, memory.take<std::byte>(8192), 8192, handles);
    CHECK(!failure);
  }
};

template <class Scalar>
struct Routines : Fixture {
  const optnet::cuda::Routines<Scalar>& call = libraries->routines<Scalar>();
  cublasHandle_t blas = handles->blas();
  cusolverDnHandle_t solver = handles->solver();
  const Scalar one = 1;
};

template <class Scalar>
void lu_solves_systems(bool pivoting) {
  Routines<Scalar> r;
  const int n = 7, columns = 3, count = 4;
  // Without pivoting, matrices that need none.
  const auto A = pivoting ? random_batch<Scalar>(n, n, count) : random_definite_batch<Scalar>(n, count);
  if (pivoting) A(0, 0, 0) = 0;
  const auto B = random_batch<Scalar>(n, columns, count);
  const auto F = copy(A);
  int* const pivots = pivoting ? memory.take<int>(n * count) : nullptr;
  int* const info = memory.take<int>(count);
  CHECK(r.call.getrf_batched(r.blas, n, F.pointers, F.ld, pivots, info, count) == CUBLAS_STATUS_SUCCESS);
  for (int i = 0; i < count; ++i) CHECK(info[i] == 0);
  for (bool transposed : {false, true}) {
    const auto X = copy(B);
    int host_info = -1;
    CHECK(r.call.getrs_batched(r.blas, transposed ? CUBLAS_OP_T : CUBLAS_OP_N, n, columns, F.pointers, F.ld,
                               pivots, X.pointers, X.ld, &host_info, count) == CUBLAS_STATUS_SUCCESS);
    CHECK(host_info == 0);
    CHECK_CLOSE(residual(A, transposed, Part::kAll, X, B), 0, 100 * kTolerance<Scalar>);
  }
}

template <class Scalar>
void lu_reports_singular_matrices() {
  Routines<Scalar> r;
  const auto A = random_batch<Scalar>(3, 3, 2);
  for (int i = 0; i < 3; ++i) A(1, i, 1) = 0;
  int* const info = memory.take<int>(2);
  r.call.getrf_batched(r.blas, 3, A.pointers, A.ld, memory.take<int>(6), info, 2);
  CHECK(info[0] == 0 && info[1] == 2);
}

template <class Scalar>
void cholesky_solves_systems(cublasFillMode_t uplo) {
  Routines<Scalar> r;
  const int n = 6, count = 3;
  const bool lower = uplo == CUBLAS_FILL_MODE_LOWER;
  const auto A = random_definite_batch<Scalar>(n, count);
  const auto B = random_batch<Scalar>(n, 1, count);
  const auto F = copy(A), X = copy(B);
  int* const info = memory.take<int>(count);
  CHECK(r.call.potrf_batched(r.solver, uplo, n, F.pointers, F.ld, info, count) == CUSOLVER_STATUS_SUCCESS);
  for (int i = 0; i < count; ++i) CHECK(info[i] == 0);
  CHECK(std::isnan(lower ? F(0, 0, 1) : F(0, 1, 0)));  // cuSOLVER's workspace
  r.call.potrs_batched(r.solver, uplo, n, 1, F.pointers, F.ld, X.pointers, X.ld, info, count);
  CHECK_CLOSE(residual(A, false, Part::kAll, X, B), 0, 100 * kTolerance<Scalar>);

  // One matrix, many right-hand sides.
  const auto G = copy(A), C = random_batch<Scalar>(n, 4, 1), Y = copy(C);
  int size = 0;
  CHECK(r.call.potrf_buffer_size(r.solver, uplo, n, G.pointers[0], G.ld, &size) == CUSOLVER_STATUS_SUCCESS);
  r.call.potrf(r.solver, uplo, n, G.pointers[0], G.ld, memory.take<Scalar>(size), size, info);
  CHECK(*info == 0);
  r.call.potrs(r.solver, uplo, n, 4, G.pointers[0], G.ld, Y.pointers[0], Y.ld, info);
  CHECK_CLOSE(residual(A, false, Part::kAll, Y, C), 0, 100 * kTolerance<Scalar>);
}

/// What the backend relies on: cuBLAS's upper triangle is the lower one of a row-major matrix.
void upper_cholesky_is_the_row_major_lower_factor() {
  Routines<double> r;
  const int n = 5;
  const auto A = random_definite_batch<double>(n, 1), F = copy(A);
  r.call.potrf_batched(r.solver, CUBLAS_FILL_MODE_UPPER, n, F.pointers, F.ld, memory.take<int>(1), 1);
  const auto L = [&](int i, int j) { return F.pointers[0][i * F.ld + j]; };
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j <= i; ++j) {
      double sum = 0;
      for (int k = 0; k <= j; ++k) sum += L(i, k) * L(j, k);
      CHECK_CLOSE(sum, A(0, i, j), 1e-12);
    }
  }
}

void cholesky_reports_indefinite_matrices() {
  Routines<double> r;
  const auto A = random_definite_batch<double>(4, 2);
  A(1, 2, 2) = -100;
  int* const info = memory.take<int>(2);
  r.call.potrf_batched(r.solver, CUBLAS_FILL_MODE_LOWER, 4, A.pointers, A.ld, info, 2);
  CHECK(info[0] == 0 && info[1] == 3);
}

template <class Scalar>
void triangular_solves(bool left, bool lower, bool transposed, bool unit) {
  Routines<Scalar> r;
  const int m = 5, n = 3, count = 2, order = left ? m : n;
  const auto A = random_batch<Scalar>(order, order, count);
  for (int which = 0; which < count; ++which) {
    for (int i = 0; i < order; ++i) A(which, i, i) += A(which, i, i) < 0 ? -4 : 4;
  }
  const auto B = random_batch<Scalar>(m, n, count);
  const auto X = copy(B), Y = copy(B);
  const auto side = left ? CUBLAS_SIDE_LEFT : CUBLAS_SIDE_RIGHT;
  const auto uplo = lower ? CUBLAS_FILL_MODE_LOWER : CUBLAS_FILL_MODE_UPPER;
  const auto op = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  const auto diag = unit ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT;
  const Scalar half = Scalar(0.5);
  r.call.trsm_batched(r.blas, side, uplo, op, diag, m, n, &half, A.pointers, A.ld, X.pointers, X.ld, count);
  for (int i = 0; i < count; ++i) {
    r.call.trsm(r.blas, side, uplo, op, diag, m, n, &half, A.pointers[i], A.ld, Y.pointers[i], Y.ld);
  }
  for (const auto& solution : {X, Y}) {
    for (int which = 0; which < count; ++which) {
      for (std::size_t i = 0; i < solution.stride(); ++i) solution.pointers[which][i] *= 2;
    }
    const Part part =
        lower ? (unit ? Part::kUnitLower : Part::kLower) : (unit ? Part::kUnitUpper : Part::kUpper);
    CHECK_CLOSE(residual(A, transposed, part, solution, B, left), 0, 1000 * kTolerance<Scalar>);
  }
}

template <class Scalar>
void products(bool transposed_a, bool transposed_b, Scalar beta) {
  Routines<Scalar> r;
  const int m = 4, n = 3, k = 5, count = 3;
  const auto A = transposed_a ? random_batch<Scalar>(k, m, count) : random_batch<Scalar>(m, k, count);
  const auto B = transposed_b ? random_batch<Scalar>(n, k, count) : random_batch<Scalar>(k, n, count);
  const auto C = random_batch<Scalar>(m, n, count);
  const auto D = copy(C);
  Batch<Scalar> E(m, n, 1);
  // For beta = 0, what is in C is not read.
  if (beta == 0) {
    for (int i = 0; i < count; ++i) C(i, 1, 1) = D(i, 1, 1) = std::numeric_limits<Scalar>::quiet_NaN();
  }
  std::copy_n(C.pointers[0], C.stride(), E.pointers[0]);
  const auto at = [&](int which, int i, int j) {
    double sum = beta == 0 ? 0 : beta * C(which, i, j);
    for (int l = 0; l < k; ++l) {
      sum += 2 * element(A, which, i, l, transposed_a) * element(B, which, l, j, transposed_b);
    }
    return sum;
  };
  std::vector<double> expected;
  for (int which = 0; which < count; ++which) {
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) expected.push_back(at(which, i, j));
    }
  }
  const auto a = transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N, b = transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const Scalar two = 2;
  r.call.gemm_batched(r.blas, a, b, m, n, k, &two, A.pointers, A.ld, B.pointers, B.ld, &beta, C.pointers,
                      C.ld, count);
  r.call.gemm_strided_batched(r.blas, a, b, m, n, k, &two, A.pointers[0], A.ld, A.pointers[1] - A.pointers[0],
                              B.pointers[0], B.ld, B.pointers[1] - B.pointers[0], &beta, D.pointers[0], D.ld,
                              D.pointers[1] - D.pointers[0], count);
  r.call.gemm(r.blas, a, b, m, n, k, &two, A.pointers[0], A.ld, B.pointers[0], B.ld, &beta, E.pointers[0],
              E.ld);
  for (int which = 0, next = 0; which < count; ++which) {
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j, ++next) {
        CHECK_CLOSE(C(which, i, j), expected[next], 10 * kTolerance<Scalar>);
        CHECK_CLOSE(D(which, i, j), expected[next], 10 * kTolerance<Scalar>);
        if (which == 0) CHECK_CLOSE(E(0, i, j), expected[next], 10 * kTolerance<Scalar>);
      }
    }
  }
}

template <class Scalar>
void rank_k_updates(bool lower, bool transposed) {
  Routines<Scalar> r;
  const int n = 4, k = 3;
  const auto A = transposed ? random_batch<Scalar>(k, n, 1) : random_batch<Scalar>(n, k, 1);
  const auto C = random_batch<Scalar>(n, n, 1), before = copy(C);
  const Scalar minus = -1, three = 3;
  r.call.syrk(r.blas, lower ? CUBLAS_FILL_MODE_LOWER : CUBLAS_FILL_MODE_UPPER,
              transposed ? CUBLAS_OP_T : CUBLAS_OP_N, n, k, &minus, A.pointers[0], A.ld, &three,
              C.pointers[0], C.ld);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      double expected = before(0, i, j);
      if (lower ? i >= j : i <= j) {
        expected *= 3;
        for (int l = 0; l < k; ++l) {
          expected -= element(A, 0, i, l, transposed) * element(A, 0, j, l, transposed);
        }
      }
      CHECK_CLOSE(C(0, i, j), expected, 10 * kTolerance<Scalar>);
    }
  }
}

// ---- the double's strictness
// ----------------------------------------------------------------------------------------

/// What the double says of `call`; empty if nothing.
template <class Call>
std::string complaint(Call call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}
#define CHECK_COMPLAINT(call, text) CHECK(complaint([&] { call; }) == text)

void wrong_arguments_are_reported() {
  Routines<double> r;
  const int n = 3;
  const auto A = random_definite_batch<double>(n, 2), B = random_batch<double>(n, 1, 2);
  int* const info = memory.take<int>(2);
  int host_info = 0;
  const double one = 1;
  double* const device_one = memory.take<double>(1);
  std::vector<double*> host_array(A.pointers, A.pointers + 2);
  double* const twice[] = {A.pointers[0], A.pointers[0]};
  double** const overlapping = memory.take<double*>(2);
  std::copy_n(twice, 2, overlapping);

  CHECK_COMPLAINT(r.call.getrf_batched(r.blas, -1, A.pointers, A.ld, nullptr, info, 2),
                  "cublasDgetrfBatched: n = -1 is negative");
  CHECK_COMPLAINT(r.call.getrf_batched(r.blas, n, A.pointers, 2, nullptr, info, 2),
                  "cublasDgetrfBatched: lda = 2 is less than 3");
  CHECK_COMPLAINT(r.call.getrf_batched(r.blas, n, nullptr, A.ld, nullptr, info, 2),
                  "cublasDgetrfBatched: A is null");
  CHECK_COMPLAINT(r.call.getrf_batched(r.blas, n, host_array.data(), A.ld, nullptr, info, 2),
                  "cublasDgetrfBatched: A is not in device memory");
  CHECK_COMPLAINT(r.call.getrf_batched(r.blas, n, A.pointers, A.ld, nullptr, &host_info, 1),
                  "cublasDgetrfBatched: info is not in device memory");
  CHECK_COMPLAINT(r.call.getrf_batched(r.blas, n, overlapping, A.ld, nullptr, info, 2),
                  "cublasDgetrfBatched: A: two matrices of the batch overlap");
  CHECK_COMPLAINT(
      r.call.getrs_batched(r.blas, CUBLAS_OP_N, n, 1, A.pointers, A.ld, nullptr, B.pointers, B.ld, info, 2),
      "cublasDgetrsBatched: info is not in host memory");
  CHECK_COMPLAINT(r.call.getrs_batched(r.blas, CUBLAS_OP_N, n, 1, A.pointers, A.ld, nullptr, overlapping,
                                       B.ld, &host_info, 2),
                  "cublasDgetrsBatched: Barray: two matrices of the batch overlap");
  CHECK_COMPLAINT(r.call.getrs_batched(r.blas, CUBLAS_OP_N, n, 1, overlapping, A.ld, nullptr, B.pointers,
                                       B.ld, &host_info, 2),
                  "");  // a shared factor is only read
  CHECK_COMPLAINT(
      r.call.trsm_batched(r.blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                          n, 1, device_one, A.pointers, A.ld, B.pointers, B.ld, 2),
      "cublasDtrsmBatched: alpha is not in host memory");
  CHECK_COMPLAINT(r.call.gemm_strided_batched(r.blas, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, A.pointers[0],
                                              n, 0, A.pointers[0], n, 0, &one, A.pointers[1], n, 0, 2),
                  "cublasDgemmStridedBatched: strideC: two products overlap");
  CHECK_COMPLAINT(r.call.potrf_batched(r.solver, CUBLAS_FILL_MODE_FULL, n, A.pointers, A.ld, info, 2),
                  "cusolverDnDpotrfBatched: uplo is no triangle");
  CHECK_COMPLAINT(r.call.potrs_batched(r.solver, CUBLAS_FILL_MODE_LOWER, n, 2, A.pointers, A.ld, B.pointers,
                                       B.ld, info, 2),
                  "cusolverDnDpotrsBatched: nrhs is not 1");
  CHECK_COMPLAINT(r.call.potrf(r.solver, CUBLAS_FILL_MODE_LOWER, n, A.pointers[0], A.ld, device_one, 1, info),
                  "cusolverDnDpotrf: Lwork is less than cusolverDn<t>potrf_bufferSize says");
}

void handles_are_watched() {
  int device = 0;
  LibraryHooks hooks;
  hooks.violation = [](const std::string& message) { throw std::runtime_error(message); };
  hooks.current_device = [&device] { return device; };
  set_library_hooks(hooks);
  const auto l = emulated_libraries();
  const auto factor = [&](cublasHandle_t handle) {
    double a = 2, *array[] = {&a};
    int info = 0;
    l->routines<double>().getrf_batched(handle, 1, array, 1, nullptr, &info, 1);
  };
  const std::string name = "cublasDgetrfBatched: ";
  alignas(256) std::byte workspace[256];

  CHECK_COMPLAINT(factor(nullptr), name + "the handle was not created, or has been destroyed");
  cublasHandle_t handle = nullptr;
  l->create_blas(&handle);
  CHECK_COMPLAINT(factor(handle), name + "no stream was set on the handle");
  l->set_blas_workspace(handle, workspace, sizeof workspace);
  l->set_blas_stream(handle, nullptr);  // undoes the line before
  CHECK_COMPLAINT(factor(handle), name + "no workspace was set on the handle since its stream was");
  CHECK_COMPLAINT(l->set_blas_workspace(handle, workspace + 8, 128),
                  "cublasSetWorkspace: workspace is not aligned to 256 bytes");
  l->set_blas_workspace(handle, workspace, sizeof workspace);
  CHECK_COMPLAINT(factor(handle), "");
  device = 1;
  CHECK_COMPLAINT(factor(handle), name + "the handle was created on another device than the current one");
  device = 0;
  CHECK_COMPLAINT(l->set_solver_stream(reinterpret_cast<cusolverDnHandle_t>(handle), nullptr),
                  "cusolverDnSetStream: the handle is of the other library");
  l->destroy_blas(handle);
  CHECK_COMPLAINT(factor(handle), name + "the handle was not created, or has been destroyed");
}

void calls_are_recorded_and_put_into_the_stream() {
  std::vector<std::function<void()>> queued;
  LibraryHooks hooks;
  hooks.enqueue = [&](cudaStream_t, std::function<void()> work) { queued.push_back(std::move(work)); };
  set_library_hooks(hooks);
  {
    Routines<double> r;
    const auto A = random_definite_batch<double>(3, 2), B = random_batch<double>(3, 1, 2);
    const double before = A(0, 0, 0);
    int* const info = memory.take<int>(2);
    record_library_calls(true);
    r.call.potrf_batched(r.solver, CUBLAS_FILL_MODE_UPPER, 3, A.pointers, A.ld, info, 2);
    r.call.trsm_batched(r.blas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_T, CUBLAS_DIAG_NON_UNIT,
                        3, 1, &r.one, A.pointers, A.ld, B.pointers, B.ld, 2);
    record_library_calls(false);
    const std::vector<std::string> expected = {"cusolverDnDpotrfBatched upper n=3 batch=2",
                                               "cublasDtrsmBatched left upper T m=3 n=1 batch=2"};
    CHECK(take_library_calls() == expected);
    CHECK(A(0, 0, 0) == before);
    for (const auto& work : queued) work();
    CHECK_CLOSE(A(0, 0, 0) * A(0, 0, 0), before, 1e-12);
  }
  CHECK(open_library_handles() == 0);
}

// ---- loading
// --------------------------------------------------------------------------------------------------------

/// Loads with OPTNET_CUDA_LIBRARIES = `folders`; what went wrong.
std::string load(const std::string& folders, std::shared_ptr<const Libraries>& out,
                 std::vector<LibraryFile>* files = nullptr) {
  setenv("OPTNET_CUDA_LIBRARIES", folders.c_str(), 1);
  const Failure failure = optnet::cuda::load_libraries(out, files);
  CHECK(static_cast<bool>(failure) == !out);
  CHECK(!failure || failure.code == Failure::Code::kDevice);
  return failure.message;
}

void missing_libraries_are_named() {
  std::shared_ptr<const Libraries> table;
  const fs::path empty = fs::temp_directory_path() / ("optnet-no-libraries-" + std::to_string(getpid()));
  fs::create_directory(empty);
  const std::string both = load(empty.string() + ":/nowhere", table);
  const auto sentence = [&](const std::string& name, const std::string& files, const std::string& package) {
    return name + " could not be loaded: looked for " + files + " in " + empty.string() +
           ", /nowhere; install it with `pip install nvidia-" + package + "`, `conda install -c nvidia lib" +
           package + "` or `apt install lib" + package +
           "-13-0`, or name its folder in OPTNET_CUDA_LIBRARIES.";
  };
  CHECK(both == sentence("cuBLAS", "libcublas.so.13, libcublas.so.12", "cublas") + " " +
                    sentence("cuSOLVER", "libcusolver.so.12, libcusolver.so.11", "cusolver"));

  std::fclose(std::fopen((empty / "libcublas.so.12").c_str(), "w"));
  CHECK(load(empty.string(), table)
            .starts_with("cuBLAS could not be loaded: " + (empty / "libcublas.so.12").string() +
                         ": file too short; install it with"));
  fs::remove_all(empty);
}

void missing_functions_are_named(const std::string& folder) {
  std::shared_ptr<const Libraries> table;
  const std::string file = (fs::path(folder) / "libcublas.so.13").string();
  for (const std::string& named : {folder, file}) {
    CHECK(load(named, table)
              .starts_with("cuBLAS could not be loaded: " + file +
                           " has no function cublasDestroy_v2; install it with"));
  }
}

void loaded_libraries_are_named(const std::string& folder) {
  std::shared_ptr<const Libraries> table;
  std::vector<LibraryFile> files;
  CHECK(load(folder, table, &files).empty());
  CHECK(files.size() == 2);
  for (const LibraryFile& file : files) {
    const bool blas = file.name == "cuBLAS";
    CHECK(blas || file.name == "cuSOLVER");
    CHECK(file.path == (fs::path(folder) / (blas ? "libcublas.so.13" : "libcusolver.so.12")).string());
    CHECK(file.version == "13.14.15");
  }

  // One of them is found without the other.
  table.reset();
  files.clear();
  const std::string missing = load((fs::path(folder) / "libcublas.so.13").string(), table, &files);
  CHECK(missing.starts_with("cuSOLVER could not be loaded: looked for "));
  CHECK(files.size() == 1 && files[0].name == "cuBLAS");
}

/// Creating a handle needs a GPU: here it is enough that it says so.
void installed_libraries_serve() {
  std::shared_ptr<const Libraries> table;
  CHECK(!optnet::cuda::load_libraries(table));
  if (!table) return;
#define OPTNET_CHECK_PRESENT(name, function) CHECK(table->name != nullptr);
  OPTNET_CUBLAS_FUNCTIONS(OPTNET_CHECK_PRESENT)
  OPTNET_CUSOLVER_FUNCTIONS(OPTNET_CHECK_PRESENT)
  CHECK(table->routines<float>().trsm != nullptr && table->routines<double>().potrf_batched != nullptr);
  CHECK(describe(*table, CUBLAS_STATUS_NOT_INITIALIZED).starts_with("cuBLAS: "));
  CHECK(describe(*table, CUSOLVER_STATUS_NOT_INITIALIZED) == "cuSOLVER: the library was not initialized (1)");
  cublasHandle_t handle = nullptr;
  if (table->create_blas(&handle) == CUBLAS_STATUS_SUCCESS) table->destroy_blas(handle);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::shared_ptr<const Libraries> table;
    if (const Failure failure = optnet::cuda::load_libraries(table)) {
      std::printf("skipped: %s\n", failure.message.c_str());
      return 77;
    }
    installed_libraries_serve();
    std::thread(installed_libraries_serve).join();
    return optnet::test::result();
  }

  LibraryHooks hooks;
  hooks.violation = [](const std::string& message) { throw std::runtime_error(message); };
  hooks.is_device_pointer = [](const void* address) { return memory.contains(address); };
  set_library_hooks(hooks);

  for (bool pivoting : {true, false}) {
    lu_solves_systems<double>(pivoting);
    lu_solves_systems<float>(pivoting);
  }
  lu_reports_singular_matrices<double>();
  for (const auto uplo : {CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER}) {
    cholesky_solves_systems<double>(uplo);
    cholesky_solves_systems<float>(uplo);
  }
  upper_cholesky_is_the_row_major_lower_factor();
  cholesky_reports_indefinite_matrices();
  for (int choice = 0; choice < 16; ++choice) {
    triangular_solves<double>(choice & 1, choice & 2, choice & 4, choice & 8);
    triangular_solves<float>(choice & 1, choice & 2, choice & 4, choice & 8);
  }
  for (int choice = 0; choice < 4; ++choice) {
    products<double>(choice & 1, choice & 2, 0);
    products<double>(choice & 1, choice & 2, 1.5);
    products<float>(choice & 1, choice & 2, 1.5F);
    rank_k_updates<double>(choice & 1, choice & 2);
    rank_k_updates<float>(choice & 1, choice & 2);
  }
  wrong_arguments_are_reported();
  handles_are_watched();
  calls_are_recorded_and_put_into_the_stream();

  missing_libraries_are_named();
  missing_functions_are_named(argv[1]);
  if (argc > 2) loaded_libraries_are_named(argv[2]);
  return optnet::test::result();
}
