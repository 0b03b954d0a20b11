#include "binding/factorization.h"

#include <utility>

#include "binding/addon.h"

namespace optnet::binding {
namespace {

Napi::Value outcome(Napi::Env env, const Call& call, const Batched& batched) {
  const Failure failure = call.outcome();
  return failure ? make_failure(env, failure, batched) : env.Undefined();
}

}  // namespace

Napi::Function Factorization::define(Napi::Env env) {
  return DefineClass(env, "Factorization",
                     {
                         InstanceMethod<&Factorization::backward>("backward"),
                         InstanceMethod<&Factorization::backward_sync>("backwardSync"),
                         InstanceMethod<&Factorization::dispose>("dispose"),
                         InstanceAccessor<&Factorization::byte_length>("byteLength"),
                         InstanceAccessor<&Factorization::threads>("threads"),
                         InstanceAccessor<&Factorization::backend>("backend"),
                     });
}

Napi::Object Factorization::create(Napi::Env env, std::shared_ptr<Solution> solution, const Gpu& gpu,
                                   const Batched& batched, bool differentiable) {
  Napi::Object object = env.GetInstanceData<Addon>()->factorization_class().New({});
  Factorization& factorization = *Unwrap(object);
  factorization.solution_ = std::move(solution);
  factorization.gpu_ = gpu;
  factorization.batched_ = batched;
  factorization.differentiable_ = differentiable;
  factorization.reported_bytes_ = static_cast<std::int64_t>(factorization.solution_->bytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, factorization.reported_bytes_);
  return object;
}

Factorization::Factorization(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Factorization>(info) {}

void Factorization::Finalize(Napi::BasicEnv env) { let_go(env); }

void Factorization::let_go(Napi::BasicEnv env) {
  solution_.reset();
  gpu_ = {};
  if (reported_bytes_ != 0)
    Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(reported_bytes_, 0));
}

Napi::Value Factorization::prepare(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call, Kept& kept) {
  const Napi::Env env = info.Env();
  if (!solution_) return make_failure(env, "disposed");
  if (!differentiable_) throw InvalidArgument("the factors were not kept");
  const Shape& shape = solution_->shape();
  const Upstream upstream = read_upstream(info[0], shape, solution_->dtype(), gpu_, kept);
  const Gradients gradients = read_gradients(info[1], shape, solution_->dtype(), batched_, gpu_, kept);
  const Failure failure = solution_->backward(upstream, gradients, call);
  return failure ? make_failure(env, failure, batched_) : Napi::Value();
}

Napi::Value Factorization::backward_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    std::shared_ptr<Call> call;
    Kept kept;
    const Napi::Value failure = prepare(info, call, kept);
    if (!failure.IsEmpty()) return failure;
    call->run();
    return outcome(env, *call, batched_);
  });
}

Napi::Value Factorization::backward(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto task = std::make_unique<Task>();
    task->done = Napi::Persistent(read_callback(info[2], "done"));
    Kept kept;
    const Napi::Value failure = prepare(info, task->call, kept);
    if (!failure.IsEmpty()) return failure;
    task->outcome = [solution = solution_, call = task->call, batched = batched_](Napi::Env env) {
      return outcome(env, *call, batched);
    };
    env.GetInstanceData<Addon>()->tasks().start(std::move(task), std::move(kept));
    return env.Undefined();
  });
}

Napi::Value Factorization::dispose(const Napi::CallbackInfo& info) {
  let_go(info.Env());
  return info.Env().Undefined();
}

Napi::Value Factorization::byte_length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), solution_ ? static_cast<double>(solution_->bytes()) : 0);
}

Napi::Value Factorization::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), solution_ ? solution_->threads() : 0);
}

Napi::Value Factorization::backend(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), solution_ ? solution_->backend() : "");
}

}  // namespace optnet::binding
