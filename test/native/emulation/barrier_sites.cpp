#include "emulation/barrier_sites.h"

#include <mutex>
#include <set>

namespace optnet::emulation {
namespace {

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
  barriers_are_watched = true;
}

std::vector<BarrierSite> barrier_sites() {
  const std::lock_guard lock(mutex);
  return {sites().begin(), sites().end()};
}

void drop_barrier(const std::string& file, int line) {
  const std::lock_guard lock(mutex);
  dropped = {file, line};
  barriers_are_watched = true;
}

void keep_all_barriers() {
  const std::lock_guard lock(mutex);
  dropped = {};
  barriers_are_watched = recording;
}

bool look_up(const char* file, int line) {
  const std::lock_guard lock(mutex);
  if (recording) sites().insert({file, line});
  return line == dropped.line && file == dropped.file;
}

}  // namespace optnet::emulation
