#include "binding/addon.h"

#include "binding/device_array.h"
#include "binding/factorization.h"

namespace optnet::binding {

Addon::Addon(Napi::Env env, Napi::Object exports)
    : factorization_class_(Napi::Persistent(Factorization::define(env))),
      device_array_class_(Napi::Persistent(DeviceArray::define(env))),
      tasks_(env) {
  DefineAddon(exports, {
                           InstanceMethod<&Addon::solve>("solve"),
                           InstanceMethod<&Addon::solve_sync>("solveSync"),
                           InstanceMethod<&Addon::cpu_info>("cpuInfo"),
                           InstanceMethod<&Addon::devices>("devices"),
                           InstanceMethod<&Addon::open_device>("openDevice"),
                           InstanceMethod<&Addon::bytes_held>("bytesHeld"),
                           InstanceMethod<&Addon::allocate_device>("allocateDevice"),
                           InstanceMethod<&Addon::upload>("upload"),
                           InstanceMethod<&Addon::upload_sync>("uploadSync"),
                           InstanceMethod<&Addon::download>("download"),
                           InstanceMethod<&Addon::download_sync>("downloadSync"),
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
