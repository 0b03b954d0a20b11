// The emulated machine: what GPUs it has, what goes wrong with them, and what a program has left on them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace optnet::emulation {

/// As the environment says at the first call of CUDA, or as `configure` does.
struct Machine {
  int driver =
      CUDART_VERSION;     ///< OPTNET_EMULATED_DRIVER: the CUDA that it serves, 13000 for 13.0; 0 for none
  bool libraries = true;  ///< OPTNET_EMULATED_LIBRARIES, 0 for none: cuBLAS and cuSOLVER
  int devices = 1;        ///< OPTNET_EMULATED_DEVICES
  // of each device:
  std::size_t memory = std::size_t{4} << 30;  ///< OPTNET_EMULATED_MEMORY, in bytes
  std::size_t shared_memory =
      227 << 10;                ///< OPTNET_EMULATED_SHARED_MEMORY: the most a block may have, in bytes
  int threads_per_block = 64;   ///< OPTNET_EMULATED_THREADS: the most; few, because each costs time
  int multiprocessors = 132;    ///< OPTNET_EMULATED_MULTIPROCESSORS
  int compute_capability = 90;  ///< OPTNET_EMULATED_COMPUTE_CAPABILITY
};
/// Call it while nothing else uses CUDA.
void configure(const Machine& machine);
Machine machine();

/// The n-th allocation from now, of a device's or of pinned memory, fails; 1 is the next, 0 none.
/// At first what OPTNET_EMULATED_FAIL_ALLOCATION says.
void fail_allocation(int n);

/// From now on every call that needs the device fails, as after a kernel's illegal access.
void lose_device(int ordinal = 0);
/// The n-th launch from now, on any device, does that to its device; the launch itself still succeeds.
/// At first what OPTNET_EMULATED_LOSE_AT_LAUNCH says.
void lose_device_at_launch(int n);

/// While held, callbacks of streams wait, and all that waits for them.
void hold_callbacks(bool held);

/// What has not been given back. The same numbers before and after mean that nothing leaked.
struct Inventory {
  std::size_t device_allocations = 0, device_bytes = 0;
  std::size_t pinned_allocations = 0, pinned_bytes = 0;
  std::size_t streams = 0, events = 0, pools = 0;
  friend bool operator==(const Inventory&, const Inventory&) = default;
};
Inventory inventory();

/// So far, for tests that count them.
std::size_t launches();
std::size_t uploads();  ///< copies from host memory

/// Words that were copied to the host though nothing had written them, so far.
std::size_t unwritten_sent();

/// Lost devices are found again, nothing is set to fail, and all that is in the inventory is gone.
void reset();

}  // namespace optnet::emulation
