// A few worker threads of our own, shared by all calls of one environment.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace optnet {

/// Work that splits into independent units, run in any order by several threads.
struct Job {
  std::size_t units = 0;
  int threads = 0;  ///< at most this many at once; 0: as many as the machine has
  /// Runs one unit. `worker` < threads is this thread's number within the job (for workspaces). Must not throw.
  std::function<void(std::size_t unit, int worker)> run;
  /// Called once, by the thread that finishes last, when every unit has run.
  std::function<void()> finished;
};

class ThreadPool {
 public:
  ThreadPool() = default;
  ~ThreadPool();  ///< waits for running units, drops the rest; `finished` of dropped jobs is still called
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// How many threads a job may use when it asks for `requested` (0: all of the machine's).
  static int resolve_threads(int requested);

  void start(Job job);  ///< returns at once
  void run(Job job);    ///< returns when all units have run; the calling thread works too

 private:
  struct Running;
  void work();
  bool help(Running& job);  ///< runs units of `job` until none is left to take
  void grow(int threads);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Running>> queue_;
  std::vector<std::thread> threads_;
  bool stopping_ = false;
};

}  // namespace optnet
