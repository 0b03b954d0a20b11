// From JavaScript's values to the engine's structs, checked as far as memory safety needs, and back for
// failures.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/environment.h"
#include "engine/problem.h"

namespace optnet::binding {

/// An argument that cannot be used. Thrown and caught inside the binding only (see `guarded`).
class InvalidArgument : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A call that cannot be served, for a reason that the engine gave. Thrown and caught like the above.
class Refused : public std::exception {
 public:
  explicit Refused(Failure failure, const char* argument = nullptr)
      : failure(std::move(failure)), argument(argument) {}
  Failure failure;
  const char* argument;  ///< a name, or null
};

constexpr double kMaxSafeInteger = 9007199254740991.0;

Napi::Object read_object(Napi::Value value, const char* name);
/// A whole number between `low` and `high`.
double read_count(Napi::Object object, const char* name, double low, double high);
int read_int(Napi::Object object, const char* name, int low = 0);

/// A typed array of float64 or float32.
struct HostArray {
  void* data = nullptr;
  std::size_t bytes = 0;
};
HostArray read_host_array(Napi::Value value, const char* name);

/// What a call runs on: a GPU, or, without one, the CPU.
struct Gpu {
  std::shared_ptr<cuda::CudaDevice> device;
  int ordinal = -1;
};

/// What keeps the arrays of a call alive while it runs.
struct Kept {
  std::vector<Napi::Value> written;                           ///< JavaScript's own, that worker threads write
  std::vector<std::shared_ptr<cuda::DeviceArray>> on_device;  ///< read or written
};

/// The ordinal in a NativeProblem's `device`, -1 for the CPU.
int read_ordinal(Napi::Value problem);

/// Throws Refused unless [data, data + bytes) is memory of the GPU, where it can be told.
void check_pointer(const Gpu& gpu, const void* data, std::size_t bytes, const char* name);

/// When the CPU solves what a GPU is named for, as NativeSettings says.
enum class Fallback : std::uint8_t { kNever, kWhereNeeded, kAtOnce };
Fallback read_fallback(Napi::Value settings);

/// Reads a NativeProblem. The pointers to host memory are good until control goes back to JavaScript; arrays
/// on the GPU have their owners in the data.
Problem read_problem(Napi::Value value, const Gpu& gpu);
/// Reads NativeSettings; what they say of a warm start is left to the caller.
Settings read_settings(Napi::Value value);

/// `copy` and `solve` take milliseconds; they are written when the call is done.
struct Timings {
  double* copy = nullptr;
  double* solve = nullptr;
};

/// Reads NativeResults, sized for `problem`, and adds every array to `kept`. `closest`: with the shifts.
Results read_results(Napi::Value value, const Problem& problem, bool closest, const Gpu& gpu,
                     Timings& timings, Kept& kept);

/// Which data of a problem have one value per problem: decides the size of a gradient, and whether an error
/// names an index.
struct Batched {
  bool Q = false, p = false, G = false, h = false, A = false, b = false, gl = false, lb = false, ub = false;

  Batched() = default;
  explicit Batched(const Problem& problem);
};

/// Adds what lies on the GPU to `kept`.
Upstream read_upstream(Napi::Value value, const Shape& shape, DType dtype, const Gpu& gpu, Kept& kept);
Gradients read_gradients(Napi::Value value, const Shape& shape, DType dtype, const Batched& batched,
                         const Gpu& gpu, Kept& kept);

/// Host memory, which the engine copies before the call returns.
Tangents read_tangents(Napi::Value value, const Shape& shape, DType dtype, const Batched& batched);
/// Adds the arrays to `kept`.
SolutionTangents read_solution_tangents(Napi::Value value, const Shape& shape, DType dtype, Kept& kept);

Napi::Function read_callback(Napi::Value value, const char* name);

/// What the engine's name of a datum stands for in a failure: the datum, or its tangent.
enum class Given : std::uint8_t { kData, kTangents };

/// A NativeFailure.
Napi::Object make_failure(Napi::Env env, const char* failure, const char* message = nullptr);
Napi::Object make_failure(Napi::Env env, const Failure& failure, const Batched& batched,
                          Given given = Given::kData);

/// Runs `body` so that no C++ exception but a JavaScript one leaves it.
template <typename Body>
Napi::Value guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;  // a JavaScript exception, which node-addon-api hands on
  } catch (const std::bad_alloc&) {
    return make_failure(env, "memory");
  } catch (const Refused& refused) {
    Napi::Object failure = make_failure(env, refused.failure, {});
    if (refused.argument != nullptr) failure.Set("argument", refused.argument);
    return failure;
  } catch (const std::exception& error) {
    return make_failure(env, "invalid", error.what());
  }
}

}  // namespace optnet::binding
