#include "engine/cpu_device.h"

#include <algorithm>
#include <mutex>

#include "engine/cpu_solution.h"
#include "engine/sizes.h"

namespace optnet {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};  // no problem, no unit

/// Shapes, and of the data whether they are there.
Problem without_data(Problem problem) {
  static const char present = 0;
  for (Datum* datum : {&problem.Q, &problem.p, &problem.G, &problem.h, &problem.A, &problem.b, &problem.gl,
                       &problem.lb, &problem.ub}) {
    datum->owner = nullptr;
    if (datum->data) datum->data = &present;
  }
  return problem;
}

}  // namespace

struct CpuSolution::Impl::Solving : Workspace {
  using Workspace::Workspace;

  std::shared_ptr<Control> control;
  std::atomic<std::size_t> solved{0};
  std::atomic<std::size_t> first_indefinite{kNone};
  std::atomic<bool> cancelled{false};

  /// Nothing is to be done for this problem any more. Those before one that is not convex go on: another of
  /// them may be the first.
  bool skips(std::size_t problem) const { return cancelled || missing != 0 || first_indefinite < problem; }
  Failure outcome() const {
    if (first_indefinite != kNone) return {Failure::Code::kNotConvex, 'Q', first_indefinite};
    if (Failure f = out_of_memory()) return f;
    if (cancelled) return {Failure::Code::kCancelled};
    return {};
  }
  void note_indefinite(std::size_t problem) {
    std::size_t seen = first_indefinite.load();
    while (problem < seen && !first_indefinite.compare_exchange_weak(seen, problem)) {
    }
  }
};

CpuSolution::CpuSolution(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
CpuSolution::~CpuSolution() = default;

std::size_t CpuSolution::Impl::place_solution(double* memory, BatchVectors& v) const {
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

Failure CpuSolution::create(const Problem& problem, const Settings& settings, ThreadPool* pool,
                            std::shared_ptr<CpuSolution>& out, std::shared_ptr<MemoryPool> memory) {
  const auto impl = std::make_shared<Impl>();
  impl->threads_of = pool;
  impl->layout = without_data(problem);
  impl->settings = settings;
  impl->solver_settings = {settings.tolerance, settings.max_iterations, settings.polish};
  impl->pool = memory ? std::move(memory) : std::make_shared<MemoryPool>();

  const Shape& shape = problem.shape;
  const Sharing sharing{!problem.Q.batched, !problem.G.batched, !problem.A.batched};
  const InstructionSet& instructions = best_instruction_set();
  if (has_sides(problem)) impl->units = instructions.make_bounded(shape, sharing, problem.dtype);
  impl->all_general = !problem.Q.data || settings.smoothing > 0 || (has_sides(problem) && !impl->units);
  impl->narrow = settings.precision == Precision::kSingle && !impl->units;
  if (!impl->units) impl->units = instructions.make(shape, sharing, problem.dtype, settings.precision);
  if (!impl->all_general) impl->footprint = impl->units->footprint();
  impl->unit_count = (shape.batch + impl->lanes() - 1) / impl->lanes();
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
              static_cast<std::size_t>(shape.n) * 4 + static_cast<std::size_t>(shape.m) * 3 +
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
  impl->general = std::make_unique<GeneralBatch>(impl->layout, settings, impl->pool);
  out = std::shared_ptr<CpuSolution>(new CpuSolution(impl));
  return {};
}

Failure CpuSolution::load(const Problem& problem) {
  Impl& impl = *impl_;
  if (impl.all_general || impl.rounds_data()) {
    Failure f = impl.general->load(problem);
    if (f || impl.all_general) return f;
  }
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

GeneralBatch::Result CpuSolution::Impl::solve_general(const GeneralBatch::Task& task, int worker,
                                                      Solving& call, const Results& results) const {
  using Result = GeneralBatch::Result;
  MemoryPool::Block& scratch = call.general_of(worker);
  const Result result = general->reserve(scratch) ? general->solve(task, scratch, results, solution_vectors())
                                                  : Result::kNoMemory;
  if (result == Result::kNoMemory) call.missing = general->scratch_bytes();
  if (result == Result::kNotConvex) call.note_indefinite(task.i);
  return result;
}

void CpuSolution::Impl::judge(const GeneralBatch::Task& task, int worker, Solving& call,
                              const Results& results) const {
  MemoryPool::Block& scratch = call.general_of(worker);
  if (general->reserve(scratch)) {
    general->judge(task, scratch, results);
  } else {
    call.missing = general->scratch_bytes();
  }
}

/// Says what the derivative is of what was not solved on an active set; whether it should have been.
bool CpuSolution::Impl::settle_unpolished(std::size_t i, const Results& results) const {
  if (!results.derivative || results.derivative[i] != static_cast<std::uint8_t>(Derivative::kUnpolished))
    return false;
  results.derivative[i] = static_cast<std::uint8_t>(Derivative::kCentralPath);
  return settings.polish && !narrow;
}

/// By the units' solver where it can; what it leaves unsolved, and what a guess solves, by the general one.
void CpuSolution::Impl::solve_unit(std::size_t unit, int worker, Solving& call,
                                   const Results& results) const {
  using Keep = GeneralBatch::Keep;
  BatchVectors guess;
  const bool start = settings.warm_start && settings.warm_start->start_vectors(guess);
  const BatchVectors* guessed = start ? &guess : nullptr;
  if (all_general) {
    solve_general({unit, nullptr, guessed}, worker, call, results);
    return;
  }
  const UnitSolver::Memory memory = memory_of(unit, worker, call);
  const auto task_of = [&](std::size_t i) {
    if (rounds_data()) return GeneralBatch::Task{i};
    const int lane = static_cast<int>(i - unit * lanes());
    return GeneralBatch::Task{
        i, [this, memory, lane](const PlainProblem& to) { units->read(lane, memory, to); }};
  };
  bool all_solved = start;
  if (start) {
    each_problem(unit, [&](std::size_t i) {
      if (call.skips(i)) return;
      GeneralBatch::Task task = task_of(i);
      task.guess = guessed;
      task.only_guess = true;
      all_solved = solve_general(task, worker, call, results) == GeneralBatch::Result::kSolved && all_solved;
    });
  }
  if (all_solved || call.skips(unit * lanes())) return;
  if (!shared_singular)
    units->solve(unit, memory, solver_settings, settings.differentiable, results, solution_vectors());
  each_problem(unit, [&](std::size_t i) {
    const auto ended = [&](Status status) {
      return !shared_singular && results.status[i] == static_cast<std::uint8_t>(status);
    };
    const bool blurred = !shared_singular && settle_unpolished(i, results);
    if (narrow && ended(Status::kSolved)) judge(task_of(i), worker, call, results);
    if (call.skips(i) || (ended(Status::kSolved) && !general->serves(i) && !blurred)) return;
    GeneralBatch::Task task = task_of(i);
    if (general->serves(i)) {  // the units' solver has written over it
      task.guess = guessed;
      task.only_guess = true;
    } else if (!shared_singular && !ended(Status::kNotDefinite)) {
      // Who asks for float32 alone is not served in float64, except with what float32 cannot find out.
      task.keep = narrow ? Keep::kCertificates : Keep::kAnswers;
    }
    solve_general(task, worker, call, results);
  });
}

std::shared_ptr<Call> CpuSolution::solve(const Results& results, std::shared_ptr<Control> control) {
  const auto impl = impl_;
  const auto call = std::make_shared<Impl::Solving>(impl->threads);
  call->control = std::move(control);

  Job job;
  job.threads = impl->threads;
  job.stages.push_back({1, [impl, call](std::size_t, int) {
                          if (!impl->pool->take(impl->scratch_bytes(), call->scratch)) {
                            call->missing = impl->scratch_bytes();
                          } else if (impl->has_shared) {
                            impl->shared_singular =
                                !impl->units->prepare_shared(impl->memory_of(0, 0, *call));
                          }
                        }});
  job.stages.push_back({impl->unit_count, [impl, call, results](std::size_t unit, int worker) {
                          Control* control = call->control.get();
                          if (control && control->cancelled) call->cancelled = true;
                          if (call->skips(unit * impl->lanes())) return;
                          impl->solve_unit(unit, worker, *call, results);
                          std::size_t count = 0;
                          impl->each_problem(unit, [&](std::size_t) { ++count; });
                          const std::size_t solved = call->solved += count;
                          if (control && control->progress) control->progress(solved);
                        }});
  job.stages.push_back({1, [impl, call](std::size_t, int) {
                          call->scratch = {};
                          call->general.clear();
                          impl->general->forget_data();
                          impl->settings.warm_start = nullptr;
                          if (!impl->settings.differentiable) {
                            impl->data = {};
                            impl->kept = {};
                          }
                        }});
  return std::make_shared<JobCall>(impl->threads_of, std::move(job), [call] { return call->outcome(); });
}

bool CpuSolution::start_vectors(BatchVectors& out) const {
  out = impl_->solution_vectors();
  return true;
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
