// What kernels of a GPU are compared with: the CPU's solutions and adjoints.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "check.h"
#include "engine/cpu_device.h"
#include "generator.h"

namespace optnet::test {

/// The CPU's solution, and its adjoint as the gradients of data that each problem has to itself.
struct Reference {
  ResultArrays out;
  std::vector<double> dp, dh, db;

  Reference(const Problem& problem, const Settings& settings, const Upstream& upstream) : out(problem.shape) {
    ThreadPool pool;
    CpuDevice device(pool);
    std::shared_ptr<Solution> solution;
    std::shared_ptr<Call> call;
    CHECK(!device.solve(problem, settings, out.results(), nullptr, solution, call));
    call->run();
    CHECK(!call->outcome());
    const auto [batch, n, m, q] = problem.shape;
    dp.resize(batch * n);
    dh.resize(batch * m);
    db.resize(batch * q);
    Gradients gradients;
    gradients.dp = dp.data();
    if (m > 0) gradients.dh = dh.data();
    if (q > 0) gradients.db = db.data();
    std::shared_ptr<Call> derivative;
    CHECK(!solution->backward(upstream, gradients, derivative));
    derivative->run();
  }
};

template <class T, class Allocator>
std::vector<double> wide(const std::vector<T, Allocator>& v, double sign = 1) {
  std::vector<double> out(v.begin(), v.end());
  for (double& x : out) x *= sign;
  return out;
}

/// Largest difference, relative to the largest element.
inline double difference(const std::vector<double>& a, const std::vector<double>& b) {
  double size = 1, worst = 0;
  for (const double x : b) size = std::max(size, std::fabs(x));
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::fabs(a[i] - b[i]);
    if (!(d <= worst)) worst = d;  // NaN too
  }
  return worst / size;
}

/// Shares Q (1), G (2), A (4) of the batch; h and b are such that every problem has a solution.
inline Problem share(GeneratedBatch& batch, int which) {
  Problem problem = batch.problem();
  const auto rows = [&](const std::vector<double>& matrix, std::vector<double>& vector, bool shared,
                        double slack) {
    const auto n = static_cast<std::size_t>(batch.shape.n), count = vector.size() / batch.shape.batch;
    for (std::size_t i = 0; i < vector.size(); ++i) {
      const double* row = matrix.data() + (shared ? i % count : i) * n;
      const auto z0 = static_cast<double>(i / count);
      vector[i] = slack * (1.0 + static_cast<double>(i % 3));
      for (std::size_t j = 0; j < n; ++j) vector[i] += row[j] * std::sin(z0 + static_cast<double>(j));
    }
  };
  rows(batch.G, batch.h, which & 2, 0.3);
  rows(batch.A, batch.b, which & 4, 0);
  problem.Q.batched = !(which & 1);
  problem.G.batched = !(which & 2);
  problem.A.batched = !(which & 4);
  return problem;
}

}  // namespace optnet::test
