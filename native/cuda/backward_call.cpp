#include "cuda/backward_call.h"

#include <algorithm>

#include "cuda/check.h"

namespace optnet::cuda {
namespace {

constexpr int kZ = 0, kLambda = 1, kNu = 2;

}  // namespace

Failure BackwardCall::create(std::shared_ptr<SolutionState> solution, const Upstream& upstream,
                             const Gradients& gradients, std::shared_ptr<Call>& out) {
  const std::shared_ptr<BackwardCall> call(new BackwardCall(std::move(solution), gradients));
  OPTNET_TRY(call->take_upstream(upstream));
  out = call;
  return {};
}

BackwardCall::BackwardCall(std::shared_ptr<SolutionState> solution, const Gradients& gradients)
    : StreamCall(solution->gpu), solution_(std::move(solution)), on_device_(gradients.on_device) {
  const Problem& layout = solution_->layout;
  const int lengths[] = {layout.shape.n, layout.shape.m, layout.shape.q};
  for (int v : {kZ, kLambda, kNu}) vectors_[v].length = static_cast<std::size_t>(lengths[v]);
  want(gradients.dp, layout.p.batched, kZ, false, 1);
  want(gradients.dh, layout.h.batched, kLambda, false, -1);
  want(gradients.db, layout.b.batched, kNu, false, -1);
  want(gradients.dQ, layout.Q.batched, kZ, true, 0.5);
  want(gradients.dG, layout.G.batched, kLambda, true, 1);
  want(gradients.dA, layout.A.batched, kNu, true, 1);
}

void BackwardCall::want(void* to, bool batched, int vector, bool is_matrix, double factor) {
  const std::size_t elements = product(vectors_[vector].length, is_matrix ? vectors_[kZ].length : 1);
  if (to && elements > 0) wanted_.push_back({to, batched, vector, is_matrix, factor, elements, 0});
}

Failure BackwardCall::take_upstream(const Upstream& upstream) {
  const void* const given[] = {upstream.dz, upstream.dlambda, upstream.dnu};
  const bool on_device[] = {upstream.dz_on_device, upstream.dlambda_on_device, upstream.dnu_on_device};
  std::vector<Snapshot::Part> parts;
  for (int k : {kZ, kLambda, kNu}) {
    Vector& v = vectors_[k];
    v.given = given[k] && v.length > 0;
    if (v.given && on_device[k]) v.upstream = given[k];
    if (!v.given || v.upstream) continue;
    v.snapshot_part = parts.size();
    parts.push_back({given[k], product(solution_->layout.shape.batch, v.length, element())});
  }
  return snapshot_.take(gpu(), parts);
}

// ---- memory ---------------------------------------------------------------------------------------------

std::size_t BackwardCall::lay_out_fixed() {
  const std::size_t batch = solution_->layout.shape.batch, scalar = solution_->plan.scalar();
  const bool converted = solution_->scalar() != solution_->layout.dtype;
  Layout layout;
  for (Vector& v : vectors_) {  // as in the snapshot
    if (v.given && !v.upstream) v.raw = layout.take(product(batch, v.length, element()));
  }
  for (Vector& v : vectors_) {
    v.scalar = v.raw;
    if (v.given && converted) v.scalar = layout.take(product(batch, v.length, scalar));
    v.adjoint = layout.take(product(batch, v.length, scalar));
  }
  std::size_t partials = 0;
  at_block_ = layout.take(sizeof(Key));
  for (Wanted& gradient : wanted_) {
    if (gradient.batched) continue;
    if (!on_device_) gradient.offset = layout.take(product(gradient.elements, element()));
    const Vector& v = vectors_[gradient.vector];
    partials =
        std::max(partials, gradient.is_matrix ? outer_partials(static_cast<int>(v.length),
                                                               static_cast<int>(vectors_[kZ].length), batch)
                                              : vector_partials(v.length, batch));
  }
  at_partials_ = layout.take(product(partials, sizeof(double)));
  return layout.bytes();
}

std::size_t BackwardCall::lay_out_lane(std::size_t problems) {
  const Footprint& footprint = solution_->plan.footprint;
  Layout layout;
  at_workspace_ = layout.take(sum(product(problems, footprint.workspace), footprint.fixed));
  std::size_t elements = 0;
  for (const Wanted& gradient : wanted_) {
    if (gradient.batched && !on_device_) elements = sum(elements, gradient.elements);
  }
  at_lane_block_ = layout.take(product(problems, elements, element()));
  return layout.bytes();
}

Failure BackwardCall::reserve_memory() {
  ChunkNeeds needs;
  needs.batch = solution_->layout.shape.batch;
  needs.fixed = lay_out_fixed();
  needs.chunk = [this](std::size_t problems) { return lay_out_lane(problems); };
  needs.overlap = solution_->plan.tier != Tier::kLibrary;
  OPTNET_TRY(reserve(gpu(), needs, chunks_));
  lay_out_lane(chunks_.size);
  for (int k = 0; k < chunks_.lanes; ++k) {
    lanes_[k].memory = chunks_.lane(k);
    OPTNET_TRY(gpu().streams().take(lanes_[k].stream));
    OPTNET_TRY(gpu().heap().order(lanes_[k].stream));
    OPTNET_TRY(solution_->solved.hold(lanes_[k].stream));
  }
  return {};
}

/// The upstream gradient in the solver's number type.
std::byte* BackwardCall::scalars(const Vector& v, std::size_t first) const {
  if (!v.given) return nullptr;
  const bool converted = solution_->scalar() != solution_->layout.dtype;
  std::byte* const all = v.upstream && !converted ? static_cast<std::byte*>(const_cast<void*>(v.upstream))
                                                  : chunks_.fixed() + v.scalar;
  return all + first * v.length * solution_->plan.scalar();
}

std::byte* BackwardCall::adjoint(int vector, std::size_t first) const {
  const Vector& v = vectors_[vector];
  return chunks_.fixed() + v.adjoint + first * v.length * solution_->plan.scalar();
}

std::byte* BackwardCall::solved(int vector, std::size_t first) const {
  std::byte* const solution[] = {solution_->z, solution_->lambda, solution_->nu};
  return solution[vector] + first * vectors_[vector].length * solution_->plan.scalar();
}

// ---- work -----------------------------------------------------------------------------------------------

Failure BackwardCall::queue() {
  OPTNET_TRY(reserve_memory());
  OPTNET_TRY(queue_upstream());
  const std::size_t batch = solution_->layout.shape.batch;
  for (std::size_t first = 0, k = 0; first < batch && !wanted_.empty(); first += chunks_.size, ++k) {
    last_lane_ = static_cast<int>(k) % chunks_.lanes;
    Lane& lane = lanes_[last_lane_];
    if (lane.count > 0) OPTNET_TRY(receive(lane));
    OPTNET_TRY(queue_chunk(lane, first, std::min(chunks_.size, batch - first)));
  }
  if (chunks_.lanes == 2) OPTNET_TRY(lanes_[1 - last_lane_].delivery.hold(last_stream()));
  return queue_sums();
}

/// All of it at once, to the first lane's stream, and checks it.
Failure BackwardCall::queue_upstream() {
  const std::size_t batch = solution_->layout.shape.batch;
  const Stream& stream = lanes_[0].stream;
  auto* flag = reinterpret_cast<Key*>(chunks_.fixed() + at_block_);
  // The sums too, for the gaps between them: nothing is sent to the host that nobody wrote.
  OPTNET_CUDA(cudaMemsetAsync(flag, 0xff, at_partials_ - at_block_, stream));
  // The arrays follow one another as they do in the snapshot.
  const Vector *first_sent = nullptr, *last_sent = nullptr;
  for (const Vector& v : vectors_) {
    if (!v.given || v.upstream) continue;
    if (!first_sent) first_sent = &v;
    last_sent = &v;
  }
  if (first_sent) {
    const std::size_t begin = snapshot_.offset(first_sent->snapshot_part);
    const std::size_t end =
        snapshot_.offset(last_sent->snapshot_part) + batch * last_sent->length * element();
    OPTNET_TRY(snapshot_.send(gpu(), begin, end - begin, chunks_.fixed() + first_sent->raw, stream));
  }
  LoadArguments arguments;
  arguments.first_bad = flag;
  Key key = 0;
  for (const Vector& v : vectors_) {
    if (v.given) {
      LoadPart& part = arguments.parts[arguments.count++];
      part.from = v.upstream ? v.upstream : chunks_.fixed() + v.raw;
      part.to = scalars(v, 0);
      if (part.to == part.from) part.to = nullptr;
      part.problems = batch;
      part.elements = v.length;
      part.first_key = key;
      part.key_stride = v.length;
    }
    key += batch * v.length;
  }
  OPTNET_CUDA(load(arguments, solution_->layout.dtype, solution_->scalar(), stream));
  snapshot_.sent();
  if (chunks_.lanes == 2) {
    Event ready;
    OPTNET_TRY(ready.record(stream));
    OPTNET_TRY(ready.hold(lanes_[1].stream));
  }
  return {};
}

Failure BackwardCall::queue_chunk(Lane& lane, std::size_t first, std::size_t count) {
  const SolutionState& solution = *solution_;
  const auto from = [first, &solution](const DeviceDatum& datum) {
    DeviceDatum moved = datum;
    if (datum.data)
      moved.data = static_cast<const std::byte*>(datum.data) + first * datum.stride * solution.plan.scalar();
    return moved;
  };
  AdjointArguments a;
  a.batch = static_cast<int>(count);
  a.Q = from(solution.Q);
  a.G = from(solution.G);
  a.A = from(solution.A);
  a.shared = solution.shared;
  a.kept = solution.kept + first * solution.plan.footprint.kept;
  a.workspace = lane.memory + at_workspace_;
  a.gz = scalars(vectors_[kZ], first);
  a.glambda = scalars(vectors_[kLambda], first);
  a.gnu = scalars(vectors_[kNu], first);
  a.dz = adjoint(kZ, first);
  a.dlambda = adjoint(kLambda, first);
  a.dnu = adjoint(kNu, first);
  OPTNET_KERNELS(solution.kernels, adjoint(solution.plan, a, lane.stream));
  return queue_gradients(lane, first, count);
}

OuterPart BackwardCall::outer(const Wanted& gradient, std::size_t first, std::byte* to) const {
  OuterPart part;
  part.u = adjoint(gradient.vector, first);
  part.v = solved(kZ, first);
  part.x = solved(gradient.vector, first);
  part.y = adjoint(kZ, first);
  part.rows = static_cast<int>(vectors_[gradient.vector].length);
  part.columns = static_cast<int>(vectors_[kZ].length);
  part.scale = gradient.factor;
  part.to = to;
  return part;
}

/// Of the data that each problem has to itself.
Failure BackwardCall::queue_gradients(Lane& lane, std::size_t first, std::size_t count) {
  StoreArguments stores;
  OuterArguments outers;
  outers.problems = count;
  std::vector<Delivery::Part> parts;
  std::size_t sent = 0;  // bytes of these problems' gradients, which follow one another without gaps
  for (const Wanted& gradient : wanted_) {
    if (!gradient.batched) continue;
    const std::size_t size = gradient.elements * element();
    std::byte* const wanted = static_cast<std::byte*>(gradient.to) + first * size;
    std::byte* const to = on_device_ ? wanted : lane.memory + at_lane_block_ + sent;
    if (gradient.is_matrix) {
      outers.parts[outers.count++] = outer(gradient, first, to);
    } else {
      stores.parts[stores.count++] = {adjoint(gradient.vector, first), to, count * gradient.elements,
                                      gradient.factor};
    }
    if (on_device_) continue;
    parts.push_back({sent, wanted, count * size});
    sent += count * size;
  }
  const DType from = solution_->scalar(), to = solution_->layout.dtype;
  OPTNET_CUDA(store(stores, from, to, lane.stream));
  OPTNET_CUDA(outer_products(outers, from, to, lane.stream));
  lane.delivery.set(lane.memory + at_lane_block_, std::move(parts));
  lane.count = count;
  return lane.delivery.send(gpu(), lane.stream);
}

/// Of the data that the batch shares, when the adjoint of all of it is there; and what was wrong upstream.
Failure BackwardCall::queue_sums() {
  const std::size_t batch = solution_->layout.shape.batch;
  const DType from = solution_->scalar(), to = solution_->layout.dtype;
  auto* partials = reinterpret_cast<double*>(chunks_.fixed() + at_partials_);
  std::vector<Delivery::Part> parts = {{0, &bad_, sizeof bad_}};
  for (const Wanted& gradient : wanted_) {
    if (gradient.batched) continue;
    std::byte* const place =
        on_device_ ? static_cast<std::byte*>(gradient.to) : chunks_.fixed() + gradient.offset;
    if (gradient.is_matrix) {
      OPTNET_CUDA(sum_outer_products(outer(gradient, 0, place), batch, partials, from, to, last_stream()));
    } else {
      const StorePart part{adjoint(gradient.vector, 0), place, gradient.elements, gradient.factor};
      OPTNET_CUDA(sum_vectors(part, batch, partials, from, to, last_stream()));
    }
    if (!on_device_)
      parts.push_back({gradient.offset - at_block_, gradient.to, gradient.elements * element()});
  }
  sums_.set(chunks_.fixed() + at_block_, std::move(parts));
  return sums_.send(gpu(), last_stream());
}

// ---- the end --------------------------------------------------------------------------------------------

Failure BackwardCall::receive(Lane& lane) {
  lane.count = 0;
  return lane.delivery.receive(gpu());
}

Failure BackwardCall::collect() {
  for (Lane* lane : {&lanes_[1 - last_lane_], &lanes_[last_lane_]}) {
    if (lane->count > 0) OPTNET_TRY(receive(*lane));
  }
  OPTNET_TRY(sums_.receive(gpu()));
  if (bad_ == kNoKey) return {};
  constexpr char kNames[] = {'z', 'l', 'n'};
  Key key = bad_;
  const auto batch = static_cast<Key>(solution_->layout.shape.batch);
  int k = 0;
  while (k < 2 && key >= batch * vectors_[k].length) key -= batch * vectors_[k++].length;
  return {Failure::Code::kNotFinite, kNames[k], static_cast<std::size_t>(key / vectors_[k].length)};
}

void BackwardCall::let_go(bool went_well) {
  for (Lane& lane : lanes_) {
    if (!went_well && lane.stream) ignore(cudaStreamSynchronize(lane.stream));
  }
  sums_ = {};
  for (Lane& lane : lanes_) lane = {};
  chunks_ = {};
  snapshot_.let_go();
}

}  // namespace optnet::cuda
