// The call that draws gradients from a solved batch: upstream gradients in, the adjoint from the kept
// factors, and from that the gradients of the data that were asked for.
#pragma once

#include "cuda/chunks.h"
#include "cuda/data_kernels.h"
#include "cuda/inputs.h"
#include "cuda/solution.h"
#include "cuda/stream_call.h"

namespace optnet::cuda {

class BackwardCall final : public StreamCall {
 public:
  static Failure create(std::shared_ptr<SolutionState> solution, const Upstream& upstream,
                        const Gradients& gradients, std::shared_ptr<Call>& out);

 protected:
  Failure queue() override;
  const Stream& last_stream() const override { return lanes_[last_lane_].stream; }
  Failure collect() override;
  void let_go(bool went_well) override;

 private:
  /// z, λ, ν: the upstream gradient, the solution, the adjoint.
  struct Vector {
    std::size_t length = 0;          ///< of one problem
    const void* upstream = nullptr;  ///< on the GPU, the caller's; null: in the snapshot, or zero
    bool given = false;
    std::size_t snapshot_part = 0;
    std::size_t raw = 0, scalar = 0, adjoint = 0;  ///< offsets in the memory for the whole call
  };

  /// A gradient that is asked for.
  struct Wanted {
    void* to = nullptr;
    bool batched = false;
    int vector = 0;          ///< for dp, dh, db: sign × the adjoint of this one
    bool is_matrix = false;  ///< for dQ, dG, dA: scale·(adjoint of `vector` zᵀ + `vector` dzᵀ)
    double factor = 1;
    std::size_t elements = 0;  ///< of one problem
    std::size_t offset =
        0;  ///< on its way to the host, of one that is summed: in the memory for the whole call
  };

  struct Lane {
    Stream stream;
    Delivery delivery;
    std::byte* memory = nullptr;
    std::size_t count = 0;
  };

  BackwardCall(std::shared_ptr<SolutionState> solution, const Gradients& gradients);
  Failure take_upstream(const Upstream& upstream);

  void want(void* to, bool batched, int vector, bool is_matrix, double factor);
  std::size_t lay_out_fixed();
  std::size_t lay_out_lane(std::size_t problems);
  Failure reserve_memory();
  Failure queue_upstream();
  Failure queue_chunk(Lane& lane, std::size_t first, std::size_t count);
  Failure queue_gradients(Lane& lane, std::size_t first, std::size_t count);
  Failure queue_sums();
  Failure receive(Lane& lane);

  std::byte* scalars(const Vector& v, std::size_t first) const;
  std::byte* adjoint(int vector, std::size_t first) const;
  std::byte* solved(int vector, std::size_t first) const;
  OuterPart outer(const Wanted& gradient, std::size_t first, std::byte* to) const;
  std::size_t element() const { return size_of(solution_->layout.dtype); }

  std::shared_ptr<SolutionState> solution_;
  Snapshot snapshot_;
  bool on_device_;  ///< the gradients go to the GPU's memory
  Vector vectors_[3];
  std::vector<Wanted> wanted_;
  Chunks chunks_;
  std::size_t at_block_ = 0, at_partials_ = 0;  ///< in the memory for the whole call: flag and sums; scratch
  std::size_t at_lane_block_ = 0, at_workspace_ = 0;
  Lane lanes_[2];
  int last_lane_ = 0;
  Delivery sums_;
  Key bad_ = kNoKey;
};

}  // namespace optnet::cuda
