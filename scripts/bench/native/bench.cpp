// Forward and backward speed of the engine, without Node: problems a second on the paper's generator.
//   bench [--threads N] [--precision double|mixed|single] [--tolerance T] [--seconds S] [--forward] [--json]
//         [n,m,q,batch[,box] …]
//   bench --dump FILE n,m,q,batch      writes the problems that it would solve: Q, p, G, h, A, b, in float64
// box: also −1 ≤ z ≤ 1.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "../../../test/native/generator.h"
#include "engine/cpu_device.h"

using namespace optnet;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Run {
  double seconds = 0.5;
  bool json = false;
  std::string dump;
};

void dump(const GeneratedBatch& batch, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) std::exit(1);
  for (const auto* data : {&batch.Q, &batch.p, &batch.G, &batch.h, &batch.A, &batch.b}) {
    if (std::fwrite(data->data(), sizeof(double), data->size(), file) != data->size()) std::exit(1);
  }
  std::fclose(file);
}

void bench(int n, int m, int q, std::size_t batch, bool box, const Settings& settings, const Run& run) {
  const GeneratedBatch batch_data(batch, n, m, q);
  if (!run.dump.empty()) return dump(batch_data, run.dump);
  Problem problem = batch_data.problem();
  const std::vector<double> lower(static_cast<std::size_t>(n), -1.0), upper(static_cast<std::size_t>(n), 1.0);
  if (box) {
    problem.lb.data = lower.data();
    problem.ub.data = upper.data();
  }
  ResultArrays out(problem.shape);
  ThreadPool pool;
  const auto memory = std::make_shared<MemoryPool>();
  std::vector<double> ones(batch * static_cast<std::size_t>(n), 1.0), dQ(batch_data.Q.size()),
      dp(batch_data.p.size()), dG(batch_data.G.size()), dh(batch_data.h.size()), dA(batch_data.A.size()),
      db(batch_data.b.size());
  const Upstream upstream{ones.data(), nullptr, nullptr};
  const auto at = [](std::vector<double>& v) { return v.empty() ? nullptr : v.data(); };
  const Gradients gradients{at(dQ), at(dp), at(dG), at(dh), at(dA), at(db)};

  double forward = 1e30, load = 1e30, backward = 1e30;
  const double end = now() + run.seconds;
  for (int repeat = 0; repeat < 3 || now() < end; ++repeat) {
    std::shared_ptr<CpuSolution> solution;
    const double t0 = now();
    if (CpuSolution::create(problem, settings, &pool, solution, memory)) std::exit(1);
    if (solution->load(problem)) std::exit(1);
    const double t1 = now();
    const auto call = solution->solve(out.results(), nullptr);
    call->run();
    const double t2 = now();
    if (call->outcome()) std::exit(1);
    forward = std::min(forward, t2 - t0);
    load = std::min(load, t1 - t0);
    if (settings.differentiable) {
      std::shared_ptr<Call> derivative;
      const double t3 = now();
      if (solution->backward(upstream, gradients, derivative)) std::exit(1);
      derivative->run();
      backward = std::min(backward, now() - t3);
    }
  }
  double iterations = 0, primal = 0, dual = 0, gap = 0;
  int solved = 0;
  for (std::size_t i = 0; i < batch; ++i) {
    iterations += out.iterations[i];
    solved += out.status[i] == 0;
    primal = std::max(primal, out.primal[i]);
    dual = std::max(dual, out.dual[i]);
    gap = std::max(gap, out.gap[i]);
  }
  if (run.json) {
    std::printf("{\"forward\": %.6g, \"backward\": %.6g, \"iterations\": %.4g, \"solved\": %d}\n",
                forward * 1e3, backward * 1e3, iterations / static_cast<double>(batch), solved);
    return;
  }
  std::printf(
      "(%3d,%3d,%2d)%sx%-5zu %9.3f ms %9.0f /s  load %5.1f%%  backward %5.1f%%  iterations %5.2f  solved %d  "
      "primal %.1e dual %.1e gap %.1e\n",
      n, m, q, box ? " in a box " : "", batch, forward * 1e3, static_cast<double>(batch) / forward,
      100 * load / forward, 100 * backward / forward, iterations / static_cast<double>(batch), solved, primal,
      dual, gap);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  settings.threads = 1;
  Run run;
  std::vector<std::string> shapes;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (arg == "--threads") {
      settings.threads = std::atoi(value());
    } else if (arg == "--tolerance") {
      settings.tolerance = std::atof(value());
    } else if (arg == "--seconds") {
      run.seconds = std::atof(value());
    } else if (arg == "--json") {
      run.json = true;
    } else if (arg == "--dump") {
      run.dump = value();
    } else if (arg == "--forward") {
      settings.differentiable = false;
    } else if (arg == "--precision") {
      const std::string name = value();
      settings.precision = name == "mixed"    ? Precision::kMixed
                           : name == "single" ? Precision::kSingle
                                              : Precision::kDouble;
    } else {
      shapes.push_back(arg);
    }
  }
  if (shapes.empty()) {
    shapes = {"10,10,0,1024",  "32,64,8,1024", "64,64,40,152",  "100,100,0,128",
              "100,50,50,128", "500,500,0,8",  "50,0,0,512,box"};
  }
  if (!run.json && run.dump.empty())
    std::printf("%s, %d thread(s)\n", instruction_set(), ThreadPool::resolve_threads(settings.threads));
  for (const std::string& shape : shapes) {
    int n = 0, m = 0, q = 0, batch = 0;
    if (std::sscanf(shape.c_str(), "%d,%d,%d,%d", &n, &m, &q, &batch) != 4) return 2;
    const bool box = shape.ends_with(",box");
    bench(n, m, q, static_cast<std::size_t>(batch), box, settings, run);
  }
}
