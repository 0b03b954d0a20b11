#include "emulation/schedule.h"

#include <cstdlib>
#include <mutex>
#include <string_view>

namespace optnet::emulation {
namespace {

Schedule from_environment() {
  const char* text = std::getenv("OPTNET_EMULATED_ORDER");
  if (!text || std::string_view(text) == "ascending") return {};
  if (std::string_view(text) == "descending") return {Schedule::Order::kDescending};
  return {Schedule::Order::kRandom, std::strtoull(text, nullptr, 10)};
}

std::mutex mutex;

Schedule& current() {
  static Schedule schedule = from_environment();
  return schedule;
}

}  // namespace

void set_schedule(Schedule schedule) {
  const std::lock_guard lock(mutex);
  current() = schedule;
}

Schedule schedule() {
  const std::lock_guard lock(mutex);
  return current();
}

}  // namespace optnet::emulation
