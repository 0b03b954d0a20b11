// The problems of a batch that the general solver serves: all of one without Q, and of the others those that
// the solver of the units did not solve.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cpu/general_unit.h"
#include "cpu/unit_solver.h"
#include "engine/memory.h"

namespace optnet {

class GeneralBatch {
 public:
  using Block = MemoryPool::Block;

  /// What it takes for each problem of the batch, whoever solves it.
  static constexpr std::size_t kBytesOfProblem = sizeof(Block) + 1;

  /// `layout`: of the data, only whether they are there.
  GeneralBatch(const Problem& layout, const Settings& settings, std::shared_ptr<MemoryPool> pool);

  /// Copies the data of a batch that is all general, and checks them.
  Failure load(const Problem& problem);

  /// Memory for a worker; false where it cannot be had.
  bool reserve(Block& scratch) const { return scratch.data() || pool_->take(scratch_bytes(), scratch); }
  std::size_t scratch_bytes() const;

  enum class Result : std::uint8_t { kSolved, kUnsolved, kInfeasible, kNotConvex, kNoMemory };

  /// Which results are worth more than what is there already: all, solutions and certificates, or
  /// certificates.
  enum class Keep : std::uint8_t { kAll, kAnswers, kCertificates };
  struct Task {
    std::size_t i = 0;
    std::function<void(const PlainProblem&)> read = nullptr;  ///< into plain arrays; null: what `load` took
    const BatchVectors* guess = nullptr;
    bool only_guess = false;  ///< give up where the guess does not lead to the solution
    Keep keep = Keep::kAll;
  };
  /// Solves one problem. Unless the result is not worth keeping, it is written, and `serves` the problem from
  /// then on.
  Result solve(const Task& task, const Block& scratch, const Results& results, const BatchVectors& vectors);
  bool serves(std::size_t i) const { return served_[i] != kNot; }

  /// In float64 from the data, the residuals of a result, which says no more than they do from then on: of a
  /// problem without sides beside Gz ≤ h that was solved in float32.
  void judge(const Task& task, const Block& scratch, const Results& results) const;

  /// dz, dλ, … of problem i from `in` (null means zero) into `out`: backward, or `forward`. Returns the
  /// residual, or nothing where memory cannot be had.
  std::optional<double> differentiate(std::size_t i, const Block& scratch, const BatchVectors& in,
                                      const BatchVectors& out, bool forward) const;

  std::size_t bytes() const;
  /// Lets go of the data.
  void forget_data() { data_ = {}; }

 private:
  Problem layout_;
  Settings settings_;
  Dimensions d_;
  bool bounded_;
  std::shared_ptr<MemoryPool> pool_;
  std::unique_ptr<GeneralUnit> unit_;
  GeneralUnit::Footprint footprint_;
  Dimensions elastic_d_;  ///< of a problem whose rows may give: z and the shifts of G's and A's rows
  std::unique_ptr<GeneralUnit> elastic_;
  GeneralUnit::Footprint elastic_footprint_;
  Block data_;
  struct Source {
    std::size_t offset = 0;  ///< into data_
    std::size_t size = 0;    ///< numbers of one problem
    bool batched = false, present = false;
  };
  Source Q_, p_, G_, h_, A_, b_, gl_, lb_, ub_;
  std::vector<Block> kept_;
  enum Served : std::uint8_t { kNot, kAsGiven, kElastic };
  std::vector<Served> served_;

  /// The vectors of one problem.
  struct Vectors;
  struct Parts;

  PlainProblem plain(Arena& arena) const;
  GeneralSettings solver_settings(const Task& task) const;
  Result solve_closest(const Task& task, const PlainProblem& problem, const Results& results,
                       const BatchVectors& vectors);
  void write(std::size_t i, const GeneralReport& report, const Vectors& solution, const Vectors& at,
             const Results& results, const BatchVectors& vectors) const;
  void read_problem(const Task& task, const PlainProblem& to) const;
  void read_own(std::size_t i, const PlainProblem& to) const;
  void read(const Source& source, std::size_t i, double* to) const;
};

}  // namespace optnet
