// What a call reads from the host's memory, copied when it is made, and what it writes there when it ends.
#pragma once

#include <cstddef>
#include <vector>

#include "cuda/gpu.h"
#include "cuda/layout.h"

namespace optnet::cuda {

/// A copy of host arrays, laid out as Layout would: in a staging slot where they fit into one, ready to be
/// sent, otherwise in plain memory.
class Snapshot {
 public:
  struct Part {
    const void* from = nullptr;
    std::size_t bytes = 0;
  };

  /// Copies the arrays. Needs the GPU to be current.
  Failure take(Gpu& gpu, const std::vector<Part>& parts);
  /// Does without copies, as somebody keeps the arrays until all has been sent. They lie in one block.
  void adopt(const std::vector<Part>& parts);
  /// Where an array begins.
  std::size_t offset(std::size_t part) const { return offsets_[part]; }
  /// Queues the copy of a piece to the GPU.
  Failure send(Gpu& gpu, std::size_t offset, std::size_t bytes, std::byte* to, cudaStream_t stream) const;
  /// Frees the memory. What `send` queued must have ended.
  void let_go();
  /// Frees plain memory: all has been sent, though it may not have arrived.
  void sent() { memory_ = {}; }

 private:
  std::byte* data() const { return adopted_ ? adopted_ : slot_ ? slot_.data() : memory_.data(); }

  std::vector<std::size_t> offsets_;
  Staging::Slot slot_;
  MemoryPool::Block memory_;
  std::byte* adopted_ = nullptr;
};

/// A block of GPU memory whose parts go to arrays in host memory.
class Delivery {
 public:
  struct Part {
    std::size_t offset = 0;  ///< in the block
    void* to = nullptr;      ///< null: not wanted
    std::size_t bytes = 0;
  };

  void set(const std::byte* block, std::vector<Part> parts);
  /// Has the block sent when `stream` has come that far, if it fits into a slot; if not, it stays where it
  /// is until `receive`. `stream` stays the delivery's.
  Failure send(Gpu& gpu, cudaStream_t stream);
  /// Waits for it, and writes the host's arrays.
  Failure receive(Gpu& gpu);
  /// Makes `stream` wait for what this one waits for.
  Failure hold(cudaStream_t stream) const { return ready_.hold(stream); }
  /// Frees the slot: nothing is on its way any more.
  void let_go() { slot_ = {}; }

 private:
  void scatter(std::size_t offset, std::size_t count, const std::byte* data) const;

  const std::byte* block_ = nullptr;
  std::size_t bytes_ = 0;
  std::vector<Part> parts_;
  Staging::Slot slot_;
  Event ready_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace optnet::cuda
