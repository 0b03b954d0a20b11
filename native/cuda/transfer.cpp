#include "cuda/transfer.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "engine/copy.h"

namespace optnet::cuda {

Failure Snapshot::take(Gpu& gpu, const std::vector<Part>& parts) {
  Layout layout;
  offsets_.clear();
  for (const Part& part : parts) offsets_.push_back(layout.take(part.bytes));
  if (layout.bytes() == 0) return {};
  if (layout.bytes() <= Staging::kSlotBytes) slot_ = gpu.staging().try_take();
  if (!slot_ && !gpu.host_memory().take(layout.bytes(), memory_)) {
    Failure failure{Failure::Code::kMemory};
    failure.bytes = layout.bytes();
    return failure;
  }
  for (std::size_t k = 0; k < parts.size(); ++k) {
    if (parts[k].bytes > 0) copy(gpu.pool(), data() + offsets_[k], parts[k].from, parts[k].bytes);
  }
  return {};
}

void Snapshot::adopt(const std::vector<Part>& parts) {
  offsets_.clear();
  for (const Part& part : parts) {
    auto* const at = static_cast<std::byte*>(const_cast<void*>(part.from));
    if (part.bytes > 0 && (!adopted_ || std::less<>()(at, adopted_))) adopted_ = at;
  }
  for (const Part& part : parts) {
    const auto* const at = static_cast<const std::byte*>(part.from);
    offsets_.push_back(part.bytes > 0 ? static_cast<std::size_t>(at - adopted_) : 0);
  }
}

Failure Snapshot::send(Gpu& gpu, std::size_t offset, std::size_t bytes, std::byte* to,
                       cudaStream_t stream) const {
  if (bytes == 0) return {};
  if (!slot_) return gpu.staging().upload(to, data() + offset, bytes, stream);
  OPTNET_CUDA(cudaMemcpyAsync(to, data() + offset, bytes, cudaMemcpyHostToDevice, stream));
  return {};
}

void Snapshot::let_go() {
  slot_ = {};
  memory_ = {};
  adopted_ = nullptr;
}

void Delivery::set(const std::byte* block, std::vector<Part> parts) {
  block_ = block;
  parts_ = std::move(parts);
  bytes_ = 0;
  for (const Part& part : parts_) {
    if (part.to && part.bytes > 0) bytes_ = std::max(bytes_, part.offset + part.bytes);
  }
}

Failure Delivery::send(Gpu& gpu, cudaStream_t stream) {
  stream_ = stream;
  if (!slot_ && bytes_ > 0 && bytes_ <= Staging::kSlotBytes) slot_ = gpu.staging().try_take();
  if (bytes_ > Staging::kSlotBytes) slot_ = {};
  if (slot_ && bytes_ > 0) {
    OPTNET_CUDA(cudaMemcpyAsync(slot_.data(), block_, bytes_, cudaMemcpyDeviceToHost, stream));
  }
  return ready_.record(stream);
}

Failure Delivery::receive(Gpu& gpu) {
  OPTNET_TRY(ready_.wait());
  if (bytes_ == 0) return {};
  if (slot_) {
    scatter(0, bytes_, slot_.data());
    return {};
  }
  return gpu.staging().download(
      block_, bytes_, stream_,
      [this](std::size_t offset, std::size_t count, const std::byte* data) { scatter(offset, count, data); });
}

/// Bytes [offset, offset + count) of the block, to the arrays that they belong to.
void Delivery::scatter(std::size_t offset, std::size_t count, const std::byte* data) const {
  for (const Part& part : parts_) {
    if (!part.to) continue;
    const std::size_t begin = std::max(offset, part.offset);
    const std::size_t end = std::min(offset + count, part.offset + part.bytes);
    if (begin >= end) continue;
    std::memcpy(static_cast<std::byte*>(part.to) + (begin - part.offset), data + (begin - offset),
                end - begin);
  }
}

}  // namespace optnet::cuda
