// What one environment has on one GPU: shared by its device, its solutions and its calls, gone with the last
// of them.
#pragma once

#include <memory>
#include <mutex>

#include "cuda/kernels.h"
#include "cuda/memory.h"
#include "cuda/staging.h"
#include "cuda/stream.h"
#include "engine/memory.h"
#include "engine/thread_pool.h"

namespace optnet::cuda {

class Gpu {
 public:
  /// Checks that the GPU can be used.
  static Failure create(int ordinal, ThreadPool& pool, std::shared_ptr<Gpu>& out);
  ~Gpu();  ///< waits for its streams
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  int ordinal() const { return ordinal_; }
  const Limits& limits() const { return limits_; }
  ThreadPool& pool() { return pool_; }  ///< good while a call is running
  Heap& heap() { return *heap_; }
  Staging& staging() { return *staging_; }
  StreamPool& streams() { return *streams_; }
  MemoryPool& host_memory() { return *host_memory_; }

  /// What solves problems with this plan. The libraries' are made when first asked for.
  Failure kernels(const Plan& plan, const Kernels*& out);

 private:
  Gpu(int ordinal, ThreadPool& pool) : ordinal_(ordinal), pool_(pool) {}
  Failure set_up();

  const int ordinal_;
  ThreadPool& pool_;
  Limits limits_;
  std::shared_ptr<MemoryPool> host_memory_ = std::make_shared<MemoryPool>();
  std::shared_ptr<Heap> heap_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<StreamPool> streams_;
  std::mutex mutex_;
  std::unique_ptr<Kernels> library_kernels_;  ///< guarded by mutex_
};

}  // namespace optnet::cuda
