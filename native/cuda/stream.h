// Streams, used again by one call after the other, and events.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/check.h"

namespace optnet::cuda {

/// A point in a stream's work. Who waits for it sleeps.
class Event {
 public:
  Event() = default;
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_) ignore(cudaEventDestroy(event_));
  }

  /// After all that was queued on `stream` so far. Made when first recorded.
  Failure record(cudaStream_t stream);
  /// Makes `stream` wait for it; for one that was never recorded: not at all.
  Failure hold(cudaStream_t stream) const;
  Failure wait() const;
  /// Whether it has come; also where CUDA cannot tell any more.
  bool passed() const;

 private:
  cudaEvent_t event_ = nullptr;
};

class StreamPool;

/// A stream of its own for as long as it is held. It is given back when its work has ended.
class Stream {
 public:
  Stream() = default;
  Stream(Stream&& other) noexcept { *this = std::move(other); }
  Stream& operator=(Stream&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream();

  operator cudaStream_t() const { return stream_; }
  explicit operator bool() const { return stream_ != nullptr; }
  Failure wait() const;
  /// Has `callback` called, by a thread of the driver's that must not call CUDA, when all that was queued so
  /// far has ended, or cannot end because the context is lost: the status says which.
  Failure then(std::function<void(cudaError_t)> callback) const;

 private:
  friend StreamPool;
  StreamPool* pool_ = nullptr;
  cudaStream_t stream_ = nullptr;
};

class StreamPool {
 public:
  StreamPool() = default;
  ~StreamPool();  ///< waits for their work
  StreamPool(const StreamPool&) = delete;
  StreamPool& operator=(const StreamPool&) = delete;

  Failure take(Stream& out);

 private:
  friend Stream;
  std::mutex mutex_;
  std::vector<cudaStream_t> idle_;
};

}  // namespace optnet::cuda
