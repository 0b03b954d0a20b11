// What the caller hands over and what it gets back: plain pointers, row-major, the batch first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace optnet {

enum class DType : std::uint8_t { kFloat64, kFloat32 };

/// What rounding in the caller's number type may leave of Q − Qᵀ, relative to max|Q|.
constexpr double symmetry_tolerance(DType dtype) { return dtype == DType::kFloat64 ? 1e-9 : 1e-5; }

/// The arithmetic inside: float64, float32 factorisations refined in float64, or float32 alone.
enum class Precision : std::uint8_t { kDouble, kMixed, kSingle };

/// How a problem ended. The numbers are those of `Status` in lib/solution.ts.
enum class Status : std::uint8_t {
  kSolved = 0,
  kMaxIterations = 1,
  kPrimalInfeasible = 2,
  kDualInfeasible = 3,
  kNumericalError = 4,
  kNotDefinite = 255,  ///< of the units' solver to the engine: Q is singular, or worse
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
/// caller until the call has ended). Of host memory, `owner` says that it stays as it is; without one, it is
/// the caller's, to be copied at once.
struct Datum {
  const void* data = nullptr;
  bool batched = false;
  bool on_device = false;
  std::shared_ptr<const void> owner = nullptr;
};

/// minimise ½zᵀQz + pᵀz subject to gl ≤ Gz ≤ h, Az = b, lb ≤ z ≤ ub.
/// Q: n×n, p: n, G: m×n, h and gl: m, A: q×n, b: q, lb and ub: n. Q, gl, lb and ub may be absent whatever the
/// shape; entries of gl and lb may be −∞, of h and ub +∞, and count as such from kInfinite on.
struct Problem {
  Shape shape;
  DType dtype = DType::kFloat64;
  Datum Q, p, G, h, A, b, gl, lb, ub;
};

/// Whether it has more inequalities than Gz ≤ h.
inline bool has_sides(const Problem& problem) {
  return problem.gl.data || problem.lb.data || problem.ub.data;
}

struct Settings {
  double tolerance = 1e-8;  ///< on the scaled residuals; see solver/settings.h
  int max_iterations = 50;
  Precision precision = Precision::kDouble;
  int threads = 0;             ///< 0: as many as the machine has
  bool differentiable = true;  ///< keep the factors for `backward`
  bool polish = true;          ///< solve once more on the active set that the iterates show
  double smoothing = 0;        ///< > 0: differentiate where every λs is this, and not at the solution
  bool closest = false;        ///< an infeasible problem: solve the closest feasible one, h and b shifted
  std::shared_ptr<class Solution> warm_start = nullptr;  ///< of the same shape, on the same device
  bool fallback = false;  ///< a GPU's: to fail with kUnserved where the CPU could do better (see fallback.h)
};

/// Which derivative a problem's `backward` computes. The numbers are those of `Derivative` in
/// lib/solution.ts.
enum class Derivative : std::uint8_t {
  kActiveSet = 0,     ///< on the active set
  kCentralPath = 1,   ///< of the point on the central path where the iterations ended
  kNone = 2,          ///< zero: the problem has no solution
  kUnpolished = 255,  ///< of the units' solver to the engine: kCentralPath, as no active set was found
};

/// Where results go: arrays of the problem's dtype and shape, [batch, n], [batch, m], [batch, q], and
/// [batch]. Of a problem that has no solution, the multipliers are the certificate (kPrimalInfeasible), or z
/// is (kDualInfeasible: a direction).
struct Results {
  void* z = nullptr;
  void* lambda = nullptr;
  void* nu = nullptr;
  void* slack = nullptr;      ///< h − Gz
  void* lambda_gl = nullptr;  ///< of gl ≤ Gz, [batch, m]; null where gl is absent, as for the next two
  void* lambda_lb = nullptr;  ///< [batch, n]
  void* lambda_ub = nullptr;  ///< [batch, n]
  void* shift_h = nullptr;    ///< settings.closest: what was added to h and gl, [batch, m], …
  void* shift_b = nullptr;    ///< … and to b, [batch, q]
  double* margin = nullptr;   ///< min over the inequalities of max(λᵢ, sᵢ); ∞ without any
  std::uint8_t* derivative = nullptr;
  double* objective = nullptr;
  std::uint8_t* status = nullptr;
  std::int32_t* iterations = nullptr;
  double* primal_residual = nullptr;  ///< max(‖Gz + s − h‖∞, ‖Az − b‖∞), from the data as given
  double* dual_residual = nullptr;    ///< ‖Qz + p + Gᵀλ + Aᵀν‖∞
  double* gap = nullptr;              ///< sᵀλ / m
  bool on_device = false;             ///< all up to shift_b lie in the memory of the GPU that solves
};

/// Gradients of the loss with respect to the solution: [batch, n], [batch, m], [batch, q], and [batch] of the
/// objective; null means zero.
struct Upstream {
  const void* dz = nullptr;
  const void* dlambda = nullptr;
  const void* dnu = nullptr;
  const void* dlambda_gl = nullptr;
  const void* dlambda_lb = nullptr;
  const void* dlambda_ub = nullptr;
  const void* dobjective = nullptr;
  // Which of them lie in the memory of the GPU that solved.
  bool dz_on_device = false, dlambda_on_device = false, dnu_on_device = false, dlambda_gl_on_device = false,
       dlambda_lb_on_device = false, dlambda_ub_on_device = false, dobjective_on_device = false;
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
  void* dgl = nullptr;
  void* dlb = nullptr;
  void* dub = nullptr;
  double* residual = nullptr;  ///< of the adjoint system, relative to the upstream gradient, [batch]
  bool on_device = false;      ///< the gradients lie in the memory of the GPU that solved
};

/// A direction in the space of data, each in the shape its datum was given in; null means zero.
struct Tangents {
  const void* dQ = nullptr;
  const void* dp = nullptr;
  const void* dG = nullptr;
  const void* dh = nullptr;
  const void* dA = nullptr;
  const void* db = nullptr;
  const void* dgl = nullptr;
  const void* dlb = nullptr;
  const void* dub = nullptr;
};

/// Where the solution's derivative along tangents goes, in the shapes of Results; null: not asked for.
struct SolutionTangents {
  void* dz = nullptr;
  void* dlambda = nullptr;
  void* dnu = nullptr;
  void* dlambda_gl = nullptr;
  void* dlambda_lb = nullptr;
  void* dlambda_ub = nullptr;
  double* dobjective = nullptr;
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
    kDevice,
    kUnserved  ///< a GPU cannot, and the CPU may; with an argument, 'h', because a row has no bound
  };
  Code code = Code::kNone;
  char argument =
      ' ';  ///< 'Q', 'p', 'G', 'h', 'A', 'b', 'g' for gl, 'L' and 'U' for lb and ub; 'z', 'l', 'n', 'k', 'x',
            ///< 'y', 'o' for dz, dlambda, dnu, dlambda_gl, dlambda_lb, dlambda_ub, dobjective
  std::size_t index = 0;  ///< problem in the batch (0 for a shared datum)
  int row = 0, column = 0;
  std::size_t bytes = 0;  ///< kMemory: what was asked for
  std::string message =
      {};  ///< kDevice: what happened; kUnserved: why, unless it is that problem `index` was not solved;
           ///< kMemory: whose, as "the memory of cuda:0", unless it is the machine's

  explicit operator bool() const { return code != Code::kNone; }
};

}  // namespace optnet
