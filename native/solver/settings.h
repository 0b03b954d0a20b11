// Sizes, and the numbers that steer the solver: the one place for each.
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

/// Bound on √(λ/s) and its inverse in the derivative: where neither λᵢ nor sᵢ is clearly the larger, the row
/// counts as partly active; where both vanish or the ratio overflows, as active or inactive.
template <class Scalar>
constexpr double kLargestWeight = sizeof(Scalar) == 8 ? 1e9 : 1e4;

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
constexpr double kSignRounding = 1e-11;
/// … and a row as nearly weakly active where both are below this: which side it is on is then a question of
/// rounding in the data, and the derivative keeps the central path's weight for it, some point between the
/// derivatives of both sides.
constexpr double kWeak = 1e-9;
/// Scaled residuals above which a solution on its active set is refined …
constexpr double kRefineAbove = 1e-12;
/// … and relative corrections above which the adjoint is too.
constexpr double kRefineAdjointAbove = 3e-12;
/// A pivot of the active rows' matrix, relative to its diagonal, below which they count as dependent.
constexpr double kDependentActive = 1e-12;
/// How far the terms of Gᵀλ may move from the iterate's, beyond the largest of these.
constexpr double kFarMultiplier = 1e-3;

// ---- the general solver ----

/// Passes of equilibration.
constexpr int kEquilibrations = 8;

/// ρ and δ of general_kkt.h, beside data whose largest elements are 1 …
constexpr double kPrimalShift = 1e-9;
constexpr double kDualShift = 1e-9;
/// … and ρ at most, where rounding makes H indefinite.
constexpr double kLargestShift = 1e-4;
/// Weights are at most this in the factor; refinement does the rest.
constexpr double kLargestFactorWeight = 1e9;
/// Refinement ends at this residual, relative to the right-hand side, or after so many steps.
constexpr double kRefined = 1e-15;
constexpr int kRefinementSteps = 6;
/// The same for the directions of the iterations.
constexpr double kDirectionAccuracy = 1e-8;
/// Pivot, in units of n times the machine's epsilon and relative to its diagonal element, that counts as zero
/// where the derivative is taken.
constexpr double kVanishingPivot = 1e3;

/// Iterations without a better iterate before a general problem is given up.
constexpr int kGeneralPatience = 15;
/// What a certificate may leave of its equations, relative to its value, in the scaled problem: 1e-10 says
/// that no point within 1e10 is feasible …
constexpr double kCertificate = 1e-10;
/// … or more, as far as it is rounding: relative to the largest multiplier, and to its value.
constexpr double kCertificateRounding = 1e-14;
constexpr double kRoundedCertificate = 1e-6;
/// Its value counts from here on, relative to the sizes of its terms.
constexpr double kCertificateValue = 1e-10;
/// Along a direction Q must vanish by so much more, as Q may be nearly singular.
constexpr double kStraighter = 1e3;
/// A direction is worth a closer look once τ is so small beside κ.
constexpr double kSeemsEndless = 1e-5;
/// How little a row has to change along it, relative to the direction, to seem to stay where it is.
constexpr double kStays = 1e-5;

/// From this scaled error on, the active set is worth a try …
constexpr double kPolishable = 1e-4;
/// … with so many exchanges of rows, and, where that fails, after iterating on to a hundredth of the
/// tolerance, so often.
constexpr int kPolishAttempts = 4;
constexpr int kPolishRounds = 3;
/// Multiplier and slack (of the scaled problem) below which nobody can tell whether a row is active.
constexpr double kWeaklyActive = 1e-9;
/// Relative to the target, and iterations at most, of a point on the central path.
constexpr double kCentered = 1e-13;
constexpr int kCenterings = 100;

}  // namespace optnet
