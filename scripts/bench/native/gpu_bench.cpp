// How fast a GPU solves and differentiates, without Node: milliseconds a batch, one JSON object a line.
//   gpu_bench [--device N] [--precision float64|mixed|float32] [--tier lanes|block|library] [--repeats N]
//             [--seconds S] [--tolerance T] [n,m,q,batch …]
//   gpu_bench --dump FOLDER [n,m,q,batch …]     writes the problems, for scripts/bench/peers.py
// call: what a caller waits for, from the data on the GPU to results on the GPU; host: from and to host
// memory; flight: the same as call, several calls at once; kernel: between two CUDA events around the fused
// kernels alone. Medians.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <semaphore>

#include "cuda/environment.h"
#include "cuda/kernels.h"
#include "gpu_problems.h"

using namespace optnet;
using namespace optnet::cuda;

namespace {

struct Run {
  int ordinal = 0, repeats = 30;
  double seconds = 4, tolerance = 0;
  std::vector<std::string> precisions = {"float64", "mixed", "float32"};
  std::string tier, dump;
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
/// below 3.
double median(const Run& run, const std::function<double(std::size_t)>& measure) {
  for (std::size_t i = 0; i < 3; ++i) measure(i);
  std::vector<double> times;
  const double end = now() + run.seconds * 1e3;
  for (std::size_t i = 0; i < std::size_t(run.repeats) && (i < 3 || now() < end); ++i)
    times.push_back(measure(i));
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

/// The fused kernels alone, on a stream of their own: what the GPU does, without what the host does around
/// it.
template <class Scalar>
class KernelTimes {
 public:
  double forward = 0, backward = 0;

  KernelTimes(CudaDevice& device, const std::vector<Inputs>& inputs, Outputs& out, const Shape& shape,
              const Settings& settings, const Run& run) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, run.ordinal));
    const Limits limits{properties.sharedMemPerBlockOptin, properties.maxThreadsPerBlock};
    const Plan plan = make_plan(shape, Sharing{}, settings.precision, limits);
    if (plan.tier == Tier::kLibrary || plan.scalar() != sizeof(Scalar)) return;
    const Footprint& footprint = plan.footprint;
    const std::size_t B = shape.batch;
    const Array shared = allocate(device, footprint.shared + 16);
    const Array kept = allocate(device, footprint.kept * B + 16);
    const Array workspace = allocate(device, footprint.workspace * B + footprint.fixed + 16);
    const Array numbers = allocate(device, 6 * B * sizeof(double));
    const Array indefinite = upload(device, std::vector<unsigned long long>{~0ULL});
    check(cudaDeviceSynchronize());
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    for (cudaEvent_t& event : events_) check(cudaEventCreate(&event));

    const auto N = std::size_t(shape.n), M = std::size_t(shape.m), K = std::size_t(shape.q);
    const auto datum = [](const Array& array, std::size_t stride) {
      return array ? DeviceDatum{array->data(), stride} : DeviceDatum{};
    };
    const auto bytes = [](const Array& array) { return static_cast<std::byte*>(array->data()); };
    SolveArguments solve;
    AdjointArguments adjoint;
    const auto take = [&](auto& arguments, const Inputs& in) {
      arguments.batch = int(shape.batch);
      arguments.Q = datum(in.Q, N * N), arguments.p = datum(in.p, N);
      arguments.G = datum(in.G, M * N), arguments.h = datum(in.h, M);
      arguments.A = datum(in.A, K * N), arguments.b = datum(in.b, K);
      arguments.shared = bytes(shared), arguments.kept = bytes(kept), arguments.workspace = bytes(workspace);
    };
    solve.settings.tolerance = settings.tolerance;
    solve.settings.max_iterations = settings.max_iterations;
    solve.z = Outputs::at(out.z), solve.lambda = Outputs::at(out.lambda);
    solve.nu = Outputs::at(out.nu), solve.slack = Outputs::at(out.slack);
    auto* residuals = static_cast<double*>(numbers->data());
    solve.objective = residuals, solve.primal_residual = residuals + B;
    solve.dual_residual = residuals + 2 * B, solve.gap = residuals + 3 * B;
    solve.status = reinterpret_cast<std::uint8_t*>(residuals + 4 * B);
    solve.iterations = reinterpret_cast<std::int32_t*>(residuals + 5 * B);
    solve.indefinite = static_cast<unsigned long long*>(indefinite->data());
    adjoint.gz = Outputs::at(out.dz);
    adjoint.dz = Outputs::at(out.dp), adjoint.dlambda = Outputs::at(out.dh),
    adjoint.dnu = Outputs::at(out.db);

    const Kernels& kernels = fused_kernels(settings.precision);
    take(solve, inputs[0]);
    check(kernels.prepare_shared(plan, solve, stream_));
    const auto timed = [&](bool differentiable) {
      return median(run, [&](std::size_t i) {
        take(solve, inputs[i % inputs.size()]);
        take(adjoint, inputs[i % inputs.size()]);
        solve.differentiable = differentiable;
        check(cudaEventRecord(events_[0], stream_));
        check(kernels.solve(plan, solve, stream_));
        if (differentiable) check(kernels.adjoint(plan, adjoint, stream_));
        check(cudaEventRecord(events_[1], stream_));
        check(cudaEventSynchronize(events_[1]));
        float ms = 0;
        check(cudaEventElapsedTime(&ms, events_[0], events_[1]));
        return double(ms);
      });
    };
    forward = timed(false);
    backward = timed(true) - forward;
    check(cudaStreamSynchronize(stream_));
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t events_[2] = {};
};

template <class Scalar>
void bench(CudaDevice& device, const char* gpu, const TiledBatch& batch, const std::string& name,
           const Run& run) {
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
  const double forward = call_time(false), both = call_time(true);
  if (!run.tier.empty() && backend != run.tier) {
    std::fprintf(stderr, "gpu_bench: %d,%d,%d,%zu %s: served by %s, not by %s\n", shape.n, shape.m, shape.q,
                 shape.batch, name.c_str(), backend.c_str(), run.tier.c_str());
  }
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

  // From host memory to host memory.
  const GeneratedBatch& one = batch.distinct;
  const auto tiled = [&](const std::vector<double>& datum) { return batch.tiled<Scalar>(datum, 0); };
  const std::vector<Scalar> Q = tiled(one.Q), p = tiled(one.p), G = tiled(one.G), h = tiled(one.h),
                            A = tiled(one.A), b = tiled(one.b);
  const auto datum = [](const std::vector<Scalar>& v) { return Datum{v.empty() ? nullptr : v.data(), true}; };
  const Problem problem{shape, dtype, datum(Q), datum(p), datum(G), datum(h), datum(A), datum(b)};
  const auto B = shape.batch;
  std::vector<Scalar> z(B * std::size_t(shape.n)), lambda(B * std::size_t(shape.m)),
      nu(B * std::size_t(shape.q)), slack(lambda);
  Results results = out.results();
  results.z = z.data(), results.lambda = lambda.data(), results.nu = nu.data(), results.slack = slack.data();
  results.on_device = false;
  const double host = median(run, [&](std::size_t) {
    std::shared_ptr<Solution> solution;
    std::shared_ptr<Call> call;
    const double start = now();
    check(device.solve(problem, settings, results, nullptr, solution, call));
    finish(call);
    return now() - start;
  });

  const KernelTimes<Scalar> kernel(device, inputs, out, shape, settings, run);
  std::printf(
      "{\"program\": \"optnet\", \"gpu\": \"%s\", \"shape\": [%d, %d, %d], \"batch\": %zu, \"precision\": "
      "\"%s\", "
      "\"tier\": \"%s\", \"tolerance\": %g, \"forward\": %.5g, \"both\": %.5g, \"flight\": %.5g, \"host\": "
      "%.5g, "
      "\"kernelForward\": %.5g, \"kernelBoth\": %.5g, \"iterations\": %.4g, \"solved\": %d, \"primal\": "
      "%.2g, \"dual\": %.2g, "
      "\"gap\": %.2g}\n",
      gpu, shape.n, shape.m, shape.q, shape.batch, name.c_str(), backend.c_str(), settings.tolerance, forward,
      both, in_flight, host, kernel.forward, kernel.forward + kernel.backward, iterations / double(B), solved,
      primal, dual, gap);
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
    } else {
      shapes.push_back(arg);
    }
  }
  if (shapes.empty()) {
    shapes = {"10,10,0,4096",  "32,64,8,4096", "100,100,0,128",
              "100,50,50,128", "64,64,40,150", "500,500,0,128"};
  }
  // Read by the planner, which has no other way to be told.
  if (!run.tier.empty()) setenv("OPTNET_CUDA_TIER", run.tier.c_str(), 1);

  ThreadPool pool;
  std::shared_ptr<CudaDevice> device;
  std::string gpu;
  if (run.dump.empty()) {
    check(CudaDevice::create(run.ordinal, pool, device));
    for (const DeviceInfo& info : devices()) {
      if (info.usable && info.ordinal == run.ordinal) gpu = info.name;
    }
  }
  for (const std::string& text : shapes) {
    int n = 0, m = 0, q = 0, size = 0;
    if (std::sscanf(text.c_str(), "%d,%d,%d,%d", &n, &m, &q, &size) != 4) fail(text + " is not n,m,q,batch");
    const TiledBatch batch(std::size_t(size), n, m, q);
    if (!run.dump.empty()) {
      if (!batch.dump(run.dump + "/" + text + ".problems")) fail("cannot write to " + run.dump);
      continue;
    }
    for (const std::string& precision : run.precisions) {
      if (precision == "float32") {
        bench<float>(*device, gpu.c_str(), batch, precision, run);
      } else {
        bench<double>(*device, gpu.c_str(), batch, precision, run);
      }
    }
  }
}
