// The GPUs, and arrays in their memory.
#include <utility>
#include <vector>

#include "binding/addon.h"
#include "binding/convert.h"
#include "binding/device_array.h"

namespace optnet::binding {
namespace {

int read_gpu(Napi::Value value) {
  const double ordinal = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(ordinal >= 0 && ordinal < 1024)) throw InvalidArgument("the ordinal must be that of a GPU");
  return static_cast<int>(ordinal);
}

Napi::Value outcome(Napi::Env env, const Call& call) {
  const Failure failure = call.outcome();
  return failure ? make_failure(env, failure, {}) : env.Undefined();
}

/// A copy between the two memories that is ready to run.
struct Copy {
  std::shared_ptr<Call> call;
  Kept kept;
};

/// Arguments: a typed array, which is read now, and a DeviceArray of its size.
Copy make_upload(const Napi::CallbackInfo& info, Addon& addon) {
  const HostArray from = read_host_array(info[0], "array");
  const DeviceMemory to = read_device_memory(info[1], "deviceArray");
  if (!to.owner || from.data == nullptr) throw InvalidArgument("there is no memory to copy");
  if (from.bytes != to.bytes) throw InvalidArgument("array and deviceArray differ in size");
  Copy copy;
  copy.kept.on_device.push_back(to.owner);
  const Gpu gpu = addon.gpu(to.ordinal);
  if (Failure failure = gpu.device->upload(from.data, to.owner, copy.call)) throw Refused(std::move(failure));
  return copy;
}

/// Arguments: a DeviceArray or a NativePointer, and a typed array of its size.
Copy make_download(const Napi::CallbackInfo& info, Addon& addon) {
  const DeviceMemory from = read_device_memory(info[0], "deviceArray");
  const HostArray to = read_host_array(info[1], "array");
  if (from.data == nullptr || to.data == nullptr) throw InvalidArgument("there is no memory to copy");
  if (from.bytes != to.bytes) throw InvalidArgument("array and deviceArray differ in size");
  const Gpu gpu = addon.gpu(from.ordinal);
  Copy copy;
  copy.kept.written.push_back(info[1]);
  if (from.owner) {
    copy.kept.on_device.push_back(from.owner);
  } else {
    check_pointer(gpu, from.data, from.bytes, nullptr);
  }
  Failure failure = gpu.device->download(from.data, from.bytes, to.data, copy.call);
  if (failure) throw Refused(std::move(failure));
  return copy;
}

Napi::Value run(Napi::Env env, const Copy& copy) {
  copy.call->run();
  return outcome(env, *copy.call);
}

Napi::Value start(Napi::Env env, Tasks& tasks, Copy copy, Napi::Value done) {
  auto task = std::make_unique<Task>();
  task->done = Napi::Persistent(read_callback(done, "done"));
  task->call = copy.call;
  task->outcome = [call = copy.call](Napi::Env env) { return outcome(env, *call); };
  tasks.start(std::move(task), std::move(copy.kept));
  return env.Undefined();
}

const char* name_of(cuda::Obstacle obstacle) {
  switch (obstacle) {
    case cuda::Obstacle::kNone: return "none";
    case cuda::Obstacle::kNoBackend: return "noBackend";
    case cuda::Obstacle::kNoDriver: return "noDriver";
    case cuda::Obstacle::kNoGpu: return "noGpu";
    case cuda::Obstacle::kDriverTooOld: return "driverTooOld";
    case cuda::Obstacle::kDriverFails: return "driverFails";
    case cuda::Obstacle::kNoAnswer: return "noAnswer";
    case cuda::Obstacle::kTooOld: return "tooOld";
    case cuda::Obstacle::kForbidden: return "forbidden";
  }
  return "none";
}

Napi::Array describe(Napi::Env env, const std::vector<cuda::LibraryFile>& files) {
  Napi::Array list = Napi::Array::New(env, files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", files[i].name);
    object.Set("path", files[i].path);
    object.Set("version", files[i].version);
    list.Set(static_cast<std::uint32_t>(i), object);
  }
  return list;
}

Napi::Object describe(Napi::Env env, const cuda::DeviceInfo& info) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("usable", info.usable);
  object.Set("reason", info.reason);
  object.Set("obstacle", name_of(info.obstacle));
  object.Set("ordinal", info.ordinal);
  object.Set("name", info.name);
  object.Set("computeCapability", info.compute_capability);
  object.Set("totalMemory", static_cast<double>(info.total_memory));
  object.Set("freeMemory", static_cast<double>(info.free_memory));
  object.Set("driverVersion", info.driver_version);
  object.Set("runtimeVersion", info.runtime_version);
  object.Set("driverRelease", info.driver_release);
  object.Set("libraries", info.libraries);
  object.Set("loaded", describe(env, info.loaded));
  return object;
}

}  // namespace

Gpu Addon::gpu(int ordinal) {
  if (ordinal < 0) return {};
  if (const auto found = gpus_.find(ordinal); found != gpus_.end()) return {found->second, ordinal};
  std::shared_ptr<cuda::CudaDevice> device;
  Failure failure = cuda::CudaDevice::create(ordinal, tasks_.pool(), device);
  if (failure) throw Refused(std::move(failure));
  gpus_.emplace(ordinal, device);
  return {device, ordinal};
}

Device& Addon::device(const Gpu& gpu, Fallback fallback) {
  if (!gpu.device) return cpu_;
  if (fallback == Fallback::kNever) return *gpu.device;
  return fallbacks_.try_emplace(gpu.ordinal, gpu.device, cpu_, tasks_.pool()).first->second;
}

Napi::Value Addon::devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<cuda::DeviceInfo> found =
      cuda::devices(info[0].IsBoolean() && info[0].As<Napi::Boolean>().Value());
  Napi::Array list = Napi::Array::New(env, found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    list.Set(static_cast<std::uint32_t>(i), describe(env, found[i]));
  }
  return list;
}

Napi::Value Addon::open_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    gpu(read_gpu(info[0]));
    return env.Undefined();
  });
}

Napi::Value Addon::bytes_held(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto found = gpus_.find(read_gpu(info[0]));
    const std::size_t bytes = found == gpus_.end() ? 0 : found->second->bytes_held();
    return Napi::Number::New(env, static_cast<double>(bytes));
  });
}

Napi::Value Addon::allocate_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Gpu on = gpu(read_gpu(info[0]));
    const double bytes = info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : -1;
    if (!(bytes >= 0 && bytes <= kMaxSafeInteger)) throw InvalidArgument("bytes must be a whole number");
    std::shared_ptr<cuda::DeviceArray> array;
    if (bytes > 0) {
      Failure failure = on.device->allocate(static_cast<std::size_t>(bytes), array);
      if (failure) throw Refused(std::move(failure));
    }
    return DeviceArray::create(env, std::move(array), on.ordinal);
  });
}

Napi::Value Addon::upload(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return start(env, tasks_, make_upload(info, *this), info[2]); });
}

Napi::Value Addon::upload_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return run(env, make_upload(info, *this)); });
}

Napi::Value Addon::download(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return start(env, tasks_, make_download(info, *this), info[2]); });
}

Napi::Value Addon::download_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return run(env, make_download(info, *this)); });
}

}  // namespace optnet::binding
