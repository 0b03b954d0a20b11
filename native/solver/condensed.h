// The condensed form, for m much larger than n: slack and λ are eliminated, and all iterations factor
//     H = Q + Gᵀ D G,  D = W² = diag(λ/s)
// in n dimensions. Active rows make D, hence H, so large along some directions that Q is lost beside them.
// The factor therefore bounds D, and where it does, each solve is refined against the KKT system with D as it
// is: the bound costs nothing, as an active row's D⁻¹ hardly matters once it is small.
#pragma once

#include "solver/kkt_system.h"
#include "solver/saddle_point.h"

namespace optnet {

/// Units that rows have beside their norm, from Q's diagonal: none.
template <class B, class Real = typename B::Real>
OPTNET_FUNCTION void set_own_units(const B&, const Data<B>&, const Real*, Real*) {}

template <class B>
class Condensed {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Mask = typename B::Mask;

  /// `kept` outlives the solve, `scratch` does not; `reduced` is for H.
  template <class Arena>
  OPTNET_FUNCTION Condensed(const Dimensions& dims, const Sharing&, Arena&, Arena& kept, Arena& scratch,
                            Arena& reduced, Arena&)
      : d(dims), saddle(d, false, false, kept, kept) {
    for (Real** v : {&w, &w_factor}) *v = B::vector(kept, d.m);
    for (Real** v : {&ez, &rhs_z}) *v = B::vector(scratch, d.n);
    work = B::vector(scratch, d.n > d.q ? d.n : d.q);
    for (Real** v : {&enu, &rhs_nu}) *v = B::vector(scratch, d.q);
    for (Real** v : {&elambda, &rhs_lambda, &product}) *v = B::vector(scratch, d.m);
    gram_work = B::weighted_gram_storage(scratch, d.m, d.n);
    H = B::triangle(reduced, d.n, false);
  }

  /// Nothing survives an iteration, so nothing is factored for the batch; Q is only checked.
  OPTNET_LARGE_FUNCTION Mask prepare(const B& b, const Data<B>& data, bool shared_pass) {
    if (shared_pass) return Mask(true);
    const Mask definite = saddle.factor(b, data.Q);
    saddle.factor_equalities(b, data.A);
    return definite;
  }

  /// Before the first factorisation, with v.w: λ = D(Gz − h) and s = −D⁻¹λ for a D that makes rows
  /// comparable, the mean of diag Q over ‖Gᵢ‖²∞. From h is cut what is huge of the slack at the solution
  /// without inequalities, which `prepare` left the factors for.
  OPTNET_LARGE_FUNCTION void begin(const B& b, const Data<B>& data, Iterate<B>& x, InteriorPointWork<B>& v,
                                   Units<B>& units) {
    const Real curvature = root_mean_diagonal(b, data), weight(static_cast<Scalar>(kStartWeight));
    Real *const unit = v.t, *const rest = v.ds;
    b.each(d.n, [&](int j) { x.z[j] = -data.p[j]; });
    b.solve_lower(saddle.L, x.z);
    saddle.eliminate(b, x.z, data.b, x.nu, work);
    units.root = b.max(d.n, [&](int j) { return abs(x.z[j]); });
    b.solve_upper(saddle.L, x.z);
    b.multiply(data.G, x.z, x.s);
    b.each(d.m, [&](int i) {
      unit[i] = curvature / data.G_norm[i];
      v.w[i] = weight * unit[i];
      x.s[i] = data.h[i] - x.s[i];
    });
    cut_huge_slack(b, d.m, unit, x.s, rest);
  }

  /// After it.
  OPTNET_LARGE_FUNCTION void end_begin(const B& b, const Data<B>& data, Iterate<B>& x,
                                       InteriorPointWork<B>& v, Units<B>& units) {
    Real *const unit = v.t, *const rest = v.ds, *const h = v.r;
    b.each(d.m, [&](int i) { h[i] = data.h[i] - rest[i]; });
    b.each(d.n, [&](int j) { x.z[j] = -data.p[j]; });
    b.each(d.q, [&](int k) { x.nu[k] = data.b[k]; });
    solve_kkt(b, data, x.z, h, x.nu, x.lambda);
    b.each(d.m, [&](int i) { x.s[i] = rest[i] - x.lambda[i] / (v.w[i] * v.w[i]); });
    set_units(b, data, unit, push_inside(b, d.m, unit, x.lambda, x.s), units);
  }

  OPTNET_LARGE_FUNCTION void factor(const B& b, const Data<B>& data, const Real* weights) {
    weigh(b, data, weights);
    b.add_weighted_gram(data.Q, data.G, w_factor, gram_work, H);
    saddle.factor(b, H);
    saddle.factor_equalities(b, data.A);
  }
  /// The part of `factor` that is not dense linear algebra.
  OPTNET_FUNCTION void weigh(const B& b, const Data<B>& data, const Real* weights) {
    const Real most(static_cast<Scalar>(kLargestCondensedWeight<Scalar>)),
        curvature = root_mean_diagonal(b, data);
    b.each(d.m, [&](int i) {
      w[i] = weights[i];
      w_factor[i] = min(weights[i], most * curvature / data.G_norm[i]);
    });
  }

  /// The KKT system of RangeSpace::solve_kkt: dz in place of az, dν in place of aν.
  OPTNET_FUNCTION void solve_kkt(const B& b, const Data<B>& data, Real* z, const Real* alambda, Real* nu,
                                 Real* dlambda) const {
    const Real cut = b.max(d.m, [&](int i) { return w[i] - w_factor[i]; });
    solve_refined(b, data, z, alambda, nu, dlambda, cut > Real(Scalar(0)));
  }

  OPTNET_FUNCTION void keep_factor(const B& b, const Data<B>& data, const Real* weights) {
    factor(b, data, weights);
  }
  OPTNET_FUNCTION void weigh_end(const B& b, const Data<B>& data, const Real* weights) {
    weigh(b, data, weights);
  }
  OPTNET_FUNCTION void solve_kkt_end(const B& b, const Data<B>& data, Real* z, const Real* alambda, Real* nu,
                                     Real* dlambda) const {
    solve_refined(b, data, z, alambda, nu, dlambda, Mask(true));
  }

  // ---- on an active set: what polish.h needs ----

  static constexpr int kPolishSteps = 2;
  static constexpr bool kReducesSlack = false;

  /// uᵢ = ‖Gᵢ‖∞/√(mean of diag Q)
  OPTNET_FUNCTION void row_units(const B& b, const Data<B>& data, Real* unit) const {
    const Real curvature = root_mean_diagonal(b, data);
    b.each(d.m, [&](int i) { unit[i] = data.G_norm[i] / curvature; });
    set_own_units(b, data, ez, unit);
  }
  /// Nothing but λ = 0 for inactive rows: Newton's steps do the rest.
  OPTNET_FUNCTION void solve_active(const B& b, Iterate<B>& x, const Real* weights, Mask which) {
    const Real zero(Scalar(0));
    b.each(d.m, [&](int i) {
      x.lambda[i] = select(which, select(weights[i] > zero, x.lambda[i], zero), x.lambda[i]);
    });
  }
  /// Whether the active rows may be independent. Dependent ones do no harm to z, and their λ stays near the
  /// iterate's.
  OPTNET_FUNCTION Mask is_regular(const B& b, const Real* weights, Real*) const {
    const Real one(Scalar(1)), zero(Scalar(0));
    const Real active = b.sum(d.m, [&](int i) { return select(weights[i] > zero, one, zero); });
    return active <= Real(static_cast<Scalar>(d.n - d.q));
  }

  /// W of the kept factor.
  OPTNET_FUNCTION const Real* end_weights() const { return w; }

  /// What is factored, for a backend that does so outside.
  struct Matrices {
    const SaddlePoint<B>& saddle;
    const typename B::WeightedGram& gram_work;
    const Real* w_factor;
  };
  OPTNET_FUNCTION Matrices matrices() const { return {saddle, gram_work, w_factor}; }

 private:
  Dimensions d;
  SaddlePoint<B> saddle;               // of H and A
  typename B::WeightedGram gram_work;  // what the backend needs to form GᵀDG
  typename B::Triangle H;              // n×n
  Real *w, *w_factor;                  // √D, and what of it the factor has
  Real *rhs_z, *rhs_nu, *rhs_lambda;   // right-hand sides
  Real *ez, *enu, *elambda;            // their residuals, then the corrections
  Real *work, *product;                // max(n, q), m

  /// √(mean of diag Q)
  OPTNET_FUNCTION Real root_mean_diagonal(const B& b, const Data<B>& data) const {
    b.diagonal(data.Q, ez);
    return sqrt(Real(static_cast<Scalar>(1.0 / d.n)) * b.sum(d.n, [&](int j) { return ez[j]; }));
  }

  /// Refined for problems in `which`.
  OPTNET_LARGE_FUNCTION void solve_refined(const B& b, const Data<B>& data, Real* z, const Real* alambda,
                                           Real* nu, Real* dlambda, Mask which) const {
    const Real zero(Scalar(0));
    b.each(d.n, [&](int j) { rhs_z[j] = z[j]; });
    b.each(d.q, [&](int k) { rhs_nu[k] = nu[k]; });
    b.each(d.m, [&](int i) { rhs_lambda[i] = alambda[i]; });
    solve_once(b, data, z, rhs_lambda, nu, dlambda);
    for (int step = 0; step < kCondensedRefinements && !all(!which); ++step) {
      residual(b, data, z, dlambda, nu);
      solve_once(b, data, ez, elambda, enu, elambda);
      b.each(d.n, [&](int j) { z[j] = z[j] + select(which, ez[j], zero); });
      b.each(d.q, [&](int k) { nu[k] = nu[k] + select(which, enu[k], zero); });
      b.each(d.m, [&](int i) { dlambda[i] = dlambda[i] + select(which, elambda[i], zero); });
    }
  }

  /// dλ = D(G dz − aλ) leaves  H dz + Aᵀdν = az + GᵀD aλ,  A dz = aν.  dλ may be aλ.
  OPTNET_FUNCTION void solve_once(const B& b, const Data<B>& data, Real* z, const Real* alambda, Real* nu,
                                  Real* dlambda) const {
    b.each(d.m, [&](int i) { product[i] = w_factor[i] * w_factor[i] * alambda[i]; });
    b.multiply_transpose(data.G, product, work);
    b.each(d.n, [&](int j) { z[j] = z[j] + work[j]; });
    b.solve_lower(saddle.L, z);
    saddle.eliminate(b, z, nu, nu, work);
    b.solve_upper(saddle.L, z);
    b.multiply(data.G, z, product);
    b.each(d.m, [&](int i) { dlambda[i] = w_factor[i] * w_factor[i] * (product[i] - alambda[i]); });
  }

  /// What (dz, dλ, dν) leaves of the right-hand sides, in ez, elambda, enu.
  OPTNET_FUNCTION void residual(const B& b, const Data<B>& data, const Real* z, const Real* dlambda,
                                const Real* nu) const {
    const Real least(static_cast<Scalar>(
        sizeof(Scalar) == 8 ? 1e-100 : 1e-30));  // D⁻¹ is finite for inactive rows, whose dλ is 0
    b.multiply_symmetric(data.Q, z, ez);
    b.multiply_transpose(data.G, dlambda, work);
    b.each(d.n, [&](int j) { ez[j] = rhs_z[j] - ez[j] - work[j]; });
    if (d.q > 0) {
      b.multiply_transpose(data.A, nu, work);
      b.each(d.n, [&](int j) { ez[j] = ez[j] - work[j]; });
      b.multiply(data.A, z, enu);
      b.each(d.q, [&](int k) { enu[k] = rhs_nu[k] - enu[k]; });
    }
    b.multiply(data.G, z, product);
    b.each(d.m,
           [&](int i) { elambda[i] = rhs_lambda[i] - product[i] + dlambda[i] / max(w[i] * w[i], least); });
  }
};

}  // namespace optnet
