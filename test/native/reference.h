// What kernels of a GPU are compared with: the CPU's solutions and adjoints.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "check.h"
#include "engine/cpu_device.h"
#include "generator.h"
#include "solver/settings.h"

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

/// What A dz leaves of zero, relative to its terms: the largest of a batch. Of gν = 0 it is the third of the
/// adjoint's equations, whatever the active set.
inline double left_of_equalities(const Problem& problem, const std::vector<double>& dz) {
  const auto [batch, n, m, q] = problem.shape;
  const auto* A = static_cast<const double*>(problem.A.data);
  double worst = 0;
  for (std::size_t row = 0; row < batch * static_cast<std::size_t>(q); ++row) {
    const double* at = dz.data() + row / static_cast<std::size_t>(q) * static_cast<std::size_t>(n);
    double sum = 0, terms = 0;
    for (int j = 0; j < n; ++j) {
      const double product = A[row * static_cast<std::size_t>(n) + static_cast<std::size_t>(j)] * at[j];
      sum += product;
      terms += std::fabs(product);
    }
    worst = std::max(worst, std::fabs(sum) / terms);
  }
  return worst;
}

/// Makes Q worse conditioned by so many orders of magnitude, squared.
inline void squeeze(GeneratedBatch& batch, double orders) {
  const auto n = static_cast<std::size_t>(batch.shape.n);
  const auto scale = [&](std::size_t j) {
    return std::pow(10, -orders * static_cast<double>(j) / static_cast<double>(n - 1));
  };
  for (std::size_t i = 0; i < batch.Q.size(); ++i) batch.Q[i] *= scale(i % n) * scale(i / n % n);
}

/// The adjoint of a badly conditioned batch is refined from the data, and would not be right without.
template <class Run>
void check_refinement(const Problem& problem, Run& run) {
  for (const auto status : run.status) CHECK(status == 0);
  auto gz = run.z;
  for (std::size_t i = 0; i < gz.size(); ++i) gz[i] = std::sin(static_cast<double>(i) + 1);
  run.adjoint(gz, {}, {}, false);
  const double before = left_of_equalities(problem, wide(run.dz));
  run.adjoint(gz, {}, {});
  const double after = left_of_equalities(problem, wide(run.dz));
  CHECK(before > 1e-12);
  CHECK(after < 1e-14);
  if (!(before > 1e-12 && after < 1e-14)) std::fprintf(stderr, "%g, refined %g\n", before, after);
}

/// One residual, and what it is the difference of.
struct Residual {
  double value = 0, size = 0, terms = 0;  ///< size: the largest part; terms: Σ of absolute products

  void add(double part, double absolute) {
    value += part;
    size = std::max(size, std::fabs(part));
    terms += absolute;
  }
};

/// Every problem of a run (kernels_run.h) fulfils the KKT conditions, computed from the data, within the
/// tolerance that it was solved to (solver/settings.h), and what rounding in its numbers leaves of sums.
template <class Run>
void check_kkt(const Problem& problem, const Run& run, double tolerance) {
  using T = typename decltype(run.z)::value_type;
  const auto [batch, n, m, q] = problem.shape;
  const double rounding = (n + m + q) * static_cast<double>(kEpsilon<T>) / 2;
  const auto at = [](const Datum& datum, std::size_t size, std::size_t i) {
    return static_cast<const double*>(datum.data) + (datum.batched ? i * size : 0);
  };
  const auto dot = [](int count, const double* a, int stride, const T* x, Residual& into, double sign) {
    double part = 0, absolute = 0, norm = 0;
    for (int k = 0; k < count; ++k) {
      part += a[k * stride] * static_cast<double>(x[k]);
      absolute += std::fabs(a[k * stride] * static_cast<double>(x[k]));
      norm = std::max(norm, std::fabs(a[k * stride]));
    }
    into.add(sign * part, absolute);
    return norm;
  };
  const auto check = [&](const Residual& r, double norm) {
    const double unit = norm > 0 && norm < 1 ? norm : 1;
    CHECK_CLOSE(r.value, 0, tolerance * (unit + kRelative * r.size) + rounding * r.terms);
  };
  for (std::size_t i = 0; i < batch; ++i) {
    const double *Q = at(problem.Q, n * n, i), *p = at(problem.p, n, i), *G = at(problem.G, m * n, i),
                 *h = at(problem.h, m, i), *A = at(problem.A, q * n, i), *b = at(problem.b, q, i);
    const T *z = run.z.data() + i * n, *lambda = run.lambda.data() + i * m, *nu = run.nu.data() + i * q,
            *slack = run.slack.data() + i * m;
    for (int j = 0; j < n; ++j) {
      Residual dual;
      dual.add(p[j], std::fabs(p[j]));
      dot(n, Q + j * n, 1, z, dual, 1);
      dot(m, G + j, n, lambda, dual, 1);
      dot(q, A + j, n, nu, dual, 1);
      check(dual, 1);
    }
    double gap = 0, size = 0;
    for (int k = 0; k < m; ++k) {
      Residual primal;
      primal.add(h[k], std::fabs(h[k]));
      primal.add(-static_cast<double>(slack[k]), static_cast<double>(slack[k]));
      const double largest = primal.size;  // of h and s, as the solver has it
      const double norm = dot(n, G + k * n, 1, z, primal, -1);
      primal.size = largest;
      check(primal, norm);
      CHECK(slack[k] >= 0 && lambda[k] >= 0);
      gap += static_cast<double>(slack[k]) * static_cast<double>(lambda[k]);
      size += std::fabs(h[k]) * static_cast<double>(lambda[k]);
    }
    if (m > 0) CHECK_CLOSE(gap / m, 0, tolerance * (1 + kRelative * size / m) + rounding * size / m);
    for (int k = 0; k < q; ++k) {
      Residual equality;
      equality.add(-b[k], std::fabs(b[k]));
      const double largest = equality.size;
      const double norm = dot(n, A + k * n, 1, z, equality, 1);
      equality.size = largest;
      check(equality, norm);
    }
  }
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
