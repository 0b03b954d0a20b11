#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace optnet::cuda {

Staging::~Staging() {
  for (std::size_t i = 0; i < made_; ++i) ignore(cudaFreeHost(entries_[i].data));
}

Staging::Slot::~Slot() {
  if (entry_) staging_->release(*entry_);
}

Failure Staging::Slot::leave(cudaStream_t stream) {
  Failure failure = entry_->left.record(stream);
  if (failure) ignore(cudaStreamSynchronize(stream));
  {
    const std::lock_guard lock(staging_->mutex_);
    entry_->pending = !failure;
    entry_->turn = ++staging_->turns_;
  }
  const Slot released = std::move(*this);
  return failure;
}

void Staging::release(Entry& entry) {
  const std::lock_guard lock(mutex_);
  if (entry.long_held) --long_held_;
  entry.taken = entry.long_held = false;
  released_.notify_one();
}

/// Under the lock, as what follows.
bool Staging::make_entry() {
  if (made_ == kSlots) return false;
  void* data = nullptr;
  const cudaError_t error = cudaHostAlloc(&data, kSlotBytes, cudaHostAllocDefault);
  ignore(error);
  if (error != cudaSuccess) return false;
  entries_[made_++].data = static_cast<std::byte*>(data);
  return true;
}

Staging::Entry* Staging::find_free() {
  for (std::size_t i = 0; i < made_; ++i) {
    Entry& entry = entries_[i];
    if (entry.taken) continue;
    if (entry.pending && entry.left.passed()) entry.pending = false;
    if (!entry.pending) return &entry;
  }
  return make_entry() ? &entries_[made_ - 1] : nullptr;
}

Staging::Slot Staging::take_free() {
  const std::lock_guard lock(mutex_);
  Slot slot;
  if (Entry* entry = find_free()) {
    entry->taken = true;
    slot.staging_ = this;
    slot.entry_ = entry;
  }
  return slot;
}

Staging::Slot Staging::try_take() {
  {
    const std::lock_guard lock(mutex_);
    while (made_ < long_held_ + 1 + kReserved) {
      if (!make_entry()) return {};
    }
  }
  Slot slot = take_free();
  if (!slot) return slot;
  const std::lock_guard lock(mutex_);
  if (made_ < long_held_ + 1 + kReserved) {  // another thread was faster
    slot.entry_->taken = false;
    released_.notify_one();
    slot.entry_ = nullptr;
    return slot;
  }
  slot.entry_->long_held = true;
  ++long_held_;
  return slot;
}

Failure Staging::take(Slot& out) {
  std::unique_lock lock(mutex_);
  Entry* entry = nullptr;
  while (!(entry = find_free())) {
    if (made_ == 0) {
      Failure failure{Failure::Code::kMemory};
      failure.bytes = kSlotBytes;
      failure.message = "page-locked memory";
      return failure;
    }
    for (std::size_t i = 0; i < made_; ++i) {
      Entry& other = entries_[i];
      if (!other.taken && (!entry || other.turn < entry->turn)) entry = &other;
    }
    if (!entry) {
      released_.wait(lock);
      continue;
    }
    entry->taken = true;
    lock.unlock();
    Failure failure = entry->left.wait();
    lock.lock();
    entry->pending = false;
    if (failure) {
      entry->taken = false;
      released_.notify_one();
      return failure;
    }
    break;
  }
  entry->taken = true;
  out.staging_ = this;
  out.entry_ = entry;
  return {};
}

Failure Staging::upload(std::byte* to, const std::byte* from, std::size_t bytes, cudaStream_t stream) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t count = std::min(kSlotBytes, bytes - done);
    Slot slot;
    OPTNET_TRY(take(slot));
    std::memcpy(slot.data(), from + done, count);
    OPTNET_CUDA(cudaMemcpyAsync(to + done, slot.data(), count, cudaMemcpyHostToDevice, stream));
    OPTNET_TRY(slot.leave(stream));
    done += count;
  }
  return {};
}

Failure Staging::download(const std::byte* from, std::size_t bytes, cudaStream_t stream, const Take& take) {
  // One piece is handed on while the next one is on its way, where there are slots for it.
  struct Piece {
    Slot slot;
    Event arrived;
    std::size_t offset = 0, count = 0;
  };
  if (bytes == 0) return {};
  Piece pieces[2];
  OPTNET_TRY(this->take(pieces[0].slot));
  if (bytes > kSlotBytes) pieces[1].slot = take_free();
  const std::size_t slots = pieces[1].slot ? 2 : 1;
  const auto receive = [&](Piece& piece) -> Failure {
    if (piece.count == 0) return {};
    Failure failure = piece.arrived.wait();
    if (!failure) take(piece.offset, piece.count, piece.slot.data());
    piece.count = 0;
    return failure;
  };
  Failure failure;
  std::size_t next = 0;
  for (std::size_t offset = 0; offset < bytes && !failure; offset += kSlotBytes, ++next) {
    Piece& piece = pieces[next % slots];
    failure = receive(piece);
    if (failure) break;
    const std::size_t count = std::min(kSlotBytes, bytes - offset);
    failure =
        failure_of(cudaMemcpyAsync(piece.slot.data(), from + offset, count, cudaMemcpyDeviceToHost, stream),
                   "cudaMemcpyAsync");
    if (!failure) failure = piece.arrived.record(stream);
    piece.offset = offset;
    piece.count = count;
  }
  for (std::size_t k = 0; k < slots && !failure; ++k, ++next) failure = receive(pieces[next % slots]);
  if (failure) ignore(cudaStreamSynchronize(stream));  // before the slots go
  return failure;
}

}  // namespace optnet::cuda
