// The asynchronous calls of one environment (the main thread's, or a worker_thread's), and the threads that
// run them.
#pragma once

#include <napi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "binding/convert.h"
#include "engine/device.h"
#include "engine/thread_pool.h"

namespace optnet::binding {

/// One asynchronous call from when it is queued until `done` is called. It belongs to the JavaScript thread,
/// which alone creates and destroys it (it holds references); the threads that work on it see a plain
/// pointer.
struct Task {
  std::shared_ptr<Call> call;                                 ///< what runs
  std::shared_ptr<Control> control;                           ///< null where a call cannot be cancelled
  std::function<Napi::Value(Napi::Env env)> outcome;          ///< what `done` is called with
  Napi::ObjectReference written;                              ///< JavaScript's arrays that it writes
  std::vector<std::shared_ptr<cuda::DeviceArray>> on_device;  ///< a GPU's arrays that it reads or writes
  Napi::FunctionReference done;
  Napi::FunctionReference progress;  ///< may be empty

  // Written by the threads that work on it.
  std::atomic<std::size_t> solved{0};
  std::atomic<std::int64_t> next_report{0};  ///< milliseconds of the steady clock

  std::list<std::unique_ptr<Task>>::iterator position;  ///< in Tasks::running_
};

class Tasks {
 public:
  explicit Tasks(Napi::Env env);
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  ThreadPool& pool() { return *pool_; }

  /// Starts `task->call`, which works on `kept`. When it has finished, `finished` (if given) is called by
  /// another thread, and `task->done` on the event loop, which is kept alive until then.
  void start(std::unique_ptr<Task> task, Kept kept, std::function<void()> finished = nullptr);

  /// Makes `task.control` call `task.progress` on the event loop: the newest count, and not too often.
  void watch_progress(Task& task);

 private:
  struct Event {
    Task* task;
    bool finished;
  };

  static void call_js(Napi::Env env, Napi::Function callback, Tasks* tasks, void* data);
  using WakeUp = Napi::TypedThreadSafeFunction<Tasks, void, &Tasks::call_js>;

  static void clean_up(void* data);

  void post(Event event);
  void end(Task* task);
  void deliver(Napi::Env env);
  void finish(Napi::Env env, Task* task);

  Napi::Env env_;
  WakeUp wake_up_;  ///< carries no data: it only has `deliver` called on the event loop

  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Event> events_;   ///< guarded by mutex_
  std::size_t unfinished_ = 0;  ///< calls that a thread still works on; guarded by mutex_

  std::list<std::unique_ptr<Task>> running_;
  std::unique_ptr<ThreadPool> pool_;  ///< last: its threads use all of the above
};

}  // namespace optnet::binding
