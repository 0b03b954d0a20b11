// The homogeneous interior-point method for quadratic programs (Goulart and Chen 2024): solutions and
// certificates of infeasibility are limits of the same iteration.
//     Qx + Sᵀν + Cᵀ(zᵤ − zₗ) + pτ = 0      Sx = sτ       κ + pᵀx + sᵀν + uᵀzᵤ − lᵀzₗ + xᵀQx/τ = 0
//      Cx + sᵤ = uτ,  −Cx + sₗ = −lτ,      sᵤ∘zᵤ = 0,  sₗ∘zₗ = 0,  κτ = 0,      sᵤ, zᵤ, sₗ, zₗ, κ, τ ≥ 0
// With τ > 0 at the end, x/τ solves the problem; with κ > 0, x or the multipliers prove that it has no
// solution.
#pragma once

#include "solver/term_sizes.h"

namespace optnet {

/// How well a point meets the conditions, in the caller's units.
struct GeneralErrors {
  double scaled = 1e30;  ///< in units of what the tolerance allows (settings.h)
  double own = 1e30;     ///< the same whatever the caller's units are: its absolute parts are of typical size
  double primal = 0, dual = 0, gap = 0, objective = 0;

  OPTNET_FUNCTION bool within(double tolerance) const {
    return scaled <= tolerance || own <= kOwnTolerance * tolerance;
  }
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
      : b(backend), data(data), kkt(kkt), n(data.d.n), rows(data.rows), terms(backend, data, kkt, scratch) {
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
      if (inconsistent(tolerance)) return Ending::kPrimalInfeasible;
      least_reach = kSeemsInfeasible;
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
      if (errors.within(tolerance)) {
        ending = Ending::kSolved;
        break;
      }
      const Ending proof = fresh ? prove(tolerance) : Ending::kNone;
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
    if (ending != Ending::kSolved) copy(best, at);
    if (measure_exactly(at).within(tolerance)) ending = Ending::kSolved;
    return ending;
  }

  /// Residuals of a point (in `residual`, `residual_sides`), and what they mean for the caller.
  OPTNET_FUNCTION GeneralErrors measure(const Point& x) {
    find_residuals(x);
    return errors(x, false);
  }
  /// The same, but what the rounding of their terms explains of the residuals does not count.
  OPTNET_FUNCTION GeneralErrors measure_exactly(const Point& x) {
    find_residuals(x);
    find_sizes(x);
    b.each(n, [&](int j) { size[j] = max(size[j], terms.curvature()[j]); });  // terms of Qx may cancel
    return errors(x, true);
  }

  /// Sizes of the terms of residual.x, residual.ν and Cx, after `find_residuals`; and of the last of them.
  OPTNET_FUNCTION const Vector& find_sizes(const Point& x) const {
    return terms.of_residuals(x.v, right_stiff, x.tau);
  }
  OPTNET_FUNCTION const Vector& sizes() const { return terms.last(); }

  OPTNET_LARGE_FUNCTION void find_residuals(const Point& x) {
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
    const Real noise = Real(kNoise) * b.max(n, [&](int j) { return abs(at.v.x[j]); });
    b.each(n, [&](int j) { at.v.x[j] = abs(at.v.x[j]) > noise ? at.v.x[j] : Real(0); });
    at.tau = 0;
    measure_direction();
    at.tau = step.tau;
    if (proves_unbounded(at)) return true;
    copy(step, at);
    measure(at);
    return false;
  }

  /// Takes from the multipliers of `at`, which seem to prove that no point is feasible, what does not vanish
  /// in Sᵀν + Cᵀy. False, and nothing has changed: that is no proof.
  OPTNET_FUNCTION bool annihilate(double tolerance) {
    copy(at, step);
    for (const double least : {kClearlyActive, kFaintlyActive}) {
      if (annihilate_above(Real(least), tolerance)) return true;
      copy(step, at);
    }
    measure(at);
    return false;
  }

  /// Moves `at` along the central path to where every s z is `target`, with τ = 1. False where it gets
  /// nowhere near.
  OPTNET_LARGE_FUNCTION bool center(Real target) {
    homogeneous = false;
    start();
    at.kappa = 0;
    Real last(1e300), error(1e300);
    for (int iteration = 0; iteration < kCenterings; ++iteration) {
      measure(at);
      const auto off = [&](Real s, Real z) { return abs(s * z - target); };
      error = 0;
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
    const Real total = b.sum(n, [&](int j) { return abs(at.v.x[j]); }) +
                       b.sum(rows, [&](int i) { return at.z.u[i] + at.z.l[i] + at.s.u[i] + at.s.l[i]; });
    return error <= Real(kNearlyCentered) && total < Real(1e60);
  }

  /// Whether the multipliers of x, measured last, prove that no point is feasible. Sᵀν + Cᵀy, which must
  /// vanish, does so up to the rounding of the terms that it is the sum of; and what may be left of it, at
  /// any point that is not out of all proportion, is less than their value. Nor is a point feasible to within
  /// the tolerance.
  OPTNET_LARGE_FUNCTION bool proves_infeasible(const Point& x, double tolerance) {
    const Real value = farkas(), rounding(kRoundings * kEpsilon<Real>);
    if (!(value > rounding * support_size)) return false;
    const Real* size_of_sum = terms.of_transposed(x.v).x;
    const bool vanishes = b.max(n, [&](int j) {
      return abs(transposed[j]) - Real(kVanishes * kEpsilon<Real>) * size_of_sum[j];
    }) <= Real(0);
    if (!vanishes) return false;
    const Real left = b.sum(n, [&](int j) {
      const Real reach = data.bounded ? min(Real(kReach), bound_of(j)) : Real(kReach);
      return (abs(transposed[j]) + rounding * size_of_sum[j]) * reach;
    });
    const Real allowed = Real(tolerance) * (b.sum(kkt.stiff_rows, [&](int k) {
                           return abs(x.v.nu[k]) * (unit_of_stiff(k) + Real(kRelative) * abs(right_stiff[k]));
                         }) + b.sum(rows, [&](int i) {
                           return x.z.u[i] * (unit_of_row(i) + Real(kRelative) * abs(data.u[i])) +
                                  x.z.l[i] * (unit_of_row(i) + Real(kRelative) * abs(data.l[i]));
                         }));
    return left < value && allowed < value;
  }

  /// Whether x, measured last with τ = 0, is a direction in which the objective falls for ever: what Q and S
  /// see of it, and what leads it outside, is rounding of the terms that it is the sum of.
  OPTNET_LARGE_FUNCTION bool proves_unbounded(const Point& x) {
    const Real along = descent(), vanishes(kVanishes * kEpsilon<Real>);
    if (!(along >
          Real(kRoundings * kEpsilon<Real>) * b.sum(n, [&](int j) { return abs(data.p[j] * x.v.x[j]); })))
      return false;
    const Vector& value = terms.of_values(x.v);
    const auto exceeds = [&](Real error, Real size) { return error > vanishes * size ? Real(1) : Real(0); };
    Real wrong = b.sum(n, [&](int j) { return exceeds(abs(Qx[j]), value.x[j]); });
    wrong += b.sum(kkt.stiff_rows, [&](int k) { return exceeds(abs(residual.nu[k]), value.nu[k]); });
    wrong += b.sum(
        rows, [&](int i) { return exceeds(max(data.has_u[i] * Cx[i], -data.has_l[i] * Cx[i]), value.y[i]); });
    const Real size = b.max(n, [&](int j) { return abs(x.v.x[j]); });
    const Real curved = b.sum(n, [&](int j) {
      return abs(x.v.x[j]) * (abs(Qx[j]) + Real(kRoundings * kEpsilon<Real>) * value.x[j]);
    });
    return wrong <= Real(0) && Real(kReach) * curved < along * size;
  }

 private:
  const B& b;
  const GeneralData<B>& data;
  GeneralKkt<B>& kkt;
  int n, rows;
  Point best, step;
  Vector constant;  // the solution for the constant right-hand side (−p, s, u and −l)
  Sides constant_z, residual_sides, target, pair_residual;
  TermSizes<B> terms;
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

  /// Whether the rows of S contradict each other. Then `at` is the proof: what of their right-hand side s is
  /// orthogonal to S's columns.
  OPTNET_FUNCTION bool inconsistent(double tolerance) {
    if (kkt.stiff_rows == 0) return false;
    copy(at, best);
    clear(at);
    b.each(kkt.stiff_rows, [&](int k) { at.v.nu[k] = -right_stiff[k]; });
    if (annihilate(tolerance)) return true;
    copy(best, at);
    return false;
  }

  /// The same with the rows of C alone whose multipliers are at least so large, beside the largest.
  OPTNET_LARGE_FUNCTION bool annihilate_above(Real least, double tolerance) {
    b.each(rows, [&](int i) {
      const bool active = max(at.z.u[i], at.z.l[i]) > max(at.s.u[i], at.s.l[i]);
      at.v.y[i] = active ? at.z.u[i] - at.z.l[i] : Real(0);
    });
    const Real largest = largest_multiplier(at);
    bool sound = largest > Real(0);
    if (sound) {
      divide_multipliers(at, largest);
      b.each(rows, [&](int i) { at.v.y[i] = abs(at.v.y[i]) > least ? at.v.y[i] : Real(0); });
      b.each(rows, [&](int i) { kkt.D[i] = at.v.y[i] * at.v.y[i]; });
      sound = kkt.factor_rows(b);
    }
    for (int pass = 0; sound && pass < kAnnihilations; ++pass) {
      data.multiply_transpose(b, at.v.y, difference);
      kkt.add_stiff_transpose(b, at.v.nu, difference);
      kkt.shrink_range(b, difference, at.v.nu, at.v.y);
      // Where equalities do not contradict each other, nothing is left but rounding.
      const Real left = largest_multiplier(at);
      sound = left > Real(0);
      if (sound) divide_multipliers(at, left);
      b.each(kkt.stiff_rows, [&](int k) { at.v.nu[k] = without_noise(at.v.nu[k]); });
      b.each(rows, [&](int i) {
        const Real y = without_noise(at.v.y[i]);
        at.v.y[i] = (y > 0 ? data.has_u[i] : data.has_l[i]) > 0 ? y : Real(0);
      });
    }
    if (sound) {
      b.each(rows, [&](int i) {
        at.z.u[i] = max(at.v.y[i], Real(0));
        at.z.l[i] = max(-at.v.y[i], Real(0));
      });
      find_residuals(at);
      sound = proves_infeasible(at, tolerance);
    }
    return sound;
  }

  /// Whether the current point proves that there is no solution, once it is looked at closely; which is worth
  /// it each time that it seems much more so.
  OPTNET_FUNCTION Ending prove(double tolerance) {
    if (farkas() > Real(0)) {
      const Real reach = b.max(n, [&](int j) { return abs(transposed[j]); }) / farkas();
      if (reach <= least_reach) {
        if (annihilate(tolerance)) return Ending::kPrimalInfeasible;
        least_reach = Real(0.1) * reach;
      }
    }
    const bool seems_endless = at.tau < Real(kSeemsEndless) * at.kappa && descent() > Real(0);
    return seems_endless && straighten() ? Ending::kDualInfeasible : Ending::kNone;
  }

  /// What `proves_unbounded` needs to know of at.x alone.
  OPTNET_FUNCTION void measure_direction() {
    b.multiply_symmetric(data.Q, at.v.x, Qx);
    data.multiply(b, at.v.x, Cx);
    kkt.multiply_stiff(b, at.v.x, residual.nu);
    b.each(kkt.stiff_rows, [&](int k) { residual.nu[k] -= right_stiff[k] * at.tau; });
    px = b.sum(n, [&](int j) { return data.p[j] * at.v.x[j]; });
    support = support_size = 0;
  }

  OPTNET_FUNCTION Real largest_multiplier(const Point& x) const {
    Real largest(0);
    if (rows > 0) largest = b.max(rows, [&](int i) { return abs(x.v.y[i]); });
    if (kkt.stiff_rows == 0) return largest;
    return max(largest, b.max(kkt.stiff_rows, [&](int k) { return abs(x.v.nu[k]); }));
  }
  OPTNET_FUNCTION void divide_multipliers(const Point& x, Real by) const {
    b.each(rows, [&](int i) { x.v.y[i] /= by; });
    b.each(kkt.stiff_rows, [&](int k) { x.v.nu[k] /= by; });
  }
  /// Of a number beside 1.
  OPTNET_FUNCTION static Real without_noise(Real x) { return abs(x) > Real(kNoise) ? x : Real(0); }

  /// The farthest from 0 that bounds leave x[j].
  OPTNET_FUNCTION Real bound_of(int j) const {
    const int i = data.offset + j;
    if (!(data.has_u[i] > 0 && data.has_l[i] > 0)) return kNoBound;
    return max(abs(data.u[i]), abs(data.l[i]));
  }

  // The tolerance's units, in those of the scaled problem. Those are about the size of its numbers, so that
  // no unit of the caller's makes the tolerance loose.
  OPTNET_FUNCTION Real unit_of_row(int i) const {
    return min(Real(kLargestUnit), min(Real(1), data.unit[i]) / data.value_scale(i));
  }
  OPTNET_FUNCTION Real unit_of_stiff(int k) const {
    const int row = kkt.stiff[k];
    if (row >= data.d.q) return unit_of_row(row - data.d.q);
    return min(Real(kLargestUnit), min(Real(1), data.unit_A[row]) * data.scales.row_A[row]);
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
  Real least_reach = 0;     ///< how well multipliers vanished beside their value when they were looked at
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

  /// `rounded`: with the sizes at hand, less what rounding may have made of the residuals.
  OPTNET_LARGE_FUNCTION GeneralErrors errors(const Point& x, bool rounded) const {
    const Real one(1), relative(kRelative), inverse = one / x.tau, most(kLargestUnit);
    const Real rounding(rounded ? kRoundings * kEpsilon<Real> : 0);
    const Vector& of_terms = sizes();
    const Real largest = rounded ? b.max(n, [&](int j) { return of_terms.x[j]; }) : Real(0);
    // Over the tolerance's unit, and over the problem's own.
    const auto scaled = [&](Real error, Real terms, Real unit, Real size) {
      return max(abs(error) - rounding * terms, Real(0)) * inverse / (unit + relative * size * inverse);
    };
    const auto of_dual = [&](int j, Real unit) {
      return scaled(residual.x[j], of_terms.x[j] + largest, unit, size[j]);
    };
    const auto of_stiff = [&](int k, Real unit) {
      return scaled(residual.nu[k], of_terms.nu[k], unit, abs(right_stiff[k]) * x.tau);
    };
    const auto of_row = [&](int i, Real unit) {
      const auto side = [&](Real error, Real right, Real s) {
        return scaled(error, of_terms.y[i] + abs(right) * x.tau + s, unit, max(abs(right) * x.tau, s));
      };
      return max(side(residual_sides.u[i], data.u[i], x.s.u[i]),
                 side(residual_sides.l[i], data.l[i], x.s.l[i]));
    };
    GeneralErrors e;
    e.dual = b.max(n, [&](int j) { return abs(residual.x[j]) * data.dual_scale(j) * inverse; });
    e.scaled = b.max(n, [&](int j) { return of_dual(j, min(most, one / data.dual_scale(j))); });
    e.own = b.max(n, [&](int j) { return of_dual(j, most); });
    Real total = b.sum(n, [&](int j) { return abs(residual.x[j]) + abs(x.v.x[j]); });
    if (kkt.stiff_rows > 0) {
      const auto scale_of = [&](int k) {
        const int row = kkt.stiff[k];
        return row < data.d.q ? one / data.scales.row_A[row] : data.value_scale(row - data.d.q);
      };
      e.primal = b.max(kkt.stiff_rows, [&](int k) { return abs(residual.nu[k]) * scale_of(k) * inverse; });
      e.scaled = max(e.scaled, b.max(kkt.stiff_rows, [&](int k) { return of_stiff(k, unit_of_stiff(k)); }));
      e.own = max(e.own, b.max(kkt.stiff_rows, [&](int k) { return of_stiff(k, most); }));
      total += b.sum(kkt.stiff_rows, [&](int k) { return abs(residual.nu[k]) + abs(x.v.nu[k]); });
    }
    if (rows > 0) {
      e.primal = max(e.primal, b.max(rows, [&](int i) {
        return max(abs(residual_sides.u[i]), abs(residual_sides.l[i])) * data.value_scale(i) * inverse;
      }));
      e.scaled = max(e.scaled, b.max(rows, [&](int i) { return of_row(i, unit_of_row(i)); }));
      e.own = max(e.own, b.max(rows, [&](int i) { return of_row(i, most); }));
      total += b.sum(
          rows, [&](int i) { return abs(x.v.y[i]) + abs(residual_sides.u[i]) + abs(residual_sides.l[i]); });
    }
    if (sides_count > 0) {
      const Real mean = inverse / Real(sides_count), gap = pairs * inverse * mean;
      const Real products =
          mean * b.sum(rows, [&](int i) { return abs(data.u[i]) * x.z.u[i] + abs(data.l[i]) * x.z.l[i]; });
      e.gap = gap / data.scales.cost;
      e.scaled = max(e.scaled, gap / (min(most, Real(data.scales.cost)) + relative * products));
      e.own = max(e.own, gap / (most + relative * products));
    }
    e.objective = (Real(0.5) * xQx * inverse + px) * inverse / data.scales.cost;
    if (!(total * inverse < Real(1e60))) e.scaled = e.own = 1e30;
    return e;
  }
};

}  // namespace optnet
