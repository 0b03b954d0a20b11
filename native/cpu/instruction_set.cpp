// Compiled once for each instruction set, with that set's flags and OPTNET_ISA its name.
#include "cpu/packed.h"
#include "cpu/units.h"

namespace optnet::OPTNET_ISA {
namespace {

template <class B, class IO>
std::unique_ptr<UnitSolver> with_form(const Shape& shape, const Sharing& sharing) {
  if (choose_form({shape.n, shape.m, shape.q}) == FormKind::kCondensed) {
    return std::make_unique<Units<B, FormKind::kCondensed, IO>>(shape, sharing);
  }
  return std::make_unique<Units<B, FormKind::kRangeSpace, IO>>(shape, sharing);
}

template <class B>
std::unique_ptr<UnitSolver> with_dtype(const Shape& shape, const Sharing& sharing, DType dtype) {
  return dtype == DType::kFloat64 ? with_form<B, double>(shape, sharing) : with_form<B, float>(shape, sharing);
}

}  // namespace

std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype, Precision precision) {
  if (precision == Precision::kSingle) {
    return with_dtype<PackedBackend<Pack<float, kLanes<float>>>>(shape, sharing, dtype);
  }
  return with_dtype<PackedBackend<Pack<double, kLanes<double>>>>(shape, sharing, dtype);
}

}  // namespace optnet::OPTNET_ISA
