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
  Gpu gpu;
  Batched batched;
  bool differentiable = true;
  Results results;
  Timings timings;
  Kept kept;
  std::shared_ptr<Solution> solution;
  std::shared_ptr<optnet::Call> work;

  /// Returns a NativeFailure, or an empty value.
  Napi::Value load(const Napi::CallbackInfo& info, Device& cpu, const std::shared_ptr<Control>& control) {
    Device& device = gpu.device ? *gpu.device : cpu;
    const Problem problem = read_problem(info[0], gpu);
    const Settings settings = read_settings(info[1]);
    results = read_results(info[2], problem, gpu, timings, kept);
    batched = Batched(problem);
    differentiable = settings.differentiable;
    const Clock::time_point start = Clock::now();
    const Failure failure = device.solve(problem, settings, results, control, solution, work);
    *timings.copy = milliseconds_since(start);
    return failure ? make_failure(info.Env(), failure, batched) : Napi::Value();
  }
};

Napi::Value outcome(Napi::Env env, const optnet::Call& call, const std::shared_ptr<Solution>& solution,
                    const Gpu& gpu, const Batched& batched, bool differentiable) {
  if (Failure failure = call.outcome()) return make_failure(env, failure, batched);
  return Factorization::create(env, solution, gpu, batched, differentiable);
}

}  // namespace

Napi::Value Addon::solve_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Call call;
    call.gpu = gpu(read_ordinal(info[0]));
    const Napi::Value failure = call.load(info, cpu_, std::make_shared<Control>());
    if (!failure.IsEmpty()) return failure;
    const Clock::time_point start = Clock::now();
    call.work->run();
    *call.timings.solve = milliseconds_since(start);
    return outcome(env, *call.work, call.solution, call.gpu, call.batched, call.differentiable);
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
    call.gpu = gpu(read_ordinal(info[0]));
    const Napi::Value failure = call.load(info, cpu_, task->control);
    if (!failure.IsEmpty()) return failure;

    task->call = call.work;
    task->outcome = [work = call.work, solution = call.solution, on = call.gpu, batched = call.batched,
                     differentiable = call.differentiable](Napi::Env env) {
      return outcome(env, *work, solution, on, batched, differentiable);
    };
    Napi::Object handle = Napi::Object::New(env);
    handle.Set("cancel", Napi::Function::New(env, [control = task->control](const Napi::CallbackInfo&) {
                 control->cancelled = true;
               }));
    tasks_.start(std::move(task), std::move(call.kept), [timings = call.timings, start = Clock::now()] {
      *timings.solve = milliseconds_since(start);
    });
    return handle;
  });
}

}  // namespace optnet::binding
