#include "cuda/solution.h"

#include "cuda/backward_call.h"
#include "cuda/check.h"
#include "cuda/copy_call.h"
#include "cuda/current_device.h"
#include "cuda/solve_call.h"
#include "engine/numbers.h"

namespace optnet::cuda {

SolutionState::~SolutionState() {
  const CurrentDevice current(gpu->ordinal());
  let_go();
  solved = {};
}

void SolutionState::let_go() {
  ready = false;
  bytes = 0;
  memory = {};
  owners.clear();
}

Failure CudaSolution::create(const std::shared_ptr<Gpu>& gpu, const Problem& problem,
                             const Settings& settings, const Results& results,
                             std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                             std::shared_ptr<Call>& call) {
  const CurrentDevice current(gpu->ordinal());
  OPTNET_TRY(current.failure());
  const auto state = std::make_shared<SolutionState>();
  state->gpu = gpu;
  state->layout = problem;
  for (Datum Problem::*datum :
       {&Problem::Q, &Problem::p, &Problem::G, &Problem::h, &Problem::A, &Problem::b}) {
    (state->layout.*datum).data = nullptr;
    (state->layout.*datum).owner = nullptr;
  }
  state->settings = settings;
  const Sharing sharing{!problem.Q.batched, !problem.G.batched, !problem.A.batched};
  state->plan = make_plan(problem.shape, sharing, settings.precision, gpu->limits());
  if (Failure failure = gpu->kernels(state->plan, state->kernels)) {
    if (settings.fallback && failure.code == Failure::Code::kDevice) failure.code = Failure::Code::kUnserved;
    return failure;
  }
  OPTNET_TRY(SolveCall::create(state, problem, results, std::move(control), call));
  solution = std::shared_ptr<CudaSolution>(new CudaSolution(state));
  return {};
}

Failure CudaSolution::backward(const Upstream& upstream, const Gradients& gradients,
                               std::shared_ptr<Call>& out) {
  const CurrentDevice current(state_->gpu->ordinal());
  OPTNET_TRY(current.failure());
  if (!state_->ready) {
    Failure failure{Failure::Code::kDevice};
    failure.message = "the batch was not solved, so it has no derivatives";
    return failure;
  }
  return BackwardCall::create(state_, upstream, gradients, out);
}

Failure CudaSolution::read_vectors(std::vector<double>& z, std::vector<double>& lambda,
                                   std::vector<double>& nu) {
  const Shape& s = state_->layout.shape;
  struct Vector {
    const std::byte* from;
    int length;
    std::vector<double>* to;
  };
  for (const Vector& v :
       {Vector{state_->z, s.n, &z}, {state_->lambda, s.m, &lambda}, {state_->nu, s.q, &nu}}) {
    const std::size_t count = s.batch * static_cast<std::size_t>(v.length);
    std::vector<std::byte> raw(count * state_->plan.scalar());
    v.to->resize(count);
    if (count == 0) continue;
    DownloadCall call(state_->gpu, v.from, raw.size(), raw.data());
    call.run();
    OPTNET_TRY(call.outcome());
    read_numbers(raw.data(), 0, count, state_->scalar(), v.to->data());
  }
  return {};
}

const char* CudaSolution::backend() const {
  switch (state_->plan.tier) {
    case Tier::kLanes: return "lanes";
    case Tier::kBlock: return "block";
    default: return "library";
  }
}

}  // namespace optnet::cuda
