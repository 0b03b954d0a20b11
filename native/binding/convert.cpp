#include "binding/convert.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "binding/device_array.h"
#include "engine/sizes.h"

namespace optnet::binding {
namespace {

double read_number(Napi::Object object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) throw InvalidArgument(std::string(name) + " must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

bool read_boolean(Napi::Object object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsBoolean()) throw InvalidArgument(std::string(name) + " must be a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::size_t product(std::size_t a, std::size_t b) {
  if (b != 0 && a > std::numeric_limits<std::size_t>::max() / sizeof(double) / b) throw std::bad_alloc();
  return a * b;
}

struct Array {
  napi_typedarray_type type = napi_uint8_array;
  std::size_t length = 0;
  void* data = nullptr;
};

/// Asking for the data pointer makes V8 move a small array out of its heap, so that the pointer stays good.
Array read_array(Napi::Value value, const char* name) {
  if (!value.IsTypedArray()) throw InvalidArgument(std::string(name) + " must be a typed array");
  Array array;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &array.type, &array.length, &array.data, nullptr, nullptr);
  if (status != napi_ok) throw InvalidArgument(std::string(name) + " cannot be read");
  return array;
}

void* read_elements(Napi::Value value, const char* name, napi_typedarray_type type, std::size_t length) {
  const Array array = read_array(value, name);
  if (array.type != type) throw InvalidArgument(std::string(name) + " has the wrong element type");
  if (array.length != length) {
    throw InvalidArgument(std::string(name) + " has " + std::to_string(array.length) +
                          " elements, expected " + std::to_string(length));
  }
  if (length != 0 && array.data == nullptr) throw InvalidArgument(std::string(name) + " has no memory");
  return array.data;
}

napi_typedarray_type element_type(DType dtype) {
  return dtype == DType::kFloat64 ? napi_float64_array : napi_float32_array;
}

std::size_t elements(bool batched, const Shape& shape, std::size_t rows, std::size_t columns) {
  return product(batched ? shape.batch : 1, product(rows, columns));
}

/// Where the elements of an array are.
struct Elements {
  void* data = nullptr;
  bool on_device = false;
  std::shared_ptr<cuda::DeviceArray> owner;  ///< null in host memory, and for other CUDA code's
};

/// Elements in a typed array, or in memory of the call's GPU.
Elements read_anywhere(Napi::Value value, const char* name, DType dtype, std::size_t count, const Gpu& gpu) {
  if (value.IsTypedArray()) return {read_elements(value, name, element_type(dtype), count), false, nullptr};
  DeviceMemory memory = read_device_memory(value, name);
  if (!gpu.device || memory.ordinal != gpu.ordinal) {
    throw InvalidArgument(std::string(name) + " is not on the device that solves");
  }
  const std::size_t expected = product(count, size_of(dtype));
  if (memory.bytes != expected) {
    throw InvalidArgument(std::string(name) + " has " + std::to_string(memory.bytes) + " bytes, expected " +
                          std::to_string(expected));
  }
  if (!memory.owner && memory.bytes != 0) {
    if (reinterpret_cast<std::uintptr_t>(memory.data) % size_of(dtype) != 0) {
      throw InvalidArgument(std::string(name) + " has a pointer that is not aligned to its elements");
    }
    check_pointer(gpu, memory.data, memory.bytes, name);
  }
  return {memory.data, true, std::move(memory.owner)};
}

Datum read_datum(Napi::Object problem, const char* name, DType dtype, const Shape& shape, int rows,
                 int columns, const Gpu& gpu) {
  const Napi::Object object = read_object(problem.Get(name), name);
  Datum datum;
  datum.batched = read_boolean(object, "batched");
  Elements read =
      read_anywhere(object.Get("data"), name, dtype, elements(datum.batched, shape, rows, columns), gpu);
  datum.data = read.data;
  datum.on_device = read.on_device;
  datum.owner = std::move(read.owner);
  return datum;
}

DType read_dtype(Napi::Object problem) {
  const Napi::Value value = problem.Get("dtype");
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "float64") return DType::kFloat64;
  if (name == "float32") return DType::kFloat32;
  throw InvalidArgument("dtype must be 'float64' or 'float32'");
}

/// Reads arrays that are to be written, and keeps them.
struct OutputReader {
  Napi::Object object;
  const Gpu& gpu;
  Kept& kept;
  enum class Place { kUnknown, kHost, kDevice } place = Place::kUnknown;  ///< of all that `write` read

  template <typename T>
  T* read(const char* name, napi_typedarray_type type, std::size_t length) {
    const Napi::Value value = object.Get(name);
    void* data = read_elements(value, name, type, length);
    kept.written.push_back(value);
    return static_cast<T*>(data);
  }

  /// One of several that must lie in the same memory.
  void* write(const char* name, DType dtype, std::size_t count) {
    const Napi::Value value = object.Get(name);
    Elements read = read_anywhere(value, name, dtype, count, gpu);
    const Place found = read.on_device ? Place::kDevice : Place::kHost;
    if (place != Place::kUnknown && place != found) {
      throw InvalidArgument(std::string(name) + " is not where the others are");
    }
    place = found;
    if (!read.on_device) kept.written.push_back(value);
    if (read.owner) kept.on_device.push_back(std::move(read.owner));
    return read.data;
  }

  bool has(const char* name) const { return !object.Get(name).IsUndefined(); }

  void* write_optional(const char* name, DType dtype, std::size_t count) {
    return has(name) ? write(name, dtype, count) : nullptr;
  }

  bool on_device() const { return place == Place::kDevice; }
};

/// What the engine has a letter for: a datum (with its name), or an upstream gradient.
struct Argument {
  char letter;
  const char* name;
  const char* tangent;     ///< the name of the datum's tangent; null for an upstream gradient
  bool Batched::*batched;  ///< null for an upstream gradient, which always is
};

constexpr Argument kArguments[] = {
    {'Q', "Q", "dQ", &Batched::Q},        {'p', "p", "dp", &Batched::p},
    {'G', "G", "dG", &Batched::G},        {'h', "h", "dh", &Batched::h},
    {'A', "A", "dA", &Batched::A},        {'b', "b", "db", &Batched::b},
    {'g', "gl", "dgl", &Batched::gl},     {'L', "lb", "dlb", &Batched::lb},
    {'U', "ub", "dub", &Batched::ub},     {'z', "dz", nullptr, nullptr},
    {'l', "dlambda", nullptr, nullptr},   {'n', "dnu", nullptr, nullptr},
    {'k', "dlambdaGl", nullptr, nullptr}, {'x', "dlambdaLb", nullptr, nullptr},
    {'y', "dlambdaUb", nullptr, nullptr}, {'o', "dobjective", nullptr, nullptr},
};

const Argument* find_argument(char letter) {
  for (const Argument& argument : kArguments) {
    if (argument.letter == letter) return &argument;
  }
  return nullptr;
}

const char* failure_name(Failure::Code code) {
  switch (code) {
    case Failure::Code::kNotFinite: return "notFinite";
    case Failure::Code::kNotSymmetric: return "notSymmetric";
    case Failure::Code::kNotConvex: return "notConvex";
    case Failure::Code::kMemory: return "memory";
    case Failure::Code::kCancelled: return "cancelled";
    case Failure::Code::kDevice: return "device";
    case Failure::Code::kUnserved: return "unserved";
    case Failure::Code::kNone: break;
  }
  return "invalid";
}

/// Whether the engine says where in the data it found it, if it names a datum.
bool has_place(Failure::Code code) {
  return code == Failure::Code::kNotFinite || code == Failure::Code::kNotSymmetric ||
         code == Failure::Code::kNotConvex || code == Failure::Code::kUnserved;
}

}  // namespace

Napi::Object read_object(Napi::Value value, const char* name) {
  if (!value.IsObject()) throw InvalidArgument(std::string(name) + " must be an object");
  return value.As<Napi::Object>();
}

double read_count(Napi::Object object, const char* name, double low, double high) {
  const double value = read_number(object, name);
  const bool in_range = value >= low && value <= high;  // NaN is not
  if (!in_range || std::floor(value) != value) {
    throw InvalidArgument(std::string(name) + " must be a whole number in range");
  }
  return value;
}

int read_int(Napi::Object object, const char* name, int low) {
  return static_cast<int>(read_count(object, name, low, std::numeric_limits<int>::max()));
}

HostArray read_host_array(Napi::Value value, const char* name) {
  const Array array = read_array(value, name);
  if (array.type == napi_float64_array) return {array.data, array.length * sizeof(double)};
  if (array.type == napi_float32_array) return {array.data, array.length * sizeof(float)};
  throw InvalidArgument(std::string(name) + " must be a Float64Array or a Float32Array");
}

int read_ordinal(Napi::Value problem) { return read_int(read_object(problem, "problem"), "device", -1); }

void check_pointer(const Gpu& gpu, const void* data, std::size_t bytes, const char* name) {
  if (Failure failure = gpu.device->check_pointer(data, bytes)) throw Refused(std::move(failure), name);
}

Problem read_problem(Napi::Value value, const Gpu& gpu) {
  const Napi::Object object = read_object(value, "problem");
  Problem problem;
  Shape& shape = problem.shape;
  shape.batch = static_cast<std::size_t>(read_count(object, "batch", 1, kMaxSafeInteger));
  shape.n = read_int(object, "n", 1);
  shape.m = read_int(object, "m");
  shape.q = read_int(object, "q");
  problem.dtype = read_dtype(object);
  const auto read = [&](const char* name, int rows, int columns) {
    return read_datum(object, name, problem.dtype, shape, rows, columns, gpu);
  };
  const auto read_optional = [&](const char* name, int rows, int columns) {
    return object.Get(name).IsUndefined() ? Datum{} : read(name, rows, columns);
  };
  problem.Q = read_optional("Q", shape.n, shape.n);
  problem.p = read("p", shape.n, 1);
  problem.lb = read_optional("lb", shape.n, 1);
  problem.ub = read_optional("ub", shape.n, 1);
  if (shape.m > 0) {
    problem.G = read("G", shape.m, shape.n);
    problem.h = read_optional("h", shape.m, 1);
    problem.gl = read_optional("gl", shape.m, 1);
    if (!problem.h.data && !problem.gl.data) throw InvalidArgument("G must come with h or gl");
  }
  if (shape.q > 0) {
    problem.A = read("A", shape.q, shape.n);
    problem.b = read("b", shape.q, 1);
  }
  return problem;
}

Fallback read_fallback(Napi::Value settings) {
  return static_cast<Fallback>(
      static_cast<int>(read_count(read_object(settings, "settings"), "fallback", 0, 2)));
}

Settings read_settings(Napi::Value value) {
  const Napi::Object object = read_object(value, "settings");
  Settings settings;
  settings.tolerance = read_number(object, "tolerance");
  if (!(settings.tolerance > 0) || !std::isfinite(settings.tolerance)) {
    throw InvalidArgument("tolerance must be positive and finite");
  }
  settings.max_iterations = read_int(object, "maxIterations", 1);
  settings.precision = static_cast<Precision>(static_cast<int>(read_count(object, "precision", 0, 2)));
  settings.threads = read_int(object, "threads");
  settings.differentiable = read_boolean(object, "differentiable");
  settings.polish = read_boolean(object, "polish");
  settings.smoothing = read_number(object, "smoothing");
  if (!(settings.smoothing >= 0) || !std::isfinite(settings.smoothing)) {
    throw InvalidArgument("smoothing must be zero or positive, and finite");
  }
  settings.closest = read_boolean(object, "closest");
  return settings;
}

Results read_results(Napi::Value value, const Problem& problem, bool closest, const Gpu& gpu,
                     Timings& timings, Kept& kept) {
  OutputReader reader{read_object(value, "results"), gpu, kept};
  const Shape& shape = problem.shape;
  const DType dtype = problem.dtype;
  const std::size_t batch = shape.batch;
  Results results;
  results.z = reader.write("z", dtype, product(batch, shape.n));
  results.lambda = reader.write("lambda", dtype, product(batch, shape.m));
  results.nu = reader.write("nu", dtype, product(batch, shape.q));
  results.slack = reader.write("slack", dtype, product(batch, shape.m));
  if (problem.gl.data) results.lambda_gl = reader.write("lambdaGl", dtype, product(batch, shape.m));
  if (problem.lb.data) results.lambda_lb = reader.write("lambdaLb", dtype, product(batch, shape.n));
  if (problem.ub.data) results.lambda_ub = reader.write("lambdaUb", dtype, product(batch, shape.n));
  if (closest) {
    results.shift_h = reader.write("shiftH", dtype, product(batch, shape.m));
    results.shift_b = reader.write("shiftB", dtype, product(batch, shape.q));
  }
  results.on_device = reader.on_device();
  results.objective = reader.read<double>("objective", napi_float64_array, batch);
  results.status = reader.read<std::uint8_t>("status", napi_uint8_array, batch);
  results.iterations = reader.read<std::int32_t>("iterations", napi_int32_array, batch);
  results.primal_residual = reader.read<double>("primalResidual", napi_float64_array, batch);
  results.dual_residual = reader.read<double>("dualResidual", napi_float64_array, batch);
  results.gap = reader.read<double>("gap", napi_float64_array, batch);
  results.margin = reader.read<double>("margin", napi_float64_array, batch);
  results.derivative = reader.read<std::uint8_t>("derivative", napi_uint8_array, batch);
  double* milliseconds = reader.read<double>("timings", napi_float64_array, 2);
  timings = {milliseconds, milliseconds + 1};
  return results;
}

Batched::Batched(const Problem& problem)
    : Q(problem.Q.batched),
      p(problem.p.batched),
      G(problem.G.batched),
      h(problem.h.batched),
      A(problem.A.batched),
      b(problem.b.batched),
      gl(problem.gl.batched),
      lb(problem.lb.batched),
      ub(problem.ub.batched) {}

Upstream read_upstream(Napi::Value value, const Shape& shape, DType dtype, const Gpu& gpu, Kept& kept) {
  const Napi::Object object = read_object(value, "upstream");
  // What lies in host memory needs no keeping: the engine copies it before the call returns.
  const auto read = [&](const char* name, int width, const void*& data, bool& on_device) {
    const Napi::Value given = object.Get(name);
    if (given.IsUndefined()) return;
    Elements elements = read_anywhere(given, name, dtype, product(shape.batch, width), gpu);
    data = elements.data;
    on_device = elements.on_device;
    if (elements.owner) kept.on_device.push_back(std::move(elements.owner));
  };
  Upstream upstream;
  read("dz", shape.n, upstream.dz, upstream.dz_on_device);
  read("dlambda", shape.m, upstream.dlambda, upstream.dlambda_on_device);
  read("dnu", shape.q, upstream.dnu, upstream.dnu_on_device);
  read("dlambdaGl", shape.m, upstream.dlambda_gl, upstream.dlambda_gl_on_device);
  read("dlambdaLb", shape.n, upstream.dlambda_lb, upstream.dlambda_lb_on_device);
  read("dlambdaUb", shape.n, upstream.dlambda_ub, upstream.dlambda_ub_on_device);
  read("dobjective", 1, upstream.dobjective, upstream.dobjective_on_device);
  return upstream;
}

Gradients read_gradients(Napi::Value value, const Shape& shape, DType dtype, const Batched& batched,
                         const Gpu& gpu, Kept& kept) {
  OutputReader reader{read_object(value, "gradients"), gpu, kept};
  const std::size_t n = shape.n, m = shape.m, q = shape.q;
  Gradients gradients;
  gradients.dQ = reader.write_optional("dQ", dtype, elements(batched.Q, shape, n, n));
  gradients.dp = reader.write_optional("dp", dtype, elements(batched.p, shape, n, 1));
  gradients.dG = reader.write_optional("dG", dtype, elements(batched.G, shape, m, n));
  gradients.dh = reader.write_optional("dh", dtype, elements(batched.h, shape, m, 1));
  gradients.dA = reader.write_optional("dA", dtype, elements(batched.A, shape, q, n));
  gradients.db = reader.write_optional("db", dtype, elements(batched.b, shape, q, 1));
  gradients.dgl = reader.write_optional("dgl", dtype, elements(batched.gl, shape, m, 1));
  gradients.dlb = reader.write_optional("dlb", dtype, elements(batched.lb, shape, n, 1));
  gradients.dub = reader.write_optional("dub", dtype, elements(batched.ub, shape, n, 1));
  if (reader.has("residuals")) {
    gradients.residual = reader.read<double>("residuals", napi_float64_array, shape.batch);
  }
  gradients.on_device = reader.on_device();
  return gradients;
}

Tangents read_tangents(Napi::Value value, const Shape& shape, DType dtype, const Batched& batched) {
  const Napi::Object object = read_object(value, "tangents");
  const auto read = [&](const char* name, bool has_batch, int rows, int columns) -> const void* {
    const Napi::Value given = object.Get(name);
    if (given.IsUndefined()) return nullptr;
    return read_elements(given, name, element_type(dtype), elements(has_batch, shape, rows, columns));
  };
  const int n = shape.n, m = shape.m, q = shape.q;
  Tangents tangents;
  tangents.dQ = read("dQ", batched.Q, n, n);
  tangents.dp = read("dp", batched.p, n, 1);
  tangents.dG = read("dG", batched.G, m, n);
  tangents.dh = read("dh", batched.h, m, 1);
  tangents.dA = read("dA", batched.A, q, n);
  tangents.db = read("db", batched.b, q, 1);
  tangents.dgl = read("dgl", batched.gl, m, 1);
  tangents.dlb = read("dlb", batched.lb, n, 1);
  tangents.dub = read("dub", batched.ub, n, 1);
  return tangents;
}

SolutionTangents read_solution_tangents(Napi::Value value, const Shape& shape, DType dtype, Kept& kept) {
  const Gpu host;
  OutputReader reader{read_object(value, "outputs"), host, kept};
  const auto write = [&](const char* name, int width) {
    return reader.write_optional(name, dtype, product(shape.batch, width));
  };
  SolutionTangents outputs;
  outputs.dz = write("dz", shape.n);
  outputs.dlambda = write("dlambda", shape.m);
  outputs.dnu = write("dnu", shape.q);
  outputs.dlambda_gl = write("dlambdaGl", shape.m);
  outputs.dlambda_lb = write("dlambdaLb", shape.n);
  outputs.dlambda_ub = write("dlambdaUb", shape.n);
  if (reader.has("dobjective")) {
    outputs.dobjective = reader.read<double>("dobjective", napi_float64_array, shape.batch);
  }
  return outputs;
}

Napi::Function read_callback(Napi::Value value, const char* name) {
  if (!value.IsFunction()) throw InvalidArgument(std::string(name) + " must be a function");
  return value.As<Napi::Function>();
}

Napi::Object make_failure(Napi::Env env, const char* failure, const char* message) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("failure", failure);
  if (message != nullptr) object.Set("message", message);
  return object;
}

Napi::Object make_failure(Napi::Env env, const Failure& failure, const Batched& batched, Given given) {
  Napi::Object object = make_failure(env, failure_name(failure.code));
  if (const Argument* argument = find_argument(failure.argument)) {
    const bool is_datum = argument->batched != nullptr;
    const bool is_tangent = is_datum && given == Given::kTangents;
    object.Set("argument", is_tangent ? argument->tangent : argument->name);
    if (has_place(failure.code)) {
      if (!is_datum || batched.*argument->batched) object.Set("index", static_cast<double>(failure.index));
      // The engine does not look for the place in what it is given after the solve.
      if (is_datum && !is_tangent) {
        object.Set("row", failure.row);
        object.Set("column", failure.column);
      }
    }
  }
  const bool unsolved = failure.code == Failure::Code::kUnserved && failure.argument == ' ';
  if (unsolved && failure.message.empty()) object.Set("index", static_cast<double>(failure.index));
  if (failure.code == Failure::Code::kMemory) object.Set("bytes", static_cast<double>(failure.bytes));
  if (!failure.message.empty()) object.Set("message", failure.message);
  return object;
}

}  // namespace optnet::binding
