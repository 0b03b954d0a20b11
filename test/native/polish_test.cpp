// Solutions and derivatives on the active set, against long double; and what happens where the set is not
// certain.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "check.h"
#include "engine/cpu_device.h"
#include "exact.h"
#include "generator.h"

using namespace optnet;
using namespace optnet::test;

namespace {

/// A batch solved and differentiated, each datum per problem.
struct Solved {
  ResultArrays out;
  std::vector<double> gz, glambda, gnu;  ///< upstream
  std::vector<double> dz, dlambda, dnu;  ///< the adjoint: dp, −dh, −db

  Solved(const Problem& problem, const Settings& settings) : out(problem.shape) {
    const auto [batch, n, m, q] = problem.shape;
    std::mt19937_64 random(17);
    std::normal_distribution<double> normal;
    const auto draw = [&](std::vector<double>& v, int width) {
      v.resize(batch * static_cast<std::size_t>(width));
      for (double& x : v) x = normal(random);
    };
    draw(gz, n);
    draw(glambda, m);
    draw(gnu, q);
    dz.resize(gz.size());
    dlambda.resize(glambda.size());
    dnu.resize(gnu.size());
    ThreadPool pool;
    CpuDevice device(pool);
    std::shared_ptr<Solution> solution;
    std::shared_ptr<Call> call;
    CHECK(!device.solve(problem, settings, out.results(), nullptr, solution, call));
    call->run();
    CHECK(!call->outcome());
    if (!settings.differentiable) return;
    const auto data = [](auto& v) { return v.empty() ? nullptr : v.data(); };
    Upstream upstream;
    upstream.dz = data(gz);
    upstream.dlambda = data(glambda);
    upstream.dnu = data(gnu);
    Gradients gradients;
    gradients.dp = data(dz);
    gradients.dh = data(dlambda);
    gradients.db = data(dnu);
    CHECK(!solution->backward(upstream, gradients, call));
    call->run();
    for (auto* v : {&dlambda, &dnu}) {
      for (double& x : *v) x = -x;
    }
  }
};

/// Largest difference, relative to the largest element or 1.
double error(const double* actual, const long double* exact, std::size_t count) {
  long double size = 1, worst = 0;
  for (std::size_t i = 0; i < count; ++i) size = std::fmax(size, std::fabs(exact[i]));
  for (std::size_t i = 0; i < count; ++i) {
    const long double d = std::fabs(actual[i] - exact[i]);
    if (!(d <= worst)) worst = d;
  }
  return static_cast<double>(worst / size);
}

void exact_on_the_papers_problems(int n, int m, int q, std::size_t batch, Precision precision, unsigned seed,
                                  double tolerance = 1e-8) {
  const GeneratedBatch generated(batch, n, m, q, seed);
  const Problem problem = generated.problem();
  Settings settings;
  settings.precision = precision;
  settings.tolerance = tolerance;
  const Solved solved(problem, settings);
  const auto N = static_cast<std::size_t>(n), M = static_cast<std::size_t>(m), K = static_cast<std::size_t>(q);
  std::vector<double> of_gradients;
  double worst_solution = 0, least_margin = 1e30;
  std::size_t on_path = 0, narrow = 0;
  for (std::size_t i = 0; i < batch; ++i) {
    std::vector<bool> active(M);
    for (std::size_t r = 0; r < M; ++r) active[r] = solved.out.lambda[i * M + r] > solved.out.slack[i * M + r];
    const ExactSolution exact(problem, i, active);
    CHECK(exact.proven);
    CHECK(solved.out.status[i] == 0);
    const double margin = static_cast<double>(exact.margin);
    least_margin = std::min(least_margin, margin);
    on_path += solved.out.derivative[i] != 0;
    if (!(margin > 1e-6)) {
      ++narrow;
      continue;
    }
    CHECK(solved.out.derivative[i] == 0);
    const double of_solution = std::max({error(&solved.out.z[i * N], exact.z.data(), N),
                                         error(&solved.out.lambda[i * M], exact.lambda.data(), M),
                                         error(&solved.out.nu[i * K], exact.nu.data(), K)});
    worst_solution = std::max(worst_solution, of_solution);
    CHECK_CLOSE(solved.out.margin[i], margin, 1e-10);
    const std::vector<long double> adjoint =
        exact.adjoint(&solved.gz[i * N], &solved.glambda[i * M], &solved.gnu[i * K]);
    of_gradients.push_back(std::max({error(&solved.dz[i * N], adjoint.data(), N),
                                     error(&solved.dlambda[i * M], adjoint.data() + N, M),
                                     error(&solved.dnu[i * K], adjoint.data() + N + M, K)}));
    CHECK(of_solution <= 1e-10);
    CHECK(of_gradients.back() <= 1e-9);
  }
  std::sort(of_gradients.begin(), of_gradients.end());
  const double median = of_gradients[of_gradients.size() / 2];
  CHECK(median <= 1e-12);
  if (std::getenv("OPTNET_TABLE")) {
    std::printf(
        "(%d,%d,%d) x %zu precision %d: solution %.1e, gradients median %.1e worst %.1e, least margin %.1e, narrow %zu, "
        "central path %zu\n",
        n, m, q, batch, static_cast<int>(precision), worst_solution, median, of_gradients.back(), least_margin,
        narrow, on_path);
  }
}

}  // namespace

int main() {
  const bool table = std::getenv("OPTNET_TABLE") != nullptr;
  for (const Precision precision : {Precision::kDouble, Precision::kMixed}) {
    exact_on_the_papers_problems(10, 10, 0, table ? 1024 : 256, precision, 1);
    exact_on_the_papers_problems(32, 64, 8, table ? 1024 : 64, precision, 2);
    exact_on_the_papers_problems(64, 64, 40, table ? 128 : 8, precision, 3);
    exact_on_the_papers_problems(100, 100, 0, table ? 128 : 8, precision, 4);
    exact_on_the_papers_problems(100, 50, 50, table ? 128 : 8, precision, 5);
    exact_on_the_papers_problems(500, 500, 0, table ? 8 : 1, precision, 6);
    exact_on_the_papers_problems(10, 60, 2, table ? 256 : 64, precision, 7);
  }
  return test::result();
}
