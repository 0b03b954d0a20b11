// Sizes, and the numbers that steer the solver: the one place for each. What the general solver alone has is
// in general_settings.h.
#pragma once

#include <limits>

namespace optnet {

/// n variables, m inequalities, q equalities.
struct Dimensions {
  int n = 0;
  int m = 0;
  int q = 0;
};

/// Which matrices the batch shares. What follows from shared matrices alone is computed once.
struct Sharing {
  bool Q = false;
  bool G = false;
  bool A = false;
};

/// From here on a bound counts as infinite: there is none. In the caller's units, as in OSQP and PIQP.
constexpr double kInfinite = 1e30;
constexpr double kNoBound = std::numeric_limits<double>::infinity();

struct SolverSettings {
  /// Each residual is compared with tolerance × (its unit + kRelative × the size of what it is the difference
  /// of):
  ///   row i of G        min(1, ‖Gᵢ‖∞)   max(|hᵢ|, sᵢ)
  ///   row k of A        min(1, ‖Aₖ‖∞)   |bₖ|
  ///   variable j        1               the largest term of (Qz + p + Gᵀλ + Aᵀν)ⱼ
  ///   mean gap sᵀλ/m    1               |h|ᵀλ/m
  /// Row by row, so that one large row does not loosen the test of the others.
  double tolerance = 1e-8;
  int max_iterations = 50;
  bool polish = true;  ///< solve once more on the active set (solver/polish.h); never in float32
};

/// The absolute part of the tolerance is at most so many typical sizes of a problem's own numbers.
constexpr double kLargestUnit = 10;
/// What rounding loses of a sum, in units of the machine's epsilon and relative to the sum of its absolute
/// terms.
constexpr double kRoundings = 8;
/// The weight of the relative part of the tolerance against the absolute part.
constexpr double kRelative = 0.1;

/// Iterations without a better iterate before a problem is given up.
constexpr int kPatience = 10;

/// Newton steps on the full KKT system, from the data as given, for a range-space solution that is not yet
/// good enough.
constexpr int kRefinements = 10;

/// The machine's epsilon.
template <class Scalar>
constexpr Scalar kEpsilon = std::numeric_limits<Scalar>::epsilon();

/// Relative pivot, in units of the machine's epsilon, below which Q counts as singular (× n) …
constexpr double kSingularPivot = 1.0;
/// … and below which a row of A counts as dependent on those before it.
constexpr double kDependentPivot = 450.0;

/// Bound on uᵢ√(λᵢ/sᵢ), uᵢ the row's unit, and its inverse in the derivative: where neither λᵢ nor sᵢ is
/// clearly the larger, the row counts as partly active; where both vanish or the ratio overflows, as active
/// or inactive. The square's rounding is less than 1, or dependent rows would spoil the factor.
template <class Scalar>
constexpr double kLargestWeight = sizeof(Scalar) == 8 ? 4e6 : 2e2;

/// √D of a row in the condensed form's factor, at most this × √(mean of diag Q)/‖Gᵢ‖∞: half the digits are
/// left to Q …
template <class Scalar>
constexpr double kLargestCondensedWeight = sizeof(Scalar) == 8 ? 1e4 : 30;
/// … and solves that this is too little for are refined so often.
constexpr int kCondensedRefinements = 2;

/// √D of a row that is active in a polished solution, in the row's own unit: D⁻¹ is rounding beside Rᵢᵢ.
constexpr double kActiveWeight = 1e8;
/// The tolerance at which a solution is first looked for on the active set.
constexpr double kEarlyTolerance = 1e-5;
/// Active sets that are tried for one iterate.
constexpr int kPolishes = 3;
/// How much more active a row has to seem than inactive, once the set has proved dependent.
constexpr double kBias = 1e2;
/// A sign counts as right up to this, λᵢ measured against the largest λ (in the rows' units) and sᵢ against
/// what it is the difference of …
constexpr double kSignRounding = 1e-12;
/// … and a row as nearly weakly active where both are below so many errors: which side it is on is then a
/// question of rounding, and the derivative keeps the central path's weight for it, some point between the
/// derivatives of both sides …
constexpr double kWeakErrors = 4;
/// … an error being so many times what refinement moved, and at least so much, likewise relative …
constexpr double kErrors = 2;
constexpr double kLeastError = 1e-14;
/// … but at most so much.
constexpr double kMostWeak = 1e-9;
/// Scaled residuals above which a solution on its active set is refined …
constexpr double kRefineAbove = 1e-12;
/// … and relative corrections above which the adjoint is too.
constexpr double kRefineAdjointAbove = 3e-12;
/// A pivot of the active rows' matrix, relative to its diagonal, below which they count as dependent.
constexpr double kDependentActive = 1e-12;
/// How far the terms of Gᵀλ may move from the iterate's, beyond the largest of these.
constexpr double kFarMultiplier = 1e-3;

}  // namespace optnet
