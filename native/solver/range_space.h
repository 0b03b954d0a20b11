// The range-space form, for Q ≻ 0 and m not much larger than n: all iterations live in the m dimensions of λ.
//
// Q = L Lᵀ, Y = G L⁻ᵀ, Yₐ = A L⁻ᵀ, P = I − Yₐᵀ(Yₐ Yₐᵀ)⁻¹Yₐ. Eliminating z and ν from the KKT conditions
// leaves
//     s = q + R λ,   s ≥ 0, λ ≥ 0, sᵀλ = 0,      R = Y P Yᵀ,   q = h − Y ẑ₀,
// where ẑ₀ solves the problem without inequalities. The dual and equality residuals vanish by construction.
// Newton's matrix R + diag(s/λ) = W⁻¹ T W⁻¹, W = diag √(λ/s); every eigenvalue of T = I + W R W is at
// least 1.
#pragma once

#include "solver/interior_point.h"
#include "solver/saddle_point.h"

namespace optnet {

template <class B>
class RangeSpace {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Mask = typename B::Mask;

  /// `kept` outlives the solve, `scratch` does not; `reduced` is for R, `setup` for what `prepare` alone
  /// needs.
  template <class Arena>
  OPTNET_FUNCTION RangeSpace(const Dimensions& dims, const Sharing& s, Arena& shared, Arena& kept,
                             Arena& scratch, Arena& reduced, Arena& setup)
      : d(dims), sharing(s), saddle(d, s.Q, s.Q && s.A, shared, kept) {
    const bool share_Y = s.Q && s.G;
    const bool share_R = share_all();
    Y = B::matrix(share_Y ? shared : kept, d.m, d.n, share_Y);
    T_end = B::triangle(kept, d.m, false);
    w_end = B::vector(kept, d.m);
    zhat = B::vector(scratch, d.n);
    work = B::vector(scratch, d.n > d.q ? d.n : d.q);
    work_nu = B::vector(scratch, d.q);
    offset = B::vector(scratch, d.m);
    w = B::vector(scratch, d.m);
    V = B::matrix(share_R ? shared : setup, d.m, d.q, share_R);
    R = B::triangle(share_R ? shared : reduced, d.m, share_R);
    T = B::factor_storage(scratch, d.m);
  }

  /// Runs the stages whose inputs are all shared (`shared_pass`), or the others. False: Q is not positive
  /// definite.
  OPTNET_LARGE_FUNCTION Mask prepare(const B& b, const Data<B>& data, bool shared_pass) {
    Mask definite(true);
    if (sharing.Q == shared_pass) definite = saddle.factor(b, data.Q);
    if ((sharing.Q && sharing.A) == shared_pass) saddle.factor_equalities(b, data.A);
    if (d.m == 0) return definite;
    if ((sharing.Q && sharing.G) == shared_pass) b.solve_rows(saddle.L, data.G, Y);
    if (share_all() == shared_pass) {
      b.gram(Y, R);
      if (d.q > 0) {
        b.multiply_transposed(Y, saddle.Ya, V);
        b.solve_rows(saddle.Le, V, V);
        b.add_gram(R, Scalar(-1), V, R);
      }
    }
    return definite;
  }

  /// Before the first factorisation, with v.w: λ solves (R + D⁻¹) λ = −q, D = diag(kStartWeight²/Rᵢᵢ),
  /// complementarity dropped, each row in its own unit.
  OPTNET_LARGE_FUNCTION void begin(const B& b, const Data<B>& data, Iterate<B>& x, InteriorPointWork<B>& v,
                                   Units<B>& units) {
    const Real zero(Scalar(0)), one(Scalar(1)), weight(static_cast<Scalar>(kStartWeight));
    Real *const unit = v.t, *const q = x.s, *const rest = v.ds;
    eliminate_primal(b, data, nullptr, x.nu);
    units.root = b.max(d.n, [&](int j) { return abs(zhat[j]); });
    b.multiply(Y, zhat, offset);
    b.diagonal(R, unit);
    b.each(d.m, [&](int i) {
      offset[i] = data.h[i] - offset[i];
      q[i] = offset[i];
      unit[i] = select(unit[i] > zero, one / sqrt(unit[i]), one);
      v.w[i] = weight * unit[i];
    });
    cut_huge_slack(b, d.m, unit, q, rest);
  }

  /// After it.
  OPTNET_LARGE_FUNCTION void end_begin(const B& b, const Data<B>& data, Iterate<B>& x,
                                       InteriorPointWork<B>& v, Units<B>& units) {
    Real *const unit = v.t, *const q = x.s, *const rest = v.ds;
    b.each(d.m, [&](int i) { x.lambda[i] = -w[i] * q[i]; });
    b.solve_scaled(R, w, T, x.lambda);
    b.each(d.m, [&](int i) {
      x.s[i] = rest[i] - x.lambda[i] / w[i];
      x.lambda[i] = w[i] * x.lambda[i];
    });
    set_units(b, data, unit, push_inside(b, d.m, unit, x.lambda, x.s), units);
  }

  /// s = q + R λ, s ≥ 0, λ ≥ 0, sᵀλ = 0: the System of interior_point.h in λ alone.
  struct Reduced {
    RangeSpace& form;
    const B& b;
    const Data<B>& data;
    Iterate<B>& x;

    OPTNET_FUNCTION Real residual(Real* r, const Units<B>& units) {
      const int m = form.d.m;
      const Real relative(static_cast<Scalar>(kRelative));
      b.multiply_symmetric(form.R, x.lambda, r);
      b.each(m, [&](int i) { r[i] = r[i] + (form.offset[i] - x.s[i]); });
      return b.max(m, [&](int i) {
        return abs(r[i]) / (units.of_row(data.G_norm[i]) + relative * max(abs(data.h[i]), x.s[i]));
      });
    }
    OPTNET_FUNCTION void solve(Real* t) {
      b.each(form.d.m, [&](int i) { t[i] = -form.w[i] * t[i]; });
      b.solve_scaled(form.R, form.w, form.T, t);
      b.each(form.d.m, [&](int i) { t[i] = form.w[i] * t[i]; });
    }
    OPTNET_FUNCTION void step(Real, Mask) {}
    OPTNET_FUNCTION void keep(Mask) {}
    OPTNET_FUNCTION void restore(Mask) {}
  };

  /// z and ν for λ.
  OPTNET_LARGE_FUNCTION void recover(const B& b, const Data<B>& data, Iterate<B>& x) {
    eliminate_primal(b, data, d.m > 0 ? x.lambda : nullptr, x.nu);
    b.each(d.n, [&](int j) { x.z[j] = zhat[j]; });
    b.solve_upper(saddle.L, x.z);
  }

  // ---- on an active set: what polish.h needs ----

  static constexpr int kPolishSteps = 1;  ///< Newton's steps that may follow `solve_active`
  static constexpr bool kReducesSlack = true;

  /// uᵢ = √Rᵢᵢ
  OPTNET_FUNCTION void row_units(const B& b, const Data<B>&, Real* unit) const {
    const Real zero(Scalar(0));
    b.diagonal(R, unit);
    b.each(d.m, [&](int i) { unit[i] = sqrt(max(unit[i], zero)); });
  }
  /// With the factor kept for these weights: λ on the active set, (R + W⁻²) λ = −q, and s = q + R λ, for the
  /// problems in `which`.
  OPTNET_LARGE_FUNCTION void solve_active(const B& b, Iterate<B>& x, const Real* weights, Mask which) {
    const Real zero(Scalar(0));
    b.each(d.m, [&](int i) { w[i] = -weights[i] * offset[i]; });
    b.solve_lower(T_end, w);
    b.solve_upper(T_end, w);
    b.each(d.m, [&](int i) { x.lambda[i] = select(which, weights[i] * w[i], x.lambda[i]); });
    b.multiply_symmetric(R, x.lambda, w);
    b.each(d.m,
           [&](int i) { x.s[i] = select(which, select(weights[i] > zero, zero, offset[i] + w[i]), x.s[i]); });
  }
  /// Whether the active rows are independent (and of A's), from the factor's pivots. `work`: m.
  OPTNET_FUNCTION Mask is_regular(const B& b, const Real*, Real* work) const {
    // 1/√pivot; Wᵢ²Rᵢᵢ is kActiveWeight² for active rows, and inactive rows have the pivot 1.
    const Real most(static_cast<Scalar>(1 / (kActiveWeight * kActiveWeight * kDependentActive))),
        one(Scalar(1)), zero(Scalar(0));
    b.diagonal(T_end, work);
    return b.sum(d.m, [&](int i) {
      return select((w_end[i] > zero) & (work[i] * work[i] > most), one, zero);
    }) <= zero;
  }

  /// Newton's matrix with W = diag(weights).
  OPTNET_FUNCTION void factor(const B& b, const Data<B>& data, const Real* weights) {
    weigh(b, data, weights);
    b.factor_scaled(R, w, T);
  }
  /// The part of `factor` that is not dense linear algebra.
  OPTNET_FUNCTION void weigh(const B& b, const Data<B>&, const Real* weights) {
    b.each(d.m, [&](int i) { w[i] = weights[i]; });
  }

  /// The KKT system   | Q   Gᵀ   Aᵀ | |dz|   |az|
  ///                  | G  −W⁻²  0  | |dλ| = |aλ|
  ///                  | A   0    0  | |dν|   |aν|     dz in place of az, dν in place of aν.
  OPTNET_FUNCTION void solve_kkt(const B& b, const Data<B>&, Real* z, const Real* alambda, Real* nu,
                                 Real* dlambda) const {
    solve_kkt(b, z, alambda, nu, dlambda, w, [&](Real* t) { b.solve_scaled(R, w, T, t); });
  }

  /// Keeps T of the solution for the derivative: `solve_kkt_end` needs neither R nor another factorisation.
  OPTNET_FUNCTION void keep_factor(const B& b, const Data<B>& data, const Real* weights) {
    weigh_end(b, data, weights);
    b.factor_scaled(R, w_end, T_end);
  }
  OPTNET_FUNCTION void weigh_end(const B& b, const Data<B>&, const Real* weights) {
    b.each(d.m, [&](int i) { w_end[i] = weights[i]; });
  }
  OPTNET_FUNCTION void solve_kkt_end(const B& b, const Data<B>&, Real* z, const Real* alambda, Real* nu,
                                     Real* dlambda) const {
    solve_kkt(b, z, alambda, nu, dlambda, w_end, [&](Real* t) {
      b.solve_lower(T_end, t);
      b.solve_upper(T_end, t);
    });
  }

  /// W of the kept factor.
  OPTNET_FUNCTION const Real* end_weights() const { return w_end; }

  /// What is factored, for a backend that does so outside.
  struct Matrices {
    const SaddlePoint<B>& saddle;
    const typename B::Matrix &Y, &V;
    const typename B::Triangle& R;
    const typename B::Factor& T;
    const typename B::Triangle& T_end;
    const Real *w, *w_end;
  };
  OPTNET_FUNCTION Matrices matrices() const { return {saddle, Y, V, R, T, T_end, w, w_end}; }

 private:
  Dimensions d;
  Sharing sharing;
  SaddlePoint<B> saddle;        // of Q and A
  typename B::Matrix Y;         // m×n
  typename B::Matrix V;         // Y Yₐᵀ Lₑ⁻ᵀ, m×q: R = Y Yᵀ − V Vᵀ
  typename B::Triangle R;       // m×m
  typename B::Factor T;         // of the current iteration
  typename B::Triangle T_end;   // of the solution
  Real *w, *w_end;              // √(λ/s) in T and in T_end
  Real *zhat, *work, *work_nu;  // n, n, q
  Real* offset;                 // q of the LCP, m

  OPTNET_FUNCTION bool share_all() const {
    return sharing.Q && (d.m == 0 || sharing.G) && (d.q == 0 || sharing.A);
  }

  /// ẑ and ν for given λ (null: 0):  ẑ = −P(u + Yᵀλ) + Yₐᵀ E⁻¹ b,  u = L⁻¹p.
  OPTNET_FUNCTION void eliminate_primal(const B& b, const Data<B>& data, const Real* lambda, Real* nu) {
    b.each(d.n, [&](int j) { zhat[j] = -data.p[j]; });
    b.solve_lower(saddle.L, zhat);
    if (lambda) {
      b.multiply_transpose(Y, lambda, work);
      b.each(d.n, [&](int j) { zhat[j] = zhat[j] - work[j]; });
    }
    saddle.eliminate(b, zhat, data.b, nu, work);
  }

  template <class SolveT>
  OPTNET_LARGE_FUNCTION void solve_kkt(const B& b, Real* c, const Real* alambda, Real* nu, Real* dlambda,
                                       const Real* weights, SolveT solve_T) const {
    b.solve_lower(saddle.L, c);
    if (d.m > 0) {  // (R + W⁻²) dλ = Y ẑ₀ − aλ,  ẑ₀ = P c + Yₐᵀ E⁻¹ aν
      b.each(d.n, [&](int j) { zhat[j] = c[j]; });
      saddle.eliminate(b, zhat, nu, work_nu, work);
      b.multiply(Y, zhat, dlambda);
      b.each(d.m, [&](int i) { dlambda[i] = weights[i] * (dlambda[i] - alambda[i]); });
      solve_T(dlambda);
      b.each(d.m, [&](int i) { dlambda[i] = weights[i] * dlambda[i]; });
      b.multiply_transpose(Y, dlambda, work);
      b.each(d.n, [&](int j) { c[j] = c[j] - work[j]; });
    }
    saddle.eliminate(b, c, nu, nu, work);
    b.solve_upper(saddle.L, c);
  }
};

}  // namespace optnet
