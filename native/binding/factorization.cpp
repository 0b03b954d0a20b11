#include "binding/factorization.h"

#include <utility>

#include "binding/addon.h"

namespace optnet::binding {
namespace {

/// Marks the handles, as an object can be given any prototype.
constexpr napi_type_tag kTag = {0x6f70746e65744641, 0x3c7ad1905be8f264};

Napi::Value outcome(Napi::Env env, const Call& call, const Batched& batched, Given given) {
  const Failure failure = call.outcome();
  return failure ? make_failure(env, failure, batched, given) : env.Undefined();
}

}  // namespace

Napi::Function Factorization::define(Napi::Env env) {
  return DefineClass(env, "Factorization",
                     {
                         InstanceMethod<&Factorization::backward>("backward"),
                         InstanceMethod<&Factorization::backward_sync>("backwardSync"),
                         InstanceMethod<&Factorization::jvp>("jvp"),
                         InstanceMethod<&Factorization::jvp_sync>("jvpSync"),
                         InstanceMethod<&Factorization::dispose>("dispose"),
                         InstanceAccessor<&Factorization::byte_length>("byteLength"),
                         InstanceAccessor<&Factorization::threads>("threads"),
                         InstanceAccessor<&Factorization::backend>("backend"),
                         InstanceAccessor<&Factorization::unserved>("unserved"),
                     });
}

Napi::Object Factorization::create(Napi::Env env, std::shared_ptr<Solution> solution, const Gpu& gpu,
                                   const Batched& batched, bool differentiable) {
  Napi::Object object = env.GetInstanceData<Addon>()->factorization_class().New({});
  object.TypeTag(&kTag);
  Factorization& factorization = *Unwrap(object);
  factorization.solution_ = std::move(solution);
  factorization.gpu_ = gpu;
  factorization.batched_ = batched;
  factorization.differentiable_ = differentiable;
  factorization.reported_bytes_ = static_cast<std::int64_t>(factorization.solution_->bytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, factorization.reported_bytes_);
  return object;
}

Factorization* Factorization::from(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

std::shared_ptr<Solution> Factorization::start_for_cpu() const {
  return solution_ && differentiable_ ? solution_->start_for_cpu() : nullptr;
}

Factorization::Factorization(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Factorization>(info) {}

void Factorization::Finalize(Napi::BasicEnv env) { let_go(env); }

void Factorization::let_go(Napi::BasicEnv env) {
  solution_.reset();
  gpu_ = {};
  if (reported_bytes_ != 0)
    Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(reported_bytes_, 0));
}

Napi::Value Factorization::prepare_backward(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call,
                                            Kept& kept) {
  const Shape& shape = solution_->shape();
  const DType dtype = solution_->dtype();
  const Upstream upstream = read_upstream(info[0], shape, dtype, gpu_, kept);
  const Gradients gradients = read_gradients(info[1], shape, dtype, batched_, gpu_, kept);
  const Failure failure = solution_->backward(upstream, gradients, call);
  return failure ? make_failure(info.Env(), failure, batched_) : Napi::Value();
}

Napi::Value Factorization::prepare_jvp(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call,
                                       Kept& kept) {
  const Shape& shape = solution_->shape();
  const DType dtype = solution_->dtype();
  const Tangents tangents = read_tangents(info[0], shape, dtype, batched_);
  const SolutionTangents outputs = read_solution_tangents(info[1], shape, dtype, kept);
  const Failure failure = solution_->jvp(tangents, outputs, call);
  return failure ? make_failure(info.Env(), failure, batched_, Given::kTangents) : Napi::Value();
}

Napi::Value Factorization::run(const Napi::CallbackInfo& info, Prepare prepare, Given given) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!solution_) return make_failure(env, "disposed");
    if (!differentiable_) throw InvalidArgument("the factors were not kept");
    std::shared_ptr<Call> call;
    Kept kept;
    const Napi::Value failure = (this->*prepare)(info, call, kept);
    if (!failure.IsEmpty()) return failure;
    call->run();
    return outcome(env, *call, batched_, given);
  });
}

Napi::Value Factorization::start(const Napi::CallbackInfo& info, Prepare prepare, Given given) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!solution_) return make_failure(env, "disposed");
    if (!differentiable_) throw InvalidArgument("the factors were not kept");
    auto task = std::make_unique<Task>();
    task->done = Napi::Persistent(read_callback(info[2], "done"));
    Kept kept;
    const Napi::Value failure = (this->*prepare)(info, task->call, kept);
    if (!failure.IsEmpty()) return failure;
    task->outcome = [solution = solution_, call = task->call, batched = batched_, given](Napi::Env env) {
      return outcome(env, *call, batched, given);
    };
    env.GetInstanceData<Addon>()->tasks().start(std::move(task), std::move(kept));
    return env.Undefined();
  });
}

Napi::Value Factorization::backward_sync(const Napi::CallbackInfo& info) {
  return run(info, &Factorization::prepare_backward, Given::kData);
}

Napi::Value Factorization::backward(const Napi::CallbackInfo& info) {
  return start(info, &Factorization::prepare_backward, Given::kData);
}

Napi::Value Factorization::jvp_sync(const Napi::CallbackInfo& info) {
  return run(info, &Factorization::prepare_jvp, Given::kTangents);
}

Napi::Value Factorization::jvp(const Napi::CallbackInfo& info) {
  return start(info, &Factorization::prepare_jvp, Given::kTangents);
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

Napi::Value Factorization::unserved(const Napi::CallbackInfo& info) {
  const Failure failure = solution_ ? solution_->unserved() : Failure{};
  return failure ? make_failure(info.Env(), failure, batched_) : info.Env().Undefined();
}

}  // namespace optnet::binding
