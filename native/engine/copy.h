// Copies of large arrays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "engine/thread_pool.h"

namespace optnet {

/// Copies with several threads where that is worth waking them.
inline void copy(ThreadPool& pool, std::byte* to, const void* from, std::size_t bytes) {
  constexpr std::size_t kUnit = std::size_t{4} << 20;
  constexpr int kThreads = 8;
  const auto* source = static_cast<const std::byte*>(from);
  if (bytes < 2 * kUnit) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return;
  }
  Job job;
  job.threads = std::min(kThreads, ThreadPool::resolve_threads(0));
  job.stages.push_back({(bytes + kUnit - 1) / kUnit, [=](std::size_t unit, int) {
                          const std::size_t offset = unit * kUnit;
                          std::memcpy(to + offset, source + offset, std::min(kUnit, bytes - offset));
                        }});
  pool.run(std::move(job));
}

}  // namespace optnet
