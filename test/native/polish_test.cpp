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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void exact_on_the_papers_problems(int n, int m, int q, std::size_t batch, Precision precision, unsigned seed,
                                  double tolerance = 1e-8) {
  const GeneratedBatch generated(batch, n, m, q, seed);
  const Problem problem = generated.problem();
  Settings settings;
  settings.precision = precision;
  settings.tolerance = tolerance;
  const Solved solved(problem, settings);
  const auto N = static_cast<std::size_t>(n), M = static_cast<std::size_t>(m),
             K = static_cast<std::size_t>(q);
  std::vector<double> of_gradients, of_elimination;
  double worst_solution = 0, least_margin = 1e30;
  std::size_t on_path = 0, narrow = 0;
  for (std::size_t i = 0; i < batch; ++i) {
    std::vector<bool> active(M);
    for (std::size_t r = 0; r < M; ++r)
      active[r] = solved.out.lambda[i * M + r] > solved.out.slack[i * M + r];
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
    const auto of_adjoint = [&](const double* dz, const double* dlambda, const double* dnu) {
      return std::max({error(dz, adjoint.data(), N), error(dlambda, adjoint.data() + N, M),
                       error(dnu, adjoint.data() + N + M, K)});
    };
    of_gradients.push_back(of_adjoint(&solved.dz[i * N], &solved.dlambda[i * M], &solved.dnu[i * K]));
    const std::vector<double> eliminated =
        exact.eliminated_adjoint(&solved.gz[i * N], &solved.glambda[i * M], &solved.gnu[i * K]);
    of_elimination.push_back(of_adjoint(&eliminated[0], &eliminated[N], &eliminated[N + M]));
    CHECK(of_solution <= 1e-10);
    CHECK(of_gradients.back() <= 1e-9);
  }
  // What float64 loses of these problems without the solver, whatever their condition: each instruction set
  // orders its sums in another way, and so has other errors of that size (at most 0.8 of it in the middle).
  CHECK(median(of_gradients) <= 3 * median(of_elimination));
  // Where it loses much, the adjoint is refined (to a fortieth and less in the middle).
  std::vector<double> left;
  for (std::size_t i = 0; i < of_elimination.size(); ++i) {
    if (of_elimination[i] > 1e-11) left.push_back(of_gradients[i] / of_elimination[i]);
  }
  if (left.size() > 4) CHECK(median(left) <= 0.1);
  if (std::getenv("OPTNET_TABLE")) {
    std::printf(
        "(%d,%d,%d) x %zu precision %d: solution %.1e, gradients median %.1e worst %.1e, by elimination "
        "%.1e, "
        "left of it %.1e in %zu, least margin %.1e, narrow %zu, central path %zu\n",
        n, m, q, batch, static_cast<int>(precision), worst_solution, median(of_gradients),
        *std::max_element(of_gradients.begin(), of_gradients.end()), median(of_elimination),
        left.empty() ? 0 : median(left), left.size(), least_margin, narrow, on_path);
  }
}

void solutions_do_not_depend_on_being_differentiable() {
  for (const Shape& shape : {Shape{13, 12, 16, 3}, Shape{13, 8, 40, 2}, Shape{2, 160, 60, 4}}) {
    const GeneratedBatch generated(shape.batch, shape.n, shape.m, shape.q, 8);
    Settings settings;
    const Solved with(generated.problem(), settings);
    settings.differentiable = false;
    const Solved without(generated.problem(), settings);
    CHECK(with.out.z == without.out.z);
    CHECK(with.out.lambda == without.out.lambda);
    CHECK(with.out.nu == without.out.nu);
    CHECK(with.out.slack == without.out.slack);
    CHECK(with.out.primal == without.out.primal && with.out.dual == without.out.dual);
  }
}

void without_polish_they_are_the_central_paths() {
  for (const Shape& shape : {Shape{13, 12, 16, 3}, Shape{13, 8, 40, 2}}) {
    const GeneratedBatch generated(shape.batch, shape.n, shape.m, shape.q, 8);
    Settings settings;
    settings.polish = false;
    const Solved solved(generated.problem(), settings);
    for (const auto derivative : solved.out.derivative) CHECK(derivative == 1);
    for (const double lambda : solved.out.lambda) CHECK(lambda > 0);
    for (const double slack : solved.out.slack) CHECK(slack > 0);
  }
}

void without_rows_there_is_no_margin() {
  const GeneratedBatch generated(5, 6, 0, 2);
  const Solved solved(generated.problem(), {});
  for (const double margin : solved.out.margin) CHECK(margin == INFINITY);
  for (const auto derivative : solved.out.derivative) CHECK(derivative == 0);
}

/// Every problem gets a row that touches its solution without pushing: of its derivative, one point between
/// those with the row and without it.
void a_weakly_active_row_has_a_derivative_between_both() {
  for (const Shape& shape : {Shape{24, 10, 12, 3}, Shape{48, 12, 31, 1}}) {
    GeneratedBatch generated(shape.batch, shape.n, shape.m, shape.q, 9);
    const auto n = static_cast<std::size_t>(shape.n), m = static_cast<std::size_t>(shape.m),
               q = static_cast<std::size_t>(shape.q);
    const Solved before(generated.problem(), {});
    std::vector<std::size_t> weak(shape.batch);
    for (std::size_t i = 0; i < shape.batch; ++i) {
      const double* slack = &before.out.slack[i * m];
      weak[i] = static_cast<std::size_t>(std::max_element(slack, slack + m) - slack);
      std::vector<bool> active(m);
      for (std::size_t r = 0; r < m; ++r) active[r] = before.out.lambda[i * m + r] > 0;
      const ExactSolution exact(generated.problem(), i, active, 1);  // doubles could tell the two apart
      long double h = 0;
      for (std::size_t j = 0; j < n; ++j) h += generated.G[(i * m + weak[i]) * n + j] * exact.z[j];
      generated.h[i * m + weak[i]] = static_cast<double>(h);
    }
    const Problem problem = generated.problem();
    const Solved solved(problem, {});
    std::size_t seen = 0;
    for (std::size_t i = 0; i < shape.batch; ++i) {
      CHECK(solved.out.status[i] == 0);
      const double* lambda = &before.out.lambda[i * m];
      if (static_cast<std::size_t>(m - std::count(lambda, lambda + m, 0.0)) + q == n) continue;  // a vertex
      ++seen;
      CHECK(solved.out.derivative[i] == 1);
      CHECK(solved.out.margin[i] <= 1e-9);
      std::vector<long double> ends[2];
      for (const int side : {0, 1}) {
        std::vector<bool> active(m);
        for (std::size_t r = 0; r < m; ++r) active[r] = before.out.lambda[i * m + r] > 0;
        active[weak[i]] = side == 1;
        const ExactSolution exact(problem, i, active, 1);
        CHECK(error(&solved.out.z[i * n], exact.z.data(), n) <= 1e-10);
        ends[side] = exact.adjoint(&solved.gz[i * n], &solved.glambda[i * m], &solved.gnu[i * q]);
      }
      std::vector<double> actual;
      for (const auto& [v, size] :
           {std::pair{&solved.dz, n}, std::pair{&solved.dlambda, m}, std::pair{&solved.dnu, q}}) {
        actual.insert(actual.end(), v->begin() + static_cast<std::ptrdiff_t>(i * size),
                      v->begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
      }
      long double along = 0, length = 0;
      for (std::size_t k = 0; k < actual.size(); ++k) {
        const long double direction = ends[1][k] - ends[0][k];
        along += (actual[k] - ends[0][k]) * direction;
        length += direction * direction;
      }
      const long double part = std::fmin(1.0L, std::fmax(0.0L, along / length));
      std::vector<long double> between(actual.size());
      for (std::size_t k = 0; k < actual.size(); ++k)
        between[k] = (1 - part) * ends[0][k] + part * ends[1][k];
      CHECK(error(actual.data(), between.data(), actual.size()) <= 1e-8);
    }
    CHECK(seen > 10);
  }
}

/// An active row twice: λ is not unique, the solution is.
void rows_that_depend_on_each_other_are_left_to_the_central_path() {
  const int n = 8, m = 10;
  GeneratedBatch generated(16, n, m, 0, 10);
  const Solved before(generated.problem(), {});
  for (std::size_t i = 0; i < 16; ++i) {
    const double* lambda = &before.out.lambda[i * m];
    const auto active = static_cast<std::size_t>(std::max_element(lambda, lambda + m) - lambda),
               other = static_cast<std::size_t>(std::min_element(lambda, lambda + m) - lambda);
    std::copy_n(&generated.G[(i * m + active) * n], n, &generated.G[(i * m + other) * n]);
    generated.h[i * m + other] = generated.h[i * m + active];
  }
  Settings settings;
  settings.tolerance = 1e-11;
  const Solved solved(generated.problem(), settings);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(solved.out.status[i] == 0);
    for (int j = 0; j < n; ++j) CHECK_CLOSE(solved.out.z[i * n + j], before.out.z[i * n + j], 1e-6);
    for (int j = 0; j < n; ++j) CHECK(std::isfinite(solved.dz[i * n + j]));
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
  solutions_do_not_depend_on_being_differentiable();
  without_polish_they_are_the_central_paths();
  without_rows_there_is_no_margin();
  a_weakly_active_row_has_a_derivative_between_both();
  rows_that_depend_on_each_other_are_left_to_the_central_path();
  return test::result();
}
