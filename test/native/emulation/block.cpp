#include "emulation/block.h"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "emulation/barrier_sites.h"
#include "emulation/builtins.h"
#include "emulation/fiber.h"
#include "emulation/sanitizers.h"
#include "emulation/schedule.h"

#ifdef __SANITIZE_THREAD__
#error "compile this file with -fno-sanitize=thread (sanitizers.h says why)"
#endif

constinit thread_local uint3 threadIdx{};
constinit thread_local uint3 blockIdx{};
constinit thread_local dim3 blockDim{};
constinit thread_local dim3 gridDim{};

namespace optnet::emulation {
namespace {

constexpr const char* kBlockBarrier = "__syncthreads";
constexpr const char* kLanesBarrier = "__syncwarp";
constexpr const char* kShuffle = "a shuffle";
constexpr const char* kVote = "a vote";

/// What a thread waits for others with.
struct Meeting {
  const char* kind = nullptr;  // one of the above
  const char* file = nullptr;  // where a barrier stands
  int line = 0;
  unsigned mask = 0;  // of the lanes that meet; 0: the whole block
};

enum class State { kReady, kEnded, kWaitsForBlock, kWaitsForLanes };

struct Thread {
  State state = State::kReady;
  unsigned linear = 0;
  uint3 index{};
  Meeting meeting;             // if it waits
  std::uint64_t value = 0;     // brought to a shuffle or a vote
  unsigned source = 0;         // the lane whose value is asked for
  std::uint64_t received = 0;  // that value
  unsigned votes = 0;          // lanes whose value is not 0
  std::unique_ptr<Fiber> fiber;
};

struct Warp {
  unsigned waiting = 0;  // lanes, by bit
  unsigned ended = 0;    // these too; those that a narrow block lacks have always been
};

struct alignas(8) Token {
  char address;
};

/// What ThreadSanitizer is told to order a block's threads by. Barriers alternate between two tokens: a
/// thread that is already at the next barrier must not appear to come before what others still do behind this
/// one.
struct Tokens {
  Token block[2];
  struct Lanes {  // one for each group of lanes, at the lowest lane of its mask
    Token token[2];
    int turn = 0;
  };
  std::vector<Lanes> lanes;
};

std::uint64_t random_bits(std::uint64_t& state) {  // splitmix64
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

unsigned volume(dim3 size) { return size.x * size.y * size.z; }

uint3 position(unsigned index, dim3 size) {
  return {index % size.x, index / size.x % size.y, index / size.x / size.y};
}

bool same_place(const Meeting& a, const Meeting& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

/// Each costs ThreadSanitizer 0.8 MB, and it knows 8000 at most. In grids of more threads it may miss a race
/// between blocks.
constexpr std::size_t kMostEndedFibers = 1000;

/// Runs one block at a time, and keeps the fibers for the next.
class Block {
 public:
  void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(const void*),
                const void* context);

  std::byte* shared_memory() { return shared_.back().get(); }
  unsigned lane_index() const { return running_ % kWarpSize; }

  void meet_block(const Meeting& meeting);
  void meet_lanes(const Meeting& meeting, bool orders);
  std::uint64_t shuffle(const Meeting& meeting, std::uint64_t value, unsigned source);
  unsigned vote(const Meeting& meeting, bool predicate);

  /// Where every thread stands.
  void describe() const;

 private:
  void prepare(dim3 size, std::size_t shared_bytes);
  void run();
  static void thread_entry();
  void end_thread();

  void release_block();
  bool release_lanes(unsigned first_thread, unsigned mask);
  void take_turns();
  void shuffle_order();
  void make_current(unsigned thread);
  const Thread& current() const { return threads_[running_]; }
  Thread& current() { return threads_[running_]; }

  void (*kernel_)(const void*) = nullptr;
  const void* context_ = nullptr;

  std::vector<Thread> threads_;  // of the widest block so far; `size_` of them are used
  std::vector<std::unique_ptr<Fiber>> ended_fibers_;
  std::vector<Warp> warps_;
  std::vector<std::unique_ptr<std::byte[]>> shared_;  // of the running block, at the end
  unsigned size_ = 0;
  unsigned running_ = 0;                    // the running thread
  unsigned alive_ = 0;                      // threads that have not ended
  unsigned waiting_for_block_ = 0;          // threads
  const Meeting* block_meeting_ = nullptr;  // where the first of them waits
  int block_turn_ = 0;

  Schedule schedule_;
  std::uint64_t random_ = 0;
  std::vector<unsigned> order_;  // of threads between two barriers
  unsigned place_ = 0;           // of the running one in it

  std::optional<Fiber> outside_;  // of all emulated threads: who called run_grid
  std::unique_ptr<Tokens> tokens_;
  std::unique_ptr<Token> end_token_;
};

thread_local Block block_of_this_thread;
constinit thread_local Block* active = nullptr;  // that block, while it runs

void Block::run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(const void*),
                     const void* context) {
  if (active) fail("a kernel launches a kernel");
  active = this;
  kernel_ = kernel;
  context_ = context;
  gridDim = grid;
  blockDim = block;
  schedule_ = schedule();
  random_ = schedule_.seed;
  outside_.emplace();
  end_token_ = std::make_unique<Token>();

  std::vector<unsigned> blocks(volume(grid));
  order_.resize(volume(grid));
  shuffle_order();
  blocks.swap(order_);
  for (const unsigned index : blocks) {
    blockIdx = position(index, grid);
    prepare(block, shared_bytes);
    run();
  }
  announce_acquire(end_token_.get());
  shared_.clear();
  ended_fibers_.clear();
  active = nullptr;
}

void Block::prepare(dim3 size, std::size_t shared_bytes) {
  // In an allocation of its own, so that AddressSanitizer sees accesses beyond it. ThreadSanitizer would take
  // freeing it for a race with the block's threads, until the caller has acquired their end.
  if (!under_thread_sanitizer()) shared_.clear();
  shared_.push_back(std::make_unique_for_overwrite<std::byte[]>(shared_bytes));
  std::memset(shared_.back().get(), 0xff, shared_bytes);

  size_ = alive_ = volume(size);
  if (threads_.size() < size_) {
    std::vector<Thread> more(size_);
    threads_.swap(more);
  }
  // Whatever is used again would, to ThreadSanitizer, be shared by blocks or order them. Nor may fibers be
  // destroyed before the grid's end: it would know the new ones by the numbers of the old.
  const bool renew = under_thread_sanitizer();
  if (ended_fibers_.size() > kMostEndedFibers) ended_fibers_.clear();
  for (unsigned i = 0; i < size_; ++i) {
    Thread& thread = threads_[i];
    if (renew && thread.fiber) ended_fibers_.push_back(std::move(thread.fiber));
    if (!thread.fiber) thread.fiber = std::make_unique<Fiber>(&thread_entry);
    thread.state = State::kReady;
    thread.linear = i;
    thread.index = position(i, size);
  }
  warps_.assign((size_ + kWarpSize - 1) / kWarpSize, Warp{});
  if (size_ % kWarpSize != 0) warps_.back().ended = ~0u << size_ % kWarpSize;
  tokens_ = std::make_unique<Tokens>();
  tokens_->lanes.resize(warps_.size() * kWarpSize);
  order_.resize(size_);
  shuffle_order();
}

void Block::run() {
  place_ = 0;
  make_current(order_[0]);
  outside_->switch_to(*current().fiber);
}

void Block::thread_entry() {
  Fiber::arrived();
  for (;;) {  // once for each block
    active->kernel_(active->context_);
    active->end_thread();
  }
}

void Block::end_thread() {
  announce_release(end_token_.get());
  current().state = State::kEnded;
  --alive_;
  // Who waits only for this thread waits no longer.
  if (alive_ > 0 && waiting_for_block_ == alive_) release_block();
  Warp& warp = warps_[running_ / kWarpSize];
  const unsigned first = running_ - lane_index();
  warp.ended |= 1u << lane_index();
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    if (warp.waiting >> lane & 1) release_lanes(first, threads_[first + lane].meeting.mask);
  take_turns();
}

// ---- meeting
// ---------------------------------------------------------------------------------------------------------

void Block::meet_block(const Meeting& meeting) {
  Thread& thread = current();
  thread.meeting = meeting;
  thread.state = State::kWaitsForBlock;
  if (waiting_for_block_++ == 0) block_meeting_ = &thread.meeting;
  if (!same_place(*block_meeting_, meeting)) fail("threads of a block meet at different barriers");
  auto* token = &tokens_->block[block_turn_];
  announce_release(token);
  if (waiting_for_block_ == alive_) release_block();
  take_turns();
  announce_acquire(token);
}

void Block::release_block() {
  for (unsigned i = 0; i < size_; ++i)
    if (threads_[i].state == State::kWaitsForBlock) threads_[i].state = State::kReady;
  waiting_for_block_ = 0;
  block_turn_ ^= 1;
  if (schedule_.order == Schedule::Order::kRandom) shuffle_order();
  place_ = size_ - 1;  // the next turn is that of the first
}

/// `orders`: whether what lanes did before comes before what others do after.
void Block::meet_lanes(const Meeting& meeting, bool orders) {
  Thread& thread = current();
  const unsigned first = running_ - lane_index();
  if (!(meeting.mask >> lane_index() & 1)) fail("a lane is not in the mask that it names");
  thread.meeting = meeting;
  thread.state = State::kWaitsForLanes;
  warps_[running_ / kWarpSize].waiting |= 1u << lane_index();
  auto& lanes = tokens_->lanes[first + std::countr_zero(meeting.mask)];
  auto* token = &lanes.token[lanes.turn];
  if (orders) announce_release(token);
  release_lanes(first, meeting.mask);
  take_turns();
  if (orders) announce_acquire(token);
}

/// Lets the lanes in `mask` go on if all have come.
bool Block::release_lanes(unsigned first_thread, unsigned mask) {
  Warp& warp = warps_[first_thread / kWarpSize];
  const unsigned came = warp.waiting & mask;
  if ((came | warp.ended) != (mask | warp.ended)) return false;
  const auto each = [&](auto visit) {
    for (unsigned left = came; left != 0; left &= left - 1)
      visit(threads_[first_thread + std::countr_zero(left)]);
  };
  const Meeting& meeting = threads_[first_thread + std::countr_zero(came)].meeting;
  each([&](Thread& lane) {
    if (lane.meeting.mask != mask || lane.meeting.kind != meeting.kind)
      fail("lanes that wait for each other call different functions, or with different masks");
  });
  // Here, for all: who goes on first may bring its next value before others have looked at this one.
  unsigned votes = 0;
  each([&](const Thread& lane) { votes |= (lane.value != 0 ? 1u : 0u) << (lane.linear % kWarpSize); });
  each([&](Thread& lane) {
    lane.received = came >> lane.source & 1 ? threads_[first_thread + lane.source].value : ~0ull;
    lane.votes = votes;
    lane.state = State::kReady;
  });
  warp.waiting &= ~came;
  tokens_->lanes[first_thread + std::countr_zero(mask)].turn ^= 1;
  return true;
}

std::uint64_t Block::shuffle(const Meeting& meeting, std::uint64_t value, unsigned source) {
  current().value = value;
  current().source = source;
  meet_lanes(meeting, false);
  return current().received;
}

unsigned Block::vote(const Meeting& meeting, bool predicate) {
  current().value = predicate;
  meet_lanes(meeting, false);
  return current().votes;
}

// ---- taking turns
// ----------------------------------------------------------------------------------------------------

/// Lets the next thread run that can; returns when it is the running one's turn again.
void Block::take_turns() {
  Fiber& from = *current().fiber;
  if (alive_ == 0) {
    from.switch_to(*outside_);
    return;
  }
  for (unsigned i = 0; i < size_; ++i) {
    place_ = place_ + 1 < size_ ? place_ + 1 : 0;
    if (threads_[order_[place_]].state != State::kReady) continue;
    const unsigned before = running_;
    make_current(order_[place_]);
    if (running_ != before) from.switch_to(*current().fiber);
    return;
  }
  fail("all threads that have not ended wait, for different things");
}

void Block::make_current(unsigned thread) {
  running_ = thread;
  threadIdx = threads_[thread].index;
}

void Block::shuffle_order() {
  const unsigned n = static_cast<unsigned>(order_.size());
  for (unsigned i = 0; i < n; ++i)
    order_[i] = schedule_.order == Schedule::Order::kDescending ? n - 1 - i : i;
  if (schedule_.order != Schedule::Order::kRandom) return;
  for (unsigned i = n; i > 1; --i) std::swap(order_[i - 1], order_[random_bits(random_) % i]);
}

// ---- failing
// ---------------------------------------------------------------------------------------------------------

void Block::describe() const {
  std::fprintf(stderr, "  in block (%u, %u, %u), thread (%u, %u, %u):\n", blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, threadIdx.y, threadIdx.z);
  for (unsigned i = 0; i < size_; ++i) {
    const auto& [x, y, z] = threads_[i].index;
    std::fprintf(stderr, "  thread (%u, %u, %u) ", x, y, z);
    const Meeting& meeting = threads_[i].meeting;
    switch (threads_[i].state) {
      case State::kReady: std::fputs("has not got there", stderr); break;
      case State::kEnded: std::fputs("has ended", stderr); break;
      case State::kWaitsForBlock: std::fprintf(stderr, "waits at %s", meeting.kind); break;
      case State::kWaitsForLanes:
        std::fprintf(stderr, "waits at %s with mask 0x%08x", meeting.kind, meeting.mask);
        break;
    }
    const bool waits = threads_[i].state >= State::kWaitsForBlock;
    if (waits && meeting.file) std::fprintf(stderr, ", %s:%d", meeting.file, meeting.line);
    std::fputc('\n', stderr);
  }
}

}  // namespace

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(const void* context),
              const void* context) {
  block_of_this_thread.run_grid(grid, block, shared_bytes, kernel, context);
}

std::byte* shared_memory() { return active->shared_memory(); }
unsigned lane_index() { return active->lane_index(); }

void synchronize_block(const char* file, int line) {
  if (!is_dropped(file, line)) active->meet_block({kBlockBarrier, file, line, 0});
}

void synchronize_lanes(unsigned mask, const char* file, int line) {
  if (!is_dropped(file, line)) active->meet_lanes({kLanesBarrier, file, line, mask}, true);
}

std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned source) {
  return active->shuffle({kShuffle, nullptr, 0, mask}, value, source);
}

unsigned vote(unsigned mask, bool predicate) { return active->vote({kVote, nullptr, 0, mask}, predicate); }

void fence() {
  static Token token;
  announce_acquire(&token);
  announce_release(&token);
}

void fail(const char* message) {
  std::fprintf(stderr, "emulation: %s\n", message);
  if (active) active->describe();
  std::abort();
}

}  // namespace optnet::emulation
