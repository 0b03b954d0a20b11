// In which order the emulated threads run between two barriers, and blocks within a grid. A kernel that is
// right gives the same result in any order.
#pragma once

#include <cstdint>

namespace optnet::emulation {

struct Schedule {
  enum class Order { kAscending, kDescending, kRandom };
  Order order = Order::kAscending;
  std::uint64_t seed = 0;  ///< of kRandom: another permutation after each barrier, the same at each launch
};

/// For launches from now on, of all OS threads. At first what OPTNET_EMULATED_ORDER says: "ascending",
/// "descending", or a number, which is the seed of kRandom.
void set_schedule(Schedule schedule);
Schedule schedule();

}  // namespace optnet::emulation
