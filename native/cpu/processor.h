// What this processor can run. dispatch.cpp chooses by it, and so does a build for this processor alone.
#pragma once

namespace optnet {

#if defined(__x86_64__)

/// What -march=x86-64-v3 may use.
inline bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

/// What -march=x86-64-v4 may use.
inline bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

/// The instruction set that dispatch.cpp takes where all are compiled in.
inline const char* widest_instruction_set() {
  if (has_avx512()) return "avx512";
  return has_avx2() ? "avx2" : "sse2";
}

#endif

}  // namespace optnet
