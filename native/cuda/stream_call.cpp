#include "cuda/stream_call.h"

#include "cuda/check.h"
#include "cuda/current_device.h"

namespace optnet::cuda {
namespace {

/// An error that another call left in this thread is not this call's.
void start_afresh() { (void)cudaGetLastError(); }

}  // namespace

void StreamCall::run() {
  const CurrentDevice current(gpu_->ordinal());
  start_afresh();
  failure_ = current.failure();
  if (!failure_) failure_ = queue();
  if (!failure_) failure_ = last_stream().wait();
  if (!failure_) failure_ = collect();
  let_go(!failure_);
}

void StreamCall::start(std::function<void()> finished) {
  finished_ = std::move(finished);
  Job job;
  job.threads = 1;
  job.stages.push_back({1, [this](std::size_t, int) { begin(); }});
  gpu_->pool().start(std::move(job));
}

void StreamCall::begin() {
  const CurrentDevice current(gpu_->ordinal());
  start_afresh();
  failure_ = current.failure();
  if (!failure_) failure_ = queue();
  if (!failure_) {
    // Once this is queued the call may end, and be gone, at any time.
    Failure failure = last_stream().then([this, pool = &gpu_->pool()](cudaError_t status) {
      status_ = status;
      Job job;
      job.threads = 1;
      job.stages.push_back({1, [this](std::size_t, int) { end(); }});
      pool->start(std::move(job));
    });
    if (!failure) return;
    failure_ = std::move(failure);
  }
  end();
}

void StreamCall::end() {
  {
    const CurrentDevice current(gpu_->ordinal());
    start_afresh();
    if (!failure_) failure_ = failure_of(status_, "the work queued on the GPU");
    if (!failure_) failure_ = collect();
    let_go(!failure_);
  }
  const std::function<void()> finished = std::move(finished_);
  finished();  // the call may be gone now
}

}  // namespace optnet::cuda
