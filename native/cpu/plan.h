// The backend and the form for a shape.
#pragma once

#include "cpu/units.h"

namespace optnet::OPTNET_ISA {

/// Packs pay as long as the triangles of W problems stay in the second-level cache (measured: the two meet
/// between 100 and 150). By shape alone, so that a problem's result does not depend on its batch.
inline bool fits_packs(const Shape& shape) { return shape.n <= 150 && shape.m <= 150; }

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

template <class Packed, class Blocked>
std::unique_ptr<UnitSolver> with_backend(const Shape& shape, const Sharing& sharing, DType dtype) {
  return fits_packs(shape) ? with_dtype<Packed>(shape, sharing, dtype)
                           : with_dtype<Blocked>(shape, sharing, dtype);
}

}  // namespace optnet::OPTNET_ISA
