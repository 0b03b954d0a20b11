#include "cuda/library_path.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/library_routines.h"
#include "cuda/library_worker.h"

namespace optnet::cuda {
namespace {

/// The problems of one launch, from one queue of kernels and routines.
template <class T>
class Launch {
 public:
  Launch(const LibraryArgument& argument, LibraryWorker& worker, cudaStream_t stream, LibraryOutcome& outcome)
      : argument_(argument),
        plan_(argument_.plan),
        instance_(library_instance(plan_)),
        routines_(worker.handles(), argument_.group, plan_.group, outcome),
        worker_(worker),
        stream_(stream),
        outcome_(outcome) {}

  void prepare_shared() {
    step(Step::kBegin);
    factor_data();
  }

  void solve() {
    step(Step::kBegin);
    if (!plan_.oracle) factor_data();
    argument_.all = false;
    while (advance()) factor();
    argument_.all = true;
    routines_.select(nullptr);
    if (argument_.batch.differentiable) keep_factor();
  }

 private:
  LibraryArgument argument_;
  const Plan& plan_;
  const LibraryInstance& instance_;
  LibraryRoutines<T> routines_;
  LibraryWorker& worker_;
  cudaStream_t stream_;
  LibraryOutcome& outcome_;

  void step(Step step) {
    if (outcome_) outcome_.check(instance_.run(argument_, step, stream_));
  }

  /// Every problem to its next factorisation. False: none is left, or something failed.
  bool advance() {
    const int groups = routines_.groups();
    const std::size_t bytes = static_cast<std::size_t>(groups) * sizeof(int);
    int* const unfinished = argument_.group.unfinished;
    int* const counts = worker_.counts();
    if (outcome_) outcome_.check(cudaMemsetAsync(unfinished, 0, bytes, stream_));
    step(Step::kAdvance);
    if (outcome_) {
      outcome_.check(cudaMemcpyAsync(counts, unfinished, bytes, cudaMemcpyDeviceToHost, stream_));
    }
    if (outcome_) outcome_.check(worker_.wait(stream_));
    if (!outcome_) return false;
    routines_.select(counts);
    return std::any_of(counts, counts + groups, [](int count) { return count > 0; });
  }

  void factor() {
    if (plan_.oracle) {
      factor_kkt();
      for (const Step next : {Step::kPredict, Step::kCorrect}) {
        step(next);
        routines_.solve(Slot::kKkt, size_of_kkt(plan_.d), Slot::kRight);
      }
    } else if (plan_.condensed) {
      factor_condensed();
    } else {
      factor_scaled();
    }
  }

  /// The derivative's, again: the libraries go on with all problems of a group, finished ones too. In range
  /// space it has memory of its own.
  void keep_factor() {
    if (plan_.oracle) {
      factor_kkt();
      step(Step::kKeepPivots);
    } else if (plan_.condensed) {
      factor_condensed();
    }
  }

  /// What the form's `prepare` computes; in range space only what is shared, or only what is not.
  void factor_data() {
    const auto [n, m, q] = plan_.d;
    const bool range_space = !plan_.condensed, pass = argument_.shared_pass;
    const Sharing sharing = range_space ? plan_.sharing : Sharing{};
    const bool with_L = sharing.Q == pass, with_Ya = q > 0 && (sharing.Q && sharing.A) == pass;
    const bool with_Y = range_space && m > 0 && (sharing.Q && sharing.G) == pass;
    const bool with_R = range_space && m > 0 && (sharing.Q && sharing.G && (q == 0 || sharing.A)) == pass;
    if (with_L) {
      step(Step::kCopyQ);
      routines_.cholesky(Slot::kL, n);
      if (sharing.Q) step(Step::kCopyRawL);
    }
    if (with_Ya) solve_equalities();
    if (with_Y) {
      step(Step::kCopyG);
      routines_.solve_rows(Slot::kRawL, n, Slot::kY, m);
    }
    if (with_L) step(Step::kFinishQ);  // before `info` is another factorisation's
    if (with_Ya) factor_equalities();
    if (with_R) multiply_R();
  }

  /// R ← Y Yᵀ − V Vᵀ,  V = Y Yₐᵀ Lₑ⁻ᵀ
  void multiply_R() {
    const auto [n, m, q] = plan_.d;
    routines_.multiply_transposed(1, Slot::kY, m, Slot::kY, m, n, 0, Slot::kR);
    if (q == 0) return;
    routines_.multiply_transposed(1, Slot::kY, m, Slot::kYa, q, n, 0, Slot::kV);
    step(Step::kFinishV);
    routines_.multiply_transposed(-1, Slot::kV, m, Slot::kV, m, q, 1, Slot::kR);
  }

  /// Yₐ ← A L⁻ᵀ, before L's diagonal blocks are inverted.
  void solve_equalities() {
    step(Step::kCopyA);
    routines_.solve_rows(Slot::kRawL, plan_.d.n, Slot::kYa, plan_.d.q);
  }
  /// E = Yₐ Yₐᵀ and its factor.
  void factor_equalities() {
    const auto [n, m, q] = plan_.d;
    routines_.multiply_transposed(1, Slot::kYa, q, Slot::kYa, q, n, 0, Slot::kLe);
    routines_.cholesky(Slot::kLe, q);
    step(Step::kFinishE);
  }

  /// T = I + W R W and its factor.
  void factor_scaled() {
    step(Step::kFillT);
    routines_.cholesky(Slot::kT, plan_.d.m);
    step(Step::kFinishT);
  }

  /// H = Q + GᵀDG, its factor, and from that the equalities'.
  void factor_condensed() {
    step(Step::kCopyQ);
    step(Step::kFillScaled);
    routines_.add_gram(Slot::kScaled, plan_.d.m, plan_.d.n, Slot::kL);
    routines_.cholesky(Slot::kL, plan_.d.n);
    if (plan_.d.q > 0) solve_equalities();
    step(Step::kFinishH);
    if (plan_.d.q > 0) factor_equalities();
  }

  void factor_kkt() {
    step(Step::kFillKkt);
    routines_.lu(Slot::kKkt, size_of_kkt(plan_.d));
  }
};

/// The oracle's: the solve is the library's.
template <class T>
void adjoint_by_lu(const LibraryAdjointArgument& with, LibraryWorker& worker, cudaStream_t stream,
                   LibraryOutcome& outcome) {
  LibraryAdjointArgument argument = with;
  const LibraryInstance& instance = library_instance(argument.plan);
  outcome.check(instance.adjoint(argument, stream));
  LibraryRoutines<T> routines(worker.handles(), argument.group, argument.plan.group, outcome);
  routines.solve(Slot::kKkt, size_of_kkt(argument.plan.d), Slot::kRight);
  argument.answer = true;
  if (outcome) outcome.check(instance.adjoint(argument, stream));
}

class LibraryKernels final : public Kernels {
 public:
  LibraryKernels(int ordinal, std::shared_ptr<const Libraries> libraries)
      : ordinal_(ordinal), libraries_(std::move(libraries)) {}

  cudaError_t prepare_shared(const Plan& plan, const SolveArguments& batch,
                             cudaStream_t stream) const override {
    if (plan.footprint.shared == 0) return cudaSuccess;
    LibraryArgument argument{plan, batch, {}};
    argument.plan.group = argument.batch.batch = 1;
    argument.shared_pass = true;
    return solve_with(argument, stream, [](auto& launch) { launch.prepare_shared(); });
  }

  cudaError_t solve(const Plan& plan, const SolveArguments& batch, cudaStream_t stream) const override {
    return solve_with({plan, batch, {}}, stream, [](auto& launch) { launch.solve(); });
  }

  cudaError_t adjoint(const Plan& plan, const AdjointArguments& batch, cudaStream_t stream) const override {
    if (batch.batch == 0) return cudaSuccess;
    const LibraryAdjointArgument argument{plan, batch, {plan, batch.batch, batch.workspace}};
    if (!plan.oracle) return library_instance(plan).adjoint(argument, stream);
    return with_worker(plan, argument.group, stream, [&](auto& worker, auto& outcome) {
      if (plan.precision == Precision::kSingle) {
        adjoint_by_lu<float>(argument, worker, stream, outcome);
      } else {
        adjoint_by_lu<double>(argument, worker, stream, outcome);
      }
    });
  }

  std::string last_error() const override {
    const std::lock_guard lock(mutex_);
    return last_error_;
  }

 private:
  const int ordinal_;
  const std::shared_ptr<const Libraries> libraries_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<LibraryWorker>> idle_;  ///< guarded by mutex_
  mutable std::string last_error_;                            ///< likewise

  template <class F>
  cudaError_t solve_with(LibraryArgument argument, cudaStream_t stream, F f) const {
    const Plan& plan = argument.plan;
    const SolveArguments& batch = argument.batch;
    if (batch.batch == 0) return cudaSuccess;
    argument.group = {plan, batch.batch, batch.workspace};
    return with_worker(plan, argument.group, stream, [&](auto& worker, auto& outcome) {
      if (plan.precision == Precision::kSingle) {
        Launch<float> launch(argument, worker, stream, outcome);
        f(launch);
      } else {
        Launch<double> launch(argument, worker, stream, outcome);
        f(launch);
      }
    });
  }

  /// f with a worker that no other call has meanwhile.
  template <class F>
  cudaError_t with_worker(const Plan& plan, const GroupMemory& memory, cudaStream_t stream, F f) const {
    std::unique_ptr<LibraryWorker> worker = take();
    LibraryOutcome outcome;
    worker->begin(libraries_, memory, memory.padded / plan.group, stream, outcome);
    if (outcome) {
      f(*worker, outcome);
      outcome.check(worker->end(stream));
    }
    const std::lock_guard lock(mutex_);
    last_error_ = outcome.message.empty() ? "" : outcome.message + " (GPU " + std::to_string(ordinal_) + ")";
    if (outcome) idle_.push_back(std::move(worker));
    return outcome.error;
  }
  std::unique_ptr<LibraryWorker> take() const {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<LibraryWorker>();
    std::unique_ptr<LibraryWorker> worker = std::move(idle_.back());
    idle_.pop_back();
    return worker;
  }
};

}  // namespace

Failure make_library_kernels(int ordinal, std::unique_ptr<Kernels>& out) {
  std::shared_ptr<const Libraries> libraries;
  if (Failure failure = load_libraries(libraries)) return failure;
  out = std::make_unique<LibraryKernels>(ordinal, std::move(libraries));
  return {};
}

}  // namespace optnet::cuda
