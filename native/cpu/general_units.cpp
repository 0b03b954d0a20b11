#include "cpu/general_units.h"

#include "cpu/instruction_set.h"

namespace optnet::OPTNET_ISA {

std::unique_ptr<GeneralUnit> make_general(const Dimensions& dimensions, bool bounded) {
  return std::make_unique<GeneralUnits>(dimensions, bounded);
}

}  // namespace optnet::OPTNET_ISA
