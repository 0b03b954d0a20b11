#include "engine/cpu_device.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "cpu/unit_solver.h"
#include "engine/general_batch.h"
#include "engine/sizes.h"

namespace optnet {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};  // no problem, no unit

bool all_finite(const void* data, std::size_t count, DType dtype) {
  const auto check = [count](const auto* x) {
    auto nothing = x[0] * 0;
    for (std::size_t i = 0; i < count; ++i) nothing += x[i] * 0;
    return nothing == 0;
  };
  return count == 0 || (dtype == DType::kFloat64 ? check(static_cast<const double*>(data))
                                                 : check(static_cast<const float*>(data)));
}

/// A job of the thread pool, or without one, of the calling thread.
class JobCall : public Call {
 public:
  JobCall(ThreadPool* pool, Job job, std::function<Failure()> outcome)
      : pool_(pool), job_(std::move(job)), outcome_(std::move(outcome)) {}

  void run() override {
    if (pool_) return pool_->run(std::move(job_));
    for (const Stage& stage : job_.stages) {
      for (std::size_t unit = 0; unit < stage.units; ++unit) stage.run(unit, 0);
    }
  }
  void start(std::function<void()> finished) override {
    job_.finished = std::move(finished);
    pool_->start(std::move(job_));
  }
  Failure outcome() const override { return outcome_(); }

 private:
  ThreadPool* pool_;
  Job job_;
  std::function<Failure()> outcome_;
};

}  // namespace

struct CpuSolution::Impl {
  Problem layout;  ///< shapes and what is batched; of the data, only whether they are there
  Settings settings;
  SolverSettings solver_settings;
  std::unique_ptr<UnitSolver> units;
  UnitSolver::Footprint footprint;
  std::size_t unit_count = 0;
  int threads = 1;
  bool has_shared = false;
  bool all_general = false;      ///< the units' solver serves none of the problems …
  bool shared_singular = false;  ///< … or cannot, because the shared Q is not positive definite
  std::unique_ptr<GeneralBatch> general;

  ThreadPool* threads_of = nullptr;
  std::shared_ptr<MemoryPool> pool;
  MemoryPool::Block shared, data, kept, vectors;

  std::atomic<std::size_t> first_indefinite{kNone};
  std::atomic<bool> cancelled{false};
  std::atomic<std::size_t> out_of_memory{0};  ///< bytes that could not be had

  UnitSolver::Memory memory_of(std::size_t unit, int worker, const MemoryPool::Block& scratch) const {
    const auto w = static_cast<std::size_t>(worker);
    UnitSolver::Memory memory;
    memory.shared = shared.data();
    memory.data = data.data() ? data.data() + unit * footprint.data : nullptr;
    memory.kept = kept.data() + (settings.differentiable ? unit : w) * footprint.kept;
    memory.scratch = scratch.data() + w * footprint.scratch;
    return memory;
  }

  /// Places vectors of the whole batch one after the other.
  class Placement {
   public:
    Placement(const Shape& shape, double* next) : shape_(shape), next_(next) {}
    double* take(int size) {
      double* at = next_;
      if (next_) next_ += shape_.batch * static_cast<std::size_t>(size);
      count_ += shape_.batch * static_cast<std::size_t>(size);
      return at;
    }
    std::size_t bytes() const { return count_ * sizeof(double); }

   private:
    const Shape& shape_;
    double* next_;
    std::size_t count_ = 0;
  };

  /// The solution, owned here. Returns its size.
  std::size_t place_solution(double* memory, BatchVectors& v) const {
    const Shape& s = layout.shape;
    Placement at(s, memory);
    v.z = at.take(s.n);
    v.lambda = v.lambda_h = at.take(s.m);
    v.nu = at.take(s.q);
    if (layout.gl.data) {
      v.lambda_h = at.take(s.m);
      v.lambda_gl = at.take(s.m);
    }
    if (layout.lb.data) v.lambda_lb = at.take(s.n);
    if (layout.ub.data) v.lambda_ub = at.take(s.n);
    if (settings.smoothing > 0 || settings.closest) v.slope = at.take(s.n);
    return at.bytes();
  }
  /// What one backward call computes, `apart` from it what a loss that depends on the objective adds to.
  std::size_t place_adjoint(double* memory, bool apart, BatchVectors& v) const {
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
  BatchVectors solution_vectors() const {
    BatchVectors v;
    if (settings.differentiable) place_solution(reinterpret_cast<double*>(vectors.data()), v);
    return v;
  }

  Failure outcome() const {
    if (first_indefinite != kNone) return {Failure::Code::kNotConvex, 'Q', first_indefinite};
    if (out_of_memory != 0) return {Failure::Code::kMemory, ' ', 0, 0, 0, out_of_memory};
    if (cancelled) return {Failure::Code::kCancelled};
    return {};
  }
  bool failed() const { return cancelled || out_of_memory != 0 || first_indefinite != kNone; }

  void note_indefinite(std::size_t problem) {
    std::size_t seen = first_indefinite.load();
    while (problem < seen && !first_indefinite.compare_exchange_weak(seen, problem)) {
    }
  }

  GeneralBatch::Result solve_general(const GeneralBatch::Task& task, MemoryPool::Block& scratch,
                                     const Results& results);
  void solve_unit(std::size_t unit, int worker, const MemoryPool::Block& scratch,
                  MemoryPool::Block& general_scratch, const Results& results);

  Stage sum_vectors(const Gradients& gradients, const BatchVectors& v) const;
  Stage sum_matrices(const Gradients& gradients, const BatchVectors& v) const;
  template <class F>
  void each_problem(std::size_t unit, F f) const {
    const std::size_t lanes = all_general ? 1 : units->lanes();
    for (std::size_t i = unit * lanes; i < std::min((unit + 1) * lanes, layout.shape.batch); ++i) f(i);
  }
  void differentiate(std::size_t unit, int worker, const MemoryPool::Block& scratch,
                     MemoryPool::Block& general_scratch, const BatchVectors& in, const BatchVectors& out,
                     bool forward, double* residuals);
  void add_objective(std::size_t i, double weight, const BatchVectors& v) const;
  /// Whether problem i's derivative is taken at a point that need not be the minimum of its objective.
  bool off_minimum(std::size_t i, const BatchVectors& v) const { return v.slope && general->serves(i); }
  double along_slope(std::size_t i, const BatchVectors& v) const {
    double sum = 0;
    const auto n = static_cast<std::size_t>(layout.shape.n);
    for (std::size_t k = i * n; k < (i + 1) * n; ++k) sum += v.slope[k] * v.dz[k];
    return sum;
  }
  template <class T>
  double tangent_equations(std::size_t i, const Tangents& tangents, const BatchVectors& v,
                           const BatchVectors& equations) const;
};

CpuSolution::CpuSolution(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
CpuSolution::~CpuSolution() = default;

Failure CpuSolution::create(const Problem& problem, const Settings& settings, ThreadPool* pool,
                            std::shared_ptr<CpuSolution>& out, std::shared_ptr<MemoryPool> memory) {
  const auto impl = std::make_shared<Impl>();
  impl->threads_of = pool;
  impl->layout = problem;
  for (Datum* datum : {&impl->layout.Q, &impl->layout.p, &impl->layout.G, &impl->layout.h, &impl->layout.A,
                       &impl->layout.b, &impl->layout.gl, &impl->layout.lb, &impl->layout.ub}) {
    datum->owner = nullptr;
  }
  impl->settings = settings;
  impl->solver_settings = {settings.tolerance, settings.max_iterations, settings.polish};
  impl->pool = memory ? std::move(memory) : std::make_shared<MemoryPool>();
  impl->all_general = is_general(problem) || settings.smoothing > 0;

  const Shape& shape = problem.shape;
  const Sharing sharing{!problem.Q.batched, !problem.G.batched, !problem.A.batched};
  impl->units = best_instruction_set().make(shape, sharing, problem.dtype, settings.precision);
  if (!impl->all_general) impl->footprint = impl->units->footprint();
  const std::size_t lanes = impl->all_general ? 1 : impl->units->lanes();
  impl->unit_count = (shape.batch + lanes - 1) / lanes;
  impl->threads = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(ThreadPool::resolve_threads(settings.threads)),
                            std::max<std::size_t>(1, impl->unit_count)));
  impl->has_shared = impl->footprint.shared > 0;

  BatchVectors none;
  const std::size_t data = product(impl->unit_count, impl->footprint.data);
  const std::size_t kept =
      product(settings.differentiable ? impl->unit_count : static_cast<std::size_t>(impl->threads),
              impl->footprint.kept);
  const std::size_t numbers =
      product(shape.batch,
              static_cast<std::size_t>(shape.n) * 3 + static_cast<std::size_t>(shape.m) * 3 +
                  static_cast<std::size_t>(shape.q),
              sizeof(double));  // at most
  const std::size_t vectors = !settings.differentiable      ? 0
                              : numbers > physical_memory() ? numbers
                                                            : impl->place_solution(nullptr, none);
  const std::size_t total =
      sum(product(shape.batch, GeneralBatch::kBytesOfProblem), sum(data, sum(kept, vectors)));
  const bool fits = total <= physical_memory() && impl->pool->take(impl->footprint.shared, impl->shared) &&
                    impl->pool->take(data, impl->data) && impl->pool->take(kept, impl->kept) &&
                    impl->pool->take(vectors, impl->vectors);
  if (!fits) return {Failure::Code::kMemory, ' ', 0, 0, 0, total};
  impl->general = std::make_unique<GeneralBatch>(problem, settings, impl->pool);
  out = std::shared_ptr<CpuSolution>(new CpuSolution(impl));
  return {};
}

Failure CpuSolution::load(const Problem& problem) {
  Impl& impl = *impl_;
  if (impl.all_general) return impl.general->load(problem);
  if (impl.has_shared) {
    UnitSolver::Memory memory;
    memory.shared = impl.shared.data();
    if (Failure f = impl.units->load_shared(problem, memory)) return f;
  }
  std::mutex mutex;
  Failure first;
  std::size_t first_unit = kNone;
  const auto load_unit = [&](std::size_t unit) {
    UnitSolver::Memory memory;
    memory.shared = impl.shared.data();
    memory.data = impl.data.data() + unit * impl.footprint.data;
    if (Failure f = impl.units->load(problem, unit, memory)) {
      const std::lock_guard lock(mutex);
      if (unit < first_unit) {
        first = f;
        first_unit = unit;
      }
    }
  };
  if (impl.threads_of && impl.threads > 1) {
    impl.threads_of->run(
        {{{impl.unit_count, [&](std::size_t unit, int) { load_unit(unit); }}}, impl.threads, nullptr});
  } else {
    for (std::size_t unit = 0; unit < impl.unit_count && first_unit == kNone; ++unit) load_unit(unit);
  }
  return first;
}

GeneralBatch::Result CpuSolution::Impl::solve_general(const GeneralBatch::Task& task,
                                                      MemoryPool::Block& scratch, const Results& results) {
  using Result = GeneralBatch::Result;
  const Result result = general->reserve(scratch) ? general->solve(task, scratch, results, solution_vectors())
                                                  : Result::kNoMemory;
  if (result == Result::kNoMemory) out_of_memory = general->scratch_bytes();
  if (result == Result::kNotConvex) note_indefinite(task.i);
  return result;
}

/// By the units' solver where it can; what it leaves unsolved, and what a guess solves, by the general one.
void CpuSolution::Impl::solve_unit(std::size_t unit, int worker, const MemoryPool::Block& scratch,
                                   MemoryPool::Block& general_scratch, const Results& results) {
  BatchVectors guess;
  const auto* start = dynamic_cast<const CpuSolution*>(settings.warm_start.get());
  if (start) guess = start->impl_->solution_vectors();
  const BatchVectors* guessed = start ? &guess : nullptr;
  if (all_general) {
    solve_general({unit, nullptr, guessed}, general_scratch, results);
    return;
  }
  const std::size_t lanes = units->lanes(), first = unit * lanes,
                    count = std::min(lanes, layout.shape.batch - first);
  const UnitSolver::Memory memory = memory_of(unit, worker, scratch);
  const auto task_of = [&](std::size_t i) {
    return GeneralBatch::Task{i, [this, memory, lane = static_cast<int>(i - first)](const PlainProblem& to) {
                                units->read(lane, memory, to);
                              }};
  };
  bool all = start != nullptr;
  if (start) {
    for (std::size_t i = first; i < first + count && !failed(); ++i) {
      GeneralBatch::Task task = task_of(i);
      task.guess = guessed;
      task.only_guess = true;
      all = (solve_general(task, general_scratch, results) == GeneralBatch::Result::kSolved) && all;
    }
  }
  if (all || failed()) return;
  if (!shared_singular)
    units->solve(unit, memory, solver_settings, settings.differentiable, results, solution_vectors());
  for (std::size_t i = first; i < first + count && !failed(); ++i) {
    const bool solved = !shared_singular && results.status[i] == static_cast<std::uint8_t>(Status::kSolved);
    if (solved && !general->serves(i)) continue;
    GeneralBatch::Task task = task_of(i);
    if (general->serves(i)) {  // the unit's solver has written over it
      task.guess = guessed;
      task.only_guess = true;
    } else {
      const bool definite =
          !shared_singular && results.status[i] != static_cast<std::uint8_t>(Status::kNotDefinite);
      // Who asks for float32 alone is not served in float64, except with what float32 cannot find out.
      task.keep = !definite                                  ? GeneralBatch::Keep::kAll
                  : settings.precision == Precision::kSingle ? GeneralBatch::Keep::kCertificates
                                                             : GeneralBatch::Keep::kAnswers;
    }
    solve_general(task, general_scratch, results);
  }
}

std::shared_ptr<Call> CpuSolution::solve(const Results& results, std::shared_ptr<Control> control) {
  struct Call {
    MemoryPool::Block scratch;
    std::vector<MemoryPool::Block> general_scratch;  ///< of each worker, once it needs it
    std::atomic<std::size_t> solved{0};
  };
  const auto impl = impl_;
  const auto call = std::make_shared<Call>();
  call->general_scratch.resize(static_cast<std::size_t>(impl->threads));

  Job job;
  job.threads = impl->threads;
  job.stages.push_back({1, [impl, call](std::size_t, int) {
                          const std::size_t bytes =
                              static_cast<std::size_t>(impl->threads) * impl->footprint.scratch;
                          if (!impl->pool->take(bytes, call->scratch)) {
                            impl->out_of_memory = bytes;
                          } else if (impl->has_shared) {
                            impl->shared_singular =
                                !impl->units->prepare_shared(impl->memory_of(0, 0, call->scratch));
                          }
                        }});
  job.stages.push_back({impl->unit_count, [impl, call, results, control](std::size_t unit, int worker) {
                          if (control && control->cancelled) impl->cancelled = true;
                          if (impl->failed()) return;
                          impl->solve_unit(unit, worker, call->scratch,
                                           call->general_scratch[static_cast<std::size_t>(worker)], results);
                          const std::size_t lanes = impl->all_general ? 1 : impl->units->lanes();
                          const std::size_t solved = call->solved +=
                              std::min(lanes, impl->layout.shape.batch - unit * lanes);
                          if (control && control->progress) control->progress(solved);
                        }});
  job.stages.push_back({1, [impl, call](std::size_t, int) {
                          call->scratch = {};
                          call->general_scratch.clear();
                          impl->general->forget_data();
                          impl->settings.warm_start = nullptr;
                          if (!impl->units->keeps_data() || !impl->settings.differentiable) impl->data = {};
                          if (!impl->settings.differentiable) impl->kept = {};
                        }});
  return std::make_shared<JobCall>(impl->threads_of, std::move(job), [impl] { return impl->outcome(); });
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
              if (dtype == DType::kFloat64) {
                static_cast<double*>(sum.out)[k] = total;
              } else {
                static_cast<float*>(sum.out)[k] = static_cast<float>(total);
              }
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

/// dz, dλ, … of a unit's problems, by the factors of whichever solver served each.
void CpuSolution::Impl::differentiate(std::size_t unit, int worker, const MemoryPool::Block& scratch,
                                      MemoryPool::Block& general_scratch, const BatchVectors& in,
                                      const BatchVectors& out, bool forward, double* residuals) {
  bool all = true;
  each_problem(unit, [&](std::size_t i) { all = general->serves(i) && all; });
  if (!all) units->backward(unit, memory_of(unit, worker, scratch), in, out, residuals);
  each_problem(unit, [&](std::size_t i) {
    if (!general->serves(i)) return;
    if (!general->reserve(general_scratch)) {
      out_of_memory = general->scratch_bytes();
      return;
    }
    const double residual = general->differentiate(i, general_scratch, in, out, forward);
    if (residual < 0) out_of_memory = general->scratch_bytes();
    if (residuals) residuals[i] = residual;
  });
}

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

Failure CpuSolution::backward(const Upstream& upstream, const Gradients& gradients,
                              std::shared_ptr<optnet::Call>& out) {
  struct Call {
    MemoryPool::Block upstream, adjoint, scratch;
    std::vector<MemoryPool::Block> general_scratch;
    BatchVectors given, v;
    const double* dobjective = nullptr;
  };
  const auto impl = impl_;
  const auto call = std::make_shared<Call>();
  const Shape& s = impl->layout.shape;
  const DType dtype = impl->layout.dtype;
  const bool apart = upstream.dobjective != nullptr;
  const std::size_t scratch = static_cast<std::size_t>(impl->threads) * impl->footprint.scratch;
  BatchVectors v = impl->solution_vectors();
  const std::size_t adjoint = impl->place_adjoint(nullptr, apart, v);
  const std::size_t numbers = s.batch * static_cast<std::size_t>(3 * s.n + 2 * s.m + s.q + 1);
  if (!impl->pool->take(numbers * sizeof(double), call->upstream) ||
      !impl->pool->take(adjoint, call->adjoint) || !impl->pool->take(scratch, call->scratch)) {
    return {Failure::Code::kMemory, ' ', 0, 0, 0, sum(scratch, sum(adjoint, numbers * sizeof(double)))};
  }
  impl->place_adjoint(reinterpret_cast<double*>(call->adjoint.data()), apart, v);
  call->v = v;
  call->general_scratch.resize(static_cast<std::size_t>(impl->threads));
  auto* next = reinterpret_cast<double*>(call->upstream.data());
  const auto copy_in = [&](const void* from, int size, auto& to, char name) -> Failure {
    if (!from || size == 0) return {};
    const auto row = static_cast<std::size_t>(size);
    const std::size_t element = size_of(dtype);
    for (std::size_t i = 0; i < s.batch; ++i) {
      const auto* source = static_cast<const std::byte*>(from) + i * row * element;
      if (!all_finite(source, row, dtype)) return {Failure::Code::kNotFinite, name, i};
    }
    if (dtype == DType::kFloat64) {
      std::memcpy(next, from, s.batch * row * element);
    } else {
      std::copy_n(static_cast<const float*>(from), s.batch * row, next);
    }
    to = next;
    next += s.batch * row;
    return {};
  };
  if (Failure f = copy_in(upstream.dz, s.n, call->given.dz, 'z')) return f;
  if (Failure f = copy_in(upstream.dlambda, s.m, call->given.dlambda, 'l')) return f;
  if (Failure f = copy_in(upstream.dnu, s.q, call->given.dnu, 'n')) return f;
  if (Failure f = copy_in(upstream.dlambda_gl, s.m, call->given.dlambda_gl, 'k')) return f;
  if (Failure f = copy_in(upstream.dlambda_lb, s.n, call->given.dlambda_lb, 'x')) return f;
  if (Failure f = copy_in(upstream.dlambda_ub, s.n, call->given.dlambda_ub, 'y')) return f;
  if (Failure f = copy_in(upstream.dobjective, 1, call->dobjective, 'o')) return f;
  call->given.dlambda_h = call->given.dlambda;

  Job job;
  job.threads = impl->threads;
  if (v.slope && call->dobjective) {  // at a point that is not the solution
    if (!call->given.dz) {
      std::fill_n(next, s.batch * static_cast<std::size_t>(s.n), 0.0);
      call->given.dz = next;
    }
    for (std::size_t i = 0, k = 0; i < s.batch; ++i) {
      const double weight = impl->off_minimum(i, v) ? call->dobjective[i] : 0;
      for (int j = 0; j < s.n; ++j, ++k) call->given.dz[k] += weight == 0 ? 0 : weight * v.slope[k];
    }
  }
  job.stages.push_back({impl->unit_count, [impl, call, gradients](std::size_t unit, int worker) {
                          impl->differentiate(unit, worker, call->scratch,
                                              call->general_scratch[static_cast<std::size_t>(worker)],
                                              call->given, call->v, false, gradients.residual);
                          impl->each_problem(unit, [&](std::size_t i) {
                            if (call->dobjective) impl->add_objective(i, call->dobjective[i], call->v);
                            impl->units->own_gradients(i, impl->layout, gradients, call->v);
                          });
                        }});
  job.stages.push_back(impl->sum_vectors(gradients, v));
  job.stages.push_back(impl->sum_matrices(gradients, v));
  out = std::make_shared<JobCall>(impl->threads_of, std::move(job), [impl] { return impl->outcome(); });
  return {};
}

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

Failure CpuSolution::jvp(const Tangents& tangents, const SolutionTangents& out,
                         std::shared_ptr<optnet::Call>& made) {
  struct Call {
    MemoryPool::Block tangents, equations, result, scratch;
    std::vector<MemoryPool::Block> general_scratch;
    Tangents given;
    BatchVectors v, in;
  };
  const auto impl = impl_;
  const auto call = std::make_shared<Call>();
  const Shape& s = impl->layout.shape;
  const DType dtype = impl->layout.dtype;
  const auto n = static_cast<std::size_t>(s.n), m = static_cast<std::size_t>(s.m),
             q = static_cast<std::size_t>(s.q);
  struct Given {
    const void* from;
    const void** to;
    const Datum* datum;
    std::size_t size;
    char name;
  };
  const Problem& layout = impl->layout;
  Tangents& given = call->given;
  const std::array<Given, 9> all{{{tangents.dQ, &given.dQ, &layout.Q, n * n, 'Q'},
                                  {tangents.dp, &given.dp, &layout.p, n, 'p'},
                                  {tangents.dG, &given.dG, &layout.G, m * n, 'G'},
                                  {tangents.dh, &given.dh, &layout.h, m, 'h'},
                                  {tangents.dA, &given.dA, &layout.A, q * n, 'A'},
                                  {tangents.db, &given.db, &layout.b, q, 'b'},
                                  {tangents.dgl, &given.dgl, &layout.gl, m, 'g'},
                                  {tangents.dlb, &given.dlb, &layout.lb, n, 'L'},
                                  {tangents.dub, &given.dub, &layout.ub, n, 'U'}}};
  const std::size_t element = size_of(dtype);
  std::size_t bytes = 0;
  for (const Given& g : all) {
    if (g.from) bytes = sum(bytes, product(g.datum->batched ? s.batch : 1, g.size, element));
  }
  BatchVectors v = impl->solution_vectors(), in;
  const std::size_t vectors = impl->place_adjoint(nullptr, false, v);
  const std::size_t scratch = static_cast<std::size_t>(impl->threads) * impl->footprint.scratch;
  if (!impl->pool->take(bytes, call->tangents) || !impl->pool->take(vectors, call->equations) ||
      !impl->pool->take(vectors, call->result) || !impl->pool->take(scratch, call->scratch)) {
    return {Failure::Code::kMemory, ' ', 0, 0, 0, sum(bytes, sum(vectors, sum(vectors, scratch)))};
  }
  impl->place_adjoint(reinterpret_cast<double*>(call->equations.data()), false, in);
  impl->place_adjoint(reinterpret_cast<double*>(call->result.data()), false, v);
  call->in = in;
  call->v = v;
  call->general_scratch.resize(static_cast<std::size_t>(impl->threads));
  std::byte* next = call->tangents.data();
  for (const Given& g : all) {
    if (!g.from || g.size == 0) continue;
    const std::size_t problems = g.datum->batched ? s.batch : 1;
    for (std::size_t i = 0; i < problems; ++i) {
      if (!all_finite(static_cast<const std::byte*>(g.from) + i * g.size * element, g.size, dtype))
        return {Failure::Code::kNotFinite, g.name, i};
    }
    std::memcpy(next, g.from, problems * g.size * element);
    *g.to = next;
    next += problems * g.size * element;
  }

  Job job;
  job.threads = impl->threads;
  job.stages.push_back({impl->unit_count, [impl, call, out](std::size_t unit, int worker) {
                          const Shape& s = impl->layout.shape;
                          const DType dtype = impl->layout.dtype;
                          impl->each_problem(unit, [&](std::size_t i) {
                            const double objective =
                                dtype == DType::kFloat64
                                    ? impl->tangent_equations<double>(i, call->given, call->v, call->in)
                                    : impl->tangent_equations<float>(i, call->given, call->v, call->in);
                            if (out.dobjective) out.dobjective[i] = objective;
                          });
                          impl->differentiate(unit, worker, call->scratch,
                                              call->general_scratch[static_cast<std::size_t>(worker)],
                                              call->in, call->v, true, nullptr);
                          impl->each_problem(unit, [&](std::size_t i) {
                            if (impl->off_minimum(i, call->v) && out.dobjective)
                              out.dobjective[i] += impl->along_slope(i, call->v);
                            const auto store = [&](void* to, const double* from, int size) {
                              if (!to || !from) return;
                              const std::size_t first = i * static_cast<std::size_t>(size);
                              for (std::size_t k = first; k < first + static_cast<std::size_t>(size); ++k) {
                                if (dtype == DType::kFloat64) {
                                  static_cast<double*>(to)[k] = from[k];
                                } else {
                                  static_cast<float*>(to)[k] = static_cast<float>(from[k]);
                                }
                              }
                            };
                            store(out.dz, call->v.dz, s.n);
                            store(out.dlambda, call->v.dlambda_h, s.m);
                            store(out.dnu, call->v.dnu, s.q);
                            store(out.dlambda_gl, call->v.dlambda_gl, s.m);
                            store(out.dlambda_lb, call->v.dlambda_lb, s.n);
                            store(out.dlambda_ub, call->v.dlambda_ub, s.n);
                          });
                        }});
  made = std::make_shared<JobCall>(impl->threads_of, std::move(job), [impl] { return impl->outcome(); });
  return {};
}

const Shape& CpuSolution::shape() const { return impl_->layout.shape; }
DType CpuSolution::dtype() const { return impl_->layout.dtype; }
int CpuSolution::threads() const { return impl_->threads; }
std::size_t CpuSolution::bytes() const {
  return impl_->shared.size() + impl_->data.size() + impl_->kept.size() + impl_->vectors.size() +
         impl_->general->bytes();
}
const char* CpuSolution::backend() const {
  if (impl_->all_general) return "general";
  return impl_->units->lanes() > 1 ? "packed" : "blocked";
}

Failure CpuDevice::solve(const Problem& problem, const Settings& settings, const Results& results,
                         std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                         std::shared_ptr<Call>& call) {
  std::shared_ptr<CpuSolution> made;
  if (Failure f = CpuSolution::create(problem, settings, &pool_, made, memory_)) return f;
  if (Failure f = made->load(problem)) return f;
  call = made->solve(results, std::move(control));
  solution = std::move(made);
  return {};
}

const char* instruction_set() { return best_instruction_set().name; }

}  // namespace optnet
