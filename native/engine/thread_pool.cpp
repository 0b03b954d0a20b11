#include "engine/thread_pool.h"

#include <algorithm>

namespace optnet {

/// A started job: hands out units, and knows when a stage and the whole have ended.
class ThreadPool::Running : public std::enable_shared_from_this<Running> {
 public:
  Running(ThreadPool& pool, Job job)
      : pool_(pool), job_(std::move(job)), busy_(static_cast<std::size_t>(job_.threads), false) {
    skip_empty_stages();
  }

  int threads() const { return job_.threads; }

  /// Threads that the current stage can use.
  std::size_t useful_threads() const {
    if (stage_ == job_.stages.size()) return 1;  // one, to call `finished`
    return std::min(busy_.size(), job_.stages[stage_].units);
  }

  /// Runs units until none is left to take; returns at once where enough threads are at work already.
  void help() {
    std::unique_lock lock(mutex_);
    const auto free = std::find(busy_.begin(), busy_.end(), false);
    if (free == busy_.end()) return;
    *free = true;
    const int worker = static_cast<int>(free - busy_.begin());
    while (stage_ < job_.stages.size() && next_ < job_.stages[stage_].units) {
      const Stage& stage = job_.stages[stage_];
      const std::size_t unit = next_++;
      lock.unlock();
      stage.run(unit, worker);
      lock.lock();
      if (++ended_ == stage.units) begin_next_stage(lock);
    }
    *free = false;
    const bool last =
        stage_ == job_.stages.size() && !over_ && std::find(busy_.begin(), busy_.end(), true) == busy_.end();
    if (!last) return;
    over_ = true;
    lock.unlock();
    if (job_.finished) job_.finished();
  }

 private:
  void skip_empty_stages() {
    while (stage_ < job_.stages.size() && job_.stages[stage_].units == 0) ++stage_;
  }
  void begin_next_stage(std::unique_lock<std::mutex>& lock) {
    ++stage_;
    next_ = ended_ = 0;
    skip_empty_stages();
    const std::size_t more = useful_threads();
    if (stage_ == job_.stages.size() || more < 2) return;
    lock.unlock();
    pool_.call(shared_from_this(), more - 1);
    lock.lock();
  }

  ThreadPool& pool_;
  Job job_;
  std::mutex mutex_;
  std::vector<bool> busy_;  // which worker numbers are in use
  std::size_t stage_ = 0, next_ = 0, ended_ = 0;
  bool over_ = false;
};

int ThreadPool::resolve_threads(int requested) {
  const int machine = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return requested > 0 ? requested : machine;
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::start(Job job) {
  job.threads = resolve_threads(job.threads);
  const auto running = std::make_shared<Running>(*this, std::move(job));
  call(running, running->useful_threads());
}

void ThreadPool::run(Job job) {
  job.threads = resolve_threads(job.threads);
  std::mutex mutex;
  std::condition_variable ended;
  bool over = false;
  job.finished = [&, finished = std::move(job.finished)] {
    if (finished) finished();
    const std::lock_guard lock(mutex);
    over = true;
    ended.notify_one();
  };
  const auto running = std::make_shared<Running>(*this, std::move(job));
  if (running->useful_threads() > 1) call(running, running->useful_threads() - 1);
  running->help();
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return over; });
}

void ThreadPool::call(const std::shared_ptr<Running>& job, std::size_t threads) {
  const std::lock_guard lock(mutex_);
  queue_.insert(queue_.end(), threads, job);
  const std::size_t most = static_cast<std::size_t>(std::max(resolve_threads(0), job->threads()));
  while (threads_.size() < most && idle_ + (threads_.size() - started_) < queue_.size()) {
    threads_.emplace_back([this] { work(); });
  }
  // Under the lock: once it is let go, the job may end, and with it all that the pool's owner waits for.
  wake_.notify_all();
}

void ThreadPool::work() {
  std::unique_lock lock(mutex_);
  ++started_;
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    const std::shared_ptr<Running> job = queue_.front();
    queue_.pop_front();
    lock.unlock();
    job->help();
    lock.lock();
  }
}

}  // namespace optnet
