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
#include "engine/fallback.h"

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
    Problem problem;
    problem.shape = shape;
    problem.dtype = dtype;
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
    return {.z = z.data(),
            .lambda = lambda.data(),
            .nu = nu.data(),
            .slack = slack.data(),
            .objective = objective.data(),
            .status = status.data(),
            .iterations = iterations.data(),
            .primal_residual = primal.data(),
            .dual_residual = dual.data(),
            .gap = gap.data()};
  }
  bool operator==(const Solved&) const = default;
};

struct Drawn {
  Array dz, dlambda, dnu;          // upstream
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
    return {.dQ = gradients[0].data(),
            .dp = gradients[1].data(),
            .dG = gradients[2].data(),
            .dh = gradients[3].data(),
            .dA = gradients[4].data(),
            .db = gradients[5].data()};
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
  CHECK(!solve(cpu, batch.problem(), tight(precision), expected.results(), false, on_cpu));
  const Failure failure = solve(*gpu, batch.problem(), tight(precision), solved.results(), async, on_gpu);
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
    CHECK(error < 10 * allowed);
    if (!(error < 10 * allowed)) std::fprintf(stderr, "  d%c differs by %g\n", kNames[k], error);
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
  compare_with_cpu({3, 3, 12, 0}, DType::kFloat64, kOwn, Precision::kDouble, true);  // condensed
  compare_with_cpu({3, 3, 12, 1}, DType::kFloat32, kOwn, Precision::kDouble, true);
  compare_with_cpu({3, 3, 12, 1}, DType::kFloat32, kShared, Precision::kDouble, false);
  compare_with_cpu({3, 3, 12, 1}, DType::kFloat32, kShared, Precision::kSingle, false);
  compare_with_cpu({200, 2, 3, 1}, DType::kFloat64, kShared, Precision::kDouble, true);  // sums in splits
}

void arrays_larger_than_a_staging_slot_are_copied_whole() {
  compare_with_cpu({3000, 10, 0, 0}, DType::kFloat64, kOwn, Precision::kDouble, true);
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  const auto gpu = open(pool);
  std::vector<double> numbers(1300000), back(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  for (const bool async : {false, true}) {
    std::shared_ptr<cuda::DeviceArray> array;
    CHECK(!gpu->allocate(numbers.size() * sizeof(double), array));
    CHECK(array->ordinal() == 0 && array->bytes() == numbers.size() * sizeof(double));
    std::shared_ptr<Call> upload, download;
    CHECK(!gpu->upload(numbers.data(), array, upload));
    run(*upload, async);
    CHECK(!gpu->download(array->data(), array->bytes(), back.data(), download));
    run(*download, async);
    CHECK(!upload->outcome() && !download->outcome());
    CHECK(back == numbers);
    std::fill(back.begin(), back.end(), 0);
  }
}

/// The machine for one test; afterwards it is as before.
struct MachineWith {
  explicit MachineWith(const std::function<void(emulation::Machine&)>& change) {
    emulation::Machine changed = before;
    change(changed);
    emulation::configure(changed);
  }
  ~MachineWith() {
    emulation::reset();
    emulation::configure(before);
  }
  emulation::Machine before = emulation::machine();
};

void a_batch_too_large_for_the_memory_is_solved_in_chunks() {
  const Shape shape{60, 4, 5, 1};
  for (const auto& batched : {kOwn, kShared}) {
    for (const Precision precision : {Precision::kDouble, Precision::kSingle}) {
      Batch batch(shape, DType::kFloat64, batched);
      Drawn whole(batch), pieces(batch);
      Solved at_once(shape, batch.dtype), in_chunks(shape, batch.dtype);
      std::vector<std::size_t> progress;
      const auto control = std::make_shared<Control>();
      control->progress = [&](std::size_t solved) { progress.push_back(solved); };
      const auto work = [&](Solved& solved, Drawn& drawn, bool async) {
        const NothingLeaks nothing_leaks;
        ThreadPool pool;
        const auto gpu = open(pool);
        std::shared_ptr<Solution> solution;
        progress.clear();
        Failure failure =
            solve(*gpu, batch.problem(), tight(precision), solved.results(), async, solution, control);
        if (!failure) failure = backward(*solution, drawn.upstream(), drawn.out(), async);
        return failure;
      };
      CHECK(!work(at_once, whole, true));
      CHECK(progress == std::vector<std::size_t>{60});
      std::size_t most_chunks = 0;
      for (std::size_t memory = 100 << 10;; memory -= 2 << 10) {
        const MachineWith little([&](emulation::Machine& m) { m.memory = memory; });
        const Failure failure = work(in_chunks, pieces, memory / 2048 % 2);
        if (failure) {
          CHECK(failure.code == Failure::Code::kMemory && failure.bytes > 0);
          break;
        }
        CHECK(progress.back() == 60 && std::is_sorted(progress.begin(), progress.end()));
        most_chunks = std::max(most_chunks, progress.size());
        CHECK(in_chunks == at_once);
        CHECK(pieces == whole);
      }
      CHECK(most_chunks > 1);
    }
  }
}

void no_room_for_one_problem_is_an_error_with_its_bytes() {
  const MachineWith little([](emulation::Machine& m) { m.memory = 64 << 10; });
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  const auto gpu = open(pool);
  const Shape shape{200, 6, 6, 0};
  Batch batch(shape, DType::kFloat64, kOwn);
  Solved solved(shape, batch.dtype);
  std::shared_ptr<Solution> solution;
  const Failure failure = solve(*gpu, batch.problem(), tight(), solved.results(), true, solution);
  CHECK(failure.code == Failure::Code::kMemory);
  CHECK(failure.bytes > (64u << 10));
  CHECK(failure.message == "the memory of cuda:0");
  Settings settings = tight();
  settings.differentiable = false;  // then it is solved in chunks
  CHECK(!solve(*gpu, batch.problem(), settings, solved.results(), true, solution));
  CHECK(solution->bytes() == 0);
  Batch large({1, 60, 60, 0}, DType::kFloat64, kOwn);
  CHECK(solve(*gpu, large.problem(), settings, solved.results(), true, solution).code ==
        Failure::Code::kMemory);
}

void bad_data_are_named_by_the_first_place() {
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  const auto gpu = open(pool);
  const Shape shape{6, 3, 4, 2};
  const std::size_t elements[] = {9, 3, 12, 4, 6, 2}, columns[] = {3, 3, 3, 4, 3, 2};
  constexpr int kOrder[] = {1, 0, 3, 2, 5, 4};  // p Q h G b A
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    std::array<bool, 6> batched;
    for (bool& b : batched) b = random() % 2;
    const DType dtype = random() % 2 ? DType::kFloat64 : DType::kFloat32;
    Batch batch(shape, dtype, batched);
    struct Place {
      bool own;
      std::size_t problem;
      int rank;
      bool later;  ///< symmetry of Q, a row without a bound in h
      std::size_t element;
      auto operator<=>(const Place&) const = default;
    };
    std::vector<Place> places;
    for (int k = 0; k < 3; ++k) {
      const int rank = static_cast<int>(random() % 6), argument = kOrder[rank];
      const std::size_t problem = batched[argument] ? random() % shape.batch : 0;
      std::size_t element = random() % elements[argument];
      const double bad[] = {NAN, INFINITY, -INFINITY};
      const bool symmetry = argument == 0 && random() % 2;
      if (symmetry) element = 3;  // [1, 0]
      const std::size_t at = problem * elements[argument] + element;
      if (symmetry && std::isfinite(batch.data[0].get(at)))
        batch.data[0].set(at, batch.data[0].get(at) + 0.1);
      if (symmetry && !std::isfinite(batch.data[0].get(at))) continue;
      const double value = bad[random() % 3];
      if (!symmetry) batch.data[argument].set(at, value);
      const bool later = symmetry || (argument == 3 && value == INFINITY);
      std::erase_if(places, [&](const Place& place) {  // what was there is written over
        return !symmetry && place.rank == rank && place.problem == problem && place.element == element;
      });
      places.push_back({batched[argument], problem, rank, later, element});
    }
    std::sort(places.begin(), places.end());
    Solved solved(shape, dtype);
    std::shared_ptr<Solution> solution;
    const Failure failure = solve(*gpu, batch.problem(), tight(), solved.results(), round % 2, solution);
    const Place& first = places.front();
    const int argument = kOrder[first.rank];
    // A symmetry error whose mirror image is not finite is found as what it is.
    const bool same = failure.argument == kNames[argument] && failure.index == first.problem;
    CHECK(same);
    CHECK(failure.code == (!first.later    ? Failure::Code::kNotFinite
                           : argument == 0 ? Failure::Code::kNotSymmetric
                                           : Failure::Code::kUnserved));
    if (argument == 0 || argument == 2 || argument == 4) {
      CHECK(failure.row == static_cast<int>(first.element / columns[argument]));
    }
    CHECK(failure.column == static_cast<int>(first.element % columns[argument]));
  }
}

void numbers_too_large_for_the_solver_are_not_finite() {
  ThreadPool pool;
  const auto gpu = open(pool);
  const Shape shape{2, 3, 0, 0};
  Batch batch(shape, DType::kFloat64, kOwn);
  batch.data[1].set(4, 1e300);
  Solved solved(shape, batch.dtype);
  std::shared_ptr<Solution> solution;
  const Failure failure =
      solve(*gpu, batch.problem(), tight(Precision::kSingle), solved.results(), false, solution);
  CHECK(failure.code == Failure::Code::kNotFinite && failure.argument == 'p' && failure.index == 1 &&
        failure.column == 1);
}

void the_first_problem_that_is_not_convex_is_named() {
  const NothingLeaks nothing_leaks;
  const Shape shape{40, 4, 5, 0};
  for (const bool little_memory : {false, true}) {
    const MachineWith machine([&](emulation::Machine& m) {
      if (little_memory) m.memory = 48 << 10;
    });
    ThreadPool pool;
    const auto gpu = open(pool);
    Batch batch(shape, DType::kFloat64, kOwn);
    for (const std::size_t problem : {37u, 11u, 23u}) batch.data[0].set(problem * 16, -1);
    Solved solved(shape, batch.dtype);
    std::shared_ptr<Solution> solution;
    for (const bool async : {false, true}) {
      const Failure failure = solve(*gpu, batch.problem(), tight(), solved.results(), async, solution);
      CHECK(failure.code == Failure::Code::kNotConvex && failure.argument == 'Q' && failure.index == 11);
    }
    Batch shared(shape, DType::kFloat64, kShared);
    shared.data[0].set(0, -1);
    const Failure failure = solve(*gpu, shared.problem(), tight(), solved.results(), true, solution);
    CHECK(failure.code == Failure::Code::kNotConvex && failure.index == 0);
    Drawn drawn(shared);
    CHECK(backward(*solution, drawn.upstream(), drawn.out(), false).code == Failure::Code::kDevice);
  }
}

void a_call_can_be_cancelled_between_chunks() {
  const MachineWith little([](emulation::Machine& m) { m.memory = 84 << 10; });
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  const auto gpu = open(pool);
  const Shape shape{60, 4, 5, 1};
  Batch batch(shape, DType::kFloat64, kOwn);
  Solved solved(shape, batch.dtype);
  for (const bool async : {false, true}) {
    std::shared_ptr<Solution> solution;
    const auto control = std::make_shared<Control>();
    std::size_t seen = 0;
    control->progress = [&](std::size_t done) {
      seen = done;
      control->cancelled = true;
    };
    CHECK(solve(*gpu, batch.problem(), tight(), solved.results(), async, solution, control).code ==
          Failure::Code::kCancelled);
    CHECK(seen > 0 && seen < 60);
    CHECK(solution->bytes() == 0);
    seen = 0;
    CHECK(solve(*gpu, batch.problem(), tight(), solved.results(), async, solution, control).code ==
          Failure::Code::kCancelled);
    CHECK(seen == 0);
  }
}

void arrays_may_lie_on_the_gpu() {
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  const auto gpu = open(pool);
  for (const Shape shape : {Shape{5, 4, 5, 2}, Shape{3, 3, 12, 1}}) {
    for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
      for (const Precision precision : {Precision::kDouble, Precision::kSingle}) {
        for (unsigned where = 0; where < 64; where += 21) {
          Batch batch(shape, dtype, where % 2 ? kOwn : kShared);
          Solved expected(shape, dtype), solved(shape, dtype);
          Drawn reference(batch), drawn(batch);
          std::shared_ptr<Solution> solution;
          CHECK(!solve(*gpu, batch.problem(), tight(precision), expected.results(), false, solution));
          CHECK(!backward(*solution, reference.upstream(), reference.out(), false));

          std::vector<std::shared_ptr<cuda::DeviceArray>> arrays;
          const auto put = [&](Array& array, bool copy) -> void* {
            if (array.size() == 0) return nullptr;
            std::shared_ptr<cuda::DeviceArray> made;
            CHECK(!gpu->allocate(array.bytes(), made));
            std::shared_ptr<Call> upload;
            if (copy) {
              CHECK(!gpu->upload(array.data(), made, upload));
              run(*upload, arrays.size() % 2);
              CHECK(!upload->outcome());
            }
            arrays.push_back(made);
            return made->data();
          };
          const auto fetch = [&](const void* from, Array& to) {
            if (to.size() == 0) return;
            std::shared_ptr<Call> download;
            CHECK(!gpu->check_pointer(from, to.bytes()));
            CHECK(!gpu->download(from, to.bytes(), to.data(), download));
            run(*download, arrays.size() % 2);
            CHECK(!download->outcome());
          };
          Problem problem = batch.problem();
          Datum* const data[] = {&problem.Q, &problem.p, &problem.G, &problem.h, &problem.A, &problem.b};
          for (int k = 0; k < 6; ++k) {
            if (!(where >> k & 1) || !data[k]->data) continue;
            data[k]->data = put(batch.data[k], true);
            data[k]->on_device = true;
            if (k % 2) data[k]->owner = arrays.back();
          }
          Results results = solved.results();
          results.on_device = true;
          results.z = put(solved.z, false);
          results.lambda = put(solved.lambda, false);
          results.nu = put(solved.nu, false);
          results.slack = put(solved.slack, false);
          CHECK(!solve(*gpu, problem, tight(precision), results, where % 2, solution));
          fetch(results.z, solved.z);
          fetch(results.lambda, solved.lambda);
          fetch(results.nu, solved.nu);
          fetch(results.slack, solved.slack);
          CHECK(solved == expected);

          Upstream upstream = drawn.upstream();
          upstream.dz = put(drawn.dz, true);
          upstream.dnu = put(drawn.dnu, true);
          upstream.dz_on_device = upstream.dnu_on_device = true;
          void* out[6];
          for (int k = 0; k < 6; ++k) out[k] = put(drawn.gradients[k], false);
          const Gradients gradients{.dQ = out[0],
                                    .dp = out[1],
                                    .dG = out[2],
                                    .dh = out[3],
                                    .dA = out[4],
                                    .db = out[5],
                                    .on_device = true};
          CHECK(!backward(*solution, upstream, gradients, where % 2));
          for (int k = 0; k < 6; ++k) fetch(out[k], drawn.gradients[k]);
          CHECK(drawn == reference);

          Settings only = tight(precision);
          only.differentiable = false;
          CHECK(!solve(*gpu, problem, only, results, where % 2, solution));
          fetch(results.z, solved.z);
          fetch(results.slack, solved.slack);
          CHECK(solved.z == expected.z && solved.slack == expected.slack);
        }
      }
    }
  }
  double host = 0;
  CHECK(gpu->check_pointer(&host, sizeof host).code == Failure::Code::kDevice);
}

void nothing_is_drawn_that_nobody_asked_for() {
  ThreadPool pool;
  const auto gpu = open(pool);
  const Shape shape{4, 3, 3, 1};
  Batch batch(shape, DType::kFloat64, kOwn);
  Solved solved(shape, batch.dtype);
  std::shared_ptr<Solution> solution;
  CHECK(!solve(*gpu, batch.problem(), tight(), solved.results(), false, solution));
  Drawn all(batch), some(batch);
  CHECK(!backward(*solution, all.upstream(), all.out(), false));
  for (int k = 0; k < 6; ++k) {
    Gradients wanted;
    void** const to[] = {&wanted.dQ, &wanted.dp, &wanted.dG, &wanted.dh, &wanted.dA, &wanted.db};
    *to[k] = some.gradients[k].data();
    const std::size_t before = emulation::launches();
    CHECK(!backward(*solution, some.upstream(), wanted, false));
    CHECK(emulation::launches() - before == 3);  // upstream, adjoint, gradient
    CHECK(some.gradients[k] == all.gradients[k]);
  }
  const std::size_t before = emulation::launches();
  CHECK(!backward(*solution, all.upstream(), {}, false));
  CHECK(emulation::launches() - before == 1);

  const double infinite = INFINITY;
  for (const auto& [array, name] : {std::pair(&some.dz, 'z'), {&some.dlambda, 'l'}, {&some.dnu, 'n'}}) {
    const std::size_t row = array->size() / shape.batch;
    const double before = array->get(2 * row);
    array->set(2 * row, infinite);
    const Failure failure = backward(*solution, some.upstream(), some.out(), true);
    CHECK(failure.code == Failure::Code::kNotFinite && failure.argument == name && failure.index == 2);
    array->set(2 * row, before);
  }
}

/// What is in host memory goes to the GPU in one piece for each place that it has there: the solution's, the
/// call's.
void little_data_are_sent_at_once() {
  ThreadPool pool;
  const auto gpu = open(pool);
  CpuDevice cpu(pool);
  FallbackDevice with_fallback(gpu, cpu, pool);
  const Shape shape{4, 3, 3, 1};
  Batch batch(shape, DType::kFloat64, kOwn);
  Solved solved(shape, batch.dtype);
  for (const bool fallback : {false, true}) {
    Device& device = fallback ? static_cast<Device&>(with_fallback) : *gpu;
    Settings settings = tight();
    settings.fallback = fallback;
    std::shared_ptr<Solution> solution;
    const std::size_t before = emulation::uploads();
    CHECK(!solve(device, batch.problem(), settings, solved.results(), false, solution));
    CHECK(emulation::uploads() - before == 2);
  }
}

void calls_overlap() {
  const NothingLeaks nothing_leaks;
  ThreadPool pool;
  const auto gpu = open(pool);
  const Shape shape{8, 4, 5, 1};
  Batch batch(shape, DType::kFloat64, kShared);
  Solved expected(shape, batch.dtype);
  std::shared_ptr<Solution> solution;
  CHECK(!solve(*gpu, batch.problem(), tight(), expected.results(), false, solution));
  Drawn reference(batch);
  CHECK(!backward(*solution, reference.upstream(), reference.out(), false));

  constexpr int kCalls = 24;
  std::vector<Drawn> drawn(kCalls, Drawn(batch));
  std::vector<Solved> solved(kCalls, Solved(shape, batch.dtype));
  std::vector<std::shared_ptr<Solution>> solutions(kCalls);
  std::vector<std::shared_ptr<Call>> calls(2 * kCalls);
  std::atomic<int> finished{0};
  emulation::hold_callbacks(true);
  for (int k = 0; k < kCalls; ++k) {
    CHECK(!solution->backward(drawn[k].upstream(), drawn[k].out(), calls[2 * k]));
    CHECK(
        !gpu->solve(batch.problem(), tight(), solved[k].results(), nullptr, solutions[k], calls[2 * k + 1]));
  }
  // The host's arrays are not needed any more.
  for (Array& array : batch.data) {
    for (std::size_t i = 0; i < array.size(); ++i) array.set(i, NAN);
  }
  for (const auto& call : calls) call->start([&] { ++finished; });
  solution = nullptr;  // those who work on it hold it
  CHECK(finished == 0);
  emulation::hold_callbacks(false);
  while (finished < 2 * kCalls) std::this_thread::yield();
  for (const auto& call : calls) CHECK(!call->outcome());
  for (const Solved& s : solved) CHECK(s == expected);
  for (const Drawn& d : drawn) CHECK(d == reference);
}

/// One solve and one backward; the first failure.
Failure work_once(cuda::CudaDevice& gpu, Batch& batch, bool async) {
  Solved solved(batch.shape, batch.dtype);
  Drawn drawn(batch);
  std::shared_ptr<Solution> solution;
  if (Failure failure = solve(gpu, batch.problem(), tight(), solved.results(), async, solution))
    return failure;
  return backward(*solution, drawn.upstream(), drawn.out(), async);
}

void memory_may_run_out_anywhere() {
  const NothingLeaks nothing_leaks;
  Batch batch({3, 3, 3, 1}, DType::kFloat32, kOwn);
  for (const bool async : {false, true}) {
    int failed = 0;
    for (int n = 1; n < 100; ++n) {
      ThreadPool pool;
      emulation::fail_allocation(n);
      std::shared_ptr<cuda::CudaDevice> gpu;
      Failure failure = cuda::CudaDevice::create(0, pool, gpu);
      if (!failure) failure = work_once(*gpu, batch, async);
      emulation::fail_allocation(0);
      if (failure) {
        ++failed;
        CHECK(failure.code == Failure::Code::kMemory);
      }
      if (gpu) CHECK(!work_once(*gpu, batch, async));
    }
    CHECK(failed < 90);
  }
}

void a_lost_device_is_an_error_of_every_call_that_needs_it() {
  Batch batch({3, 3, 3, 1}, DType::kFloat32, kShared);
  for (const bool async : {false, true}) {
    for (int n = 1; n < 40; ++n) {
      {
        ThreadPool pool;
        const auto gpu = open(pool);
        emulation::lose_device_at_launch(n);
        Failure failure = work_once(*gpu, batch, async);
        if (!failure) {  // there were fewer launches
          emulation::lose_device();
          failure = work_once(*gpu, batch, async);
        }
        CHECK(failure.code == Failure::Code::kDevice);
        CHECK(failure.message.find("only a new process") != std::string::npos);
        CHECK(work_once(*gpu, batch, async).code == Failure::Code::kDevice);
        std::shared_ptr<cuda::DeviceArray> array;
        CHECK(gpu->allocate(8, array).code == Failure::Code::kDevice);
      }
      emulation::reset();
    }
    ThreadPool pool;
    CHECK(!work_once(*open(pool), batch, async));
  }
}

void memory_is_used_again() {
  ThreadPool pool;
  const auto gpu = open(pool);
  Batch batch({10, 4, 5, 1}, DType::kFloat64, kOwn);
  CHECK(!work_once(*gpu, batch, true));
  const std::size_t held = gpu->bytes_held();
  const emulation::Inventory before = emulation::inventory();
  CHECK(held > 0);
  for (int k = 0; k < 10; ++k) CHECK(!work_once(*gpu, batch, k % 2));
  CHECK(gpu->bytes_held() == held);
  CHECK(emulation::inventory() == before);
}

void devices_say_why_they_cannot_be_used() {
  using cuda::Obstacle;
  const auto reason_with = [](Obstacle obstacle, const std::function<void(emulation::Machine&)>& change) {
    const MachineWith machine(change);
    const std::vector<cuda::DeviceInfo> devices = cuda::devices();
    CHECK(devices.size() == 1);
    ThreadPool pool;
    std::shared_ptr<cuda::CudaDevice> device;
    const Failure failure = cuda::CudaDevice::create(0, pool, device);
    CHECK(devices[0].usable == !failure);
    CHECK(devices[0].obstacle == obstacle);
    if (failure) CHECK(failure.message == devices[0].reason);
    return devices[0].reason;
  };
  CHECK(reason_with(Obstacle::kNone, [](emulation::Machine&) {}).empty());
  CHECK(reason_with(Obstacle::kNoDriver, [](emulation::Machine& m) { m.driver = 0; }) ==
        "no NVIDIA driver was found");
  CHECK(reason_with(Obstacle::kDriverTooOld, [](emulation::Machine& m) { m.driver = 12020; }) ==
        "the NVIDIA driver supports CUDA 12.2, this build needs " + std::to_string(CUDART_VERSION / 1000) +
            "." + std::to_string(CUDART_VERSION % 1000 / 10) + ": update it");
  CHECK(reason_with(Obstacle::kNoGpu, [](emulation::Machine& m) { m.devices = 0; }) ==
        "the NVIDIA driver finds no GPU that it may use");
  CHECK(reason_with(Obstacle::kTooOld, [](emulation::Machine& m) { m.compute_capability = 61; }) ==
        "the GPU is too old: it has compute capability 6.1, and 7.5 is the oldest that works");
  const MachineWith two([](emulation::Machine& m) { m.devices = 2; });
  const std::vector<cuda::DeviceInfo> devices = cuda::devices();
  CHECK(devices.size() == 2 && devices[1].usable && devices[1].ordinal == 1);
  CHECK(devices[1].name == "Emulated GPU" && devices[1].compute_capability == "9.0");
  CHECK(devices[1].total_memory > 0);
  ThreadPool pool;
  std::shared_ptr<cuda::CudaDevice> device;
  CHECK(cuda::CudaDevice::create(2, pool, device).message == "there is no cuda:2: the last GPU is cuda:1");
  Batch batch({3, 3, 3, 1}, DType::kFloat64, kOwn);
  CHECK(!work_once(*open(pool, 1), batch, true));
}

}  // namespace

int main() {
  results_and_gradients_are_the_cpus();
  arrays_larger_than_a_staging_slot_are_copied_whole();
  a_batch_too_large_for_the_memory_is_solved_in_chunks();
  no_room_for_one_problem_is_an_error_with_its_bytes();
  bad_data_are_named_by_the_first_place();
  numbers_too_large_for_the_solver_are_not_finite();
  the_first_problem_that_is_not_convex_is_named();
  a_call_can_be_cancelled_between_chunks();
  arrays_may_lie_on_the_gpu();
  nothing_is_drawn_that_nobody_asked_for();
  little_data_are_sent_at_once();
  calls_overlap();
  memory_may_run_out_anywhere();
  a_lost_device_is_an_error_of_every_call_that_needs_it();
  memory_is_used_again();
  devices_say_why_they_cannot_be_used();
  CHECK(emulation::unwritten_sent() == 0);  // by any of these
  return test::result();
}
