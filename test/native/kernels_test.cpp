// Every dense kernel of every backend against plain loops, at sizes around the edges of tiles and strips; and
// whole solves of the forms against the KKT conditions. Compiled for each instruction set, and for registers
// as wide as AVX-512's wherever the tests run.
#include <random>
#include <vector>

#include "check.h"
#include "cpu/mixed.h"
#include "generator.h"
#include "solver/solve.h"

namespace optnet::OPTNET_ISA {
namespace {

std::mt19937_64 random_bits(7);
double normal() { return std::normal_distribution<double>()(random_bits); }

/// W problems' matrices, and the same in the backend's layout.
template <class B>
struct Dense {
  int rows, columns;
  std::vector<double> values[B::kWidth];

  Dense(int r, int c) : rows(r), columns(c) {
    for (auto& v : values) {
      v.resize(static_cast<std::size_t>(r) * c);
      for (double& x : v) x = normal();
    }
  }
  double& at(int l, int i, int j) { return values[l][static_cast<std::size_t>(i) * columns + j]; }

  void make_symmetric_definite() {
    Dense<B> factor(rows, rows);
    for (int l = 0; l < B::kWidth; ++l) {
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < rows; ++j) {
          at(l, i, j) = i == j ? rows : 0;
          for (int k = 0; k < rows; ++k) at(l, i, j) += factor.at(l, i, k) * factor.at(l, j, k);
        }
      }
    }
  }
  typename B::Matrix load(Arena& arena) {
    const auto M = B::matrix(arena, rows, columns, false);
    const double* source[B::kWidth];
    for (int i = 0; i < rows; ++i) {
      for (int l = 0; l < B::kWidth; ++l) source[l] = &at(l, i, 0);
      B::load_row(M, i, source);
    }
    return M;
  }
  typename B::Triangle load_symmetric(Arena& arena) {
    const auto M = B::triangle(arena, rows, false);
    const double* source[B::kWidth];
    for (int l = 0; l < B::kWidth; ++l) source[l] = values[l].data();
    typename B::Real asymmetry;
    B::load_symmetric(M, source, asymmetry);
    return M;
  }
};

template <class B>
double lane(const typename B::Real& x, int l) {
  if constexpr (std::is_class_v<typename B::Real>) {
    return x.lane(l);
  } else {
    return x;
  }
}

template <class B>
typename B::Real* load_vector(Arena& arena, Dense<B>& v) {
  typename B::Real* out = B::vector(arena, v.columns);
  const double* source[B::kWidth];
  for (int l = 0; l < B::kWidth; ++l) source[l] = v.values[l].data();
  B::load_row(out, v.columns, source);
  return out;
}

class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : data_(static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes))) {}
  ~Memory() { std::free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::byte* get() const { return data_; }

 private:
  std::byte* data_;
};

template <class B>
void test_kernels(int n, int m, double tolerance) {
  const B b{};
  const Memory memory(std::size_t{64} << 20);
  Arena arena(memory.get());
  Dense<B> q(n, n), g(m, n), a(3, n), x(1, n), y(1, m), w(1, n);
  q.make_symmetric_definite();
  const auto Q = q.load_symmetric(arena);
  const auto G = g.load(arena), A = a.load(arena);
  auto* xs = load_vector<B>(arena, x);
  auto* ys = load_vector<B>(arena, y);
  auto* out_n = B::vector(arena, n);
  auto* out_m = B::vector(arena, m);

  b.multiply(G, xs, out_m);
  b.multiply_transpose(G, ys, out_n);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < m; ++i) {
      double sum = 0;
      for (int j = 0; j < n; ++j) sum += g.at(l, i, j) * x.at(l, 0, j);
      CHECK_CLOSE(lane<B>(out_m[i], l), sum, tolerance * n);
    }
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int i = 0; i < m; ++i) sum += g.at(l, i, j) * y.at(l, 0, i);
      CHECK_CLOSE(lane<B>(out_n[j], l), sum, tolerance * m);
    }
  }
  b.multiply_symmetric(Q, xs, out_n);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < n; ++i) {
      double sum = 0;
      for (int j = 0; j < n; ++j) sum += q.at(l, i, j) * x.at(l, 0, j);
      CHECK_CLOSE(lane<B>(out_n[i], l), sum, tolerance * n * n);
    }
  }

  // Q (L⁻ᵀ L⁻¹ x) = x
  const auto L = B::triangle(arena, n, false);
  CHECK(all(b.factor(Q, L, typename B::Scalar(1e-6))));
  auto* solution = load_vector<B>(arena, x);
  b.solve_lower(L, solution);
  b.solve_upper(L, solution);
  b.multiply_symmetric(Q, solution, out_n);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < n; ++i) CHECK_CLOSE(lane<B>(out_n[i], l), x.at(l, 0, i), tolerance * n * 10);
  }

  // Y = G L⁻ᵀ, hence Y (Lᵀ v) = G v with v = L⁻ᵀ x: Y x = G L⁻ᵀ x
  const auto Y = B::matrix(arena, m, n, false);
  b.solve_rows(L, G, Y);
  auto* v = load_vector<B>(arena, x);
  b.solve_upper(L, v);
  auto* left = B::vector(arena, m);
  b.multiply(Y, xs, left);
  b.multiply(G, v, out_m);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < m; ++i) CHECK_CLOSE(lane<B>(left[i], l), lane<B>(out_m[i], l), tolerance * n * 10);
  }

  // gram, add_gram, multiply_transposed: applied to a vector
  const auto E = B::triangle(arena, m, false);
  const auto C = B::matrix(arena, m, 3, false);
  b.gram(G, E);
  b.add_gram(E, typename B::Scalar(-0.5), G, E);  // ½ G Gᵀ
  b.multiply_symmetric(E, ys, left);
  b.multiply_transpose(G, ys, out_n);
  b.multiply(G, out_n, out_m);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < m; ++i)
      CHECK_CLOSE(lane<B>(left[i], l), 0.5 * lane<B>(out_m[i], l), tolerance * n * m * 10);
  }
  b.multiply_transposed(G, A, C);
  auto* out_3 = B::vector(arena, 3);
  b.multiply_transpose(C, ys, out_3);
  b.multiply_transpose(G, ys, out_n);
  auto* right_3 = B::vector(arena, 3);
  b.multiply(A, out_n, right_3);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < 3; ++i)
      CHECK_CLOSE(lane<B>(out_3[i], l), lane<B>(right_3[i], l), tolerance * n * m * 10);
  }

  // scaled_transpose: (Gᵀ diag y) 1 = Gᵀ y
  const auto Gt = B::matrix(arena, n, m, false);
  b.scaled_transpose(G, ys, Gt);
  auto* ones = B::vector(arena, m);
  for (int i = 0; i < m; ++i) ones[i] = typename B::Real(1);
  auto* product = B::vector(arena, n);
  b.multiply(Gt, ones, product);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int j = 0; j < n; ++j) CHECK_CLOSE(lane<B>(product[j], l), lane<B>(out_n[j], l), tolerance * m * 10);
  }

  // (I + W Q W) u = x through the iteration's factor, whatever its precision
  auto* weights = load_vector<B>(arena, w);
  for (int i = 0; i < n; ++i) weights[i] = abs(weights[i]) + typename B::Real(typename B::Scalar(0.1));
  const auto T = B::factor_storage(arena, n);
  b.factor_scaled(Q, weights, T);
  auto* u = load_vector<B>(arena, x);
  b.solve_scaled(Q, weights, T, u);
  auto* wu = B::vector(arena, n);
  for (int i = 0; i < n; ++i) wu[i] = weights[i] * u[i];
  b.multiply_symmetric(Q, wu, out_n);
  for (int l = 0; l < B::kWidth; ++l) {
    for (int i = 0; i < n; ++i) {
      const double residual = lane<B>(u[i], l) + lane<B>(weights[i], l) * lane<B>(out_n[i], l);
      CHECK_CLOSE(residual, x.at(l, 0, i), tolerance * n * 1000);
    }
  }

  // A dependent row is dropped: E = [1 1; 1 1] ⊕ … solves with its second unknown zero.
  if (n >= 2) {
    Dense<B> dependent(n, n);
    for (int l = 0; l < B::kWidth; ++l) {
      for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) dependent.at(l, i, j) = (i < 2 && j < 2) || i == j ? 1 : 0;
      }
    }
    const auto D = dependent.load_symmetric(arena);
    b.factor_dropping(D, typename B::Scalar(1e-5));
    auto* e = B::vector(arena, n);
    for (int i = 0; i < n; ++i) e[i] = typename B::Real(1);
    b.solve_lower(D, e);
    b.solve_upper(D, e);
    for (int l = 0; l < B::kWidth; ++l) {
      CHECK_CLOSE(lane<B>(e[0], l), 1, 1e-5);
      CHECK(lane<B>(e[1], l) == 0);
    }
  }
}

/// What the adjoint leaves of its system is rounding, and is noticed where it is not.
template <class B, FormKind kKind>
void test_adjoint(const B& b, Workplace<B, kKind>& work, Arena& arena) {
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  const Dimensions& d = work.d;
  const auto draw = [&](int size, double phase) {
    std::pair<Real*, Real*> twice{B::vector(arena, size), B::vector(arena, size)};
    for (int i = 0; i < size; ++i)
      twice.first[i] = twice.second[i] = Real(static_cast<Scalar>(std::sin(phase + i)));
    return twice;
  };
  const auto [gz, z] = draw(d.n, 1);
  const auto [glambda, lambda] = draw(d.m, 2);
  const auto [gnu, nu] = draw(d.q, 3);
  Real* const dlambda = B::vector(arena, d.m);
  refined_adjoint(b, work, z, lambda, nu, dlambda, typename B::Mask(true));
  const auto residual = [&] { return adjoint_residual(b, work, gz, glambda, gnu, z, dlambda, nu); };
  const Real right = residual();
  z[0] = z[0] + Real(Scalar(1));
  const Real wrong = residual();
  for (int l = 0; l < B::kWidth; ++l) {
    CHECK_CLOSE(lane<B>(right, l), 0, 1e-9);
    CHECK(lane<B>(wrong, l) > 1e-4);
  }
}

/// One pack of the paper's problems, solved; KKT conditions from the data.
template <class B, FormKind kKind>
void test_solve(int n, int m, int q, double tolerance) {
  const B b{};
  const GeneratedBatch batch(B::kWidth, n, m, q, 3);
  const Memory memory(std::size_t{64} << 20);
  Arena shared, arena(memory.get());
  Workplace<B, kKind> work(b, {n, m, q}, {}, shared, arena, shared, arena, arena, arena, arena);
  const double* source[B::kWidth];
  const auto rows = [&](const std::vector<double>& values, std::size_t each, std::size_t from) {
    for (std::size_t l = 0; l < B::kWidth; ++l) source[l] = values.data() + l * each + from;
  };
  const auto N = static_cast<std::size_t>(n), M = static_cast<std::size_t>(m),
             K = static_cast<std::size_t>(q);
  typename B::Real asymmetry;
  rows(batch.Q, N * N, 0);
  B::load_symmetric(work.data.Q, source, asymmetry);
  rows(batch.p, N, 0);
  B::load_row(work.data.p, n, source);
  rows(batch.h, M, 0);
  B::load_row(work.data.h, m, source);
  rows(batch.b, K, 0);
  B::load_row(work.data.b, q, source);
  for (int i = 0; i < m; ++i) {
    rows(batch.G, M * N, static_cast<std::size_t>(i) * N);
    work.data.G_norm[i] = B::load_row(work.data.G, i, source).norm;
  }
  for (int k = 0; k < q; ++k) {
    rows(batch.A, K * N, static_cast<std::size_t>(k) * N);
    work.data.A_norm[k] = B::load_row(work.data.A, k, source).norm;
  }
  const Report<B> report = solve(b, work, {tolerance, 50}, true);
  CHECK(all(report.solved));
  for (int l = 0; l < B::kWidth; ++l) {
    const auto at = [&](const std::vector<double>& v, std::size_t each, std::size_t i) {
      return v[static_cast<std::size_t>(l) * each + i];
    };
    for (int i = 0; i < m; ++i) {
      double slack = at(batch.h, M, static_cast<std::size_t>(i)) - lane<B>(work.x.s[i], l);
      for (int j = 0; j < n; ++j)
        slack -= at(batch.G, M * N, static_cast<std::size_t>(i * n + j)) * lane<B>(work.x.z[j], l);
      CHECK_CLOSE(slack, 0, 1e3 * tolerance);
      CHECK(lane<B>(work.x.s[i], l) >= 0 && lane<B>(work.x.lambda[i], l) >= 0);
    }
    for (int j = 0; j < n; ++j) {
      double dual = at(batch.p, N, static_cast<std::size_t>(j));
      for (int k = 0; k < n; ++k)
        dual += at(batch.Q, N * N, static_cast<std::size_t>(j * n + k)) * lane<B>(work.x.z[k], l);
      for (int i = 0; i < m; ++i)
        dual += at(batch.G, M * N, static_cast<std::size_t>(i * n + j)) * lane<B>(work.x.lambda[i], l);
      for (int k = 0; k < q; ++k)
        dual += at(batch.A, K * N, static_cast<std::size_t>(k * n + j)) * lane<B>(work.x.nu[k], l);
      CHECK_CLOSE(dual, 0, 1e3 * tolerance);
    }
    CHECK_CLOSE(lane<B>(report.gap, l), 0, 1e3 * tolerance);
  }
  if (sizeof(typename B::Scalar) == sizeof(double)) test_adjoint(b, work, arena);
}

template <class B>
void test_backend(double tolerance, double solve_tolerance) {
  for (const int n : {1, 2, 3, 4, 5, 7, 8, 12, 13, 24, 25, 49}) {
    for (const int m : {1, 3, 6, 11, 26}) test_kernels<B>(n, m, tolerance);
  }
  for (const auto& [n, m, q] :
       {Dimensions{1, 2, 0}, Dimensions{6, 9, 2}, Dimensions{13, 26, 5}, Dimensions{27, 20, 8}}) {
    test_solve<B, FormKind::kRangeSpace>(n, m, q, solve_tolerance);
    test_solve<B, FormKind::kCondensed>(n, m, q, solve_tolerance);
  }
}

}  // namespace
}  // namespace optnet::OPTNET_ISA

int main() {
  using namespace optnet::OPTNET_ISA;
#if defined(__AVX512F__)
  if (!__builtin_cpu_supports("avx512f")) return 77;  // ctest: skipped
#elif defined(__AVX2__)
  if (!__builtin_cpu_supports("avx2")) return 77;
#endif
  test_backend<PackedBackend<Pack<double, kLanes<double>>>>(1e-14, 1e-9);
  test_backend<PackedBackend<Pack<double, 1>>>(1e-14, 1e-9);
  test_backend<BlockedBackend<double>>(1e-14, 1e-9);
  test_backend<MixedPacked>(1e-14, 1e-9);
  test_backend<MixedBlocked>(1e-14, 1e-9);
  test_backend<PackedBackend<Pack<float, kLanes<float>>>>(1e-5, 1e-4);
  test_backend<BlockedBackend<float>>(1e-5, 1e-4);
  return optnet::test::result();
}
