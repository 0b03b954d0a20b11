// From JavaScript's values to the engine's structs, checked as far as memory safety needs, and back for
// failures.
#pragma once

#include <napi.h>

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/problem.h"

namespace optnet::binding {

/// An argument that cannot be used. Thrown and caught inside the binding only (see `guarded`).
class InvalidArgument : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Arrays that worker threads write: what keeps them alive while they do.
using KeptArrays = std::vector<Napi::Value>;

/// Reads a NativeProblem. The pointers are good until control goes back to JavaScript.
Problem read_problem(Napi::Value value);
Settings read_settings(Napi::Value value);

/// `copy` and `solve` take milliseconds; they are written when the call is done.
struct Timings {
  double* copy = nullptr;
  double* solve = nullptr;
};

/// Reads NativeResults, sized for `problem`, and adds every array to `kept`.
Results read_results(Napi::Value value, const Problem& problem, Timings& timings, KeptArrays& kept);

/// Which data of a problem have one value per problem: decides the size of a gradient, and whether an error
/// names an index.
struct Batched {
  bool Q = false, p = false, G = false, h = false, A = false, b = false;

  Batched() = default;
  explicit Batched(const Problem& problem);
};

Upstream read_upstream(Napi::Value value, const Shape& shape, DType dtype);
Gradients read_gradients(Napi::Value value, const Shape& shape, DType dtype, const Batched& batched,
                         KeptArrays& kept);

Napi::Function read_callback(Napi::Value value, const char* name);

/// A NativeFailure.
Napi::Object make_failure(Napi::Env env, const char* failure, const char* message = nullptr);
Napi::Object make_failure(Napi::Env env, const Failure& failure, const Batched& batched);

/// Runs `body` so that no C++ exception but a JavaScript one leaves it.
template <typename Body>
Napi::Value guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;  // a JavaScript exception, which node-addon-api hands on
  } catch (const std::bad_alloc&) {
    return make_failure(env, "memory");
  } catch (const std::exception& error) {
    return make_failure(env, "invalid", error.what());
  }
}

}  // namespace optnet::binding
