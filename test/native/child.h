// Processes for what a test expects to end badly.
#pragma once

#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include <string>
#include <vector>

namespace optnet::test {

struct Outcome {
  int status = 0;      ///< as waitpid gives it; 0 where all went well
  std::string output;  ///< standard output and standard error
  bool says(const char* text) const { return output.find(text) != std::string::npos; }
};

/// Calls `function` in a copy of this process.
template <class Function>
Outcome run_in_child(Function function) {
  int ends[2];
  if (pipe(ends) != 0) return {-1, "no pipe"};
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    function();
    std::fflush(nullptr);
    _exit(0);
  }
  close(ends[1]);
  Outcome outcome;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    outcome.output.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  if (child < 0 || waitpid(child, &outcome.status, 0) != child) outcome.status = -1;
  return outcome;
}

/// Runs a program, which may be built for a sanitizer. Older ThreadSanitizers do not run where the kernel
/// puts libraries at random places of a large range.
inline Outcome run_program(const std::vector<std::string>& command) {
  return run_in_child([&] {
    personality(ADDR_NO_RANDOMIZE);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    std::perror(arguments[0]);
    _exit(127);
  });
}

}  // namespace optnet::test
