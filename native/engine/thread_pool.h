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

/// Work that splits into independent units, run in any order by several threads …
struct Stage {
  std::size_t units = 0;
  /// Runs one unit. `worker` < the job's threads: the number of this thread within the job. Must not throw.
  std::function<void(std::size_t unit, int worker)> run;
};

/// … and stages of it, each begun when the one before has ended.
struct Job {
  std::vector<Stage> stages;
  int threads = 0;                 ///< at most this many at once; 0: as many as the machine has
  std::function<void()> finished;  ///< called once, by the thread that finishes last
};

class ThreadPool {
 public:
  ThreadPool() = default;
  ~ThreadPool();  ///< runs what was started to its end
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// How many threads a job may use when it asks for `requested` (0: all of the machine's).
  static int resolve_threads(int requested);

  void start(Job job);  ///< returns at once
  void run(Job job);    ///< returns when all units have run; the calling thread works too

 private:
  class Running;
  void call(const std::shared_ptr<Running>& job, std::size_t threads);  ///< asks so many threads to help
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Running>> queue_;  // a job stands here once for each thread that it asks for
  std::vector<std::thread> threads_;
  std::size_t started_ = 0, idle_ = 0;
  bool stopping_ = false;
};

}  // namespace optnet
