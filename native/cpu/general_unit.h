// What the engine knows of the general solver on the CPU: one problem at a time.
#pragma once

#include <cstddef>
#include <memory>

#include "solver/general.h"

namespace optnet {

class GeneralUnit {
 public:
  /// Bytes: for each problem after it was solved, and for each worker.
  struct Footprint {
    std::size_t kept = 0, scratch = 0;
  };
  struct Memory {
    std::byte *kept = nullptr, *scratch = nullptr;
  };

  virtual ~GeneralUnit() = default;
  virtual Footprint footprint() const = 0;
  /// See General::solve and General::differentiate.
  virtual GeneralReport solve(const Memory& memory, const PlainProblem& problem,
                              const GeneralSettings& settings, const GeneralVectors* guess,
                              const GeneralVectors& solution, const GeneralVectors& differentiated) const = 0;
  virtual double differentiate(const Memory& memory, const GeneralVectors& in, const GeneralVectors& out,
                               bool forward) const = 0;
};

}  // namespace optnet
