// A batch solved on a GPU: the plan for it, and the factors that are kept for its derivatives.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "cuda/gpu.h"
#include "engine/device.h"

namespace optnet::cuda {

/// What the calls on a solution share. `memory` and what lies in it are written by the call that solves, and
/// read by the others once `solved` has passed.
struct SolutionState {
  std::shared_ptr<Gpu> gpu;
  Problem layout;  ///< shape, number type, and what is batched; no data
  Settings settings;
  Plan plan;
  const Kernels* kernels = nullptr;

  DeviceMemory memory;
  std::byte *shared = nullptr, *kept = nullptr;              ///< factors
  std::byte *z = nullptr, *lambda = nullptr, *nu = nullptr;  ///< the solution, in the plan's scalar type
  DeviceDatum Q, G, A;                                       ///< where the adjoint needs them …
  std::vector<std::shared_ptr<const void>> owners;           ///< … and what keeps the caller's
  Event solved;
  std::atomic<std::size_t> bytes{0};
  std::atomic<bool> ready{false};

  ~SolutionState();

  DType scalar() const { return plan.precision == Precision::kSingle ? DType::kFloat32 : DType::kFloat64; }
  /// The adjoint may need the data again.
  bool retains_data() const { return settings.differentiable && plan.needs_data(settings.polish); }
  void let_go();
};

class CudaSolution : public Solution {
 public:
  /// Plans, and copies the data that are in host memory.
  static Failure create(const std::shared_ptr<Gpu>& gpu, const Problem& problem, const Settings& settings,
                        const Results& results, std::shared_ptr<Control> control,
                        std::shared_ptr<Solution>& solution, std::shared_ptr<Call>& call);

  Failure backward(const Upstream& upstream, const Gradients& gradients, std::shared_ptr<Call>& out) override;
  Failure read_vectors(std::vector<double>& z, std::vector<double>& lambda, std::vector<double>& nu) override;

  const Shape& shape() const override { return state_->layout.shape; }
  DType dtype() const override { return state_->layout.dtype; }
  std::size_t bytes() const override { return state_->bytes; }
  int threads() const override { return 0; }
  const char* backend() const override;

 private:
  explicit CudaSolution(std::shared_ptr<SolutionState> state) : state_(std::move(state)) {}
  std::shared_ptr<SolutionState> state_;  // calls hold it too
};

}  // namespace optnet::cuda
