#include "cpu/bounded_units.h"

#include "cpu/instruction_set.h"
#include "cpu/plan.h"

namespace optnet::OPTNET_ISA {

std::unique_ptr<UnitSolver> make_bounded(const Shape& shape, const Sharing& sharing, DType dtype) {
  if (!fits_packs(shape)) return nullptr;
  if (dtype == DType::kFloat64) return std::make_unique<BoundedUnits<double>>(shape, sharing);
  return std::make_unique<BoundedUnits<float>>(shape, sharing);
}

}  // namespace optnet::OPTNET_ISA
