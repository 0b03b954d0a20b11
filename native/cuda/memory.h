// Memory of one GPU for one environment. What is given back is kept for the next call, up to a part of the
// GPU's memory.
//
// One rule orders it all: memory is given back when the work that used it has ended, never before. So what is
// free is free for every stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/problem.h"

namespace optnet::cuda {

class Heap;

/// A piece of it, given back when destroyed. An empty one holds nothing.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceMemory();
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  friend Heap;
  std::shared_ptr<Heap> heap_;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Its functions may be called from any thread.
class Heap : public std::enable_shared_from_this<Heap> {
 public:
  static Failure create(int ordinal, std::shared_ptr<Heap>& out);
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// Not initialised; aligned to 256 bytes; of 0 bytes: empty. Fails with kMemory.
  Failure allocate(std::size_t bytes, DeviceMemory& out);
  /// Makes `stream` wait until what was allocated so far is there.
  Failure order(cudaStream_t stream);
  /// Waits until what was allocated so far is there, for whoever may use it.
  Failure settle();
  /// Bytes that are kept here, to be had at once.
  std::size_t bytes_kept();
  /// Bytes that can be had: those, and the GPU's free ones. Asking the driver takes its time.
  Failure available(std::size_t& bytes);
  /// Bytes allocated and kept.
  std::size_t bytes_held();
  /// kMemory, for so many bytes of this GPU's.
  Failure out_of_memory(std::size_t bytes) const;

 private:
  friend DeviceMemory;
  explicit Heap(int ordinal) : ordinal_(ordinal) {}

  Failure set_up();
  cudaError_t take(std::size_t bytes, void** data);
  void give_back(std::byte* data, std::size_t bytes);
  bool let_go(void* data);
  void trim();
  std::size_t kept();

  const int ordinal_;
  std::mutex mutex_;
  std::size_t used_ = 0;
  std::size_t most_kept_ = 0;
  std::vector<void*> not_freed_;  ///< the driver refused: it is asked again later

  // The driver's pool, used in the order of a stream that has no other work …
  cudaMemPool_t pool_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t allocated_ = nullptr;
  // … or, where the driver has none, blocks by size.
  std::multimap<std::size_t, void*> free_;
  std::size_t free_bytes_ = 0;
};

}  // namespace optnet::cuda
