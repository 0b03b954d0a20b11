// A GPU against the CPU: the same problems, the same solutions and gradients, by every tier of kernels that
// takes them.
//   gpu_test [--short | --least] [--precision double|mixed|single]
// --short: little enough for a checker that is a hundred times slower; --least: for one that is slower still,
// each kernel of the three tiers once or twice.
// Without a GPU it says why, and is skipped.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.h"
#include "cuda/environment.h"
#include "engine/cpu_device.h"
#include "generator.h"

using namespace optnet;

namespace {

struct Case {
  int n, m, q;
  std::size_t batch;
};

/// How much is tested.
struct Extent {
  std::vector<Case> cases = {{10, 10, 0, 300}, {32, 64, 8, 100}, {64, 64, 40, 20}, {100, 100, 0, 20},
                             {8, 60, 2, 20},   {20, 0, 5, 20},   {250, 200, 10, 4}};
  /// An empty one leaves the choice to the planner.
  std::vector<const char*> tiers = {"", "block", "library"};
  std::string precision;  ///< empty: all
};

/// A solution and the gradients of Σz + Σλ + Σν, in double whatever the arithmetic.
struct Outcome {
  Failure failure;
  std::string backend;
  std::vector<std::uint8_t> status;
  std::vector<std::vector<double>> numbers;
};

template <class Scalar>
Outcome outcome(Device& device, const GeneratedBatch& batch, bool shared, const Settings& settings) {
  const Shape& s = batch.shape;
  const auto copy = [](const std::vector<double>& v) { return std::vector<Scalar>(v.begin(), v.end()); };
  const std::vector<Scalar> Q = copy(batch.Q), p = copy(batch.p), G = copy(batch.G), h = copy(batch.h),
                            A = copy(batch.A), b = copy(batch.b);
  const auto datum = [](const std::vector<Scalar>& v, bool batched) {
    return Datum{v.empty() ? nullptr : v.data(), batched};
  };
  const DType dtype = sizeof(Scalar) == 4 ? DType::kFloat32 : DType::kFloat64;
  const Problem problem{s,
                        dtype,
                        datum(Q, !shared),
                        datum(p, true),
                        datum(G, !shared),
                        datum(h, !shared),
                        datum(A, !shared),
                        datum(b, !shared)};
  const std::size_t N = std::size_t(s.n), M = std::size_t(s.m), K = std::size_t(s.q), B = s.batch;
  const std::size_t each = shared ? 1 : B;
  std::vector<Scalar> z(B * N), lambda(B * M), nu(B * K), slack(B * M), ones(B * (N + M + K), Scalar(1));
  std::vector<Scalar> dQ(each * N * N), dp(B * N), dG(each * M * N), dh(each * M), dA(each * K * N),
      db(each * K);
  std::vector<double> objective(B), primal(B), dual(B), gap(B);
  std::vector<std::int32_t> iterations(B);
  Outcome out;
  out.status.resize(B);
  const Results results{.z = z.data(),
                        .lambda = lambda.data(),
                        .nu = nu.data(),
                        .slack = slack.data(),
                        .objective = objective.data(),
                        .status = out.status.data(),
                        .iterations = iterations.data(),
                        .primal_residual = primal.data(),
                        .dual_residual = dual.data(),
                        .gap = gap.data()};
  std::shared_ptr<Solution> solution;
  std::shared_ptr<Call> call;
  out.failure = device.solve(problem, settings, results, nullptr, solution, call);
  if (out.failure) return out;
  call->run();
  if ((out.failure = call->outcome())) return out;
  out.backend = solution->backend();
  const auto at = [](std::vector<Scalar>& v) { return v.empty() ? nullptr : v.data(); };
  const Upstream upstream{ones.data(), M ? ones.data() : nullptr, K ? ones.data() : nullptr};
  out.failure = solution->backward(upstream, {at(dQ), at(dp), at(dG), at(dh), at(dA), at(db)}, call);
  if (out.failure) return out;
  call->run();
  out.failure = call->outcome();
  for (const auto* v : {&z, &lambda, &nu, &slack, &dQ, &dp, &dG, &dh, &dA, &db})
    out.numbers.emplace_back(v->begin(), v->end());
  return out;
}

double largest(const std::vector<double>& v) {
  double most = 0;
  for (const double x : v) most = std::isfinite(x) ? std::fmax(most, std::fabs(x)) : HUGE_VAL;
  return most;
}

/// max |a − b| over 1 + max |b|.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  std::vector<double> difference(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  return largest(difference) / (1 + largest(b));
}

/// Problems with a known solution, clearly active or clearly inactive in each row: where neither λᵢ nor sᵢ is
/// clearly the larger, derivatives are as sensitive as one likes. p = −(Qz + Gᵀλ + Aᵀν), h = Gz + s, b = Az.
GeneratedBatch clear_cut(const Case& c, bool shared) {
  GeneratedBatch batch(shared ? 1 : c.batch, c.n, c.m, c.q, 7);
  batch.shape.batch = c.batch;
  const auto n = std::size_t(c.n), m = std::size_t(c.m), q = std::size_t(c.q);
  const std::size_t active = std::min(m / 2, (n - q) / 2);
  for (std::size_t i = 0; i < batch.Q.size() / n; ++i) batch.Q[i * n + i % n] += c.n;
  std::mt19937_64 random(8);
  std::uniform_real_distribution<double> one(-1, 1), positive(1, 2);
  std::vector<double> z(n), slack(m, 0.0);
  batch.p.assign(c.batch * n, 0.0);
  for (std::size_t i = 0; i < c.batch; ++i) {
    const std::size_t k = shared ? 0 : i;
    const double *Q = &batch.Q[k * n * n], *G = batch.G.data() + k * m * n, *A = batch.A.data() + k * q * n;
    double* p = &batch.p[i * n];
    if (k == i) {
      for (double& x : z) x = one(random);
      for (std::size_t r = active; r < m; ++r) slack[r] = positive(random);
    }
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t l = 0; l < n; ++l) p[j] -= Q[j * n + l] * z[l];
    }
    const auto rows = [&](std::size_t count, const double* matrix, double* right, bool inequality) {
      for (std::size_t r = 0; r < count; ++r) {
        const double multiplier = inequality ? (r < active ? positive(random) : 0) : one(random);
        right[r] = inequality ? slack[r] : 0;
        for (std::size_t j = 0; j < n; ++j) {
          right[r] += matrix[r * n + j] * z[j];
          p[j] -= matrix[r * n + j] * multiplier;
        }
      }
    };
    rows(m, G, batch.h.data() + k * m, true);
    rows(q, A, batch.b.data() + k * q, false);
  }
  return batch;
}

template <class Scalar>
void agree(Device& gpu, Device& cpu, const Case& c, bool shared, Precision precision) {
  const GeneratedBatch batch = clear_cut(c, shared);
  Settings settings;
  const bool single = sizeof(Scalar) == 4;
  settings.tolerance = 1e-11;
  const Outcome expected = outcome<double>(cpu, batch, shared, settings);
  CHECK(!expected.failure);
  settings.precision = precision;
  settings.tolerance = single ? 1e-4 : 1e-10;
  const Outcome found = outcome<Scalar>(gpu, batch, shared, settings);
  if (found.failure) std::fprintf(stderr, "%s\n", found.failure.message.c_str());
  CHECK(!found.failure && found.numbers.size() == expected.numbers.size());
  if (found.failure || found.numbers.size() != expected.numbers.size()) return;
  CHECK(found.status == std::vector<std::uint8_t>(c.batch, 0));
  double solution = 0, gradients = 0;
  for (std::size_t k = 0; k < found.numbers.size(); ++k) {
    double& most = k < 4 ? solution : gradients;
    most = std::fmax(most, distance(found.numbers[k], expected.numbers[k]));
  }
  std::printf("(%d,%d,%d)x%zu %s %s by %s: solutions within %.1e, gradients within %.1e\n", c.n, c.m, c.q,
              c.batch, shared ? "shared" : "batched",
              single                           ? "single"
              : precision == Precision::kMixed ? "mixed"
                                               : "double",
              found.backend.c_str(), solution, gradients);
  CHECK(solution <= (single ? 5e-2 : 1e-6));
  CHECK(gradients <= (single ? 5e-2 : 1e-6));
}

bool parse(int argc, char** argv, Extent& extent) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--short") {
      extent.cases = {{5, 6, 0, 5}, {9, 12, 3, 3}, {40, 36, 4, 2}};
    } else if (argument == "--least") {
      extent.cases = {{5, 6, 0, 2}, {40, 36, 4, 1}};
      extent.tiers = {"", "library"};
    } else if (argument == "--precision" && i + 1 < argc) {
      extent.precision = argv[++i];
    } else {
      return false;
    }
  }
  const char* const known[] = {"", "double", "mixed", "single"};
  return std::find(std::begin(known), std::end(known), extent.precision) != std::end(known);
}

}  // namespace

int main(int argc, char** argv) {
  Extent extent;
  if (!parse(argc, argv, extent)) {
    std::fprintf(stderr, "gpu_test [--short | --least] [--precision double|mixed|single]\n");
    return 2;
  }
  const auto asked = [&](const char* precision) {
    return extent.precision.empty() || extent.precision == precision;
  };
  ThreadPool pool;
  std::shared_ptr<cuda::CudaDevice> gpu;
  if (const Failure failure = cuda::CudaDevice::create(0, pool, gpu)) {
    std::printf("skipped: %s\n", failure.message.c_str());
    return 77;
  }
  CpuDevice cpu(pool);
  for (const char* tier : extent.tiers) {
    setenv("OPTNET_CUDA_TIER", tier, 1);  // the planner reads it
    for (const Case& c : extent.cases) {
      for (const bool shared : {false, true}) {
        if (asked("double")) agree<double>(*gpu, cpu, c, shared, Precision::kDouble);
        if (asked("mixed")) agree<double>(*gpu, cpu, c, shared, Precision::kMixed);
        if (asked("single")) agree<float>(*gpu, cpu, c, shared, Precision::kSingle);
      }
    }
  }
  return test::result();
}
