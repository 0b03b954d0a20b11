// A double of cuBLAS and cuSOLVER that computes on the host, as strict about its arguments as the libraries'
// documentation and stricter than the libraries: they overwrite memory where this one says what is wrong.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/libraries.h"

namespace optnet::emulation {

/// What the double knows of the GPU that it is emulated with. Each may be left out.
struct LibraryHooks {
  /// Without it, or where it cannot tell, addresses are only checked for null and for their alignment.
  std::function<std::optional<bool>(const void*)> is_device_pointer;
  std::function<int()> current_device;
  /// Puts work into a stream. Without it, work is done when it is called for.
  std::function<void(cudaStream_t, std::function<void()>)> enqueue;
  /// Must not return. Without it: says what is wrong and aborts.
  std::function<void(const std::string&)> violation;
};

/// For all threads. Not while routines run.
void set_library_hooks(LibraryHooks hooks);

std::shared_ptr<const cuda::Libraries> emulated_libraries();

/// The routines called since the last time, in order, each with its sizes: "cublasDgetrfBatched n=3 batch=2".
/// Only between record_library_calls(true) and (false): nothing is kept otherwise.
std::vector<std::string> take_library_calls();
void record_library_calls(bool record);

/// Handles that were created and not destroyed.
int open_library_handles();

}  // namespace optnet::emulation
