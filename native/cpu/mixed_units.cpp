// The units of precision 'mixed'.
#include "cpu/instruction_set.h"
#include "cpu/mixed.h"
#include "cpu/plan.h"

namespace optnet::OPTNET_ISA {

std::unique_ptr<UnitSolver> make_mixed(const Shape& shape, const Sharing& sharing, DType dtype) {
  return with_backend<MixedPacked, MixedBlocked>(shape, sharing, dtype);
}

}  // namespace optnet::OPTNET_ISA
