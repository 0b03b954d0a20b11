// What the caller hands over and what it gets back: plain pointers, row-major, the batch first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace optnet {

enum class DType : std::uint8_t { kFloat64, kFloat32 };

/// The arithmetic inside: float64, float32 factorisations refined in float64, or float32 alone.
enum class Precision : std::uint8_t { kDouble, kMixed, kSingle };

/// How a problem ended. The numbers are those of `Status` in lib/solution.ts.
enum class Status : std::uint8_t {
  kSolved = 0,
  kMaxIterations = 1,
  kPrimalInfeasible = 2,
  kDualInfeasible = 3,
  kNumericalError = 4,
};

/// Sizes: n variables, m inequalities, q equalities.
struct Shape {
  std::size_t batch = 1;
  int n = 0;
  int m = 0;
  int q = 0;
};

/// One datum of the problem. `data` is null where it is absent (m = 0 or q = 0).
/// `batched`: it has one value per problem; otherwise one value serves the whole batch.
/// `on_device`: it lies in the memory of the GPU that solves, kept there by `owner` (or, without one, by the
/// caller until the call has ended).
struct Datum {
  const void* data = nullptr;
  bool batched = false;
  bool on_device = false;
  std::shared_ptr<const void> owner = nullptr;
};

/// minimise ½zᵀQz + pᵀz subject to Gz ≤ h, Az = b.  Q: n×n, p: n, G: m×n, h: m, A: q×n, b: q.
struct Problem {
  Shape shape;
  DType dtype = DType::kFloat64;
  Datum Q, p, G, h, A, b;
};

struct Settings {
  double tolerance = 1e-8;  ///< on the scaled residuals; see solver/settings.h
  int max_iterations = 50;
  Precision precision = Precision::kDouble;
  int threads = 0;             ///< 0: as many as the machine has
  bool differentiable = true;  ///< keep the factors for `backward`
};

/// Where results go: arrays of the problem's dtype and shape, [batch, n], [batch, m], [batch, q], and
/// [batch].
struct Results {
  void* z = nullptr;
  void* lambda = nullptr;
  void* nu = nullptr;
  void* slack = nullptr;
  double* objective = nullptr;
  std::uint8_t* status = nullptr;
  std::int32_t* iterations = nullptr;
  double* primal_residual = nullptr;  ///< max(‖Gz + s − h‖∞, ‖Az − b‖∞), from the data as given
  double* dual_residual = nullptr;    ///< ‖Qz + p + Gᵀλ + Aᵀν‖∞
  double* gap = nullptr;              ///< sᵀλ / m
  bool on_device = false;             ///< z, lambda, nu and slack lie in the memory of the GPU that solves
};

/// Gradients of the loss with respect to the solution: [batch, n], [batch, m], [batch, q]; null means zero.
struct Upstream {
  const void* dz = nullptr;
  const void* dlambda = nullptr;
  const void* dnu = nullptr;
  bool dz_on_device = false, dlambda_on_device = false, dnu_on_device = false;
};

/// Where gradients go, each in the shape its datum was given in (no batch: the sum over the batch); null: not
/// asked for.
struct Gradients {
  void* dQ = nullptr;
  void* dp = nullptr;
  void* dG = nullptr;
  void* dh = nullptr;
  void* dA = nullptr;
  void* db = nullptr;
  bool on_device = false;  ///< they lie in the memory of the GPU that solved
};

/// Why a call could not be served. `code` is the tail of a QpError code; `argument` and `index` say where.
struct Failure {
  enum class Code : std::uint8_t {
    kNone,
    kNotFinite,
    kNotSymmetric,
    kNotConvex,
    kMemory,
    kCancelled,
    kDevice
  };
  Code code = Code::kNone;
  char argument = ' ';    ///< 'Q', 'p', 'G', 'h', 'A', 'b', or 'z', 'l', 'n' for dz, dlambda, dnu
  std::size_t index = 0;  ///< problem in the batch (0 for a shared datum)
  int row = 0, column = 0;
  std::size_t bytes = 0;  ///< kMemory: what was asked for
  std::string message =
      {};  ///< kDevice: what happened; kMemory: whose, as "the memory of cuda:0", unless it is the machine's

  explicit operator bool() const { return code != Code::kNone; }
};

}  // namespace optnet
