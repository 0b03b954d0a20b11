#include "emulation/runtime/state.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace optnet::emulation {
namespace {

template <class T>
void read(const char* name, T& value) {
  if (const char* text = std::getenv(name)) value = static_cast<T>(std::strtoull(text, nullptr, 10));
}

std::unique_ptr<State> from_environment() {
  auto state = std::make_unique<State>();
  Machine& m = state->machine;
  read("OPTNET_EMULATED_DRIVER", m.driver);
  read("OPTNET_EMULATED_LIBRARIES", m.libraries);
  read("OPTNET_EMULATED_DEVICES", m.devices);
  read("OPTNET_EMULATED_MEMORY", m.memory);
  read("OPTNET_EMULATED_SHARED_MEMORY", m.shared_memory);
  read("OPTNET_EMULATED_THREADS", m.threads_per_block);
  read("OPTNET_EMULATED_MULTIPROCESSORS", m.multiprocessors);
  read("OPTNET_EMULATED_COMPUTE_CAPABILITY", m.compute_capability);
  read("OPTNET_EMULATED_FAIL_ALLOCATION", state->allocations_until_failure);
  read("OPTNET_EMULATED_LOSE_AT_LAUNCH", state->launches_until_loss);
  return state;
}

constinit thread_local int ordinal_of_this_thread = 0;
constinit thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

// Never destroyed, none of these: the thread of callbacks may outlive main.
State& state() {
  static State* const state = from_environment().release();
  return *state;
}
std::mutex& mutex() {
  static auto* const mutex = new std::mutex;
  return *mutex;
}
std::condition_variable& state_changed() {
  static auto* const changed = new std::condition_variable;
  return *changed;
}

int current_ordinal() { return ordinal_of_this_thread; }
void set_current_ordinal(int ordinal) { ordinal_of_this_thread = ordinal; }

Device& State::device(int ordinal) {
  const auto [at, is_new] = devices.try_emplace(ordinal);
  Device& device = at->second;
  if (is_new) {
    device.default_stream = std::make_shared<CUstream_st>();
    device.default_stream->ordinal = ordinal;
    device.default_pool = device.current_pool = std::make_shared<CUmemPoolHandle_st>();
    device.default_pool->ordinal = ordinal;
  }
  return device;
}

const Allocation* State::find(const void* data, std::size_t bytes) const {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  const auto& [begin, allocation] = *--after;
  const std::size_t offset = address - begin;
  return offset < allocation.bytes && bytes <= allocation.bytes - offset ? &allocation : nullptr;
}

std::shared_ptr<CUstream_st> State::stream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread)
    return device(current_ordinal()).default_stream;
  const auto at = streams.find(handle);
  return at == streams.end() ? nullptr : at->second;
}

std::size_t State::bytes_allocated(int ordinal) const {
  std::size_t bytes = 0;
  for (const auto& [address, allocation] : allocations)
    if (!allocation.pinned && allocation.ordinal == ordinal) bytes += allocation.bytes;
  return bytes;
}

cudaError_t record(cudaError_t error) {
  // Not an error, but an answer.
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

cudaError_t refuse(Needs needs) {
  State& s = state();
  if (is_callback_thread()) return cudaErrorNotPermitted;
  if (s.machine.driver < CUDART_VERSION) return cudaErrorInsufficientDriver;
  if (s.machine.devices == 0) return cudaErrorNoDevice;
  if (needs == Needs::kContext && s.device(current_ordinal()).lost) return cudaErrorLaunchFailure;
  return cudaSuccess;
}

void release(std::map<std::uintptr_t, Allocation>::iterator allocation) {
  const auto& [address, details] = *allocation;
  if (details.pool) {
    CUmemPoolHandle_st& pool = *details.pool;
    pool.used -= details.bytes;
    pool.reserved =
        std::max<std::size_t>(pool.used, std::min<std::size_t>(pool.reserved, pool.release_threshold));
  }
  void* const data = reinterpret_cast<void*>(address);
  std::memset(data, 0xff, details.bytes);
  std::free(data);
  state().allocations.erase(allocation);
}

// ---- what tests call
// -------------------------------------------------------------------------------------------------

void configure(const Machine& machine) {
  const std::lock_guard lock(mutex());
  state().machine = machine;
}

Machine machine() {
  const std::lock_guard lock(mutex());
  return state().machine;
}

void fail_allocation(int n) {
  const std::lock_guard lock(mutex());
  state().allocations_until_failure = n;
}

void lose_device(int ordinal) {
  const std::lock_guard lock(mutex());
  state().device(ordinal).lost = true;
}

void lose_device_at_launch(int n) {
  const std::lock_guard lock(mutex());
  state().launches_until_loss = n;
}

void hold_callbacks(bool held) {
  const std::lock_guard lock(mutex());
  state().callbacks_held = held;
  state_changed().notify_all();
}

Inventory inventory() {
  const std::lock_guard lock(mutex());
  const State& s = state();
  Inventory result;
  for (const auto& [address, allocation] : s.allocations) {
    (allocation.pinned ? result.pinned_allocations : result.device_allocations) += 1;
    (allocation.pinned ? result.pinned_bytes : result.device_bytes) += allocation.bytes;
  }
  result.streams = s.streams.size();
  result.events = s.events.size();
  result.pools = s.pools.size();
  return result;
}

std::size_t unwritten_sent() {
  const std::lock_guard lock(mutex());
  return state().unwritten_sent;
}

std::size_t uploads() {
  const std::lock_guard lock(mutex());
  return state().uploads;
}

std::size_t launches() {
  const std::lock_guard lock(mutex());
  return state().launches;
}

void reset() {
  const std::lock_guard lock(mutex());
  State& s = state();
  while (!s.allocations.empty()) release(s.allocations.begin());
  s.streams.clear();
  s.events.clear();
  s.pools.clear();
  s.devices.clear();
  s.allocations_until_failure = s.launches_until_loss = 0;
}

}  // namespace optnet::emulation

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  optnet::emulation::last_error = cudaSuccess;
  return error;
}

/// A lost device's error stays.
cudaError_t cudaPeekAtLastError() {
  const std::lock_guard lock(optnet::emulation::mutex());
  const bool lost = optnet::emulation::refuse(optnet::emulation::Needs::kContext) == cudaErrorLaunchFailure;
  return lost ? cudaErrorLaunchFailure : optnet::emulation::last_error;
}
