// Chooses among the instruction sets that were compiled in.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpu/processor.h"
#include "cpu/unit_solver.h"

namespace optnet {

#define OPTNET_DECLARE(isa)                                                                          \
  namespace isa {                                                                                    \
  std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype,          \
                                   Precision precision);                                             \
  std::unique_ptr<UnitSolver> make_bounded(const Shape& shape, const Sharing& sharing, DType dtype); \
  std::unique_ptr<GeneralUnit> make_general(const Dimensions& dimensions, bool bounded);             \
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
    {"avx512", has_avx512, avx512::make, avx512::make_bounded, avx512::make_general},
#endif
#ifdef OPTNET_HAS_avx2
    {"avx2", has_avx2, avx2::make, avx2::make_bounded, avx2::make_general},
#endif
#ifdef OPTNET_HAS_sse2
    {"sse2", [] { return true; }, sse2::make, sse2::make_bounded, sse2::make_general},
#endif
#ifdef OPTNET_HAS_neon
    {"neon", [] { return true; }, neon::make, neon::make_bounded, neon::make_general},
#endif
#ifdef OPTNET_HAS_generic
    {"generic", [] { return true; }, generic::make, generic::make_bounded, generic::make_general},
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
  // Only a build for chosen instruction sets comes here, on a machine that has none of them.
  std::fprintf(stderr, "optnet was built without an instruction set that this CPU has\n");
  std::abort();
}

}  // namespace optnet
