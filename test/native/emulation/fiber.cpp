// Fortified, longjmp refuses to enter another stack.
#undef _FORTIFY_SOURCE
#include "emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "emulation/sanitizers.h"

#ifdef __SANITIZE_THREAD__
#error "compile this file with -fno-sanitize=thread (sanitizers.h says why)"
#endif

namespace optnet::emulation {
namespace {

// __tsan_switch_to_fiber's flag: a switch orders nothing, as threads of a GPU are not ordered either.
constexpr unsigned kNoSynchronisation = 1;

constinit thread_local Fiber* left = nullptr;     // what the last switch left
constinit thread_local Fiber* running = nullptr;  // and where it led

/// Where a stack begins differs from one to the next: all at the same offset in a page, the innermost frames
/// of a block's threads would compete for a few sets of the first-level cache.
std::size_t next_colour() {
  constexpr std::size_t kStep = 5 * 64, kColours = 4096 / 64;
  static constinit thread_local std::size_t stacks = 0;
  return kStep * (stacks++ % kColours);
}

}  // namespace

Fiber::Fiber() : started_(true) {
  if (under_thread_sanitizer()) tsan_fiber_ = __tsan_get_current_fiber();
}

Fiber::Fiber(void (*entry)()) {
  const std::size_t guard = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* mapping = mmap(nullptr, guard + kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED || mprotect(mapping, guard, PROT_NONE) != 0) {
    std::fputs("emulation: no memory for a thread's stack\n", stderr);
    std::abort();
  }
  mapping_ = static_cast<std::byte*>(mapping);
  stack_ = mapping_ + guard;
  stack_bytes_ = kStackBytes;
  getcontext(context_.get());
  context_->uc_stack.ss_sp = mapping_ + guard;
  context_->uc_stack.ss_size = kStackBytes - next_colour();
  context_->uc_link = nullptr;
  makecontext(context_.get(), entry, 0);
  if (under_thread_sanitizer()) tsan_fiber_ = __tsan_create_fiber(0);
}

Fiber::~Fiber() {
  if (!mapping_) return;
  if (under_thread_sanitizer()) __tsan_destroy_fiber(tsan_fiber_);
  if (under_address_sanitizer()) __asan_unpoison_memory_region(stack_, stack_bytes_);
  munmap(mapping_, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + kStackBytes);
}

__attribute__((noinline)) void Fiber::switch_to(Fiber& next) {
  left = this;
  running = &next;
  if (under_thread_sanitizer()) {
    // ThreadSanitizer keeps an account of jumps, which ours would confuse.
    __tsan_switch_to_fiber(next.tsan_fiber_, kNoSynchronisation);
    swapcontext(context_.get(), next.context_.get());
    return;
  }
  if (under_address_sanitizer()) __sanitizer_start_switch_fiber(&fake_stack_, next.stack_, next.stack_bytes_);
  // setcontext makes a system call, which a jump does not: it only serves to begin.
  if (_setjmp(registers_) == 0) {
    if (next.started_) _longjmp(next.registers_, 1);
    next.started_ = true;
    setcontext(next.context_.get());
  }
  arrived();
}

void Fiber::arrived() {
  if (under_thread_sanitizer() || !under_address_sanitizer()) return;
  // This also tells where the OS thread's own stack lies, once it has been left.
  __sanitizer_finish_switch_fiber(running->fake_stack_, &left->stack_, &left->stack_bytes_);
}

}  // namespace optnet::emulation
