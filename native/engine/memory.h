// Large blocks of memory, kept for reuse: a training loop asks for the same sizes over and over, and pages
// that are already mapped cost nothing.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

namespace optnet {

class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
 public:
  /// A block that goes back to its pool when it is destroyed. Empty blocks hold nothing.
  class Block {
   public:
    Block() = default;
    Block(Block&& other) noexcept { *this = std::move(other); }
    Block& operator=(Block&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(data_, other.data_);
      std::swap(size_, other.size_);
      return *this;
    }
    ~Block() {
      if (data_) pool_->give_back(data_, size_);
    }
    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }

   private:
    friend MemoryPool;
    std::shared_ptr<MemoryPool> pool_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
  };

  ~MemoryPool();

  /// False where the memory cannot be had. The contents are not initialised.
  bool take(std::size_t size, Block& out);

 private:
  static constexpr std::size_t kMostKept = std::size_t{1} << 30;

  void give_back(std::byte* data, std::size_t size);

  std::mutex mutex_;
  std::multimap<std::size_t, std::byte*> free_;
  std::size_t kept_ = 0;
};

/// Installed memory in bytes.
std::size_t physical_memory();

}  // namespace optnet
