// The call that solves a batch: data in, checked, solved, results out, by chunks of the batch where there is
// no room for all of it.
#pragma once

#include <vector>

#include "cuda/chunks.h"
#include "cuda/inputs.h"
#include "cuda/solution.h"
#include "cuda/stream_call.h"

namespace optnet::cuda {

class SolveCall final : public StreamCall {
 public:
  static Failure create(std::shared_ptr<SolutionState> solution, const Problem& problem,
                        const Results& results, std::shared_ptr<Control> control, std::shared_ptr<Call>& out);

 protected:
  Failure queue() override;
  const Stream& last_stream() const override { return lanes_[last_lane_].stream; }
  Failure collect() override;
  void let_go(bool went_well) override;

 private:
  /// What went wrong with the data, as the GPU saw it.
  struct Flags {
    Key bad = kNoKey;
    Key indefinite = kNoKey;
  };

  /// What one chunk at a time is worked on with.
  struct Lane {
    Stream stream;
    Delivery delivery;
    std::byte* memory = nullptr;
    std::size_t count = 0;  ///< problems whose results are still to be collected
    Flags flags;
  };

  /// Offsets in a lane's memory.
  struct Offsets {
    std::size_t block = 0, end = 0;  ///< between these: what goes to the host
    std::size_t objective = 0, primal = 0, dual = 0, gap = 0, margin = 0, iterations = 0, status = 0,
                derivative = 0;
    std::size_t outputs[4] = {};  ///< z, λ, ν, s in the caller's number type …
    std::size_t scalars[4] = {};  ///< … and in the solver's, where that is not kept and not the same
    std::size_t kept = 0, workspace = 0;
  };

  SolveCall(std::shared_ptr<SolutionState> solution, const Problem& problem, const Results& results,
            std::shared_ptr<Control> control);

  std::size_t lay_out(std::size_t problems);
  Failure reserve_memory();
  Failure queue_shared();
  Failure queue_chunk(Lane& lane, std::size_t first, std::size_t count);
  Failure queue_results(Lane& lane, std::size_t first, std::size_t count);
  Failure collect(Lane& lane);

  SolveArguments arguments(const Lane& lane, std::size_t first, std::size_t count) const;
  Inputs::Memory input_memory(const Lane& lane) const { return {retained_, chunks_.fixed(), lane.memory}; }
  std::size_t length(int vector) const;
  void* result(int vector) const;
  /// Where the solver writes a vector, from problem `first` on, and where the caller wants it.
  std::byte* scalars(int vector, const Lane& lane, std::size_t first) const;
  std::byte* output(int vector, const Lane& lane, std::size_t first) const;
  bool kept(int vector) const { return solution_->settings.differentiable && vector < 3; }
  bool same_type() const { return solution_->scalar() == solution_->layout.dtype; }

  std::shared_ptr<SolutionState> solution_;
  Inputs inputs_;
  Results results_;
  std::shared_ptr<Control> control_;
  Chunks chunks_;
  Offsets at_;
  std::byte* retained_ = nullptr;
  Lane lanes_[2];
  int last_lane_ = 0;
  std::size_t solved_ = 0;
};

}  // namespace optnet::cuda
