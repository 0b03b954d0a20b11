// The unit of work of a CPU backend B: loads W problems, solves them, and draws their gradients.
#pragma once

#include <cstring>

#include "cpu/arena.h"
#include "cpu/simd.h"
#include "cpu/unit_solver.h"
#include "solver/solve.h"

namespace optnet::OPTNET_ISA {

/// Largest magnitude of a row, and whether all of it is finite.
template <class IO>
struct RowCheck {
  bool finite = true;
  double norm = 0;

  RowCheck(const IO* row, int n) {
    constexpr int kLane = kLanes<IO>;
    using R = Register<IO, kLane>;
    R largest{}, nothing{};
    int k = 0;
    for (; k + kLane <= n; k += kLane) {
      R x;
      std::memcpy(&x, row + k, sizeof x);
      const R size = x < 0 ? -x : x;
      largest = size > largest ? size : largest;
      nothing += x * IO(0);  // 0, or NaN from here on
    }
    IO rest = 0, norm_rest = 0;
    for (; k < n; ++k) {
      const IO size = row[k] < 0 ? -row[k] : row[k];
      norm_rest = size > norm_rest ? size : norm_rest;
      rest += row[k] * IO(0);
    }
    for (int l = 0; l < kLane; ++l) {
      rest += nothing[l];
      norm_rest = largest[l] > norm_rest ? largest[l] : norm_rest;
    }
    finite = rest == 0;
    norm = static_cast<double>(norm_rest);
  }
};

/// out[i][j] ← scale·(u[i] v[j] + x[i] y[j])
template <class IO>
void outer(int rows, int columns, double scale, const double* u, const double* v, const double* x, const double* y,
           IO* out) {
  constexpr int kLane = kLanes<double>;
  for (int i = 0; i < rows; ++i) {
    const double ui = scale * u[i], xi = scale * x[i];
    IO* row = out + static_cast<std::size_t>(i) * columns;
    int j = 0;
    if constexpr (std::is_same_v<IO, double>) {
      const F64 uu = ui - F64{}, xx = xi - F64{};
      for (; j + kLane <= columns; j += kLane) {
        F64 vj, yj;
        std::memcpy(&vj, v + j, sizeof vj);
        std::memcpy(&yj, y + j, sizeof yj);
        const F64 r = fma(uu, vj, xx * yj);
        std::memcpy(row + j, &r, sizeof r);
      }
    }
    for (; j < columns; ++j) row[j] = static_cast<IO>(OPTNET_ISA::fma(ui, v[j], xi * y[j]));
  }
}

template <class B, FormKind kKind, class IO>
class Units final : public UnitSolver {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  static constexpr int W = B::kWidth;

  Units(const Shape& shape, const Sharing& sharing) : batch_(shape.batch), d_{shape.n, shape.m, shape.q}, sharing_(sharing) {}

  std::size_t lanes() const override { return W; }
  bool keeps_data() const override { return kKind == FormKind::kCondensed; }

  Footprint footprint() const override {
    Places<B> at({}, *this);
    return {at.shared.used(), at.own.used(), at.kept.used(), at.scratch.used()};
  }

  Failure load_shared(const Problem& problem, const Memory& memory) const override {
    using S = typename B::Shared;
    Places<S> at(memory, *this);
    const IO* source[1];
    Data<S>& data = at.work.data;
    double norm = 0;
    if (sharing_.Q) {
      source[0] = static_cast<const IO*>(problem.Q.data);
      if (const Failure f = load_symmetric<S>(data.Q, source, 0, 1)) return f;
    }
    if (sharing_.G && d_.m > 0) {
      source[0] = static_cast<const IO*>(problem.G.data);
      if (const Failure f = load_matrix<S>(data.G, source, 0, 1, 'G', [&](int, int, double x) { norm = x; })) return f;
    }
    if (sharing_.A && d_.q > 0) {
      source[0] = static_cast<const IO*>(problem.A.data);
      if (const Failure f = load_matrix<S>(data.A, source, 0, 1, 'A', [&](int, int, double x) { norm = x; })) return f;
    }
    return {};
  }

  Failure load(const Problem& problem, std::size_t unit, const Memory& memory) const override {
    Places<B> at(memory, *this);
    Data<B>& data = at.work.data;
    const std::size_t first = unit * W;
    const int count = problems_of(unit);
    const IO* source[W];
    const auto lanes_of = [&](const Datum& datum, std::size_t size) {
      for (int l = 0; l < W; ++l) {
        const std::size_t problem_index = datum.batched ? first + (l < count ? l : count - 1) : 0;
        source[l] = static_cast<const IO*>(datum.data) + problem_index * size;
      }
    };
    const auto set = [](Real& x, int l, double value) { set_lane(x, l, static_cast<Scalar>(value)); };
    const std::size_t n = d_.n, m = d_.m, q = d_.q;

    lanes_of(problem.p, n);
    if (const Failure f = load_vector(data.p, n, source, first, problem.p.batched ? count : 1, 'p')) return f;
    if (!sharing_.Q) {
      lanes_of(problem.Q, n * n);
      if (const Failure f = load_symmetric<B>(data.Q, source, first, count)) return f;
    }
    if (m > 0) {
      lanes_of(problem.h, m);
      if (const Failure f = load_vector(data.h, m, source, first, problem.h.batched ? count : 1, 'h')) return f;
      lanes_of(problem.G, m * n);
      const auto norms = [&](int i, int l, double x) { set(data.G_norm[i], l, x > 0 ? x : 1); };
      if (sharing_.G) {
        row_norms(source[0], d_.m, norms);
      } else if (const Failure f = load_matrix<B>(data.G, source, first, count, 'G', norms)) {
        return f;
      }
    }
    if (q > 0) {
      lanes_of(problem.b, q);
      if (const Failure f = load_vector(data.b, q, source, first, problem.b.batched ? count : 1, 'b')) return f;
      lanes_of(problem.A, q * n);
      const auto norms = [&](int i, int l, double x) { set(data.A_norm[i], l, x > 0 ? x : 1); };
      if (sharing_.A) {
        row_norms(source[0], d_.q, norms);
      } else if (const Failure f = load_matrix<B>(data.A, source, first, count, 'A', norms)) {
        return f;
      }
    }
    return {};
  }

  bool prepare_shared(const Memory& memory) const override {
    Places<typename B::Shared> at(memory, *this);
    return all(at.work.form.prepare(at.b, at.work.data, true));
  }

  int solve(std::size_t unit, const Memory& memory, const SolverSettings& settings, bool differentiable,
            const Results& results, const BatchVectors& solution) const override {
    Places<B> at(memory, *this);
    const std::size_t first = unit * W;
    const int count = problems_of(unit);
    const Report<B> report = optnet::solve(at.b, at.work, settings, differentiable);
    const Iterate<B>& x = at.work.x;
    store<IO>(x.z, d_.n, results.z, first, count);
    store<IO>(x.lambda, d_.m, results.lambda, first, count);
    store<IO>(x.nu, d_.q, results.nu, first, count);
    store<IO>(x.s, d_.m, results.slack, first, count);
    if (differentiable) {
      store<double>(x.z, d_.n, solution.z, first, count);
      store<double>(x.lambda, d_.m, solution.lambda, first, count);
      store<double>(x.nu, d_.q, solution.nu, first, count);
    }
    int indefinite = -1;
    for (int l = count - 1; l >= 0; --l) {
      const std::size_t i = first + l;
      const int iterations = static_cast<int>(lane(report.iterations, l));
      results.objective[i] = lane(report.objective, l);
      results.primal_residual[i] = lane(report.primal, l);
      results.dual_residual[i] = lane(report.dual, l);
      results.gap[i] = lane(report.gap, l);
      results.iterations[i] = iterations;
      results.status[i] = static_cast<std::uint8_t>(lane(report.solved, l) ? Status::kSolved
                                                    : iterations >= settings.max_iterations
                                                        ? Status::kMaxIterations
                                                        : Status::kNumericalError);
      if (!lane(report.definite, l)) indefinite = l;
    }
    return indefinite;
  }

  void backward(std::size_t unit, const Memory& memory, const Problem& layout, const Upstream& upstream,
                const Gradients& gradients, const BatchVectors& vectors) const override {
    Places<B> at(memory, *this);
    const std::size_t first = unit * W;
    const int count = problems_of(unit);
    load_upstream(at.gz, d_.n, upstream.dz, first, count);
    load_upstream(at.glambda, d_.m, upstream.dlambda, first, count);
    load_upstream(at.gnu, d_.q, upstream.dnu, first, count);
    adjoint(at.b, at.work, at.gz, at.glambda, at.gnu, at.dlambda);
    store<double>(at.gz, d_.n, vectors.dz, first, count);
    store<double>(at.dlambda, d_.m, vectors.dlambda, first, count);
    store<double>(at.gnu, d_.q, vectors.dnu, first, count);
    for (std::size_t i = first; i < first + count; ++i) own_gradients(i, layout, gradients, vectors);
  }

  void sum_outer(std::size_t batch, const OuterSum& sum, int first, int last, DType dtype, void* out) const override {
    for (int i = first; i < last; i += kSumRows) {
      const int rows = last - i < kSumRows ? last - i : kSumRows;
      int j = 0;
      constexpr int kBlock = 2 * kLanes<double>;
      for (; j + kBlock <= sum.columns; j += kBlock) sum_tile<Pack<double, kBlock>>(batch, sum, i, rows, j, dtype, out);
      for (; j < sum.columns; ++j) sum_tile<Pack<double, 1>>(batch, sum, i, rows, j, dtype, out);
    }
  }

 private:
  static constexpr int kSumRows = 4;

  std::size_t batch_;
  Dimensions d_;
  Sharing sharing_;

  /// Everything placed in the memory given (or, in none, counted).
  template <class Backend>
  struct Places {
    Arena shared, own, kept, scratch;
    Backend b;
    Workplace<Backend, kKind> work;
    typename Backend::Real *gz, *glambda, *gnu, *dlambda;

    Places(const Memory& memory, const Units& units)
        : shared(memory.shared),
          own(memory.data),
          kept(memory.kept),
          scratch(memory.scratch),
          work(b, units.d_, units.sharing_, shared, own, kept, scratch),
          gz(Backend::vector(scratch, units.d_.n)),
          glambda(Backend::vector(scratch, units.d_.m)),
          gnu(Backend::vector(scratch, units.d_.q)),
          dlambda(Backend::vector(scratch, units.d_.m)) {}
  };

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
  static void set_lane(Real& x, int l, Scalar value) {
    if constexpr (std::is_class_v<Real>) {
      x.set_lane(l, value);
    } else {
      x = value;
    }
  }

  template <class To>
  static void store(const Real* v, int n, void* out, std::size_t first, int count) {
    To* rows[W];
    for (int l = 0; l < W; ++l) rows[l] = static_cast<To*>(out) + (first + (l < count ? l : 0)) * n;
    B::store_row(v, n, rows, count);
  }

  void load_upstream(Real* v, int n, const void* source, std::size_t first, int count) const {
    if (!source) {
      for (int i = 0; i < n; ++i) v[i] = Real(Scalar(0));
      return;
    }
    const IO* rows[W];
    for (int l = 0; l < W; ++l) rows[l] = static_cast<const IO*>(source) + (first + (l < count ? l : count - 1)) * n;
    B::load_row(v, n, rows);
  }

  static Failure not_finite(char argument, std::size_t index, int row, const IO* values, int n) {
    Failure f{Failure::Code::kNotFinite, argument, index, row};
    while (f.column < n && values[f.column] - values[f.column] == 0) ++f.column;
    return f;
  }

  static Failure load_vector(Real* v, int n, const IO* const (&source)[W], std::size_t first, int count, char name) {
    for (int l = 0; l < count; ++l) {
      if (!RowCheck<IO>(source[l], n).finite) return not_finite(name, first + l, 0, source[l], n);
    }
    B::load_row(v, n, source);
    return {};
  }

  template <class Norm>
  void row_norms(const IO* G, int rows, Norm norm) const {
    for (int i = 0; i < rows; ++i) {
      const double x = RowCheck<IO>(G + static_cast<std::size_t>(i) * d_.n, d_.n).norm;
      for (int l = 0; l < W; ++l) norm(i, l, x);
    }
  }

  /// Row by row: checked, measured and interleaved while it is in the cache.
  template <class Backend, class Norm>
  Failure load_matrix(const typename Backend::Matrix& M, const IO* const (&source)[Backend::kWidth], std::size_t first,
                      int count, char name, Norm norm) const {
    const IO* rows[Backend::kWidth];
    for (int i = 0; i < M.rows; ++i) {
      double largest = 0;
      for (int l = 0; l < Backend::kWidth; ++l) {
        rows[l] = source[l] + static_cast<std::size_t>(i) * d_.n;
        if (l < count) {
          const RowCheck<IO> check(rows[l], d_.n);
          if (!check.finite) return not_finite(name, first + l, i, rows[l], d_.n);
          largest = check.norm;
        }
        norm(i, l, largest);  // spare lanes repeat the last problem
      }
      Backend::load_row(M, i, rows);
    }
    return {};
  }

  template <class Backend>
  Failure load_symmetric(const typename Backend::Triangle& Q, const IO* const (&source)[Backend::kWidth],
                         std::size_t first, int count) const {
    const int n = d_.n;
    double norm[Backend::kWidth] = {};
    const IO* rows[Backend::kWidth];
    for (int i = 0; i < n; ++i) {
      for (int l = 0; l < Backend::kWidth; ++l) {
        rows[l] = source[l] + static_cast<std::size_t>(i) * n;
        if (l >= count) continue;
        const RowCheck<IO> check(rows[l], n);
        if (!check.finite) return not_finite('Q', first + l, i, rows[l], n);
        if (check.norm > norm[l]) norm[l] = check.norm;
      }
      Backend::load_row(Q, i, rows);
    }
    for (int l = 0; l < count; ++l) {
      if (const Failure f = check_symmetric(source[l], norm[l], first + l)) return f;
    }
    return {};
  }

  /// |Qᵢⱼ − Qⱼᵢ| within round-off of the largest entry, by square tiles that fit the cache.
  Failure check_symmetric(const IO* Q, double norm, std::size_t index) const {
    constexpr int kTile = 8;
    const int n = d_.n;
    const double allowed = (sizeof(IO) == 8 ? 1e-9 : 1e-5) * norm;
    for (int i0 = 0; i0 < n; i0 += kTile) {
      const int i1 = i0 + kTile < n ? i0 + kTile : n;
      for (int j0 = 0; j0 <= i0; j0 += kTile) {
        const int j1 = j0 + kTile < n ? j0 + kTile : n;
        IO worst = 0;
        for (int i = i0; i < i1; ++i) {
          for (int j = j0; j < j1; ++j) {
            const IO x = Q[static_cast<std::size_t>(i) * n + j] - Q[static_cast<std::size_t>(j) * n + i];
            const IO size = x < 0 ? -x : x;
            worst = size > worst ? size : worst;
          }
        }
        if (static_cast<double>(worst) <= allowed) continue;
        for (int i = i0; i < i1; ++i) {
          for (int j = j0; j < j1; ++j) {
            const double x = static_cast<double>(Q[static_cast<std::size_t>(i) * n + j]) -
                             static_cast<double>(Q[static_cast<std::size_t>(j) * n + i]);
            if (x > allowed || -x > allowed) return {Failure::Code::kNotSymmetric, 'Q', index, i, j};
          }
        }
      }
    }
    return {};
  }

  /// Gradients of the data that problem i has to itself.
  void own_gradients(std::size_t i, const Problem& layout, const Gradients& out, const BatchVectors& at) const {
    const std::size_t n = d_.n, m = d_.m, q = d_.q;
    const double *z = at.z + i * n, *dz = at.dz + i * n, *lambda = at.lambda + i * m, *dlambda = at.dlambda + i * m;
    const double *nu = at.nu + i * q, *dnu = at.dnu + i * q;
    const auto wanted = [&](const void* gradient, const Datum& datum) { return gradient && datum.batched; };
    const auto vector = [&](void* gradient, std::size_t size, double sign, const double* v) {
      IO* row = static_cast<IO*>(gradient) + i * size;
      for (std::size_t k = 0; k < size; ++k) row[k] = static_cast<IO>(sign * v[k]);
    };
    if (wanted(out.dp, layout.p)) vector(out.dp, n, 1, dz);
    if (wanted(out.dh, layout.h)) vector(out.dh, m, -1, dlambda);
    if (wanted(out.db, layout.b)) vector(out.db, q, -1, dnu);
    if (wanted(out.dQ, layout.Q)) outer(d_.n, d_.n, 0.5, dz, z, z, dz, static_cast<IO*>(out.dQ) + i * n * n);
    if (wanted(out.dG, layout.G)) outer(d_.m, d_.n, 1, dlambda, z, lambda, dz, static_cast<IO*>(out.dG) + i * m * n);
    if (wanted(out.dA, layout.A)) outer(d_.q, d_.n, 1, dnu, z, nu, dz, static_cast<IO*>(out.dA) + i * q * n);
  }

  /// A tile of Σ over the batch, in registers; each entry is one sum in the order of the batch, whatever the tiling.
  template <class P>
  static void sum_tile(std::size_t batch, const OuterSum& sum, int i, int rows, int j, DType dtype, void* out) {
    P acc[kSumRows] = {P(0), P(0), P(0), P(0)};
    for (std::size_t b = 0; b < batch; ++b) {
      const double *u = sum.u + b * sum.rows + i, *x = sum.x + b * sum.rows + i;
      P v, y;
      std::memcpy(&v, sum.v + b * sum.columns + j, sizeof v);
      std::memcpy(&y, sum.y + b * sum.columns + j, sizeof y);
      for (int t = 0; t < rows; ++t) acc[t] = fma(P(u[t]), v, fma(P(x[t]), y, acc[t]));
    }
    for (int t = 0; t < rows; ++t) {
      for (int l = 0; l < P::kWidth; ++l) {
        const std::size_t at = static_cast<std::size_t>(i + t) * sum.columns + j + l;
        const double value = sum.scale * acc[t].lane(l);
        if (dtype == DType::kFloat64) {
          static_cast<double*>(out)[at] = value;
        } else {
          static_cast<float*>(out)[at] = static_cast<float>(value);
        }
      }
    }
  }
};

}  // namespace optnet::OPTNET_ISA
