#include "binding/addon.h"

#include "binding/factorization.h"

namespace optnet::binding {

Addon::Addon(Napi::Env env, Napi::Object exports)
    : factorization_class_(Napi::Persistent(Factorization::define(env))), tasks_(env) {
  DefineAddon(exports, {
                           InstanceMethod<&Addon::solve>("solve"),
                           InstanceMethod<&Addon::solve_sync>("solveSync"),
                           InstanceMethod<&Addon::cpu_info>("cpuInfo"),
                       });
}

Napi::Value Addon::cpu_info(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("instructionSet", instruction_set());
  object.Set("threads", ThreadPool::resolve_threads(0));
  return object;
}

}  // namespace optnet::binding

using OptnetAddon = optnet::binding::Addon;
NODE_API_ADDON(OptnetAddon)
