#include "engine/residuals.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace optnet {
namespace {

/// The larger, or NaN where either is.
double worse(double a, double b) { return a >= b ? a : b > a ? b : std::numeric_limits<double>::quiet_NaN(); }

}  // namespace

Residuals residuals_of(const PlainProblem& problem, const double* z, const double* lambda, const double* nu,
                       const double* slack) {
  const auto [n, m, q] = problem.d;
  Residuals residuals;
  const auto note = [&](double& largest, double error, double unit, double size) {
    largest = worse(largest, std::abs(error));
    residuals.scaled = worse(residuals.scaled, std::abs(error) / (unit + kRelative * size));
  };
  const auto rows = [&](const double* M, int count, const double* right, const double* s) {
    for (int i = 0; i < count; ++i) {
      if (right[i] >= kInfinite) continue;
      const double slack_of_row = s ? s[i] : 0;
      double sum = slack_of_row - right[i], norm = 0;
      for (int j = 0; j < n; ++j) {
        const double element = M[static_cast<std::size_t>(i) * n + j];
        sum += element * z[j];
        norm = std::max(norm, std::abs(element));
      }
      const double size = std::max(std::abs(right[i]), slack_of_row);
      note(residuals.primal, sum, norm > 0 ? std::min(1.0, norm) : 1, size);
    }
  };
  rows(problem.G, m, problem.h, slack);
  rows(problem.A, q, problem.b, nullptr);

  for (int j = 0; j < n; ++j) {
    double sum = problem.p[j], size = std::abs(sum);
    const auto product = [&](const double* M, int count, const double* y, int stride, int offset) {
      double value = 0;
      for (int i = 0; i < count; ++i) value += M[static_cast<std::size_t>(i) * stride + offset] * y[i];
      sum += value;
      size = std::max(size, std::abs(value));
    };
    if (problem.Q) product(problem.Q + static_cast<std::size_t>(j) * n, n, z, 1, 0);
    product(problem.G, m, lambda, n, j);
    product(problem.A, q, nu, n, j);
    note(residuals.dual, sum, 1, size);
  }

  double products = 0;
  int count = 0;
  for (int i = 0; i < m; ++i) {
    if (problem.h[i] >= kInfinite) continue;
    residuals.gap += lambda[i] * slack[i];
    products += std::abs(problem.h[i]) * lambda[i];
    ++count;
  }
  if (count > 0) {
    residuals.gap /= count;
    residuals.scaled = worse(residuals.scaled, residuals.gap / (1 + kRelative * products / count));
  }
  return residuals;
}

}  // namespace optnet
