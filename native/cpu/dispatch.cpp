// Chooses among the instruction sets that were compiled in.
#include <cstdlib>
#include <cstring>

#include "cpu/unit_solver.h"

namespace optnet {

#define OPTNET_DECLARE(isa)                                                                                   \
  namespace isa {                                                                                             \
  std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype, Precision precision); \
  }
#if defined(__x86_64__)
OPTNET_DECLARE(avx512)
OPTNET_DECLARE(avx2)
OPTNET_DECLARE(sse2)
#elif defined(__aarch64__)
OPTNET_DECLARE(neon)
#else
OPTNET_DECLARE(generic)
#endif
#undef OPTNET_DECLARE

namespace {

// Best first.
const InstructionSet kInstructionSets[] = {
#if defined(__x86_64__)
    {"avx512", [] { return __builtin_cpu_supports("x86-64-v4") != 0; }, avx512::make},
    {"avx2", [] { return __builtin_cpu_supports("x86-64-v3") != 0; }, avx2::make},
    {"sse2", [] { return true; }, sse2::make},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, neon::make},
#else
    {"generic", [] { return true; }, generic::make},
#endif
};

}  // namespace

const InstructionSet& best_instruction_set() {
  const char* wanted = std::getenv("OPTNET_INSTRUCTION_SET");
  for (const InstructionSet& set : kInstructionSets) {
    if (wanted && std::strcmp(wanted, set.name) != 0) continue;
    if (set.usable()) return set;
  }
  for (const InstructionSet& set : kInstructionSets) {
    if (set.usable()) return set;
  }
  __builtin_unreachable();  // the last one always is
}

}  // namespace optnet
