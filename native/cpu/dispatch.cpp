// Chooses among the instruction sets that were compiled in.
#include <cstdlib>
#include <cstring>

#include "cpu/unit_solver.h"

namespace optnet {

#define OPTNET_DECLARE(isa)                                                                                   \
  namespace isa {                                                                                             \
  std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype, Precision precision); \
  }
#ifdef OPTNET_HAS_avx512
OPTNET_DECLARE(avx512)
#endif
#ifdef OPTNET_HAS_avx2
OPTNET_DECLARE(avx2)
#endif
#ifdef OPTNET_HAS_sse2
OPTNET_DECLARE(sse2)
#endif
#ifdef OPTNET_HAS_neon
OPTNET_DECLARE(neon)
#endif
#ifdef OPTNET_HAS_generic
OPTNET_DECLARE(generic)
#endif
#undef OPTNET_DECLARE

namespace {

// Best first.
const InstructionSet kInstructionSets[] = {
#ifdef OPTNET_HAS_avx512
    {"avx512", [] { return __builtin_cpu_supports("x86-64-v4") != 0; }, avx512::make},
#endif
#ifdef OPTNET_HAS_avx2
    {"avx2", [] { return __builtin_cpu_supports("x86-64-v3") != 0; }, avx2::make},
#endif
#ifdef OPTNET_HAS_sse2
    {"sse2", [] { return true; }, sse2::make},
#endif
#ifdef OPTNET_HAS_neon
    {"neon", [] { return true; }, neon::make},
#endif
#ifdef OPTNET_HAS_generic
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
