// Streams, events and callbacks. Work is done when it is queued, so that only callbacks can be waited for:
// another OS thread calls them, later, as the driver does.
#include <algorithm>
#include <thread>

#include "emulation/runtime/state.h"

using namespace optnet::emulation;

namespace {

constinit thread_local bool calls_back = false;

void call_back() {
  calls_back = true;
  std::unique_lock lock(mutex());
  State& s = state();
  for (;;) {
    state_changed().wait(lock, [&] { return !s.callbacks.empty() && !s.callbacks_held; });
    const Callback callback = std::move(s.callbacks.front());
    s.callbacks.pop_front();
    const bool lost = s.device(callback.stream->ordinal).lost;
    if (!lost || callback.even_if_lost) {
      lock.unlock();
      callback.call(lost ? cudaErrorLaunchFailure : cudaSuccess);
      lock.lock();
    }
    ++callback.stream->callbacks_done;
    state_changed().notify_all();
  }
}

cudaError_t queue(State& s, cudaStream_t handle, Callback callback) {
  callback.stream = s.stream(handle);
  if (!callback.stream) return cudaErrorInvalidResourceHandle;
  ++callback.stream->callbacks_queued;
  s.callbacks.push_back(std::move(callback));
  if (!s.has_callback_thread) std::thread(call_back).detach();
  s.has_callback_thread = true;
  state_changed().notify_all();
  return cudaSuccess;
}

/// Waits until the stream's first callbacks have been called, so many.
void wait(std::unique_lock<std::mutex>& lock, const std::shared_ptr<CUstream_st>& stream,
          std::uint64_t callbacks) {
  state_changed().wait(lock, [&] { return stream->callbacks_done >= callbacks; });
}

/// For what waits: like `enter`, but the mutex can be let go, and the device may be lost in the meantime.
template <class Call>
cudaError_t enter_and_wait(Call call) {
  std::unique_lock lock(mutex());
  cudaError_t error = refuse(Needs::kContext);
  if (error == cudaSuccess) error = call(state(), lock);
  if (error == cudaSuccess) error = refuse(Needs::kContext);
  return record(error);
}

CUevent_st* find_event(State& s, cudaEvent_t handle) {
  const auto at = s.events.find(handle);
  return at == s.events.end() ? nullptr : at->second.get();
}

}  // namespace

bool optnet::emulation::is_callback_thread() { return calls_back; }

// ---- streams
// ---------------------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) {
  return enter([&](State& s) {
    if (!handle || (flags & ~unsigned{cudaStreamNonBlocking}) != 0) return cudaErrorInvalidValue;
    auto stream = std::make_shared<CUstream_st>();
    stream->ordinal = current_ordinal();
    *handle = stream.get();
    s.streams[*handle] = std::move(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreate(cudaStream_t* handle) {
  return cudaStreamCreateWithFlags(handle, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* handle, unsigned flags, int) {
  return cudaStreamCreateWithFlags(handle, flags);
}

/// What was queued still comes to its end.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return enter(
      [&](State& s) { return s.streams.erase(handle) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return enter_and_wait([&](State& s, std::unique_lock<std::mutex>& lock) {
    const auto stream = s.stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    wait(lock, stream, stream->callbacks_queued);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return enter_and_wait([&](State& s, std::unique_lock<std::mutex>& lock) {
    const int ordinal = current_ordinal();
    auto streams = s.streams;
    streams[nullptr] = s.device(ordinal).default_stream;
    for (const auto& [handle, stream] : streams)
      if (stream->ordinal == ordinal) wait(lock, stream, stream->callbacks_queued);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return enter([&](State& s) {
    const auto stream = s.stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    return stream->callbacks_done < stream->callbacks_queued ? cudaErrorNotReady : cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return enter([&](State& s) {
    return s.stream(handle) && find_event(s, event) ? cudaSuccess : cudaErrorInvalidResourceHandle;
  });
}

// ---- callbacks
// -------------------------------------------------------------------------------------------------------

cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t callback, void* data,
                                  unsigned flags) {
  return enter([&](State& s) {
    if (!callback || flags != 0) return cudaErrorInvalidValue;
    const auto call = [=](cudaError_t status) { callback(handle, status, data); };
    return queue(s, handle, {nullptr, call, true});
  });
}

/// Unlike the other kind, these are never called once the device is lost.
cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return enter([&](State& s) {
    if (!function) return cudaErrorInvalidValue;
    return queue(s, handle, {nullptr, [=](cudaError_t) { function(data); }, false});
  });
}

// ---- events
// ----------------------------------------------------------------------------------------------------------

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned flags) {
  return enter([&](State& s) {
    if (!handle) return cudaErrorInvalidValue;
    auto event = std::make_unique<CUevent_st>();
    event->flags = flags;
    *handle = event.get();
    s.events[*handle] = std::move(event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* handle) {
  return cudaEventCreateWithFlags(handle, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return enter(
      [&](State& s) { return s.events.erase(handle) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t on) {
  return enter([&](State& s) {
    CUevent_st* event = find_event(s, handle);
    const auto stream = s.stream(on);
    if (!event || !stream) return cudaErrorInvalidResourceHandle;
    event->stream = stream;
    event->callbacks = stream->callbacks_queued;
    event->time = std::chrono::steady_clock::now();
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return enter_and_wait([&](State& s, std::unique_lock<std::mutex>& lock) {
    const CUevent_st* event = find_event(s, handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    // Copied, because the event may be recorded again or destroyed while this waits.
    if (const auto stream = event->stream) wait(lock, stream, event->callbacks);
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return enter([&](State& s) {
    const CUevent_st* event = find_event(s, handle);
    if (!event) return cudaErrorInvalidResourceHandle;
    if (!event->stream) return cudaSuccess;
    return event->stream->callbacks_done < event->callbacks ? cudaErrorNotReady : cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  return enter([&](State& s) {
    const CUevent_st *a = find_event(s, from), *b = find_event(s, to);
    if (!a || !b || !a->stream || !b->stream) return cudaErrorInvalidResourceHandle;
    if ((a->flags | b->flags) & cudaEventDisableTiming) return cudaErrorInvalidResourceHandle;
    *milliseconds = std::chrono::duration<float, std::milli>(b->time - a->time).count();
    return cudaSuccess;
  });
}

// ---- capturing into graphs: not emulated
// --------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  return enter([](State&) { return cudaErrorNotSupported; });
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*) {
  return enter([](State&) { return cudaErrorNotSupported; });
}
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  return enter([&](State&) {
    *status = cudaStreamCaptureStatusNone;
    return cudaSuccess;
  });
}
