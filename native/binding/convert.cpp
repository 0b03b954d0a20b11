#include "binding/convert.h"

#include <cmath>
#include <limits>

namespace optnet::binding {
namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

Napi::Object read_object(Napi::Value value, const char* name) {
  if (!value.IsObject()) throw InvalidArgument(std::string(name) + " must be an object");
  return value.As<Napi::Object>();
}

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

/// A whole number between `low` and `high`.
double read_count(Napi::Object object, const char* name, double low, double high) {
  const double value = read_number(object, name);
  const bool in_range = value >= low && value <= high;  // NaN is not
  if (!in_range || std::floor(value) != value) {
    throw InvalidArgument(std::string(name) + " must be a whole number in range");
  }
  return value;
}

int read_int(Napi::Object object, const char* name, int low = 0) {
  return static_cast<int>(read_count(object, name, low, std::numeric_limits<int>::max()));
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

Datum read_datum(Napi::Object problem, const char* name, DType dtype, const Shape& shape, int rows,
                 int columns) {
  const Napi::Object object = read_object(problem.Get(name), name);
  Datum datum;
  datum.batched = read_boolean(object, "batched");
  datum.data = read_elements(object.Get("data"), name, element_type(dtype),
                             elements(datum.batched, shape, rows, columns));
  return datum;
}

DType read_dtype(Napi::Object problem) {
  const Array array = read_array(read_object(problem.Get("p"), "p").Get("data"), "p");
  if (array.type == napi_float64_array) return DType::kFloat64;
  if (array.type == napi_float32_array) return DType::kFloat32;
  throw InvalidArgument("p must be a Float64Array or a Float32Array");
}

/// Reads arrays that are to be written, and keeps them.
struct OutputReader {
  Napi::Object object;
  KeptArrays& kept;

  template <typename T>
  T* read(const char* name, napi_typedarray_type type, std::size_t length) {
    const Napi::Value value = object.Get(name);
    void* data = read_elements(value, name, type, length);
    kept.push_back(value);
    return static_cast<T*>(data);
  }

  void* read_optional(const char* name, napi_typedarray_type type, std::size_t length) {
    return object.Get(name).IsUndefined() ? nullptr : read<void>(name, type, length);
  }
};

const char* argument_name(char argument) {
  switch (argument) {
    case 'Q': return "Q";
    case 'p': return "p";
    case 'G': return "G";
    case 'h': return "h";
    case 'A': return "A";
    case 'b': return "b";
    case 'z': return "dz";
    case 'l': return "dlambda";
    case 'n': return "dnu";
    default: return nullptr;
  }
}

/// Whether an error in this argument belongs to one problem of the batch. Upstream gradients always do.
bool has_index(char argument, const Batched& batched) {
  switch (argument) {
    case 'Q': return batched.Q;
    case 'p': return batched.p;
    case 'G': return batched.G;
    case 'h': return batched.h;
    case 'A': return batched.A;
    case 'b': return batched.b;
    default: return true;
  }
}

/// The engine does not look for the place in one of these.
bool is_upstream(char argument) { return argument == 'z' || argument == 'l' || argument == 'n'; }

const char* failure_name(Failure::Code code) {
  switch (code) {
    case Failure::Code::kNotFinite: return "notFinite";
    case Failure::Code::kNotSymmetric: return "notSymmetric";
    case Failure::Code::kNotConvex: return "notConvex";
    case Failure::Code::kMemory: return "memory";
    case Failure::Code::kCancelled: return "cancelled";
    case Failure::Code::kNone: break;
  }
  return "invalid";
}

}  // namespace

Problem read_problem(Napi::Value value) {
  const Napi::Object object = read_object(value, "problem");
  Problem problem;
  Shape& shape = problem.shape;
  shape.batch = static_cast<std::size_t>(read_count(object, "batch", 1, kMaxSafeInteger));
  shape.n = read_int(object, "n", 1);
  shape.m = read_int(object, "m");
  shape.q = read_int(object, "q");
  problem.dtype = read_dtype(object);
  problem.Q = read_datum(object, "Q", problem.dtype, shape, shape.n, shape.n);
  problem.p = read_datum(object, "p", problem.dtype, shape, shape.n, 1);
  if (shape.m > 0) {
    problem.G = read_datum(object, "G", problem.dtype, shape, shape.m, shape.n);
    problem.h = read_datum(object, "h", problem.dtype, shape, shape.m, 1);
  }
  if (shape.q > 0) {
    problem.A = read_datum(object, "A", problem.dtype, shape, shape.q, shape.n);
    problem.b = read_datum(object, "b", problem.dtype, shape, shape.q, 1);
  }
  return problem;
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
  return settings;
}

Results read_results(Napi::Value value, const Problem& problem, Timings& timings, KeptArrays& kept) {
  OutputReader reader{read_object(value, "results"), kept};
  const Shape& shape = problem.shape;
  const napi_typedarray_type type = element_type(problem.dtype);
  const std::size_t batch = shape.batch;
  Results results;
  results.z = reader.read<void>("z", type, product(batch, shape.n));
  results.lambda = reader.read<void>("lambda", type, product(batch, shape.m));
  results.nu = reader.read<void>("nu", type, product(batch, shape.q));
  results.slack = reader.read<void>("slack", type, product(batch, shape.m));
  results.objective = reader.read<double>("objective", napi_float64_array, batch);
  results.status = reader.read<std::uint8_t>("status", napi_uint8_array, batch);
  results.iterations = reader.read<std::int32_t>("iterations", napi_int32_array, batch);
  results.primal_residual = reader.read<double>("primalResidual", napi_float64_array, batch);
  results.dual_residual = reader.read<double>("dualResidual", napi_float64_array, batch);
  results.gap = reader.read<double>("gap", napi_float64_array, batch);
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
      b(problem.b.batched) {}

Upstream read_upstream(Napi::Value value, const Shape& shape, DType dtype) {
  KeptArrays not_kept;  // the engine copies them before the call returns
  OutputReader reader{read_object(value, "upstream"), not_kept};
  const napi_typedarray_type type = element_type(dtype);
  Upstream upstream;
  upstream.dz = reader.read_optional("dz", type, product(shape.batch, shape.n));
  upstream.dlambda = reader.read_optional("dlambda", type, product(shape.batch, shape.m));
  upstream.dnu = reader.read_optional("dnu", type, product(shape.batch, shape.q));
  return upstream;
}

Gradients read_gradients(Napi::Value value, const Shape& shape, DType dtype, const Batched& batched,
                         KeptArrays& kept) {
  OutputReader reader{read_object(value, "gradients"), kept};
  const napi_typedarray_type type = element_type(dtype);
  const std::size_t n = shape.n, m = shape.m, q = shape.q;
  Gradients gradients;
  gradients.dQ = reader.read_optional("dQ", type, elements(batched.Q, shape, n, n));
  gradients.dp = reader.read_optional("dp", type, elements(batched.p, shape, n, 1));
  gradients.dG = reader.read_optional("dG", type, elements(batched.G, shape, m, n));
  gradients.dh = reader.read_optional("dh", type, elements(batched.h, shape, m, 1));
  gradients.dA = reader.read_optional("dA", type, elements(batched.A, shape, q, n));
  gradients.db = reader.read_optional("db", type, elements(batched.b, shape, q, 1));
  return gradients;
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

Napi::Object make_failure(Napi::Env env, const Failure& failure, const Batched& batched) {
  Napi::Object object = make_failure(env, failure_name(failure.code));
  const char* argument = argument_name(failure.argument);
  if (argument != nullptr) {
    object.Set("argument", argument);
    if (has_index(failure.argument, batched)) object.Set("index", static_cast<double>(failure.index));
    if (!is_upstream(failure.argument)) {
      object.Set("row", failure.row);
      object.Set("column", failure.column);
    }
  }
  if (failure.code == Failure::Code::kMemory) object.Set("bytes", static_cast<double>(failure.bytes));
  return object;
}

}  // namespace optnet::binding
