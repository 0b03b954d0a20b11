// The general solver over one instruction set's kernels.
#pragma once

#include "cpu/general_backend.h"
#include "cpu/general_unit.h"

namespace optnet::OPTNET_ISA {

class GeneralUnits final : public GeneralUnit {
 public:
  GeneralUnits(const Dimensions& dimensions, bool bounded) : d_(dimensions), bounded_(bounded) {}

  Footprint footprint() const override {
    Arena kept, scratch;
    const GeneralBackend b;
    const General<GeneralBackend> counted(b, d_, bounded_, kept, scratch);
    return {kept.used(), scratch.used()};
  }

  GeneralReport solve(const Memory& memory, const PlainProblem& problem, const GeneralSettings& settings,
                      const GeneralVectors* guess, const GeneralVectors& solution,
                      const GeneralVectors& differentiated) const override {
    Arena kept(memory.kept), scratch(memory.scratch);
    const GeneralBackend b;
    General<GeneralBackend> general(b, d_, bounded_, kept, scratch);
    return general.solve(problem, settings, guess, solution, differentiated);
  }

  double differentiate(const Memory& memory, const GeneralVectors& in, const GeneralVectors& out,
                       bool forward) const override {
    Arena kept(memory.kept), scratch(memory.scratch);
    const GeneralBackend b;
    General<GeneralBackend> general(b, d_, bounded_, kept, scratch);
    return general.differentiate(in, out, forward);
  }

 private:
  Dimensions d_;
  bool bounded_;
};

}  // namespace optnet::OPTNET_ISA
