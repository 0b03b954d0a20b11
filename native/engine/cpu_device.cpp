#include "engine/cpu_device.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "cpu/unit_solver.h"
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
  Problem layout;  ///< shapes and what is batched; no data
  Settings settings;
  SolverSettings solver_settings;
  std::unique_ptr<UnitSolver> units;
  UnitSolver::Footprint footprint;
  std::size_t unit_count = 0;
  int threads = 1;
  bool has_shared = false;

  ThreadPool* threads_of = nullptr;
  std::shared_ptr<MemoryPool> pool;
  MemoryPool::Block shared, data, kept, vectors;

  std::atomic<std::size_t> first_indefinite{kNone};
  std::atomic<bool> cancelled{false};
  std::atomic<std::size_t> out_of_memory{0};  ///< bytes that could not be had

  std::size_t vector_count() const {
    const Shape& s = layout.shape;
    return s.batch * static_cast<std::size_t>(s.n + s.m + s.q);
  }

  UnitSolver::Memory memory_of(std::size_t unit, int worker, const MemoryPool::Block& scratch) const {
    const auto w = static_cast<std::size_t>(worker);
    UnitSolver::Memory memory;
    memory.shared = shared.data();
    memory.data = data.data() ? data.data() + unit * footprint.data : nullptr;
    memory.kept = kept.data() + (settings.differentiable ? unit : w) * footprint.kept;
    memory.scratch = scratch.data() + w * footprint.scratch;
    return memory;
  }

  /// Six arrays in a row: z, λ, ν of the solution (owned here), dz, dλ, dν (of one backward call).
  BatchVectors batch_vectors(double* adjoint) const {
    const Shape& s = layout.shape;
    const std::size_t z = s.batch * static_cast<std::size_t>(s.n),
                      lambda = s.batch * static_cast<std::size_t>(s.m);
    auto* solution = reinterpret_cast<double*>(vectors.data());
    BatchVectors v;
    if (solution) v = {solution, solution + z, solution + z + lambda, nullptr, nullptr, nullptr};
    if (adjoint) {
      v.dz = adjoint;
      v.dlambda = adjoint + z;
      v.dnu = adjoint + z + lambda;
    }
    return v;
  }

  Failure outcome() const {
    if (first_indefinite != kNone) return {Failure::Code::kNotConvex, 'Q', first_indefinite};
    if (out_of_memory != 0) return {Failure::Code::kMemory, ' ', 0, 0, 0, out_of_memory};
    if (cancelled) return {Failure::Code::kCancelled};
    return {};
  }

  void note_indefinite(std::size_t problem) {
    std::size_t seen = first_indefinite.load();
    while (problem < seen && !first_indefinite.compare_exchange_weak(seen, problem)) {
    }
  }

  Stage sum_vectors(const Gradients& gradients, double* adjoint) const;
  Stage sum_matrices(const Gradients& gradients, double* adjoint) const;
};

CpuSolution::CpuSolution(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
CpuSolution::~CpuSolution() = default;

Failure CpuSolution::create(const Problem& problem, const Settings& settings, ThreadPool* pool,
                            std::shared_ptr<CpuSolution>& out, std::shared_ptr<MemoryPool> memory) {
  const auto impl = std::make_shared<Impl>();
  impl->threads_of = pool;
  impl->layout = problem;
  for (Datum* datum : {&impl->layout.Q, &impl->layout.p, &impl->layout.G, &impl->layout.h, &impl->layout.A,
                       &impl->layout.b}) {
    datum->data = nullptr;
  }
  impl->settings = settings;
  impl->solver_settings = {settings.tolerance, settings.max_iterations, settings.polish};
  impl->pool = memory ? std::move(memory) : std::make_shared<MemoryPool>();

  const Shape& shape = problem.shape;
  const Sharing sharing{!problem.Q.batched, !problem.G.batched, !problem.A.batched};
  impl->units = best_instruction_set().make(shape, sharing, problem.dtype, settings.precision);
  impl->footprint = impl->units->footprint();
  const std::size_t lanes = impl->units->lanes();
  impl->unit_count = (shape.batch + lanes - 1) / lanes;
  impl->threads = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(ThreadPool::resolve_threads(settings.threads)),
                            std::max<std::size_t>(1, impl->unit_count)));
  impl->has_shared = impl->footprint.shared > 0;

  const std::size_t data = product(impl->unit_count, impl->footprint.data);
  const std::size_t kept =
      product(settings.differentiable ? impl->unit_count : static_cast<std::size_t>(impl->threads),
              impl->footprint.kept);
  const std::size_t vectors =
      settings.differentiable
          ? product(shape.batch, static_cast<std::size_t>(shape.n + shape.m + shape.q) * sizeof(double))
          : 0;
  const std::size_t total = sum(data, sum(kept, vectors));
  const bool fits = total <= physical_memory() && impl->pool->take(impl->footprint.shared, impl->shared) &&
                    impl->pool->take(data, impl->data) && impl->pool->take(kept, impl->kept) &&
                    impl->pool->take(vectors, impl->vectors);
  if (!fits) return {Failure::Code::kMemory, ' ', 0, 0, 0, total};
  out = std::shared_ptr<CpuSolution>(new CpuSolution(impl));
  return {};
}

Failure CpuSolution::load(const Problem& problem) {
  Impl& impl = *impl_;
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

std::shared_ptr<Call> CpuSolution::solve(const Results& results, std::shared_ptr<Control> control) {
  struct Call {
    MemoryPool::Block scratch;
    std::atomic<std::size_t> solved{0};
  };
  const auto impl = impl_;
  const auto call = std::make_shared<Call>();
  const auto failed = [impl] {
    return impl->cancelled || impl->out_of_memory != 0 || impl->first_indefinite != kNone;
  };

  Job job;
  job.threads = impl->threads;
  job.stages.push_back(
      {1, [impl, call](std::size_t, int) {
         const std::size_t bytes = static_cast<std::size_t>(impl->threads) * impl->footprint.scratch;
         if (!impl->pool->take(bytes, call->scratch)) {
           impl->out_of_memory = bytes;
         } else if (impl->has_shared && !impl->units->prepare_shared(impl->memory_of(0, 0, call->scratch))) {
           impl->note_indefinite(0);
         }
       }});
  job.stages.push_back(
      {impl->unit_count, [impl, call, results, control, failed](std::size_t unit, int worker) {
         if (control && control->cancelled) impl->cancelled = true;
         if (failed()) return;
         const int indefinite =
             impl->units->solve(unit, impl->memory_of(unit, worker, call->scratch), impl->solver_settings,
                                impl->settings.differentiable, results, impl->batch_vectors(nullptr));
         const std::size_t lanes = impl->units->lanes();
         if (indefinite >= 0) impl->note_indefinite(unit * lanes + static_cast<std::size_t>(indefinite));
         const std::size_t solved = call->solved += std::min(lanes, impl->layout.shape.batch - unit * lanes);
         if (control && control->progress) control->progress(solved);
       }});
  job.stages.push_back({1, [impl, call](std::size_t, int) {
                          call->scratch = {};
                          if (!impl->units->keeps_data() || !impl->settings.differentiable) impl->data = {};
                          if (!impl->settings.differentiable) impl->kept = {};
                        }});
  return std::make_shared<JobCall>(impl->threads_of, std::move(job), [impl] { return impl->outcome(); });
}

Stage CpuSolution::Impl::sum_vectors(const Gradients& gradients, double* adjoint) const {
  struct Sum {
    void* out;
    const double* v;
    std::size_t size;
    double sign;
  };
  const BatchVectors v = batch_vectors(adjoint);
  const Shape s = layout.shape;
  std::vector<Sum> sums;
  const auto add = [&](void* out, const Datum& datum, const double* values, int size, double sign) {
    if (out && !datum.batched) sums.push_back({out, values, static_cast<std::size_t>(size), sign});
  };
  add(gradients.dp, layout.p, v.dz, s.n, 1);
  add(gradients.dh, layout.h, v.dlambda, s.m, -1);
  add(gradients.db, layout.b, v.dnu, s.q, -1);
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

Stage CpuSolution::Impl::sum_matrices(const Gradients& gradients, double* adjoint) const {
  constexpr int kRows = 8;  // of the gradient, a unit
  struct Slice {
    void* out;
    UnitSolver::OuterSum sum;
    int first, last;
  };
  const BatchVectors v = batch_vectors(adjoint);
  const Shape& s = layout.shape;
  std::vector<Slice> slices;
  const auto add = [&](void* out, const Datum& datum, const UnitSolver::OuterSum& sum) {
    if (!out || datum.batched) return;
    for (int i = 0; i < sum.rows; i += kRows) slices.push_back({out, sum, i, std::min(i + kRows, sum.rows)});
  };
  add(gradients.dQ, layout.Q, {v.dz, v.z, v.z, v.dz, s.n, s.n, 0.5});
  add(gradients.dG, layout.G, {v.dlambda, v.z, v.lambda, v.dz, s.m, s.n, 1});
  add(gradients.dA, layout.A, {v.dnu, v.z, v.nu, v.dz, s.q, s.n, 1});
  const std::size_t count = slices.size();
  return {count, [this, slices = std::move(slices)](std::size_t unit, int) {
            const Slice& slice = slices[unit];
            units->sum_outer(layout.shape.batch, slice.sum, slice.first, slice.last, layout.dtype, slice.out);
          }};
}

Failure CpuSolution::backward(const Upstream& upstream, const Gradients& gradients,
                              std::shared_ptr<Call>& out) {
  struct Call {
    MemoryPool::Block upstream, adjoint, scratch;
    Upstream copy;
  };
  const auto impl = impl_;
  const auto call = std::make_shared<Call>();
  const Shape& s = impl->layout.shape;
  const std::size_t element = size_of(impl->layout.dtype);
  const std::size_t scratch = static_cast<std::size_t>(impl->threads) * impl->footprint.scratch;
  if (!impl->pool->take(impl->vector_count() * element, call->upstream) ||
      !impl->pool->take(impl->vector_count() * sizeof(double), call->adjoint) ||
      !impl->pool->take(scratch, call->scratch)) {
    return {Failure::Code::kMemory, ' ', 0, 0, 0, scratch};
  }
  std::byte* next = call->upstream.data();
  const auto copy_in = [&](const void* from, int size, const void*& to, char name) -> Failure {
    if (!from || size == 0) return {};
    const auto row = static_cast<std::size_t>(size);
    for (std::size_t i = 0; i < s.batch; ++i) {
      const auto* source = static_cast<const std::byte*>(from) + i * row * element;
      if (!all_finite(source, row, impl->layout.dtype)) return {Failure::Code::kNotFinite, name, i};
    }
    std::memcpy(next, from, s.batch * row * element);
    to = next;
    next += s.batch * row * element;
    return {};
  };
  if (Failure f = copy_in(upstream.dz, s.n, call->copy.dz, 'z')) return f;
  if (Failure f = copy_in(upstream.dlambda, s.m, call->copy.dlambda, 'l')) return f;
  if (Failure f = copy_in(upstream.dnu, s.q, call->copy.dnu, 'n')) return f;

  auto* adjoint = reinterpret_cast<double*>(call->adjoint.data());
  Job job;
  job.threads = impl->threads;
  job.stages.push_back({impl->unit_count, [impl, call, gradients, adjoint](std::size_t unit, int worker) {
                          impl->units->backward(unit, impl->memory_of(unit, worker, call->scratch),
                                                impl->layout, call->copy, gradients,
                                                impl->batch_vectors(adjoint));
                        }});
  job.stages.push_back(impl->sum_vectors(gradients, adjoint));
  job.stages.push_back(impl->sum_matrices(gradients, adjoint));
  out = std::make_shared<JobCall>(impl->threads_of, std::move(job), [] { return Failure{}; });
  return {};
}

const Shape& CpuSolution::shape() const { return impl_->layout.shape; }
DType CpuSolution::dtype() const { return impl_->layout.dtype; }
int CpuSolution::threads() const { return impl_->threads; }
std::size_t CpuSolution::bytes() const {
  return impl_->shared.size() + impl_->data.size() + impl_->kept.size() + impl_->vectors.size();
}
const char* CpuSolution::backend() const { return impl_->units->lanes() > 1 ? "packed" : "blocked"; }

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
