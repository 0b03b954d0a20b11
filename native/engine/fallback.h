// A GPU for all that it serves, and the CPU for the rest: what the device 'auto' is where there is a GPU.
//
// A batch goes to the CPU as a whole: at once, where its caller knows that the GPU does not serve it; after
// the GPU has tried, where it finds that Q is not positive definite, or leaves a problem unsolved (only the
// CPU has a solver that finds certificates); and after the solve, for derivatives that the GPU does not
// compute. The CPU then solves the batch once more. For that, what was in host memory is copied once, before
// the GPU gets it, and kept as long as it may be needed: until the end of the solve, or with the factors.
#pragma once

#include <memory>
#include <mutex>

#include "cuda/environment.h"
#include "engine/cpu_device.h"
#include "engine/memory.h"
#include "engine/sequence.h"
#include "engine/thread_pool.h"

namespace optnet {

/// It must outlive the calls of its solutions. Arrays on the device are those of the GPU, whoever solves.
class FallbackDevice : public Device {
 public:
  FallbackDevice(std::shared_ptr<cuda::CudaDevice> gpu, CpuDevice& cpu, ThreadPool& pool)
      : gpu_(std::move(gpu)), cpu_(cpu), pool_(pool) {}

  /// settings.fallback: the GPU tries first.
  Failure solve(const Problem& problem, const Settings& settings, const Results& results,
                std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                std::shared_ptr<Call>& call) override;

 private:
  friend class FallbackSolution;

  /// `problem` with copies of what is in host memory.
  Failure keep(const Problem& problem, Problem& out);

  std::shared_ptr<cuda::CudaDevice> gpu_;
  CpuDevice& cpu_;
  ThreadPool& pool_;
  std::shared_ptr<MemoryPool> memory_ = std::make_shared<MemoryPool>();
};

}  // namespace optnet
