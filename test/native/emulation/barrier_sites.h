// The places in the source where emulated threads meet at a barrier. A test collects them, then drops them
// one by one: where ThreadSanitizer then reports no race, the barrier is not needed or the test is too weak.
#pragma once

#include <atomic>
#include <string>
#include <vector>

namespace optnet::emulation {

struct BarrierSite {
  std::string file;
  int line = 0;
  friend auto operator<=>(const BarrierSite&, const BarrierSite&) = default;
};

/// From now on, barriers that are reached are remembered. Slow.
void record_barriers();
/// Those that were reached since, sorted.
std::vector<BarrierSite> barrier_sites();

/// From now on, threads do not wait at the barriers of this place. One place at a time; call it while no
/// kernel runs.
void drop_barrier(const std::string& file, int line);
void keep_all_barriers();

// ---- for the barriers themselves ----

/// Whether barriers are recorded or one is dropped; where not, a barrier costs no more than reading this.
inline constinit std::atomic<bool> barriers_are_watched{false};
bool look_up(const char* file, int line);

/// Whether threads are not to wait here.
inline bool is_dropped(const char* file, int line) {
  return barriers_are_watched.load(std::memory_order_relaxed) && look_up(file, line);
}

}  // namespace optnet::emulation
