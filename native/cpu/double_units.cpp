// The units of precision 'double'.
#include "cpu/blocked.h"
#include "cpu/instruction_set.h"
#include "cpu/packed.h"
#include "cpu/plan.h"

namespace optnet::OPTNET_ISA {

std::unique_ptr<UnitSolver> make_double(const Shape& shape, const Sharing& sharing, DType dtype) {
  using Packed = PackedBackend<Pack<double, kLanes<double>>>;
  return with_backend<Packed, BlockedBackend<double>>(shape, sharing, dtype);
}

}  // namespace optnet::OPTNET_ISA
