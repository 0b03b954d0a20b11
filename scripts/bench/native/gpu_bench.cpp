// How fast a GPU solves and differentiates, without Node: milliseconds a batch, one JSON object a line.
//   gpu_bench [--device N] [--precision float64|mixed|float32] [--tier lanes|block|library] [--repeats N]
//             [--seconds S] [--tolerance T] [n,m,q,batch …]
//   gpu_bench --first [n,m,q,batch …]           what the first call in a process takes, part by part
//   gpu_bench --dump FOLDER [n,m,q,batch …]     writes the problems, for scripts/bench/peers.py
// call: what a caller waits for, from the data on the GPU to results on the GPU; host: from and to host
// memory, gradients too; flight: the same as call, several calls at once; kernel: between two CUDA events
// around the fused kernels alone. Medians. What the tier asked for does not serve is left out.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <semaphore>

#include "cuda/backward_call.h"
#include "cuda/environment.h"
#include "cuda/kernels.h"
#include "cuda/solve_call.h"
#include "gpu_problems.h"

using namespace optnet;
using namespace optnet::cuda;

namespace {

struct Run {
  int ordinal = 0, repeats = 30;
  double seconds = 4, tolerance = 0;
  std::vector<std::string> precisions = {"float64", "mixed", "float32"};
  std::string tier, dump;
  bool first = false;
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "gpu_bench: %s\n", what.c_str());
  std::exit(1);
}
void check(const Failure& failure) {
  if (failure)
    fail(failure.message.empty() ? "failure " + std::to_string(int(failure.code)) : failure.message);
}
void check(cudaError_t error) {
  if (error != cudaSuccess) fail(cudaGetErrorString(error));
}

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The median of what `measure` gives, in ms, after warming up; fewer repeats where they take too long, never
/// below 3 unless fewer are asked for.
double median(const Run& run, const std::function<double(std::size_t)>& measure) {
  const auto repeats = std::size_t(run.repeats), least = std::min<std::size_t>(repeats, 3);
  for (std::size_t i = 0; i < least; ++i) measure(i);
  std::vector<double> times;
  const double end = now() + run.seconds * 1e3;
  for (std::size_t i = 0; i < repeats && (i < least || now() < end); ++i) times.push_back(measure(i));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// Memory of the GPU that holds one of the arrays.
using Array = std::shared_ptr<DeviceArray>;

Array allocate(CudaDevice& device, std::size_t bytes) {
  Array array;
  if (bytes > 0) check(device.allocate(bytes, array));
  return array;
}

/// One of several inputs that are used in turn, so that none of them is still in a cache.
struct Inputs {
  Array Q, p, G, h, A, b;

  Problem problem(const Shape& shape, DType dtype) const {
    const auto datum = [](const Array& array) {
      return array ? Datum{array->data(), true, true, array} : Datum{};
    };
    return {shape, dtype, datum(Q), datum(p), datum(G), datum(h), datum(A), datum(b)};
  }
};

template <class Scalar>
Array upload(CudaDevice& device, const std::vector<Scalar>& values) {
  const Array array = allocate(device, values.size() * sizeof(Scalar));
  if (!array) return array;
  std::shared_ptr<Call> call;
  check(device.upload(values.data(), array, call));
  call->run();
  check(call->outcome());
  return array;
}

template <class Scalar>
std::vector<Inputs> upload(CudaDevice& device, const TiledBatch& batch) {
  const GeneratedBatch& one = batch.distinct;
  const std::size_t bytes = batch.shape.batch * one.Q.size() / one.shape.batch * sizeof(Scalar);
  const std::size_t sets = std::clamp<std::size_t>((std::size_t{256} << 20) / bytes, 2, 8);
  std::vector<Inputs> inputs;
  for (std::size_t k = 0; k < sets; ++k) {
    const auto put = [&](const std::vector<double>& datum) {
      return upload(device, batch.tiled<Scalar>(datum, 17 * k));
    };
    inputs.push_back({put(one.Q), put(one.p), put(one.G), put(one.h), put(one.A), put(one.b)});
  }
  return inputs;
}

/// Results of one call, and the gradients of everything for dz = 1.
struct Outputs {
  std::vector<double> objective, primal, dual, gap;
  std::vector<std::uint8_t> status;
  std::vector<std::int32_t> iterations;
  Array z, lambda, nu, slack, dz, dQ, dp, dG, dh, dA, db;

  template <class Scalar>
  static Outputs make(CudaDevice& device, const Shape& s, Scalar one) {
    const std::size_t N = std::size_t(s.n), M = std::size_t(s.m), K = std::size_t(s.q), B = s.batch;
    const auto array = [&](std::size_t each) { return allocate(device, B * each * sizeof(Scalar)); };
    Outputs o;
    for (auto* host : {&o.objective, &o.primal, &o.dual, &o.gap}) host->resize(B);
    o.status.resize(B);
    o.iterations.resize(B);
    o.z = array(N), o.lambda = array(M), o.nu = array(K), o.slack = array(M);
    o.dQ = array(N * N), o.dp = array(N), o.dG = array(M * N), o.dh = array(M), o.dA = array(K * N),
    o.db = array(K);
    o.dz = upload(device, std::vector<Scalar>(B * N, one));
    return o;
  }
  static void* at(const Array& array) { return array ? array->data() : nullptr; }
  Results results() {
    return {.z = at(z),
            .lambda = at(lambda),
            .nu = at(nu),
            .slack = at(slack),
            .objective = objective.data(),
            .status = status.data(),
            .iterations = iterations.data(),
            .primal_residual = primal.data(),
            .dual_residual = dual.data(),
            .gap = gap.data(),
            .on_device = true};
  }
  Upstream upstream() const { return {.dz = at(dz), .dz_on_device = true}; }
  Gradients gradients() const {
    return {.dQ = at(dQ),
            .dp = at(dp),
            .dG = at(dG),
            .dh = at(dh),
            .dA = at(dA),
            .db = at(db),
            .on_device = true};
  }
};

void finish(const std::shared_ptr<Call>& call) {
  call->run();
  check(call->outcome());
}

/// The kernels of a plan between two CUDA events: what the GPU does, without what the host does around it.
class TimedKernels final : public Kernels {
 public:
  explicit TimedKernels(const Kernels& kernels) : kernels_(kernels) {
    for (cudaEvent_t& event : events_) check(cudaEventCreate(&event));
  }
  ~TimedKernels() override {
    for (const cudaEvent_t event : events_) check(cudaEventDestroy(event));
  }
  TimedKernels(const TimedKernels&) = delete;
  TimedKernels& operator=(const TimedKernels&) = delete;

  cudaError_t prepare_shared(const Plan& plan, const SolveArguments& arguments,
                             cudaStream_t stream) const override {
    return kernels_.prepare_shared(plan, arguments, stream);
  }
  cudaError_t solve(const Plan& plan, const SolveArguments& arguments, cudaStream_t stream) const override {
    return timed(stream, [&] { return kernels_.solve(plan, arguments, stream); });
  }
  cudaError_t adjoint(const Plan& plan, const AdjointArguments& arguments,
                      cudaStream_t stream) const override {
    return timed(stream, [&] { return kernels_.adjoint(plan, arguments, stream); });
  }
  std::string last_error() const override { return kernels_.last_error(); }

  /// From the first launch since this was last asked to the end of the last one, in ms.
  double take() {
    float ms = 0;
    check(cudaEventSynchronize(events_[1]));
    check(cudaEventElapsedTime(&ms, events_[0], events_[1]));
    begun_ = false;
    return double(ms);
  }

 private:
  template <class Launch>
  cudaError_t timed(cudaStream_t stream, Launch launch) const {
    if (!std::exchange(begun_, true)) check(cudaEventRecord(events_[0], stream));
    const cudaError_t error = launch();
    check(cudaEventRecord(events_[1], stream));
    return error;
  }

  const Kernels& kernels_;
  cudaEvent_t events_[2] = {};
  mutable bool begun_ = false;
};

/// The fused kernels alone, in ms. The engine's own calls launch them: what kernels are given is made there
/// and nowhere else, so that nothing of it can be missing here.
struct KernelTimes {
  double forward = 0, both = 0;

  KernelTimes(const std::shared_ptr<Gpu>& gpu, const std::vector<Inputs>& inputs, DType dtype, Outputs& out,
              const Shape& shape, const Settings& settings, const Run& run) {
    const Plan plan = make_plan(shape, Sharing{}, settings.precision, gpu->limits());
    if (plan.tier == Tier::kLibrary) return;
    TimedKernels kernels(fused_kernels(settings.precision));
    const auto timed = [&](bool differentiable) {
      return median(run, [&](std::size_t i) {
        const Problem problem = inputs[i % inputs.size()].problem(shape, dtype);
        const auto state = std::make_shared<SolutionState>();
        state->gpu = gpu, state->layout = problem, state->settings = settings, state->plan = plan;
        state->settings.differentiable = differentiable;
        state->kernels = &kernels;
        std::shared_ptr<Call> call;
        check(SolveCall::create(state, problem, out.results(), nullptr, call));
        finish(call);
        double ms = kernels.take();
        if (differentiable) {
          check(BackwardCall::create(state, out.upstream(), out.gradients(), call));
          finish(call);
          ms += kernels.take();
        }
        return ms;
      });
    };
    forward = timed(false);
    both = timed(true);
  }
};

/// A GPU as the engine's users see it, and as its parts do.
struct OpenGpu {
  std::shared_ptr<CudaDevice> device;
  std::shared_ptr<Gpu> engine;
  std::string name;

  OpenGpu(int ordinal, ThreadPool& pool) {
    check(CudaDevice::create(ordinal, pool, device));
    check(Gpu::create(ordinal, pool, engine));
    for (const DeviceInfo& info : devices()) {
      if (info.usable && info.ordinal == ordinal) name = info.name;
    }
  }
};

/// Data, results and the gradients of everything in host memory.
template <class Scalar>
double host_time(CudaDevice& device, const TiledBatch& batch, Settings settings, const Run& run) {
  const Shape& shape = batch.shape;
  const GeneratedBatch& one = batch.distinct;
  const auto tiled = [&](const std::vector<double>& datum) { return batch.tiled<Scalar>(datum, 0); };
  const std::vector<Scalar> Q = tiled(one.Q), p = tiled(one.p), G = tiled(one.G), h = tiled(one.h),
                            A = tiled(one.A), b = tiled(one.b);
  const auto datum = [](const std::vector<Scalar>& v) { return Datum{v.empty() ? nullptr : v.data(), true}; };
  const DType dtype = sizeof(Scalar) == 4 ? DType::kFloat32 : DType::kFloat64;
  const Problem problem{shape, dtype, datum(Q), datum(p), datum(G), datum(h), datum(A), datum(b)};
  const auto like = [](const std::vector<Scalar>& v) { return std::vector<Scalar>(v.size()); };
  std::vector<Scalar> z = like(p), lambda = like(h), nu = like(b), slack = like(h), dQ = like(Q),
                      dp = like(p), dG = like(G), dh = like(h), dA = like(A), db = like(b);
  std::vector<std::uint8_t> status(shape.batch);
  const std::vector<Scalar> ones(p.size(), Scalar(1));
  const auto at = [](std::vector<Scalar>& v) { return v.empty() ? nullptr : v.data(); };
  const Results results{
      .z = at(z), .lambda = at(lambda), .nu = at(nu), .slack = at(slack), .status = status.data()};
  settings.differentiable = true;
  return median(run, [&](std::size_t) {
    std::shared_ptr<Solution> solution;
    std::shared_ptr<Call> call;
    const double start = now();
    check(device.solve(problem, settings, results, nullptr, solution, call));
    finish(call);
    check(solution->backward({.dz = ones.data()}, {at(dQ), at(dp), at(dG), at(dh), at(dA), at(db)}, call));
    finish(call);
    return now() - start;
  });
}

TiledBatch parse(const std::string& text) {
  int n = 0, m = 0, q = 0, size = 0;
  if (std::sscanf(text.c_str(), "%d,%d,%d,%d", &n, &m, &q, &size) != 4) fail(text + " is not n,m,q,batch");
  return TiledBatch(std::size_t(size), n, m, q);
}

/// What a process that has not used CUDA yet waits for: the driver's own start, ours, and the first call
/// beside the second. In this order, each once.
void first_call(const Run& run, ThreadPool& pool, const std::vector<std::string>& shapes) {
  std::vector<TiledBatch> batches;
  for (const std::string& text : shapes) batches.push_back(parse(text));
  double last = now();
  const auto line = [&](const std::string& what) {
    const double time = now();
    std::printf("{\"program\": \"optnet\", \"first\": \"%s\", \"ms\": %.5g}\n", what.c_str(), time - last);
    std::fflush(stdout);
    last = now();
  };
  check(cudaSetDevice(run.ordinal));
  check(cudaFree(nullptr));
  line("the driver's start");
  std::shared_ptr<CudaDevice> device;
  check(CudaDevice::create(run.ordinal, pool, device));
  line("the device");
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const TiledBatch& batch = batches[i];
    const Shape& shape = batch.shape;
    const std::string name = shapes[i] + ": ";
    const Inputs inputs = upload<double>(*device, batch).front();
    Outputs out = Outputs::make<double>(*device, shape, 1);
    line(name + "data to the GPU");
    for (const char* which : {"first ", "second "}) {
      std::shared_ptr<Solution> solution;
      std::shared_ptr<Call> call;
      check(
          device->solve(inputs.problem(shape, DType::kFloat64), {}, out.results(), nullptr, solution, call));
      finish(call);
      line(name + which + "solve, by " + solution->backend());
      check(solution->backward(out.upstream(), out.gradients(), call));
      finish(call);
      line(name + which + "backward");
    }
  }
}

template <class Scalar>
void bench(const OpenGpu& gpu, const TiledBatch& batch, const std::string& name, const Run& run) {
  CudaDevice& device = *gpu.device;
  const Shape& shape = batch.shape;
  const DType dtype = sizeof(Scalar) == 4 ? DType::kFloat32 : DType::kFloat64;
  Settings settings;
  settings.precision = name == "mixed"            ? Precision::kMixed
                       : dtype == DType::kFloat32 ? Precision::kSingle
                                                  : Precision::kDouble;
  settings.tolerance = run.tolerance > 0 ? run.tolerance : dtype == DType::kFloat32 ? 1e-4 : 1e-8;
  const std::vector<Inputs> inputs = upload<Scalar>(device, batch);
  Outputs out = Outputs::make<Scalar>(device, shape, 1);
  std::string backend;

  // One call: what it takes with the data on the GPU, and with the gradients of everything.
  const auto call_time = [&](bool differentiable) {
    settings.differentiable = differentiable;
    return median(run, [&](std::size_t i) {
      const Problem problem = inputs[i % inputs.size()].problem(shape, dtype);
      std::shared_ptr<Solution> solution;
      std::shared_ptr<Call> call;
      const double start = now();
      check(device.solve(problem, settings, out.results(), nullptr, solution, call));
      finish(call);
      if (differentiable) {
        check(solution->backward(out.upstream(), out.gradients(), call));
        finish(call);
      }
      const double time = now() - start;
      backend = solution->backend();
      return time;
    });
  };
  const double forward = call_time(false);
  if (!run.tier.empty() && backend != run.tier) {
    std::fprintf(stderr, "gpu_bench: %d,%d,%d,%zu %s: served by %s, not by %s\n", shape.n, shape.m, shape.q,
                 shape.batch, name.c_str(), backend.c_str(), run.tier.c_str());
    return;
  }
  const double both = call_time(true);
  double iterations = 0, primal = 0, dual = 0, gap = 0;
  int solved = 0;
  for (std::size_t i = 0; i < shape.batch; ++i) {
    iterations += out.iterations[i];
    solved += out.status[i] == 0;
    primal = std::max(primal, out.primal[i]);
    dual = std::max(dual, out.dual[i]);
    gap = std::max(gap, out.gap[i]);
  }

  // Several calls at once: the host prepares one while the GPU works on another.
  constexpr int kFlight = 4;
  settings.differentiable = false;
  std::vector<Outputs> flight;
  for (int k = 0; k < kFlight; ++k) flight.push_back(Outputs::make<Scalar>(device, shape, 1));
  const double in_flight = median(run, [&](std::size_t i) {
    std::counting_semaphore<kFlight> ended(0);
    std::vector<std::shared_ptr<Call>> calls(kFlight);
    std::vector<std::shared_ptr<Solution>> solutions(kFlight);
    const double start = now();
    for (std::size_t k = 0; k < kFlight; ++k) {
      const Problem problem = inputs[(i + k) % inputs.size()].problem(shape, dtype);
      check(device.solve(problem, settings, flight[k].results(), nullptr, solutions[k], calls[k]));
      calls[k]->start([&ended] { ended.release(); });
    }
    for (int k = 0; k < kFlight; ++k) ended.acquire();
    const double time = (now() - start) / kFlight;
    for (const auto& call : calls) check(call->outcome());
    return time;
  });
  flight.clear();

  const double host = host_time<Scalar>(device, batch, settings, run);
  const KernelTimes kernel(gpu.engine, inputs, dtype, out, shape, settings, run);
  std::printf(
      "{\"program\": \"optnet\", \"gpu\": \"%s\", \"shape\": [%d, %d, %d], \"batch\": %zu, \"precision\": "
      "\"%s\", "
      "\"tier\": \"%s\", \"tolerance\": %g, \"forward\": %.5g, \"both\": %.5g, \"flight\": %.5g, \"host\": "
      "%.5g, "
      "\"kernelForward\": %.5g, \"kernelBoth\": %.5g, \"iterations\": %.4g, \"solved\": %d, \"primal\": "
      "%.2g, \"dual\": %.2g, "
      "\"gap\": %.2g}\n",
      gpu.name.c_str(), shape.n, shape.m, shape.q, shape.batch, name.c_str(), backend.c_str(),
      settings.tolerance, forward, both, in_flight, host, kernel.forward, kernel.both,
      iterations / double(shape.batch), solved, primal, dual, gap);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Run run;
  std::vector<std::string> shapes;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&]() -> std::string {
      if (++i >= argc) fail(arg + " needs a value");
      return argv[i];
    };
    if (arg == "--device") {
      run.ordinal = std::stoi(value());
    } else if (arg == "--precision") {
      run.precisions = {value()};
    } else if (arg == "--tier") {
      run.tier = value();
    } else if (arg == "--repeats") {
      run.repeats = std::stoi(value());
    } else if (arg == "--seconds") {
      run.seconds = std::stod(value());
    } else if (arg == "--tolerance") {
      run.tolerance = std::stod(value());
    } else if (arg == "--dump") {
      run.dump = value();
    } else if (arg == "--first") {
      run.first = true;
    } else {
      shapes.push_back(arg);
    }
  }
  if (shapes.empty()) {
    shapes = run.first ? std::vector<std::string>{"10,10,0,64", "50,50,0,64"}
                       : std::vector<std::string>{"10,10,0,4096",  "32,64,8,4096", "100,100,0,128",
                                                  "100,50,50,128", "64,64,40,150", "500,500,0,128"};
  }
  // Read by the planner, which has no other way to be told.
  if (!run.tier.empty()) setenv("OPTNET_CUDA_TIER", run.tier.c_str(), 1);

  ThreadPool pool;
  if (run.first) {
    first_call(run, pool, shapes);
    return 0;
  }
  std::unique_ptr<OpenGpu> gpu;
  if (run.dump.empty()) gpu = std::make_unique<OpenGpu>(run.ordinal, pool);
  for (const std::string& text : shapes) {
    const TiledBatch batch = parse(text);
    if (!run.dump.empty()) {
      if (!batch.dump(run.dump + "/" + text + ".problems")) fail("cannot write to " + run.dump);
      continue;
    }
    for (const std::string& precision : run.precisions) {
      if (precision == "float32") {
        bench<float>(*gpu, batch, precision, run);
      } else {
        bench<double>(*gpu, batch, precision, run);
      }
    }
  }
}
