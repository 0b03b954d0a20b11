// The sanitizers' interfaces for fibers, as weak symbols: null where the program runs without that sanitizer.
// The emulator itself need not be compiled for one, and for ThreadSanitizer must not be: it would see
// the emulator's own bookkeeping as races between the emulated threads.
#pragma once

#include <cstddef>

extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* token);
[[gnu::weak]] void __tsan_release(void* token);

[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
}

namespace optnet::emulation {

inline bool under_thread_sanitizer() { return __tsan_create_fiber != nullptr; }
inline bool under_address_sanitizer() { return __asan_unpoison_memory_region != nullptr; }

/// To ThreadSanitizer: what this thread did until now comes before all that follows an acquire of `token`.
inline void announce_release(void* token) {
  if (under_thread_sanitizer()) __tsan_release(token);
}
inline void announce_acquire(void* token) {
  if (under_thread_sanitizer()) __tsan_acquire(token);
}

}  // namespace optnet::emulation
