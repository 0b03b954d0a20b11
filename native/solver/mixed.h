// Mixed precision: the factor that changes with each iteration is float32, every solve with it is refined
// once in float64, and all else is float64. The derivative's factor is float64 too.
//
// T = I + W R W may be very badly conditioned near the solution (its diagonal spans the squares of λ/s), so
// it is scaled to a unit diagonal, C T C with C = diag(T)^-½, before it is rounded to float32.
#pragma once

#include "solver/scalar.h"

namespace optnet {

/// Pivots of the scaled matrix are at least this: below, rounding to float32 may have made it indefinite.
constexpr float kLeastPivot = 1e-7F;

/// A float64 backend Base whose iterations factor in float32, by the backend Narrow for as many problems.
/// Derived adds
///     Narrow narrow() const
///     void factor_narrow(R, F) const    F.L Lᵀ ≈ the matrix of unit diagonal and elements uᵢ Rᵢⱼ uⱼ
template <class Base, class Narrow, class Derived>
class MixedPrecision : public Base {
 public:
  using Base::Base;
  using Real = typename Base::Real;
  using NarrowReal = typename Narrow::Real;
  using Triangle = typename Base::Triangle;

  struct Factor {
    typename Narrow::Factor L;
    NarrowReal* u;       ///< √(λ/s)·scale in float32
    NarrowReal* narrow;  ///< a right-hand side in float32
    Real *scale, *rhs, *x, *product;
  };

  template <class Arena>
  OPTNET_FUNCTION static Factor factor_storage(Arena& arena, int size) {
    return {Narrow::factor_storage(arena, size),
            Narrow::vector(arena, size),
            Narrow::vector(arena, size),
            Base::vector(arena, size),
            Base::vector(arena, size),
            Base::vector(arena, size),
            Base::vector(arena, size)};
  }

  using Base::factor_scaled;
  /// T Tᵀ ≈ C (I + W R W) C
  OPTNET_FUNCTION void factor_scaled(const Triangle& R, const Real* w, const Factor& T) const {
    const int m = R.size;
    this->diagonal(R, T.scale);
    this->each(m, [&](int i) {
      T.scale[i] = Real(1.0) / sqrt(fma(w[i] * T.scale[i], w[i], Real(1.0)));
      T.u[i] = to_float(w[i] * T.scale[i]);
    });
    derived().factor_narrow(R, T);
  }

  using Base::solve_scaled;
  /// v ← (I + W R W)⁻¹ v, refined once
  OPTNET_FUNCTION void solve_scaled(const Triangle& R, const Real* w, const Factor& T, Real* v) const {
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
  OPTNET_FUNCTION const Derived& derived() const { return static_cast<const Derived&>(*this); }

  OPTNET_FUNCTION void solve_narrow(int m, const Factor& T, Real* v) const {
    const Narrow narrow = derived().narrow();
    this->each(m, [&](int i) { T.narrow[i] = to_float(T.scale[i] * v[i]); });
    narrow.solve_lower(T.L, T.narrow);
    narrow.solve_upper(T.L, T.narrow);
    this->each(m, [&](int i) { v[i] = T.scale[i] * to_double(T.narrow[i]); });
  }
};

}  // namespace optnet
