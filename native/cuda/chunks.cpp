#include "cuda/chunks.h"

#include <algorithm>

#include "cuda/check.h"
#include "cuda/layout.h"

namespace optnet::cuda {
namespace {

/// Enough to keep a large GPU busy; more would only let callers wait longer for progress, and to cancel.
constexpr std::size_t kMostProblems = 65536;

/// So many that a larger chunk would hardly be faster: more are taken only where memory is plenty.
constexpr std::size_t kEnoughProblems = 4096;
constexpr std::size_t kPlenty = 4;  // 1 / this of what is free

/// Leaves some to the driver, and to fragmentation.
Failure room(Gpu& gpu, std::size_t& bytes) {
  OPTNET_TRY(gpu.heap().available(bytes));
  bytes -= bytes / 32;
  return {};
}

/// What is kept from earlier calls may serve: in a training loop it does.
bool is_kept(Gpu& gpu, std::size_t bytes) { return bytes <= gpu.heap().bytes_kept() / 16 * 15; }

std::size_t bytes_for(const ChunkNeeds& needs, std::size_t lanes, std::size_t size) {
  return sum(needs.fixed, product(lanes, needs.chunk(size)));
}

/// The largest chunk up to `most` of which `lanes` fit, 0 if none does.
std::size_t largest_chunk(const ChunkNeeds& needs, std::size_t lanes, std::size_t most, std::size_t room) {
  std::size_t low = 0, high = most;
  if (bytes_for(needs, lanes, high) <= room) return high;
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (bytes_for(needs, lanes, middle) <= room ? low : high) = middle;
  }
  return low;
}

Failure choose(Gpu& gpu, const ChunkNeeds& needs, Chunks& out) {
  const std::size_t most = std::clamp<std::size_t>(needs.batch, 1, kMostProblems);
  out.lanes = 1;
  out.size = most;
  if (most == needs.batch && is_kept(gpu, bytes_for(needs, 1, most))) return {};
  std::size_t available = 0;
  OPTNET_TRY(room(gpu, available));
  const auto largest = [&](std::size_t lanes) {
    const std::size_t enough = std::min(most, kEnoughProblems);
    return std::max(largest_chunk(needs, lanes, most, available / kPlenty),
                    largest_chunk(needs, lanes, enough, available));
  };
  out.size = largest(1);
  if (out.size == 0) return gpu.heap().out_of_memory(bytes_for(needs, 1, 1));
  if (out.size < needs.batch && needs.overlap) {
    if (const std::size_t size = largest(2); size > 0) {
      out.lanes = 2;
      out.size = size;
    }
  }
  return {};
}

}  // namespace

Failure check_room(Gpu& gpu, std::size_t bytes) {
  if (is_kept(gpu, bytes)) return {};
  std::size_t available = 0;
  OPTNET_TRY(room(gpu, available));
  return bytes <= available ? Failure() : gpu.heap().out_of_memory(bytes);
}

Failure reserve(Gpu& gpu, const ChunkNeeds& needs, Chunks& out) {
  OPTNET_TRY(choose(gpu, needs, out));
  while (true) {
    const std::size_t chunks = std::max<std::size_t>(1, (needs.batch + out.size - 1) / out.size);
    out.size = std::max<std::size_t>(1, (needs.batch + chunks - 1) / chunks);  // all of about the same size
    out.chunk_bytes = needs.chunk(out.size);
    out.memory_fixed = (needs.fixed + Layout::kAlignment - 1) / Layout::kAlignment * Layout::kAlignment;
    Failure failure = gpu.heap().allocate(
        out.memory_fixed + static_cast<std::size_t>(out.lanes) * out.chunk_bytes, out.memory);
    // Others took it meanwhile, or it lies in pieces.
    if (failure.code != Failure::Code::kMemory || out.size == 1) return failure;
    out.size /= 2;
  }
}

}  // namespace optnet::cuda
