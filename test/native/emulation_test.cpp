// The emulation of CUDA, as far as the tests of kernels and of the engine rely on it.
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "emulation/barrier_sites.h"
#include "emulation/machine.h"
#include "emulation/schedule.h"

using namespace optnet;
using namespace optnet::cuda;
using emulation::Inventory;
using emulation::Machine;
using emulation::Schedule;

namespace {

constexpr unsigned kAllLanes = ~0u;
const std::vector<Schedule> kSchedules = {
    {}, {Schedule::Order::kDescending}, {Schedule::Order::kRandom, 1}, {Schedule::Order::kRandom, 2}};

/// A kernel without arguments but for what it writes to, in host memory: the emulation does not mind.
template <class T>
std::vector<T> results_of(void (*kernel)(T*), dim3 grid, dim3 block, std::size_t size,
                          std::size_t shared_bytes = 0) {
  std::vector<T> out(size);
  CHECK(launch(kernel, grid, block, shared_bytes, nullptr, out.data()) == cudaSuccess);
  return out;
}

// ---- threads and barriers
// --------------------------------------------------------------------------------------------

void threads_know_where_they_are() {
  const dim3 grid(2, 3, 2), block(4, 2, 3);
  const auto kernel = +[](unsigned* out) {
    const unsigned in_grid = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned in_block = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const unsigned i = in_grid * blockDim.x * blockDim.y * blockDim.z + in_block;
    out[i] += i + 1;
    synchronize_block();
    out[i] += threadIdx.x;
  };
  const auto out = results_of(kernel, grid, block, 12 * 24);
  for (unsigned i = 0; i < out.size(); ++i) CHECK(out[i] == i + 1 + i % 4);
}

void a_barrier_waits_for_all() {
  const auto kernel = +[](double* out) {
    auto* const shared = reinterpret_cast<double*>(shared_memory());
    shared[threadIdx.x] = threadIdx.x;
    for (int i = 0; i < 10; ++i) {
      synchronize_block();
      const double next = shared[(threadIdx.x + 1) % blockDim.x];
      synchronize_block();
      shared[threadIdx.x] = next;
    }
    out[threadIdx.x] = shared[threadIdx.x];
  };
  for (const Schedule& schedule : kSchedules) {
    emulation::set_schedule(schedule);
    for (const unsigned threads : {1u, 7u, 33u, 64u}) {
      const auto out = results_of(kernel, 2, threads, threads, threads * sizeof(double));
      for (unsigned i = 0; i < threads; ++i) CHECK(out[i] == (i + 10) % threads);
    }
  }
  emulation::set_schedule({});
}

void schedules_differ() {
  const auto kernel = +[](std::vector<unsigned>* order) {
    order->push_back(threadIdx.x);
    synchronize_block();
    order->push_back(threadIdx.x);
  };
  const auto order_of = [&](const Schedule& schedule) {
    emulation::set_schedule(schedule);
    std::vector<unsigned> order;
    launch(kernel, 1, 4, 0, nullptr, &order);
    emulation::set_schedule({});
    return order;
  };
  using Order = std::vector<unsigned>;
  CHECK((order_of({}) == Order{0, 1, 2, 3, 0, 1, 2, 3}));
  CHECK((order_of({Schedule::Order::kDescending}) == Order{3, 2, 1, 0, 3, 2, 1, 0}));
  const Order random = order_of({Schedule::Order::kRandom, 5});
  CHECK(random == order_of({Schedule::Order::kRandom, 5}));
  CHECK(random != order_of({Schedule::Order::kRandom, 6}));
  CHECK(Order(random.begin(), random.begin() + 4) != Order(random.begin() + 4, random.end()));
}

void shared_memory_begins_as_nan() {
  const auto kernel = +[](int* out) {
    auto* const shared = reinterpret_cast<double*>(shared_memory());
    if (std::isnan(shared[threadIdx.x])) ++out[blockIdx.x];
    shared[threadIdx.x] = 1;
  };
  const auto out = results_of(kernel, 3, 8, 3, 8 * sizeof(double));
  for (const int count : out) CHECK(count == 8);
}

void threads_that_ended_are_not_waited_for() {
  const auto kernel = +[](int* out) {
    if (threadIdx.x % 3 == 0) return;
    synchronize_block();
    if (threadIdx.x % 3 == 1) return;
    synchronize_lanes(kAllLanes);
    synchronize_block();
    out[threadIdx.x] = 1 + __shfl_xor_sync(kAllLanes, 1, 0);
  };
  for (const Schedule& schedule : kSchedules) {
    emulation::set_schedule(schedule);
    const auto out = results_of(kernel, 1, 50, 50);
    for (unsigned i = 0; i < 50; ++i) CHECK(out[i] == (i % 3 == 2 ? 2 : 0));
  }
  emulation::set_schedule({});
}

// ---- warps
// -----------------------------------------------------------------------------------------------------------

void shuffles_move_values_between_lanes() {
  const auto kernel = +[](int* out) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    int* const mine = out + threadIdx.x * 6;
    mine[0] = __shfl_sync(kAllLanes, lane * 10, 5);
    mine[1] = __shfl_sync(kAllLanes, lane * 10, 9, 8);  // lane 1 of each eight
    mine[2] = __shfl_down_sync(kAllLanes, lane * 10, 3, 8);
    mine[3] = __shfl_up_sync(kAllLanes, lane * 10, 3, 8);
    mine[4] = __shfl_xor_sync(kAllLanes, lane * 10, 5);
    mine[5] = __shfl_xor_sync(kAllLanes, lane * 10, 8, 8);  // an earlier eight can be read, a later one not
  };
  const auto out = results_of(kernel, 1, 64, 64 * 6);
  for (int i = 0; i < 64; ++i) {
    const int lane = i % 32, *const mine = out.data() + i * 6;
    CHECK(mine[0] == 50);
    CHECK(mine[1] == (lane / 8 * 8 + 1) * 10);
    CHECK(mine[2] == (lane % 8 + 3 < 8 ? lane + 3 : lane) * 10);
    CHECK(mine[3] == (lane % 8 >= 3 ? lane - 3 : lane) * 10);
    CHECK(mine[4] == (lane ^ 5) * 10);
    CHECK(mine[5] == ((lane & 8) != 0 ? lane ^ 8 : lane) * 10);
  }
}

void shuffles_keep_every_bit() {
  const auto kernel = +[](double* out) {
    const double value = __shfl_xor_sync(kAllLanes, 1.0 / (1 + threadIdx.x), 1);
    const float narrow = __shfl_xor_sync(kAllLanes, 1.0f / (1 + threadIdx.x), 1);
    out[threadIdx.x] = value;
    out[32 + threadIdx.x] = narrow;
  };
  const auto out = results_of(kernel, 1, 32, 64);
  for (unsigned i = 0; i < 32; ++i) {
    CHECK(out[i] == 1.0 / (1 + (i ^ 1)));
    CHECK(static_cast<float>(out[32 + i]) == 1.0f / (1 + (i ^ 1)));
  }
}

/// Groups of eight lanes go their own ways, as many rounds as they like.
void groups_of_lanes_do_not_wait_for_each_other() {
  const auto kernel = +[](int* out) {
    const unsigned group = threadIdx.x / 8, mask = 0xffu << group % 4 * 8;
    int sum = 0;
    for (unsigned round = 0; round < 1 + group; ++round) {
      int part = static_cast<int>(threadIdx.x % 8);
      for (int step = 4; step > 0; step /= 2) part += __shfl_xor_sync(mask, part, step);
      sum += part;
      __syncwarp(mask);
    }
    out[threadIdx.x] = sum;
  };
  for (const Schedule& schedule : kSchedules) {
    emulation::set_schedule(schedule);
    const auto out = results_of(kernel, 1, 64, 64);
    for (unsigned i = 0; i < 64; ++i) CHECK(out[i] == static_cast<int>(28 * (1 + i / 8)));
  }
  emulation::set_schedule({});
}

void votes_are_counted() {
  const auto kernel = +[](unsigned* out) {
    const bool odd = threadIdx.x % 2 == 1;
    out[0] = __ballot_sync(kAllLanes, odd);
    out[1] = static_cast<unsigned>(__any_sync(kAllLanes, threadIdx.x == 3));
    out[2] = static_cast<unsigned>(__any_sync(kAllLanes, 0));
    out[3] = static_cast<unsigned>(__all_sync(kAllLanes, threadIdx.x < 32));
    out[4] = static_cast<unsigned>(__all_sync(kAllLanes, threadIdx.x != 3));
  };
  const auto out = results_of(kernel, 1, 32, 5);
  CHECK(out[0] == 0xaaaaaaaau);
  CHECK(out[1] == 1 && out[2] == 0 && out[3] == 1 && out[4] == 0);
}

void a_lane_that_is_not_there_gives_nan() {
  const auto kernel = +[](double* out) { out[threadIdx.x] = __shfl_sync(kAllLanes, 1.0, 20); };
  CHECK(std::isnan(results_of(kernel, 1, 16, 16)[0]));
}

void atomics_count_across_launches_of_several_os_threads() {
  struct Counters {
    int sum = 0, least = 0, most = 0;
    unsigned long long wide = 0;
    unsigned swapped = 0;
  };
  const auto kernel = +[](Counters* c) {
    const int i = static_cast<int>(threadIdx.x);
    atomicAdd(&c->sum, 1);
    synchronize_block();
    atomicAdd(&c->wide, 1ull << 32);
    atomicMin(&c->least, -i);
    atomicMax(&c->most, i);
    unsigned seen = c->swapped;
    for (unsigned before; (before = atomicCAS(&c->swapped, seen, seen + 2)) != seen;) seen = before;
  };
  Counters counters;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int launches = 0; launches < 50; ++launches) launch(kernel, 2, 32, 0, nullptr, &counters);
    });
  for (auto& thread : threads) thread.join();
  constexpr int kRuns = 4 * 50 * 2 * 32;
  CHECK(counters.sum == kRuns);
  CHECK(counters.wide == static_cast<unsigned long long>(kRuns) << 32);
  CHECK(counters.least == -31 && counters.most == 31);
  CHECK(counters.swapped == 2 * kRuns);
}

// ---- what a GPU leaves undefined ends the program
// -----------------------------------------------------------------------

void check_it_ends(void (*kernel)(int*), const char* message, const char* where) {
  const auto outcome = test::run_in_child([&] {
    int out = 0;
    launch(kernel, 1, 4, 0, nullptr, &out);
  });
  CHECK(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT);
  CHECK(outcome.says(message));
  CHECK(outcome.says(where));
}

void threads_that_never_meet_are_reported() {
  check_it_ends(
      +[](int*) { threadIdx.x == 1 ? synchronize_lanes(0xf) : synchronize_block(); },
      "all threads that have not ended wait, for different things",
      "thread (1, 0, 0) waits at __syncwarp with mask 0x0000000f");
  check_it_ends(
      +[](int*) {
        if (threadIdx.x == 1)
          synchronize_block();
        else
          synchronize_block();
      },
      "threads of a block meet at different barriers", "emulation_test.cpp:");
  check_it_ends(
      +[](int*) { synchronize_lanes(threadIdx.x == 1 ? 0x7 : 0xf); }, "lanes that wait for each other",
      "mask 0x00000007");
  check_it_ends(
      +[](int*) { threadIdx.x == 1 ? (void)__any_sync(0xf, 1) : synchronize_lanes(0xf); },
      "lanes that wait for each other", "a vote");
  check_it_ends(
      +[](int*) { synchronize_lanes(0x7); }, "a lane is not in the mask", "(3, 0, 0)");
}

// ---- barriers' places
// ------------------------------------------------------------------------------------------------

void barriers_can_be_dropped() {
  static constexpr int kLine = __LINE__ + 3;
  const auto kernel = +[](std::vector<unsigned>* order) {
    order->push_back(threadIdx.x);
    synchronize_block();
    order->push_back(threadIdx.x);
    synchronize_lanes(kAllLanes);
  };
  std::vector<unsigned> order;
  emulation::record_barriers();
  launch(kernel, 1, 2, 0, nullptr, &order);
  CHECK((emulation::barrier_sites() ==
         std::vector<emulation::BarrierSite>{{__FILE__, kLine}, {__FILE__, kLine + 2}}));
  CHECK((order == std::vector<unsigned>{0, 1, 0, 1}));

  order.clear();
  emulation::drop_barrier(__FILE__, kLine);
  launch(kernel, 1, 2, 0, nullptr, &order);
  CHECK((order == std::vector<unsigned>{0, 0, 1, 1}));

  order.clear();
  emulation::keep_all_barriers();
  launch(kernel, 1, 2, 0, nullptr, &order);
  CHECK((order == std::vector<unsigned>{0, 1, 0, 1}));
}

// ---- sanitizers
// --------------------------------------------------------------------------------------------------------

void races_are_reported(const std::string& program) {
  const auto run = [&](const std::string& kernel) { return test::run_program({program, kernel}); };
  for (const char* kernel : {"ordered", "fenced"}) {
    const auto outcome = run(kernel);
    CHECK(outcome.status == 0);
    if (outcome.status != 0) std::fputs(outcome.output.c_str(), stderr);
  }
  for (const char* kernel : {"warps", "groups", "shuffled", "blocks"}) {
    const auto outcome = run(kernel);
    CHECK(outcome.status != 0);
    CHECK(outcome.says("ThreadSanitizer: data race"));
    CHECK(outcome.says((std::string(" ") + kernel).c_str()));
  }
}

void every_barrier_is_missed_when_dropped(const std::string& program) {
  std::istringstream lines(test::run_program({program, "ordered"}).output);
  int barriers = 0;
  for (std::string word, line; lines >> word >> line; ++barriers) {
    CHECK(word == "barrier");
    CHECK(test::run_program({program, "ordered", line}).says("ThreadSanitizer: data race"));
  }
  CHECK(barriers == 4);
}

void accesses_beyond_an_allocation_are_reported(const std::string& program) {
  CHECK(test::run_program({program, "ordered"}).status == 0);
  CHECK(test::run_program({program, "overrun"}).says("AddressSanitizer: heap-buffer-overflow"));
  CHECK(test::run_program({program, "freed"}).says("AddressSanitizer: heap-use-after-free"));
}

// ---- memory
// ------------------------------------------------------------------------------------------------------------

template <class T = std::byte>
T* allocate(std::size_t bytes) {
  void* data = nullptr;
  CHECK(cudaMalloc(&data, bytes) == cudaSuccess);
  return static_cast<T*>(data);
}

void memory_is_accounted_for() {
  const Inventory before = emulation::inventory();
  std::size_t free_before = 0, free_after = 0, total = 0;
  CHECK(cudaMemGetInfo(&free_before, &total) == cudaSuccess);
  auto* const data = allocate<unsigned char>(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(data) % 256 == 0);
  double number = 0;
  std::memcpy(&number, data + 992, sizeof number);
  CHECK(std::isnan(number));
  const std::size_t sent = emulation::unwritten_sent();
  unsigned char copy[1000];
  std::memset(data, 1, 996);
  CHECK(cudaMemcpy(copy, data, 996, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(emulation::unwritten_sent() == sent);
  CHECK(cudaMemcpy(copy, data, 1000, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(emulation::unwritten_sent() == sent + 1);
  CHECK(cudaMemGetInfo(&free_after, &total) == cudaSuccess);
  CHECK(free_before - free_after == 1000);
  void* pinned = nullptr;
  CHECK(cudaHostAlloc(&pinned, 10, cudaHostAllocDefault) == cudaSuccess);
  const Inventory during = emulation::inventory();
  CHECK(during.device_allocations == before.device_allocations + 1);
  CHECK(during.device_bytes == before.device_bytes + 1000);
  CHECK(during.pinned_bytes == before.pinned_bytes + 10);

  cudaPointerAttributes attributes;
  CHECK(cudaPointerGetAttributes(&attributes, data + 999) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeDevice && attributes.device == 0);
  CHECK(cudaPointerGetAttributes(&attributes, pinned) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeHost);
  CHECK(cudaPointerGetAttributes(&attributes, &attributes) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeUnregistered);

  CHECK(cudaFree(data + 1) == cudaErrorInvalidValue);
  CHECK(cudaFree(pinned) == cudaErrorInvalidValue);
  CHECK(cudaFree(data) == cudaSuccess);
  CHECK(cudaFree(data) == cudaErrorInvalidValue);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(emulation::inventory() == before);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
}

void copies_check_both_sides() {
  auto* const device = allocate<double>(4 * sizeof(double));
  double host[4] = {1, 2, 3, 4}, back[4] = {};
  constexpr auto kUp = cudaMemcpyHostToDevice, kDown = cudaMemcpyDeviceToHost;
  CHECK(cudaMemcpyAsync(device, host, sizeof host, kUp, nullptr) == cudaSuccess);
  CHECK(cudaMemcpyAsync(back, device, sizeof back, kDown, nullptr) == cudaSuccess);
  CHECK(back[3] == 4);
  CHECK(cudaMemcpyAsync(device + 1, host, sizeof host, kUp, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(back, host, sizeof host, kUp, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(device, device + 2, 16, kUp, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(device, device + 2, 16, cudaMemcpyDeviceToDevice, nullptr) == cudaSuccess);
  CHECK(cudaMemcpyAsync(back, device, sizeof back, cudaMemcpyDefault, nullptr) == cudaSuccess);
  CHECK(back[0] == 3 && back[1] == 4);
  // Rows of one element, a pitch of two on the host.
  CHECK(cudaMemcpy2DAsync(device, 8, host, 16, 8, 2, kUp, nullptr) == cudaSuccess);
  CHECK(cudaMemcpy2DAsync(device, 16, host, 16, 8, 3, kUp, nullptr) == cudaErrorInvalidValue);
  CHECK(device[0] == 1 && device[1] == 3);
  CHECK(cudaMemsetAsync(device, 0, sizeof host, nullptr) == cudaSuccess);
  CHECK(device[3] == 0);
  CHECK(cudaMemsetAsync(host, 0, sizeof host, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaFree(device) == cudaSuccess);
  CHECK(cudaMemcpyAsync(device, host, sizeof host, kUp, nullptr) == cudaErrorInvalidValue);
  cudaGetLastError();
}

void allocations_fail_when_told_and_when_memory_is_short() {
  Machine machine;
  machine.memory = 1000;
  emulation::configure(machine);
  void *a = nullptr, *b = nullptr;
  CHECK(cudaMalloc(&a, 600) == cudaSuccess);
  CHECK(cudaMallocAsync(&b, 600, nullptr) == cudaErrorMemoryAllocation);
  CHECK(cudaFree(a) == cudaSuccess);
  emulation::fail_allocation(2);
  CHECK(cudaMallocAsync(&a, 600, nullptr) == cudaSuccess);
  CHECK(cudaMallocHost(&b, 1) == cudaErrorMemoryAllocation);
  CHECK(cudaMallocHost(&b, 1) == cudaSuccess);
  CHECK(cudaFreeAsync(a, nullptr) == cudaSuccess);
  CHECK(cudaFreeHost(b) == cudaSuccess);
  emulation::configure({});
  cudaGetLastError();
}

void pools_keep_what_their_threshold_allows() {
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, 0};
  cudaMemPool_t pool = nullptr;
  CHECK(cudaMemPoolCreate(&pool, &properties) == cudaSuccess);
  std::uint64_t threshold = 100;
  CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold) == cudaSuccess);
  const auto attribute = [&](cudaMemPoolAttr which) {
    std::uint64_t value = 0;
    CHECK(cudaMemPoolGetAttribute(pool, which, &value) == cudaSuccess);
    return value;
  };
  void* data = nullptr;
  CHECK(cudaMallocFromPoolAsync(&data, 300, pool, nullptr) == cudaSuccess);
  CHECK(attribute(cudaMemPoolAttrUsedMemCurrent) == 300);
  CHECK(cudaFreeAsync(data, nullptr) == cudaSuccess);
  CHECK(attribute(cudaMemPoolAttrUsedMemCurrent) == 0);
  CHECK(attribute(cudaMemPoolAttrReservedMemCurrent) == 100);
  CHECK(attribute(cudaMemPoolAttrUsedMemHigh) == 300);
  CHECK(cudaMemPoolTrimTo(pool, 0) == cudaSuccess);
  CHECK(attribute(cudaMemPoolAttrReservedMemCurrent) == 0);
  CHECK(cudaMemPoolDestroy(pool) == cudaSuccess);
  CHECK(cudaMemPoolTrimTo(pool, 0) == cudaErrorInvalidValue);
  cudaGetLastError();
}

// ---- streams and callbacks
// -----------------------------------------------------------------------------------------------

struct Called {
  std::atomic<int> times{0};
  cudaError_t status = cudaErrorUnknown, inside = cudaSuccess;
  std::thread::id thread;
};

void CUDART_CB note(cudaStream_t, cudaError_t status, void* data) {
  auto& called = *static_cast<Called*>(data);
  called.status = status;
  called.thread = std::this_thread::get_id();
  called.inside = cudaStreamQuery(nullptr);
  ++called.times;
}
void CUDART_CB note_host(void* data) { note(nullptr, cudaSuccess, data); }

void callbacks_come_from_another_thread() {
  cudaStream_t stream = nullptr;
  cudaEvent_t before = nullptr, after = nullptr;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaEventCreate(&before) == cudaSuccess);
  CHECK(cudaEventCreateWithFlags(&after, cudaEventDisableTiming) == cudaSuccess);
  Called called, host;
  emulation::hold_callbacks(true);
  CHECK(cudaEventRecord(before, stream) == cudaSuccess);
  CHECK(cudaStreamAddCallback(stream, note, &called, 0) == cudaSuccess);
  CHECK(cudaLaunchHostFunc(stream, note_host, &host) == cudaSuccess);
  CHECK(cudaEventRecord(after, stream) == cudaSuccess);
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  CHECK(cudaEventQuery(before) == cudaSuccess);
  CHECK(cudaEventQuery(after) == cudaErrorNotReady);
  CHECK(called.times == 0);
  emulation::hold_callbacks(false);
  CHECK(cudaEventSynchronize(after) == cudaSuccess);
  CHECK(called.times == 1 && host.times == 1);
  CHECK(called.status == cudaSuccess);
  CHECK(called.thread != std::this_thread::get_id());
  CHECK(called.inside == cudaErrorNotPermitted);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  float milliseconds = 0;
  CHECK(cudaEventElapsedTime(&milliseconds, before, after) == cudaErrorInvalidResourceHandle);
  CHECK(cudaEventDestroy(before) == cudaSuccess);
  CHECK(cudaEventDestroy(after) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
  cudaGetLastError();
}

// ---- devices, and losing them
// ----------------------------------------------------------------------------------------------

void a_lost_device_stays_lost() {
  cudaStream_t stream = nullptr;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  Called called, host;
  emulation::hold_callbacks(true);
  CHECK(cudaStreamAddCallback(stream, note, &called, 0) == cudaSuccess);
  CHECK(cudaLaunchHostFunc(stream, note_host, &host) == cudaSuccess);
  int ran = 0;
  const auto kernel = +[](int* ran) { ++*ran; };
  emulation::lose_device_at_launch(2);
  CHECK(launch(kernel, 1, 1, 0, stream, &ran) == cudaSuccess);
  CHECK(launch(kernel, 1, 1, 0, stream, &ran) == cudaSuccess);
  CHECK(ran == 1);
  CHECK(launch(kernel, 1, 1, 0, stream, &ran) == cudaErrorLaunchFailure);
  void* data = nullptr;
  CHECK(cudaMalloc(&data, 1) == cudaErrorLaunchFailure);
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
  CHECK(cudaStreamAddCallback(stream, note, &called, 0) == cudaErrorLaunchFailure);
  emulation::hold_callbacks(false);
  while (called.times == 0) std::this_thread::yield();
  CHECK(called.status == cudaErrorLaunchFailure);
  int count = 0;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  emulation::reset();
  cudaGetLastError();
  CHECK(emulation::inventory() == Inventory{});
  CHECK(cudaMalloc(&data, 1) == cudaSuccess);
  CHECK(cudaFree(data) == cudaSuccess);
  CHECK(host.times == 0);
}

void devices_are_what_the_machine_says() {
  Machine machine;
  machine.devices = 2;
  machine.shared_memory = 99 << 10;
  machine.multiprocessors = 5;
  machine.threads_per_block = 32;
  machine.compute_capability = 86;
  emulation::configure(machine);
  int count = 0, value = 0;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 2);
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 1) == cudaSuccess);
  CHECK(std::string(properties.name) == "Emulated GPU");
  CHECK(properties.major == 8 && properties.minor == 6);
  CHECK(properties.multiProcessorCount == 5 && properties.sharedMemPerBlockOptin == 99 << 10);
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxThreadsPerBlock, 1) == cudaSuccess && value == 32);
  CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
  CHECK(cudaSetDevice(1) == cudaSuccess);
  CHECK(cudaGetDevice(&value) == cudaSuccess && value == 1);
  std::thread([] {
    int ordinal = -1;
    CHECK(cudaGetDevice(&ordinal) == cudaSuccess && ordinal == 0);
  }).join();
  emulation::lose_device(1);
  CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
  CHECK(cudaSetDevice(0) == cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  emulation::reset();
  emulation::configure({});
  cudaGetLastError();
}

void launches_keep_to_the_limits() {
  const auto kernel = +[](int* out) { *out = 1; };
  const auto* const function = reinterpret_cast<const void*>(kernel);
  int out = 0, blocks = 0;
  constexpr int kWithoutAsking = 48 << 10, kMost = 227 << 10;
  CHECK(launch(kernel, 1, 65, 0, nullptr, &out) == cudaErrorInvalidConfiguration);
  CHECK(launch(kernel, 0, 1, 0, nullptr, &out) == cudaErrorInvalidConfiguration);
  CHECK(launch(kernel, dim3(1, 65536), 1, 0, nullptr, &out) == cudaErrorInvalidConfiguration);
  CHECK(launch(kernel, 1, 1, kWithoutAsking + 1, nullptr, &out) == cudaErrorInvalidValue);
  CHECK(out == 0);
  constexpr auto kAttribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  CHECK(cudaFuncSetAttribute(function, kAttribute, kMost + 1) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(function, kAttribute, kMost) == cudaSuccess);
  CHECK(launch(kernel, 1, 1, kMost, nullptr, &out) == cudaSuccess);
  CHECK(out == 1);
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 64, kMost) == cudaSuccess);
  CHECK(blocks == 1);
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 64, kMost / 4) == cudaSuccess);
  CHECK(blocks == 3);  // each takes 1 KB more
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 65, 0) == cudaSuccess);
  CHECK(blocks == 0);
  cudaGetLastError();
}

void a_machine_without_a_gpu_says_so() {
  Machine machine;
  int count = -1, version = -1;
  machine.driver = 0;
  emulation::configure(machine);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver && count == 0);
  CHECK(cudaDriverGetVersion(&version) == cudaSuccess && version == 0);
  machine.driver = CUDART_VERSION;
  machine.devices = 0;
  emulation::configure(machine);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
  CHECK(cudaSetDevice(0) == cudaErrorNoDevice);
  CHECK(std::string(cudaGetErrorName(cudaErrorNoDevice)) == "cudaErrorNoDevice");
  CHECK(std::string(cudaGetErrorString(cudaErrorNoDevice)) == "no CUDA-capable device is detected");
  emulation::configure({});
  cudaGetLastError();
}

}  // namespace

/// Arguments: emulation_child.cpp built for ThreadSanitizer, and for AddressSanitizer; without them, what
/// needs them is left out.
int main(int argc, char** argv) {
  // First those that copy the process, while it has no other thread.
  threads_that_never_meet_are_reported();
  const std::string races = argc > 1 ? argv[1] : "", overruns = argc > 2 ? argv[2] : "";
  if (!races.empty()) races_are_reported(races);
  if (!races.empty()) every_barrier_is_missed_when_dropped(races);
  if (!overruns.empty()) accesses_beyond_an_allocation_are_reported(overruns);
  threads_know_where_they_are();
  a_barrier_waits_for_all();
  schedules_differ();
  shared_memory_begins_as_nan();
  threads_that_ended_are_not_waited_for();
  shuffles_move_values_between_lanes();
  shuffles_keep_every_bit();
  groups_of_lanes_do_not_wait_for_each_other();
  votes_are_counted();
  a_lane_that_is_not_there_gives_nan();
  atomics_count_across_launches_of_several_os_threads();
  barriers_can_be_dropped();
  memory_is_accounted_for();
  copies_check_both_sides();
  allocations_fail_when_told_and_when_memory_is_short();
  pools_keep_what_their_threshold_allows();
  callbacks_come_from_another_thread();
  a_lost_device_stays_lost();
  devices_are_what_the_machine_says();
  launches_keep_to_the_limits();
  a_machine_without_a_gpu_says_so();
  return test::result();
}
