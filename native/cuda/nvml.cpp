#include "cuda/nvml.h"

#include <dlfcn.h>

namespace optnet::cuda {
namespace {

// The declarations of nvml.h that are used: its header is not part of every CUDA installation, the library is
// part of every driver.
struct Memory {
  unsigned long long total, free, used;
};
using Device = void*;
using Simple = int (*)();
using Find = int (*)(const char* pci_bus_id, Device* device);
using Read = int (*)(Device device, Memory* memory);
using ReadText = int (*)(char* text, unsigned length);

/// The library, while it is in use.
class Nvml {
 public:
  Nvml() : library_(dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL)) {
    const auto begin = find<Simple>("nvmlInit_v2");
    started_ = begin && begin() == 0;
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml() {
    if (const auto end = find<Simple>("nvmlShutdown"); started_ && end) end();
    if (library_) dlclose(library_);
  }
  explicit operator bool() const { return started_; }

  template <class Function>
  Function find(const char* name) const {
    return library_ ? reinterpret_cast<Function>(dlsym(library_, name)) : nullptr;
  }

 private:
  void* library_;
  bool started_ = false;
};

}  // namespace

std::size_t free_memory(const std::string& pci_bus_id) {
  const Nvml nvml;
  const auto find = nvml.find<Find>("nvmlDeviceGetHandleByPciBusId_v2");
  const auto read = nvml.find<Read>("nvmlDeviceGetMemoryInfo");
  Device device = nullptr;
  Memory memory{};
  if (!nvml || !find || !read || find(pci_bus_id.c_str(), &device) != 0 || read(device, &memory) != 0) {
    return 0;
  }
  return static_cast<std::size_t>(memory.free);
}

std::string driver_release() {
  const Nvml nvml;
  const auto read = nvml.find<ReadText>("nvmlSystemGetDriverVersion");
  char text[96] = "";
  if (!nvml || !read || read(text, sizeof text) != 0) return "";
  return text;
}

}  // namespace optnet::cuda
