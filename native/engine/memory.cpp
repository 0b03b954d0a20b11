#include "engine/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace optnet {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::byte* allocate(std::size_t size) {
  const bool large = size >= kHugePage;
  void* p = std::aligned_alloc(large ? kHugePage : 64, size);
#ifdef MADV_HUGEPAGE
  if (p && large) madvise(p, size, MADV_HUGEPAGE);  // advice: a refusal changes nothing
#endif
  return static_cast<std::byte*>(p);
}

}  // namespace

MemoryPool::~MemoryPool() {
  for (const auto& [size, data] : free_) std::free(data);
}

bool MemoryPool::take(std::size_t size, Block& out) {
  const std::size_t unit = size >= kHugePage ? kHugePage : 64;
  if (size > physical_memory()) return false;
  size = (size + unit - 1) / unit * unit;
  Block block;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = free_.find(size); found != free_.end()) {
      block.data_ = found->second;
      kept_ -= size;
      free_.erase(found);
    }
  }
  if (!block.data_) block.data_ = allocate(size == 0 ? unit : size);
  if (!block.data_) return false;
  block.size_ = size;
  block.pool_ = shared_from_this();
  out = std::move(block);
  return true;
}

void MemoryPool::give_back(std::byte* data, std::size_t size) {
  {
    const std::lock_guard lock(mutex_);
    if (kept_ + size <= kMostKept) {
      free_.emplace(size, data);
      kept_ += size;
      return;
    }
  }
  std::free(data);
}

std::size_t physical_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace optnet
