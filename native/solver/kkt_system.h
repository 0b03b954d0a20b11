// The KKT residuals from the data as given, and Newton's method on all of them at once:
//     rz = Qz + p + Gᵀλ + Aᵀν,   r = h − Gz − s,   rν = Az − b.
#pragma once

#include "solver/interior_point.h"

namespace optnet {

/// The System of interior_point.h in (z, ν, λ), over a Form that solves the KKT system.
template <class B, class Form>
class KktSystem {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  using Mask = typename B::Mask;

  template <class Arena>
  OPTNET_FUNCTION KktSystem(const B& backend, Form& form, const Data<B>& data, Iterate<B>& x, Arena& scratch)
      : b(backend), form(form), data(data), d(data.d), x(x) {
    for (Real** v : {&rz, &dz, &best_z, &Qz, &term, &size, &rounding}) *v = B::vector(scratch, d.n);
    for (Real** v : {&rnu, &dnu, &best_nu}) *v = B::vector(scratch, d.q);
    dlambda = B::vector(scratch, d.m);
  }

  Real* Qz = nullptr;  ///< as of the last call of `residual`

  /// Before its first call.
  OPTNET_FUNCTION void begin() {
    // Float32 may lose more than the tolerance: there it counts.
    const Real zero(Scalar(0)),
        roundings(static_cast<Scalar>(sizeof(Scalar) == 8 ? kRoundings * kEpsilon<Scalar> : 0));
    b.diagonal(data.Q, rounding);
    b.each(d.n, [&](int j) { rounding[j] = sqrt(max(roundings * rounding[j], zero)); });
  }

  OPTNET_FUNCTION Real residual(Real* r, const Units<B>& units) {
    return residual(r, units, nullptr, Mask(false));
  }

  /// The same after s ← h − Gz, and 0 for active rows (of positive `weight`), of the problems in `active`.
  OPTNET_LARGE_FUNCTION Real residual(Real* r, const Units<B>& units, const Real* weight, Mask active) {
    const Real one(Scalar(1)), zero(Scalar(0)), infinity(Scalar(1e30)),
        relative(static_cast<Scalar>(kRelative));
    const Real terms = b.sum(d.n, [&](int j) { return rounding[j] * abs(x.z[j]); });
    b.multiply_symmetric(data.Q, x.z, Qz);
    b.each(d.n, [&](int j) {
      rz[j] = Qz[j] + data.p[j];
      size[j] = max(abs(Qz[j]), abs(data.p[j]));
    });
    if (d.m > 0) add_term(data.G, x.lambda);
    if (d.q > 0) add_term(data.A, x.nu);
    const Real unit = min(one, units.dual);
    Real error = b.max(d.n, [&](int j) {
      return max(abs(rz[j]) - terms * rounding[j], zero) / (unit + relative * size[j]);
    });
    Real total = b.sum(d.n, [&](int j) { return abs(rz[j]); });  // not finite if any is not, unlike a maximum
    if (d.m > 0) {
      b.multiply(data.G, x.z, r);
      b.each(d.m, [&](int i) { r[i] = data.h[i] - r[i]; });
      if (weight) {
        b.each(d.m, [&](int i) { x.s[i] = select(active, select(weight[i] > zero, zero, r[i]), x.s[i]); });
      }
      b.each(d.m, [&](int i) { r[i] = r[i] - x.s[i]; });
      error = max(error, b.max(d.m, [&](int i) {
        return abs(r[i]) / (units.of_row(data.G_norm[i]) + relative * max(abs(data.h[i]), x.s[i]));
      }));
      total = total + b.sum(d.m, [&](int i) { return abs(r[i]); });
    }
    if (d.q > 0) {
      b.multiply(data.A, x.z, rnu);
      b.each(d.q, [&](int k) { rnu[k] = rnu[k] - data.b[k]; });
      error = max(error, b.max(d.q, [&](int k) {
        return abs(rnu[k]) / (units.of_row(data.A_norm[k]) + relative * abs(data.b[k]));
      }));
      total = total + b.sum(d.q, [&](int k) { return abs(rnu[k]); });
    }
    return select(total < infinity, error, infinity);
  }

  /// ‖rz‖∞, and ‖(r, rν)‖∞, of what the last call of `residual` left there and in r.
  OPTNET_FUNCTION Real dual() const {
    return b.max(d.n, [&](int j) { return abs(rz[j]); });
  }
  OPTNET_FUNCTION Real primal(const Real* r) const {
    Real size{Scalar(0)};
    if (d.m > 0) size = b.max(d.m, [&](int i) { return abs(r[i]); });
    if (d.q > 0) size = max(size, b.max(d.q, [&](int k) { return abs(rnu[k]); }));
    return size;
  }

  OPTNET_FUNCTION void factor(const Real* w) { form.factor(b, data, w); }

  OPTNET_FUNCTION void solve(Real* t) {
    negate_residuals();
    form.solve_kkt(b, data, dz, t, dnu, dlambda);
    b.each(d.m, [&](int i) { t[i] = dlambda[i]; });
  }
  // The same in two halves, for a form that is solved outside.
  OPTNET_FUNCTION void ask(const Real* t) {
    negate_residuals();
    form.ask(b, dz, t, dnu);
  }
  OPTNET_FUNCTION void answer(Real* t) { form.answer(b, dz, t, dnu); }

  /// Newton's step from the residuals, λ of inactive rows (without weight) left alone, for problems in
  /// `which`. Returns its size, relative to that of z, λ and ν.
  OPTNET_LARGE_FUNCTION Real refine(const Real* r, const Real* weight, Mask which) {
    const Real zero(Scalar(0)), tiny(static_cast<Scalar>(1e-30));
    negate_residuals();
    form.solve_kkt_end(b, data, dz, r, dnu, dlambda);
    b.each(d.n, [&](int j) { x.z[j] = select(which, x.z[j] + dz[j], x.z[j]); });
    b.each(d.q, [&](int k) { x.nu[k] = select(which, x.nu[k] + dnu[k], x.nu[k]); });
    b.each(d.m, [&](int i) {
      const Real step = select(weight[i] > zero, dlambda[i], zero);
      x.lambda[i] = select(which, x.lambda[i] + step, x.lambda[i]);
      dlambda[i] = step;
    });
    const auto relative = [&](int size, const Real* step, const Real* of) {
      const Real largest = b.max(size, [&](int i) { return abs(step[i]); });
      return largest / max(b.max(size, [&](int i) { return abs(of[i]); }), tiny);
    };
    Real moved = max(relative(d.n, dz, x.z), relative(d.m, dlambda, x.lambda));
    if (d.q > 0) moved = max(moved, relative(d.q, dnu, x.nu));
    return moved;
  }

  /// What the adjoint (z, λ, ν) leaves of its system's right-hand sides: in dz, dν and `rest` (m), as
  /// Form::solve_kkt_end takes them. Inactive rows, without weight, leave nothing.
  struct Rest {
    Real *z, *nu, *lambda;
  };
  OPTNET_LARGE_FUNCTION Rest adjoint_rest(const Real* z, const Real* lambda, const Real* nu,
                                          const Real* right_z, const Real* right_lambda, const Real* right_nu,
                                          const Real* weight, Real* rest) {
    const Real zero(Scalar(0));
    b.multiply_symmetric(data.Q, z, dz);
    b.each(d.n, [&](int j) { dz[j] = right_z[j] - dz[j]; });
    if (d.m > 0) {
      b.multiply_transpose(data.G, lambda, term);
      b.each(d.n, [&](int j) { dz[j] = dz[j] - term[j]; });
      b.multiply(data.G, z, rest);
      b.each(d.m, [&](int i) {
        const Real square = weight[i] * weight[i];
        rest[i] = select(square > zero, right_lambda[i] - rest[i] + lambda[i] / square, zero);
      });
    }
    if (d.q > 0) {
      b.multiply_transpose(data.A, nu, term);
      b.each(d.n, [&](int j) { dz[j] = dz[j] - term[j]; });
      b.multiply(data.A, z, dnu);
      b.each(d.q, [&](int k) { dnu[k] = right_nu[k] - dnu[k]; });
    }
    return {dz, dnu, rest};
  }

  OPTNET_FUNCTION void step(Real alpha, Mask done) {
    b.each(d.n, [&](int j) { x.z[j] = select(done, x.z[j], fma(alpha, dz[j], x.z[j])); });
    b.each(d.q, [&](int k) { x.nu[k] = select(done, x.nu[k], fma(alpha, dnu[k], x.nu[k])); });
  }

  OPTNET_FUNCTION void keep(Mask better) {
    copy_where(b, better, d.n, x.z, best_z);
    copy_where(b, better, d.q, x.nu, best_nu);
  }
  OPTNET_FUNCTION void restore(Mask moved) {
    copy_where(b, moved, d.n, best_z, x.z);
    copy_where(b, moved, d.q, best_nu, x.nu);
  }

 private:
  const B& b;
  Form& form;
  const Data<B>& data;
  Dimensions d;
  Iterate<B>& x;
  Real *rz, *rnu, *dz, *dnu, *dlambda, *best_z, *best_nu;
  Real *term, *size;  // one product Cᵀv; the largest term of each row of rz
  Real* rounding;  // terms of Qz may cancel, and rounding is theirs: with |Qⱼₖ| ≤ √Qⱼⱼ √Qₖₖ, a root of it

  OPTNET_FUNCTION void negate_residuals() {
    b.each(d.n, [&](int j) { dz[j] = -rz[j]; });
    b.each(d.q, [&](int k) { dnu[k] = -rnu[k]; });
  }

  template <class Rows>
  OPTNET_FUNCTION void add_term(const Rows& C, const Real* v) {
    b.multiply_transpose(C, v, term);
    b.each(d.n, [&](int j) {
      rz[j] = rz[j] + term[j];
      size[j] = max(size[j], abs(term[j]));
    });
  }
};

}  // namespace optnet
