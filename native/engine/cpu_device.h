// The CPU as a device: plans memory and units of work for the backends of native/cpu, and runs them on
// threads.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/device.h"
#include "engine/memory.h"
#include "engine/thread_pool.h"

namespace optnet {

/// Use: create → load → solve → backward, backward, … Each step may be called from any thread, one step at a
/// time (backward calls may overlap).
class CpuSolution : public Solution, public std::enable_shared_from_this<CpuSolution> {
 public:
  /// Chooses form and backend by shape and reserves memory, from `memory` if given. Fails with kMemory.
  /// `pool` may be null: then the calling thread does it all, and calls cannot be started.
  static Failure create(const Problem& problem, const Settings& settings, ThreadPool* pool,
                        std::shared_ptr<CpuSolution>& out, std::shared_ptr<MemoryPool> memory = nullptr);

  ~CpuSolution() override;
  CpuSolution(const CpuSolution&) = delete;
  CpuSolution& operator=(const CpuSolution&) = delete;

  /// Copies the data in and checks them (finite, Q symmetric). The caller's arrays are not needed afterwards.
  Failure load(const Problem& problem);

  /// A call that solves every problem and writes `results`, which must stay valid until it has finished.
  /// Ends with kNotConvex and the first problem whose Q is not positive definite, kCancelled, or none.
  std::shared_ptr<Call> solve(const Results& results, std::shared_ptr<Control> control);

  Failure backward(const Upstream& upstream, const Gradients& gradients, std::shared_ptr<Call>& out) override;
  Failure jvp(const Tangents& tangents, const SolutionTangents& out, std::shared_ptr<Call>& call) override;
  std::shared_ptr<Solution> start_for_cpu() override { return shared_from_this(); }
  bool start_vectors(BatchVectors& out) const override;

  const Shape& shape() const override;
  DType dtype() const override;
  std::size_t bytes() const override;
  int threads() const override;
  const char* backend() const override;

 private:
  struct Impl;
  explicit CpuSolution(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // jobs hold it too
};

/// Shares `pool` with all that runs in its environment.
class CpuDevice : public Device {
 public:
  explicit CpuDevice(ThreadPool& pool) : pool_(pool) {}
  Failure solve(const Problem& problem, const Settings& settings, const Results& results,
                std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                std::shared_ptr<Call>& call) override;

 private:
  ThreadPool& pool_;
  std::shared_ptr<MemoryPool> memory_ = std::make_shared<MemoryPool>();
};

/// What the CPU backend runs on here: "avx512", "avx2", "sse2", "neon".
const char* instruction_set();

}  // namespace optnet
