// The fused kernels, built for ThreadSanitizer: fused_races_test.cpp runs this program and looks at what it
// says.
//   fused_child                    every barrier in its place
//   fused_child sites              prints "FILE LINE" of each barrier that is reached
//   fused_child drop FILE LINE     without that one
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "emulation/barrier_sites.h"
#include "generator.h"
#include "kernels_run.h"

using namespace optnet;

namespace {

/// Solves and differentiates one problem.
template <class T>
void solve(int n, int m, int q, Precision precision, std::size_t shared_memory, bool sharing) {
  const GeneratedBatch batch(1, n, m, q);
  Problem problem = batch.problem();
  if (sharing) problem.Q.batched = problem.G.batched = problem.A.batched = false;
  const cuda::Limits limits{shared_memory, 64};
  const cuda::Plan plan = cuda::make_plan(problem.shape, {sharing, sharing, sharing}, precision, limits);
  test::KernelsRun<T> run(cuda::fused_kernels(precision), problem, plan, {1e-8, 4});
  const test::DeviceVector<T> gz(run.z.size(), 1), glambda(run.lambda.size(), 1), gnu(run.nu.size(), 1);
  run.adjoint(gz, glambda, gnu);
}

/// Both teams, both forms, more than one diagonal block, more than one strip of rows.
void solve_all() {
  constexpr std::size_t kPlenty = std::size_t{227} << 10, kScarce = std::size_t{40} << 10;
  solve<double>(10, 13, 3, Precision::kDouble, kPlenty, false);
  solve<double>(6, 20, 2, Precision::kMixed, kPlenty, false);
  solve<double>(35, 38, 33, Precision::kDouble, kScarce, false);
  solve<double>(70, 5, 0, Precision::kDouble, kPlenty, false);
  solve<double>(33, 36, 4, Precision::kMixed, kPlenty, true);
  solve<float>(12, 40, 3, Precision::kSingle, kPlenty, false);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "sites") == 0) {
    emulation::record_barriers();
    solve_all();
    for (const auto& [file, line] : emulation::barrier_sites()) std::printf("%s %d\n", file.c_str(), line);
    return 0;
  }
  if (argc == 4 && std::strcmp(argv[1], "drop") == 0) emulation::drop_barrier(argv[2], std::atoi(argv[3]));
  solve_all();
}
