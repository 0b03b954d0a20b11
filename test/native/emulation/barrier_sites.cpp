#include "emulation/barrier_sites.h"

#include <atomic>
#include <mutex>
#include <set>

namespace optnet::emulation {
namespace {

// Whether barriers are recorded or one is dropped; where not, a barrier costs no more than reading this.
std::atomic<bool> watched{false};

std::mutex mutex;
bool recording = false;
BarrierSite dropped;

std::set<BarrierSite>& sites() {
  static std::set<BarrierSite> sites;
  return sites;
}

}  // namespace

void record_barriers() {
  const std::lock_guard lock(mutex);
  sites().clear();
  recording = true;
  watched = true;
}

std::vector<BarrierSite> barrier_sites() {
  const std::lock_guard lock(mutex);
  return {sites().begin(), sites().end()};
}

void drop_barrier(const std::string& file, int line) {
  const std::lock_guard lock(mutex);
  dropped = {file, line};
  watched = true;
}

void keep_all_barriers() {
  const std::lock_guard lock(mutex);
  dropped = {};
  watched = recording;
}

bool is_dropped(const char* file, int line) {
  if (!watched.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(mutex);
  if (recording) sites().insert({file, line});
  return line == dropped.line && file == dropped.file;
}

}  // namespace optnet::emulation
