#include "cuda/inputs.h"

#include "cuda/check.h"
#include "solver/settings.h"

namespace optnet::cuda {
namespace {

/// The order in which arrays lie, in host memory and on the GPU: the matrices first, as they may go to the
/// solution's memory, and the vectors never do.
constexpr int kOrder[] = {1, 3, 5, 0, 2, 4};

}  // namespace

Inputs::Inputs(const Problem& problem, DType scalar, bool retain)
    : shape_(problem.shape), dtype_(problem.dtype), scalar_(scalar), order_(problem) {
  const bool converted = dtype_ != scalar_;
  for (int k = 0; k < kArgumentCount; ++k) {
    Input& input = inputs_[k];
    input.datum = problem.*kArguments[k].datum;
    input.elements = kArguments[k].elements(shape_);
    input.retained = retain && kArguments[k].columns;
    const Place place = input.datum.batched ? Place::kChunk : Place::kShared;
    const bool stays = input.datum.on_device && !converted && (!input.retained || input.datum.owner);
    input.scalar.place = stays ? Place::kCaller : input.retained ? Place::kRetained : place;
    if (from_host(input)) input.raw.place = converted ? place : input.scalar.place;
  }
  lay_out(retained_, Place::kRetained, shape_.batch);
  lay_out(shared_, Place::kShared, 1);
  shared_norm_ = shared_.take(sizeof(Key));
}

std::size_t Inputs::raw_bytes(const Input& input) const { return product(input.elements, size_of(dtype_)); }
std::size_t Inputs::scalar_bytes(const Input& input) const {
  return product(input.elements, size_of(scalar_));
}

/// First what comes from the host, in the order of the snapshot: arrays that follow one another in both are
/// sent as one.
void Inputs::lay_out(Layout& layout, Place place, std::size_t problems) {
  const auto count = [&](const Input& input) { return input.datum.batched ? problems : 1; };
  const bool converted = dtype_ != scalar_;
  for (const int k : kOrder) {
    Input& input = inputs_[k];
    if (!from_host(input) || input.raw.place != place) continue;
    input.raw.offset = layout.take(product(count(input), raw_bytes(input)));
    if (!converted) input.scalar.offset = input.raw.offset;
  }
  for (const int k : kOrder) {
    Input& input = inputs_[k];
    if (input.scalar.place != place || (from_host(input) && !converted)) continue;
    input.scalar.offset = layout.take(product(count(input), scalar_bytes(input)));
  }
}

std::size_t Inputs::lay_out_chunk(std::size_t problems) {
  Layout layout;
  lay_out(layout, Place::kChunk, problems);
  chunk_norms_ = layout.take(inputs_[kArgumentQ].datum.batched ? product(problems, sizeof(Key)) : 0);
  return layout.bytes();
}

Failure Inputs::take(Gpu& gpu) {
  std::vector<Snapshot::Part> parts;
  bool kept = true;
  for (const bool batched : {false, true}) {
    for (const int k : kOrder) {
      Input& input = inputs_[k];
      if (input.datum.batched != batched || !from_host(input)) continue;
      input.snapshot_part = parts.size();
      parts.push_back({input.datum.data, product(batched ? shape_.batch : 1, raw_bytes(input))});
      kept = kept && (input.datum.owner || parts.back().bytes == 0);
      input.datum.data = nullptr;  // from now on the snapshot's
    }
  }
  if (!kept) return snapshot_.take(gpu, parts);
  snapshot_.adopt(parts);
  return {};
}

std::byte* Inputs::address(const Input& input, const Array& array, std::size_t element_bytes,
                           const Memory& memory, std::size_t first) const {
  const std::size_t before = input.datum.batched ? first * input.elements * element_bytes : 0;
  switch (array.place) {
    case Place::kRetained: return memory.retained + array.offset + before;
    case Place::kShared: return memory.shared + array.offset;
    case Place::kChunk: return memory.chunk + array.offset;
    default: return static_cast<std::byte*>(const_cast<void*>(input.datum.data)) + before;
  }
}

Failure Inputs::send(Gpu& gpu, const Memory& memory, bool batched, std::size_t first, std::size_t count,
                     cudaStream_t stream) const {
  std::size_t offset = 0, bytes = 0;
  std::byte* to = nullptr;
  for (const int k : kOrder) {
    const Input& input = inputs_[k];
    if (input.datum.batched != batched || !from_host(input) || input.elements == 0) continue;
    const std::size_t size = raw_bytes(input);
    const std::size_t next = snapshot_.offset(input.snapshot_part) + first * size;
    std::byte* const next_to = address(input, input.raw, size_of(dtype_), memory, first);
    const bool follows = to && next - offset == static_cast<std::size_t>(next_to - to) &&
                         next - (offset + bytes) < Layout::kAlignment;
    if (follows) {
      bytes = next - offset + count * size;
    } else {
      OPTNET_TRY(snapshot_.send(gpu, offset, bytes, to, stream));
      offset = next;
      bytes = count * size;
      to = next_to;
    }
  }
  return snapshot_.send(gpu, offset, bytes, to, stream);
}

Failure Inputs::queue(Gpu& gpu, const Memory& memory, bool batched, std::size_t first, std::size_t count,
                      Key* first_bad, cudaStream_t stream) const {
  OPTNET_TRY(send(gpu, memory, batched, first, count, stream));
  LoadArguments arguments;
  arguments.first_bad = first_bad;
  for (int k = 0; k < kArgumentCount; ++k) {
    const Input& input = inputs_[k];
    if (input.datum.batched != batched || input.elements == 0) continue;
    LoadPart& part = arguments.parts[arguments.count++];
    part.from = address(input, input.raw, size_of(dtype_), memory, first);
    part.to = address(input, input.scalar, size_of(scalar_), memory, first);
    if (part.to == part.from) part.to = nullptr;
    part.problems = count;
    part.elements = input.elements;
    part.first_key = order_.first_key(k, first);
    part.key_stride = order_.stride();
    if (k == kArgumentH) part.no_bound = kInfinite;
  }
  OPTNET_CUDA(load(arguments, dtype_, scalar_, stream));

  const Input& Q = inputs_[kArgumentQ];
  if (Q.datum.batched != batched) return {};
  SymmetryArguments symmetry;
  symmetry.Q = address(Q, Q.raw, size_of(dtype_), memory, first);
  symmetry.problems = count;
  symmetry.n = shape_.n;
  symmetry.tolerance = symmetry_tolerance(dtype_);
  symmetry.first_key = order_.first_symmetry_key(first);
  symmetry.key_stride = order_.stride();
  symmetry.first_bad = first_bad;
  symmetry.norms =
      reinterpret_cast<Key*>(batched ? memory.chunk + chunk_norms_ : memory.shared + shared_norm_);
  OPTNET_CUDA(check_symmetric(symmetry, dtype_, stream));
  return {};
}

Failure Inputs::queue_shared(Gpu& gpu, const Memory& memory, Key* first_bad, cudaStream_t stream) const {
  return queue(gpu, memory, false, 0, 1, first_bad, stream);
}

Failure Inputs::queue_chunk(Gpu& gpu, const Memory& memory, std::size_t first, std::size_t count,
                            Key* first_bad, cudaStream_t stream) const {
  return queue(gpu, memory, true, first, count, first_bad, stream);
}

DeviceDatum Inputs::datum(int argument, const Memory& memory, std::size_t first) const {
  const Input& input = inputs_[argument];
  if (input.elements == 0) return {};
  return {address(input, input.scalar, size_of(scalar_), memory, first),
          input.datum.batched ? input.elements : 0};
}

std::vector<std::shared_ptr<const void>> Inputs::retained_owners() const {
  std::vector<std::shared_ptr<const void>> owners;
  for (const Input& input : inputs_) {
    if (input.retained && input.scalar.place == Place::kCaller) owners.push_back(input.datum.owner);
  }
  return owners;
}

}  // namespace optnet::cuda
