// The path over cuBLAS and cuSOLVER, on an emulated GPU with doubles of the libraries, against the CPU's
// backend and the KKT conditions, for every form, precision and sharing.
#include "cuda/library_path.h"

#include <string>
#include <thread>

#include "check.h"
#include "cuda/library_routines.h"
#include "emulation/libraries.h"
#include "emulation/machine.h"
#include "kernels_run.h"
#include "reference.h"
#include "solver/solve.h"

using namespace optnet;
using namespace optnet::test;

namespace {

constexpr cuda::Limits kLimits{std::size_t{227} << 10, 64};

const cuda::Kernels& kernels() {
  static const std::unique_ptr<cuda::Kernels> made = [] {
    std::unique_ptr<cuda::Kernels> out;
    CHECK(!cuda::make_library_kernels(0, out));
    return out;
  }();
  return *made;
}

Sharing sharing_of(const Problem& problem) {
  return {!problem.Q.batched, !problem.G.batched && problem.shape.m > 0,
          !problem.A.batched && problem.shape.q > 0};
}

cuda::Plan plan_of(const Problem& problem, Precision precision = Precision::kDouble, bool oracle = false) {
  cuda::Plan plan;
  plan.tier = cuda::Tier::kLibrary;
  plan.d = {problem.shape.n, problem.shape.m, problem.shape.q};
  plan.condensed = choose_form(plan.d) == FormKind::kCondensed;
  plan.oracle = oracle;
  plan.precision = precision;
  plan.sharing = sharing_of(problem);
  plan.group = 2;
  cuda::lay_out_library(plan, kLimits);
  return plan;
}

struct Case {
  int batch, n, m, q;
  int sharing = 0;
};

void print(const Case& c, const char* what) {
  std::fprintf(stderr, "  in (%d, %d, %d) × %d, sharing %d, %s\n", c.n, c.m, c.q, c.batch, c.sharing, what);
}

template <class T>
void compare(const Case& c, Precision precision, const char* what, bool oracle = false) {
  const int failures = test::failures;
  GeneratedBatch batch(c.batch, c.n, c.m, c.q, 11);
  const Problem problem = share(batch, c.sharing);
  const bool single = precision == Precision::kSingle;
  KernelsRun<T> run(kernels(), problem, plan_of(problem, precision, oracle), {single ? 1e-4 : 1e-10, 50});
  CHECK(run.error == cudaSuccess);
  CHECK(kernels().last_error().empty());
  CHECK(run.indefinite[0] == ~0ULL);
  for (const auto status : run.status) CHECK(status == 0);
  check_kkt(problem, run, single ? 1e-4 : 1e-10);

  DeviceVector<T> gz(run.z.size()), glambda(run.lambda.size()), gnu(run.nu.size());
  for (auto* g : {&gz, &glambda, &gnu}) {
    for (std::size_t i = 0; i < g->size(); ++i)
      (*g)[i] = static_cast<T>(std::sin(static_cast<double>(i) + 1));
  }
  run.adjoint(gz, glambda, gnu);
  CHECK(run.error == cudaSuccess);
  CHECK(run.in_bounds());

  Settings settings;
  settings.tolerance = 1e-10;
  settings.threads = 1;
  const auto wz = wide(gz), wl = wide(glambda), wn = wide(gnu);
  const Reference reference(problem, settings,
                            {wz.data(), wl.empty() ? nullptr : wl.data(), wn.empty() ? nullptr : wn.data()});
  // Another start has other iterates, which end elsewhere within the tolerance.
  const double near = oracle ? 1e-5 : 1e-7, nearer = single ? 3e-2 : oracle ? 1e-6 : 1e-8;
  CHECK_CLOSE(difference(wide(run.z), reference.out.z), 0, nearer);
  CHECK_CLOSE(difference(wide(run.lambda), reference.out.lambda), 0, nearer);
  CHECK_CLOSE(difference(wide(run.nu), reference.out.nu), 0, nearer);
  CHECK_CLOSE(difference(wide(run.slack), reference.out.slack), 0, nearer);
  CHECK_CLOSE(difference(wide(run.objective), reference.out.objective), 0, nearer);
  if (!single) {
    CHECK_CLOSE(difference(wide(run.dz), reference.dp), 0, near);
    CHECK_CLOSE(difference(wide(run.dlambda, -1), reference.dh), 0, near);
    CHECK_CLOSE(difference(wide(run.dnu, -1), reference.db), 0, near);
  }
  if (!single && !oracle) {
    for (std::size_t i = 0; i < run.iterations.size(); ++i) {
      CHECK(std::abs(run.iterations[i] - reference.out.iterations[i]) <= 2);
      CHECK(run.derivative[i] == reference.out.derivative[i]);
      if (c.m > 0) CHECK_CLOSE(run.margin[i], reference.out.margin[i], nearer);
    }
  }
  if (test::failures > failures) print(c, what);
}

void compare_all(const Case& c) {
  compare<double>(c, Precision::kDouble, "double");
  compare<double>(c, Precision::kMixed, "mixed");
  compare<float>(c, Precision::kSingle, "single");
  compare<double>(c, Precision::kDouble, "oracle", true);
}

void agrees_with_the_cpu() {
  for (const Case& c : {Case{3, 1, 1, 0}, Case{3, 4, 0, 0}, Case{3, 5, 0, 2}, Case{3, 12, 20, 5},
                        Case{2, 40, 35, 8}, Case{1, 34, 70, 5},
                        // condensed:
                        Case{3, 7, 30, 2}, Case{2, 10, 32, 0}, Case{1, 33, 90, 4}}) {
    compare_all(c);
  }
  compare<float>({2, 10, 8, 3}, Precision::kSingle, "oracle, single", true);
  compare<double>({1, 34, 40, 33}, Precision::kDouble, "double");  // E in two blocks
}

void refines_adjoints() {
  GeneratedBatch batch(2, 20, 12, 5, 3);
  squeeze(batch, 4);
  const Problem problem = batch.problem();
  KernelsRun<double> run(kernels(), problem, plan_of(problem), {1e-8, 50});
  check_refinement(problem, run);
}

void agrees_whatever_is_shared() {
  for (int sharing = 1; sharing < 8; ++sharing) {
    compare_all({3, 9, 11, 4, sharing});
    compare<double>({2, 9, 30, 4, sharing}, Precision::kDouble, "double");
    compare<double>({2, 9, 7, 0, sharing & 3}, Precision::kDouble, "double");
  }
}

/// Problem i of the batch, alone.
Problem select(const Problem& all, int i) {
  Problem one = all;
  one.shape.batch = 1;
  const auto [batch, n, m, q] = all.shape;
  const auto move = [i](Datum& datum, int size) {
    if (datum.batched)
      datum.data = static_cast<const double*>(datum.data) + static_cast<std::ptrdiff_t>(i) * size;
  };
  move(one.Q, n * n);
  move(one.p, n);
  move(one.G, m * n);
  move(one.h, m);
  move(one.A, q * n);
  move(one.b, q);
  return one;
}

template <class T>
bool same_bits(const DeviceVector<T>& one, const DeviceVector<T>& all, std::size_t i) {
  return one.empty() || std::memcmp(one.data(), all.data() + i * one.size(), one.size() * sizeof(T)) == 0;
}

void does_not_depend_on_the_batch() {
  for (const Case& c : {Case{5, 9, 12, 3}, Case{3, 8, 25, 2}}) {
    const GeneratedBatch batch(c.batch, c.n, c.m, c.q, 5);
    const Problem all = batch.problem();
    const cuda::Plan plan = plan_of(all);
    const KernelsRun<double> together(kernels(), all, plan, {});
    for (int i = 0; i < c.batch; ++i) {
      const KernelsRun<double> alone(kernels(), select(all, i), plan, {});
      const auto at = static_cast<std::size_t>(i);
      CHECK(same_bits(alone.z, together.z, at));
      CHECK(same_bits(alone.lambda, together.lambda, at));
      CHECK(same_bits(alone.nu, together.nu, at));
      CHECK(alone.iterations[0] == together.iterations[at]);
    }
  }
}

/// The libraries are given as many problems at a time, however many there are.
void gives_the_libraries_whole_groups() {
  for (const int count : {1, 3, 4}) {
    const GeneratedBatch batch(count, 6, 7, 2);
    emulation::record_library_calls(true);
    const KernelsRun<double> run(kernels(), batch.problem(), plan_of(batch.problem()), {});
    emulation::record_library_calls(false);
    CHECK(run.error == cudaSuccess);
    for (const std::string& call : emulation::take_library_calls()) CHECK(call.ends_with(" batch=2"));
  }
}

void calls_in_this_order() {
  const GeneratedBatch batch(2, 6, 7, 2);
  emulation::take_library_calls();
  emulation::record_library_calls(true);
  const KernelsRun<double> run(kernels(), batch.problem(), plan_of(batch.problem()), {});
  emulation::record_library_calls(false);
  const std::vector<std::string> calls = emulation::take_library_calls();
  const std::vector<std::string> setup = {
      "cusolverDnDpotrfBatched upper n=6 batch=2",        // Q = L Lᵀ
      "cublasDtrsmBatched left upper T m=6 n=2 batch=2",  // Yₐ
      "cublasDtrsmBatched left upper T m=6 n=7 batch=2",  // Y
      "cublasDgemmBatched T N m=2 n=2 k=6 batch=2",       // E
      "cusolverDnDpotrfBatched upper n=2 batch=2",        //
      "cublasDgemmBatched T N m=7 n=7 k=6 batch=2",       // Y Yᵀ
      "cublasDgemmBatched T N m=2 n=7 k=6 batch=2",       // V
      "cublasDgemmBatched T N m=7 n=7 k=2 batch=2",       // R
  };
  const std::string factorisation = "cusolverDnDpotrfBatched upper n=7 batch=2";
  CHECK(calls.size() >= setup.size() && std::equal(setup.begin(), setup.end(), calls.begin()));
  const auto most = static_cast<std::size_t>(std::max(run.iterations[0], run.iterations[1]));
  CHECK(calls.size() == setup.size() + 1 + most + 1);  // the start, the iterations, the derivative
  for (std::size_t i = setup.size(); i < calls.size(); ++i) CHECK(calls[i] == factorisation);
}

void solves_the_kkt_systems_by_batched_lu() {
  const GeneratedBatch batch(2, 4, 3, 1);
  emulation::take_library_calls();
  emulation::record_library_calls(true);
  const KernelsRun<double> run(kernels(), batch.problem(), plan_of(batch.problem(), Precision::kDouble, true),
                               {});
  emulation::record_library_calls(false);
  const std::vector<std::string> calls = emulation::take_library_calls();
  CHECK(calls.size() % 3 == 1);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    CHECK(calls[i] == (i % 3 == 0 ? "cublasDgetrfBatched n=8 batch=2 pivots"
                                  : "cublasDgetrsBatched N n=8 nrhs=1 batch=2 pivots"));
  }
}

void names_an_indefinite_problem() {
  for (const int m : {6, 24}) {
    GeneratedBatch batch(5, 8, m, 2);
    GeneratedBatch sound = batch;
    batch.Q[3 * 64] = -1;
    const cuda::Plan plan = plan_of(batch.problem());
    const KernelsRun<double> run(kernels(), batch.problem(), plan, {});
    const KernelsRun<double> expected(kernels(), sound.problem(), plan, {});
    CHECK(run.error == cudaSuccess);
    CHECK(run.indefinite[0] == 3);
    for (const std::size_t i : {0, 1, 2, 4}) {
      CHECK(run.status[i] == 0);
      CHECK(std::equal(run.z.begin() + i * 8, run.z.begin() + i * 8 + 8, expected.z.begin() + i * 8));
    }
  }
}

void names_an_indefinite_shared_matrix() {
  GeneratedBatch batch(3, 8, 6, 2);
  Problem problem = share(batch, 1);
  batch.Q[0] = -1;
  const KernelsRun<double> run(kernels(), problem, plan_of(problem), {});
  CHECK(run.error == cudaSuccess);
  CHECK(run.indefinite[0] == 0);
}

void drops_dependent_equalities() {
  for (const int m : {8, 40}) {
    GeneratedBatch batch(3, 12, m, 4);
    for (int i = 0; i < 2; ++i) {  // the third row repeats the first, but not in the last problem
      std::copy_n(batch.A.begin() + i * 48, 12, batch.A.begin() + i * 48 + 24);
      batch.b[static_cast<std::size_t>(i) * 4 + 2] = batch.b[static_cast<std::size_t>(i) * 4];
    }
    const Problem problem = batch.problem();
    const KernelsRun<double> run(kernels(), problem, plan_of(problem), {});
    for (std::size_t i = 0; i < 3; ++i) CHECK(run.status[i] == 0);
    for (std::size_t i = 0; i < 2; ++i) CHECK(run.nu[i * 4 + 2] == 0);
    CHECK(run.nu[2 * 4 + 2] != 0);
    check_kkt(problem, run, SolverSettings().tolerance);
  }
}

/// Repeated rows that are active: T is then as badly conditioned as it comes.
void solves_with_repeated_inequalities() {
  GeneratedBatch batch(2, 6, 12, 0);
  for (std::size_t i = 0; i < 2; ++i) {
    std::copy_n(batch.G.begin() + i * 72, 36, batch.G.begin() + i * 72 + 36);
    std::copy_n(batch.h.begin() + i * 12, 6, batch.h.begin() + i * 12 + 6);
  }
  const Problem problem = batch.problem();
  const KernelsRun<double> run(kernels(), problem, plan_of(problem), {1e-12, 50});
  for (const auto status : run.status) CHECK(status == 0);
  check_kkt(problem, run, 1e-12);
}

/// A row twice, with huge multipliers: at the end T, rounded, is not positive definite any more. In its place
/// comes a factorisation that knows how small its pivots can be.
void solves_what_cholesky_cannot_factor() {
  constexpr double kSteep = 1e10;  // minimise steep·(½‖z‖² − z₁ − z₂) subject to z₁ ≤ 0, z₁ ≤ 0, z₂ ≤ 0
  const std::vector<double> Q{kSteep, 0, 0, kSteep}, p{-kSteep, -kSteep}, G{1, 0, 1, 0, 0, 1}, h{0, 0, 0};
  Problem problem;
  problem.shape = {1, 2, 3, 0};
  problem.Q = {Q.data(), true};
  problem.p = {p.data(), true};
  problem.G = {G.data(), true};
  problem.h = {h.data(), true};
  const KernelsRun<double> run(kernels(), problem, plan_of(problem), {1e-10, 50});
  CHECK(run.status[0] == 0);
  CHECK_CLOSE((run.lambda[0] + run.lambda[1]) / kSteep, 1, 1e-9);
  CHECK_CLOSE(run.lambda[2] / kSteep, 1, 1e-9);
  CHECK_CLOSE(run.z[0], 0, 1e-9);
}

void stops_at_the_iteration_limit() {
  const GeneratedBatch batch(4, 20, 30, 2);
  const Problem problem = batch.problem();
  const KernelsRun<double> free(kernels(), problem, plan_of(problem), {});
  std::vector<int> sorted(free.iterations.begin(), free.iterations.end());
  std::sort(sorted.begin(), sorted.end());
  const int limit = sorted[1];
  const KernelsRun<double> run(kernels(), problem, plan_of(problem), {1e-8, limit});
  for (std::size_t i = 0; i < 4; ++i) {
    const bool within = free.iterations[i] <= limit;
    CHECK(static_cast<Status>(run.status[i]) == (within ? Status::kSolved : Status::kMaxIterations));
    if (within) CHECK(run.z[i * 20] == free.z[i * 20]);
  }
}

void solves_in_several_threads() {
  const GeneratedBatch batch(3, 8, 9, 2);
  const cuda::Plan plan = plan_of(batch.problem());
  const KernelsRun<double> expected(kernels(), batch.problem(), plan, {});
  std::vector<std::thread> threads;
  std::vector<int> same(3);
  for (int& ok : same) {
    threads.emplace_back([&] {
      for (int k = 0; k < 3; ++k) {
        const KernelsRun<double> run(kernels(), batch.problem(), plan, {});
        ok += run.error == cudaSuccess && same_bits(run.z, expected.z, 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int ok : same) CHECK(ok == 3);
}

void says_what_failed() {
  const GeneratedBatch batch(2, 5, 6, 0);
  const cuda::Plan plan = plan_of(batch.problem());
  {
    const KernelsRun<double> first(kernels(), batch.problem(), plan, {});
    emulation::lose_device_at_launch(5);
    const KernelsRun<double> lost(kernels(), batch.problem(), plan, {});
    CHECK(first.error == cudaSuccess);
    CHECK(lost.error == cudaErrorLaunchFailure);
  }
  emulation::reset();
}

void turns_statuses_into_errors() {
  const auto libraries = emulation::emulated_libraries();
  cuda::LibraryOutcome blas, solver, none;
  blas.check(*libraries, CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(blas.error == cudaErrorUnknown && blas.message.starts_with("cuBLAS: "));
  solver.check(*libraries, CUSOLVER_STATUS_ALLOC_FAILED);
  CHECK(solver.error == cudaErrorMemoryAllocation && solver.message.starts_with("cuSOLVER: "));
  none.check(*libraries, CUBLAS_STATUS_SUCCESS);
  none.check(*libraries, CUSOLVER_STATUS_SUCCESS);
  CHECK(none && none.message.empty());
  const std::string first = blas.message;
  blas.check(*libraries, CUSOLVER_STATUS_ALLOC_FAILED);  // what came first counts
  CHECK(blas.error == cudaErrorUnknown && blas.message == first);
}

}  // namespace

int main() {
  agrees_with_the_cpu();
  refines_adjoints();
  agrees_whatever_is_shared();
  does_not_depend_on_the_batch();
  gives_the_libraries_whole_groups();
  calls_in_this_order();
  solves_the_kkt_systems_by_batched_lu();
  names_an_indefinite_problem();
  names_an_indefinite_shared_matrix();
  drops_dependent_equalities();
  solves_with_repeated_inequalities();
  solves_what_cholesky_cannot_factor();
  stops_at_the_iteration_limit();
  solves_in_several_threads();
  says_what_failed();
  turns_statuses_into_errors();
  return test::result();
}
