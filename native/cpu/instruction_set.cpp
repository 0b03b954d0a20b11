// Compiled once for each instruction set, with that set's flags and OPTNET_ISA its name.
#include "cpu/bounded_units.h"
#include "cpu/general_units.h"
#include "cpu/mixed.h"
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
  return dtype == DType::kFloat64 ? with_form<B, double>(shape, sharing)
                                  : with_form<B, float>(shape, sharing);
}

/// Packs pay as long as the triangles of W problems stay in the second-level cache (measured: the two meet
/// between 100 and 150). By shape alone, so that a problem's result does not depend on its batch.
bool fits_packs(const Shape& shape) { return shape.n <= 150 && shape.m <= 150; }

template <class Packed, class Blocked>
std::unique_ptr<UnitSolver> with_backend(const Shape& shape, const Sharing& sharing, DType dtype) {
  return fits_packs(shape) ? with_dtype<Packed>(shape, sharing, dtype)
                           : with_dtype<Blocked>(shape, sharing, dtype);
}

}  // namespace

std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype,
                                 Precision precision) {
  switch (precision) {
    case Precision::kSingle:
      return with_backend<PackedBackend<Pack<float, kLanes<float>>>, BlockedBackend<float>>(shape, sharing,
                                                                                            dtype);
    case Precision::kMixed: return with_backend<MixedPacked, MixedBlocked>(shape, sharing, dtype);
    default:
      return with_backend<PackedBackend<Pack<double, kLanes<double>>>, BlockedBackend<double>>(shape, sharing,
                                                                                               dtype);
  }
}

std::unique_ptr<UnitSolver> make_bounded(const Shape& shape, const Sharing& sharing, DType dtype) {
  if (!fits_packs(shape)) return nullptr;
  if (dtype == DType::kFloat64) return std::make_unique<BoundedUnits<double>>(shape, sharing);
  return std::make_unique<BoundedUnits<float>>(shape, sharing);
}

std::unique_ptr<GeneralUnit> make_general(const Dimensions& dimensions, bool bounded) {
  return std::make_unique<GeneralUnits>(dimensions, bounded);
}

}  // namespace optnet::OPTNET_ISA
