// The units of problems with bounds or two-sided rows: condensed, in packs, in float64.
#pragma once

#include <limits>

#include "cpu/packed.h"
#include "cpu/units.h"
#include "solver/bounded.h"

namespace optnet::OPTNET_ISA {

using BoundedPacked = PackedBackend<Pack<double, kLanes<double>>>;

/// What the solver's rows are to the caller: |h; gl; lb; ub|.
template <class IO>
class BoundedUnits final : public UnitsOf<Bounded<BoundedPacked>, FormKind::kCondensed, IO> {
  using B = Bounded<BoundedPacked>;
  using Base = UnitsOf<B, FormKind::kCondensed, IO>;
  using Base::d_, Base::rows_, Base::sharing_, Base::W;
  using typename Base::Real;
  using Workplaces = Places<B, FormKind::kCondensed>;
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

 public:
  using typename UnitSolver::Memory;

  BoundedUnits(const Shape& shape, const Sharing& sharing)
      : Base(shape, 2 * (shape.m + shape.n), 0, sharing) {}

  Failure load_shared(const Problem& problem, const Memory& memory) const override {
    using S = typename B::Shared;
    Arena shared(memory.shared), own;
    const Data<S> data(rows_, sharing_, shared, own);
    return Loader<typename BoundedPacked::Shared, IO>(d_, sharing_).load_shared(problem, data.given, nullptr);
  }

  Failure load(const Problem& problem, std::size_t unit, const Memory& memory) const override {
    using Given = Loader<BoundedPacked, IO>;
    Arena shared(memory.shared), own(memory.data);
    const Data<B> data(rows_, sharing_, shared, own);
    const std::size_t first = unit * W;
    const int count = this->problems_of(unit);
    if (Failure f = Given(d_, sharing_).load(problem, first, count, data.given, nullptr)) return f;
    for (int i = 0; i < d_.m; ++i) data.h[data.upper(i)] = problem.h.data ? data.given.h[i] : Real(kInfinity);
    const auto side = [&](const Datum& datum, int row, int size, double none, char name) -> Failure {
      if (datum.data && size > 0)
        return Given::load_vector(datum, data.h + row, size, first, count, name, none);
      for (int i = 0; i < size; ++i) data.h[row + i] = Real(none);
      return {};
    };
    if (Failure f = side(problem.gl, data.lower(0), d_.m, -kInfinity, 'g')) return f;
    if (Failure f = side(problem.lb, data.lower_bound(0), d_.n, -kInfinity, 'L')) return f;
    if (Failure f = side(problem.ub, data.upper_bound(0), d_.n, kInfinity, 'U')) return f;
    data.set_sides(BoundedPacked{});
    return {};
  }

  void read(int lane, const Memory& memory, const PlainProblem& out) const override {
    Arena shared(memory.shared), own(memory.data);
    const Data<B> data(rows_, sharing_, shared, own);
    Base::read_data(data.given, lane, out);
    const auto side = [&](int row, int size, double sign, double* to) {
      if (!to) return;
      Base::read_vector(data.h + row, size, lane, to);
      for (int i = 0; i < size; ++i)
        to[i] = Base::lane(data.G.side[row + i], lane) == 0 ? sign * kInfinity : sign * to[i];
    };
    side(data.upper(0), d_.m, 1, out.h);
    side(data.lower(0), d_.m, -1, out.gl);
    side(data.lower_bound(0), d_.n, -1, out.lb);
    side(data.upper_bound(0), d_.n, 1, out.ub);
  }

 private:
  /// Vectors of the solver's rows, of which the caller has names for the parts.
  struct Parts {
    double *lambda, *h, *gl, *lb, *ub;
  };

  void store_rows(const Workplaces& at, std::size_t first, int count, Report<B>& report,
                  const Results& results, const BatchVectors* solution) const override {
    const Data<B>& data = at.work.data;
    const Iterate<B>& x = at.work.x;
    const Real* e = data.G.side;
    const Real zero(0.0), far(1e30);
    report.margin =
        at.b.min(rows_.m, [&](int i) { return select(e[i] > zero, max(x.lambda[i], x.s[i]), far); });
    at.b.each(rows_.m, [&](int i) {
      x.lambda[i] = e[i] * x.lambda[i];
      x.s[i] = select(e[i] > zero, x.s[i], Real(kInfinity));
    });
    const auto part = [&](const Real* v, int row, int size, void* to) {
      if (to) Base::template store<IO>(v + row, size, to, first, count);
    };
    part(x.lambda, data.upper(0), d_.m, results.lambda);
    part(x.s, data.upper(0), d_.m, results.slack);
    part(x.lambda, data.lower(0), d_.m, results.lambda_gl);
    part(x.lambda, data.lower_bound(0), d_.n, results.lambda_lb);
    part(x.lambda, data.upper_bound(0), d_.n, results.lambda_ub);
    if (solution) {
      store_parts(data, x.lambda, first, count,
                  {solution->lambda, solution->lambda_h, solution->lambda_gl, solution->lambda_lb,
                   solution->lambda_ub});
    }
  }

  void store_adjoint_rows(const Workplaces& at, std::size_t first, int count,
                          const BatchVectors& out) const override {
    const Data<B>& data = at.work.data;
    at.b.each(rows_.m, [&](int i) { at.dlambda[i] = data.G.side[i] * at.dlambda[i]; });
    store_parts(data, at.dlambda, first, count,
                {out.dlambda, out.dlambda_h, out.dlambda_gl, out.dlambda_lb, out.dlambda_ub});
  }

  /// `to.lambda`: the difference of h's and gl's. Overwrites the former.
  void store_parts(const Data<B>& data, Real* v, std::size_t first, int count, const Parts& to) const {
    const auto part = [&](int row, int size, double* out) {
      if (out) Base::template store<double>(v + row, size, out, first, count);
    };
    part(data.upper(0), d_.m, to.h);
    part(data.lower(0), d_.m, to.gl);
    part(data.lower_bound(0), d_.n, to.lb);
    part(data.upper_bound(0), d_.n, to.ub);
    if (to.lambda == to.h) return;
    for (int i = 0; i < d_.m; ++i) v[data.upper(i)] = v[data.upper(i)] - v[data.lower(i)];
    part(data.upper(0), d_.m, to.lambda);
  }

  void load_rows(const Workplaces& at, const BatchVectors& upstream, std::size_t first,
                 int count) const override {
    int row = 0;
    const auto part = [&](const double* from, int size) {
      Base::load(at.glambda + row, size, from, first, count);
      row += size;
    };
    part(upstream.dlambda_h, d_.m);
    part(upstream.dlambda_gl, d_.m);
    part(upstream.dlambda_lb, d_.n);
    part(upstream.dlambda_ub, d_.n);
  }
};

}  // namespace optnet::OPTNET_ISA
