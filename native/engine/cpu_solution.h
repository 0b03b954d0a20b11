// What a CpuSolution holds. cpu_device.cpp makes and solves it, cpu_derivatives.cpp differentiates it.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "cpu/unit_solver.h"
#include "engine/cpu_device.h"
#include "engine/general_batch.h"

namespace optnet {

/// A job of the thread pool, or without one, of the calling thread.
class JobCall : public Call {
 public:
  JobCall(ThreadPool* pool, Job job, std::function<Failure()> outcome)
      : pool_(pool), job_(std::move(job)), outcome_(std::move(outcome)) {}

  void run() override {
    if (pool_) return pool_->run(std::move(job_));
    for (const Stage& stage : job_.stages) {
      for (std::size_t unit = 0; unit < stage.units; ++unit) stage.run(unit, 0);
    }
  }
  void start(std::function<void()> finished) override {
    job_.finished = std::move(finished);
    pool_->start(std::move(job_));
  }
  Failure outcome() const override { return outcome_(); }

 private:
  ThreadPool* pool_;
  Job job_;
  std::function<Failure()> outcome_;
};

/// Memory of one call's workers.
struct Workspace {
  explicit Workspace(int threads) : general(static_cast<std::size_t>(threads)) {}

  MemoryPool::Block scratch;               ///< of all of them
  std::vector<MemoryPool::Block> general;  ///< of each, once it needs the general solver
  std::atomic<std::size_t> missing{0};     ///< bytes that could not be had

  MemoryPool::Block& general_of(int worker) { return general[static_cast<std::size_t>(worker)]; }
  Failure out_of_memory() const {
    return missing == 0 ? Failure{} : Failure{Failure::Code::kMemory, ' ', 0, 0, 0, missing};
  }
};

struct CpuSolution::Impl {
  struct Solving;
  struct Differentiating;

  Problem layout;  ///< shapes and what is batched; of the data, only whether they are there
  Settings settings;
  SolverSettings solver_settings;
  std::unique_ptr<UnitSolver> units;
  UnitSolver::Footprint footprint;
  std::size_t unit_count = 0;
  int threads = 1;
  bool has_shared = false;
  bool all_general = false;      ///< the units' solver serves none of the problems …
  bool narrow = false;           ///< it computes in float32
  bool shared_singular = false;  ///< … or cannot, because the shared Q is not positive definite
  std::unique_ptr<GeneralBatch> general;

  ThreadPool* threads_of = nullptr;
  std::shared_ptr<MemoryPool> pool;
  MemoryPool::Block shared, data, kept, vectors;

  std::size_t scratch_bytes() const { return static_cast<std::size_t>(threads) * footprint.scratch; }
  UnitSolver::Memory memory_of(std::size_t unit, int worker, const Workspace& workspace) const {
    const auto w = static_cast<std::size_t>(worker);
    UnitSolver::Memory memory;
    memory.shared = shared.data();
    memory.data = data.data() ? data.data() + unit * footprint.data : nullptr;
    memory.kept = kept.data() + (settings.differentiable ? unit : w) * footprint.kept;
    memory.scratch = workspace.scratch.data() + w * footprint.scratch;
    return memory;
  }
  std::size_t lanes() const { return all_general ? 1 : units->lanes(); }
  /// f(i) for the problems of a unit.
  template <class F>
  void each_problem(std::size_t unit, F f) const {
    for (std::size_t i = unit * lanes(); i < std::min((unit + 1) * lanes(), layout.shape.batch); ++i) f(i);
  }

  /// Places vectors of the whole batch one after the other.
  class Placement {
   public:
    Placement(const Shape& shape, double* next) : shape_(shape), next_(next) {}
    double* take(int size) {
      double* at = next_;
      if (next_) next_ += shape_.batch * static_cast<std::size_t>(size);
      count_ += shape_.batch * static_cast<std::size_t>(size);
      return at;
    }
    std::size_t bytes() const { return count_ * sizeof(double); }

   private:
    const Shape& shape_;
    double* next_;
    std::size_t count_ = 0;
  };
  /// The solution, owned here. Returns its size.
  std::size_t place_solution(double* memory, BatchVectors& v) const;
  BatchVectors solution_vectors() const {
    BatchVectors v;
    if (settings.differentiable) place_solution(reinterpret_cast<double*>(vectors.data()), v);
    return v;
  }

  // ---- cpu_device.cpp ----

  void solve_unit(std::size_t unit, int worker, Solving& call, const Results& results) const;
  /// Whether the units' data are not the caller's but rounded: statuses are decided by those as they were
  /// given.
  bool rounds_data() const { return narrow && layout.dtype == DType::kFloat64; }
  void judge(const GeneralBatch::Task& task, int worker, Solving& call, const Results& results) const;
  bool settle_unpolished(std::size_t i, const Results& results) const;
  GeneralBatch::Result solve_general(const GeneralBatch::Task& task, int worker, Solving& call,
                                     const Results& results) const;

  // ---- cpu_derivatives.cpp ----

  /// What one backward or jvp call computes, `apart` from it what a loss that depends on the objective adds
  /// to. Returns its size.
  std::size_t place_adjoint(double* memory, bool apart, BatchVectors& v) const;
  Failure begin(Differentiating& call, std::size_t given, bool apart) const;
  /// dz, dλ, … of a unit's problems, by the factors of whichever solver served each.
  void differentiate(std::size_t unit, int worker, Differentiating& call, bool forward,
                     double* residuals) const;
  void add_objective(std::size_t i, double weight, const BatchVectors& v) const;
  /// Whether problem i's derivative is taken at a point that need not be the minimum of its objective.
  bool off_minimum(std::size_t i, const BatchVectors& v) const { return v.slope && general->serves(i); }
  Stage sum_vectors(const Gradients& gradients, const BatchVectors& v) const;
  Stage sum_matrices(const Gradients& gradients, const BatchVectors& v) const;
  template <class T>
  double tangent_equations(std::size_t i, const Tangents& tangents, const BatchVectors& v,
                           const BatchVectors& equations) const;
  double along_slope(std::size_t i, const BatchVectors& v) const;
  void write_tangents(std::size_t i, const BatchVectors& v, const SolutionTangents& out) const;
};

}  // namespace optnet
