// Memory for a call: what serves all of it, and as much as there is room for of what each problem needs while
// it is worked on. A batch too large for that is worked on in chunks.
#pragma once

#include <cstddef>
#include <functional>

#include "cuda/gpu.h"

namespace optnet::cuda {

struct ChunkNeeds {
  std::size_t batch = 1;
  std::size_t fixed = 0;                          ///< bytes, once
  std::function<std::size_t(std::size_t)> chunk;  ///< bytes for a chunk of so many problems
  bool overlap = true;                            ///< two chunks may be worked on at a time
};

struct Chunks {
  std::size_t size = 0;  ///< problems; the last chunk may be smaller
  int lanes = 0;         ///< how many are worked on at a time: 1 or 2
  std::size_t chunk_bytes = 0;
  DeviceMemory memory;  ///< fixed, then a chunk for each lane

  std::byte* fixed() const { return memory.data(); }
  std::byte* lane(int k) const {
    return memory.data() + memory_fixed + static_cast<std::size_t>(k) * chunk_bytes;
  }
  std::size_t memory_fixed = 0;
};

/// Fails with kMemory where there is no room for one problem.
Failure reserve(Gpu& gpu, const ChunkNeeds& needs, Chunks& out);

/// Fails with kMemory where so many bytes are more than there are.
Failure check_room(Gpu& gpu, std::size_t bytes);

}  // namespace optnet::cuda
