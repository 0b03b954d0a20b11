// `solve` and `solveSync`: read the arguments, copy the data in, run, and hand back the factors.
#include <chrono>
#include <memory>
#include <utility>

#include "binding/addon.h"
#include "binding/convert.h"
#include "binding/factorization.h"

namespace optnet::binding {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// What both forms of the call have in common: arguments read, data copied in, nothing run yet.
struct Call {
  Batched batched;
  bool differentiable = true;
  Results results;
  Timings timings;
  KeptArrays kept;
  std::shared_ptr<Solution> solution;

  /// Returns a NativeFailure, or an empty value.
  Napi::Value load(const Napi::CallbackInfo& info, ThreadPool& pool,
                   const std::shared_ptr<MemoryPool>& memory) {
    const Problem problem = read_problem(info[0]);
    const Settings settings = read_settings(info[1]);
    results = read_results(info[2], problem, timings, kept);
    batched = Batched(problem);
    differentiable = settings.differentiable;
    const Clock::time_point start = Clock::now();
    Failure failure = Solution::create(problem, settings, solution, memory);
    if (!failure) failure = solution->load(problem, &pool);
    *timings.copy = milliseconds_since(start);
    return failure ? make_failure(info.Env(), failure, batched) : Napi::Value();
  }
};

Napi::Value outcome(Napi::Env env, const std::shared_ptr<Solution>& solution, const Batched& batched,
                    bool differentiable) {
  if (const Failure failure = solution->outcome()) return make_failure(env, failure, batched);
  return Factorization::create(env, solution, batched, differentiable);
}

}  // namespace

Napi::Value Addon::solve_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Call call;
    const Napi::Value failure = call.load(info, tasks_.pool(), memory_);
    if (!failure.IsEmpty()) return failure;
    const Clock::time_point start = Clock::now();
    tasks_.pool().run(call.solution->solve(call.results, std::make_shared<Control>()));
    *call.timings.solve = milliseconds_since(start);
    return outcome(env, call.solution, call.batched, call.differentiable);
  });
}

Napi::Value Addon::solve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto task = std::make_unique<Task>();
    task->control = std::make_shared<Control>();
    task->done = Napi::Persistent(read_callback(info[3], "done"));
    if (!info[4].IsUndefined()) {
      task->progress = Napi::Persistent(read_callback(info[4], "progress"));
      tasks_.watch_progress(*task);
    }
    Call call;
    const Napi::Value failure = call.load(info, tasks_.pool(), memory_);
    if (!failure.IsEmpty()) return failure;

    task->kept = keep(env, call.kept);
    task->outcome = [solution = call.solution, batched = call.batched, differentiable = call.differentiable](
                        Napi::Env env) { return outcome(env, solution, batched, differentiable); };
    Job job = call.solution->solve(call.results, task->control);
    job.finished = [timings = call.timings, start = Clock::now(), inner = std::move(job.finished)] {
      if (inner) inner();
      *timings.solve = milliseconds_since(start);
    };
    Napi::Object handle = Napi::Object::New(env);
    handle.Set("cancel", Napi::Function::New(env, [control = task->control](const Napi::CallbackInfo&) {
                 control->cancelled = true;
               }));
    tasks_.start(std::move(task), std::move(job));
    return handle;
  });
}

}  // namespace optnet::binding
