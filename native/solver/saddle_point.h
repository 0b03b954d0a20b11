// Solves  | M  Aᵀ | |z|   |a|
//         | A  0  | |ν| = |b|   from M = L Lᵀ, by the Schur complement E = A M⁻¹ Aᵀ.
//
// In the coordinates ẑ = Lᵀz:  Yₐ = A L⁻ᵀ, E = Yₐ Yₐᵀ, and with c = L⁻¹a:  ν = E⁻¹(Yₐ c − b),  ẑ = c − Yₐᵀ ν.
#pragma once

#include "solver/data.h"

namespace optnet {

template <class B>
struct SaddlePoint {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;

  typename B::Triangle L;   ///< Cholesky factor of M, n×n
  typename B::Matrix Ya;    ///< q×n
  typename B::Triangle Le;  ///< Cholesky factor of E, q×q

  /// L and Yₐ, Lₑ may be shared apart: `share_L`, `share_A` say which memory each comes from.
  template <class Arena>
  OPTNET_FUNCTION SaddlePoint(const Dimensions& d, bool share_L, bool share_A, Arena& shared, Arena& own)
      : L(B::triangle(share_L ? shared : own, d.n, share_L)),
        Ya(B::matrix(share_A ? shared : own, d.q, d.n, share_A)),
        Le(B::triangle(share_A ? shared : own, d.q, share_A)) {}

  /// L ← M's factor. False where M is not numerically positive definite.
  OPTNET_FUNCTION typename B::Mask factor(const B& b, const typename B::Triangle& M) {
    return b.factor(M, L, static_cast<Scalar>(kSingularPivot * M.size) * kEpsilon<Scalar>);
  }

  /// Yₐ, Lₑ ← A's, once L is there. Rows of A that depend on others are dropped: their ν is 0.
  OPTNET_FUNCTION void factor_equalities(const B& b, const typename B::Matrix& A) {
    if (A.rows == 0) return;
    b.solve_rows(L, A, Ya);
    b.gram(Ya, Le);
    b.factor_dropping(Le, static_cast<Scalar>(kDependentPivot) * kEpsilon<Scalar>);
  }

  /// ẑ ← c − Yₐᵀν in place of c;  ν ← E⁻¹(Yₐ c − rhs) in `nu`, which may be `rhs`. `work`: max(n, q).
  OPTNET_LARGE_FUNCTION void eliminate(const B& b, Real* c, const Real* rhs, Real* nu, Real* work) const {
    const int q = Ya.rows, n = Ya.columns;
    if (q == 0) return;
    b.multiply(Ya, c, work);
    b.each(q, [&](int k) { nu[k] = work[k] - rhs[k]; });
    b.solve_lower(Le, nu);
    b.solve_upper(Le, nu);
    b.multiply_transpose(Ya, nu, work);
    b.each(n, [&](int j) { c[j] = c[j] - work[j]; });
  }
};

}  // namespace optnet
