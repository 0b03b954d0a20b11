// Mixed precision: the factor that changes with each iteration is float32, every solve with it is refined
// once in float64, and all else is float64. The derivative's factor is float64 too.
//
// T = I + W R W may be very badly conditioned near the solution (its diagonal spans the squares of λ/s), so
// it is scaled to a unit diagonal, C T C with C = diag(T)^-½, before it is rounded to float32.
#pragma once

#include "cpu/blocked.h"
#include "cpu/packed.h"

namespace optnet::OPTNET_ISA {

/// Pivots of the scaled matrix are at least this: below, rounding to float32 may have made it indefinite.
constexpr float kLeastPivot = 1e-7F;

OPTNET_INLINE double to_double(float x) { return x; }
OPTNET_INLINE float to_float(double x) { return static_cast<float>(x); }

/// What the two mixed backends share. Base: the float64 backend; Narrow: the float32 one with as many
/// problems.
template <class Base, class Narrow>
class MixedBackend : public Base {
 public:
  using Real = typename Base::Real;
  using NarrowReal = typename Narrow::Real;
  using Triangle = typename Base::Triangle;

  struct Factor {
    typename Narrow::Triangle L;
    NarrowReal* u;       ///< √(λ/s)·scale in float32
    NarrowReal* narrow;  ///< a right-hand side in float32
    Real *scale, *rhs, *x, *product;
  };

  static Factor factor_storage(Arena& arena, int size) {
    return {Narrow::triangle(arena, size, false),
            Narrow::vector(arena, size),
            Narrow::vector(arena, size),
            Base::vector(arena, size),
            Base::vector(arena, size),
            Base::vector(arena, size),
            Base::vector(arena, size)};
  }

  using Base::factor_scaled;
  /// T Tᵀ ≈ C (I + W R W) C
  void factor_scaled(const Triangle& R, const Real* w, const Factor& T) const {
    const int m = R.size;
    this->diagonal(R, T.scale);
    this->each(m, [&](int i) {
      T.scale[i] = Real(1.0) / sqrt(fma(w[i] * T.scale[i], w[i], Real(1.0)));
      T.u[i] = to_float(w[i] * T.scale[i]);
    });
    factor_narrow(R, T);
  }

  using Base::solve_scaled;
  /// v ← (I + W R W)⁻¹ v, refined once
  void solve_scaled(const Triangle& R, const Real* w, const Factor& T, Real* v) const {
    const int m = R.size;
    this->each(m, [&](int i) { T.rhs[i] = v[i]; });
    solve_narrow(m, T, v);
    this->each(m, [&](int i) { T.x[i] = w[i] * v[i]; });
    this->multiply_symmetric(R, T.x, T.product);
    this->each(m, [&](int i) { T.rhs[i] = T.rhs[i] - v[i] - w[i] * T.product[i]; });
    solve_narrow(m, T, T.rhs);
    this->each(m, [&](int i) { v[i] = v[i] + T.rhs[i]; });
  }

 private:
  void solve_narrow(int m, const Factor& T, Real* v) const {
    const Narrow narrow;
    this->each(m, [&](int i) { T.narrow[i] = to_float(T.scale[i] * v[i]); });
    narrow.solve_lower(T.L, T.narrow);
    narrow.solve_upper(T.L, T.narrow);
    this->each(m, [&](int i) { v[i] = T.scale[i] * to_double(T.narrow[i]); });
  }

  /// From R and u, packs.
  template <class T = Base>
  OPTNET_NOINLINE void factor_narrow(const Triangle& R, const Factor& F) const
    requires(T::kWidth > 1)
  {
    Base::read(R, [&](auto r) {
      Narrow::cholesky(
          F.L, [&](int i, int j) { return i == j ? NarrowReal(1.0F) : F.u[i] * to_float(r(i)[j]) * F.u[j]; },
          [](NarrowReal pivot, NarrowReal) {
            return NarrowReal(1.0F) / sqrt(max(pivot, NarrowReal(kLeastPivot)));
          });
    });
  }

  /// From R and u, one problem: its strips are half as high in float64.
  template <class T = Base>
  OPTNET_NOINLINE void factor_narrow(const Triangle& R, const Factor& F) const
    requires(T::kWidth == 1)
  {
    using V = typename Narrow::R;
    constexpr int kLane = Narrow::kLane;
    Narrow::cholesky(
        F.L,
        [&](int s, int j, int v) {
          const int row = s * Narrow::kStrip + v * kLane;
          V out, u;
          std::memcpy(&u, F.u + row, sizeof u);
          const auto half = [&](int first) {
            typename Base::R wide{};
            const int strip = first / Base::kStrip;
            if (strip < R.strips() &&
                j < (strip + 1) * Base::kStrip) {  // above the diagonal nothing is stored
              std::memcpy(&wide,
                          R.strip(strip) + static_cast<std::size_t>(j) * Base::kStrip + first % Base::kStrip,
                          sizeof wide);
            }
            return __builtin_convertvector(wide, Register<float, kLane / 2>);
          };
          out = join(half(row), half(row + kLane / 2), std::make_integer_sequence<int, kLane>{});
          out = out * u * (F.u[j] - V{});
          if (j >= row && j < row + kLane) out[j - row] = 1;
          return out;
        },
        [](float pivot, float) { return 1 / OPTNET_ISA::sqrt(pivot > kLeastPivot ? pivot : kLeastPivot); });
  }
};

using MixedPacked =
    MixedBackend<PackedBackend<Pack<double, kLanes<float>>>, PackedBackend<Pack<float, kLanes<float>>>>;
using MixedBlocked = MixedBackend<BlockedBackend<double>, BlockedBackend<float>>;

}  // namespace optnet::OPTNET_ISA
