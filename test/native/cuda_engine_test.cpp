// The engine of the GPU on an emulated one: what it computes is compared with the CPU's, and everything that
// can go wrong goes wrong once.
#include <algorithm>
#include <array>
#include <condition_variable>
#include <functional>
#include <limits>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "check.h"
#include "cuda/environment.h"
#include "emulation/machine.h"
#include "engine/cpu_device.h"

using namespace optnet;

namespace {

constexpr const char* kNames = "QpGhAb";

/// Runs a call as the binding does, and waits for it.
void start_and_wait(Call& call) {
  std::mutex mutex;
  std::condition_variable ended;
  bool over = false;
  call.start([&] {
    const std::lock_guard lock(mutex);
    over = true;
    ended.notify_one();
  });
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return over; });
}

void run(Call& call, bool async) { async ? start_and_wait(call) : call.run(); }

/// Numbers of either type.
struct Array {
  DType dtype = DType::kFloat64;
  std::vector<double> f64;
  std::vector<float> f32;

  Array() = default;
  Array(DType dtype, std::size_t count) : dtype(dtype) {
    if (dtype == DType::kFloat64) f64.resize(count);
    if (dtype == DType::kFloat32) f32.resize(count);
  }
  Array(DType dtype, const std::vector<double>& values) : Array(dtype, values.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) set(i, values[i]);
  }
  std::size_t size() const { return f64.size() + f32.size(); }
  std::size_t bytes() const { return f64.size() * sizeof(double) + f32.size() * sizeof(float); }
  double get(std::size_t i) const { return dtype == DType::kFloat64 ? f64[i] : f32[i]; }
  void set(std::size_t i, double x) {
    if (dtype == DType::kFloat64) f64[i] = x;
    if (dtype == DType::kFloat32) f32[i] = static_cast<float>(x);
  }
  void* data() {
    if (size() == 0) return nullptr;
    return dtype == DType::kFloat64 ? static_cast<void*>(f64.data()) : f32.data();
  }
  bool operator==(const Array&) const = default;
};

/// A batch of feasible problems, any of whose data may be shared.
struct Batch {
  Shape shape;
  DType dtype;
  std::array<bool, 6> batched;
  std::array<Array, 6> data;  // Q p G h A b

  Batch(const Shape& shape, DType dtype, std::array<bool, 6> batched, unsigned seed = 1)
      : shape(shape), dtype(dtype), batched(batched) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform(0.1, 1);
    const auto n = static_cast<std::size_t>(shape.n);
    const auto fill = [&](int k, std::size_t elements, auto draw) {
      std::vector<double> values((batched[k] ? shape.batch : 1) * elements);
      for (double& x : values) x = draw();
      data[k] = Array(dtype, values);
    };
    std::vector<double> Q;
    for (std::size_t i = 0; i < (batched[0] ? shape.batch : 1); ++i) {
      std::vector<double> L(n * n);
      for (double& x : L) x = normal(random);
      for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t c = 0; c < n; ++c) {
          double sum = r == c ? 1 : 0;
          for (std::size_t k = 0; k < n; ++k) sum += L[r * n + k] * L[c * n + k];
          Q.push_back(sum);
        }
      }
    }
    data[0] = Array(dtype, Q);
    fill(1, n, [&] { return 3 * normal(random); });
    fill(2, n * shape.m, [&] { return normal(random); });
    fill(3, shape.m, [&] { return uniform(random); });
    fill(4, n * shape.q, [&] { return normal(random); });
    fill(5, shape.q, [&] { return 0.0; });
    // b = A z₀ with a small z₀, where that can be; G z₀ stays below h + 1.
    if (!batched[5] && batched[4]) return;
    for (std::size_t i = 0; i < (batched[5] ? shape.batch : 1); ++i) {
      std::vector<double> z(n);
      for (double& x : z) x = 0.05 * normal(random);
      for (int k = 0; k < shape.q; ++k) {
        double sum = 0;
        for (std::size_t j = 0; j < n; ++j) {
          sum += data[4].get((batched[4] ? i : 0) * shape.q * n + k * n + j) * z[j];
        }
        data[5].set(i * shape.q + k, sum);
      }
    }
    for (std::size_t i = 0; i < data[3].size(); ++i) data[3].set(i, data[3].get(i) + 0.5);
  }

  Problem problem() {
    Problem problem{shape, dtype, {}, {}, {}, {}, {}, {}};
    Datum* const to[] = {&problem.Q, &problem.p, &problem.G, &problem.h, &problem.A, &problem.b};
    for (int k = 0; k < 6; ++k) {
      if (data[k].size() > 0) *to[k] = {data[k].data(), batched[k], false, nullptr};
    }
    return problem;
  }
};

struct Solved {
  Array z, lambda, nu, slack;
  std::vector<double> objective, primal, dual, gap;
  std::vector<std::uint8_t> status;
  std::vector<std::int32_t> iterations;

  Solved(const Shape& s, DType dtype)
      : z(dtype, s.batch * s.n),
        lambda(dtype, s.batch * s.m),
        nu(dtype, s.batch * s.q),
        slack(dtype, s.batch * s.m),
        objective(s.batch),
        primal(s.batch),
        dual(s.batch),
        gap(s.batch),
        status(s.batch, 99),
        iterations(s.batch) {}
  Results results() {
    return {z.data(),      lambda.data(),     nu.data(),     slack.data(), objective.data(),
            status.data(), iterations.data(), primal.data(), dual.data(),  gap.data(),
            false};
  }
  bool operator==(const Solved&) const = default;
};

struct Drawn {
  Array dz, dlambda, dnu;         // upstream
  std::array<Array, 6> gradients;  // of Q p G h A b

  Drawn(const Batch& batch, unsigned seed = 7) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    const Shape& s = batch.shape;
    const auto draw = [&](std::size_t count) {
      std::vector<double> values(count);
      for (double& x : values) x = normal(random);
      return Array(batch.dtype, values);
    };
    dz = draw(s.batch * s.n);
    dlambda = draw(s.batch * s.m);
    dnu = draw(s.batch * s.q);
    for (int k = 0; k < 6; ++k) gradients[k] = Array(batch.dtype, batch.data[k].size());
  }
  Upstream upstream() { return {dz.data(), dlambda.data(), dnu.data()}; }
  Gradients out() {
    return {gradients[0].data(), gradients[1].data(), gradients[2].data(),
            gradients[3].data(), gradients[4].data(), gradients[5].data(), false};
  }
  bool operator==(const Drawn&) const = default;
};

double distance(const Array& a, const Array& b) {
  double most = 0, size = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::fabs(a.get(i) - b.get(i)));
    size = std::max(size, std::fabs(b.get(i)));
    if (!(std::fabs(a.get(i) - b.get(i)) < 1e30)) return 1e30;
  }
  return most / size;
}

/// What the emulated machine holds must be the same at the end of a scope as at its beginning.
struct NothingLeaks {
  emulation::Inventory before = emulation::inventory();
  ~NothingLeaks() {
    const emulation::Inventory after = emulation::inventory();
    CHECK(after == before);
    if (after == before) return;
    std::fprintf(stderr, "  device %zu (%zu bytes), pinned %zu, streams %zu, events %zu, pools %zu\n",
                 after.device_allocations, after.device_bytes, after.pinned_allocations, after.streams,
                 after.events, after.pools);
  }
};

std::shared_ptr<cuda::CudaDevice> open(ThreadPool& pool, int ordinal = 0) {
  std::shared_ptr<cuda::CudaDevice> device;
  const Failure failure = cuda::CudaDevice::create(ordinal, pool, device);
  if (failure) std::fprintf(stderr, "%s\n", failure.message.c_str());
  CHECK(!failure);
  return device;
}

Settings tight(Precision precision = Precision::kDouble) {
  Settings settings;
  settings.tolerance = precision == Precision::kSingle ? 1e-4 : 1e-9;
  settings.precision = precision;
  return settings;
}

Failure solve(Device& device, const Problem& problem, const Settings& settings, const Results& results,
              bool async, std::shared_ptr<Solution>& solution, std::shared_ptr<Control> control = nullptr) {
  std::shared_ptr<Call> call;
  if (Failure failure = device.solve(problem, settings, results, std::move(control), solution, call))
    return failure;
  run(*call, async);
  return call->outcome();
}

Failure backward(Solution& solution, const Upstream& upstream, const Gradients& gradients, bool async) {
  std::shared_ptr<Call> call;
  if (Failure failure = solution.backward(upstream, gradients, call)) return failure;
  run(*call, async);
  return call->outcome();
}

constexpr std::array<bool, 6> kOwn = {true, true, true, true, true, true};
constexpr std::array<bool, 6> kShared = {false, true, false, false, false, false};

/// Solves and differentiates on both devices.
void compare_with_cpu(const Shape& shape, DType dtype, std::array<bool, 6> batched, Precision precision,
                      bool async) {
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  CpuDevice cpu(pool);
  const auto gpu = open(pool);
  Batch batch(shape, dtype, batched);
  Solved expected(shape, dtype), solved(shape, dtype);
  std::shared_ptr<Solution> on_cpu, on_gpu;
  CHECK(!solve(cpu, batch.problem(), tight(), expected.results(), false, on_cpu));
  const Failure failure =
      solve(*gpu, batch.problem(), tight(precision), solved.results(), async, on_gpu);
  CHECK(!failure);
  if (failure) return;
  CHECK(solved.status == expected.status);
  const double allowed = precision == Precision::kSingle ? 1e-2 : dtype == DType::kFloat32 ? 1e-4 : 1e-6;
  CHECK(distance(solved.z, expected.z) < allowed);
  CHECK(distance(solved.lambda, expected.lambda) < allowed);
  CHECK(distance(solved.nu, expected.nu) < allowed);
  CHECK(distance(solved.slack, expected.slack) < allowed);
  for (std::size_t i = 0; i < shape.batch; ++i) {
    CHECK_CLOSE(solved.objective[i], expected.objective[i], allowed * (1 + std::fabs(expected.objective[i])));
    CHECK(solved.iterations[i] > 0 || (shape.m == 0 && solved.iterations[i] == 0));
    CHECK(solved.primal[i] < allowed && solved.dual[i] < allowed * 10 && solved.gap[i] < allowed);
  }
  Drawn reference(batch), drawn(batch);
  CHECK(!backward(*on_cpu, reference.upstream(), reference.out(), false));
  CHECK(!backward(*on_gpu, drawn.upstream(), drawn.out(), async));
  for (int k = 0; k < 6; ++k) {
    const double error = distance(drawn.gradients[k], reference.gradients[k]);
    CHECK(error < (precision == Precision::kSingle ? 0.1 : 10 * allowed));
    if (!(error < 10 * allowed) && precision != Precision::kSingle)
      std::fprintf(stderr, "  d%c differs by %g\n", kNames[k], error);
  }
}

void results_and_gradients_are_the_cpus() {
  const Shape shape{5, 4, 5, 2};
  for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
    for (const Precision precision : {Precision::kDouble, Precision::kMixed, Precision::kSingle}) {
      compare_with_cpu(shape, dtype, kOwn, precision, true);
      compare_with_cpu(shape, dtype, kShared, precision, false);
    }
  }
  for (unsigned set = 0; set < 64; set += 3) {
    std::array<bool, 6> batched;
    for (int k = 0; k < 6; ++k) batched[k] = (set >> k & 1) != 0;
    compare_with_cpu(shape, set & 1 ? DType::kFloat64 : DType::kFloat32, batched, Precision::kDouble, false);
  }
  compare_with_cpu({3, 4, 0, 0}, DType::kFloat64, kOwn, Precision::kDouble, true);
  compare_with_cpu({3, 4, 0, 2}, DType::kFloat64, kShared, Precision::kDouble, true);
  compare_with_cpu({3, 3, 12, 0}, DType::kFloat64, kOwn, Precision::kDouble, true);      // condensed
  compare_with_cpu({3, 3, 12, 1}, DType::kFloat32, kOwn, Precision::kDouble, true);
  compare_with_cpu({3, 3, 12, 1}, DType::kFloat32, kShared, Precision::kDouble, false);
  compare_with_cpu({3, 3, 12, 1}, DType::kFloat32, kShared, Precision::kSingle, false);
  compare_with_cpu({200, 2, 3, 1}, DType::kFloat64, kShared, Precision::kDouble, true);  // sums in splits
}

}  // namespace

int main() {
  results_and_gradients_are_the_cpus();
  return test::result();
}
