// Runs kernels on a batch, without the engine, on an emulated GPU: only what lies in its memory is handed to
// them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "cuda/kernels.h"
#include "engine/problem.h"

namespace optnet::test {

/// Memory of the GPU: starts with NaNs.
template <class T>
struct DeviceAllocator {
  using value_type = T;
  DeviceAllocator() = default;
  template <class U>
  DeviceAllocator(const DeviceAllocator<U>&) {}  // NOLINT: as the standard asks for
  T* allocate(std::size_t count) {
    void* data = nullptr;
    if (cudaMalloc(&data, count * sizeof(T)) != cudaSuccess) throw std::bad_alloc();
    std::memset(data, 0xff, count * sizeof(T));
    return static_cast<T*>(data);
  }
  void deallocate(T* data, std::size_t) { cudaFree(data); }
  template <class U>
  void construct(U*) {}  // stays as it is
  template <class U, class Value>
  void construct(U* at, const Value& value) {
    ::new (at) U(static_cast<U>(value));
  }
  friend bool operator==(DeviceAllocator, DeviceAllocator) { return true; }
};
template <class T>
using DeviceVector = std::vector<T, DeviceAllocator<T>>;

/// Solves a float64 problem with a plan, and keeps what the adjoint needs. T: the plan's scalar.
template <class T>
class KernelsRun {
  using Plan = cuda::Plan;

 public:
  DeviceVector<T> z, lambda, nu, slack, dz, dlambda, dnu;
  DeviceVector<double> objective, primal, dual, gap, margin;
  DeviceVector<std::uint8_t> status, derivative;
  DeviceVector<std::int32_t> iterations;
  DeviceVector<unsigned long long> indefinite{~0ULL};
  cudaError_t error = cudaSuccess;

  KernelsRun(const cuda::Kernels& kernels, const Problem& problem, const Plan& plan,
             const SolverSettings& settings, bool differentiable = true)
      : kernels_(kernels),
        plan_(plan),
        batch_(problem.shape.batch),
        shared_(plan.footprint.shared),
        kept_(plan.footprint.kept * batch_),
        workspace_(plan.footprint.workspace * batch_ + plan.footprint.fixed + kGuard) {
    const auto [n, m, q] = plan.d;
    for (auto* v : {&z, &dz}) v->resize(batch_ * n);
    for (auto* v : {&lambda, &slack, &dlambda}) v->resize(batch_ * m);
    for (auto* v : {&nu, &dnu}) v->resize(batch_ * q);
    for (auto* v : {&objective, &primal, &dual, &gap, &margin}) v->resize(batch_);
    status.resize(batch_);
    derivative.resize(batch_);
    iterations.resize(batch_);
    cuda::SolveArguments a;
    a.batch = static_cast<int>(batch_);
    a.Q = Q_ = copy(problem.Q, n * n);
    a.p = copy(problem.p, n);
    a.G = G_ = copy(problem.G, m * n);
    a.h = copy(problem.h, m);
    a.A = A_ = copy(problem.A, q * n);
    a.b = copy(problem.b, q);
    a.shared = shared_.data();
    a.kept = kept_.data();
    a.workspace = workspace_.data();
    a.settings = settings;
    a.differentiable = differentiable;
    a.z = z.data();
    a.lambda = lambda.data();
    a.nu = nu.data();
    a.slack = slack.data();
    a.objective = objective.data();
    a.status = status.data();
    a.iterations = iterations.data();
    a.primal_residual = primal.data();
    a.dual_residual = dual.data();
    a.gap = gap.data();
    a.margin = margin.data();
    a.derivative = derivative.data();
    a.indefinite = indefinite.data();
    error = kernels_.prepare_shared(plan, a, nullptr);
    if (error == cudaSuccess) error = kernels_.solve(plan, a, nullptr);
  }

  /// `refined`: with the data, which range space needs for nothing else.
  void adjoint(const DeviceVector<T>& gz, const DeviceVector<T>& glambda, const DeviceVector<T>& gnu,
               bool refined = true) {
    const auto at = [](const DeviceVector<T>& v) { return v.empty() ? nullptr : v.data(); };
    cuda::AdjointArguments a;
    a.batch = static_cast<int>(batch_);
    if (refined) {
      a.Q = Q_;
      a.G = G_;
      a.A = A_;
    }
    a.shared = shared_.data();
    a.kept = kept_.data();
    a.workspace = workspace_.data();
    a.gz = at(gz);
    a.glambda = at(glambda);
    a.gnu = at(gnu);
    a.dz = dz.data();
    a.dlambda = dlambda.data();
    a.dnu = dnu.data();
    error = kernels_.adjoint(plan_, a, nullptr);
  }

  /// Nothing was written behind the workspace.
  bool in_bounds() const {
    for (std::size_t i = workspace_.size() - kGuard; i < workspace_.size(); ++i) {
      if (workspace_[i] != std::byte{0xff}) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 1024;
  const cuda::Kernels& kernels_;
  Plan plan_;
  std::size_t batch_;
  DeviceVector<std::byte> shared_, kept_, workspace_;
  std::vector<DeviceVector<T>> data_;
  cuda::DeviceDatum Q_, G_, A_;

  cuda::DeviceDatum copy(const Datum& datum, int size) {
    const auto count = static_cast<std::size_t>(size);
    if (!datum.data || count == 0) return {};
    const auto* from = static_cast<const double*>(datum.data);
    data_.emplace_back(from, from + count * (datum.batched ? batch_ : 1));
    return {data_.back().data(), datum.batched ? count : 0};
  }
};

}  // namespace optnet::test
