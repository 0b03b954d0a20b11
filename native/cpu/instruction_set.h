// What is compiled once for each instruction set, with that set's flags and OPTNET_ISA its name: one file a
// precision, so that processors share the work.
#pragma once

#include "cpu/unit_solver.h"

namespace optnet::OPTNET_ISA {

using MakeUnits = std::unique_ptr<UnitSolver>(const Shape& shape, const Sharing& sharing, DType dtype);
MakeUnits make_double, make_mixed, make_single, make_bounded;

std::unique_ptr<UnitSolver> make(const Shape& shape, const Sharing& sharing, DType dtype,
                                 Precision precision);
std::unique_ptr<GeneralUnit> make_general(const Dimensions& dimensions, bool bounded);

}  // namespace optnet::OPTNET_ISA
