// The solution of a problem and its derivative, to more digits than the solver's numbers have: the KKT system
// of the active set in long double, whose solution proves the set right by its signs.
#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/problem.h"

namespace optnet::test {

/// P M = L U in place.
template <class Real>
class Lu {
 public:
  explicit Lu(std::size_t size) : n_(size), a_(size * size), row_(size) {}
  Real& at(std::size_t i, std::size_t j) { return a_[i * n_ + j]; }

  void factor() {
    for (std::size_t i = 0; i < n_; ++i) row_[i] = i;
    for (std::size_t k = 0; k < n_; ++k) {
      std::size_t pivot = k;
      for (std::size_t i = k + 1; i < n_; ++i) {
        if (std::fabs(at(row_[i], k)) > std::fabs(at(row_[pivot], k))) pivot = i;
      }
      std::swap(row_[k], row_[pivot]);
      const Real* top = &at(row_[k], 0);
      for (std::size_t i = k + 1; i < n_; ++i) {
        Real* row = &at(row_[i], 0);
        const Real factor = row[k] /= top[k];
        for (std::size_t j = k + 1; j < n_; ++j) row[j] -= factor * top[j];
      }
    }
  }
  std::vector<Real> solve(const std::vector<Real>& right) const {
    std::vector<Real> x(n_);
    for (std::size_t i = 0; i < n_; ++i) {
      x[i] = right[row_[i]];
      for (std::size_t j = 0; j < i; ++j) x[i] -= a_[row_[i] * n_ + j] * x[j];
    }
    for (std::size_t i = n_; i-- > 0;) {
      for (std::size_t j = i + 1; j < n_; ++j) x[i] -= a_[row_[i] * n_ + j] * x[j];
      x[i] /= a_[row_[i] * n_ + i];
    }
    return x;
  }

 private:
  std::size_t n_;
  std::vector<Real> a_;
  std::vector<std::size_t> row_;
};

/// Problem i of a batch of float64 data, each datum batched.
class ExactSolution {
 public:
  std::vector<long double> z, lambda, nu, slack;
  long double margin = 0;  ///< min over the rows of max(λ, s)
  bool proven = false;     ///< the signs are right

  /// From a guess of the active rows; a wrong one is mended where so many steps of the primal-dual active-set
  /// method can.
  ExactSolution(const Problem& problem, std::size_t i, std::vector<bool> active, int attempts = 20)
      : active_(std::move(active)) {
    const auto [batch, n, m, q] = problem.shape;
    n_ = static_cast<std::size_t>(n);
    m_ = static_cast<std::size_t>(m);
    q_ = static_cast<std::size_t>(q);
    const auto at = [i](const Datum& datum, std::size_t size) {
      return static_cast<const double*>(datum.data) + i * size;
    };
    Q_ = at(problem.Q, n_ * n_);
    p_ = at(problem.p, n_);
    G_ = at(problem.G, m_ * n_);
    h_ = at(problem.h, m_);
    A_ = at(problem.A, q_ * n_);
    b_ = at(problem.b, q_);
    for (int attempt = 0; attempt < attempts && !proven; ++attempt) solve();
  }

  /// dz, dλ, dν of solver/solve.h's adjoint for the gradients gz, gλ, gν, one after the other.
  std::vector<long double> adjoint(const double* gz, const double* glambda, const double* gnu) const {
    return spread(kkt_.solve(adjoint_right<long double>(gz, glambda, gnu)));
  }

  /// The same as float64 has it by elimination: with C the rows, CQ⁻¹Cᵀ y = CQ⁻¹g − c, x = Q⁻¹(g − Cᵀy).
  std::vector<double> eliminated_adjoint(const double* gz, const double* glambda, const double* gnu) const {
    const std::vector<double> right = adjoint_right<double>(gz, glambda, gnu);
    const std::size_t rows = right.size() - n_;
    Lu<double> Q(n_), reduced(rows);
    for (std::size_t j = 0; j < n_; ++j) {
      for (std::size_t k = 0; k < n_; ++k) Q.at(j, k) = Q_[j * n_ + k];
    }
    Q.factor();
    std::vector<double> x = Q.solve({right.begin(), right.begin() + static_cast<std::ptrdiff_t>(n_)});
    std::vector<double> c(rows);
    std::vector<std::vector<double>> eliminated;
    for (std::size_t r = 0; r < rows; ++r) {
      const double* row = constraint(r);
      c[r] = std::inner_product(row, row + n_, x.data(), -right[n_ + r]);
      eliminated.push_back(Q.solve({row, row + n_}));
    }
    // Not made symmetric: the rows hold for x as this has Q⁻¹Cᵀ, errors and all.
    for (std::size_t r = 0; r < rows; ++r) {
      const double* row = constraint(r);
      for (std::size_t k = 0; k < rows; ++k) {
        reduced.at(r, k) = std::inner_product(row, row + n_, eliminated[k].data(), 0.0);
      }
    }
    reduced.factor();
    const std::vector<double> y = reduced.solve(c);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t j = 0; j < n_; ++j) x[j] -= eliminated[r][j] * y[r];
    }
    x.insert(x.end(), y.begin(), y.end());
    return spread(x);
  }

 private:
  std::size_t n_ = 0, m_ = 0, q_ = 0;
  const double *Q_, *p_, *G_, *h_, *A_, *b_;
  std::vector<bool> active_;
  std::vector<std::size_t> rows_;
  Lu<long double> kkt_{0};

  /// Row r of the equations: the active rows of G, then A.
  const double* constraint(std::size_t r) const {
    return r < rows_.size() ? G_ + rows_[r] * n_ : A_ + (r - rows_.size()) * n_;
  }

  template <class Real>
  std::vector<Real> adjoint_right(const double* gz, const double* glambda, const double* gnu) const {
    std::vector<Real> right(n_ + rows_.size() + q_);
    for (std::size_t j = 0; j < n_; ++j) right[j] = -gz[j];
    for (std::size_t r = 0; r < rows_.size(); ++r) right[n_ + r] = -glambda[rows_[r]];
    for (std::size_t k = 0; k < q_; ++k) right[n_ + rows_.size() + k] = -gnu[k];
    return right;
  }

  /// Of a solution with λ of the active rows only: all of λ.
  template <class Real>
  std::vector<Real> spread(const std::vector<Real>& x) const {
    std::vector<Real> out(n_ + m_ + q_);
    for (std::size_t j = 0; j < n_; ++j) out[j] = x[j];
    for (std::size_t r = 0; r < rows_.size(); ++r) out[n_ + rows_[r]] = x[n_ + r];
    for (std::size_t k = 0; k < q_; ++k) out[n_ + m_ + k] = x[n_ + rows_.size() + k];
    return out;
  }

  void solve() {
    rows_.clear();
    for (std::size_t i = 0; i < m_; ++i) {
      if (active_[i]) rows_.push_back(i);
    }
    const std::size_t size = n_ + rows_.size() + q_;
    kkt_ = Lu<long double>(size);
    std::vector<long double> right(size);
    for (std::size_t j = 0; j < n_; ++j) {
      for (std::size_t k = 0; k < n_; ++k) kkt_.at(j, k) = Q_[j * n_ + k];
      right[j] = -p_[j];
    }
    const auto border = [&](std::size_t at, const double* row, double value) {
      for (std::size_t j = 0; j < n_; ++j) kkt_.at(at, j) = kkt_.at(j, at) = row[j];
      right[at] = value;
    };
    for (std::size_t r = 0; r < rows_.size(); ++r) border(n_ + r, G_ + rows_[r] * n_, h_[rows_[r]]);
    for (std::size_t k = 0; k < q_; ++k) border(n_ + rows_.size() + k, A_ + k * n_, b_[k]);
    kkt_.factor();
    const std::vector<long double> x = spread(kkt_.solve(right));
    z.assign(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n_));
    lambda.assign(x.begin() + static_cast<std::ptrdiff_t>(n_), x.end() - static_cast<std::ptrdiff_t>(q_));
    nu.assign(x.end() - static_cast<std::ptrdiff_t>(q_), x.end());
    slack.assign(m_, 0);
    margin = INFINITY;
    proven = true;
    for (std::size_t i = 0; i < m_; ++i) {
      if (!active_[i]) {
        slack[i] = h_[i];
        for (std::size_t j = 0; j < n_; ++j) slack[i] -= G_[i * n_ + j] * z[j];
      }
      proven = proven && lambda[i] >= 0 && slack[i] >= 0;
      margin = std::fmin(margin, std::fmax(lambda[i], slack[i]));
      active_[i] = lambda[i] > slack[i];
    }
  }
};

}  // namespace optnet::test
