// The units of precision 'single'.
#include "cpu/blocked.h"
#include "cpu/instruction_set.h"
#include "cpu/packed.h"
#include "cpu/plan.h"

namespace optnet::OPTNET_ISA {

std::unique_ptr<UnitSolver> make_single(const Shape& shape, const Sharing& sharing, DType dtype) {
  using Packed = PackedBackend<Pack<float, kLanes<float>>>;
  return with_backend<Packed, BlockedBackend<float>>(shape, sharing, dtype);
}

}  // namespace optnet::OPTNET_ISA
