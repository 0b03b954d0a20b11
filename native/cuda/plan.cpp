// Chooses kernels for a shape.
#include <cstdlib>
#include <cstring>

#include "cuda/crossovers.h"
#include "cuda/fused_instances.h"
#include "solver/solve.h"

namespace optnet::cuda {
namespace {

const FusedInstance& instance(Precision precision) {
  switch (precision) {
    case Precision::kMixed: return fused_mixed();
    case Precision::kSingle: return fused_single();
    default: return fused_double();
  }
}

/// The narrowest team of lanes that takes the problem, or 0.
int lane_team(const Dimensions& d) {
  for (const auto& [size, lanes] : kLaneTeams) {
    if (largest(d) <= size) return lanes;
  }
  return 0;
}

int block_team(const Dimensions& d, int most) {
  int threads = 0;
  for (const auto& row : kBlockTeams) {
    threads = row.threads;
    if (largest(d) <= row.largest) break;
  }
  return threads < most ? threads : most;
}

/// For tests and measurements: OPTNET_CUDA_TIER=block, or library, leaves out the kernels for smaller
/// problems.
Tier first_tier() {
  const char* name = std::getenv("OPTNET_CUDA_TIER");
  if (name && std::strcmp(name, "block") == 0) return Tier::kBlock;
  if (name && std::strcmp(name, "library") == 0) return Tier::kLibrary;
  return Tier::kLanes;
}

}  // namespace

const Kernels& fused_kernels(Precision precision) { return instance(precision).kernels; }

Plan make_plan(const Shape& shape, const Sharing& sharing, Precision precision, const Limits& limits) {
  Plan plan;
  plan.d = {shape.n, shape.m, shape.q};
  plan.condensed = choose_form(plan.d) == FormKind::kCondensed;
  plan.precision = precision;
  plan.sharing = sharing;
  const auto fits = [&] {
    instance(precision).lay_out(plan);
    return plan.shared_memory <= limits.shared_memory_per_block;
  };
  const Tier first = first_tier();
  if (const int lanes = first == Tier::kLanes ? lane_team(plan.d) : 0) {
    plan.tier = Tier::kLanes;
    plan.team = lanes;
    plan.threads = kLaneBlockThreads;
    if (fits()) return plan;
  }
  plan.tier = Tier::kBlock;
  plan.team = plan.threads = block_team(plan.d, limits.threads_per_block);
  for (const bool in_global : {false, true}) {
    if (first == Tier::kLibrary) break;
    plan.reduced_in_global = in_global;
    if (fits()) return plan;
  }
  plan = {};
  plan.tier = Tier::kLibrary;
  plan.d = {shape.n, shape.m, shape.q};
  plan.condensed = choose_form(plan.d) == FormKind::kCondensed;
  plan.precision = precision;
  plan.sharing = sharing;
  lay_out_library(plan, limits);
  return plan;
}

}  // namespace optnet::cuda
