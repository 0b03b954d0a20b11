// What the emulated CUDA runtime keeps, and the gate through which every function of it goes.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "emulation/machine.h"

/// Streams are in order because all work, but for callbacks, is done when it is queued.
struct CUstream_st {
  int ordinal = 0;
  std::uint64_t callbacks_queued = 0, callbacks_done = 0;
};

/// Records the callbacks queued before it: there is nothing else that it could wait for.
struct CUevent_st {
  unsigned flags = 0;
  std::shared_ptr<CUstream_st> stream;  // null until recorded
  std::uint64_t callbacks = 0;
  std::chrono::steady_clock::time_point time;
};

struct CUmemPoolHandle_st {
  int ordinal = 0;
  std::uint64_t release_threshold = 0;
  std::size_t used = 0, reserved = 0, most_used = 0, most_reserved = 0;
};

namespace optnet::emulation {

struct Allocation {
  std::size_t bytes = 0;
  int ordinal = 0;
  bool pinned = false;  // host memory
  std::shared_ptr<CUmemPoolHandle_st> pool;
};

struct Device {
  bool lost = false;
  std::shared_ptr<CUstream_st> default_stream;
  std::shared_ptr<CUmemPoolHandle_st> default_pool, current_pool;
};

/// A callback of cudaStreamAddCallback or of cudaLaunchHostFunc.
struct Callback {
  std::shared_ptr<CUstream_st> stream;
  std::function<void(cudaError_t status)> call;
  bool even_if_lost = true;
};

struct State {
  Machine machine;
  std::map<int, Device> devices;  // those used so far
  std::map<std::uintptr_t, Allocation> allocations;
  std::map<cudaStream_t, std::shared_ptr<CUstream_st>> streams;
  std::map<cudaEvent_t, std::unique_ptr<CUevent_st>> events;
  std::map<cudaMemPool_t, std::shared_ptr<CUmemPoolHandle_st>> pools;
  std::map<const void*, int> dynamic_shared_memory;  // by kernel: what cudaFuncSetAttribute allowed

  int allocations_until_failure = 0, launches_until_loss = 0;
  std::size_t launches = 0, uploads = 0;
  std::size_t unwritten_sent = 0;  // words copied to the host that nobody had written

  std::deque<Callback> callbacks;
  bool callbacks_held = false;
  bool has_callback_thread = false;

  Device& device(int ordinal);
  /// The allocation that holds all of [data, data + bytes), or null.
  const Allocation* find(const void* data, std::size_t bytes) const;
  /// Null where there is no such stream; a stream given as 0 is the current device's default one.
  std::shared_ptr<CUstream_st> stream(cudaStream_t handle);
  std::size_t bytes_allocated(int ordinal) const;
};

State& state();
std::mutex& mutex();                       ///< guards the state
std::condition_variable& state_changed();  ///< callbacks were queued, done, held or released

int current_ordinal();  ///< the calling OS thread's device
void set_current_ordinal(int ordinal);
bool is_callback_thread();  ///< where no function of CUDA may be called

/// Remembers an error for cudaGetLastError.
cudaError_t record(cudaError_t error);

enum class Needs { kDriver, kContext };  ///< a context: the device must not be lost

/// Whether a call can be served at all; the mutex must be held.
cudaError_t refuse(Needs needs);

/// Runs `call(state)` under the mutex, unless the call is refused, and remembers its error.
template <class Call>
cudaError_t enter(Needs needs, Call call) {
  const std::lock_guard lock(mutex());
  const cudaError_t refused = refuse(needs);
  return record(refused != cudaSuccess ? refused : call(state()));
}
template <class Call>
cudaError_t enter(Call call) {
  return enter(Needs::kContext, call);
}

/// An allocation's memory goes back to the host, full of NaN.
void release(std::map<std::uintptr_t, Allocation>::iterator allocation);

}  // namespace optnet::emulation
