// A grid of thread blocks, emulated: blocks run one after the other in the calling OS thread, a block's
// threads as fibers that hand over to each other at barriers. All state is the OS thread's own, so that
// several can emulate at once.
//
// What a GPU would leave undefined ends the program with a message that says which thread stands where:
// barriers that some threads never reach, or that threads reach at different places; lanes that name
// different masks. As on the GPU, threads that have ended are not waited for.
//
// Under ThreadSanitizer every emulated thread is a thread to it: what no barrier orders is reported as a
// race. Blocks are not ordered at all, and shuffles and votes order nothing, which is what CUDA promises.
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>

namespace optnet::emulation {

constexpr unsigned kWarpSize = 32;

/// Runs kernel(context) in every thread of the grid. Each block finds `shared_bytes` of shared memory, full
/// of NaN (0xFF).
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(const void* context),
              const void* context);

// ---- for the running thread, which the built-ins of CUDA are made of ----

std::byte* shared_memory();
unsigned lane_index();  ///< within the warp

void synchronize_block(const char* file, int line);
void synchronize_lanes(unsigned mask, const char* file, int line);
/// Gives `value` of the lane `source`, where all lanes in `mask` call this; all bits set where `source` is
/// not one of them.
std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned source);
/// The lanes in `mask` where `predicate` holds.
unsigned vote(unsigned mask, bool predicate);
/// __threadfence: to ThreadSanitizer, all fences come one after the other.
void fence();

/// Ends the program.
[[noreturn]] void fail(const char* message);

}  // namespace optnet::emulation
