// Page-locked host memory that copies to and from a GPU go through: a few slots, used in turn. From other
// memory the driver would copy in steps of its own, with the calling thread waiting.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>

#include "cuda/stream.h"

namespace optnet::cuda {

class Staging {
  struct Entry {
    std::byte* data = nullptr;
    Event left;
    bool taken = false, long_held = false;
    bool pending = false;  ///< `left` has not been seen to pass
    std::size_t turn = 0;  ///< when it was left
  };

 public:
  static constexpr std::size_t kSlotBytes = std::size_t{2} << 20;

  Staging() = default;
  ~Staging();  ///< when the work that used it has ended
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// A slot for as long as it is held; the work that uses it must have ended by then.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept { *this = std::move(other); }
    Slot& operator=(Slot&& other) noexcept {
      std::swap(staging_, other.staging_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Slot();
    explicit operator bool() const { return entry_ != nullptr; }
    std::byte* data() const { return entry_->data; }
    /// Gives the slot back as of when what was queued on `stream` so far has ended.
    Failure leave(cudaStream_t stream);

   private:
    friend Staging;
    Staging* staging_ = nullptr;
    Entry* entry_ = nullptr;
  };

  /// A slot that may be held until a call has ended; none where few are left.
  Slot try_take();

  /// Queues a copy; `from` has been read when this returns. May wait for a slot.
  Failure upload(std::byte* to, const std::byte* from, std::size_t bytes, cudaStream_t stream);

  /// Queues a copy of what is at `from` and waits for it. `take` gets it piece by piece: bytes
  /// [offset, offset + count).
  using Take = std::function<void(std::size_t offset, std::size_t count, const std::byte* data)>;
  Failure download(const std::byte* from, std::size_t bytes, cudaStream_t stream, const Take& take);

 private:
  static constexpr std::size_t kSlots = 8;
  /// Slots that are never held for long: who waits for one gets one.
  static constexpr std::size_t kReserved = 2;

  Slot take_free();
  Failure take(Slot& out);
  bool make_entry();
  Entry* find_free();
  void release(Entry& entry);

  std::mutex mutex_;
  std::condition_variable released_;
  Entry entries_[kSlots];
  std::size_t made_ = 0;  ///< entries that have memory: the first ones
  std::size_t long_held_ = 0;
  std::size_t turns_ = 0;
};

}  // namespace optnet::cuda
