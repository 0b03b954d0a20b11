// Memory of a GPU as JavaScript holds it: the handle of an array of ours, or the address of other CUDA
// code's.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cuda/environment.h"

namespace optnet::binding {

/// The JavaScript handle of an array on a GPU. One without elements has no memory, and needs none.
class DeviceArray : public Napi::ObjectWrap<DeviceArray> {
 public:
  /// The class, made once for each environment.
  static Napi::Function define(Napi::Env env);

  /// `array` may be null where `bytes` is 0.
  static Napi::Object create(Napi::Env env, std::shared_ptr<cuda::DeviceArray> array, int ordinal);

  /// The handle that `value` is, or null.
  static DeviceArray* from(Napi::Value value);

  explicit DeviceArray(const Napi::CallbackInfo& info);

  /// Called when JavaScript has let go of the handle.
  void Finalize(Napi::BasicEnv env) override;

  bool disposed() const { return disposed_; }
  const std::shared_ptr<cuda::DeviceArray>& array() const { return array_; }
  int ordinal() const { return ordinal_; }

 private:
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value byte_length(const Napi::CallbackInfo& info);
  Napi::Value pointer(const Napi::CallbackInfo& info);
  Napi::Value get_ordinal(const Napi::CallbackInfo& info);

  void let_go(Napi::BasicEnv env);

  std::shared_ptr<cuda::DeviceArray> array_;  ///< a call that is running has a share of its own
  int ordinal_ = -1;
  bool disposed_ = true;
  std::int64_t reported_bytes_ = 0;  ///< what V8's collector was told that the handle weighs
};

/// A piece of a GPU's memory, whoever owns it.
struct DeviceMemory {
  void* data = nullptr;
  std::size_t bytes = 0;
  int ordinal = -1;
  std::shared_ptr<cuda::DeviceArray> owner;  ///< null for other CUDA code's, and where there are no bytes
};

/// Reads a DeviceArray or a NativePointer.
DeviceMemory read_device_memory(Napi::Value value, const char* name);

}  // namespace optnet::binding
