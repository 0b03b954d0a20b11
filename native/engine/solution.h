// One solved batch: the plan that was made for it, the factors that it left behind, and the derivatives drawn
// from them.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "engine/memory.h"
#include "engine/problem.h"
#include "engine/thread_pool.h"

namespace optnet {

/// Lets a caller watch a long call and end it early. Shared with the threads that work on it.
struct Control {
  std::atomic<bool> cancelled{false};
  /// Problems done so far; called by worker threads, now and then, never twice at once with a smaller number.
  std::function<void(std::size_t solved)> progress;
};

/// Use: create → load → solve → backward, backward, … Each step may be called from any thread, one step at a
/// time (backward calls may overlap).
class Solution {
 public:
  /// Chooses form and backend by shape and reserves memory, from `memory` if given. Fails with kMemory.
  static Failure create(const Problem& problem, const Settings& settings, std::shared_ptr<Solution>& out,
                        std::shared_ptr<MemoryPool> memory = nullptr);

  ~Solution();
  Solution(const Solution&) = delete;
  Solution& operator=(const Solution&) = delete;

  /// Copies the data in and checks them (finite, Q symmetric). The caller's arrays are not needed afterwards.
  /// `pool` may be null: then the calling thread does it alone.
  Failure load(const Problem& problem, ThreadPool* pool);

  /// A job that solves every problem and writes `results`, which must stay valid until it has finished.
  /// Call `outcome` after that.
  Job solve(const Results& results, std::shared_ptr<Control> control);

  /// kNotConvex with the first problem whose Q is not positive definite, kCancelled, or none.
  Failure outcome() const;

  /// Copies and checks `upstream`, and makes a job that writes `gradients`, which must stay valid until it
  /// has finished. Fails with kNotFinite. Requires settings.differentiable.
  Failure backward(const Upstream& upstream, const Gradients& gradients, Job& job);

  const Shape& shape() const;
  DType dtype() const;
  std::size_t bytes() const;  ///< native memory held
  int threads() const;

 private:
  struct Impl;
  explicit Solution(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // jobs hold it too
};

/// What the CPU backend runs on here: "avx512", "avx2", "sse2", "neon".
const char* instruction_set();

}  // namespace optnet
