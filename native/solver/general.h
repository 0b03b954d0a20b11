// Every convex QP: from data to a solution or a proof that there is none, and to derivatives. Slower than
// solve.h, which serves well-posed problems; it asks nothing of Q but that it is positive semidefinite, and
// nothing of the constraints.
#pragma once

#include "solver/homogeneous.h"

namespace optnet {

struct GeneralSettings {
  double tolerance = 1e-8;
  int max_iterations = 50;
  bool polish = true;
  double smoothing = 0;     ///< > 0: differentiate where every λs is this
  int guess_attempts = 1;   ///< active sets that are tried from a guess
  bool only_guess = false;  ///< stop where the guess does not lead to the solution
  double indefinite =
      1e-9;  ///< negative eigenvalue of Q that counts as rounding, relative to its largest element
};

/// Numbers of one problem in the caller's units. What the problem does not have is null.
struct GeneralVectors {
  double *z = nullptr, *lambda = nullptr, *nu = nullptr, *slack = nullptr;
  double *lambda_gl = nullptr, *lambda_lb = nullptr, *lambda_ub = nullptr;
  double* slope = nullptr;  ///< Qz + p
};

enum class GeneralDerivative { kActiveSet, kCentralPath, kNone };

struct GeneralReport {
  bool convex = true;
  Ending ending = Ending::kStopped;
  int iterations = 0;
  GeneralErrors errors;
  double margin = 0;
  GeneralDerivative derivative = GeneralDerivative::kNone;
};

template <class B>
class General {
 public:
  using Real = typename B::Real;
  using Vector = KktVector<Real>;
  using Point = typename Homogeneous<B>::Point;

  /// `kept` outlives the solve and serves `differentiate`, `scratch` does not.
  template <class Arena>
  OPTNET_FUNCTION General(const B& backend, const Dimensions& d, bool bounded, Arena& kept, Arena& scratch)
      : b(backend),
        data(d, bounded, kept),
        kkt(data, d.q + data.rows, kept, scratch),
        method(backend, data, kkt, scratch),
        outcome(kept.template take<Outcome>(1)),
        side(kept.template take<signed char>(static_cast<std::size_t>(d.q) +
                                             static_cast<std::size_t>(data.rows))),
        D_u(B::vector(kept, data.rows)),
        D_l(B::vector(kept, data.rows)),
        polished(method.point(scratch)),
        direction(kkt.vector(scratch)),
        state(scratch.template take<signed char>(static_cast<std::size_t>(data.rows))),
        work(GeneralKkt<B>::zeros(scratch, d.n)),
        nu_error(GeneralKkt<B>::zeros(scratch, d.q + data.rows)),
        row_error(GeneralKkt<B>::zeros(scratch, data.rows)),
        weak_below(GeneralKkt<B>::zeros(scratch, data.rows)) {}

  /// Takes the numbers of `problem`, which it changes. Writes the solution; `differentiated`, the point where
  /// the derivative is taken, differs from it with `smoothing` alone. `guess`: a solution to start from, or
  /// null. What `differentiate` needs stays behind.
  OPTNET_LARGE_FUNCTION GeneralReport solve(const PlainProblem& problem, const GeneralSettings& settings,
                                            const GeneralVectors* guess, const GeneralVectors& solution,
                                            const GeneralVectors& differentiated) {
    GeneralReport report;
    data.load(b, problem, work);
    kkt.clear(b);
    b.each(data.rows, [&](int i) { D_u[i] = D_l[i] = 0; });
    find_equalities();
    report.convex = !problem.Q || kkt.semidefinite(b, settings.indefinite);
    if (!report.convex) return report;
    method.begin();

    bool exact =
        guess && settings.polish && warm(*guess, settings.tolerance, settings.guess_attempts, report);
    if (!exact && settings.only_guess) return report;
    if (!exact) exact = iterate(settings, report);
    if (!exact && report.ending == Ending::kStopped && rescale()) exact = iterate(settings, report);
    if (report.ending == Ending::kPrimalInfeasible || report.ending == Ending::kDualInfeasible) {
      write_certificate(report.ending, solution);
      write_certificate(report.ending, differentiated);
      report.errors = method.measure(method.at);
      keep(report.derivative = GeneralDerivative::kNone);
      return report;
    }
    const Point& point = exact ? polished : method.at;
    write(point, solution);
    report.margin = margin(point);
    if (settings.smoothing > 0 && smooth(settings.smoothing, exact)) exact = false;
    write(exact ? polished : method.at, differentiated);
    report.derivative = exact ? weigh_weak_rows() : weigh_central_path();
    keep(report.derivative);
    return report;
  }

  /// With the KKT matrix K of the point of differentiation: out ← −K⁻¹ in. Both in the units of gradients
  /// with respect to the solution in, data out (backward), or, `forward`, of the equations' derivatives in,
  /// the solution's out. Returns the residual relative to `in`.
  OPTNET_LARGE_FUNCTION Real differentiate(const GeneralVectors& in, const GeneralVectors& out,
                                           bool forward) {
    resume();
    const int n = data.d.n, q = data.d.q;
    const Scales& scales = data.scales;
    const bool none = outcome->derivative == GeneralDerivative::kNone;
    const auto of_z = [&](int j, bool flip) {
      return forward != flip ? scales.cost * scales.column[j] : scales.column[j];
    };
    const auto of_nu = [&](int k, bool flip) {
      return forward != flip ? scales.row_A[k] : scales.row_A[k] / scales.cost;
    };
    const auto of_row = [&](int i, bool flip) {
      return forward != flip ? 1 / data.value_scale(i) : data.multiplier_scale(i);
    };
    const auto given = [&](int i, bool upper) { return multiplier_of(in, i, upper) * of_row(i, false); };
    Vector& v = direction;
    b.each(n, [&](int j) { v.x[j] = -of_z(j, false) * in.z[j]; });
    b.each(kkt.stiff_rows, [&](int k) {
      const int row = kkt.stiff[k];
      v.nu[k] = row < q       ? -of_nu(row, false) * in.nu[row]
                : side[k] > 0 ? -given(row - q, true)
                              : given(row - q, false);
    });
    b.each(data.rows, [&](int i) {
      v.y[i] = kkt.D[i] > 0 ? (D_l[i] * given(i, false) - D_u[i] * given(i, true)) / kkt.D[i] : Real(0);
    });
    const Real size = kkt.size(b, v);
    if (none) {
      kkt.fill(b, v);
    } else {
      kkt.solve(b, v);
    }
    const Real residual = none || !(size > Real(0)) ? Real(0) : kkt.size(b, kkt.last_error()) / size;

    b.each(n, [&](int j) { out.z[j] = v.x[j] * of_z(j, true); });
    data.multiply(b, v.x, method.Cx);
    b.each(data.rows, [&](int i) {
      const Real upper = D_u[i] * (method.Cx[i] + given(i, true)),
                 lower = D_l[i] * (given(i, false) - method.Cx[i]);
      const bool small_upper = D_u[i] <= D_l[i];
      put(out, i, true, (small_upper ? upper : v.y[i] + lower) * of_row(i, true));
      put(out, i, false, (small_upper ? upper - v.y[i] : lower) * of_row(i, true));
    });
    for (int k = 0; k < kkt.stiff_rows; ++k) {
      const int row = kkt.stiff[k];
      if (row < q) {
        out.nu[row] = v.nu[k] * of_nu(row, true);
      } else {
        put(out, row - q, side[k] > 0, side[k] * v.nu[k] * of_row(row - q, true));
      }
    }
    return residual;
  }

 private:
  /// S: what must hold with equality whatever the solution.
  OPTNET_FUNCTION void find_equalities() {
    base_rows = 0;
    for (int k = 0; k < data.d.q; ++k) kkt.stiff[base_rows++] = k;
    for (int i = 0; i < data.rows; ++i) {
      if (!(data.has_l[i] > 0 && data.has_u[i] > 0 && data.l[i] == data.u[i])) continue;
      kkt.stiff[base_rows++] = data.d.q + i;
      data.has_l[i] = data.has_u[i] = 0;
    }
    kkt.stiff_rows = base_rows;
  }

  /// Where x turned out to be of quite another size than its typical one: makes that 1. False: it was not.
  OPTNET_FUNCTION bool rescale() {
    const Real size = b.max(data.d.n, [&](int j) { return abs(method.at.v.x[j]); });
    if (!(size > 0 && size < Real(1e100)) || (size < Real(kOtherSize) && size > Real(1 / kOtherSize)))
      return false;
    data.rescale(b, power_of_two(exponent_of(size)), work);
    find_equalities();
    method.begin();
    return true;
  }

  /// What `differentiate` needs to know beside the factors.
  struct Outcome {
    double cost;
    int stiff_rows;
    GeneralDerivative derivative;
  };

  const B& b;
  GeneralData<B> data;
  GeneralKkt<B> kkt;
  Homogeneous<B> method;
  Outcome* outcome;
  signed char* side;  ///< of a row of C in S: +1 its upper, −1 its lower side; of A's rows not used
  Real *D_u, *D_l;    ///< the weights of either side
  Point polished;
  Vector direction;
  signed char* state;  ///< of C's rows: +1 active at the upper side, −1 at the lower, 0 inactive
  Real* work;
  Real *nu_error, *row_error;  ///< of `polished`: how far the last refinement moved it, and more
  Real* weak_below;            ///< multipliers, of C's rows
  int base_rows = 0;           ///< of S: what must hold with equality whatever the solution

  /// Iterates until a solution, then solves on its active set; where that fails, goes on. True: `polished`
  /// has the solution; otherwise method.at.
  OPTNET_FUNCTION bool iterate(const GeneralSettings& settings, GeneralReport& report) {
    double tolerance = settings.tolerance;
    for (int round = 0; round < kPolishRounds; ++round) {
      const Ending ending = method.run(tolerance, settings.max_iterations, report.iterations, round == 0);
      if (ending == Ending::kPrimalInfeasible || ending == Ending::kDualInfeasible) {
        report.ending = ending;
        if (ending == Ending::kDualInfeasible && lacks_points(settings))
          report.ending = Ending::kPrimalInfeasible;
        return false;
      }
      method.normalise(method.at);
      report.errors = method.measure_exactly(method.at);
      report.ending = report.errors.within(settings.tolerance) ? Ending::kSolved : Ending::kStopped;
      if (!settings.polish || report.errors.own > kPolishable) return false;
      const bool last = ending != Ending::kSolved || round + 1 == kPolishRounds;
      if (polish(settings.tolerance, kPolishAttempts, last, report)) return true;
      if (last) return false;
      tolerance *= 1e-2;
    }
    return false;
  }

  /// Whether a problem whose objective falls for ever along method.at has no point to begin with. Then
  /// method.at proves that; otherwise it is as it was.
  OPTNET_FUNCTION bool lacks_points(const GeneralSettings& settings) {
    method.copy(method.at, polished);
    b.each(data.d.n, [&](int j) {
      work[j] = data.p[j];
      data.p[j] = 0;
    });
    int iterations = 0;
    const bool proved = method.run(settings.tolerance, settings.max_iterations, iterations, true) ==
                        Ending::kPrimalInfeasible;
    b.each(data.d.n, [&](int j) { data.p[j] = work[j]; });
    if (!proved) method.copy(polished, method.at);
    method.measure(method.at);
    return proved;
  }

  /// Solves on the active set of a solution of a similar problem. True: that was it.
  OPTNET_FUNCTION bool warm(const GeneralVectors& guess, double tolerance, int attempts,
                            GeneralReport& report) {
    Point& x = method.at;
    b.each(data.d.n, [&](int j) { x.v.x[j] = guess.z[j] / data.scales.column[j]; });
    data.multiply(b, x.v.x, method.Cx);
    b.each(data.rows, [&](int i) {
      x.z.u[i] = multiplier_of(guess, i, true) / data.multiplier_scale(i);
      x.z.l[i] = multiplier_of(guess, i, false) / data.multiplier_scale(i);
      x.s.u[i] = data.has_u[i] * max(data.u[i] - method.Cx[i], Real(0));
      x.s.l[i] = data.has_l[i] * max(method.Cx[i] - data.l[i], Real(0));
    });
    b.each(base_rows, [&](int k) {
      const int row = kkt.stiff[k] - data.d.q;
      x.v.nu[k] = row < 0 ? guess.nu[k] * data.scales.cost / data.scales.row_A[k] : x.z.u[row] - x.z.l[row];
    });
    b.each(data.rows, [&](int i) {
      x.z.u[i] *= data.has_u[i];
      x.z.l[i] *= data.has_l[i];
    });
    return polish(tolerance, attempts, true, report);
  }

  /// The equality-constrained problem of the active rows, from method.at, into `polished`. Rows that turn out
  /// to be wrong are exchanged, a few times; where too few are active, more are only looked for if the
  /// iterates will not show them (`last`). True: it is the solution, and better than what was there.
  OPTNET_LARGE_FUNCTION bool polish(double tolerance, int attempts, bool last, GeneralReport& report) {
    const Point& from = method.at;
    Point& x = polished;
    b.each(data.d.n, [&](int j) { x.v.x[j] = from.v.x[j]; });
    for (int i = 0; i < data.rows; ++i) {
      const bool upper = data.has_u[i] > 0 && from.z.u[i] > from.s.u[i];
      const bool lower = data.has_l[i] > 0 && from.z.l[i] > from.s.l[i];
      state[i] = !upper && !lower ? 0 : !lower || (upper && from.z.u[i] > from.z.l[i]) ? 1 : -1;
    }
    int exchanges = attempts, slides = data.d.n;
    while (exchanges > 0) {
      list_active();
      b.each(data.rows, [&](int i) { kkt.D[i] = 0; });
      kkt.factor_dropping(b);
      x.tau = 1;
      x.kappa = 0;
      b.each(data.rows, [&](int i) { x.s.u[i] = x.s.l[i] = x.z.u[i] = x.z.l[i] = 0; });
      b.each(kkt.stiff_rows, [&](int k) {
        const int row = kkt.stiff[k] - data.d.q;
        x.v.nu[k] = k < base_rows ? from.v.nu[k] : side[k] > 0 ? from.z.u[row] : -from.z.l[row];
      });
      newton(x);
      if (exchange(x) > 0) {
        b.each(data.d.n, [&](int j) { x.v.x[j] = from.v.x[j]; });
        --exchanges;
        continue;
      }
      const GeneralErrors errors = method.measure_exactly(x);
      const Slide slide = slide_to_row(x);
      if (slide == Slide::kToRow && last && slides-- > 0) continue;
      if (slide != Slide::kNo) break;
      const bool better = errors.scaled <= report.errors.scaled || errors.within(1e-2 * tolerance);
      if (!errors.within(tolerance) || !better) break;
      report.errors = errors;
      report.ending = Ending::kSolved;
      for (int k = base_rows; k < kkt.stiff_rows; ++k) {
        const int row = kkt.stiff[k] - data.d.q;
        (side[k] > 0 ? x.z.u : x.z.l)[row] = side[k] * x.v.nu[k];
      }
      return true;
    }
    restore_base();
    return false;
  }

  /// Newton's method on the active set: one step, as all is linear, and one for its rounding, whose size says
  /// how much of the solution is rounding.
  OPTNET_FUNCTION void newton(Point& x) {
    for (int step = 0; step < 2; ++step) {
      method.measure(x);
      b.each(data.d.n, [&](int j) { direction.x[j] = -method.residual.x[j]; });
      b.each(kkt.stiff_rows, [&](int k) { direction.nu[k] = -method.residual.nu[k]; });
      b.each(data.rows, [&](int i) { direction.y[i] = 0; });
      kkt.solve(b, direction);
      kkt.add(b, Real(1), direction, x.v);
    }
    data.multiply(b, direction.x, row_error);
    b.each(data.rows, [&](int i) { row_error[i] = Real(kErrors) * abs(row_error[i]); });
    b.each(kkt.stiff_rows, [&](int k) { nu_error[k] = Real(kErrors) * abs(direction.nu[k]); });
  }
  /// What of `polished` may be rounding: of the multiplier of row k of S, and of a slack of row i of C.
  struct Rounding {
    const General& of;
    Real largest_term, largest_x;
    OPTNET_FUNCTION Real of_multiplier(int k) const {
      return of.nu_error[k] + Real(kLeastError) * largest_term;
    }
    OPTNET_FUNCTION Real of_slack(int i, Real right) const {
      const Real size = max(abs(right), of.method.sizes().y[i]);
      return of.row_error[i] + Real(kLeastError) * size + kEpsilon<Real> * largest_x;
    }
  };
  /// After `newton`; method.Cx is that of x then.
  OPTNET_FUNCTION Rounding find_rounding(const Point& x) {
    method.find_residuals(x);
    const Vector& sizes = method.find_sizes(x);
    return {*this, b.max(data.d.n, [&](int j) { return sizes.x[j]; }),
            b.max(data.d.n, [&](int j) { return abs(x.v.x[j]); })};
  }

  /// Multipliers and slacks of the active set's solution; those of the wrong sign up to rounding become 0,
  /// and rows that are wrong beyond change sides. Returns how many.
  OPTNET_FUNCTION int exchange(Point& x) {
    const Rounding rounding = find_rounding(x);
    int wrong = 0;
    for (int i = 0; i < data.rows; ++i) {
      const Real above = data.u[i] - method.Cx[i], below = method.Cx[i] - data.l[i];
      if (data.has_u[i] > 0) x.s.u[i] = state[i] > 0 ? Real(0) : max(above, Real(0));
      if (data.has_l[i] > 0) x.s.l[i] = state[i] < 0 ? Real(0) : max(below, Real(0));
      if (data.has_u[i] > 0 && state[i] <= 0 && above < -rounding.of_slack(i, data.u[i])) {
        ++wrong;
        state[i] = 1;
      } else if (data.has_l[i] > 0 && state[i] >= 0 && below < -rounding.of_slack(i, data.l[i])) {
        ++wrong;
        state[i] = -1;
      }
    }
    for (int k = base_rows; k < kkt.stiff_rows; ++k) {
      const int row = kkt.stiff[k] - data.d.q;
      if (side[k] * x.v.nu[k] >= 0) continue;
      if (side[k] * x.v.nu[k] < -rounding.of_multiplier(k)) {
        ++wrong;
        state[row] = 0;
      } else {
        x.v.nu[k] = 0;
      }
    }
    return wrong;
  }

  /// Where the system is singular, variables were held fixed wherever the iterate had them. If the objective
  /// falls along the lines that this leaves, the solution is not there but at the row that ends the line.
  enum class Slide { kNo, kToRow, kForEver };
  OPTNET_LARGE_FUNCTION Slide slide_to_row(Point& x) {
    Real rounding = Real(kLeastError) * b.max(data.d.n, [&](int j) { return method.sizes().x[j]; });
    if (kkt.stiff_rows > 0) rounding += b.max(kkt.stiff_rows, [&](int k) { return nu_error[k]; });
    b.each(data.d.n, [&](int j) {
      const Real slope = method.residual.x[j];
      const bool flat = kkt.keep_x[j] > 0 || abs(slope) <= Real(kWeakErrors) * rounding;
      direction.x[j] = flat ? Real(0) : -slope;
    });
    const Real falls = b.max(data.d.n, [&](int j) { return abs(direction.x[j]); });
    if (!(falls > Real(0))) return Slide::kNo;
    kkt.complete(b, direction);
    data.multiply(b, direction.x, method.Cx);
    const Real size = b.max(data.d.n, [&](int j) { return abs(direction.x[j]); });
    Real nearest(kNoBound);
    int row = -1, upper = 0;
    for (int i = 0; i < data.rows; ++i) {
      const Real along = method.Cx[i];
      if (state[i] != 0 || abs(along) <= Real(kStays) * size) continue;
      if (!((along > 0 ? data.has_u[i] : data.has_l[i]) > 0)) continue;
      const Real distance = (along > 0 ? x.s.u[i] : x.s.l[i]) / abs(along);
      if (distance >= nearest) continue;
      nearest = distance;
      row = i;
      upper = along > 0 ? 1 : -1;
    }
    if (row < 0) return Slide::kForEver;
    state[row] = static_cast<signed char>(upper);
    b.each(data.d.n, [&](int j) { x.v.x[j] += nearest * direction.x[j]; });
    return Slide::kToRow;
  }

  /// S: what must hold with equality, and the active rows.
  OPTNET_FUNCTION void list_active() {
    int count = base_rows;
    for (int i = 0; i < data.rows; ++i) {
      if (state[i] == 0) continue;
      kkt.stiff[count] = data.d.q + i;
      side[count] = state[i];
      method.right_stiff[count] = state[i] > 0 ? data.u[i] : data.l[i];
      ++count;
    }
    kkt.stiff_rows = count;
  }
  OPTNET_FUNCTION void restore_base() {
    kkt.stiff_rows = base_rows;
    kkt.gather(b);
  }

  /// After `polish`: rows that are active or not by less than can be told get the weight that the iterations
  /// left them with.
  OPTNET_FUNCTION GeneralDerivative weigh_weak_rows() {
    const Rounding rounding = find_rounding(polished);
    b.each(data.rows, [&](int i) { weak_below[i] = 0; });
    for (int k = base_rows; k < kkt.stiff_rows; ++k)
      weak_below[kkt.stiff[k] - data.d.q] = Real(kWeakErrors) * rounding.of_multiplier(k);
    bool any = false;
    for (int i = 0; i < data.rows; ++i) {
      const auto is_weak = [&](Real has, Real right, Real s, Real z) {
        return has > 0 && s <= Real(kWeakErrors) * rounding.of_slack(i, right) && z <= weak_below[i];
      };
      const bool upper = is_weak(data.has_u[i], data.u[i], polished.s.u[i], polished.z.u[i]),
                 lower = is_weak(data.has_l[i], data.l[i], polished.s.l[i], polished.z.l[i]);
      if (!upper && !lower) continue;
      any = true;
      state[i] = 0;
      const auto ratio = [](Real s, Real z) {
        return s > 0 && z > 0 ? min(max(z / s, Real(1e-4)), Real(1e4)) : Real(1);
      };
      D_u[i] = upper ? ratio(method.at.s.u[i], method.at.z.u[i]) : Real(0);
      D_l[i] = lower ? ratio(method.at.s.l[i], method.at.z.l[i]) : Real(0);
      kkt.D[i] = D_u[i] + D_l[i];
    }
    mark_base(polished);
    if (!any) return GeneralDerivative::kActiveSet;
    list_active();
    kkt.factor_dropping(b);
    return GeneralDerivative::kCentralPath;
  }

  /// Weights z/s of method.at.
  OPTNET_FUNCTION GeneralDerivative weigh_central_path() {
    const typename Homogeneous<B>::Point& x = method.at;
    const Real most(1e12), least(1e-12);
    const auto weight = [&](Real s, Real z) { return s > 0 ? min(max(z / s, least), most) : Real(1); };
    b.each(data.rows, [&](int i) {
      D_u[i] = data.has_u[i] > 0 ? weight(x.s.u[i], x.z.u[i]) : Real(0);
      D_l[i] = data.has_l[i] > 0 ? weight(x.s.l[i], x.z.l[i]) : Real(0);
      kkt.D[i] = D_u[i] + D_l[i];
    });
    kkt.stiff_rows = base_rows;
    mark_base(x);
    kkt.factor_dropping(b);
    return GeneralDerivative::kCentralPath;
  }

  /// Which side of a row that must hold with equality its multiplier counts for.
  OPTNET_FUNCTION void mark_base(const Point& x) {
    b.each(base_rows, [&](int k) { side[k] = x.v.nu[k] < 0 ? -1 : 1; });
  }

  /// Moves method.at to where every λs is `target`. False where there is no such point, and it is where it
  /// was.
  OPTNET_FUNCTION bool smooth(double target, bool exact) {
    restore_base();
    if (!exact) method.copy(method.at, polished);
    if (method.center(Real(target * data.scales.cost))) return true;
    if (exact) {
      list_active();
      b.each(data.rows, [&](int i) { kkt.D[i] = 0; });
      kkt.factor_dropping(b);
    } else {
      method.copy(polished, method.at);
    }
    return false;
  }

  OPTNET_FUNCTION void keep(GeneralDerivative derivative) {
    outcome->cost = data.scales.cost;
    outcome->stiff_rows = kkt.stiff_rows;
    outcome->derivative = derivative;
  }
  OPTNET_FUNCTION void resume() {
    data.scales.cost = outcome->cost;
    kkt.resume(b, outcome->stiff_rows);
  }

  OPTNET_FUNCTION double multiplier_of(const GeneralVectors& v, int i, bool upper) const {
    const bool of_G = i < data.d.m;
    if (!of_G && i < data.offset) return 0;
    const double* from = of_G ? (upper ? v.lambda : v.lambda_gl) : (upper ? v.lambda_ub : v.lambda_lb);
    return from ? from[of_G ? i : i - data.offset] : 0;
  }
  OPTNET_FUNCTION void put(const GeneralVectors& v, int i, bool upper, double value) const {
    const bool of_G = i < data.d.m;
    if (!of_G && i < data.offset) return;
    double* to = of_G ? (upper ? v.lambda : v.lambda_gl) : (upper ? v.lambda_ub : v.lambda_lb);
    if (to) to[of_G ? i : i - data.offset] = value;
  }

  OPTNET_FUNCTION void write(const Point& x, const GeneralVectors& to) {
    write_scaled(x, to, Real(1), Real(1));
  }
  OPTNET_FUNCTION void write_scaled(const Point& x, const GeneralVectors& to, Real primal, Real dual) {
    b.each(data.d.n, [&](int j) { to.z[j] = primal * data.scales.column[j] * x.v.x[j]; });
    b.each(data.rows, [&](int i) {
      put(to, i, true, dual * data.multiplier_scale(i) * x.z.u[i]);
      put(to, i, false, dual * data.multiplier_scale(i) * x.z.l[i]);
    });
    if (to.slope) {
      b.multiply_symmetric(data.Q, x.v.x, work);
      b.each(data.d.n, [&](int j) { to.slope[j] = (primal * work[j] + data.p[j]) * data.dual_scale(j); });
    }
    if (to.slack) {
      data.multiply(b, x.v.x, method.Cx);
      b.each(data.d.m, [&](int i) {
        const Real slack =
            data.has_u[i] > 0 && dual == Real(1) ? x.s.u[i] : data.u[i] - primal * method.Cx[i];
        to.slack[i] =
            data.plain.h && data.plain.h[i] < data.infinite(i) ? slack * data.value_scale(i) : kNoBound;
      });
    }
    for (int k = 0; k < base_rows; ++k) {
      const Real nu = dual * x.v.nu[k];
      const int row = kkt.stiff[k] - data.d.q;
      if (row < 0) {
        to.nu[k] = nu * data.scales.row_A[k] / data.scales.cost;
      } else {
        put(to, row, true, data.multiplier_scale(row) * max(nu, Real(0)));
        put(to, row, false, data.multiplier_scale(row) * max(-nu, Real(0)));
      }
    }
  }

  /// The proof, normalised to the value −1. Beside multipliers, z is the last iterate; beside a direction,
  /// multipliers are 0.
  OPTNET_FUNCTION void write_certificate(Ending ending, const GeneralVectors& to) {
    const Real cost(data.scales.cost);
    if (ending == Ending::kPrimalInfeasible) {
      write_scaled(method.at, to, Real(1), cost / method.farkas());
    } else {
      write_scaled(method.at, to, cost / method.descent(), Real(0));
    }
  }

  /// min over the inequalities of max(λ, s), in the caller's units.
  OPTNET_FUNCTION double margin(const Point& x) const {
    if (method.sides_count == 0) return kNoBound;
    return b.min(data.rows, [&](int i) {
      const Real value = data.value_scale(i), multiplier = data.multiplier_scale(i);
      Real least(kNoBound);
      if (data.has_u[i] > 0) least = max(value * x.s.u[i], multiplier * x.z.u[i]);
      if (data.has_l[i] > 0) least = min(least, max(value * x.s.l[i], multiplier * x.z.l[i]));
      return least;
    });
  }
};

}  // namespace optnet
