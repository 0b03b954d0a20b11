// The units of a problem taken off it: scales that are powers of two, so that they round nothing, under which
// rows, columns and the objective have elements near 1, and what they multiply a typical size of 1. Whatever
// units the caller has, what is left is the same to a factor of two or so; hence what is small can be told
// from what is large.
#pragma once

#include <cmath>

#include "solver/general_settings.h"
#include "solver/plain_problem.h"
#include "solver/scalar.h"

namespace optnet {

/// What the scaled problem's numbers are in the caller's: z = column·x, λᵢ = rowᵢ·yᵢ/cost, and so on. The
/// matrices are those of the problem with z = column·x/value and rows row·value, `value` being the typical
/// size.
struct Scales {
  double* column;  ///< n
  double* row;     ///< of G, m
  double* row_A;   ///< q
  double cost = 1;
};

/// Of x ≠ 0, to the base 2.
OPTNET_FUNCTION inline double exponent_of(double x) { return std::ilogb(x); }

OPTNET_FUNCTION inline double power_of_two(double exponent) {
  return std::ldexp(1.0, static_cast<int>(std::floor(min(max(exponent, -300.0), 300.0) + 0.5)));
}

/// The power of two next to 1/√x; 1 for x = 0.
OPTNET_FUNCTION inline double inverse_root_scale(double x) {
  return x > 0 ? power_of_two(-0.5 * exponent_of(min(max(x, 1e-150), 1e150))) : 1;
}

/// |vⱼ|, or 0 where it is not there or infinite.
OPTNET_FUNCTION inline double finite_size(const double* v, int j) {
  return v && abs(v[j]) < kInfinite ? abs(v[j]) : 0;
}

/// Scales a problem in place. Each of `backend`'s threads takes rows or columns of its own.
template <class B>
class Equilibration {
 public:
  /// `work`: n.
  OPTNET_FUNCTION Equilibration(const B& backend, const PlainProblem& problem, Scales& scales, double* work)
      : b(backend), plain(problem), scales(scales), work(work), n(plain.d.n), m(plain.d.m), q(plain.d.q) {}

  OPTNET_FUNCTION void run() {
    scales.cost = 1;
    scale_to_means();
    for (int pass = 0; pass < kEquilibrations; ++pass) scale_to_largest();
    scale_Q(1 / of_Q);
    scale_vectors();
    mark_bounded_alone();
    const double value = typical_value();
    scale_bounded_alone(value);
    scale_values(value);
    scale_objective(value);
  }

  /// Makes 1 of what is `value` now.
  OPTNET_FUNCTION void rescale(double value) {
    scale_values(value);
    scale_objective(value);
  }

 private:
  const B& b;
  const PlainProblem& plain;
  Scales& scales;
  double* work;
  int n, m, q;
  /// What Q alone is multiplied with for a while, so that its unit has no say in the columns'.
  double of_Q = 1;

  /// The mean of exponents.
  struct Mean {
    double sum = 0, count = 0;
    OPTNET_FUNCTION void add(double exponent) {
      sum += exponent;
      ++count;
    }
    OPTNET_FUNCTION double value() const { return count > 0 ? sum / count : 0; }
  };

  OPTNET_FUNCTION std::size_t at(int i, int j) const { return static_cast<std::size_t>(i) * n + j; }

  OPTNET_FUNCTION double largest_of_row(const double* M, int i) const {
    double largest = 0;
    for (int j = 0; j < n; ++j) largest = max(largest, abs(M[at(i, j)]));
    return largest;
  }
  OPTNET_FUNCTION double largest_of_column(int j) const {
    double largest = plain.Q ? largest_of_row(plain.Q, j) : 0;
    for (int i = 0; i < m; ++i) largest = max(largest, abs(plain.G[at(i, j)]));
    for (int k = 0; k < q; ++k) largest = max(largest, abs(plain.A[at(k, j)]));
    return largest;
  }
  OPTNET_FUNCTION void scale_Q(double by) const {
    if (!plain.Q) return;
    b.each(n, [&](int i) {
      for (int j = 0; j < n; ++j) plain.Q[at(i, j)] *= by;
    });
  }
  OPTNET_FUNCTION void scale(double* v, int size, double by) const {
    if (v) b.each(size, [&](int i) { v[i] *= by; });
  }

  /// Geometric means: unlike largest elements, they settle where they do whatever the units were. Of Q, its
  /// diagonal speaks for it, as Qⱼₖ² ≤ QⱼⱼQₖₖ. Here scales are exponents, and those of columns are in `work`.
  OPTNET_FUNCTION void scale_to_means() {
    double objective = 0;
    b.each(n, [&](int j) { work[j] = 0; });
    const auto of_row = [&](const double* M, int i) {
      Mean mean;
      for (int j = 0; j < n; ++j) {
        if (M[at(i, j)] != 0) mean.add(exponent_of(M[at(i, j)]) + work[j]);
      }
      return mean.value();
    };
    const auto of_diagonal = [&](int j) { return 0.5 * exponent_of(plain.Q[at(j, j)]); };
    const auto has_diagonal = [&](int j) { return plain.Q && plain.Q[at(j, j)] > 0; };
    for (int pass = 0; pass < kMeanPasses; ++pass) {
      b.each(m, [&](int i) { scales.row[i] = -of_row(plain.G, i); });
      b.each(q, [&](int k) { scales.row_A[k] = -of_row(plain.A, k); });
      Mean of_objective;
      for (int j = 0; j < n; ++j) {
        if (has_diagonal(j)) of_objective.add(of_diagonal(j) + work[j]);
      }
      objective = -of_objective.value();
      b.each(n, [&](int j) {
        Mean mean;
        const auto add = [&](double element, double scale) {
          if (element != 0) mean.add(exponent_of(element) + scale);
        };
        for (int i = 0; i < m; ++i) add(plain.G[at(i, j)], scales.row[i]);
        for (int k = 0; k < q; ++k) add(plain.A[at(k, j)], scales.row_A[k]);
        if (has_diagonal(j)) mean.add(of_diagonal(j) + objective);
        work[j] = -mean.value();
      });
    }
    b.each(n, [&](int j) { scales.column[j] = work[j] = power_of_two(work[j]); });
    const auto apply = [&](double* M, int rows, double* scale) {
      b.each(rows, [&](int i) {
        scale[i] = power_of_two(scale[i]);
        for (int j = 0; j < n; ++j) M[at(i, j)] *= scale[i] * work[j];
      });
    };
    apply(plain.G, m, scales.row);
    apply(plain.A, q, scales.row_A);
    of_Q = power_of_two(2 * objective);
    if (!plain.Q) return;
    b.each(n, [&](int i) {
      for (int j = 0; j < n; ++j) plain.Q[at(i, j)] *= of_Q * work[i] * work[j];
    });
  }

  /// A pass of Ruiz's equilibration (2001): rows and columns of the KKT matrix | Q Cᵀ Aᵀ | tend to a largest
  /// element near 1.
  OPTNET_FUNCTION void scale_to_largest() {
    b.each(n, [&](int j) {
      work[j] = inverse_root_scale(largest_of_column(j));
      scales.column[j] *= work[j];
    });
    const auto rows = [&](double* M, int count, double* scale) {
      b.each(count, [&](int i) {
        const double own = inverse_root_scale(largest_of_row(M, i));
        scale[i] *= own;
        for (int j = 0; j < n; ++j) M[at(i, j)] *= own * work[j];
      });
    };
    rows(plain.G, m, scales.row);
    rows(plain.A, q, scales.row_A);
    if (!plain.Q) return;
    b.each(n, [&](int i) {
      for (int j = 0; j < n; ++j) plain.Q[at(i, j)] *= work[i] * work[j];
    });
  }

  OPTNET_FUNCTION void scale_vectors() {
    b.each(n, [&](int j) {
      plain.p[j] *= scales.column[j];
      for (double* v : {plain.lb, plain.ub}) {
        if (v) v[j] /= scales.column[j];
      }
    });
    b.each(m, [&](int i) {
      for (double* v : {plain.h, plain.gl}) {
        if (v) v[i] *= scales.row[i];
      }
    });
    b.each(q, [&](int k) { plain.b[k] *= scales.row_A[k]; });
  }

  /// In `work`: variables that are in no matrix have their bounds alone to tell their size; 0 for all others.
  OPTNET_FUNCTION void mark_bounded_alone() {
    b.each(n, [&](int j) {
      const bool alone = !(largest_of_column(j) > 0);
      work[j] = alone ? max(finite_size(plain.lb, j), finite_size(plain.ub, j)) : 0;
    });
  }
  OPTNET_FUNCTION void scale_bounded_alone(double value) {
    b.each(n, [&](int j) {
      if (!(work[j] > 0)) return;
      const double scale = power_of_two(exponent_of(work[j])) / value;
      scales.column[j] *= scale;
      plain.p[j] *= scale;
      if (plain.lb) plain.lb[j] /= scale;
      if (plain.ub) plain.ub[j] /= scale;
    });
  }

  /// f of every right-hand side that counts as finite, the lower one of two first, and of what scaled it.
  template <class F>
  OPTNET_FUNCTION void each_side(F f) const {
    const auto side = [](const double* v, int i, double scale, double none) {
      return v && abs(v[i]) < kInfinite * scale ? v[i] : none;
    };
    const auto both = [&](const double* low, const double* high, int i, double scale) {
      f(side(low, i, scale, -kNoBound), side(high, i, scale, kNoBound), scale);
    };
    for (int k = 0; k < q; ++k) f(plain.b[k], plain.b[k], scales.row_A[k]);
    for (int i = 0; i < m; ++i) both(plain.gl, plain.h, i, scales.row[i]);
    for (int j = 0; j < n; ++j) {
      if (work[j] == 0) both(plain.lb, plain.ub, j, 1 / scales.column[j]);
    }
  }
  /// f of their sizes, but for zeros, and of what scaled them.
  template <class F>
  OPTNET_FUNCTION void each_size(F f) const {
    each_side([&](double low, double high, double scale) {
      for (const double value : {low, high}) {
        if (value != 0 && abs(value) < kNoBound) f(abs(value), scale);
      }
    });
  }

  /// The size of x: what keeps it from 0, or else the right-hand sides' geometric mean, but no more than what
  /// the objective asks for. A power of two.
  OPTNET_FUNCTION double typical_value() const {
    double farthest = 0, largest = 0;
    Mean all, right, asked;
    each_side([&](double low, double high, double) { farthest = max(farthest, max(low, -high)); });
    each_size([&](double size, double) { all.add(exponent_of(size)); });
    // Neither what somebody wrote for infinity says anything of x, nor what rounding has left of 0.
    const double typical = power_of_two(all.value());
    const auto is_far = [&](double size, double scale) {
      return size > farthest && size > kOutlier * typical && size > kPerhapsInfinite * scale;
    };
    each_size(
        [&](double size, double scale) { largest = is_far(size, scale) ? largest : max(largest, size); });
    each_size([&](double size, double scale) {
      if (!is_far(size, scale) && size > kNegligible * largest) right.add(exponent_of(size));
    });
    double most = 0;  // of what the objective asks for
    for (int j = 0; plain.Q && j < n; ++j) {
      const double curvature = plain.Q[at(j, j)];
      if (!(curvature > 0) || plain.p[j] == 0) continue;
      most = max(most, abs(plain.p[j]) / curvature);
      asked.add(exponent_of(plain.p[j]) - exponent_of(curvature));
    }
    if (right.count == 0) return power_of_two(asked.value());
    const double value = power_of_two(right.value());
    return asked.count > 0 && max(farthest, most) < value ? power_of_two(exponent_of(max(farthest, most)))
                                                          : value;
  }

  OPTNET_FUNCTION void scale_values(double value) {
    const double inverse = 1 / value;
    scale(scales.column, n, value);
    scale(scales.row, m, inverse);
    scale(scales.row_A, q, inverse);
    scale(plain.p, n, value);
    for (double* v : {plain.lb, plain.ub}) scale(v, n, inverse);
    for (double* v : {plain.h, plain.gl}) scale(v, m, inverse);
    scale(plain.b, q, inverse);
  }

  /// The larger of a typical column of Q and the largest of p becomes about 1.
  OPTNET_FUNCTION void scale_objective(double value) {
    double largest = b.max(n, [&](int j) { return abs(plain.p[j]); });
    if (plain.Q) {
      const double columns = b.sum(n, [&](int j) { return largest_of_row(plain.Q, j); });
      largest = max(largest, value * (value * (columns / n)));
    }
    const double root = inverse_root_scale(largest), cost = root * root;
    scales.cost *= cost;
    scale(plain.p, n, cost);
    scale_Q(cost * value * value);
  }
};

}  // namespace optnet
