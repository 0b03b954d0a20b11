// Runs the fused kernels on a batch, without the engine: memory is plain host memory, which is what the
// emulation has for a GPU's.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/kernels.h"
#include "engine/problem.h"

namespace optnet::test {

/// A GPU's memory: starts with NaNs.
class DeviceBytes {
 public:
  explicit DeviceBytes(std::size_t size)
      : data_(static_cast<std::byte*>(std::aligned_alloc(64, (size + 127) / 64 * 64))) {
    std::memset(data_, 0xff, (size + 127) / 64 * 64);
  }
  ~DeviceBytes() { std::free(data_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  std::byte* get() const { return data_; }

 private:
  std::byte* data_;
};

/// Solves a float64 problem with a plan, and keeps what the adjoint needs. T: the plan's scalar.
template <class T>
class FusedRun {
  using Plan = cuda::Plan;

 public:
  std::vector<T> z, lambda, nu, slack, dz, dlambda, dnu;
  std::vector<double> objective, primal, dual, gap;
  std::vector<std::uint8_t> status;
  std::vector<std::int32_t> iterations;
  unsigned long long indefinite = ~0ULL;

  FusedRun(const Problem& problem, const Plan& plan, const SolverSettings& settings)
      : plan_(plan),
        batch_(problem.shape.batch),
        shared_(plan.footprint.shared),
        kept_(plan.footprint.kept * batch_),
        workspace_(plan.footprint.workspace * batch_ + plan.footprint.fixed) {
    const auto [n, m, q] = plan.d;
    for (auto* v : {&z, &dz}) v->resize(batch_ * n);
    for (auto* v : {&lambda, &slack, &dlambda}) v->resize(batch_ * m);
    for (auto* v : {&nu, &dnu}) v->resize(batch_ * q);
    for (auto* v : {&objective, &primal, &dual, &gap}) v->resize(batch_);
    status.resize(batch_);
    iterations.resize(batch_);
    cuda::SolveArguments a;
    a.batch = static_cast<int>(batch_);
    a.Q = Q_ = copy(problem.Q, n * n);
    a.p = copy(problem.p, n);
    a.G = G_ = copy(problem.G, m * n);
    a.h = copy(problem.h, m);
    a.A = A_ = copy(problem.A, q * n);
    a.b = copy(problem.b, q);
    a.shared = shared_.get();
    a.kept = kept_.get();
    a.workspace = workspace_.get();
    a.settings = settings;
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
    a.indefinite = &indefinite;
    const cuda::Kernels& kernels = cuda::fused_kernels(plan.precision);
    error_ = kernels.prepare_shared(plan, a, nullptr);
    if (error_ == cudaSuccess) error_ = kernels.solve(plan, a, nullptr);
  }

  void adjoint(const std::vector<T>& gz, const std::vector<T>& glambda, const std::vector<T>& gnu) {
    const auto at = [](const std::vector<T>& v) { return v.empty() ? nullptr : v.data(); };
    cuda::AdjointArguments a;
    a.batch = static_cast<int>(batch_);
    a.Q = Q_;
    a.G = G_;
    a.A = A_;
    a.shared = shared_.get();
    a.kept = kept_.get();
    a.workspace = workspace_.get();
    a.gz = at(gz);
    a.glambda = at(glambda);
    a.gnu = at(gnu);
    a.dz = dz.data();
    a.dlambda = dlambda.data();
    a.dnu = dnu.data();
    error_ = cuda::fused_kernels(plan_.precision).adjoint(plan_, a, nullptr);
  }

  cudaError_t error() const { return error_; }

 private:
  Plan plan_;
  std::size_t batch_;
  DeviceBytes shared_, kept_, workspace_;
  std::vector<std::unique_ptr<std::vector<T>>> data_;
  cuda::DeviceDatum Q_, G_, A_;
  cudaError_t error_ = cudaSuccess;

  cuda::DeviceDatum copy(const Datum& datum, int size) {
    const auto count = static_cast<std::size_t>(size);
    if (!datum.data || count == 0) return {};
    const auto* from = static_cast<const double*>(datum.data);
    data_.push_back(std::make_unique<std::vector<T>>(from, from + count * (datum.batched ? batch_ : 1)));
    return {data_.back()->data(), datum.batched ? count : 0};
  }
};

}  // namespace optnet::test
