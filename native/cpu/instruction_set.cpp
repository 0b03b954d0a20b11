#include "cpu/instruction_set.h"

namespace optnet::OPTNET_ISA {

std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype,
                                 Precision precision) {
  switch (precision) {
    case Precision::kSingle: return make_single(shape, sharing, dtype);
    case Precision::kMixed: return make_mixed(shape, sharing, dtype);
    default: return make_double(shape, sharing, dtype);
  }
}

}  // namespace optnet::OPTNET_ISA
