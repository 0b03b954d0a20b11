// The SIMD wrapper: `Pack<T, W>` holds one number of each of W problems. Built once per instruction set, in a
// namespace of its own (OPTNET_ISA), so that code for different CPUs can live in one binary.
//
// Multiply–add is always explicit and the compiler may not contract on its own (-ffp-contract=off): a
// problem's result then has the same bits whether its data sit in a lane of a register or in a scalar (W =
// 1).
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "solver/scalar.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef OPTNET_ISA
#error "OPTNET_ISA names the instruction set that this file is compiled for"
#endif

#define OPTNET_INLINE inline __attribute__((always_inline))
#define OPTNET_NOINLINE __attribute__((noinline))  // each kernel is compiled once, not once a caller
#define OPTNET_UNROLL _Pragma("GCC unroll 32")

namespace optnet::OPTNET_ISA {

// OPTNET_EMULATE_WIDE: registers as wide as AVX-512's on a CPU without it, for tests of what depends on the
// width.
#if defined(__AVX512F__) || defined(OPTNET_EMULATE_WIDE)
constexpr int kVectorBytes = 64;
constexpr int kVectorRegisters = 32;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kVectorRegisters = 16;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kVectorRegisters = 32;
#else
constexpr int kVectorBytes = 16;
constexpr int kVectorRegisters = 16;
#endif

/// Lanes of T in one register.
template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

namespace detail {

template <class T, int W>
struct VectorOf {
  typedef T type __attribute__((vector_size(W * sizeof(T))));
};
template <class T>
struct VectorOf<T, 1> {
  typedef T type;
};

}  // namespace detail

// One register: arithmetic and comparison come from the compiler's vector extension, the rest from here.

template <class T, int W>
using Register = typename detail::VectorOf<T, W>::type;

#if defined(OPTNET_EMULATE_WIDE)
using F64 = Register<double, 8>;
using F32 = Register<float, 16>;
template <class R, class F>
OPTNET_INLINE R by_lane(F f) {
  R out;
  for (int l = 0; l < static_cast<int>(sizeof(R) / sizeof(out[0])); ++l) out[l] = f(l);
  return out;
}
OPTNET_INLINE F64 fma(F64 a, F64 b, F64 c) {
  return by_lane<F64>([&](int l) { return __builtin_fma(a[l], b[l], c[l]); });
}
OPTNET_INLINE F32 fma(F32 a, F32 b, F32 c) {
  return by_lane<F32>([&](int l) { return __builtin_fmaf(a[l], b[l], c[l]); });
}
OPTNET_INLINE F64 sqrt(F64 a) {
  return by_lane<F64>([&](int l) { return __builtin_sqrt(a[l]); });
}
OPTNET_INLINE F32 sqrt(F32 a) {
  return by_lane<F32>([&](int l) { return __builtin_sqrtf(a[l]); });
}
#elif defined(__AVX512F__)
using F64 = Register<double, 8>;
using F32 = Register<float, 16>;
OPTNET_INLINE F64 fma(F64 a, F64 b, F64 c) {
  return (F64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
OPTNET_INLINE F32 fma(F32 a, F32 b, F32 c) { return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
OPTNET_INLINE F64 sqrt(F64 a) { return (F64)_mm512_sqrt_pd((__m512d)a); }
OPTNET_INLINE F32 sqrt(F32 a) { return (F32)_mm512_sqrt_ps((__m512)a); }
#elif defined(__AVX2__)
using F64 = Register<double, 4>;
using F32 = Register<float, 8>;
OPTNET_INLINE F64 fma(F64 a, F64 b, F64 c) {
  return (F64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
OPTNET_INLINE F32 fma(F32 a, F32 b, F32 c) { return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
OPTNET_INLINE F64 sqrt(F64 a) { return (F64)_mm256_sqrt_pd((__m256d)a); }
OPTNET_INLINE F32 sqrt(F32 a) { return (F32)_mm256_sqrt_ps((__m256)a); }
#elif defined(__aarch64__)
using F64 = Register<double, 2>;
using F32 = Register<float, 4>;
OPTNET_INLINE F64 fma(F64 a, F64 b, F64 c) {
  return (F64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
OPTNET_INLINE F32 fma(F32 a, F32 b, F32 c) {
  return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
OPTNET_INLINE F64 sqrt(F64 a) { return (F64)vsqrtq_f64((float64x2_t)a); }
OPTNET_INLINE F32 sqrt(F32 a) { return (F32)vsqrtq_f32((float32x4_t)a); }
#else
using F64 = Register<double, 2>;
using F32 = Register<float, 4>;
OPTNET_INLINE F64 fma(F64 a, F64 b, F64 c) { return a * b + c; }
OPTNET_INLINE F32 fma(F32 a, F32 b, F32 c) { return a * b + c; }
OPTNET_INLINE F64 sqrt(F64 a) { return (F64)_mm_sqrt_pd((__m128d)a); }
OPTNET_INLINE F32 sqrt(F32 a) { return (F32)_mm_sqrt_ps((__m128)a); }
#endif

// The scalar rounds as a lane does: fused where the registers are.
#if defined(__FMA__) || defined(__aarch64__) || defined(OPTNET_EMULATE_WIDE)
OPTNET_INLINE double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
OPTNET_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
OPTNET_INLINE double fma(double a, double b, double c) { return a * b + c; }
OPTNET_INLINE float fma(float a, float b, float c) { return a * b + c; }
#endif
OPTNET_INLINE double sqrt(double a) { return __builtin_sqrt(a); }
OPTNET_INLINE float sqrt(float a) { return __builtin_sqrtf(a); }

/// Keeps a loaded operand in a register: gcc would fold the load into each multiply–add that uses it, and
/// load it again and again (54.6 → 72.8 GFLOP/s at n = 100 on Zen 5).
template <class R>
OPTNET_INLINE void keep_in_register([[maybe_unused]] R& r) {
#if defined(OPTNET_EMULATE_WIDE)
#elif defined(__AVX512F__)
  asm("" : "+v"(r));
#elif defined(__x86_64__)
  asm("" : "+x"(r));
#elif defined(__aarch64__)
  asm("" : "+w"(r));
#endif
}

template <class Half, int... kAt>
OPTNET_INLINE auto join(Half low, Half high, std::integer_sequence<int, kAt...>) {
  return __builtin_shufflevector(low, high, kAt...);
}
template <int kFrom, class R, int... kAt>
OPTNET_INLINE auto half(R r, std::integer_sequence<int, kAt...>) {
  return __builtin_shufflevector(r, r, (kFrom + kAt)...);
}

/// Exchanges bit kDistance of the lane number with "a or b": one round of a transposition.
template <int kDistance, bool kUpper, class R, int... kAt>
OPTNET_INLINE R exchange(R a, R b, std::integer_sequence<int, kAt...>) {
  constexpr int kWidth = sizeof...(kAt);
  constexpr auto from = [](int i) {
    if (kUpper) return i & kDistance ? kWidth + i : i + kDistance;
    return i & kDistance ? kWidth + i - kDistance : i;
  };
  return __builtin_shufflevector(a, b, from(kAt)...);
}
/// r[i][l] ↔ r[l][i]
template <int kDistance, class R, int N>
OPTNET_INLINE void transpose(R (&r)[N]) {
  if constexpr (kDistance > 0) {
    OPTNET_UNROLL for (int i = 0; i < N; ++i) {
      if (i & kDistance) continue;
      const R a = r[i], b = r[i + kDistance];
      r[i] = exchange<kDistance, false>(a, b, std::make_integer_sequence<int, N>{});
      r[i + kDistance] = exchange<kDistance, true>(a, b, std::make_integer_sequence<int, N>{});
    }
    transpose<kDistance / 2>(r);
  }
}

/// One number of each of W problems, in as many registers as that takes.
template <class T, int W>
struct Pack {
  using Scalar = T;
  static constexpr int kWidth = W;
  static constexpr int kRegisters = W <= kLanes<T> ? 1 : W / kLanes<T>;
  using R = Register<T, W / kRegisters>;

  R r[kRegisters];

  Pack() = default;
  OPTNET_INLINE Pack(
      T x) {  // NOLINT(google-explicit-constructor): a constant is the same number in each problem
    OPTNET_UNROLL for (auto& v : r) v = x - R{};
  }

  OPTNET_INLINE T lane(int l) const { return reinterpret_cast<const T*>(this)[l]; }
  OPTNET_INLINE void set_lane(int l, T x) { reinterpret_cast<T*>(this)[l] = x; }

  template <class F>
  static OPTNET_INLINE Pack map(F f) {
    Pack out;
    OPTNET_UNROLL for (int i = 0; i < kRegisters; ++i) out.r[i] = f(i);
    return out;
  }

  friend OPTNET_INLINE Pack operator+(Pack a, Pack b) {
    return map([&](int i) { return a.r[i] + b.r[i]; });
  }
  friend OPTNET_INLINE Pack operator-(Pack a, Pack b) {
    return map([&](int i) { return a.r[i] - b.r[i]; });
  }
  friend OPTNET_INLINE Pack operator*(Pack a, Pack b) {
    return map([&](int i) { return a.r[i] * b.r[i]; });
  }
  friend OPTNET_INLINE Pack operator/(Pack a, Pack b) {
    return map([&](int i) { return a.r[i] / b.r[i]; });
  }
  friend OPTNET_INLINE Pack operator-(Pack a) {
    return map([&](int i) { return -a.r[i]; });
  }

  /// One truth value per problem.
  struct Mask {
    using R = decltype(Pack::R{} < Pack::R{});
    R r[kRegisters];

    Mask() = default;
    OPTNET_INLINE explicit Mask(bool b) {
      OPTNET_UNROLL for (auto& v : r) {
        if constexpr (W == 1) {
          v = b;
        } else {
          v = b ? ~R{} : R{};
        }
      }
    }
    OPTNET_INLINE bool lane(int l) const {
      if constexpr (W == 1) {
        return r[0];
      } else {
        return reinterpret_cast<const std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>*>(
                   this)[l] != 0;
      }
    }
    template <class F>
    static OPTNET_INLINE Mask map(F f) {
      Mask out;
      OPTNET_UNROLL for (int i = 0; i < kRegisters; ++i) out.r[i] = f(i);
      return out;
    }
    friend OPTNET_INLINE Mask operator&(Mask a, Mask b) {
      return map([&](int i) { return a.r[i] & b.r[i]; });
    }
    friend OPTNET_INLINE Mask operator|(Mask a, Mask b) {
      return map([&](int i) { return a.r[i] | b.r[i]; });
    }
    friend OPTNET_INLINE Mask operator!(Mask a) {
      return map([&](int i) {
        if constexpr (W == 1) {
          return !a.r[i];
        } else {
          return ~a.r[i];
        }
      });
    }
    friend OPTNET_INLINE bool all(Mask a) {
      bool every = true;
      for (int l = 0; l < W; ++l) every &= a.lane(l);
      return every;
    }
  };

  friend OPTNET_INLINE Mask operator<(Pack a, Pack b) {
    return Mask::map([&](int i) { return a.r[i] < b.r[i]; });
  }
  friend OPTNET_INLINE Mask operator<=(Pack a, Pack b) {
    return Mask::map([&](int i) { return a.r[i] <= b.r[i]; });
  }
  friend OPTNET_INLINE Mask operator>(Pack a, Pack b) { return b < a; }

  friend OPTNET_INLINE Pack select(Mask m, Pack a, Pack b) {
    return map([&](int i) { return m.r[i] ? a.r[i] : b.r[i]; });
  }
  friend OPTNET_INLINE Pack min(Pack a, Pack b) {
    return map([&](int i) { return a.r[i] < b.r[i] ? a.r[i] : b.r[i]; });
  }
  friend OPTNET_INLINE Pack max(Pack a, Pack b) {
    return map([&](int i) { return a.r[i] > b.r[i] ? a.r[i] : b.r[i]; });
  }
  friend OPTNET_INLINE Pack abs(Pack a) {
    return map([&](int i) { return a.r[i] < 0 ? -a.r[i] : a.r[i]; });
  }
  friend OPTNET_INLINE Pack sqrt(Pack a) {
    return map([&](int i) { return OPTNET_ISA::sqrt(a.r[i]); });
  }
  /// a·b + c
  friend OPTNET_INLINE Pack fma(Pack a, Pack b, Pack c) {
    return map([&](int i) { return OPTNET_ISA::fma(a.r[i], b.r[i], c.r[i]); });
  }
  /// c − a·b
  friend OPTNET_INLINE Pack fnma(Pack a, Pack b, Pack c) { return fma(-a, b, c); }
  friend OPTNET_INLINE void keep_in_register(Pack& a) {
    OPTNET_UNROLL for (auto& v : a.r) OPTNET_ISA::keep_in_register(v);
  }
};

// `min`, `max` and `abs` where a member of that name hides them.
template <class P>
OPTNET_INLINE P smaller(P a, P b) {
  return min(a, b);
}
template <class P>
OPTNET_INLINE P larger(P a, P b) {
  return max(a, b);
}

/// What loading a row found: the largest magnitude, and Σ 0·x, which is 0 if every number is finite and NaN
/// if not.
template <class Real>
struct RowCheck {
  Real norm{0}, nothing{0};

  OPTNET_INLINE void add(Real x) {
    norm = larger(norm, abs(x));
    nothing = nothing + x * Real(0);
  }
};

/// Float packs from double packs of the same problems: one register from two.
template <int W>
OPTNET_INLINE Pack<float, W> to_float(const Pack<double, W>& a) {
  static_assert(Pack<double, W>::kRegisters == 2 && Pack<float, W>::kRegisters == 1);
  using Half = Register<float, W / 2>;
  Pack<float, W> out;
  out.r[0] = join(__builtin_convertvector(a.r[0], Half), __builtin_convertvector(a.r[1], Half),
                  std::make_integer_sequence<int, W>{});
  return out;
}
template <int W>
OPTNET_INLINE Pack<double, W> to_double(const Pack<float, W>& a) {
  using R = typename Pack<double, W>::R;
  Pack<double, W> out;
  out.r[0] = __builtin_convertvector(half<0>(a.r[0], std::make_integer_sequence<int, W / 2>{}), R);
  out.r[1] = __builtin_convertvector(half<W / 2>(a.r[0], std::make_integer_sequence<int, W / 2>{}), R);
  return out;
}

}  // namespace optnet::OPTNET_ISA
