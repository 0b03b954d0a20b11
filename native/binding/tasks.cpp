#include "binding/tasks.h"

#include <utility>

namespace optnet::binding {
namespace {

constexpr std::int64_t kProgressInterval = 50;  // milliseconds

std::int64_t now() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Calls back into JavaScript from the event loop. What the callback throws becomes an 'uncaughtException',
/// as it does for any callback of Node's; while the environment is being stopped the call does nothing.
void call(Napi::Env env, const Napi::FunctionReference& callback, napi_value argument) {
  napi_value undefined = nullptr;
  napi_value result = nullptr;
  napi_get_undefined(env, &undefined);
  const napi_status status = napi_call_function(env, undefined, callback.Value(), 1, &argument, &result);
  if (status != napi_pending_exception) return;
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

/// An array of `arrays` that JavaScript cannot reach, so that nothing can take one out.
Napi::ObjectReference keep(Napi::Env env, const std::vector<Napi::Value>& arrays) {
  Napi::Array kept = Napi::Array::New(env, arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) kept.Set(static_cast<std::uint32_t>(i), arrays[i]);
  return Napi::Persistent(kept.As<Napi::Object>());
}

}  // namespace

Tasks::Tasks(Napi::Env env) : env_(env), pool_(std::make_unique<ThreadPool>()) {
  wake_up_ = WakeUp::New(env, "optnet", 0, 1, this);
  wake_up_.Unref(env);
  // Hooks run last in, first out, and the thread-safe function has one of its own: adding ours after it means
  // that the threads have ended by the time it goes.
  if (napi_add_env_cleanup_hook(env, &Tasks::clean_up, this) != napi_ok) throw Napi::Error::New(env);
}

void Tasks::clean_up(void* data) {
  Tasks& tasks = *static_cast<Tasks*>(data);
  for (const std::unique_ptr<Task>& task : tasks.running_) {
    if (task->control) task->control->cancelled = true;
  }
  {
    // A GPU's calls come to the pool at their end, so it must be there until the last has ended.
    std::unique_lock<std::mutex> lock(tasks.mutex_);
    tasks.ended_.wait(lock, [&] { return tasks.unfinished_ == 0; });
  }
  tasks.pool_.reset();  // joins
  tasks.events_.clear();
  tasks.running_.clear();  // while references can still be deleted
  tasks.wake_up_.Release();
}

void Tasks::start(std::unique_ptr<Task> task, Kept kept, std::function<void()> finished) {
  Task* started = task.get();
  started->written = keep(env_, kept.written);
  started->on_device = std::move(kept.on_device);
  if (running_.empty()) wake_up_.Ref(env_);
  running_.push_front(std::move(task));
  started->position = running_.begin();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++unfinished_;
  }
  try {
    started->call->start([this, started, finished = std::move(finished)] {
      if (finished) finished();
      end(started);
    });
  } catch (...) {  // no memory, or no thread to be had
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --unfinished_;
    }
    running_.erase(started->position);
    if (running_.empty()) wake_up_.Unref(env_);
    throw;
  }
}

/// Called by the thread that finished the call. Once posted, the task may be gone, and with it what called
/// this.
void Tasks::end(Task* task) {
  post({task, true});
  const std::lock_guard<std::mutex> lock(mutex_);
  --unfinished_;
  ended_.notify_all();  // under the lock: without it, all of this could be gone before it is done
}

void Tasks::watch_progress(Task& task) {
  task.next_report = now() + kProgressInterval;
  task.control->progress = [this, watched = &task](std::size_t solved) {
    std::size_t before = watched->solved;
    while (before < solved && !watched->solved.compare_exchange_weak(before, solved)) {
    }
    const std::int64_t time = now();
    std::int64_t due = watched->next_report;
    if (time < due || !watched->next_report.compare_exchange_strong(due, time + kProgressInterval)) return;
    post({watched, false});
  };
}

void Tasks::post(Event event) {
  bool idle;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle = events_.empty();
    events_.push_back(event);
  }
  if (idle) wake_up_.NonBlockingCall();
}

void Tasks::call_js(Napi::Env env, Napi::Function, Tasks* tasks, void*) {
  // Without an environment, the thread-safe function is only being emptied.
  if (static_cast<napi_env>(env) != nullptr) tasks->deliver(env);
}

void Tasks::deliver(Napi::Env env) {
  std::vector<Event> events;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    events.swap(events_);
  }
  for (const Event& event : events) {
    const Napi::HandleScope scope(env);
    if (event.finished) {
      finish(env, event.task);
    } else {
      call(env, event.task->progress, Napi::Number::New(env, static_cast<double>(event.task->solved)));
    }
  }
}

void Tasks::finish(Napi::Env env, Task* task) {
  const std::unique_ptr<Task> owned = std::move(*task->position);
  running_.erase(task->position);
  if (running_.empty()) wake_up_.Unref(env);
  Napi::Value outcome;
  try {
    outcome = owned->outcome(env);
  } catch (const Napi::Error&) {
    return;  // the environment is being stopped: nobody is left to tell
  }
  call(env, owned->done, outcome);
}

}  // namespace optnet::binding
