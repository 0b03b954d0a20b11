// The addon: one instance for each environment that loads it, and nothing outside the instances.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/tasks.h"
#include "engine/cpu_device.h"

namespace optnet::binding {

class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);

  Tasks& tasks() { return tasks_; }
  const Napi::FunctionReference& factorization_class() const { return factorization_class_; }

 private:
  // In solve.cpp.
  Napi::Value solve(const Napi::CallbackInfo& info);
  Napi::Value solve_sync(const Napi::CallbackInfo& info);

  Napi::Value cpu_info(const Napi::CallbackInfo& info);

  Napi::FunctionReference factorization_class_;
  Tasks tasks_;
  CpuDevice cpu_{tasks_.pool()};
};

}  // namespace optnet::binding
