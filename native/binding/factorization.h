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

  /// `gpu`: what solved it.
  static Napi::Object create(Napi::Env env, std::shared_ptr<Solution> solution, const Gpu& gpu,
                             const Batched& batched, bool differentiable);

  explicit Factorization(const Napi::CallbackInfo& info);

  /// Called when JavaScript has let go of the handle.
  void Finalize(Napi::BasicEnv env) override;

 private:
  Napi::Value backward(const Napi::CallbackInfo& info);
  Napi::Value backward_sync(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value byte_length(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value backend(const Napi::CallbackInfo& info);

  /// Checks the arguments and makes the call that writes the gradients. Returns a NativeFailure, or an empty
  /// value.
  Napi::Value prepare(const Napi::CallbackInfo& info, std::shared_ptr<Call>& call, Kept& kept);
  void let_go(Napi::BasicEnv env);

  std::shared_ptr<Solution> solution_;  ///< null when disposed; a call that is running has a share of its own
  Gpu gpu_;
  Batched batched_;
  bool differentiable_ = false;
  std::int64_t reported_bytes_ = 0;  ///< what V8's collector was told that the handle weighs
};

}  // namespace optnet::binding
