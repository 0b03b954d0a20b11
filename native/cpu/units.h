// The unit of work of a CPU backend B: loads W problems, solves them, and draws their gradients.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/loader.h"
#include "cpu/missing_rows.h"
#include "cpu/outer.h"
#include "cpu/unit_solver.h"
#include "solver/arena.h"
#include "solver/solve.h"

namespace optnet::OPTNET_ISA {

/// Everything that a unit works on, placed in the memory given (or, in none, counted).
template <class B, FormKind kKind>
struct Places {
  Arena shared, own, kept, scratch;
  B b;
  Workplace<B, kKind> work;
  MissingRows<B> missing;
  typename B::Real *gz, *glambda, *gnu, *dz, *dlambda, *dnu;
  typename B::Real* rounding;  ///< of solves with the kept factors, one number

  /// `removable`: of the rows, those that problems may lack.
  OPTNET_NOINLINE Places(const UnitSolver::Memory& memory, const Dimensions& d, int removable,
                         const Sharing& sharing)
      : shared(memory.shared),
        own(memory.data),
        kept(memory.kept),
        scratch(memory.scratch),
        b(make_backend(d, scratch)),
        work(b, d, sharing, shared, own, shared, kept, scratch, scratch, scratch),
        missing(removable, kStandIn<kKind>, own),
        gz(B::vector(scratch, d.n)),
        glambda(B::vector(scratch, d.m)),
        gnu(B::vector(scratch, d.q)),
        dz(B::vector(scratch, d.n)),
        dlambda(B::vector(scratch, d.m)),
        dnu(B::vector(scratch, d.q)),
        rounding(B::vector(kept, 1)) {}

 private:
  static B make_backend(const Dimensions& d, Arena& scratch) {
    if constexpr (std::is_constructible_v<B, const Dimensions&, Arena&>) {
      return B(d, scratch);
    } else {
      return B{};
    }
  }
};

/// The units of form kKind over backend B, for problems whose numbers are of type IO. What the rows of the
/// solver's problem are to the caller is for derived classes to say.
template <class B, FormKind kKind, class IO>
class UnitsOf : public UnitSolver {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  static constexpr int W = B::kWidth;

  std::size_t lanes() const override { return W; }

  Footprint footprint() const override {
    const Places<B, kKind> at({}, rows_, removable_, sharing_);
    // What the batch shares is prepared in the memory of a unit, by another backend: its arrays may be
    // larger.
    const Places<typename B::Shared, kKind> shared({}, rows_, removable_, sharing_);
    return {at.shared.used(), at.own.used(), std::max(at.kept.used(), shared.kept.used()),
            std::max(at.scratch.used(), shared.scratch.used())};
  }

  bool prepare_shared(const Memory& memory) const override {
    Places<typename B::Shared, kKind> at(memory, rows_, removable_, sharing_);
    return all(at.work.form.prepare(at.b, at.work.data, true));
  }

  void solve(std::size_t unit, const Memory& memory, const SolverSettings& settings, bool differentiable,
             const Results& results, const BatchVectors& solution) const override {
    Places<B, kKind> at(memory, rows_, removable_, sharing_);
    const std::size_t first = unit * W;
    const int count = problems_of(unit);
    Report<B> report = optnet::solve(at.b, at.work, settings, differentiable);
    at.rounding[0] = report.rounding;
    const Iterate<B>& x = at.work.x;
    store<IO>(x.z, d_.n, results.z, first, count);
    store<IO>(x.nu, d_.q, results.nu, first, count);
    if (differentiable) {
      store<double>(x.z, d_.n, solution.z, first, count);
      store<double>(x.nu, d_.q, solution.nu, first, count);
    }
    store_rows(at, first, count, report, results, differentiable ? &solution : nullptr);
    store_report(report, settings, first, count, results);
  }

  void backward(std::size_t unit, const Memory& memory, const BatchVectors& upstream,
                const BatchVectors& vectors, double* residuals) const override {
    Places<B, kKind> at(memory, rows_, removable_, sharing_);
    const std::size_t first = unit * W;
    const int count = problems_of(unit);
    const auto load_upstream = [&] {
      load(at.gz, d_.n, upstream.dz, first, count);
      load_rows(at, upstream, first, count);
      load(at.gnu, d_.q, upstream.dnu, first, count);
    };
    load_upstream();
    if constexpr (kRefinesAdjoint<B, kKind>) {
      const auto coarse = is_coarse<B>(at.rounding[0], d_.n);
      refined_adjoint(at.b, at.work, at.gz, at.glambda, at.gnu, at.dlambda, coarse);
    } else {
      adjoint(at.b, at.work, at.gz, at.glambda, at.gnu, at.dlambda);
    }
    store<double>(at.gz, d_.n, vectors.dz, first, count);
    store<double>(at.gnu, d_.q, vectors.dnu, first, count);
    store_adjoint_rows(at, first, count, vectors);
    if (!residuals) return;
    at.b.each(d_.n, [&](int j) { at.dz[j] = at.gz[j]; });
    at.b.each(d_.q, [&](int k) { at.dnu[k] = at.gnu[k]; });
    load_upstream();
    const Real residual =
        adjoint_residual(at.b, at.work, at.gz, at.glambda, at.gnu, at.dz, at.dlambda, at.dnu);
    for (int l = 0; l < count; ++l) residuals[first + l] = lane(residual, l);
  }

  void own_gradients(std::size_t i, const Problem& layout, const Gradients& out,
                     const BatchVectors& at) const override {
    const std::size_t n = d_.n, m = d_.m, q = d_.q;
    const double *z = at.z + i * n, *dz = at.dz + i * n, *dz_of_Q = at.dz_of_Q + i * n,
                 *lambda = at.lambda + i * m, *dlambda = at.dlambda + i * m, *nu = at.nu + i * q,
                 *dnu = at.dnu + i * q;
    const auto wanted = [&](const void* gradient, const Datum& datum) { return gradient && datum.batched; };
    const auto vector = [&](void* gradient, const Datum& datum, std::size_t size, double sign,
                            const double* v) {
      if (!wanted(gradient, datum)) return;
      IO* row = static_cast<IO*>(gradient) + i * size;
      for (std::size_t k = 0; k < size; ++k) row[k] = static_cast<IO>(sign * v[i * size + k]);
    };
    vector(out.dp, layout.p, n, 1, at.dz_of_p);
    vector(out.dh, layout.h, m, -1, at.dlambda_h);
    vector(out.dgl, layout.gl, m, 1, at.dlambda_gl);
    vector(out.db, layout.b, q, -1, at.dnu_of_b);
    vector(out.dlb, layout.lb, n, 1, at.dlambda_lb);
    vector(out.dub, layout.ub, n, -1, at.dlambda_ub);
    if (wanted(out.dQ, layout.Q))
      outer(d_.n, d_.n, 0.5, dz_of_Q, z, z, dz_of_Q, static_cast<IO*>(out.dQ) + i * n * n);
    if (wanted(out.dG, layout.G))
      outer(d_.m, d_.n, 1, dlambda, z, lambda, dz, static_cast<IO*>(out.dG) + i * m * n);
    if (wanted(out.dA, layout.A)) outer(d_.q, d_.n, 1, dnu, z, nu, dz, static_cast<IO*>(out.dA) + i * q * n);
  }

  void sum_outer(std::size_t batch, const OuterSum& sum, int first, int last, DType dtype,
                 void* out) const override {
    sum_outer_products(batch, sum, first, last, dtype, out);
  }

 protected:
  std::size_t batch_;
  Dimensions d_;     ///< of the caller's problem
  Dimensions rows_;  ///< of the solver's
  int removable_;    ///< of its rows, those that problems may lack
  Sharing sharing_;

  UnitsOf(const Shape& shape, int rows, int removable, const Sharing& sharing)
      : batch_(shape.batch),
        d_{shape.n, shape.m, shape.q},
        rows_{shape.n, rows, shape.q},
        removable_(removable),
        sharing_(sharing) {}

  /// λ and s of the solver's rows into `results`, and, unless null, `solution`. May correct the report.
  virtual void store_rows(const Places<B, kKind>& at, std::size_t first, int count, Report<B>& report,
                          const Results& results, const BatchVectors* solution) const = 0;
  /// at.dlambda of the solver's rows into `out`.
  virtual void store_adjoint_rows(const Places<B, kKind>& at, std::size_t first, int count,
                                  const BatchVectors& out) const = 0;
  /// The gradients of the loss with respect to their λ, into at.glambda.
  virtual void load_rows(const Places<B, kKind>& at, const BatchVectors& upstream, std::size_t first,
                         int count) const = 0;

  int problems_of(std::size_t unit) const {
    const std::size_t left = batch_ - unit * W;
    return static_cast<int>(left < W ? left : W);
  }

  template <class T>
  static auto lane(const T& x, int l) {
    if constexpr (std::is_class_v<T>) {
      return x.lane(l);
    } else {
      return x;
    }
  }
  template <class To>
  static void store(const Real* v, int n, void* out, std::size_t first, int count) {
    To* rows[W];
    for (int l = 0; l < W; ++l) rows[l] = static_cast<To*>(out) + (first + (l < count ? l : 0)) * n;
    B::store_row(v, n, rows, count);
  }

  /// Zero where `source` is null.
  static void load(Real* v, int n, const double* source, std::size_t first, int count) {
    if (!source) {
      for (int i = 0; i < n; ++i) v[i] = Real(Scalar(0));
      return;
    }
    const double* rows[W];
    for (int l = 0; l < W; ++l) rows[l] = source + (first + (l < count ? l : count - 1)) * n;
    B::load_row(v, n, rows);
  }

  /// The numbers of one problem, into arrays that may be null.
  template <class D>
  static void read_data(const Data<D>& data, int l, const PlainProblem& out) {
    const Dimensions& d = data.d;
    const auto rows = [&](const typename D::Matrix& M, double* to) {
      for (int i = 0; i < M.rows; ++i) D::read_row(M, i, l, to + static_cast<std::size_t>(i) * d.n);
    };
    D::read_symmetric(data.Q, l, out.Q);
    read_vector(data.p, d.n, l, out.p);
    rows(data.G, out.G);
    read_vector(data.h, d.m, l, out.h);
    rows(data.A, out.A);
    read_vector(data.b, d.q, l, out.b);
  }
  static void read_vector(const Real* v, int size, int l, double* to) {
    for (int i = 0; to && i < size; ++i) to[i] = static_cast<double>(lane(v[i], l));
  }

 private:
  static constexpr double kFar = 1e30;  ///< what a margin is without rows
  static constexpr double kNoRows = std::numeric_limits<double>::infinity();

  void store_report(const Report<B>& report, const SolverSettings& settings, std::size_t first, int count,
                    const Results& results) const {
    for (int l = count - 1; l >= 0; --l) {
      const std::size_t i = first + l;
      const int iterations = static_cast<int>(lane(report.iterations, l));
      results.objective[i] = lane(report.objective, l);
      results.primal_residual[i] = lane(report.primal, l);
      results.dual_residual[i] = lane(report.dual, l);
      results.gap[i] = lane(report.gap, l);
      results.iterations[i] = iterations;
      if (results.margin)
        results.margin[i] = lane(report.margin, l) < kFar ? lane(report.margin, l) : kNoRows;
      if (results.derivative) {
        results.derivative[i] =
            static_cast<std::uint8_t>(lane(report.exact, l)      ? Derivative::kActiveSet
                                      : lane(report.polished, l) ? Derivative::kCentralPath
                                                                 : Derivative::kUnpolished);
      }
      results.status[i] = static_cast<std::uint8_t>(
          !lane(report.definite, l) || !std::isfinite(lane(report.objective, l)) ? Status::kNotDefinite
          : lane(report.solved, l)                                               ? Status::kSolved
          : iterations >= settings.max_iterations                                ? Status::kMaxIterations
                                                                                 : Status::kNumericalError);
    }
  }
};

/// min ½zᵀQz + pᵀz subject to Gz ≤ h, Az = b.
template <class B, FormKind kKind, class IO>
class Units final : public UnitsOf<B, kKind, IO> {
  using Base = UnitsOf<B, kKind, IO>;
  using Base::d_, Base::sharing_, Base::W;
  using typename Base::Real;

 public:
  using typename UnitSolver::Memory;

  Units(const Shape& shape, const Sharing& sharing) : Base(shape, shape.m, shape.m, sharing) {}

  Failure load_shared(const Problem& problem, const Memory& memory) const override {
    using S = typename B::Shared;
    Arena shared(memory.shared), own;
    return Loader<S, IO>(d_, sharing_)
        .load_shared(problem, Data<S>(d_, sharing_, shared, own), &kStandIn<kKind>);
  }

  Failure load(const Problem& problem, std::size_t unit, const Memory& memory) const override {
    Arena shared(memory.shared), own(memory.data);
    const Data<B> data(d_, sharing_, shared, own);
    const MissingRows<B> missing(d_.m, kStandIn<kKind>, own);
    return Loader<B, IO>(d_, sharing_).load(problem, unit * W, this->problems_of(unit), data, &missing);
  }

  void read(int lane, const Memory& memory, const PlainProblem& out) const override {
    Arena shared(memory.shared), own(memory.data);
    Base::read_data(Data<B>(d_, sharing_, shared, own), lane, out);
    const MissingRows<B> missing(d_.m, kStandIn<kKind>, own);
    if (!missing.any()) return;
    for (int i = 0; i < d_.m; ++i) out.h[i] = Base::lane(missing.flags()[i], lane) > 0 ? kNoBound : out.h[i];
  }

 private:
  void store_rows(const Places<B, kKind>& at, std::size_t first, int count, Report<B>& report,
                  const Results& results, const BatchVectors* solution) const override {
    if (at.missing.any()) at.missing.take_out(at.b, at.work, report);
    const Iterate<B>& x = at.work.x;
    Base::template store<IO>(x.lambda, d_.m, results.lambda, first, count);
    Base::template store<IO>(x.s, d_.m, results.slack, first, count);
    if (solution) Base::template store<double>(x.lambda, d_.m, solution->lambda, first, count);
  }
  void store_adjoint_rows(const Places<B, kKind>& at, std::size_t first, int count,
                          const BatchVectors& out) const override {
    if (at.missing.any()) at.missing.clear(at.dlambda);
    Base::template store<double>(at.dlambda, d_.m, out.dlambda, first, count);
  }
  void load_rows(const Places<B, kKind>& at, const BatchVectors& upstream, std::size_t first,
                 int count) const override {
    Base::load(at.glambda, d_.m, upstream.dlambda, first, count);
    if (at.missing.any()) at.missing.clear(at.glambda);
  }
};

}  // namespace optnet::OPTNET_ISA
