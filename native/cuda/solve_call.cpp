#include "cuda/solve_call.h"

#include <algorithm>

#include "cuda/check.h"

namespace optnet::cuda {

Failure SolveCall::create(std::shared_ptr<SolutionState> solution, const Problem& problem,
                          const Results& results, std::shared_ptr<Control> control,
                          std::shared_ptr<Call>& out) {
  const std::shared_ptr<SolveCall> call(
      new SolveCall(std::move(solution), problem, results, std::move(control)));
  OPTNET_TRY(call->inputs_.take(call->gpu()));
  out = call;
  return {};
}

SolveCall::SolveCall(std::shared_ptr<SolutionState> solution, const Problem& problem, const Results& results,
                     std::shared_ptr<Control> control)
    : StreamCall(solution->gpu),
      solution_(std::move(solution)),
      inputs_(problem, solution_->scalar(), solution_->retains_data()),
      results_(results),
      control_(std::move(control)) {}

std::size_t SolveCall::length(int vector) const {
  const Shape& s = solution_->layout.shape;
  const int lengths[] = {s.n, s.m, s.q, s.m};
  return static_cast<std::size_t>(lengths[vector]);
}

void* SolveCall::result(int vector) const {
  void* const results[] = {results_.z, results_.lambda, results_.nu, results_.slack};
  return length(vector) > 0 ? results[vector] : nullptr;
}

// ---- memory ---------------------------------------------------------------------------------------------

std::size_t SolveCall::lay_out(std::size_t problems) {
  const std::size_t element = size_of(solution_->layout.dtype), scalar = solution_->plan.scalar();
  const Footprint& footprint = solution_->plan.footprint;
  Layout layout;
  layout.take(inputs_.lay_out_chunk(problems));
  at_.block = layout.take(sizeof(Flags));
  for (std::size_t* numbers : {&at_.objective, &at_.primal, &at_.dual, &at_.gap, &at_.margin}) {
    *numbers = layout.take(product(problems, sizeof(double)));
  }
  at_.iterations = layout.take(product(problems, sizeof(std::int32_t)));
  at_.status = layout.take(problems);
  at_.derivative = layout.take(problems);
  for (int v = 0; v < 4; ++v) {
    const bool here = result(v) && !results_.on_device;
    at_.outputs[v] = layout.take(here ? product(problems, length(v), element) : 0);
  }
  at_.end = layout.bytes();
  for (int v = 0; v < 4; ++v) {
    const bool here = !kept(v) && !(same_type() && result(v));
    at_.scalars[v] = layout.take(here ? product(problems, length(v), scalar) : 0);
  }
  at_.kept = layout.take(solution_->settings.differentiable ? 0 : product(problems, footprint.kept));
  at_.workspace = layout.take(sum(product(problems, footprint.workspace), footprint.fixed));
  return layout.bytes();
}

std::byte* SolveCall::scalars(int vector, const Lane& lane, std::size_t first) const {
  if (kept(vector)) {
    std::byte* const of_batch[] = {solution_->z, solution_->lambda, solution_->nu};
    return of_batch[vector] + first * length(vector) * solution_->plan.scalar();
  }
  if (same_type() && result(vector)) return output(vector, lane, first);
  return lane.memory + at_.scalars[vector];
}

std::byte* SolveCall::output(int vector, const Lane& lane, std::size_t first) const {
  if (!results_.on_device) return lane.memory + at_.outputs[vector];
  return static_cast<std::byte*>(result(vector)) + first * length(vector) * size_of(solution_->layout.dtype);
}

Failure SolveCall::reserve_memory() {
  SolutionState& solution = *solution_;
  const Footprint& footprint = solution.plan.footprint;
  const std::size_t batch = solution.layout.shape.batch;
  Layout layout;
  const std::size_t shared = layout.take(footprint.shared);
  std::size_t kept_factors = 0, vectors[3] = {};
  if (solution.settings.differentiable) {
    kept_factors = layout.take(product(batch, footprint.kept));
    for (int v = 0; v < 3; ++v) vectors[v] = layout.take(product(batch, length(v), solution.plan.scalar()));
  }
  const std::size_t retained = layout.take(inputs_.retained_bytes());

  OPTNET_TRY(check_room(gpu(), layout.bytes()));
  OPTNET_TRY(gpu().heap().allocate(layout.bytes(), solution.memory));
  std::byte* const memory = solution.memory.data();
  solution.shared = memory + shared;
  retained_ = memory + retained;
  if (solution.settings.differentiable) {
    solution.kept = memory + kept_factors;
    solution.z = memory + vectors[0];
    solution.lambda = memory + vectors[1];
    solution.nu = memory + vectors[2];
  }

  ChunkNeeds needs;
  needs.batch = batch;
  needs.fixed = inputs_.shared_bytes();
  needs.chunk = [this](std::size_t problems) { return lay_out(problems); };
  needs.overlap = solution.plan.tier != Tier::kLibrary;
  OPTNET_TRY(reserve(gpu(), needs, chunks_));
  lay_out(chunks_.size);
  for (int k = 0; k < chunks_.lanes; ++k) {
    lanes_[k].memory = chunks_.lane(k);
    OPTNET_TRY(gpu().streams().take(lanes_[k].stream));
    OPTNET_TRY(gpu().heap().order(lanes_[k].stream));
  }
  return {};
}

// ---- work -----------------------------------------------------------------------------------------------

Failure SolveCall::queue() {
  if (control_ && control_->cancelled) return {Failure::Code::kCancelled};
  OPTNET_TRY(reserve_memory());
  OPTNET_TRY(queue_shared());
  const std::size_t batch = solution_->layout.shape.batch;
  for (std::size_t first = 0, k = 0; first < batch; first += chunks_.size, ++k) {
    last_lane_ = static_cast<int>(k) % chunks_.lanes;
    Lane& lane = lanes_[last_lane_];
    if (lane.count > 0) OPTNET_TRY(collect(lane));
    if (control_ && control_->cancelled) return {Failure::Code::kCancelled};
    OPTNET_TRY(queue_chunk(lane, first, std::min(chunks_.size, batch - first)));
  }
  inputs_.sent();
  if (chunks_.lanes == 2) OPTNET_TRY(lanes_[1 - last_lane_].delivery.hold(last_stream()));
  return solution_->solved.record(last_stream());
}

/// What there is once for all chunks.
Failure SolveCall::queue_shared() {
  for (int k = 0; k < chunks_.lanes; ++k) {
    // All that is sent to the host, gaps between its arrays too: nothing goes there that nobody wrote.
    OPTNET_CUDA(cudaMemsetAsync(lanes_[k].memory + at_.block, 0xff, at_.end - at_.block, lanes_[k].stream));
  }
  Lane& lane = lanes_[0];
  auto* flags = reinterpret_cast<Flags*>(lane.memory + at_.block);
  OPTNET_TRY(inputs_.queue_shared(gpu(), input_memory(lane), &flags->bad, lane.stream));
  if (solution_->plan.footprint.shared > 0) {
    OPTNET_KERNELS(solution_->kernels, prepare_shared(solution_->plan, arguments(lane, 0, 1), lane.stream));
  }
  if (chunks_.lanes == 2) {
    Event ready;
    OPTNET_TRY(ready.record(lane.stream));
    OPTNET_TRY(ready.hold(lanes_[1].stream));
  }
  return {};
}

SolveArguments SolveCall::arguments(const Lane& lane, std::size_t first, std::size_t count) const {
  const SolutionState& solution = *solution_;
  const Inputs::Memory inputs = input_memory(lane);
  SolveArguments a;
  a.batch = static_cast<int>(count);
  a.p = inputs_.datum(0, inputs, first);
  a.Q = inputs_.datum(1, inputs, first);
  a.h = inputs_.datum(2, inputs, first);
  a.G = inputs_.datum(3, inputs, first);
  a.b = inputs_.datum(4, inputs, first);
  a.A = inputs_.datum(5, inputs, first);
  a.shared = solution.shared;
  a.kept = solution.settings.differentiable ? solution.kept + first * solution.plan.footprint.kept
                                            : lane.memory + at_.kept;
  a.workspace = lane.memory + at_.workspace;
  a.settings = {solution.settings.tolerance, solution.settings.max_iterations, solution.settings.polish};
  a.differentiable = solution.settings.differentiable;
  a.z = scalars(0, lane, first);
  a.lambda = scalars(1, lane, first);
  a.nu = scalars(2, lane, first);
  a.slack = scalars(3, lane, first);
  a.objective = reinterpret_cast<double*>(lane.memory + at_.objective);
  a.primal_residual = reinterpret_cast<double*>(lane.memory + at_.primal);
  a.dual_residual = reinterpret_cast<double*>(lane.memory + at_.dual);
  a.gap = reinterpret_cast<double*>(lane.memory + at_.gap);
  a.margin = reinterpret_cast<double*>(lane.memory + at_.margin);
  a.derivative = reinterpret_cast<std::uint8_t*>(lane.memory + at_.derivative);
  a.iterations = reinterpret_cast<std::int32_t*>(lane.memory + at_.iterations);
  a.status = reinterpret_cast<std::uint8_t*>(lane.memory + at_.status);
  a.indefinite = &reinterpret_cast<Flags*>(lane.memory + at_.block)->indefinite;
  a.first = first;
  return a;
}

Failure SolveCall::queue_chunk(Lane& lane, std::size_t first, std::size_t count) {
  auto* flags = reinterpret_cast<Flags*>(lane.memory + at_.block);
  OPTNET_TRY(inputs_.queue_chunk(gpu(), input_memory(lane), first, count, &flags->bad, lane.stream));
  OPTNET_KERNELS(solution_->kernels, solve(solution_->plan, arguments(lane, first, count), lane.stream));
  return queue_results(lane, first, count);
}

Failure SolveCall::queue_results(Lane& lane, std::size_t first, std::size_t count) {
  StoreArguments stores;
  for (int v = 0; v < 4; ++v) {
    if (!result(v)) continue;
    const std::byte* from = scalars(v, lane, first);
    std::byte* const to = output(v, lane, first);
    if (from != to) stores.parts[stores.count++] = {from, to, count * length(v)};
  }
  OPTNET_CUDA(store(stores, solution_->scalar(), solution_->layout.dtype, lane.stream));

  std::vector<Delivery::Part> parts;
  const auto add = [&](std::size_t offset, auto* to, std::size_t bytes) {
    if (to) parts.push_back({offset - at_.block, to, bytes});
  };
  const auto from_first = [first](auto* results) { return results ? results + first : nullptr; };
  add(at_.block, &lane.flags, sizeof(Flags));
  add(at_.objective, from_first(results_.objective), count * sizeof(double));
  add(at_.primal, from_first(results_.primal_residual), count * sizeof(double));
  add(at_.dual, from_first(results_.dual_residual), count * sizeof(double));
  add(at_.gap, from_first(results_.gap), count * sizeof(double));
  add(at_.margin, from_first(results_.margin), count * sizeof(double));
  add(at_.iterations, from_first(results_.iterations), count * sizeof(std::int32_t));
  add(at_.status, from_first(results_.status), count);
  add(at_.derivative, from_first(results_.derivative), count);
  for (int v = 0; v < 4 && !results_.on_device; ++v) {
    const std::size_t size = length(v) * size_of(solution_->layout.dtype);
    if (result(v)) add(at_.outputs[v], static_cast<std::byte*>(result(v)) + first * size, count * size);
  }
  lane.delivery.set(lane.memory + at_.block, std::move(parts));
  lane.count = count;
  return lane.delivery.send(gpu(), lane.stream);
}

// ---- the end --------------------------------------------------------------------------------------------

Failure SolveCall::collect(Lane& lane) {
  OPTNET_TRY(lane.delivery.receive(gpu()));
  if (lane.flags.bad != kNoKey) return inputs_.order().failure(lane.flags.bad);
  if (lane.flags.indefinite != kNoKey) {
    return {Failure::Code::kNotConvex, 'Q', static_cast<std::size_t>(lane.flags.indefinite)};
  }
  const std::size_t first = std::exchange(solved_, solved_ + std::exchange(lane.count, 0));
  for (std::size_t i = first; solution_->settings.fallback && i < solved_; ++i) {
    if (results_.status[i] != static_cast<std::uint8_t>(Status::kSolved))
      return {Failure::Code::kUnserved, ' ', i};
  }
  if (control_ && control_->progress) control_->progress(solved_);
  return {};
}

Failure SolveCall::collect() {
  Lane& before = lanes_[1 - last_lane_];
  if (before.count > 0) OPTNET_TRY(collect(before));
  return collect(lanes_[last_lane_]);
}

void SolveCall::let_go(bool went_well) {
  SolutionState& solution = *solution_;
  for (Lane& lane : lanes_) {
    if (!went_well && lane.stream) ignore(cudaStreamSynchronize(lane.stream));
  }
  if (went_well && solution.settings.differentiable) {
    if (solution.retains_data()) {
      const Inputs::Memory memory{retained_, nullptr, nullptr};
      solution.Q = inputs_.datum(1, memory, 0);
      solution.G = inputs_.datum(3, memory, 0);
      solution.A = inputs_.datum(5, memory, 0);
      solution.owners = inputs_.retained_owners();
    }
    solution.bytes = solution.memory.bytes();
    solution.ready = true;
  } else {
    solution.let_go();
  }
  for (Lane& lane : lanes_) lane = {};
  chunks_ = {};
  inputs_.let_go();
}

}  // namespace optnet::cuda
