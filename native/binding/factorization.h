// The JavaScript handle of the factors that a solve left behind.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/convert.h"
#include "engine/device.h"

namespace optnet::binding {

class Factorization : public Napi::ObjectWrap<Factorization> {
 public:
  /// The class, made once for each environment.
  static Napi::Function define(Napi::Env env);

  /// `gpu`: what was to solve it, and whose memory it takes and gives arrays in.
  static Napi::Object create(Napi::Env env, std::shared_ptr<Solution> solution, const Gpu& gpu,
                             const Batched& batched, bool differentiable);

  /// The handle that `value` is, or null.
  static Factorization* from(Napi::Value value);

  /// What a solve on the CPU can start from; null where there is nothing.
  std::shared_ptr<Solution> start_for_cpu() const;

  explicit Factorization(const Napi::CallbackInfo& info);

  /// Called when JavaScript has let go of the handle.
  void Finalize(Napi::BasicEnv env) override;

 private:
  Napi::Value backward(const Napi::CallbackInfo& info);
  Napi::Value backward_sync(const Napi::CallbackInfo& info);
  Napi::Value jvp(const Napi::CallbackInfo& info);
  Napi::Value jvp_sync(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value byte_length(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value backend(const Napi::CallbackInfo& info);
  Napi::Value unserved(const Napi::CallbackInfo& info);

  /// Checks the arguments and makes the call that differentiates: `backward` writes gradients, `jvp` the
  /// solution's tangents. Returns a NativeFailure, or an empty value.
  using Prepare = Napi::Value (Factorization::*)(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call,
                                                 Kept& kept);
  Napi::Value prepare_backward(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call, Kept& kept);
  Napi::Value prepare_jvp(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call, Kept& kept);

  /// Runs what `prepare` makes, and waits or calls back. `given`: what its failures name.
  Napi::Value run(const Napi::CallbackInfo& info, Prepare prepare, Given given);
  Napi::Value start(const Napi::CallbackInfo& info, Prepare prepare, Given given);

  void let_go(Napi::BasicEnv env);

  std::shared_ptr<Solution> solution_;  ///< null when disposed; a call that is running has a share of its own
  Gpu gpu_;
  Batched batched_;
  bool differentiable_ = false;
  std::int64_t reported_bytes_ = 0;  ///< what V8's collector was told that the handle weighs
};

}  // namespace optnet::binding
