// A thread of execution that runs only when another one of the same OS thread hands over to it.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <memory>

namespace optnet::emulation {

class Fiber {
 public:
  /// What the calling OS thread is running on.
  Fiber();
  /// A new one with a stack of its own, which begins with `entry` when it is first switched to. `entry` calls
  /// `arrived` first and never returns.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves this one, which must be running, for `next`; returns when something switches back.
  void switch_to(Fiber& next);
  static void arrived();

 private:
  static constexpr std::size_t kStackBytes = 256 << 10;

  jmp_buf registers_;
  std::unique_ptr<ucontext_t> context_ = std::make_unique<ucontext_t>();
  std::byte* mapping_ = nullptr;  // a guard page and the stack
  bool started_ = false;

  // for the sanitizers
  void* tsan_fiber_ = nullptr;
  void* fake_stack_ = nullptr;
  const void* stack_ = nullptr;
  std::size_t stack_bytes_ = 0;
};

}  // namespace optnet::emulation
