#include "cuda/chunks.h"

#include <algorithm>

#include "cuda/check.h"
#include "cuda/layout.h"

namespace optnet::cuda {
namespace {

/// Enough to keep a large GPU busy; more would only let callers wait longer for progress, and to cancel.
constexpr std::size_t kMostProblems = 65536;

/// Leaves some to the driver, and to fragmentation.
Failure room(Gpu& gpu, std::size_t& bytes) {
  OPTNET_TRY(gpu.heap().available(bytes));
  bytes -= bytes / 32;
  return {};
}

/// The largest chunk of which `lanes` fit, 0 if none does.
std::size_t largest_chunk(const ChunkNeeds& needs, std::size_t lanes, std::size_t room) {
  const auto fits = [&](std::size_t size) {
    return sum(needs.fixed, product(lanes, needs.chunk(size))) <= room;
  };
  std::size_t low = 0, high = std::clamp<std::size_t>(needs.batch, 1, kMostProblems);
  if (fits(high)) return high;
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace

Failure check_room(Gpu& gpu, std::size_t bytes) {
  std::size_t available = 0;
  OPTNET_TRY(room(gpu, available));
  return bytes <= available ? Failure() : gpu.heap().out_of_memory(bytes);
}

Failure reserve(Gpu& gpu, const ChunkNeeds& needs, Chunks& out) {
  std::size_t available = 0;
  OPTNET_TRY(room(gpu, available));
  out.lanes = 1;
  out.size = largest_chunk(needs, 1, available);
  if (out.size == 0) return gpu.heap().out_of_memory(sum(needs.fixed, needs.chunk(1)));
  if (out.size < needs.batch && needs.overlap) {
    if (const std::size_t size = largest_chunk(needs, 2, available); size > 0) {
      out.lanes = 2;
      out.size = size;
    }
  }
  while (true) {
    const std::size_t chunks = std::max<std::size_t>(1, (needs.batch + out.size - 1) / out.size);
    out.size = std::max<std::size_t>(1, (needs.batch + chunks - 1) / chunks);  // all of about the same size
    out.chunk_bytes = needs.chunk(out.size);
    out.memory_fixed = (needs.fixed + Layout::kAlignment - 1) / Layout::kAlignment * Layout::kAlignment;
    const Failure failure = gpu.heap().allocate(
        out.memory_fixed + static_cast<std::size_t>(out.lanes) * out.chunk_bytes, out.memory);
    // Others took it meanwhile, or it lies in pieces.
    if (failure.code != Failure::Code::kMemory || out.size == 1) return failure;
    out.size /= 2;
  }
}

}  // namespace optnet::cuda
