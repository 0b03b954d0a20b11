// The residuals that the tolerance bounds, in float64 from the data: for solvers whose own arithmetic cannot
// tell.
#pragma once

#include "solver/plain_problem.h"

namespace optnet {

struct Residuals {
  double scaled = 0;  ///< in units of what the tolerance allows (solver/settings.h)
  double primal = 0, dual = 0, gap = 0;
};

/// Of a problem without sides beside Gz ≤ h.
Residuals residuals_of(const PlainProblem& problem, const double* z, const double* lambda, const double* nu,
                       const double* slack);

}  // namespace optnet
