#include "cuda/stream.h"

namespace optnet::cuda {

Failure Event::record(cudaStream_t stream) {
  if (!event_) {
    OPTNET_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync));
  }
  OPTNET_CUDA(cudaEventRecord(event_, stream));
  return {};
}

Failure Event::hold(cudaStream_t stream) const {
  if (event_) OPTNET_CUDA(cudaStreamWaitEvent(stream, event_, 0));
  return {};
}

Failure Event::wait() const {
  if (event_) OPTNET_CUDA(cudaEventSynchronize(event_));
  return {};
}

bool Event::passed() const {
  if (!event_) return true;
  const cudaError_t status = cudaEventQuery(event_);
  ignore(status);
  return status != cudaErrorNotReady;
}

Stream::~Stream() {
  if (!pool_) return;
  const std::lock_guard lock(pool_->mutex_);
  pool_->idle_.push_back(stream_);
}

Failure Stream::wait() const {
  OPTNET_CUDA(cudaStreamSynchronize(stream_));
  return {};
}

Failure Stream::then(std::function<void(cudaError_t)> callback) const {
  using Callback = std::function<void(cudaError_t)>;
  auto owned = std::make_unique<Callback>(std::move(callback));
  // Not cudaLaunchHostFunc: that one is never called once the context is in an error state.
  OPTNET_CUDA(cudaStreamAddCallback(
      stream_,
      [](cudaStream_t, cudaError_t status, void* data) {
        const std::unique_ptr<Callback> callback(static_cast<Callback*>(data));
        (*callback)(status);
      },
      owned.get(), 0));
  (void)owned.release();  // the callback owns it
  return {};
}

StreamPool::~StreamPool() {
  for (cudaStream_t stream : idle_) {
    ignore(cudaStreamSynchronize(stream));
    ignore(cudaStreamDestroy(stream));
  }
}

Failure StreamPool::take(Stream& out) {
  out = Stream();
  Stream taken;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      taken.stream_ = idle_.back();
      idle_.pop_back();
    }
  }
  if (!taken.stream_) OPTNET_CUDA(cudaStreamCreateWithFlags(&taken.stream_, cudaStreamNonBlocking));
  taken.pool_ = this;
  out = std::move(taken);
  return {};
}

}  // namespace optnet::cuda
