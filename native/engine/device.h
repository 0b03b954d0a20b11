// What the binding knows of whatever solves: the CPU, or one GPU. One Device for each environment and
// processor.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "engine/problem.h"

namespace optnet {

struct BatchVectors;

/// Lets a caller watch a long call and end it early. Shared with the threads that work on it.
struct Control {
  std::atomic<bool> cancelled{false};
  /// Problems done so far; called by worker threads, now and then, never twice at once with a smaller number.
  std::function<void(std::size_t solved)> progress;
};

/// Work that is ready to run, once. It holds all that it works on, but for the arrays that it writes.
class Call {
 public:
  virtual ~Call() = default;
  /// Runs it to its end; the calling thread waits, or works too.
  virtual void run() = 0;
  /// Returns at once. `finished` is called once, by another thread; until then the call must be kept.
  virtual void start(std::function<void()> finished) = 0;
  /// What went wrong, once it has ended.
  virtual Failure outcome() const = 0;
};

/// One batch, from when its data are copied in: the plan that was made for it, and the factors that solving
/// it leaves behind.
class Solution {
 public:
  virtual ~Solution() = default;

  virtual const Shape& shape() const = 0;
  virtual DType dtype() const = 0;
  virtual std::size_t bytes() const = 0;  ///< memory held outside JavaScript's heap
  virtual int threads() const = 0;        ///< that work on a call; 0 on a GPU
  /// The kernels that serve it: "general", "packed", "blocked", "lanes", "block", "library".
  virtual const char* backend() const = 0;

  /// Copies and checks `upstream`, and makes the call that writes `gradients`. Requires that the batch was
  /// solved, with settings.differentiable. Calls may overlap.
  virtual Failure backward(const Upstream& upstream, const Gradients& gradients,
                           std::shared_ptr<Call>& out) = 0;

  /// The same for the solution's derivative along `tangents`, which are host memory.
  virtual Failure jvp(const Tangents&, const SolutionTangents&, std::shared_ptr<Call>&) {
    return {Failure::Code::kDevice, ' ', 0, 0, 0, 0, "derivatives along a direction are not computed here"};
  }

  /// Why the CPU solved what a GPU was to solve: kUnserved, kNotConvex, or none.
  virtual Failure unserved() const { return {}; }
  /// Reads z, λ and ν from where they are kept, [batch, n], [batch, m] and [batch, q]. Requires what backward
  /// does.
  virtual Failure read_vectors(std::vector<double>&, std::vector<double>&, std::vector<double>&) {
    return {Failure::Code::kDevice, ' ', 0, 0, 0, 0, "there are no vectors to read here"};
  }
  /// What the CPU can start from (see start_vectors); null where there is nothing.
  virtual std::shared_ptr<Solution> start_for_cpu() { return nullptr; }
  /// Points to vectors in host memory from which iterations may start; false where there are none.
  virtual bool start_vectors(BatchVectors&) const { return false; }
};

class Device {
 public:
  virtual ~Device() = default;
  /// Copies the data in (data in host memory: before it returns) and makes the call that solves them and
  /// writes `results`. Data that are wrong fail here or in the call's outcome.
  virtual Failure solve(const Problem& problem, const Settings& settings, const Results& results,
                        std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                        std::shared_ptr<Call>& call) = 0;
};

}  // namespace optnet
