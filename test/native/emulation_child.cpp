// Kernels for the sanitizers, right ones and wrong ones: emulation_test.cpp runs this program, built for one
// of them, and looks at what it says. The argument names the kernel; a second one is the line of the barrier
// that is dropped.
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "emulation/barrier_sites.h"
#include "emulation/machine.h"

using namespace optnet::cuda;

namespace {

constexpr unsigned kThreads = 40, kBlocks = 3;  // the second warp is not full

struct Argument {
  float* out;
  int* count;
};

/// Each thread reads what two others wrote, several times over, with a warp's barrier and with the block's.
OPTNET_GLOBAL void ordered(Argument a) {
  auto* const shared = reinterpret_cast<float*>(shared_memory());
  const unsigned i = threadIdx.x, warp = i & ~31u;
  const unsigned lanes = blockDim.x - warp < 32 ? blockDim.x - warp : 32;
  float value = 1;
  for (int round = 0; round < 3; ++round) {
    shared[i] = value;
    synchronize_lanes(~0u);
    value += shared[warp + (i + 1) % lanes];
    synchronize_block();
    shared[i] = value;
    synchronize_block();
    value += shared[(i + 7) % blockDim.x];
    synchronize_block();
  }
  a.out[blockIdx.x * blockDim.x + i] = value;
}

/// The last block to come sums what all blocks wrote.
OPTNET_GLOBAL void fenced(Argument a) {
  if (threadIdx.x != 0) return;
  a.out[blockIdx.x] = 1;
  __threadfence();
  if ((atomicAdd(a.count, 1) + 1) % static_cast<int>(gridDim.x) != 0) return;
  __threadfence();
  float sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += a.out[i];
  a.out[gridDim.x] = sum;
}

/// A barrier of the lanes of one warp does not order those of another.
OPTNET_GLOBAL void warps(Argument) {
  auto* const shared = reinterpret_cast<float*>(shared_memory());
  shared[threadIdx.x] = 1;
  synchronize_lanes(~0u);
  shared[threadIdx.x] = shared[(threadIdx.x + 32) % blockDim.x];
}

/// Nor does one of some lanes order the others.
OPTNET_GLOBAL void groups(Argument) {
  auto* const shared = reinterpret_cast<float*>(shared_memory());
  if (threadIdx.x >= 16) return;
  shared[threadIdx.x] = 1;
  synchronize_lanes(threadIdx.x < 8 ? 0xffu : 0xff00u);
  if (threadIdx.x == 0) shared[8] = 2;
}

/// Nor does a shuffle order anything.
OPTNET_GLOBAL void shuffled(Argument) {
  auto* const shared = reinterpret_cast<float*>(shared_memory());
  if (threadIdx.x >= 32) return;
  shared[threadIdx.x] = 1;
  __shfl_xor_sync(~0u, threadIdx.x, 1);
  if (threadIdx.x == 0) shared[1] = 2;
}

/// Blocks are not ordered, even if they run one after the other.
OPTNET_GLOBAL void blocks(Argument a) {
  synchronize_block();
  if (threadIdx.x == 0) a.out[0] = static_cast<float>(blockIdx.x);
}

OPTNET_GLOBAL void overrun(Argument a) {
  const auto* const shared = reinterpret_cast<const float*>(shared_memory());
  a.out[threadIdx.x] = shared[threadIdx.x + 1];
}

OPTNET_GLOBAL void freed(Argument a) {
  if (threadIdx.x != 0) return;
  cudaFree(a.out);  // as if by the host, too early
  a.out[0] = 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  void (*kernel)(Argument) = nullptr;
  if (name == "ordered") kernel = ordered;
  if (name == "fenced") kernel = fenced;
  if (name == "warps") kernel = warps;
  if (name == "groups") kernel = groups;
  if (name == "shuffled") kernel = shuffled;
  if (name == "blocks") kernel = blocks;
  if (name == "overrun") kernel = overrun;
  if (name == "freed") kernel = freed;
  if (!kernel) return 2;

  void *out = nullptr, *count = nullptr;
  cudaMalloc(&out, kThreads * kBlocks * sizeof(float));
  cudaMalloc(&count, sizeof(int));
  cudaMemset(count, 0, sizeof(int));
  optnet::emulation::record_barriers();
  if (argc > 2) optnet::emulation::drop_barrier(__FILE__, std::atoi(argv[2]));
  for (int launches = 0; launches < 2; ++launches) {
    const Argument argument{static_cast<float*>(out), static_cast<int*>(count)};
    if (launch(kernel, dim3(kBlocks), dim3(kThreads), kThreads * sizeof(float), nullptr, argument) !=
        cudaSuccess)
      return 3;
    std::vector<float> copy(kThreads);
    if (name == "freed") return 0;
    cudaMemcpy(copy.data(), out, kThreads * sizeof(float), cudaMemcpyDeviceToHost);
  }
  // What the parent drops, one after the other.
  for (const auto& site : optnet::emulation::barrier_sites()) std::printf("barrier %d\n", site.line);
}
