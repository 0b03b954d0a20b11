#include "engine/general_batch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include "engine/numbers.h"
#include "engine/residuals.h"
#include "engine/sizes.h"

namespace optnet {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Rows of G that bound nothing become zeros: whatever they hold, the problem is the one without them.
void remove_missing_rows(const PlainProblem& problem) {
  const auto n = static_cast<std::size_t>(problem.d.n);
  for (int i = 0; i < problem.d.m; ++i) {
    const bool upper = problem.h && problem.h[i] < kInfinite,
               lower = problem.gl && problem.gl[i] > -kInfinite;
    if (!upper && !lower) std::fill_n(problem.G + static_cast<std::size_t>(i) * n, n, 0.0);
  }
}

/// Problem i's row of a result that may not be asked for.
void store(const double* from, int size, void* to, std::size_t i, DType dtype) {
  const auto count = static_cast<std::size_t>(size);
  if (to) write_numbers(from, count, to, i * count, dtype);
}

Status status_of(const GeneralReport& report, int max_iterations) {
  switch (report.ending) {
    case Ending::kSolved: return Status::kSolved;
    case Ending::kPrimalInfeasible: return Status::kPrimalInfeasible;
    case Ending::kDualInfeasible: return Status::kDualInfeasible;
    default: return report.iterations >= max_iterations ? Status::kMaxIterations : Status::kNumericalError;
  }
}

Derivative derivative_of(GeneralDerivative derivative) {
  switch (derivative) {
    case GeneralDerivative::kActiveSet: return Derivative::kActiveSet;
    case GeneralDerivative::kCentralPath: return Derivative::kCentralPath;
    default: return Derivative::kNone;
  }
}

/// What may not be in a datum: NaN, and infinities but for those that mean "no bound".
template <class T>
bool allowed(T x, double infinity) {
  return std::isfinite(x) || static_cast<double>(x) == infinity;
}

/// The first number of `count` that is not allowed, or `count`.
template <class T>
std::size_t first_bad(const T* x, std::size_t count, double infinity) {
  return static_cast<std::size_t>(
      std::find_if(x, x + count, [&](T value) { return !allowed(value, infinity); }) - x);
}

template <class T>
Failure check_symmetric(const T* Q, std::size_t index, int n, DType dtype) {
  double largest = 0;
  for (std::size_t k = 0; k < static_cast<std::size_t>(n) * static_cast<std::size_t>(n); ++k)
    largest = std::max(largest, std::abs(static_cast<double>(Q[k])));
  return find_asymmetry(index, Q, n, symmetry_tolerance(dtype) * largest);
}

/// Weight of the shifts' squares, beside the largest number of the objective: the shifts are the least to
/// this.
constexpr double kShiftWeight = 1e8;
/// The first weight that is tried, and the factor to the next.
constexpr double kFirstShiftWeight = 1e2;
constexpr double kShiftWeightStep = 1e3;
/// At least so many iterations, and exchanges of active rows from one weight to the next.
constexpr int kShiftIterations = 200;
constexpr int kShiftAttempts = 8;
/// Of the residuals, at the largest weight.
constexpr double kShiftTolerance = 1e-6;

}  // namespace

struct GeneralBatch::Vectors {
  double *z, *lambda, *nu, *slack, *lambda_gl, *lambda_lb, *lambda_ub, *slope;

  Vectors(const Dimensions& d, Arena& arena) {
    const auto take = [&](int size) { return arena.take<double>(static_cast<std::size_t>(size)); };
    z = take(d.n);
    lambda = take(d.m);
    nu = take(d.q);
    slack = take(d.m);
    lambda_gl = take(d.m);
    lambda_lb = take(d.n);
    lambda_ub = take(d.n);
    slope = take(d.n);
  }
  GeneralVectors all() const { return {z, lambda, nu, slack, lambda_gl, lambda_lb, lambda_ub, slope}; }
  void clear(const Dimensions& d) const {
    std::fill_n(z, d.n, 0.0);
    for (double* v : {lambda, slack, lambda_gl}) std::fill_n(v, d.m, 0.0);
    std::fill_n(nu, d.q, 0.0);
    for (double* v : {lambda_lb, lambda_ub, slope}) std::fill_n(v, d.n, 0.0);
  }
};

/// The solution's or the adjoint's vectors of the whole batch. `lambda` and `lambda_h` may be the same.
struct GeneralBatch::Parts {
  double *z, *lambda, *lambda_h, *nu, *lambda_gl, *lambda_lb, *lambda_ub;

  static Parts of_solution(const BatchVectors& v) {
    return {v.z, v.lambda, v.lambda_h, v.nu, v.lambda_gl, v.lambda_lb, v.lambda_ub};
  }
  static Parts of_adjoint(const BatchVectors& v) {
    return {v.dz, v.dlambda, v.dlambda_h, v.dnu, v.dlambda_gl, v.dlambda_lb, v.dlambda_ub};
  }

  /// Those of problem i; 0 for what is null.
  void read(std::size_t i, const Dimensions& d, const Vectors& to) const {
    const auto copy = [i](const double* from, int size, double* row) {
      if (from) std::copy_n(from + i * static_cast<std::size_t>(size), size, row);
    };
    copy(z, d.n, to.z);
    copy(lambda_h, d.m, to.lambda);
    copy(nu, d.q, to.nu);
    copy(lambda_gl, d.m, to.lambda_gl);
    copy(lambda_lb, d.n, to.lambda_lb);
    copy(lambda_ub, d.n, to.lambda_ub);
  }
  void write(std::size_t i, const Dimensions& d, const Vectors& from) const {
    const auto copy = [i](const double* row, int size, double* to) {
      if (to) std::copy_n(row, size, to + i * static_cast<std::size_t>(size));
    };
    copy(from.z, d.n, z);
    copy(from.nu, d.q, nu);
    if (lambda_h != lambda) copy(from.lambda, d.m, lambda_h);
    copy(from.lambda_gl, d.m, lambda_gl);
    copy(from.lambda_lb, d.n, lambda_lb);
    copy(from.lambda_ub, d.n, lambda_ub);
    if (!lambda) return;
    double* difference = lambda + i * static_cast<std::size_t>(d.m);
    for (int r = 0; r < d.m; ++r) difference[r] = from.lambda[r] - from.lambda_gl[r];
  }
};

GeneralBatch::GeneralBatch(const Problem& layout, const Settings& settings, std::shared_ptr<MemoryPool> pool)
    : layout_(layout),
      settings_(settings),
      d_{layout.shape.n, layout.shape.m, layout.shape.q},
      bounded_(layout.lb.data || layout.ub.data),
      pool_(std::move(pool)),
      unit_(best_instruction_set().make_general(d_, bounded_)),
      footprint_(unit_->footprint()),
      elastic_d_{d_.n + d_.m + d_.q, d_.m, d_.q},
      kept_(layout.shape.batch),
      served_(layout.shape.batch) {
  const auto n = static_cast<std::size_t>(d_.n), m = static_cast<std::size_t>(d_.m),
             q = static_cast<std::size_t>(d_.q);
  const auto place = [](Source& source, const Datum& datum, std::size_t size) {
    source.size = size;
    source.batched = datum.batched;
    source.present = datum.data != nullptr;
  };
  place(Q_, layout.Q, n * n);
  place(p_, layout.p, n);
  place(G_, layout.G, m * n);
  place(h_, layout.h, m);
  place(A_, layout.A, q * n);
  place(b_, layout.b, q);
  place(gl_, layout.gl, m);
  place(lb_, layout.lb, n);
  place(ub_, layout.ub, n);
  if (!settings.closest) return;
  elastic_ = best_instruction_set().make_general(elastic_d_, bounded_);
  elastic_footprint_ = elastic_->footprint();
}

Failure GeneralBatch::load(const Problem& problem) {
  struct Given {
    Source* source;
    const Datum* datum;
    char name;
    int width;
    double infinity;  ///< that is allowed
  };
  const double none = std::nan("");
  const std::array<Given, 9> data{{{&Q_, &problem.Q, 'Q', d_.n, none},
                                   {&p_, &problem.p, 'p', d_.n, none},
                                   {&G_, &problem.G, 'G', d_.n, none},
                                   {&h_, &problem.h, 'h', d_.m, kInfinity},
                                   {&A_, &problem.A, 'A', d_.n, none},
                                   {&b_, &problem.b, 'b', d_.q, none},
                                   {&gl_, &problem.gl, 'g', d_.m, -kInfinity},
                                   {&lb_, &problem.lb, 'L', d_.n, -kInfinity},
                                   {&ub_, &problem.ub, 'U', d_.n, kInfinity}}};
  const std::size_t element = size_of(layout_.dtype);
  std::size_t total = 0;
  for (const Given& given : data) {
    if (!given.source->present) continue;
    given.source->offset = total;
    const std::size_t problems = given.source->batched ? layout_.shape.batch : 1;
    total = sum(total, product(problems, given.source->size, element));
  }
  if (total > physical_memory() || !pool_->take(total, data_))
    return {Failure::Code::kMemory, ' ', 0, 0, 0, total};
  for (const Given& given : data) {
    const Source& source = *given.source;
    if (!source.present || source.size == 0) continue;
    const std::size_t problems = source.batched ? layout_.shape.batch : 1, count = problems * source.size;
    std::byte* to = data_.data() + source.offset;
    std::memcpy(to, given.datum->data, count * element);
    const auto check = [&](const auto* x) -> Failure {
      const std::size_t bad = first_bad(x, count, given.infinity);
      if (bad < count) {
        const std::size_t within = bad % source.size, width = static_cast<std::size_t>(given.width);
        return {Failure::Code::kNotFinite, given.name, bad / source.size, static_cast<int>(within / width),
                static_cast<int>(within % width)};
      }
      for (std::size_t i = 0; given.name == 'Q' && i < problems; ++i) {
        if (Failure f = check_symmetric(x + i * source.size, i, d_.n, layout_.dtype)) return f;
      }
      return {};
    };
    if (Failure f = with_type(layout_.dtype, to, check)) return f;
  }
  return {};
}

PlainProblem GeneralBatch::plain(Arena& arena) const {
  PlainProblem problem;
  problem.d = d_;
  const auto take = [&](const Source& source) {
    return source.present && source.size > 0 ? arena.take<double>(source.size) : nullptr;
  };
  problem.Q = take(Q_);
  problem.p = take(p_);
  problem.G = take(G_);
  problem.h = take(h_);
  problem.A = take(A_);
  problem.b = take(b_);
  problem.gl = take(gl_);
  problem.lb = take(lb_);
  problem.ub = take(ub_);
  return problem;
}

void GeneralBatch::read(const Source& source, std::size_t i, double* to) const {
  if (!to) return;
  read_numbers(data_.data() + source.offset, source.batched ? i * source.size : 0, source.size, layout_.dtype,
               to);
}

void GeneralBatch::read_own(std::size_t i, const PlainProblem& to) const {
  read(Q_, i, to.Q);
  read(p_, i, to.p);
  read(G_, i, to.G);
  read(h_, i, to.h);
  read(A_, i, to.A);
  read(b_, i, to.b);
  read(gl_, i, to.gl);
  read(lb_, i, to.lb);
  read(ub_, i, to.ub);
}

void GeneralBatch::read_problem(const Task& task, const PlainProblem& to) const {
  if (task.read) {
    task.read(to);
  } else {
    read_own(task.i, to);
  }
  remove_missing_rows(to);
}

std::size_t GeneralBatch::scratch_bytes() const {
  Arena arena;
  for (int k = 0; k < 3; ++k) Vectors(d_, arena);
  std::size_t numbers = arena.used() + 32 * kAlignment;
  for (const Source* source : {&Q_, &p_, &G_, &h_, &A_, &b_, &gl_, &lb_, &ub_})
    numbers = sum(numbers, sum(product(source->size, sizeof(double)), kAlignment));
  return sum(sum(numbers, footprint_.scratch), settings_.differentiable ? 0 : footprint_.kept);
}

GeneralBatch::Result GeneralBatch::solve(const Task& task, const Block& scratch, const Results& results,
                                         const BatchVectors& vectors) {
  const std::size_t i = task.i;
  Arena arena(scratch.data());
  const PlainProblem problem = plain(arena);
  const Vectors solution(d_, arena), at(d_, arena), start(d_, arena);
  read_problem(task, problem);
  for (const Vectors* v : {&solution, &at}) v->clear(d_);

  Block kept;
  GeneralUnit::Memory memory;
  if (settings_.differentiable) {
    if (!pool_->take(footprint_.kept, kept)) return Result::kNoMemory;
    memory.kept = kept.data();
  } else {
    memory.kept = arena.take<std::byte>(footprint_.kept);
  }
  memory.scratch = arena.take<std::byte>(footprint_.scratch);

  GeneralVectors guess;
  if (task.guess) {
    start.clear(d_);
    Parts::of_solution(*task.guess).read(i, d_, start);
    guess = start.all();
  }
  const GeneralReport report = unit_->solve(memory, problem, solver_settings(task),
                                            task.guess ? &guess : nullptr, solution.all(), at.all());
  if (!report.convex) return Result::kNotConvex;
  const bool proof = report.ending == Ending::kPrimalInfeasible || report.ending == Ending::kDualInfeasible;
  const bool solved = report.ending == Ending::kSolved;
  const bool worth =
      solved ? task.keep != Keep::kCertificates : proof || (task.keep == Keep::kAll && !task.only_guess);
  if (!worth) return Result::kUnsolved;

  if (settings_.closest && report.ending == Ending::kPrimalInfeasible && d_.m + d_.q > 0) {
    read_problem(task, problem);
    return solve_closest(task, problem, results, vectors);
  }
  served_[i] = kAsGiven;
  kept_[i] = std::move(kept);
  write(i, report, solution, at, results, vectors);
  return solved ? Result::kSolved : proof ? Result::kInfeasible : Result::kUnsolved;
}

void GeneralBatch::judge(const Task& task, const Block& scratch, const Results& results) const {
  const std::size_t i = task.i;
  if (!results.z) return;
  Arena arena(scratch.data());
  const PlainProblem problem = plain(arena);
  const Vectors at(d_, arena);
  read_problem(task, problem);
  at.clear(d_);
  const auto read = [&](const void* from, int size, double* to) {
    const auto count = static_cast<std::size_t>(size);
    if (from) read_numbers(from, i * count, count, layout_.dtype, to);
  };
  read(results.z, d_.n, at.z);
  read(results.lambda, d_.m, at.lambda);
  read(results.nu, d_.q, at.nu);
  read(results.slack, d_.m, at.slack);
  const Residuals residuals = residuals_of(problem, at.z, at.lambda, at.nu, at.slack);
  results.primal_residual[i] = residuals.primal;
  results.dual_residual[i] = residuals.dual;
  results.gap[i] = residuals.gap;
  if (residuals.scaled <= settings_.tolerance) return;
  results.status[i] = static_cast<std::uint8_t>(
      results.iterations[i] >= settings_.max_iterations ? Status::kMaxIterations : Status::kNumericalError);
}

GeneralSettings GeneralBatch::solver_settings(const Task& task) const {
  GeneralSettings settings;
  settings.tolerance = settings_.tolerance;
  settings.max_iterations = settings_.max_iterations;
  settings.polish = settings_.polish;
  settings.smoothing = settings_.smoothing;
  settings.indefinite = symmetry_tolerance(layout_.dtype);
  settings.only_guess = task.only_guess;
  return settings;
}

/// minimise  ½zᵀQz + pᵀz + ½w(‖t‖² + ‖r‖²)  subject to  gl + t ≤ Gz ≤ h + t,  Az = b + r,  lb ≤ z ≤ ub
/// with a weight w so large that the shifts t, r are the least ones.
GeneralBatch::Result GeneralBatch::solve_closest(const Task& task, const PlainProblem& problem,
                                                 const Results& results, const BatchVectors& vectors) {
  const auto n = static_cast<std::size_t>(d_.n), m = static_cast<std::size_t>(d_.m),
             q = static_cast<std::size_t>(d_.q), N = static_cast<std::size_t>(elastic_d_.n), i = task.i;
  Block scratch, kept;
  const auto lay_out = [&](Arena& arena, PlainProblem& elastic) {
    elastic.d = elastic_d_;
    elastic.Q = arena.take<double>(N * N);
    elastic.p = arena.take<double>(N);
    elastic.G = arena.take<double>(m * N);
    elastic.A = arena.take<double>(q * N);
    if (problem.lb) elastic.lb = arena.take<double>(N);
    if (problem.ub) elastic.ub = arena.take<double>(N);
    if (problem.h) elastic.h = arena.take<double>(m);
    if (problem.gl) elastic.gl = arena.take<double>(m);
    elastic.b = arena.take<double>(q);
  };
  Arena counted;
  PlainProblem elastic;
  lay_out(counted, elastic);
  for (int k = 0; k < 3; ++k) Vectors(elastic_d_, counted);
  const std::size_t bytes = sum(counted.used(), elastic_footprint_.scratch);
  if (!pool_->take(bytes, scratch) || !pool_->take(elastic_footprint_.kept, kept)) return Result::kNoMemory;
  Arena arena(scratch.data());
  lay_out(arena, elastic);
  const Vectors solution(elastic_d_, arena), at(elastic_d_, arena), start(elastic_d_, arena);
  for (const Vectors* v : {&solution, &at, &start}) v->clear(elastic_d_);
  GeneralUnit::Memory memory;
  memory.kept = kept.data();
  memory.scratch = arena.take<std::byte>(elastic_footprint_.scratch);

  const auto rows = [&](const double* from, std::size_t count, double* to, std::size_t shifts) {
    std::fill_n(to, count * N, 0.0);
    for (std::size_t r = 0; r < count; ++r) {
      std::copy_n(from + r * n, n, to + r * N);
      to[r * N + shifts + r] = -1;
    }
  };
  const auto copy_of = [](const double* from, std::size_t count, double* to) {
    if (from) std::copy_n(from, count, to);
  };
  const auto fill = [&](double weight) {
    std::fill_n(elastic.Q, N * N, 0.0);
    std::fill_n(elastic.p, N, 0.0);
    for (std::size_t r = 0; r < n; ++r)
      copy_of(problem.Q ? problem.Q + r * n : nullptr, n, elastic.Q + r * N);
    for (std::size_t r = n; r < N; ++r) elastic.Q[r * N + r] = weight;
    copy_of(problem.p, n, elastic.p);
    rows(problem.G, m, elastic.G, n);
    rows(problem.A, q, elastic.A, n + m);
    copy_of(problem.h, m, elastic.h);
    copy_of(problem.gl, m, elastic.gl);
    copy_of(problem.b, q, elastic.b);
    copy_of(problem.lb, n, elastic.lb);
    copy_of(problem.ub, n, elastic.ub);
    if (elastic.lb) std::fill_n(elastic.lb + n, m + q, -kInfinity);
    if (elastic.ub) std::fill_n(elastic.ub + n, m + q, kInfinity);
  };

  // The active rows are those of smaller weights, with which the problem is better conditioned.
  double largest = 0;
  for (std::size_t k = 0; problem.Q && k < n * n; ++k) largest = std::max(largest, std::abs(problem.Q[k]));
  for (std::size_t k = 0; k < n; ++k) largest = std::max(largest, std::abs(problem.p[k]));
  double weight = largest > 0 ? kFirstShiftWeight * largest : 1;
  GeneralSettings settings = solver_settings({});
  settings.max_iterations = std::max(settings.max_iterations, kShiftIterations);
  settings.guess_attempts = kShiftAttempts;
  const auto solve_with = [&](double weight, const GeneralVectors* guess) {
    fill(weight);
    // Multipliers are as large as the weight, and rounding with them.
    if (largest > 0)
      settings.tolerance = std::max(settings_.tolerance, kShiftTolerance * weight / (kShiftWeight * largest));
    return elastic_->solve(memory, elastic, settings, guess, solution.all(), at.all());
  };
  const auto keep_solution = [&] {
    const GeneralVectors from = solution.all(), to = start.all();
    for (const auto& [source, target, size] : {std::tuple{from.z, to.z, N},
                                               {from.lambda, to.lambda, m},
                                               {from.nu, to.nu, q},
                                               {from.lambda_gl, to.lambda_gl, m},
                                               {from.lambda_lb, to.lambda_lb, N},
                                               {from.lambda_ub, to.lambda_ub, N}})
      std::copy_n(source, size, target);
  };
  const GeneralVectors guess = start.all();
  GeneralReport report = solve_with(weight, nullptr);
  int iterations = report.iterations;
  while (largest > 0 && report.ending == Ending::kSolved && weight < 0.1 * kShiftWeight * largest) {
    keep_solution();
    report = solve_with(weight * kShiftWeightStep, &guess);
    iterations += report.iterations;
    if (report.ending == Ending::kSolved) {
      weight *= kShiftWeightStep;
    } else {
      report = solve_with(weight, &guess);  // the largest that rounding allows
      break;
    }
  }
  report.iterations = iterations;
  report.errors.objective = 0;
  for (std::size_t r = 0; r < n; ++r) {
    double slope = problem.p[r];
    for (std::size_t k = 0; problem.Q && k < n; ++k) slope += 0.5 * problem.Q[r * n + k] * solution.z[k];
    report.errors.objective += slope * solution.z[r];
  }
  served_[i] = kElastic;
  if (settings_.differentiable) kept_[i] = std::move(kept);
  write(i, report, solution, at, results, vectors);
  store(solution.z + n, d_.m, results.shift_h, i, layout_.dtype);
  store(solution.z + n + m, d_.q, results.shift_b, i, layout_.dtype);
  return report.ending == Ending::kSolved ? Result::kSolved : Result::kUnsolved;
}

void GeneralBatch::write(std::size_t i, const GeneralReport& report, const Vectors& solution,
                         const Vectors& at, const Results& results, const BatchVectors& vectors) const {
  if (report.derivative == GeneralDerivative::kNone) at.clear(d_);  // whatever it is multiplied with
  const DType dtype = layout_.dtype;
  store(solution.z, d_.n, results.z, i, dtype);
  store(solution.lambda, d_.m, results.lambda, i, dtype);
  store(solution.nu, d_.q, results.nu, i, dtype);
  store(solution.slack, d_.m, results.slack, i, dtype);
  store(solution.lambda_gl, d_.m, results.lambda_gl, i, dtype);
  store(solution.lambda_lb, d_.n, results.lambda_lb, i, dtype);
  store(solution.lambda_ub, d_.n, results.lambda_ub, i, dtype);
  results.objective[i] = report.ending == Ending::kPrimalInfeasible ? kInfinity
                         : report.ending == Ending::kDualInfeasible ? -kInfinity
                                                                    : report.errors.objective;
  results.status[i] = static_cast<std::uint8_t>(status_of(report, settings_.max_iterations));
  results.iterations[i] = report.iterations;
  results.primal_residual[i] = report.errors.primal;
  results.dual_residual[i] = report.errors.dual;
  results.gap[i] = report.errors.gap;
  if (results.margin) results.margin[i] = report.margin;
  if (results.derivative) results.derivative[i] = static_cast<std::uint8_t>(derivative_of(report.derivative));

  Parts::of_solution(vectors).write(i, d_, at);
  if (vectors.slope) std::copy_n(at.slope, d_.n, vectors.slope + i * static_cast<std::size_t>(d_.n));
}

std::optional<double> GeneralBatch::differentiate(std::size_t i, const Block& scratch, const BatchVectors& in,
                                                  const BatchVectors& out, bool forward) const {
  Block elastic_scratch;
  const bool elastic = served_[i] == kElastic;
  const Dimensions& d = elastic ? elastic_d_ : d_;
  const GeneralUnit& unit = elastic ? *elastic_ : *unit_;
  const std::size_t unit_scratch = (elastic ? elastic_footprint_ : footprint_).scratch;
  if (elastic) {
    Arena counted;
    for (int k = 0; k < 2; ++k) Vectors(d, counted);
    if (!pool_->take(sum(counted.used(), unit_scratch), elastic_scratch)) return {};
  }
  Arena arena(elastic ? elastic_scratch.data() : scratch.data());
  const Vectors from(d, arena), to(d, arena);
  GeneralUnit::Memory memory;
  memory.kept = kept_[i].data();
  memory.scratch = arena.take<std::byte>(unit_scratch);
  for (const Vectors* v : {&from, &to}) v->clear(d);
  Parts::of_adjoint(in).read(i, d_, from);
  const double residual = unit.differentiate(memory, from.all(), to.all(), forward);
  Parts::of_adjoint(out).write(i, d_, to);
  return residual;
}

std::size_t GeneralBatch::bytes() const {
  std::size_t total = data_.size();
  for (const Block& block : kept_) total += block.size();
  return total;
}

}  // namespace optnet
