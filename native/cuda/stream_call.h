// A call whose work is on streams: a thread queues it, and when it has ended a thread takes its results to
// where they are wanted.
#pragma once

#include <functional>
#include <memory>

#include "cuda/gpu.h"
#include "engine/device.h"

namespace optnet::cuda {

class StreamCall : public Call {
 public:
  /// All of it in the calling thread, which waits for the GPU.
  void run() final;
  /// Queues in one job of the thread pool, and ends in another, which the stream posts when it has come that
  /// far: no thread waits for the GPU meanwhile.
  void start(std::function<void()> finished) final;
  Failure outcome() const final { return failure_; }

 protected:
  explicit StreamCall(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}

  /// Queues all work, waiting for parts of it if need be. What it returns is why the call cannot go on.
  virtual Failure queue() = 0;
  /// The stream that comes last.
  virtual const Stream& last_stream() const = 0;
  /// When that has come to its end: takes the results over.
  virtual Failure collect() = 0;
  /// Gives back memory and streams. Unless the call went well, work may still be running that uses them.
  virtual void let_go(bool went_well) = 0;

  Gpu& gpu() const { return *gpu_; }

 private:
  void begin();
  void end();

  std::shared_ptr<Gpu> gpu_;
  Failure failure_;
  cudaError_t status_ = cudaSuccess;  ///< of the queued work
  std::function<void()> finished_;
};

}  // namespace optnet::cuda
