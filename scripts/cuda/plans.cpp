// For each GPU that is compiled for: the largest problem that each tier of kernels takes. Prints JSON.
#include <cstddef>
#include <cstdio>

#include "cuda/kernels.h"

using namespace optnet;
using namespace optnet::cuda;

namespace {

constexpr std::size_t kKiB = 1024;

struct Gpu {
  const char* target;
  Limits limits;  ///< of the CUDA C++ programming guide, "technical specifications per compute capability"
};

constexpr Gpu kGpus[] = {
    {"sm_75", {64 * kKiB, 1024}},  {"sm_80", {163 * kKiB, 1024}}, {"sm_86", {99 * kKiB, 1024}},
    {"sm_89", {99 * kKiB, 1024}},  {"sm_90", {227 * kKiB, 1024}}, {"sm_100", {227 * kKiB, 1024}},
    {"sm_120", {99 * kKiB, 1024}},
};

struct Named {
  const char* name;
  Precision precision;
};
constexpr Named kPrecisions[] = {
    {"double", Precision::kDouble}, {"mixed", Precision::kMixed}, {"single", Precision::kSingle}};

struct NamedTier {
  const char* name;
  Tier tier;
};
constexpr NamedTier kTiers[] = {{"lanes", Tier::kLanes}, {"block", Tier::kBlock}};

Plan plan_of(int n, Precision precision, const Limits& limits) {
  return make_plan(Shape{1, n, n, 0}, Sharing{}, precision, limits);
}

}  // namespace

int main() {
  const char* separator = "[";
  for (const Gpu& gpu : kGpus) {
    for (const auto& [precision, kind] : kPrecisions) {
      for (const auto& [tier_name, tier] : kTiers) {
        int largest = 0;
        for (int n = 1; n <= 2048; ++n) {
          if (plan_of(n, kind, gpu.limits).tier == tier) largest = n;
        }
        const Plan plan = plan_of(largest > 0 ? largest : 1, kind, gpu.limits);
        std::printf(
            "%s\n{\"target\": \"%s\", \"limit\": %zu, \"precision\": \"%s\", \"tier\": \"%s\", \"n\": %d, "
            "\"threads\": %d, \"shared\": %zu}",
            separator, gpu.target, gpu.limits.shared_memory_per_block, precision, tier_name, largest,
            plan.threads, plan.shared_memory);
        separator = ",";
      }
    }
  }
  std::printf("]\n");
}
