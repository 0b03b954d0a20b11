// Sizes for the path over cuBLAS and cuSOLVER.
#include "cuda/crossovers.h"
#include "cuda/library_instances.h"

namespace optnet::cuda {

void lay_out_library(Plan& plan, const Limits& limits) {
  const int most = limits.threads_per_block / 32 * 32;
  plan.team = plan.threads = kLibraryThreads < most ? kLibraryThreads : most;
  if (plan.group == 0) {
    const std::size_t fit = kGroupBytes / (GroupMemory::largest_matrix(plan) * plan.scalar());
    plan.group = fit < 1 ? 1 : fit < kMostGroup ? static_cast<int>(fit) : kMostGroup;
  }
  library_instance(plan).lay_out(plan);
}

}  // namespace optnet::cuda
