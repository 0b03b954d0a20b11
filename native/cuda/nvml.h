// The driver's management library, for what CUDA itself only says to those who hold a context on the GPU,
// which takes hundreds of megabytes there and a good part of a second.
#pragma once

#include <cstddef>
#include <string>

namespace optnet::cuda {

/// Free bytes of the GPU at `pci_bus_id` ("00000000:17:00.0"); 0 where nobody can tell.
std::size_t free_memory(const std::string& pci_bus_id);

}  // namespace optnet::cuda
