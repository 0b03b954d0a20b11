// One problem as a caller would write it down.
#pragma once

#include "solver/settings.h"

namespace optnet {

/// One problem in plain row-major arrays. Null where absent: Q, the bounds, and what m or q = 0 leaves empty.
struct PlainProblem {
  Dimensions d;
  double *Q = nullptr, *p = nullptr, *G = nullptr, *h = nullptr, *A = nullptr, *b = nullptr;
  double *gl = nullptr, *lb = nullptr, *ub = nullptr;
};

}  // namespace optnet
