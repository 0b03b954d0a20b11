// The addon: one instance for each environment that loads it, and nothing outside the instances.
#pragma once

#include <napi.h>

#include <map>
#include <memory>

#include "binding/convert.h"
#include "binding/tasks.h"
#include "cuda/environment.h"
#include "engine/cpu_device.h"
#include "engine/fallback.h"

namespace optnet::binding {

class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);

  Tasks& tasks() { return tasks_; }
  const Napi::FunctionReference& factorization_class() const { return factorization_class_; }
  const Napi::FunctionReference& device_array_class() const { return device_array_class_; }

  /// The GPU of this number, made when first asked for; for -1 the CPU. Throws Refused where it cannot serve.
  Gpu gpu(int ordinal);
  /// What solves on a GPU, or instead of it; without one, the CPU.
  Device& device(const Gpu& gpu, Fallback fallback);

 private:
  // In solve.cpp.
  Napi::Value solve(const Napi::CallbackInfo& info);
  Napi::Value solve_sync(const Napi::CallbackInfo& info);

  // In gpus.cpp.
  Napi::Value devices(const Napi::CallbackInfo& info);
  Napi::Value open_device(const Napi::CallbackInfo& info);
  Napi::Value bytes_held(const Napi::CallbackInfo& info);
  Napi::Value allocate_device(const Napi::CallbackInfo& info);
  Napi::Value upload(const Napi::CallbackInfo& info);
  Napi::Value upload_sync(const Napi::CallbackInfo& info);
  Napi::Value download(const Napi::CallbackInfo& info);
  Napi::Value download_sync(const Napi::CallbackInfo& info);

  Napi::Value cpu_info(const Napi::CallbackInfo& info);

  Napi::FunctionReference factorization_class_;
  Napi::FunctionReference device_array_class_;
  // Destroyed from the last to the first. The pool of `tasks_` ends before all that uses it, in a hook of the
  // environment's, once no call is running: the devices do nothing with it any more.
  Tasks tasks_;
  CpuDevice cpu_{tasks_.pool()};
  std::map<int, std::shared_ptr<cuda::CudaDevice>> gpus_;
  std::map<int, FallbackDevice> fallbacks_;
};

}  // namespace optnet::binding
