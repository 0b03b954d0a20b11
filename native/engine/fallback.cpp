#include "engine/fallback.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cpu/unit_solver.h"
#include "cuda/layout.h"
#include "engine/copy.h"
#include "engine/sizes.h"

namespace optnet {
namespace {

using Steps = Sequence::Steps;

/// Arrays in one block of host memory.
class HostArrays {
 public:
  using Placed = std::function<void(std::byte* at)>;

  /// Room for an array of so many bytes; `placed` is called when there is some. Returns where in the block.
  std::size_t add(std::size_t bytes, Placed placed) {
    const std::size_t offset = layout_.take(bytes);
    arrays_.emplace_back(offset, std::move(placed));
    return offset;
  }
  Failure reserve(MemoryPool& pool) {
    const std::size_t bytes = layout_.bytes();
    const bool fits = bytes <= physical_memory() && pool.take(bytes, block_);
    if (!fits) return {Failure::Code::kMemory, ' ', 0, 0, 0, bytes};
    for (const auto& [offset, placed] : arrays_) placed(at(offset));
    return {};
  }
  std::byte* at(std::size_t offset) const { return block_.data() + offset; }

 private:
  cuda::Layout layout_;  // a GPU's, so that what is sent to it follows one another there too
  std::vector<std::pair<std::size_t, Placed>> arrays_;
  MemoryPool::Block block_;
};

// ---- the arrays of each call ----------------------------------------------------------------------------

std::size_t width_of(const Shape& shape, int Shape::*width) {
  return width ? static_cast<std::size_t>(shape.*width) : 1;
}

/// A datum, its tangent and its gradient. In the order in which cuda::Inputs has the data sent: then each
/// copy is one.
struct DataPart {
  char name;
  Datum Problem::*datum;
  const void* Tangents::*tangent;
  void* Gradients::*gradient;
  int Shape::*rows;
  int Shape::*columns;  ///< null: a vector

  /// Bytes of all of it.
  std::size_t bytes(const Problem& layout) const {
    const std::size_t problems = (layout.*datum).batched ? layout.shape.batch : 1;
    const std::size_t numbers = product(width_of(layout.shape, rows), width_of(layout.shape, columns));
    return product(problems, numbers, size_of(layout.dtype));
  }
};

constexpr DataPart kData[] = {
    {'Q', &Problem::Q, &Tangents::dQ, &Gradients::dQ, &Shape::n, &Shape::n},
    {'G', &Problem::G, &Tangents::dG, &Gradients::dG, &Shape::m, &Shape::n},
    {'A', &Problem::A, &Tangents::dA, &Gradients::dA, &Shape::q, &Shape::n},
    {'p', &Problem::p, &Tangents::dp, &Gradients::dp, &Shape::n, nullptr},
    {'h', &Problem::h, &Tangents::dh, &Gradients::dh, &Shape::m, nullptr},
    {'b', &Problem::b, &Tangents::db, &Gradients::db, &Shape::q, nullptr},
    {'g', &Problem::gl, &Tangents::dgl, &Gradients::dgl, &Shape::m, nullptr},
    {'L', &Problem::lb, &Tangents::dlb, &Gradients::dlb, &Shape::n, nullptr},
    {'U', &Problem::ub, &Tangents::dub, &Gradients::dub, &Shape::n, nullptr},
};

struct ResultPart {
  void* Results::*result;
  int Shape::*width;
  bool bounded;  ///< there only with bounds, or infeasible: 'closest'
};
constexpr ResultPart kResults[] = {
    {&Results::z, &Shape::n, false},        {&Results::lambda, &Shape::m, false},
    {&Results::nu, &Shape::q, false},       {&Results::slack, &Shape::m, false},
    {&Results::lambda_gl, &Shape::m, true}, {&Results::lambda_lb, &Shape::n, true},
    {&Results::lambda_ub, &Shape::n, true}, {&Results::shift_h, &Shape::m, true},
    {&Results::shift_b, &Shape::q, true},
};

struct UpstreamPart {
  const void* Upstream::*gradient;
  bool Upstream::*on_device;
  int Shape::*width;  ///< null: one number a problem
};
constexpr UpstreamPart kUpstream[] = {
    {&Upstream::dz, &Upstream::dz_on_device, &Shape::n},
    {&Upstream::dlambda, &Upstream::dlambda_on_device, &Shape::m},
    {&Upstream::dnu, &Upstream::dnu_on_device, &Shape::q},
    {&Upstream::dlambda_gl, &Upstream::dlambda_gl_on_device, &Shape::m},
    {&Upstream::dlambda_lb, &Upstream::dlambda_lb_on_device, &Shape::n},
    {&Upstream::dlambda_ub, &Upstream::dlambda_ub_on_device, &Shape::n},
    {&Upstream::dobjective, &Upstream::dobjective_on_device, nullptr},
};

/// [batch, width], or [batch].
std::size_t bytes_of(const Problem& layout, int Shape::*width) {
  return product(layout.shape.batch, width_of(layout.shape, width), size_of(layout.dtype));
}

// ---- steps ----------------------------------------------------------------------------------------------

/// One array that is copied to or from the GPU, and its place in host memory.
struct Copy {
  std::size_t offset = 0;
  void* on_device = nullptr;
  std::size_t bytes = 0;
};

void add_reserve(Steps& steps, MemoryPool& pool, const std::shared_ptr<HostArrays>& host) {
  steps.emplace_back([&pool, host](std::shared_ptr<Call>&) { return host->reserve(pool); });
}

void add_downloads(Steps& steps, cuda::CudaDevice& gpu, const std::vector<Copy>& copies,
                   const std::shared_ptr<HostArrays>& host) {
  for (const Copy& copy : copies) {
    if (copy.bytes == 0) continue;
    steps.emplace_back([&gpu, copy, host](std::shared_ptr<Call>& next) {
      return gpu.download(copy.on_device, copy.bytes, host->at(copy.offset), next);
    });
  }
}

void add_uploads(Steps& steps, cuda::CudaDevice& gpu, const std::vector<Copy>& copies,
                 const std::shared_ptr<HostArrays>& host) {
  for (const Copy& copy : copies) {
    if (copy.bytes == 0) continue;
    steps.emplace_back([&gpu, copy, host](std::shared_ptr<Call>& next) {
      return gpu.upload(host->at(copy.offset), copy.bytes, copy.on_device, next);
    });
  }
}

/// The results of a solve that is only to leave its factors behind, of a problem without bounds: nobody reads
/// them.
class Unread {
 public:
  Failure reserve(const Problem& layout, MemoryPool& pool) {
    const Shape& shape = layout.shape;
    for (const ResultPart& part : kResults) {
      if (part.bounded) continue;
      arrays_.add(bytes_of(layout, part.width), [this, &part](std::byte* at) { results_.*part.result = at; });
    }
    for (double* Results::*numbers : {&Results::objective, &Results::primal_residual, &Results::dual_residual,
                                      &Results::gap, &Results::margin}) {
      arrays_.add(product(shape.batch, sizeof(double)),
                  [this, numbers](std::byte* at) { results_.*numbers = reinterpret_cast<double*>(at); });
    }
    for (std::uint8_t* Results::*bytes : {&Results::status, &Results::derivative}) {
      arrays_.add(shape.batch,
                  [this, bytes](std::byte* at) { results_.*bytes = reinterpret_cast<std::uint8_t*>(at); });
    }
    arrays_.add(product(shape.batch, sizeof(std::int32_t)),
                [this](std::byte* at) { results_.iterations = reinterpret_cast<std::int32_t*>(at); });
    return arrays_.reserve(pool);
  }
  const Results& results() const { return results_; }

 private:
  HostArrays arrays_;
  Results results_;
};

/// A GPU's solve. That it does not serve the batch is not a failure of this call.
class Attempt final : public Call {
 public:
  explicit Attempt(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  void run() override { call_->run(); }
  void start(std::function<void()> finished) override { call_->start(std::move(finished)); }
  Failure outcome() const override { return unserved() ? Failure{} : call_->outcome(); }

  /// Why the GPU does not serve the batch, if so.
  Failure unserved() const {
    Failure failure = call_->outcome();
    const bool may_be_served =
        failure.code == Failure::Code::kUnserved || failure.code == Failure::Code::kNotConvex;
    return may_be_served ? failure : Failure{};
  }

 private:
  std::shared_ptr<Call> call_;
};

/// A GPU's solution, for iterations of the CPU to start from.
class StartingPoint final : public Solution {
 public:
  static std::shared_ptr<Solution> read_from(Solution& solution) {
    const auto point = std::make_shared<StartingPoint>(solution.shape(), solution.dtype());
    return solution.read_vectors(point->z_, point->lambda_, point->nu_) ? nullptr : point;
  }
  StartingPoint(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {}

  bool start_vectors(BatchVectors& out) const override {
    out.z = const_cast<double*>(z_.data());
    out.lambda = out.lambda_h = const_cast<double*>(lambda_.data());
    out.nu = const_cast<double*>(nu_.data());
    return true;
  }
  Failure backward(const Upstream&, const Gradients&, std::shared_ptr<Call>&) override {
    return {Failure::Code::kDevice, ' ', 0, 0, 0, 0, "a starting point has no derivatives"};
  }
  const Shape& shape() const override { return shape_; }
  DType dtype() const override { return dtype_; }
  std::size_t bytes() const override { return 0; }
  int threads() const override { return 0; }
  const char* backend() const override { return ""; }

 private:
  Shape shape_;
  DType dtype_;
  std::vector<double> z_, lambda_, nu_;
};

}  // namespace

// ---- the solution ---------------------------------------------------------------------------------------

class FallbackSolution final : public Solution, public std::enable_shared_from_this<FallbackSolution> {
 public:
  FallbackSolution(FallbackDevice& device, const Problem& given, const Settings& settings)
      : device_(device), given_(given), layout_(given), settings_(settings) {
    static const char present = 0;
    for (const DataPart& part : kData) {
      Datum& datum = layout_.*part.datum;
      datum.owner = nullptr;
      if (datum.data) datum.data = &present;
    }
  }

  /// The call that solves, by the GPU if it has a `call` ready for that, and by the CPU.
  void solve(std::shared_ptr<Solution> gpu, std::shared_ptr<Call> call, const Results& results,
             std::shared_ptr<Control> control, std::shared_ptr<Call>& out);
  void leave_to_cpu(Failure why) { unserved_ = std::move(why); }

  Failure backward(const Upstream& upstream, const Gradients& gradients, std::shared_ptr<Call>& out) override;
  Failure jvp(const Tangents& tangents, const SolutionTangents& results, std::shared_ptr<Call>& out) override;
  Failure unserved() const override { return unserved_; }
  std::shared_ptr<Solution> start_for_cpu() override;

  const Shape& shape() const override { return layout_.shape; }
  DType dtype() const override { return layout_.dtype; }
  std::size_t bytes() const override {
    const std::shared_ptr<Solution> cpu = on_cpu();
    return (gpu_ ? gpu_->bytes() : 0) + (cpu ? cpu->bytes() : 0) + bytes_given_;
  }
  int threads() const override { return solver().threads(); }
  const char* backend() const override { return solver().backend(); }

 private:
  const Solution& solver() const { return gpu_ ? *gpu_ : *cpu_; }
  std::shared_ptr<Solution> on_cpu() const {
    const std::lock_guard lock(mutex_);
    return cpu_;
  }
  void keep_on_cpu(std::shared_ptr<Solution> solution) {
    const std::lock_guard lock(mutex_);
    if (!cpu_) cpu_ = std::move(solution);
  }

  void add_cpu_solve(Steps& steps, std::shared_ptr<const Results> results, std::shared_ptr<Control> control);
  Steps solve_on_cpu(const Results& results, std::shared_ptr<Control> control);
  void end_solve();
  Failure add_second_solve(Steps& steps);

  FallbackDevice& device_;
  Problem given_;   ///< as long as they may be needed
  Problem layout_;  ///< of the data, only whether they are there
  std::size_t bytes_given_ = 0;
  char lost_ = ' ';  ///< a datum of which there is nothing left
  Settings settings_;
  Failure unserved_;
  std::shared_ptr<Solution> gpu_;  ///< null where the CPU solved
  mutable std::mutex mutex_;
  std::shared_ptr<Solution> cpu_;  ///< guarded by mutex_; null until it is needed
};

/// Adds what has the CPU solve the batch: first, the data that are on the GPU come to host memory.
void FallbackSolution::add_cpu_solve(Steps& steps, std::shared_ptr<const Results> results,
                                     std::shared_ptr<Control> control) {
  struct Work {
    Problem problem;
    std::shared_ptr<Solution> solution;
  };
  const auto work = std::make_shared<Work>();
  work->problem = given_;
  const auto host = std::make_shared<HostArrays>();
  std::vector<Copy> copies;
  for (const DataPart& part : kData) {
    Datum& datum = work->problem.*part.datum;
    if (!datum.data || !datum.on_device) continue;
    const std::size_t bytes = part.bytes(given_);
    const std::size_t offset = host->add(bytes, [&datum](std::byte* at) {
      datum = {at, datum.batched, false, nullptr};
    });
    copies.push_back({offset, const_cast<void*>(datum.data), bytes});
  }
  add_reserve(steps, *device_.memory_, host);
  add_downloads(steps, *device_.gpu_, copies, host);
  steps.emplace_back([this, work, host, results, control](std::shared_ptr<Call>& next) -> Failure {
    if (control && control->cancelled) return {Failure::Code::kCancelled};
    return device_.cpu_.solve(work->problem, settings_, *results, control, work->solution, next);
  });
  steps.emplace_back([this, work](std::shared_ptr<Call>&) -> Failure {
    keep_on_cpu(std::move(work->solution));
    return {};
  });
}

/// Steps by which the CPU solves the batch, and its results get to where they are wanted.
Steps FallbackSolution::solve_on_cpu(const Results& results, std::shared_ptr<Control> control) {
  Steps steps;
  const auto on_host = std::make_shared<Results>(results);
  const auto host = std::make_shared<HostArrays>();
  std::vector<Copy> copies;
  on_host->on_device = false;
  for (const ResultPart& part : kResults) {
    void* const wanted = results.*part.result;
    if (!wanted || !results.on_device) continue;
    const std::size_t bytes = bytes_of(layout_, part.width);
    const std::size_t offset =
        host->add(bytes, [on_host, &part](std::byte* at) { (*on_host).*part.result = at; });
    copies.push_back({offset, wanted, bytes});
  }
  add_reserve(steps, *device_.memory_, host);
  add_cpu_solve(steps, on_host, std::move(control));
  add_uploads(steps, *device_.gpu_, copies, host);
  steps.emplace_back([self = shared_from_this()](std::shared_ptr<Call>&) -> Failure {
    self->end_solve();
    return {};
  });
  return steps;
}

void FallbackSolution::solve(std::shared_ptr<Solution> gpu, std::shared_ptr<Call> call,
                             const Results& results, std::shared_ptr<Control> control,
                             std::shared_ptr<Call>& out) {
  Steps by_cpu = solve_on_cpu(results, std::move(control));
  if (!call) {
    out = std::make_shared<Sequence>(std::move(by_cpu));
    return;
  }
  const auto attempt = std::make_shared<Attempt>(std::move(call));
  gpu_ = std::move(gpu);
  Steps steps;
  steps.emplace_back([attempt](std::shared_ptr<Call>& next) -> Failure {
    next = attempt;
    return {};
  });
  steps.emplace_back([self = shared_from_this(), attempt, by_cpu](std::shared_ptr<Call>& next) -> Failure {
    self->unserved_ = attempt->unserved();
    if (self->unserved_) {
      self->gpu_ = nullptr;
      next = std::make_shared<Sequence>(by_cpu);
    } else {
      self->end_solve();
    }
    return {};
  });
  out = std::make_shared<Sequence>(std::move(steps));
}

/// Lets go of the data, unless derivatives may need them. Memory of other CUDA code's is its own again.
void FallbackSolution::end_solve() {
  settings_.warm_start = nullptr;
  if (!gpu_ || !settings_.differentiable) {
    given_ = layout_;
    return;
  }
  for (const DataPart& part : kData) {
    Datum& datum = given_.*part.datum;
    if (!datum.data) continue;
    if (datum.on_device && !datum.owner) {
      datum.data = nullptr;
      lost_ = part.name;
    } else if (!datum.on_device) {
      bytes_given_ = sum(bytes_given_, part.bytes(given_));
    }
  }
}

Failure FallbackDevice::keep(const Problem& problem, Problem& out) {
  const auto host = std::make_shared<HostArrays>();
  out = problem;
  for (const bool batched : {false, true}) {
    for (const DataPart& part : kData) {
      Datum& datum = out.*part.datum;
      if (!datum.data || datum.on_device || datum.batched != batched) continue;
      const std::size_t bytes = part.bytes(problem);
      host->add(bytes, [this, &datum, bytes](std::byte* at) {
        copy(pool_, at, datum.data, bytes);
        datum.data = at;
      });
      datum.owner = host;
    }
  }
  return host->reserve(*memory_);
}

Failure FallbackDevice::solve(const Problem& problem, const Settings& settings, const Results& results,
                              std::shared_ptr<Control> control, std::shared_ptr<Solution>& solution,
                              std::shared_ptr<Call>& call) {
  Problem given;
  if (Failure f = keep(problem, given)) return f;
  const auto made = std::make_shared<FallbackSolution>(*this, given, settings);
  std::shared_ptr<Solution> on_gpu;
  std::shared_ptr<Call> gpu_call;
  if (settings.fallback) {
    Failure failure = gpu_->solve(given, settings, results, control, on_gpu, gpu_call);
    if (failure.code == Failure::Code::kUnserved) {
      made->leave_to_cpu(std::move(failure));
      gpu_call = nullptr;
    } else if (failure) {
      return failure;
    }
  }
  made->solve(std::move(on_gpu), std::move(gpu_call), results, std::move(control), call);
  solution = made;
  return {};
}

// ---- derivatives ----------------------------------------------------------------------------------------

/// Adds what makes the CPU's solution of a batch that the GPU solved, if there is none yet.
Failure FallbackSolution::add_second_solve(Steps& steps) {
  if (on_cpu()) return {};
  if (lost_ != ' ') {
    Failure failure{Failure::Code::kDevice};
    failure.message =
        std::string(1, lost_) + " was memory of other CUDA code, of which the solution keeps no copy";
    return failure;
  }
  const auto unread = std::make_shared<Unread>();
  if (Failure f = unread->reserve(layout_, *device_.memory_)) return f;
  add_cpu_solve(steps, {unread, &unread->results()}, nullptr);
  return {};
}

Failure FallbackSolution::backward(const Upstream& upstream, const Gradients& gradients,
                                   std::shared_ptr<Call>& out) {
  const bool served = !upstream.dlambda_gl && !upstream.dlambda_lb && !upstream.dlambda_ub &&
                      !upstream.dobjective && !gradients.residual;
  if (gpu_ && served) return gpu_->backward(upstream, gradients, out);

  Steps steps;
  if (Failure f = add_second_solve(steps)) return f;
  struct Work {
    Upstream upstream;
    Gradients gradients;
  };
  const auto work = std::make_shared<Work>(Work{upstream, gradients});
  work->gradients.on_device = false;
  HostArrays host;
  std::vector<Copy> down, up;
  for (const UpstreamPart& part : kUpstream) {
    const void*& given = work->upstream.*part.gradient;
    if (!given) continue;
    const std::size_t bytes = bytes_of(layout_, part.width);
    const bool on_device = std::exchange(work->upstream.*part.on_device, false);
    const std::size_t offset = host.add(bytes, [this, &given, bytes, on_device](std::byte* at) {
      if (!on_device) copy(device_.pool_, at, given, bytes);
      given = at;
    });
    if (on_device) down.push_back({offset, const_cast<void*>(given), bytes});
  }
  for (const DataPart& part : kData) {
    void*& wanted = work->gradients.*part.gradient;
    if (!wanted || !gradients.on_device) continue;
    const std::size_t bytes = part.bytes(layout_);
    up.push_back({host.add(bytes, [&wanted](std::byte* at) { wanted = at; }), wanted, bytes});
  }
  if (Failure f = host.reserve(*device_.memory_)) return f;

  const auto kept = std::make_shared<HostArrays>(std::move(host));
  add_downloads(steps, *device_.gpu_, down, kept);
  steps.emplace_back([self = shared_from_this(), work, kept](std::shared_ptr<Call>& next) {
    return self->on_cpu()->backward(work->upstream, work->gradients, next);
  });
  add_uploads(steps, *device_.gpu_, up, kept);
  out = std::make_shared<Sequence>(std::move(steps));
  return {};
}

std::shared_ptr<Solution> FallbackSolution::start_for_cpu() {
  if (!gpu_) return on_cpu();
  return StartingPoint::read_from(*gpu_);
}

Failure FallbackSolution::jvp(const Tangents& tangents, const SolutionTangents& results,
                              std::shared_ptr<Call>& out) {
  if (const std::shared_ptr<Solution> cpu = on_cpu()) return cpu->jvp(tangents, results, out);
  Steps steps;
  if (Failure f = add_second_solve(steps)) return f;
  const auto host = std::make_shared<HostArrays>();
  const auto copied = std::make_shared<Tangents>(tangents);
  for (const DataPart& part : kData) {
    const void*& tangent = (*copied).*part.tangent;
    if (!tangent) continue;
    const std::size_t bytes = part.bytes(layout_);
    host->add(bytes, [this, &tangent, bytes](std::byte* at) {
      copy(device_.pool_, at, tangent, bytes);
      tangent = at;
    });
  }
  if (Failure f = host->reserve(*device_.memory_)) return f;
  steps.emplace_back([self = shared_from_this(), copied, host, results](std::shared_ptr<Call>& next) {
    return self->on_cpu()->jvp(*copied, results, next);
  });
  out = std::make_shared<Sequence>(std::move(steps));
  return {};
}

}  // namespace optnet
