// The fused kernels, emulated on the host, against the CPU's backend: the same solutions and the same
// adjoints, for every team, form, precision and sharing.
#include <string>

#include "check.h"
#include "cuda/crossovers.h"
#include "kernels_run.h"
#include "reference.h"

using namespace optnet;
using namespace optnet::test;

namespace {

constexpr cuda::Limits kHopper{std::size_t{227} << 10, 64};

struct Case {
  int batch, n, m, q;
  int sharing = 0;
};

std::string name(const Case& c, Precision precision) {
  static const char* const names[] = {"double", "mixed", "single"};
  return "(" + std::to_string(c.n) + ", " + std::to_string(c.m) + ", " + std::to_string(c.q) + ") × " +
         std::to_string(c.batch) + ", sharing " + std::to_string(c.sharing) + ", " +
         names[static_cast<int>(precision)];
}

template <class T>
void compare(const Case& c, Precision precision, const cuda::Limits& limits) {
  GeneratedBatch batch(c.batch, c.n, c.m, c.q, 11);
  const Problem problem = share(batch, c.sharing);
  const bool single = precision == Precision::kSingle;
  const double tolerance = single ? 1e-4 : 1e-10;
  const Sharing sharing{!problem.Q.batched, !problem.G.batched && c.m > 0, !problem.A.batched && c.q > 0};
  const cuda::Plan plan = cuda::make_plan(problem.shape, sharing, precision, limits);
  CHECK(plan.tier != cuda::Tier::kLibrary);
  KernelsRun<T> run(cuda::fused_kernels(precision), problem, plan, {tolerance, 50});
  CHECK(run.error == cudaSuccess);
  CHECK(run.indefinite[0] == ~0ULL);

  DeviceVector<T> gz(run.z.size()), glambda(run.lambda.size()), gnu(run.nu.size());
  for (auto* g : {&gz, &glambda, &gnu}) {
    for (std::size_t i = 0; i < g->size(); ++i)
      (*g)[i] = static_cast<T>(std::sin(static_cast<double>(i) + 1));
  }
  run.adjoint(gz, glambda, gnu);
  CHECK(run.error == cudaSuccess);

  Settings settings;
  settings.tolerance = 1e-10;
  settings.threads = 1;
  const auto wz = wide(gz), wl = wide(glambda), wn = wide(gnu);
  const Reference reference(problem, settings,
                            {wz.data(), wl.empty() ? nullptr : wl.data(), wn.empty() ? nullptr : wn.data()});
  // Of float32 the conditions are the claim; where it stops within them depends on its rounding.
  const double near = 1e-7, nearer = single ? 3e-2 : 1e-8;
  const int failures = test::failures;
  for (const auto status : run.status) CHECK(status == 0);
  check_kkt(problem, run, tolerance);
  CHECK_CLOSE(difference(wide(run.z), reference.out.z), 0, nearer);
  CHECK_CLOSE(difference(wide(run.lambda), reference.out.lambda), 0, nearer);
  CHECK_CLOSE(difference(wide(run.nu), reference.out.nu), 0, nearer);
  CHECK_CLOSE(difference(wide(run.slack), reference.out.slack), 0, nearer);
  CHECK_CLOSE(difference(wide(run.objective), reference.out.objective), 0, nearer);
  if (!single) {
    for (std::size_t i = 0; i < run.margin.size(); ++i) {
      CHECK(run.derivative[i] == reference.out.derivative[i]);
      if (c.m > 0) CHECK_CLOSE(run.margin[i], reference.out.margin[i], nearer);
    }
    CHECK_CLOSE(difference(wide(run.dz), reference.dp), 0, near);
    CHECK_CLOSE(difference(wide(run.dlambda, -1), reference.dh), 0, near);
    CHECK_CLOSE(difference(wide(run.dnu, -1), reference.db), 0, near);
    for (std::size_t i = 0; i < run.iterations.size(); ++i) {
      CHECK(std::abs(run.iterations[i] - reference.out.iterations[i]) <= 2);
    }
  }
  if (test::failures > failures) std::fprintf(stderr, "  in %s\n", name(c, precision).c_str());
}

void compare_all(const Case& c, const cuda::Limits& limits = kHopper) {
  compare<double>(c, Precision::kDouble, limits);
  compare<double>(c, Precision::kMixed, limits);
  compare<float>(c, Precision::kSingle, limits);
}

void agree_with_the_cpu() {
  for (const Case& c :
       {Case{3, 1, 1, 0}, Case{5, 4, 0, 0}, Case{3, 5, 0, 2}, Case{9, 6, 8, 2}, Case{5, 10, 10, 0},
        Case{3, 16, 12, 5}, Case{3, 20, 30, 5}, Case{2, 32, 32, 8}, Case{2, 7, 30, 2}, Case{2, 10, 32, 0}}) {
    compare_all(c);  // lanes
  }
  for (const Case& c : {Case{2, 33, 20, 0}, Case{2, 40, 50, 10}, Case{1, 65, 70, 3}, Case{1, 15, 60, 4}}) {
    compare_all(c);  // blocks
  }
  compare<double>({1, 35, 3, 34}, Precision::kDouble, kHopper);
  for (int sharing = 1; sharing < 8; ++sharing) {
    compare_all({3, 9, 11, 4, sharing});
    compare_all({2, 34, 21, 5, sharing});
    compare_all({2, 12, 40, 4, sharing});
  }
}

void refine_adjoints() {
  for (const Case& c : {Case{2, 12, 8, 4}, Case{1, 40, 30, 10}}) {
    for (const Precision precision : {Precision::kDouble, Precision::kMixed}) {
      GeneratedBatch batch(c.batch, c.n, c.m, c.q, 3);
      squeeze(batch, 4);
      const Problem problem = batch.problem();
      const cuda::Plan plan = cuda::make_plan(problem.shape, {}, precision, kHopper);
      KernelsRun<double> run(cuda::fused_kernels(precision), problem, plan, {1e-8, 50});
      check_refinement(problem, run);
    }
  }
}

/// R outside of shared memory, and strips of a few rows, where shared memory is scarce.
void agree_where_shared_memory_is_scarce() {
  const cuda::Limits scarce{std::size_t{48} << 10, 64};
  compare_all({1, 40, 60, 5}, scarce);
  compare_all({1, 60, 33, 10}, scarce);
}

/// A problem's bits are the same wherever it stands, whoever stands beside it.
void do_not_depend_on_the_batch() {
  for (const Case& c : {Case{5, 9, 12, 3}, Case{3, 36, 40, 4}}) {
    const GeneratedBatch batch(c.batch, c.n, c.m, c.q, 5);
    const Problem all = batch.problem();
    const cuda::Plan plan = cuda::make_plan(all.shape, {}, Precision::kDouble, kHopper);
    const cuda::Kernels& kernels = cuda::fused_kernels(Precision::kDouble);
    const KernelsRun<double> together(kernels, all, plan, {});
    for (int i = 0; i < c.batch; ++i) {
      Problem one = all;
      one.shape.batch = 1;
      const auto select = [i](Datum& datum, int size) {
        datum.data = static_cast<const double*>(datum.data) + static_cast<std::size_t>(i) * size;
      };
      select(one.Q, c.n * c.n);
      select(one.p, c.n);
      select(one.G, c.m * c.n);
      select(one.h, c.m);
      select(one.A, c.q * c.n);
      select(one.b, c.q);
      const KernelsRun<double> alone(kernels, one, plan, {});
      CHECK(std::equal(alone.z.begin(), alone.z.end(),
                       together.z.begin() + static_cast<std::ptrdiff_t>(i) * c.n));
      CHECK(std::equal(alone.lambda.begin(), alone.lambda.end(),
                       together.lambda.begin() + static_cast<std::ptrdiff_t>(i) * c.m));
    }
  }
}

void name_an_indefinite_problem() {
  GeneratedBatch batch(5, 8, 6, 2);
  batch.Q[3 * 64] = -1;
  const cuda::Plan plan = cuda::make_plan(batch.shape, {}, Precision::kDouble, kHopper);
  const KernelsRun<double> run(cuda::fused_kernels(Precision::kDouble), batch.problem(), plan, {});
  CHECK(run.indefinite[0] == 3);
  CHECK(run.status[2] == 0 && run.status[4] == 0);
}

void drop_dependent_equalities() {
  GeneratedBatch batch(2, 12, 8, 4);
  for (int i = 0; i < 2; ++i) {  // the third row repeats the first
    std::copy_n(batch.A.begin() + i * 48, 12, batch.A.begin() + i * 48 + 24);
    batch.b[static_cast<std::size_t>(i) * 4 + 2] = batch.b[static_cast<std::size_t>(i) * 4];
  }
  const cuda::Plan plan = cuda::make_plan(batch.shape, {}, Precision::kDouble, kHopper);
  const KernelsRun<double> run(cuda::fused_kernels(Precision::kDouble), batch.problem(), plan, {});
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(run.status[i] == 0);
    CHECK(run.nu[i * 4 + 2] == 0);
  }
}

}  // namespace

int main() {
  agree_with_the_cpu();
  refine_adjoints();
  agree_where_shared_memory_is_scarce();
  do_not_depend_on_the_batch();
  name_an_indefinite_problem();
  drop_dependent_equalities();
  return test::result();
}
