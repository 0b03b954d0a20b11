// The least that a test needs: CHECK counts, says what failed, and goes on.
#pragma once

#include <cmath>
#include <cstdio>

namespace optnet::test {

inline int failures = 0;
inline int checks = 0;

inline void check(bool ok, const char* what, const char* file, int line) {
  ++checks;
  if (ok) return;
  ++failures;
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}
inline void check_close(double a, double b, double tolerance, const char* what, const char* file, int line) {
  ++checks;
  if (std::fabs(a - b) <= tolerance) return;  // not so for NaN
  ++failures;
  std::fprintf(stderr, "%s:%d: failed: %s: %.17g and %.17g differ by more than %g\n", file, line, what, a, b,
               tolerance);
}

/// What main returns. No check at all is a failure too.
inline int result() {
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace optnet::test

#define CHECK(condition) optnet::test::check(condition, #condition, __FILE__, __LINE__)
#define CHECK_CLOSE(a, b, tolerance) \
  optnet::test::check_close(a, b, tolerance, #a " ≈ " #b, __FILE__, __LINE__)
