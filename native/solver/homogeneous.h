// The homogeneous interior-point method for quadratic programs (Goulart and Chen 2024): solutions and
// certificates of infeasibility are limits of the same iteration.
//     Qx + Sᵀν + Cᵀ(zᵤ − zₗ) + pτ = 0      Sx = sτ       κ + pᵀx + sᵀν + uᵀzᵤ − lᵀzₗ + xᵀQx/τ = 0
//      Cx + sᵤ = uτ,  −Cx + sₗ = −lτ,      sᵤ∘zᵤ = 0,  sₗ∘zₗ = 0,  κτ = 0,      sᵤ, zᵤ, sₗ, zₗ, κ, τ ≥ 0
// With τ > 0 at the end, x/τ solves the problem; with κ > 0, x or the multipliers prove that it has no
// solution.
#pragma once

#include "solver/general_kkt.h"

namespace optnet {

/// How well a point meets the conditions, in the caller's units.
struct GeneralErrors {
  double scaled = 1e30;  ///< in units of what the tolerance allows (settings.h)
  double primal = 0, dual = 0, gap = 0, objective = 0;
};

enum class Ending { kNone, kSolved, kPrimalInfeasible, kDualInfeasible, kStopped };

template <class B>
class Homogeneous {
 public:
  using Real = typename B::Real;
  using Vector = KktVector<Real>;

  /// Vectors of rows of C, one for either side.
  struct Sides {
    Real *u = nullptr, *l = nullptr;
  };
  /// y is zᵤ − zₗ.
  struct Point {
    Vector v;
    Sides s, z;
    Real tau = 1, kappa = 1;
  };

  template <class Arena>
  OPTNET_FUNCTION Homogeneous(const B& backend, const GeneralData<B>& data, GeneralKkt<B>& kkt,
                              Arena& scratch)
      : b(backend), data(data), kkt(kkt), n(data.d.n), rows(data.rows) {
    for (Point* x : {&at, &best, &step}) *x = point(scratch);
    constant = kkt.vector(scratch);
    residual = kkt.vector(scratch);
    for (Sides* v : {&residual_sides, &constant_z, &target, &pair_residual}) *v = this->sides(scratch);
    for (Real** v : {&Qx, &transposed, &size, &Qxi, &difference}) *v = GeneralKkt<B>::zeros(scratch, n);
    Cx = GeneralKkt<B>::zeros(scratch, rows);
    right_stiff = GeneralKkt<B>::zeros(scratch, data.d.q + rows);
  }

  template <class Arena>
  OPTNET_FUNCTION Point point(Arena& arena) const {
    return {kkt.vector(arena), sides(arena), sides(arena)};
  }

  Point at;          ///< current; at the end the best
  Real* transposed;  ///< Sᵀν + Cᵀy at the last measure
  Real *Qx, *Cx;

  /// Which sides of C's rows are inequalities, hence the number of complementary pairs. Rows that must hold
  /// with equality are in kkt.stiff.
  OPTNET_FUNCTION void begin() {
    sides_count = 0;
    for (int i = 0; i < rows; ++i) sides_count += static_cast<int>(data.has_u[i] + data.has_l[i]);
    for (int k = 0; k < kkt.stiff_rows; ++k) {
      const int row = kkt.stiff[k];
      right_stiff[k] = row < data.d.q ? data.b[row] : data.u[row - data.d.q];
    }
  }

  /// From nothing, or, not `fresh`, from where the last run left off, to a solution, a certificate, or as far
  /// as it gets. Proofs that there is no solution are for the first run.
  OPTNET_LARGE_FUNCTION Ending run(double tolerance, int max_iterations, int& iterations, bool fresh) {
    if (fresh) {
      iterations = 0;
      if (crossed()) return Ending::kPrimalInfeasible;
      start();
      if (inconsistent()) return Ending::kPrimalInfeasible;
    }
    at.kappa = max(at.kappa, Real(1e-30));
    kkt.accuracy = kDirectionAccuracy;
    Ending ending = Ending::kStopped;
    int since_best = 0, short_steps = 0;
    Real least_mu(1e300);
    GeneralErrors best_errors;
    for (;; ++iterations) {
      const GeneralErrors errors = measure(at);
      if (errors.scaled < best_errors.scaled) {
        best_errors = errors;
        copy(at, best);
        since_best = 0;
      } else if (mu < Real(0.5) * least_mu) {  // on the way to a certificate, errors do not get less
        since_best = 0;
      } else if (++since_best > kGeneralPatience) {
        break;
      }
      least_mu = min(least_mu, mu);
      if (errors.scaled <= tolerance) {
        ending = Ending::kSolved;
        break;
      }
      const Ending proof = fresh ? prove() : Ending::kNone;
      if (proof != Ending::kNone) {
        kkt.accuracy = kRefined;
        return proof;
      }
      if (iterations >= max_iterations) break;
      cautious = since_best > 2;  // the second-order correction can make the points go round in circles
      const Real alpha = advance();
      if (!(alpha > Real(0))) break;
      short_steps = alpha < Real(1e-4) ? short_steps + 1 : 0;
      if (short_steps > 3) break;
    }
    kkt.accuracy = kRefined;
    copy(best, at);
    measure(at);
    return ending;
  }

  /// Residuals of a point (in `residual`, `residual_sides`), and what they mean for the caller.
  OPTNET_LARGE_FUNCTION GeneralErrors measure(const Point& x) {
    b.multiply_symmetric(data.Q, x.v.x, Qx);
    b.each(rows, [&](int i) { x.v.y[i] = x.z.u[i] - x.z.l[i]; });
    data.multiply_transpose(b, x.v.y, transposed);
    b.each(n, [&](int j) { size[j] = abs(transposed[j]); });
    kkt.add_stiff_transpose(b, x.v.nu, transposed);
    kkt.multiply_stiff(b, x.v.x, residual.nu);
    data.multiply(b, x.v.x, Cx);
    b.each(n, [&](int j) {
      const Real linear = data.p[j] * x.tau;
      size[j] = max(max(size[j], abs(transposed[j])), max(abs(Qx[j]), abs(linear)));
      residual.x[j] = Qx[j] + transposed[j] + linear;
    });
    b.each(kkt.stiff_rows, [&](int k) { residual.nu[k] -= right_stiff[k] * x.tau; });
    b.each(rows, [&](int i) {
      residual_sides.u[i] = data.has_u[i] * (Cx[i] + x.s.u[i] - data.u[i] * x.tau);
      residual_sides.l[i] = data.has_l[i] * (-Cx[i] + x.s.l[i] + data.l[i] * x.tau);
    });
    xQx = b.sum(n, [&](int j) { return x.v.x[j] * Qx[j]; });
    px = b.sum(n, [&](int j) { return data.p[j] * x.v.x[j]; });
    support = b.sum(kkt.stiff_rows, [&](int k) { return right_stiff[k] * x.v.nu[k]; }) +
              b.sum(rows, [&](int i) { return data.u[i] * x.z.u[i] - data.l[i] * x.z.l[i]; });
    support_size = b.sum(kkt.stiff_rows, [&](int k) { return abs(right_stiff[k] * x.v.nu[k]); }) +
                   b.sum(rows, [&](int i) { return abs(data.u[i]) * x.z.u[i] + abs(data.l[i]) * x.z.l[i]; });
    pairs = b.sum(rows, [&](int i) { return x.s.u[i] * x.z.u[i] + x.s.l[i] * x.z.l[i]; });
    residual_tau = x.kappa + px + support + xQx / x.tau;
    mu = (pairs + x.kappa * x.tau) / Real(sides_count + 1);
    return errors(x);
  }

  OPTNET_FUNCTION void copy(const Point& from, Point& to) const {
    kkt.copy(b, from.v, to.v);
    b.each(rows, [&](int i) {
      to.s.u[i] = from.s.u[i];
      to.s.l[i] = from.s.l[i];
      to.z.u[i] = from.z.u[i];
      to.z.l[i] = from.z.l[i];
    });
    to.tau = from.tau;
    to.kappa = from.kappa;
  }

  /// Divides by τ.
  OPTNET_FUNCTION void normalise(Point& x) const {
    const Real scale = Real(1) / x.tau;
    b.each(n, [&](int j) { x.v.x[j] *= scale; });
    b.each(kkt.stiff_rows, [&](int k) { x.v.nu[k] *= scale; });
    b.each(rows, [&](int i) {
      x.v.y[i] *= scale;
      x.s.u[i] *= scale;
      x.s.l[i] *= scale;
      x.z.u[i] *= scale;
      x.z.l[i] *= scale;
    });
    x.tau = 1;
    x.kappa = 0;
  }

  Real* right_stiff;  ///< of S's rows
  Vector residual;    ///< of the last measure; .y is not used
  int sides_count = 0;

  /// What the last measured point would prove: its values as certificates.
  OPTNET_FUNCTION Real farkas() const { return -support; }
  OPTNET_FUNCTION Real descent() const { return -px; }

  /// Takes from x, which seems to be a direction without end, what Q and the constraints that it stays at see
  /// of it. False, and nothing has changed: that is no proof.
  OPTNET_LARGE_FUNCTION bool straighten() {
    const int base_rows = kkt.stiff_rows;
    int count = base_rows;
    const Real near = Real(kStays) * b.max(n, [&](int j) { return abs(at.v.x[j]); });
    for (int i = 0; i < rows; ++i) {
      const bool active = max(at.z.u[i], at.z.l[i]) > max(at.s.u[i], at.s.l[i]);
      const bool stays = data.has_u[i] + data.has_l[i] > Real(0) && abs(Cx[i]) <= near;
      if (active || stays) kkt.stiff[count++] = data.d.q + i;
    }
    kkt.stiff_rows = count;
    b.each(rows, [&](int i) { kkt.D[i] = 0; });
    copy(at, step);
    const bool factored = kkt.factor(b);
    for (int pass = 0; factored && pass < 3; ++pass) kkt.shrink_range_of_primal(b, at.v.x, size);
    kkt.stiff_rows = base_rows;
    kkt.gather(b);
    at.tau = 0;
    measure_direction();
    at.tau = step.tau;
    if (certificate(at) == Ending::kDualInfeasible) return true;
    copy(step, at);
    measure(at);
    return false;
  }

  /// Moves `at` along the central path to where every s z is `target`, with τ = 1.
  OPTNET_LARGE_FUNCTION void center(Real target) {
    homogeneous = false;
    start();
    at.kappa = 0;
    Real last(1e300);
    for (int iteration = 0; iteration < kCenterings; ++iteration) {
      measure(at);
      const auto off = [&](Real s, Real z) { return abs(s * z - target); };
      Real error(0);
      if (rows > 0) {
        error = b.max(rows, [&](int i) {
          return max(data.has_u[i] * off(at.s.u[i], at.z.u[i]), data.has_l[i] * off(at.s.l[i], at.z.l[i]));
        });
      }
      error = max(error / target, b.max(n, [&](int j) { return abs(residual.x[j]); }));
      if (error <= kCentered || (error < Real(1e-8) && error > Real(0.5) * last)) break;
      last = error;
      const Real mean = pairs / Real(sides_count > 0 ? sides_count : 1);
      const Real towards = max(target, Real(0.2) * mean);
      b.each(rows, [&](int i) {
        pair_residual.u[i] = data.has_u[i] * (at.s.u[i] * at.z.u[i] - towards);
        pair_residual.l[i] = data.has_l[i] * (at.s.l[i] * at.z.l[i] - towards);
      });
      weigh();
      if (!kkt.factor(b)) break;
      direction(Real(1), Real(0));
      move(min(Real(1), Real(0.9) * largest_step()));
    }
    homogeneous = true;
  }

  /// Whether the point proves that there is no solution.
  OPTNET_FUNCTION Ending certificate(const Point& x) const {
    const Real value = farkas();
    if (value > Real(kCertificateValue) * support_size) {  // more than the rounding of its terms
      const Real left = b.max(n, [&](int j) { return abs(transposed[j]); });
      Real largest(0);
      if (rows > 0) largest = b.max(rows, [&](int i) { return max(x.z.u[i], x.z.l[i]); });
      if (kkt.stiff_rows > 0)
        largest = max(largest, b.max(kkt.stiff_rows, [&](int k) { return abs(x.v.nu[k]); }));
      const bool rounded = left <= kCertificateRounding * largest && left <= kRoundedCertificate * value;
      if (left <= kCertificate * value || rounded) return Ending::kPrimalInfeasible;
    }
    const Real along = descent();
    if (along > Real(0)) {
      const Real curved = b.max(n, [&](int j) { return abs(Qx[j]); });
      Real outside(0);
      if (kkt.stiff_rows > 0) {
        outside = b.max(kkt.stiff_rows, [&](int k) { return abs(residual.nu[k] + right_stiff[k] * x.tau); });
      }
      if (rows > 0) {
        outside = max(outside,
                      b.max(rows, [&](int i) { return max(data.has_u[i] * Cx[i], -data.has_l[i] * Cx[i]); }));
      }
      if (max(curved * kStraighter, outside) <= kCertificate * along) return Ending::kDualInfeasible;
    }
    return Ending::kNone;
  }

 private:
  const B& b;
  const GeneralData<B>& data;
  GeneralKkt<B>& kkt;
  int n, rows;
  Point best, step;
  Vector constant;  // the solution for the constant right-hand side (−p, s, u and −l)
  Sides constant_z, residual_sides, target, pair_residual;
  Real *size, *Qxi, *difference;
  Real xQx = 0, px = 0, support = 0, support_size = 0, pairs = 0, residual_tau = 0, mu = 0;

  /// Whether two sides of a row contradict each other. Then `at` is the proof.
  OPTNET_FUNCTION bool crossed() {
    for (int i = 0; i < rows; ++i) {
      if (!(data.has_l[i] > 0 && data.has_u[i] > 0 && data.l[i] > data.u[i])) continue;
      clear(at);
      at.z.u[i] = at.z.l[i] = 1;
      measure(at);
      return true;
    }
    return false;
  }

  /// Whether the rows of S contradict each other, with a matrix factored. Then `at` is the proof: what of
  /// their right-hand side s is orthogonal to S's columns, as the rest vanishes under δ(E + δI)⁻¹.
  OPTNET_FUNCTION bool inconsistent() {
    if (kkt.stiff_rows == 0) return false;
    clear(best);
    b.each(kkt.stiff_rows, [&](int k) { best.v.nu[k] = -right_stiff[k]; });
    for (int pass = 0; pass < 4; ++pass) kkt.shrink_range(b, best.v.nu);
    const Real largest = b.max(kkt.stiff_rows, [&](int k) { return abs(best.v.nu[k]); });
    if (!(largest > Real(0))) return false;
    b.each(kkt.stiff_rows, [&](int k) { best.v.nu[k] /= largest; });
    measure(best);
    if (certificate(best) != Ending::kPrimalInfeasible) return false;
    copy(best, at);
    return true;
  }

  /// Whether the current point proves that there is no solution, once it is looked at closely.
  OPTNET_FUNCTION Ending prove() {
    const Ending proof = certificate(at);
    const bool seems_endless = at.tau < Real(kSeemsEndless) * at.kappa && descent() > Real(0);
    if (proof != Ending::kDualInfeasible && !seems_endless) return proof;
    return straighten() ? Ending::kDualInfeasible : proof;
  }

  /// What `certificate` needs to know of at.x alone.
  OPTNET_FUNCTION void measure_direction() {
    b.multiply_symmetric(data.Q, at.v.x, Qx);
    data.multiply(b, at.v.x, Cx);
    kkt.multiply_stiff(b, at.v.x, residual.nu);
    b.each(kkt.stiff_rows, [&](int k) { residual.nu[k] -= right_stiff[k] * at.tau; });
    px = b.sum(n, [&](int j) { return data.p[j] * at.v.x[j]; });
    support = support_size = 0;
  }

  OPTNET_FUNCTION void clear(Point& x) const {
    kkt.fill(b, x.v);
    b.each(rows, [&](int i) { x.s.u[i] = x.s.l[i] = x.z.u[i] = x.z.l[i] = 0; });
    x.tau = 1;
    x.kappa = 0;
  }

  template <class Arena>
  OPTNET_FUNCTION Sides sides(Arena& arena) const {
    return {GeneralKkt<B>::zeros(arena, rows), GeneralKkt<B>::zeros(arena, rows)};
  }

  /// The least-squares point with all rows active, s − z = u − Cx there, pushed inside: as far as the rows
  /// are violated, and as far as the farthest of them is inside, but for rows that are inside by far, which
  /// would take the others with them.
  OPTNET_FUNCTION void start() {
    // Rows with a huge right-hand side would take the point there.
    const auto weight = [](Real has, Real right) {
      return has * min(Real(1), Real(1e6) / max(right * right, Real(1)));
    };
    b.each(rows,
           [&](int i) { kkt.D[i] = weight(data.has_u[i], data.u[i]) + weight(data.has_l[i], data.l[i]); });
    kkt.factor(b);
    Vector& v = at.v;
    b.each(n, [&](int j) { v.x[j] = -data.p[j]; });
    b.each(kkt.stiff_rows, [&](int k) { v.nu[k] = right_stiff[k]; });
    b.each(rows, [&](int i) {
      v.y[i] = kkt.D[i] > 0 ? (weight(data.has_u[i], data.u[i]) * data.u[i] +
                               weight(data.has_l[i], data.l[i]) * data.l[i]) /
                                  kkt.D[i]
                            : Real(0);
    });
    kkt.solve(b, v);
    data.multiply(b, v.x, Cx);
    Real farthest(0), violation(0);
    if (rows > 0) {
      const auto least = [&](int i, Real sign) {
        const Real above = data.has_u[i] > 0 ? sign * (data.u[i] - Cx[i]) : Real(0);
        return max(above, data.has_l[i] > 0 ? sign * (Cx[i] - data.l[i]) : Real(0));
      };
      farthest = b.max(rows, [&](int i) { return least(i, Real(1)); });
      violation = b.max(rows, [&](int i) { return least(i, Real(-1)); });
    }
    const Real typical = Real(1) + min(farthest, Real(10) * max(Real(1), violation));
    const auto inside = [&](Real has, Real slack, Real& s, Real& z) {
      s = has * (slack + violation + Real(1));
      z = has * (slack < typical - Real(1) ? typical - slack : typical / (Real(1) + slack));
    };
    b.each(rows, [&](int i) {
      inside(data.has_u[i], data.u[i] - Cx[i], at.s.u[i], at.z.u[i]);
      inside(data.has_l[i], Cx[i] - data.l[i], at.s.l[i], at.z.l[i]);
    });
    at.tau = at.kappa = 1;
    last_alpha = 1;
  }

  /// One iteration; returns the step's length.
  OPTNET_LARGE_FUNCTION Real advance() {
    weigh();
    if (!kkt.factor(b)) return 0;
    b.each(n, [&](int j) {
      constant.x[j] = -data.p[j];
      Qxi[j] = Qx[j] / at.tau;
    });
    b.each(kkt.stiff_rows, [&](int k) { constant.nu[k] = right_stiff[k]; });
    b.each(rows, [&](int i) {
      target.u[i] = data.u[i];
      target.l[i] = -data.l[i];
    });
    solve_rows(constant, constant_z);
    b.each(n, [&](int j) { size[j] = constant.x[j] - at.v.x[j] / at.tau; });
    b.multiply_symmetric(data.Q, size, difference);
    const Real curvature = b.sum(n, [&](int j) { return size[j] * difference[j]; }) + b.sum(rows, [&](int i) {
      Real sum(0);
      if (data.has_u[i] > 0) sum += at.s.u[i] / at.z.u[i] * constant_z.u[i] * constant_z.u[i];
      if (data.has_l[i] > 0) sum += at.s.l[i] / at.z.l[i] * constant_z.l[i] * constant_z.l[i];
      return sum;
    });
    // What the solution leaves of its right-hand side: with inconsistent rows of S it is not small.
    const Vector& left = kkt.last_error();
    const Real inexact = b.sum(n, [&](int j) { return left.x[j] * constant.x[j]; }) -
                         b.sum(kkt.stiff_rows, [&](int k) { return left.nu[k] * constant.nu[k]; });
    slope = at.kappa / at.tau + curvature + max(inexact, Real(0));

    b.each(rows, [&](int i) {  // affine scaling
      pair_residual.u[i] = at.s.u[i] * at.z.u[i];
      pair_residual.l[i] = at.s.l[i] * at.z.l[i];
    });
    direction(Real(1), at.kappa * at.tau);
    const Real affine = min(Real(1), largest_step());
    const Real rest = Real(1) - affine;
    const Real sigma = cautious ? max(rest * rest * rest, Real(0.3)) : rest * rest * rest;
    const Real second(cautious ? 0 : 1);
    b.each(rows, [&](int i) {
      pair_residual.u[i] += data.has_u[i] * (second * step.s.u[i] * step.z.u[i] - sigma * mu);
      pair_residual.l[i] += data.has_l[i] * (second * step.s.l[i] * step.z.l[i] - sigma * mu);
    });
    direction(Real(1) - sigma, at.kappa * at.tau + second * step.kappa * step.tau - sigma * mu);
    // After a short step, stay further inside, or the points stick to the boundary.
    const Real fraction = last_alpha < Real(0.5) ? Real(0.8) : Real(0.99);
    const Real alpha = min(Real(1), fraction * largest_step());
    if (!(alpha > Real(0))) return 0;
    move(alpha);
    return last_alpha = alpha;
  }
  OPTNET_FUNCTION void weigh() {
    b.each(rows, [&](int i) {
      kkt.D[i] = (data.has_u[i] > 0 ? at.z.u[i] / at.s.u[i] : Real(0)) +
                 (data.has_l[i] > 0 ? at.z.l[i] / at.s.l[i] : Real(0));
    });
  }
  OPTNET_FUNCTION void move(Real alpha) {
    kkt.add(b, alpha, step.v, at.v);
    b.each(rows, [&](int i) {
      at.s.u[i] += alpha * step.s.u[i];
      at.s.l[i] += alpha * step.s.l[i];
      at.z.u[i] += alpha * step.z.u[i];
      at.z.l[i] += alpha * step.z.l[i];
    });
    at.tau += alpha * step.tau;
    at.kappa += alpha * step.kappa;
  }
  Real slope = 0, last_alpha = 1;
  bool cautious = false;    ///< no second-order correction, more centering
  bool homogeneous = true;  ///< τ and κ move too

  /// v ← the solution of the KKT system for (v.x, v.ν) and the rows' right-hand sides in `target`; z its
  /// multipliers of either side.
  OPTNET_FUNCTION void solve_rows(const Vector& v, const Sides& z) {
    b.each(rows, [&](int i) {
      const Real Du = data.has_u[i] > 0 ? at.z.u[i] / at.s.u[i] : Real(0),
                 Dl = data.has_l[i] > 0 ? at.z.l[i] / at.s.l[i] : Real(0);
      v.y[i] = kkt.D[i] > 0 ? (Du * target.u[i] - Dl * target.l[i]) / kkt.D[i] : Real(0);
    });
    kkt.solve(b, v);
    data.multiply(b, v.x, Cx);
    b.each(rows, [&](int i) {  // y = zᵤ − zₗ: the smaller one first, it is the more exact
      const Real Du = data.has_u[i] > 0 ? at.z.u[i] / at.s.u[i] : Real(0),
                 Dl = data.has_l[i] > 0 ? at.z.l[i] / at.s.l[i] : Real(0);
      const Real upper = Du * (Cx[i] - target.u[i]), lower = Dl * (-Cx[i] - target.l[i]);
      const bool small_upper = Du <= Dl;
      z.u[i] = small_upper ? upper : v.y[i] + lower;
      z.l[i] = small_upper ? upper - v.y[i] : lower;
    });
  }

  /// The direction that takes the residuals to 1 − η of theirs, and s∘z to what it is less `pair_residual`.
  OPTNET_FUNCTION void direction(Real eta, Real tau_residual) {
    Vector& v = step.v;
    b.each(n, [&](int j) { v.x[j] = -eta * residual.x[j]; });
    b.each(kkt.stiff_rows, [&](int k) { v.nu[k] = -eta * residual.nu[k]; });
    b.each(rows, [&](int i) {
      target.u[i] = data.has_u[i] > 0 ? pair_residual.u[i] / at.z.u[i] - eta * residual_sides.u[i] : Real(0);
      target.l[i] = data.has_l[i] > 0 ? pair_residual.l[i] / at.z.l[i] - eta * residual_sides.l[i] : Real(0);
    });
    solve_rows(v, step.z);
    const Real along = b.sum(n, [&](int j) { return (data.p[j] + Real(2) * Qxi[j]) * v.x[j]; }) +
                       b.sum(kkt.stiff_rows, [&](int k) { return right_stiff[k] * v.nu[k]; }) +
                       b.sum(rows, [&](int i) { return data.u[i] * step.z.u[i] - data.l[i] * step.z.l[i]; });
    step.tau = homogeneous ? (eta * residual_tau - tau_residual / at.tau + along) / slope : Real(0);
    step.kappa = homogeneous ? -(tau_residual + at.kappa * step.tau) / at.tau : Real(0);
    if (homogeneous) {
      kkt.add(b, step.tau, constant, v);
      b.each(rows, [&](int i) {
        step.z.u[i] += step.tau * constant_z.u[i];
        step.z.l[i] += step.tau * constant_z.l[i];
      });
    }
    b.each(rows, [&](int i) {
      step.s.u[i] = data.has_u[i] > 0 ? -(pair_residual.u[i] + at.s.u[i] * step.z.u[i]) / at.z.u[i] : Real(0);
      step.s.l[i] = data.has_l[i] > 0 ? -(pair_residual.l[i] + at.s.l[i] * step.z.l[i]) / at.z.l[i] : Real(0);
    });
  }

  /// To the boundary of s, z, τ, κ ≥ 0, or twice the direction.
  OPTNET_FUNCTION Real largest_step() const {
    Real inverse(0.5);
    if (homogeneous) inverse = max(inverse, max(-step.tau / at.tau, -step.kappa / at.kappa));
    if (rows > 0) {
      inverse = max(inverse, b.max(rows, [&](int i) {
        Real most(0);
        if (data.has_u[i] > 0) most = max(-step.s.u[i] / at.s.u[i], -step.z.u[i] / at.z.u[i]);
        if (data.has_l[i] > 0) most = max(most, max(-step.s.l[i] / at.s.l[i], -step.z.l[i] / at.z.l[i]));
        return most;
      }));
    }
    return Real(1) / inverse;
  }

  OPTNET_FUNCTION GeneralErrors errors(const Point& x) const {
    const Real one(1), relative(kRelative), inverse = one / x.tau;
    GeneralErrors e;
    e.dual = b.max(n, [&](int j) { return abs(residual.x[j]) * data.dual_scale(j) * inverse; });
    e.scaled = b.max(n, [&](int j) {
      const Real scale = data.dual_scale(j) * inverse;
      return abs(residual.x[j]) * scale / (one + relative * size[j] * scale);
    });
    Real total = b.sum(n, [&](int j) { return abs(residual.x[j]) + abs(x.v.x[j]); });
    const auto row_error = [&](Real error, Real scale, Real unit, Real right) {
      return abs(error) * scale * inverse / (min(one, unit) + relative * right * scale * inverse);
    };
    if (kkt.stiff_rows > 0) {
      const auto scale_of = [&](int k) {
        const int row = kkt.stiff[k];
        return row < data.d.q ? one / data.scales.row_A[row] : data.value_scale(row - data.d.q);
      };
      const auto unit_of = [&](int k) {
        const int row = kkt.stiff[k];
        return row < data.d.q ? data.unit_A[row] : data.unit[row - data.d.q];
      };
      e.primal = b.max(kkt.stiff_rows, [&](int k) { return abs(residual.nu[k]) * scale_of(k) * inverse; });
      e.scaled = max(e.scaled, b.max(kkt.stiff_rows, [&](int k) {
        return row_error(residual.nu[k], scale_of(k), unit_of(k), abs(right_stiff[k]) * x.tau);
      }));
      total += b.sum(kkt.stiff_rows, [&](int k) { return abs(residual.nu[k]) + abs(x.v.nu[k]); });
    }
    if (rows > 0) {
      e.primal = max(e.primal, b.max(rows, [&](int i) {
        return max(abs(residual_sides.u[i]), abs(residual_sides.l[i])) * data.value_scale(i) * inverse;
      }));
      e.scaled = max(e.scaled, b.max(rows, [&](int i) {
        const Real scale = data.value_scale(i);
        return max(
            row_error(residual_sides.u[i], scale, data.unit[i], max(abs(data.u[i]) * x.tau, x.s.u[i])),
            row_error(residual_sides.l[i], scale, data.unit[i], max(abs(data.l[i]) * x.tau, x.s.l[i])));
      }));
      total += b.sum(
          rows, [&](int i) { return abs(x.v.y[i]) + abs(residual_sides.u[i]) + abs(residual_sides.l[i]); });
    }
    if (sides_count > 0) {
      const Real mean = inverse / (data.scales.cost * Real(sides_count));
      e.gap = pairs * inverse * mean;
      const Real sum =
          b.sum(rows, [&](int i) { return abs(data.u[i]) * x.z.u[i] + abs(data.l[i]) * x.z.l[i]; });
      e.scaled = max(e.scaled, e.gap / (one + relative * sum * mean));
    }
    e.objective = (Real(0.5) * xQx * inverse + px) * inverse / data.scales.cost;
    if (!(total * inverse < Real(1e60))) e.scaled = 1e30;
    return e;
  }
};

}  // namespace optnet
