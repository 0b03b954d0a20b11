// What a call of the library path needs besides memory of the GPU.
#pragma once

#include <memory>

#include "cuda/library_instances.h"
#include "cuda/library_routines.h"

namespace optnet::cuda {

/// Handles, an event and some pinned memory: used again by one call after the other.
class LibraryWorker {
 public:
  LibraryWorker() = default;
  ~LibraryWorker();
  LibraryWorker(const LibraryWorker&) = delete;
  LibraryWorker& operator=(const LibraryWorker&) = delete;

  /// For a call on `stream` with so many groups.
  void begin(const std::shared_ptr<const Libraries>& libraries, const GroupMemory& memory, int groups,
             cudaStream_t stream, LibraryOutcome& outcome);
  /// The call has queued all of its work.
  cudaError_t end(cudaStream_t stream) { return cudaEventRecord(event_, stream); }

  const LibraryHandles& handles() const { return *handles_; }
  int* counts() const { return counts_; }  ///< of the groups' unfinished problems; pinned
  /// Sleeps until the stream's work so far has ended.
  cudaError_t wait(cudaStream_t stream);

 private:
  std::unique_ptr<LibraryHandles> handles_;
  cudaEvent_t event_ = nullptr;  ///< the end of what they were last used for
  int* counts_ = nullptr;
  int capacity_ = 0;

  cudaError_t prepare(int groups, cudaStream_t stream);
};

}  // namespace optnet::cuda
