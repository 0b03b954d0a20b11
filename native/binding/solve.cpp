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

/// The solution to start from that NativeSettings name, if they do. It lives at least as long as the settings
/// do that hold it.
std::shared_ptr<Solution> read_warm_start(Napi::Value settings, const Problem& problem) {
  const Napi::Value value = read_object(settings, "settings").Get("warmStart");
  if (value.IsUndefined()) return nullptr;
  const Factorization* factorization = Factorization::from(value);
  if (factorization == nullptr) throw InvalidArgument("warmStart must be a Factorization");
  std::shared_ptr<Solution> solution = factorization->start_for_cpu();
  if (!solution) return nullptr;  // what is not there saves no iterations, and changes nothing else
  const Shape &given = solution->shape(), &shape = problem.shape;
  const bool fits = given.batch == shape.batch && given.n == shape.n && given.m == shape.m &&
                    given.q == shape.q && solution->dtype() == problem.dtype;
  if (!fits) throw InvalidArgument("warmStart is that of another kind of problem");
  return solution;
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
  Napi::Value load(const Napi::CallbackInfo& info, Addon& addon, const std::shared_ptr<Control>& control) {
    const Problem problem = read_problem(info[0], gpu);
    Settings settings = read_settings(info[1]);
    const Fallback fallback = read_fallback(info[1]);
    settings.fallback = fallback == Fallback::kWhereNeeded;
    settings.warm_start = read_warm_start(info[1], problem);
    const bool all_served = problem.Q.data && !has_sides(problem);
    if (gpu.device && !all_served && fallback != Fallback::kAtOnce)
      throw InvalidArgument("a GPU needs Q, and takes no gl, lb or ub");
    Device& device = addon.device(gpu, fallback);
    results = read_results(info[2], problem, settings.closest, gpu, timings, kept);
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
    const Napi::Value failure = call.load(info, *this, std::make_shared<Control>());
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
    const Napi::Value failure = call.load(info, *this, task->control);
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
