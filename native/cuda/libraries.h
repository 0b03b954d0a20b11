// cuBLAS and cuSOLVER as a table of their functions, filled when they are first needed: linked to them, the
// addon would not load on a machine without CUDA.
//
// The headers give nothing but types. Signatures and constants of all that is listed here are the same in
// CUDA 12 and 13, so one build serves the libraries of both.
#pragma once

#include <cublas_v2.h>
#include <cusolverDn.h>

#include <memory>
#include <vector>

#include "cuda/library_file.h"
#include "engine/problem.h"

namespace optnet::cuda {

// X(name in the table, name in the library). T: the letter of the scalar type, D or S.
#define OPTNET_CUBLAS_FUNCTIONS(X)             \
  X(create_blas, cublasCreate_v2)              \
  X(destroy_blas, cublasDestroy_v2)            \
  X(set_blas_stream, cublasSetStream_v2)       \
  X(set_blas_workspace, cublasSetWorkspace_v2) \
  X(get_blas_version, cublasGetVersion_v2)     \
  X(get_blas_property, cublasGetProperty)      \
  X(get_blas_status_string, cublasGetStatusString)
#define OPTNET_CUBLAS_ROUTINES(X, T)                     \
  X(getrf_batched, cublas##T##getrfBatched)              \
  X(getrs_batched, cublas##T##getrsBatched)              \
  X(trsm_batched, cublas##T##trsmBatched)                \
  X(gemm_batched, cublas##T##gemmBatched)                \
  X(gemm_strided_batched, cublas##T##gemmStridedBatched) \
  X(gemm, cublas##T##gemm_v2)                            \
  X(syrk, cublas##T##syrk_v2)                            \
  X(trsm, cublas##T##trsm_v2)
#define OPTNET_CUSOLVER_FUNCTIONS(X)        \
  X(create_solver, cusolverDnCreate)        \
  X(destroy_solver, cusolverDnDestroy)      \
  X(set_solver_stream, cusolverDnSetStream) \
  X(get_solver_property, cusolverGetProperty)
#define OPTNET_CUSOLVER_ROUTINES(X, T)                  \
  X(potrf_buffer_size, cusolverDn##T##potrf_bufferSize) \
  X(potrf, cusolverDn##T##potrf)                        \
  X(potrs, cusolverDn##T##potrs)                        \
  X(potrf_batched, cusolverDn##T##potrfBatched)         \
  X(potrs_batched, cusolverDn##T##potrsBatched)

#define OPTNET_MEMBER(name, function) decltype(&function) name = nullptr;

/// The routines for one scalar type. Matrices are column-major; scalars (alpha, beta) are read on the host,
/// when a routine is called; arrays of pointers lie on the device.
template <class Scalar>
struct Routines;

template <>
struct Routines<double> {
  OPTNET_CUBLAS_ROUTINES(OPTNET_MEMBER, D)
  OPTNET_CUSOLVER_ROUTINES(OPTNET_MEMBER, D)
};

template <>
struct Routines<float> {
  OPTNET_CUBLAS_ROUTINES(OPTNET_MEMBER, S)
  OPTNET_CUSOLVER_ROUTINES(OPTNET_MEMBER, S)
};

struct Libraries {
  OPTNET_CUBLAS_FUNCTIONS(OPTNET_MEMBER)
  OPTNET_CUSOLVER_FUNCTIONS(OPTNET_MEMBER)
  Routines<double> routines_double;
  Routines<float> routines_float;

  /// libraries.routines<Scalar>().potrf_batched(…)
  template <class Scalar>
  const Routines<Scalar>& routines() const {
    if constexpr (sizeof(Scalar) == 8) {
      return routines_double;
    } else {
      return routines_float;
    }
  }
};

#undef OPTNET_MEMBER

/// Looks for both libraries where OPTNET_CUDA_LIBRARIES says (files and folders, separated by ':'), and
/// nowhere else if it is set; otherwise in the loader's path, CUDA_HOME, CUDA_PATH, /usr/local/cuda, and what
/// pip or conda installed in the active environment. Fails with kDevice, one sentence a library, saying where
/// it looked and how to install it.
///
/// What was loaded stays so until the process ends (CUDA's libraries do not survive being unloaded), and
/// loading it again costs little: each environment can have a table of its own.
///
/// `files`, if given, gets what was loaded, also where one of the two could not be.
Failure load_libraries(std::shared_ptr<const Libraries>& out, std::vector<LibraryFile>* files = nullptr);

/// The version of a library whose function for it is `get`; needs no GPU.
template <class Status>
std::string library_version(Status (*get)(libraryPropertyType, int*)) {
  std::string version;
  for (const libraryPropertyType part : {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL}) {
    int number = 0;
    if (get(part, &number) != Status{}) return "";
    version += (version.empty() ? "" : ".") + std::to_string(number);
  }
  return version;
}

}  // namespace optnet::cuda
