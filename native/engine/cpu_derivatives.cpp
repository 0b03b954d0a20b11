// The derivatives of a solved batch: backward, and along a direction.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/cpu_solution.h"
#include "engine/numbers.h"
#include "engine/sizes.h"

namespace optnet {
namespace {

/// The problem of a given array, of `count` with `size` numbers each, that holds what is not finite; or a
/// failure without a code.
Failure check_finite(const void* data, std::size_t count, std::size_t size, DType dtype, char name) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!all_finite(static_cast<const std::byte*>(data) + i * size * size_of(dtype), size, dtype))
      return {Failure::Code::kNotFinite, name, i};
  }
  return {};
}

}  // namespace

struct CpuSolution::Impl::Differentiating : Workspace {
  using Workspace::Workspace;

  MemoryPool::Block given, equations, result;
  BatchVectors right;                  ///< what the systems are solved for: upstream gradients, or tangents
  BatchVectors v;                      ///< the solution, and what the systems give
  const double* dobjective = nullptr;  ///< backward: of the loss with respect to the objective
  Tangents tangents;                   ///< jvp
};

std::size_t CpuSolution::Impl::place_adjoint(double* memory, bool apart, BatchVectors& v) const {
  const Shape& s = layout.shape;
  Placement at(s, memory);
  v.dz = v.dz_of_Q = v.dz_of_p = at.take(s.n);
  v.dlambda = v.dlambda_h = at.take(s.m);
  v.dnu = v.dnu_of_b = at.take(s.q);
  if (layout.gl.data || apart) v.dlambda_h = at.take(s.m);
  if (layout.gl.data) v.dlambda_gl = at.take(s.m);
  if (layout.lb.data) v.dlambda_lb = at.take(s.n);
  if (layout.ub.data) v.dlambda_ub = at.take(s.n);
  if (apart) {
    v.dz_of_Q = at.take(s.n);
    if (v.slope) v.dz_of_p = at.take(s.n);
    v.dnu_of_b = at.take(s.q);
  }
  return at.bytes();
}

/// Memory for a call that is given so many bytes, and places what it computes.
Failure CpuSolution::Impl::begin(Differentiating& call, std::size_t given, bool apart) const {
  call.v = solution_vectors();
  const std::size_t result = place_adjoint(nullptr, apart, call.v);
  if (!pool->take(given, call.given) || !pool->take(result, call.result) ||
      !pool->take(scratch_bytes(), call.scratch)) {
    return {Failure::Code::kMemory, ' ', 0, 0, 0, sum(given, sum(result, scratch_bytes()))};
  }
  place_adjoint(reinterpret_cast<double*>(call.result.data()), apart, call.v);
  return {};
}

void CpuSolution::Impl::differentiate(std::size_t unit, int worker, Differentiating& call, bool forward,
                                      double* residuals) const {
  bool all = true;
  each_problem(unit, [&](std::size_t i) { all = general->serves(i) && all; });
  if (!all) units->backward(unit, memory_of(unit, worker, call), call.right, call.v, residuals);
  MemoryPool::Block& scratch = call.general_of(worker);
  each_problem(unit, [&](std::size_t i) {
    if (!general->serves(i)) return;
    std::optional<double> residual;
    if (general->reserve(scratch)) residual = general->differentiate(i, scratch, call.right, call.v, forward);
    if (!residual) call.missing = general->scratch_bytes();
    if (residuals) residuals[i] = residual.value_or(0);
  });
}

// ---- backward ----

/// Adds what problem i's objective, weighted, contributes to the gradients. At the solution, by the envelope
/// theorem, its derivative with respect to p is z, to Q ½zzᵀ, to h −λ, to G λzᵀ, and so on; elsewhere the
/// first two are what is left beside the part that dz/dp and dz/dQ have.
void CpuSolution::Impl::add_objective(std::size_t i, double weight, const BatchVectors& v) const {
  const auto row = [i](double* base, int size) { return base + i * static_cast<std::size_t>(size); };
  const auto add = [&](double times, double* to, const double* from, int size) {
    if (!to) return;
    for (int k = 0; k < size; ++k)
      row(to, size)[k] += times * from[i * static_cast<std::size_t>(size) + static_cast<std::size_t>(k)];
  };
  const Shape& s = layout.shape;
  const bool off = off_minimum(i, v);
  const double envelope = off ? 0 : weight;
  for (int k = 0; k < s.n; ++k) row(v.dz_of_Q, s.n)[k] = row(v.dz, s.n)[k] + 0.5 * weight * row(v.z, s.n)[k];
  add(envelope, v.dz, v.z, s.n);
  if (v.slope) {
    std::copy_n(row(v.dz, s.n), s.n, row(v.dz_of_p, s.n));
    if (off) add(weight, v.dz_of_p, v.z, s.n);
  }
  if (v.lambda_h == v.lambda) std::copy_n(row(v.dlambda, s.m), s.m, row(v.dlambda_h, s.m));
  add(envelope, v.dlambda_h, v.lambda_h, s.m);
  add(envelope, v.dlambda_gl, v.lambda_gl, s.m);
  std::copy_n(row(v.dnu, s.q), s.q, row(v.dnu_of_b, s.q));
  add(envelope, v.dnu_of_b, v.nu, s.q);
  add(envelope, v.dlambda_lb, v.lambda_lb, s.n);
  add(envelope, v.dlambda_ub, v.lambda_ub, s.n);
}

Stage CpuSolution::Impl::sum_vectors(const Gradients& gradients, const BatchVectors& v) const {
  struct Sum {
    void* out;
    const double* v;
    std::size_t size;
    double sign;
  };
  const Shape s = layout.shape;
  std::vector<Sum> sums;
  const auto add = [&](void* out, const Datum& datum, const double* values, int size, double sign) {
    if (out && !datum.batched) sums.push_back({out, values, static_cast<std::size_t>(size), sign});
  };
  add(gradients.dp, layout.p, v.dz_of_p, s.n, 1);
  add(gradients.dh, layout.h, v.dlambda_h, s.m, -1);
  add(gradients.dgl, layout.gl, v.dlambda_gl, s.m, 1);
  add(gradients.db, layout.b, v.dnu_of_b, s.q, -1);
  add(gradients.dlb, layout.lb, v.dlambda_lb, s.n, 1);
  add(gradients.dub, layout.ub, v.dlambda_ub, s.n, -1);
  const DType dtype = layout.dtype;
  return {sums.size(), [sums, s, dtype](std::size_t unit, int) {
            const Sum& sum = sums[unit];
            for (std::size_t k = 0; k < sum.size; ++k) {
              double total = 0;
              for (std::size_t i = 0; i < s.batch; ++i) total += sum.v[i * sum.size + k];
              total *= sum.sign;
              write_numbers(&total, 1, sum.out, k, dtype);
            }
          }};
}

Stage CpuSolution::Impl::sum_matrices(const Gradients& gradients, const BatchVectors& v) const {
  constexpr int kRows = 8;  // of the gradient, a unit
  struct Slice {
    void* out;
    UnitSolver::OuterSum sum;
    int first, last;
  };
  const Shape& s = layout.shape;
  std::vector<Slice> slices;
  const auto add = [&](void* out, const Datum& datum, const UnitSolver::OuterSum& sum) {
    if (!out || datum.batched) return;
    for (int i = 0; i < sum.rows; i += kRows) slices.push_back({out, sum, i, std::min(i + kRows, sum.rows)});
  };
  add(gradients.dQ, layout.Q, {v.dz_of_Q, v.z, v.z, v.dz_of_Q, s.n, s.n, 0.5});
  add(gradients.dG, layout.G, {v.dlambda, v.z, v.lambda, v.dz, s.m, s.n, 1});
  add(gradients.dA, layout.A, {v.dnu, v.z, v.nu, v.dz, s.q, s.n, 1});
  const std::size_t count = slices.size();
  return {count, [this, slices = std::move(slices)](std::size_t unit, int) {
            const Slice& slice = slices[unit];
            units->sum_outer(layout.shape.batch, slice.sum, slice.first, slice.last, layout.dtype, slice.out);
          }};
}

Failure CpuSolution::backward(const Upstream& upstream, const Gradients& gradients,
                              std::shared_ptr<optnet::Call>& out) {
  const auto impl = impl_;
  const auto call = std::make_shared<Impl::Differentiating>(impl->threads);
  const Shape& s = impl->layout.shape;
  const DType dtype = impl->layout.dtype;
  const std::size_t numbers = s.batch * static_cast<std::size_t>(3 * s.n + 2 * s.m + s.q + 1);
  if (Failure f = impl->begin(*call, numbers * sizeof(double), upstream.dobjective != nullptr)) return f;

  auto* next = reinterpret_cast<double*>(call->given.data());
  double* dobjective = nullptr;
  struct Given {
    const void* from;
    double** to;
    int size;
    char name;
  };
  BatchVectors& right = call->right;
  for (const Given& given : {Given{upstream.dz, &right.dz, s.n, 'z'},
                             {upstream.dlambda, &right.dlambda, s.m, 'l'},
                             {upstream.dnu, &right.dnu, s.q, 'n'},
                             {upstream.dlambda_gl, &right.dlambda_gl, s.m, 'k'},
                             {upstream.dlambda_lb, &right.dlambda_lb, s.n, 'x'},
                             {upstream.dlambda_ub, &right.dlambda_ub, s.n, 'y'},
                             {upstream.dobjective, &dobjective, 1, 'o'}}) {
    const auto size = static_cast<std::size_t>(given.size);
    if (!given.from || size == 0) continue;
    if (Failure f = check_finite(given.from, s.batch, size, dtype, given.name)) return f;
    read_numbers(given.from, 0, s.batch * size, dtype, next);
    *given.to = next;
    next += s.batch * size;
  }
  right.dlambda_h = right.dlambda;
  call->dobjective = dobjective;
  const double* slope = call->v.slope;
  if (slope && dobjective) {  // at a point that is not the solution
    if (!right.dz) {
      std::fill_n(next, s.batch * static_cast<std::size_t>(s.n), 0.0);
      right.dz = next;
    }
    for (std::size_t i = 0, k = 0; i < s.batch; ++i) {
      const double weight = impl->off_minimum(i, call->v) ? dobjective[i] : 0;
      for (int j = 0; j < s.n; ++j, ++k) right.dz[k] += weight == 0 ? 0 : weight * slope[k];
    }
  }

  Job job;
  job.threads = impl->threads;
  job.stages.push_back({impl->unit_count, [impl, call, gradients](std::size_t unit, int worker) {
                          impl->differentiate(unit, worker, *call, false, gradients.residual);
                          impl->each_problem(unit, [&](std::size_t i) {
                            if (call->dobjective) impl->add_objective(i, call->dobjective[i], call->v);
                            impl->units->own_gradients(i, impl->layout, gradients, call->v);
                          });
                        }});
  job.stages.push_back(impl->sum_vectors(gradients, call->v));
  job.stages.push_back(impl->sum_matrices(gradients, call->v));
  out = std::make_shared<JobCall>(impl->threads_of, std::move(job), [call] { return call->out_of_memory(); });
  return {};
}

// ---- along a direction ----

/// Of problem i along `tangents`: the derivatives of the optimality conditions into `equations`, and,
/// returned, of the objective.
///     dQ z + dp + dGᵀ(λ − λ_gl) + dAᵀν,   dG z − dh,   dgl − dG z,   dA z − db,   dlb,   −dub
template <class T>
double CpuSolution::Impl::tangent_equations(std::size_t i, const Tangents& tangents, const BatchVectors& v,
                                            const BatchVectors& equations) const {
  const auto n = static_cast<std::size_t>(layout.shape.n), m = static_cast<std::size_t>(layout.shape.m),
             q = static_cast<std::size_t>(layout.shape.q);
  const auto of = [i](const void* data, const Datum& datum, std::size_t size) -> const T* {
    return data ? static_cast<const T*>(data) + (datum.batched ? i * size : 0) : nullptr;
  };
  const bool minimal = !off_minimum(i, v);
  const double* z = v.z + i * n;
  double *rz = equations.dz + i * n, objective = 0;
  std::fill_n(rz, n, 0.0);
  if (const T* dQ = of(tangents.dQ, layout.Q, n * n)) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < n; ++k)
        rz[j] += 0.5 * (static_cast<double>(dQ[j * n + k]) + static_cast<double>(dQ[k * n + j])) * z[k];
      objective += 0.5 * rz[j] * z[j];
    }
  }
  if (const T* dp = of(tangents.dp, layout.p, n)) {
    for (std::size_t j = 0; j < n; ++j) {
      rz[j] += static_cast<double>(dp[j]);
      objective += static_cast<double>(dp[j]) * z[j];
    }
  }
  /// rhs ← dM z;  rz ← rz + dMᵀ y
  const auto matrix = [&](const T* dM, std::size_t rows, const double* y, double* rhs) {
    std::fill_n(rhs, rows, 0.0);
    for (std::size_t r = 0; dM && r < rows; ++r) {
      for (std::size_t j = 0; j < n; ++j) {
        const auto element = static_cast<double>(dM[r * n + j]);
        rhs[r] += element * z[j];
        rz[j] += element * y[r];
      }
      if (minimal) objective += y[r] * rhs[r];
    }
  };
  /// rhs ← rhs + sign·dv, of multipliers y
  const auto vector = [&](const T* dv, std::size_t size, double sign, const double* y, double* rhs) {
    for (std::size_t r = 0; dv && r < size; ++r) {
      rhs[r] += sign * static_cast<double>(dv[r]);
      if (minimal) objective += sign * static_cast<double>(dv[r]) * y[r];
    }
  };
  if (m > 0) {
    double* upper = equations.dlambda_h + i * m;
    matrix(of(tangents.dG, layout.G, m * n), m, v.lambda + i * m, upper);
    if (equations.dlambda_gl) {
      double* lower = equations.dlambda_gl + i * m;
      std::transform(upper, upper + m, lower, [](double x) { return -x; });
      vector(of(tangents.dgl, layout.gl, m), m, 1, v.lambda_gl + i * m, lower);
    }
    vector(of(tangents.dh, layout.h, m), m, -1, v.lambda_h + i * m, upper);
  }
  if (q > 0) {
    double* rhs = equations.dnu + i * q;
    matrix(of(tangents.dA, layout.A, q * n), q, v.nu + i * q, rhs);
    vector(of(tangents.db, layout.b, q), q, -1, v.nu + i * q, rhs);
  }
  if (equations.dlambda_lb) {
    double* rhs = equations.dlambda_lb + i * n;
    std::fill_n(rhs, n, 0.0);
    vector(of(tangents.dlb, layout.lb, n), n, 1, v.lambda_lb + i * n, rhs);
  }
  if (equations.dlambda_ub) {
    double* rhs = equations.dlambda_ub + i * n;
    std::fill_n(rhs, n, 0.0);
    vector(of(tangents.dub, layout.ub, n), n, -1, v.lambda_ub + i * n, rhs);
  }
  return objective;
}

double CpuSolution::Impl::along_slope(std::size_t i, const BatchVectors& v) const {
  double sum = 0;
  const auto n = static_cast<std::size_t>(layout.shape.n);
  for (std::size_t k = i * n; k < (i + 1) * n; ++k) sum += v.slope[k] * v.dz[k];
  return sum;
}

void CpuSolution::Impl::write_tangents(std::size_t i, const BatchVectors& v,
                                       const SolutionTangents& out) const {
  const Shape& s = layout.shape;
  const auto write = [&](const double* from, int size, void* to) {
    const std::size_t count = static_cast<std::size_t>(size), first = i * count;
    if (to && from) write_numbers(from + first, count, to, first, layout.dtype);
  };
  write(v.dz, s.n, out.dz);
  write(v.dlambda_h, s.m, out.dlambda);
  write(v.dnu, s.q, out.dnu);
  write(v.dlambda_gl, s.m, out.dlambda_gl);
  write(v.dlambda_lb, s.n, out.dlambda_lb);
  write(v.dlambda_ub, s.n, out.dlambda_ub);
}

Failure CpuSolution::jvp(const Tangents& tangents, const SolutionTangents& out,
                         std::shared_ptr<optnet::Call>& made) {
  const auto impl = impl_;
  const auto call = std::make_shared<Impl::Differentiating>(impl->threads);
  const Problem& layout = impl->layout;
  const Shape& s = layout.shape;
  const DType dtype = layout.dtype;
  const std::size_t element = size_of(dtype);
  const auto n = static_cast<std::size_t>(s.n), m = static_cast<std::size_t>(s.m),
             q = static_cast<std::size_t>(s.q);
  struct Given {
    const void* from;
    const void** to;
    const Datum* datum;
    std::size_t size;
    char name;
  };
  Tangents& copied = call->tangents;
  const std::array<Given, 9> all{{{tangents.dQ, &copied.dQ, &layout.Q, n * n, 'Q'},
                                  {tangents.dp, &copied.dp, &layout.p, n, 'p'},
                                  {tangents.dG, &copied.dG, &layout.G, m * n, 'G'},
                                  {tangents.dh, &copied.dh, &layout.h, m, 'h'},
                                  {tangents.dA, &copied.dA, &layout.A, q * n, 'A'},
                                  {tangents.db, &copied.db, &layout.b, q, 'b'},
                                  {tangents.dgl, &copied.dgl, &layout.gl, m, 'g'},
                                  {tangents.dlb, &copied.dlb, &layout.lb, n, 'L'},
                                  {tangents.dub, &copied.dub, &layout.ub, n, 'U'}}};
  const auto problems_of = [&](const Given& given) { return given.datum->batched ? s.batch : 1; };
  std::size_t bytes = 0;
  for (const Given& given : all) {
    if (given.from) bytes = sum(bytes, product(problems_of(given), given.size, element));
  }
  if (Failure f = impl->begin(*call, bytes, false)) return f;
  const std::size_t vectors = call->result.size();
  if (!impl->pool->take(vectors, call->equations)) return {Failure::Code::kMemory, ' ', 0, 0, 0, vectors};
  impl->place_adjoint(reinterpret_cast<double*>(call->equations.data()), false, call->right);

  std::byte* next = call->given.data();
  for (const Given& given : all) {
    if (!given.from || given.size == 0) continue;
    const std::size_t problems = problems_of(given), size = problems * given.size * element;
    if (Failure f = check_finite(given.from, problems, given.size, dtype, given.name)) return f;
    std::memcpy(next, given.from, size);
    *given.to = next;
    next += size;
  }

  Job job;
  job.threads = impl->threads;
  job.stages.push_back({impl->unit_count, [impl, call, out](std::size_t unit, int worker) {
                          const BatchVectors& v = call->v;
                          impl->each_problem(unit, [&](std::size_t i) {
                            const double objective =
                                impl->layout.dtype == DType::kFloat64
                                    ? impl->tangent_equations<double>(i, call->tangents, v, call->right)
                                    : impl->tangent_equations<float>(i, call->tangents, v, call->right);
                            if (out.dobjective) out.dobjective[i] = objective;
                          });
                          impl->differentiate(unit, worker, *call, true, nullptr);
                          impl->each_problem(unit, [&](std::size_t i) {
                            if (out.dobjective && impl->off_minimum(i, v))
                              out.dobjective[i] += impl->along_slope(i, v);
                            impl->write_tangents(i, v, out);
                          });
                        }});
  made =
      std::make_shared<JobCall>(impl->threads_of, std::move(job), [call] { return call->out_of_memory(); });
  return {};
}

}  // namespace optnet
