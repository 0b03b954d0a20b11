// No barrier of the fused kernels is missing, and none could be left out: ThreadSanitizer finds no race in
// them, and finds one as soon as any single barrier is dropped.
#include <cstring>
#include <sstream>

#include "check.h"
#include "child.h"

using optnet::test::Outcome;
using optnet::test::run_program;

namespace {

bool reports_a_race(const Outcome& outcome) { return outcome.says("WARNING: ThreadSanitizer: data race"); }

/// In one order of the threads or the other: what the first of them does before the others have begun is, to
/// ThreadSanitizer, before them.
bool races_without(const std::string& child, const std::string& file, const std::string& line) {
  for (const char* order : {"ascending", "descending"}) {
    setenv("OPTNET_EMULATED_ORDER", order, 1);
    if (reports_a_race(run_program({child, "drop", file, line}))) return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || std::strlen(argv[1]) == 0) return 77;  // ctest: skipped, there is no ThreadSanitizer
  const std::string child = argv[1];
  setenv("TSAN_OPTIONS", "halt_on_error=1", 1);

  const Outcome whole = run_program({child});
  CHECK(whole.status == 0);
  if (whole.status != 0) std::fprintf(stderr, "%s\n", whole.output.c_str());

  std::istringstream sites(run_program({child, "sites"}).output);
  std::string file, line;
  int count = 0;
  while (sites >> file >> line) {
    ++count;
    const bool races = races_without(child, file, line);
    CHECK(races);
    std::printf("%s without the barrier at %s:%s\n", races ? "a race" : "NO RACE", file.c_str(),
                line.c_str());
    std::fflush(stdout);
  }
  CHECK(count >= 20);
  return optnet::test::result();
}
