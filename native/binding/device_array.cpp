#include "binding/device_array.h"

#include <limits>
#include <string>
#include <utility>

#include "binding/addon.h"
#include "binding/convert.h"

namespace optnet::binding {
namespace {

/// Marks the handles, as an object can be given any prototype.
constexpr napi_type_tag kTag = {0x6f70746e65744441, 0x9d1f3c5a7be24680};

}  // namespace

Napi::Function DeviceArray::define(Napi::Env env) {
  return DefineClass(env, "DeviceArray",
                     {
                         InstanceMethod<&DeviceArray::dispose>("dispose"),
                         InstanceAccessor<&DeviceArray::byte_length>("byteLength"),
                         InstanceAccessor<&DeviceArray::pointer>("pointer"),
                         InstanceAccessor<&DeviceArray::get_ordinal>("ordinal"),
                     });
}

Napi::Object DeviceArray::create(Napi::Env env, std::shared_ptr<cuda::DeviceArray> array, int ordinal) {
  Napi::Object object = env.GetInstanceData<Addon>()->device_array_class().New({});
  object.TypeTag(&kTag);
  DeviceArray& handle = *Unwrap(object);
  handle.array_ = std::move(array);
  handle.ordinal_ = ordinal;
  handle.disposed_ = false;
  // The collector does not see a GPU's memory. Told of it, it comes before that is full of what nobody uses.
  if (handle.array_) {
    handle.reported_bytes_ = static_cast<std::int64_t>(handle.array_->bytes());
    Napi::MemoryManagement::AdjustExternalMemory(env, handle.reported_bytes_);
  }
  return object;
}

DeviceArray* DeviceArray::from(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

DeviceArray::DeviceArray(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DeviceArray>(info) {}

void DeviceArray::Finalize(Napi::BasicEnv env) { let_go(env); }

void DeviceArray::let_go(Napi::BasicEnv env) {
  disposed_ = true;
  array_.reset();
  if (reported_bytes_ != 0)
    Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(reported_bytes_, 0));
}

Napi::Value DeviceArray::dispose(const Napi::CallbackInfo& info) {
  let_go(info.Env());
  return info.Env().Undefined();
}

Napi::Value DeviceArray::byte_length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), array_ ? static_cast<double>(array_->bytes()) : 0);
}

Napi::Value DeviceArray::pointer(const Napi::CallbackInfo& info) {
  const auto address = array_ ? reinterpret_cast<std::uintptr_t>(array_->data()) : 0;
  return Napi::BigInt::New(info.Env(), static_cast<std::uint64_t>(address));
}

Napi::Value DeviceArray::get_ordinal(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ordinal_);
}

DeviceMemory read_device_memory(Napi::Value value, const char* name) {
  if (DeviceArray* handle = DeviceArray::from(value)) {
    if (handle->disposed()) throw InvalidArgument(std::string(name) + " was disposed of");
    const std::shared_ptr<cuda::DeviceArray>& array = handle->array();
    if (!array) return {nullptr, 0, handle->ordinal(), nullptr};
    return {array->data(), array->bytes(), handle->ordinal(), array};
  }
  const Napi::Object object = read_object(value, name);
  const Napi::Value pointer = object.Get("pointer");
  if (!pointer.IsBigInt()) throw InvalidArgument(std::string(name) + " is neither an array nor a pointer");
  bool lossless = false;
  const std::uint64_t address = pointer.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless || address > std::numeric_limits<std::uintptr_t>::max()) {
    throw InvalidArgument(std::string(name) + " has a pointer that is no address");
  }
  DeviceMemory memory;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a number is how JavaScript holds an address
  memory.data = reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
  memory.bytes = static_cast<std::size_t>(read_count(object, "bytes", 0, kMaxSafeInteger));
  memory.ordinal = read_int(object, "ordinal");
  return memory;
}

}  // namespace optnet::binding
