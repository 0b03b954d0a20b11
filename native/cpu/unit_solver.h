// What the engine knows of a CPU backend: memory to reserve, data to load, units of work to run. A unit is a
// pack of problems, or one problem. Implemented once for each backend, form, precision and instruction set.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/problem.h"
#include "solver/plain_problem.h"

namespace optnet {

class GeneralUnit;

/// Row-major numbers of the whole batch that `backward` works with.
struct BatchVectors {
  // The solution. Of the rows of G: λ − λ_gl, and either side's, which where gl is absent is the same array.
  double *z = nullptr, *lambda = nullptr, *nu = nullptr;
  double *lambda_h = nullptr, *lambda_gl = nullptr, *lambda_lb = nullptr, *lambda_ub = nullptr;
  double* slope = nullptr;  ///< Qz + p, where the derivative is not taken at the solution
  // The adjoint, in the same parts.
  double *dz = nullptr, *dlambda = nullptr, *dnu = nullptr;
  double *dlambda_h = nullptr, *dlambda_gl = nullptr, *dlambda_lb = nullptr, *dlambda_ub = nullptr;
  // What takes the place of dz in dQ and dp, and of dν in db, for a loss that depends on the objective: else
  // the same arrays.
  double *dz_of_Q = nullptr, *dz_of_p = nullptr, *dnu_of_b = nullptr;
};

class UnitSolver {
 public:
  /// Bytes: for the batch, for each unit while it is solved (`data`) and after (`kept`), and for each worker.
  struct Footprint {
    std::size_t shared = 0, data = 0, kept = 0, scratch = 0;
  };
  struct Memory {
    std::byte *shared = nullptr, *data = nullptr, *kept = nullptr, *scratch = nullptr;
  };

  virtual ~UnitSolver() = default;

  virtual std::size_t lanes() const = 0;  ///< problems in a unit
  virtual Footprint footprint() const = 0;

  /// Copies and checks the data that the batch shares, or one unit's.
  virtual Failure load_shared(const Problem& problem, const Memory& memory) const = 0;
  virtual Failure load(const Problem& problem, std::size_t unit, const Memory& memory) const = 0;

  /// Factors what the batch shares. False: the shared Q is not positive definite.
  virtual bool prepare_shared(const Memory& memory) const = 0;
  /// The numbers of one problem of a unit, as they were loaded, into plain arrays that are there for those it
  /// has.
  virtual void read(int lane, const Memory& memory, const PlainProblem& out) const = 0;
  /// Solves one unit and writes its part of `results` and `solution`. A problem whose Q is not positive
  /// definite, or that cannot be started, ends with kNotDefinite.
  virtual void solve(std::size_t unit, const Memory& memory, const SolverSettings& settings,
                     bool differentiable, const Results& results, const BatchVectors& solution) const = 0;
  /// dz, dλ, dν of one unit into `vectors`, and, unless null, the residual of each problem's system.
  /// `upstream`: the same for the gradient of the loss; null means zero.
  virtual void backward(std::size_t unit, const Memory& memory, const BatchVectors& upstream,
                        const BatchVectors& vectors, double* residuals) const = 0;
  /// Gradients of the data that problem i has to itself.
  virtual void own_gradients(std::size_t i, const Problem& layout, const Gradients& gradients,
                             const BatchVectors& vectors) const = 0;
  /// Rows [first, last) of Σ over the batch of scale·(u vᵀ + x yᵀ), an outer product a problem.
  struct OuterSum {
    const double *u, *v, *x, *y;
    int rows, columns;
    double scale;
  };
  virtual void sum_outer(std::size_t batch, const OuterSum& sum, int first, int last, DType dtype,
                         void* out) const = 0;
};

/// What was compiled for one instruction set.
struct InstructionSet {
  const char* name;
  bool (*usable)();
  std::unique_ptr<UnitSolver> (*make)(const Shape& shape, const Sharing& sharing, DType dtype,
                                      Precision precision);
  /// For problems with gl, lb or ub; null where the general solver is as fast.
  std::unique_ptr<UnitSolver> (*make_bounded)(const Shape& shape, const Sharing& sharing, DType dtype);
  std::unique_ptr<GeneralUnit> (*make_general)(const Dimensions& dimensions, bool bounded);
};

/// The best one that this CPU can run, or the one that the environment variable OPTNET_INSTRUCTION_SET names.
const InstructionSet& best_instruction_set();

}  // namespace optnet
