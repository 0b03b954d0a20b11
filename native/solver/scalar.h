// The operations of a backend's Real for plain numbers: backends that take one problem at a time use them.
#pragma once

#include <cmath>

#include "solver/target.h"

namespace optnet {

#define OPTNET_SCALAR                                     \
  template <class T>                                      \
    requires(__is_same(T, float) || __is_same(T, double)) \
  OPTNET_FUNCTION inline __attribute__((always_inline)) T

OPTNET_SCALAR select(bool condition, T a, T b) { return condition ? a : b; }
OPTNET_SCALAR min(T a, T b) { return a < b ? a : b; }
OPTNET_SCALAR max(T a, T b) { return a > b ? a : b; }
OPTNET_SCALAR abs(T a) { return a < 0 ? -a : a; }
OPTNET_SCALAR fma(T a, T b, T c) { return a * b + c; }
OPTNET_SCALAR sqrt(T a) { return std::sqrt(a); }

#undef OPTNET_SCALAR

OPTNET_FUNCTION inline double to_double(float x) { return x; }
OPTNET_FUNCTION inline float to_float(double x) { return static_cast<float>(x); }

OPTNET_FUNCTION inline bool all(bool condition) { return condition; }

}  // namespace optnet
