#include "cuda/library_worker.h"

namespace optnet::cuda {

LibraryWorker::~LibraryWorker() {
  handles_.reset();
  if (counts_) cudaFreeHost(counts_);
  if (event_) cudaEventDestroy(event_);
}

void LibraryWorker::begin(const std::shared_ptr<const Libraries>& libraries, const GroupMemory& memory,
                          int groups, cudaStream_t stream, LibraryOutcome& outcome) {
  outcome.check(prepare(groups, stream));
  if (!outcome) return;
  constexpr std::size_t bytes = GroupMemory::kLibraryBytes;
  outcome.message = handles_
                        ? handles_->move(stream, memory.library, bytes)
                        : LibraryHandles::create(libraries, stream, memory.library, bytes, handles_).message;
  if (!outcome.message.empty()) outcome.error = cudaErrorInitializationError;
}

cudaError_t LibraryWorker::prepare(int groups, cudaStream_t stream) {
  if (event_) {  // what the handles were last used for may still be under way
    if (const cudaError_t error = cudaStreamWaitEvent(stream, event_, 0)) return error;
  } else if (const cudaError_t error =
                 cudaEventCreateWithFlags(&event_, cudaEventDisableTiming | cudaEventBlockingSync)) {
    return error;
  }
  if (groups <= capacity_) return cudaSuccess;
  if (counts_) cudaFreeHost(counts_);
  counts_ = nullptr;
  capacity_ = 0;
  const std::size_t bytes = static_cast<std::size_t>(groups) * sizeof(int);
  const cudaError_t error = cudaMallocHost(reinterpret_cast<void**>(&counts_), bytes);
  if (error == cudaSuccess) capacity_ = groups;
  return error;
}

cudaError_t LibraryWorker::wait(cudaStream_t stream) {
  const cudaError_t error = cudaEventRecord(event_, stream);
  return error == cudaSuccess ? cudaEventSynchronize(event_) : error;
}

}  // namespace optnet::cuda
