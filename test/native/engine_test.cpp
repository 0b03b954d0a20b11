// The engine as the binding uses it: stages and threads, memory that comes back, cancelling, progress,
// failures.
#include "engine/cpu_device.h"

#include <atomic>
#include <limits>
#include <numeric>

#include "check.h"
#include "generator.h"

using namespace optnet;

namespace {

void stages_run_in_order_and_each_unit_once() {
  ThreadPool pool;
  for (const int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> runs(1000);
    std::atomic<int> first{0}, early{0}, finished{0};
    Job job;
    job.threads = threads;
    job.stages.push_back({1000, [&](std::size_t unit, int worker) {
                            CHECK(worker >= 0 && worker < threads);
                            ++runs[unit];
                            ++first;
                          }});
    job.stages.push_back({0, nullptr});
    job.stages.push_back({50, [&](std::size_t, int) { early += first != 1000; }});
    job.finished = [&] { ++finished; };
    pool.run(std::move(job));
    CHECK(std::accumulate(runs.begin(), runs.end(), 0) == 1000);
    for (const auto& n : runs) CHECK(n == 1);
    CHECK(early == 0);
    CHECK(finished == 1);
  }
}

void a_pool_ends_with_its_jobs_finished() {
  std::atomic<int> finished{0}, units{0};
  {
    ThreadPool pool;
    for (int i = 0; i < 20; ++i) {
      Job job;
      job.threads = 2;
      job.stages.push_back({10, [&](std::size_t, int) { ++units; }});
      job.finished = [&] { ++finished; };
      pool.start(std::move(job));
    }
    Job empty;
    empty.finished = [&] { ++finished; };
    pool.start(std::move(empty));
  }
  CHECK(units == 200);
  CHECK(finished == 21);
}

void memory_is_used_again() {
  const auto memory = std::make_shared<MemoryPool>();
  MemoryPool::Block a, b, c;
  CHECK(memory->take(5'000'000, a));
  const std::byte* place = a.data();
  a = {};
  CHECK(memory->take(5'000'000, b));
  CHECK(b.data() == place);
  CHECK(memory->take(5'000'000, c));
  CHECK(c.data() != b.data());
  CHECK(!memory->take(std::numeric_limits<std::size_t>::max() / 2, a));
  CHECK(memory->take(0, a));
}

Failure solve(const Problem& problem, const Settings& settings, ResultArrays& out, ThreadPool& pool,
              const std::shared_ptr<Control>& control = nullptr) {
  CpuDevice device(pool);
  std::shared_ptr<Solution> solution;
  std::shared_ptr<Call> call;
  if (const Failure f = device.solve(problem, settings, out.results(), control, solution, call)) return f;
  call->run();
  return call->outcome();
}

void failures_name_the_place() {
  ThreadPool pool;
  GeneratedBatch batch(13, 6, 5, 2);
  ResultArrays out(batch.shape);
  const auto spoiled = [&](std::vector<double>& v, std::size_t at, double value) {
    const double before = v[at];
    v[at] = value;
    const Failure f = solve(batch.problem(), {}, out, pool);
    v[at] = before;
    return f;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  Failure f = spoiled(batch.G, 7 * 30 + 2 * 6 + 4, nan);
  CHECK(f.code == Failure::Code::kNotFinite && f.argument == 'G' && f.index == 7 && f.row == 2 &&
        f.column == 4);
  f = spoiled(batch.b, 12 * 2 + 1, infinity);
  CHECK(f.code == Failure::Code::kNotFinite && f.argument == 'b' && f.index == 12 && f.column == 1);
  f = spoiled(batch.Q, 3 * 36 + 1, 1e3);
  CHECK(f.code == Failure::Code::kNotSymmetric && f.argument == 'Q' && f.index == 3);
  f = spoiled(batch.Q, 9 * 36 + 7, -1.0);
  CHECK(f.code == Failure::Code::kNotConvex && f.argument == 'Q' && f.index == 9);
  CHECK(!solve(batch.problem(), {}, out, pool));
}

void cancelling_ends_a_solve() {
  ThreadPool pool;
  const GeneratedBatch batch(64, 20, 20, 0);
  ResultArrays out(batch.shape);
  const auto control = std::make_shared<Control>();
  std::atomic<std::size_t> seen{0};
  control->progress = [&](std::size_t solved) {
    seen = solved;
    if (solved >= 8) control->cancelled = true;
  };
  Settings settings;
  settings.threads = 1;  // more could all have begun by then
  CHECK(solve(batch.problem(), settings, out, pool, control).code == Failure::Code::kCancelled);
  CHECK(seen >= 8 && seen < 64);
}

void sizes_that_do_not_fit_fail() {
  Problem problem;
  problem.shape = {std::size_t{1} << 50, 100, 100, 0};
  problem.Q.batched = true;
  std::shared_ptr<CpuSolution> solution;
  CHECK(CpuSolution::create(problem, {}, nullptr, solution).code == Failure::Code::kMemory);
}

}  // namespace

int main() {
  stages_run_in_order_and_each_unit_once();
  a_pool_ends_with_its_jobs_finished();
  memory_is_used_again();
  failures_name_the_place();
  cancelling_ends_a_solve();
  sizes_that_do_not_fit_fail();
  return test::result();
}
