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

}  // namespace

std::size_t free_memory(const std::string& pci_bus_id) {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!library) return 0;
  const auto begin = reinterpret_cast<Simple>(dlsym(library, "nvmlInit_v2"));
  const auto end = reinterpret_cast<Simple>(dlsym(library, "nvmlShutdown"));
  const auto find = reinterpret_cast<Find>(dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2"));
  const auto read = reinterpret_cast<Read>(dlsym(library, "nvmlDeviceGetMemoryInfo"));
  Memory memory{};
  if (begin && end && find && read && begin() == 0) {
    Device device = nullptr;
    if (find(pci_bus_id.c_str(), &device) != 0 || read(device, &memory) != 0) memory = {};
    end();
  }
  dlclose(library);
  return static_cast<std::size_t>(memory.free);
}

}  // namespace optnet::cuda
