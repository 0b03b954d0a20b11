// Random problems as the paper's code draws them: Q = L Lᵀ + 1e-3·I with L uniform, G and A normal, h = G z₀
// + s₀ and b = A z₀ with z₀ normal and s₀ uniform, so that every problem is feasible.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include "engine/problem.h"

namespace optnet {

struct GeneratedBatch {
  Shape shape;
  std::vector<double> Q, p, G, h, A, b;

  GeneratedBatch(std::size_t batch, int n, int m, int q, unsigned seed = 1) : shape{batch, n, m, q} {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const auto N = static_cast<std::size_t>(n);
    std::vector<double> L(N * N), z0(N);
    for (std::size_t i = 0; i < batch; ++i) {
      for (double& x : L) x = uniform(random);
      for (std::size_t r = 0; r < N; ++r) {
        for (std::size_t c = 0; c < N; ++c) {
          double sum = r == c ? 1e-3 : 0;
          for (std::size_t k = 0; k < N; ++k) sum += L[r * N + k] * L[c * N + k];
          Q.push_back(sum);
        }
      }
      for (double& x : z0) x = normal(random);
      for (std::size_t j = 0; j < N; ++j) p.push_back(normal(random));
      const auto rows = [&](int count, std::vector<double>& matrix, std::vector<double>& vector, bool slack) {
        for (int r = 0; r < count; ++r) {
          double sum = slack ? uniform(random) : 0;
          for (std::size_t j = 0; j < N; ++j) {
            matrix.push_back(normal(random));
            sum += matrix.back() * z0[j];
          }
          vector.push_back(sum);
        }
      };
      rows(m, G, h, true);
      rows(q, A, b, false);
    }
  }

  Problem problem() const {
    const auto datum = [](const std::vector<double>& v) {
      return Datum{v.empty() ? nullptr : v.data(), true};
    };
    return {shape, DType::kFloat64, datum(Q), datum(p), datum(G), datum(h), datum(A), datum(b), {}, {}, {}};
  }
};

/// Memory for the results of a batch.
struct ResultArrays {
  std::vector<double> z, lambda, nu, slack, objective, primal, dual, gap, margin;
  std::vector<std::uint8_t> status, derivative;
  std::vector<std::int32_t> iterations;

  explicit ResultArrays(const Shape& s)
      : z(s.batch * s.n),
        lambda(s.batch * s.m),
        nu(s.batch * s.q),
        slack(s.batch * s.m),
        objective(s.batch),
        primal(s.batch),
        dual(s.batch),
        gap(s.batch),
        margin(s.batch),
        status(s.batch),
        derivative(s.batch),
        iterations(s.batch) {}

  Results results() {
    Results results;
    results.z = z.data();
    results.lambda = lambda.data();
    results.nu = nu.data();
    results.slack = slack.data();
    results.objective = objective.data();
    results.status = status.data();
    results.iterations = iterations.data();
    results.primal_residual = primal.data();
    results.dual_residual = dual.data();
    results.gap = gap.data();
    results.margin = margin.data();
    results.derivative = derivative.data();
    return results;
  }
};

}  // namespace optnet
