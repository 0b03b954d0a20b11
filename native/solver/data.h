// A problem in its backend's layout:  minimise ½zᵀQz + pᵀz  subject to  Gz ≤ h (λ),  Az = b (ν).
#pragma once

#include <cstddef>

#include "solver/scalar.h"
#include "solver/settings.h"

namespace optnet {

template <class B>
struct Data {
  using Real = typename B::Real;

  Dimensions d;
  typename B::Triangle Q;  ///< n×n, lower triangle
  typename B::Matrix G;    ///< m×n
  typename B::Matrix A;    ///< q×n
  Real* p = nullptr;
  Real* h = nullptr;
  Real* b = nullptr;
  Real* G_norm = nullptr;  ///< ‖Gᵢ‖∞ (1 for a row of zeros), m
  Real* A_norm = nullptr;  ///< ‖Aₖ‖∞, likewise, q

  typename B::Scalar* shared_G_norm = nullptr;  ///< the same, where G is shared: copied to each pack's G_norm
  typename B::Scalar* shared_A_norm = nullptr;

  /// Shared matrices come from `shared`, all else from `own`. For the pass over what is shared, B::Shared
  /// places the same `shared` memory.
  template <class Arena>
  OPTNET_FUNCTION Data(const Dimensions& dims, const Sharing& sharing, Arena& shared, Arena& own) : d(dims) {
    Q = B::triangle(sharing.Q ? shared : own, d.n, sharing.Q);
    G = B::matrix(sharing.G ? shared : own, d.m, d.n, sharing.G);
    A = B::matrix(sharing.A ? shared : own, d.q, d.n, sharing.A);
    p = B::vector(own, d.n);
    h = B::vector(own, d.m);
    b = B::vector(own, d.q);
    G_norm = B::vector(own, d.m);
    A_norm = B::vector(own, d.q);
    if (sharing.G) shared_G_norm = shared.template take<typename B::Scalar>(static_cast<std::size_t>(d.m));
    if (sharing.A) shared_A_norm = shared.template take<typename B::Scalar>(static_cast<std::size_t>(d.q));
  }
};

/// The primal-dual point: z (n), slack s and λ (m), ν (q).
template <class B>
struct Iterate {
  using Real = typename B::Real;
  Real* z = nullptr;
  Real* lambda = nullptr;
  Real* nu = nullptr;
  Real* s = nullptr;

  template <class Arena>
  OPTNET_FUNCTION Iterate(const Dimensions& d, Arena& arena)
      : z(B::vector(arena, d.n)),
        lambda(B::vector(arena, d.m)),
        nu(B::vector(arena, d.q)),
        s(B::vector(arena, d.m)) {}
};

/// The sizes of a problem's own numbers, as far as a start shows them. No unit that the caller may have makes
/// the tolerance loose: its absolute parts (settings.h) are at most these.
template <class B>
struct Units {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  Real root{Scalar(0)};  ///< of the objective: what λᵢuᵢ and sᵢ/uᵢ are large or small beside (polish.h)
  Real row{Scalar(1)};      ///< of a row's value, over ‖Gᵢ‖∞ or ‖Aₖ‖∞, at most 1
  Real dual{Scalar(1e30)};  ///< of Qz + p + Gᵀλ + Aᵀν
  Real gap{Scalar(1e30)};   ///< of sᵀλ/m

  /// The tolerance's unit for a row of this norm.
  OPTNET_FUNCTION Real of_row(Real norm) const { return min(Real(Scalar(1)), norm * row); }
};

/// to ← from where `mask` holds.
template <class B, class Real = typename B::Real>
OPTNET_FUNCTION void copy_where(const B& backend, typename B::Mask mask, int n, const Real* from, Real* to) {
  backend.each(n, [&](int i) { to[i] = select(mask, from[i], to[i]); });
}

}  // namespace optnet
