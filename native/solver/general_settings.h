// The numbers that steer the general solver: the one place for each. Where it is not said otherwise, they are
// of the scaled problem, whose data have a size of about 1 (general_problem.h).
#pragma once

#include "solver/settings.h"

namespace optnet {

/// Passes of equilibration, of means and then of largest elements.
constexpr int kMeanPasses = 6;
constexpr int kEquilibrations = 8;

/// Right-hand sides that are less, beside the largest, say nothing of the others' size …
constexpr double kNegligible = 1e-10;
/// … nor do those that are so much more than the mean of all and, as they are given, than 1.
constexpr double kOutlier = 1e6;
constexpr double kPerhapsInfinite = 1e15;

/// A problem that could not be solved is tried again where x has become so much larger or smaller than 1.
constexpr double kOtherSize = 1e3;

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
/// What a certificate may leave of its equations, in units of the machine's epsilon and relative to the sum
/// of their absolute terms.
constexpr double kVanishes = 64;
/// How far from 0 a certificate must hold in spite of what it leaves, beside the typical size of 1.
constexpr double kReach = 1e4;
/// What multipliers leave of their equations, relative to their value, to be worth a closer look: no point
/// within the inverse of it is feasible.
constexpr double kSeemsInfeasible = 1e-1;
/// Numbers of a certificate that are less, beside the largest, are noise.
constexpr double kNoise = 1e-14;
/// Multipliers that a certificate is looked for with: at least so large, beside the largest.
constexpr double kClearlyActive = 1e-3;
constexpr double kFaintlyActive = 1e-7;
/// Steps towards multipliers that vanish in their equations, and the shift of the matrix that they are by.
constexpr int kAnnihilations = 6;
constexpr double kRowShift = 1e-13;
/// A direction is worth a closer look once τ is so small beside κ.
constexpr double kSeemsEndless = 1e-5;
/// How little a row has to change along it, relative to the direction, to seem to stay where it is.
constexpr double kStays = 1e-5;

/// A problem is solved to within the tolerance, or, where its numbers are so large that the tolerance's
/// absolute parts are nothing beside them, to within so much of it in its own units.
constexpr double kOwnTolerance = 1e-2;

/// From this scaled error on, the active set is worth a try …
constexpr double kPolishable = 1e-4;
/// … with so many exchanges of rows, and, where that fails, after iterating on to a hundredth of the
/// tolerance, so often.
constexpr int kPolishAttempts = 4;
constexpr int kPolishRounds = 3;
/// Relative to the target, and iterations at most, of a point on the central path.
constexpr double kCentered = 1e-13;
constexpr double kNearlyCentered = 1e-6;
constexpr int kCenterings = 100;

}  // namespace optnet
