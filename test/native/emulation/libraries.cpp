#include "emulation/libraries.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "emulation/library_call.h"

namespace optnet::emulation {
namespace {

struct State {
  LibraryHooks hooks;
  std::mutex mutex;  // of all that follows
  std::map<const void*, std::unique_ptr<Handle>> handles;
  bool record = false;
  std::vector<std::string> calls;
};

State& state() {
  static State instance;
  return instance;
}

int current_device() { return library_hooks().current_device ? library_hooks().current_device() : 0; }

}  // namespace

// ---- for tests
// ----------------------------------------------------------------------------------------------------

std::shared_ptr<const cuda::Libraries> emulated_libraries() {
  const auto table = std::make_shared<cuda::Libraries>();
  emulate_cublas(*table);
  emulate_cusolver(*table);
  return table;
}

void set_library_hooks(LibraryHooks hooks) { state().hooks = std::move(hooks); }

void record_library_calls(bool record) {
  const std::lock_guard lock(state().mutex);
  state().record = record;
}

std::vector<std::string> take_library_calls() {
  const std::lock_guard lock(state().mutex);
  return std::exchange(state().calls, {});
}

int open_library_handles() {
  const std::lock_guard lock(state().mutex);
  return static_cast<int>(state().handles.size());
}

// ---- for routines
// -------------------------------------------------------------------------------------------------

const LibraryHooks& library_hooks() { return state().hooks; }

void violation(const std::string& message) {
  if (state().hooks.violation) state().hooks.violation(message);
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}

void record_library_call(const std::string& call) {
  const std::lock_guard lock(state().mutex);
  if (state().record) state().calls.push_back(call);
}

LibraryCall::LibraryCall(const void* handle, bool blas, std::string routine) : Arguments(std::move(routine)) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().handles.find(handle);
  require(found != state().handles.end(), "the handle was not created, or has been destroyed");
  Handle* const it = found->second.get();
  require(it->blas == blas, "the handle is of the other library");
  require(it->device == current_device(), "the handle was created on another device than the current one");
  require(!it->busy.exchange(true), "the handle is in use by another thread");
  handle_ = it;
}

void create_handle(bool blas, void* out) {
  auto handle = std::make_unique<Handle>();
  handle->blas = blas;
  handle->device = current_device();
  const void* const address = handle.get();
  std::memcpy(out, &address, sizeof address);
  const std::lock_guard lock(state().mutex);
  state().handles.emplace(address, std::move(handle));
}

void destroy_handle(const void* handle, bool blas, const char* routine) {
  { const LibraryCall call(handle, blas, routine); }
  const std::lock_guard lock(state().mutex);
  state().handles.erase(handle);
}

void set_stream(const void* handle, bool blas, const char* routine, cudaStream_t stream) {
  LibraryCall call(handle, blas, routine);
  call.handle().stream = stream;
  call.handle().has_stream = true;
  call.handle().workspace = nullptr;  // as documented: back to the library's own
}

}  // namespace optnet::emulation
