// The driver's management library, for what CUDA itself only says to those who hold a context on the GPU,
// which takes hundreds of megabytes there and a good part of a second.
#pragma once

#include <cstddef>
#include <string>

namespace optnet::cuda {

/// Free bytes of the GPU at `pci_bus_id` ("00000000:17:00.0"); 0 where nobody can tell.
std::size_t free_memory(const std::string& pci_bus_id);

/// The driver's own version, "580.65.06"; empty where nobody can tell.
std::string driver_release();

}  // namespace optnet::cuda
