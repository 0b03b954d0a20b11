// The packed backend: W problems side by side, element (i, j) of all of them in one Pack. No kernel mixes
// lanes, so each problem goes through the same operations in the same order whoever shares its pack.
//
// A matrix that the batch shares is stored once, as plain numbers, and broadcast as it is read. Every dense
// kernel is a product of rows by rows (A·Bᵀ): rows are contiguous in both operands, and one register tile
// serves them all.
#pragma once

#include <cstddef>
#include <cstring>

#include "cpu/simd.h"
#include "solver/arena.h"

namespace optnet::OPTNET_ISA {

/// Row of an operand: its problems' own numbers …
template <class P>
struct OwnRow {
  const P* p;
  OPTNET_INLINE P operator[](int k) const { return p[k]; }
};

/// … or the same number for all of them.
template <class P>
struct SharedRow {
  const typename P::Scalar* p;
  OPTNET_INLINE P operator[](int k) const { return P(p[k]); }
};

/// acc[i][j] += Σₖ a[i][k] b[j][k]
template <int MR, int NR, class P, class RowA, class RowB>
OPTNET_INLINE void multiply_rows(const RowA (&a)[MR], const RowB (&b)[NR], int length, P (&acc)[MR][NR]) {
  for (int k = 0; k < length; ++k) {
    P bk[NR];
    OPTNET_UNROLL for (int j = 0; j < NR; ++j) {
      bk[j] = b[j][k];
      keep_in_register(bk[j]);
    }
    OPTNET_UNROLL for (int i = 0; i < MR; ++i) {
      P ak = a[i][k];
      keep_in_register(ak);
      OPTNET_UNROLL for (int j = 0; j < NR; ++j) acc[i][j] = fma(ak, bk[j], acc[i][j]);
    }
  }
}

template <int N>
struct Constant {
  static constexpr int value = N;
};

/// Calls f with n ≤ N as a compile-time constant: edge tiles are unrolled like full ones.
template <int N, class F>
OPTNET_INLINE void with_constant(int n, F f) {
  if constexpr (N > 0) {
    if (n == N) {
      f(Constant<N>{});
    } else {
      with_constant<N - 1>(n, f);
    }
  }
}

template <class P>
class PackedBackend {
 public:
  using Real = P;
  using Scalar = typename P::Scalar;
  using Mask = typename P::Mask;
  static constexpr int kWidth = P::kWidth;

  /// The backend that prepares what the batch shares: the same kernels on one lane, hence the same bits.
  using Shared = PackedBackend<Pack<Scalar, 1>>;

  /// Row-major; numbers of type Scalar if shared, of type P if not.
  struct Matrix {
    void* data = nullptr;
    int rows = 0, columns = 0;
    bool shared = false;
    std::size_t offset(int i) const { return static_cast<std::size_t>(i) * columns; }
  };
  /// Lower triangle, row after row. In a factor, the diagonal holds reciprocals.
  struct Triangle {
    void* data = nullptr;
    int size = 0;
    bool shared = false;
    std::size_t offset(int i) const { return static_cast<std::size_t>(i) * (i + 1) / 2; }
  };
  using Factor = Triangle;  ///< of the matrix that changes with each iteration

  static Matrix matrix(Arena& arena, int rows, int columns, bool shared) {
    const std::size_t count = static_cast<std::size_t>(rows) * columns;
    return {shared ? static_cast<void*>(arena.take<Scalar>(count)) : arena.take<P>(count), rows, columns,
            shared};
  }
  static Triangle triangle(Arena& arena, int size, bool shared) {
    const std::size_t count = static_cast<std::size_t>(size) * (size + 1) / 2;
    return {shared ? static_cast<void*>(arena.take<Scalar>(count)) : arena.take<P>(count), size, shared};
  }
  static Factor factor_storage(Arena& arena, int size) { return triangle(arena, size, false); }
  static P* vector(Arena& arena, int size) { return arena.take<P>(static_cast<std::size_t>(size)); }

  // ---- in and out: one row of each problem ----

  /// Row i of one problem, and its whole symmetric matrix.
  static void read_row(const Matrix& A, int i, int lane, double* out) {
    for (int j = 0; j < A.columns; ++j) out[j] = element(A.data, A.shared, A.offset(i) + j, lane);
  }
  static void read_symmetric(const Triangle& A, int lane, double* out) {
    const auto n = static_cast<std::size_t>(A.size);
    for (int i = 0; i < A.size; ++i) {
      for (int j = 0; j <= i; ++j) {
        out[i * n + j] = out[j * n + i] = element(A.data, A.shared, A.offset(i) + j, lane);
      }
    }
  }

  template <class IO>
  static RowCheck<P> load_row(const Matrix& A, int i, const IO* const (&rows)[kWidth]) {
    return load_row(own(A, i), A.columns, rows);
  }
  template <class IO>
  OPTNET_NOINLINE static RowCheck<P> load_row(P* v, int n, const IO* const (&rows)[kWidth]) {
    RowCheck<P> check;
    interleave(n, rows, [&](int k, P x) {
      v[k] = x;
      check.add(x);
    });
    return check;
  }
  /// Loads the lower triangle of n×n matrices; `asymmetry` is the largest |Qᵢⱼ − Qⱼᵢ|.
  template <class IO>
  OPTNET_NOINLINE static RowCheck<P> load_symmetric(const Triangle& Q, const IO* const (&matrices)[kWidth],
                                                    P& asymmetry) {
    RowCheck<P> check;
    P difference(0);
    const IO* rows[kWidth];
    for (int i = Q.size - 1; i >= 0; --i) {  // upwards: what mirrors the right part of a row is there already
      for (int l = 0; l < kWidth; ++l) rows[l] = matrices[l] + static_cast<std::size_t>(i) * Q.size;
      P* row = own(Q, i);
      interleave(Q.size, rows, [&](int k, P x) {
        check.add(x);
        if (k <= i) {
          row[k] = x;
        } else {
          difference = larger(difference, abs(x - own(Q, k)[i]));
        }
      });
    }
    asymmetry = difference;
    return check;
  }
  /// Writes the first `count` problems.
  template <class IO>
  OPTNET_NOINLINE static void store_row(const P* v, int n, IO* const (&rows)[kWidth], int count) {
    for (int l = 0; l < count; ++l) {
      for (int k = 0; k < n; ++k) rows[l][k] = static_cast<IO>(v[k].lane(l));
    }
  }

  // ---- over an index range ----

  template <class F>
  OPTNET_INLINE void each(int n, F f) const {
    for (int i = 0; i < n; ++i) f(i);
  }
  /// Four partial results, so that the sum does not wait for each addition.
  template <class F>
  OPTNET_INLINE P sum(int n, F f) const {
    return reduce(n, P(0), f, [](P a, P b) { return a + b; });
  }
  template <class F>
  OPTNET_INLINE P min(int n, F f) const {
    return reduce(n, P(static_cast<Scalar>(1e30)), f, [](P a, P b) { return smaller(a, b); });
  }
  template <class F>
  OPTNET_INLINE P max(int n, F f) const {
    return reduce(n, P(static_cast<Scalar>(-1e30)), f, [](P a, P b) { return larger(a, b); });
  }

  // ---- factorisations ----

  /// L Lᵀ = Q. Lanes whose pivot falls below `floor`·Qᵢᵢ are reported false.
  OPTNET_NOINLINE Mask factor(const Triangle& Q, const Triangle& L, Scalar floor) const {
    Mask definite(true);
    read(Q, [&](auto source) {
      cholesky(
          L, [&](int i, int j) { return source(i)[j]; },
          [&](P pivot, P diagonal) {
            definite = definite & (pivot > P(floor) * diagonal);
            return P(1) / sqrt(pivot);
          });
    });
    return definite;
  }

  /// L Lᵀ = E in place. A row whose pivot falls below `floor`·Eᵢᵢ depends on those before it and is dropped:
  /// its reciprocal pivot becomes zero, and so does its unknown in every solve.
  OPTNET_NOINLINE void factor_dropping(const Triangle& E, Scalar floor) const {
    cholesky(
        E, [&](int i, int j) { return own(E, i)[j]; },
        [&](P pivot, P diagonal) { return select(pivot > P(floor) * diagonal, P(1) / sqrt(pivot), P(0)); });
  }

  /// T Tᵀ = I + W R W, W = diag(w). Its pivots are at least 1, which round-off must not undo.
  OPTNET_NOINLINE void factor_scaled(const Triangle& R, const P* w, const Triangle& T) const {
    read(R, [&](auto source) {
      cholesky(
          T,
          [&](int i, int j) {
            return i == j ? fma(w[i] * source(i)[j], w[j], P(1)) : w[i] * source(i)[j] * w[j];
          },
          [](P pivot, P) { return P(1) / sqrt(larger(pivot, P(1))); });
    });
  }
  /// v ← (T Tᵀ)⁻¹ v
  void solve_scaled(const Triangle&, const P*, const Triangle& T, P* v) const {
    solve_lower(T, v);
    solve_upper(T, v);
  }

  // ---- products and solves ----

  /// Y ← G L⁻ᵀ, that is, each row g of G becomes L⁻¹g. Y may be G.
  OPTNET_NOINLINE void solve_rows(const Triangle& L, const Matrix& G, const Matrix& Y) const {
    read(L, [&](auto l) { read(G, [&](auto g) { solve_rows(l, L.size, g, G.rows, Y); }); });
  }

  /// C ← A Bᵀ
  OPTNET_NOINLINE void multiply_transposed(const Matrix& A, const Matrix& B, const Matrix& C) const {
    read(A, [&](auto a) {
      read(B, [&](auto b) {
        tiles<false>(A.rows, B.rows, A.columns, a, b, [&](int i, int j, P x) { own(C, i)[j] = x; });
      });
    });
  }

  /// E ← Y Yᵀ (lower triangle)
  OPTNET_NOINLINE void gram(const Matrix& Y, const Triangle& E) const {
    read(Y, [&](auto y) {
      tiles<true>(Y.rows, Y.rows, Y.columns, y, y, [&](int i, int j, P x) {
        if (j <= i) own(E, i)[j] = x;
      });
    });
  }

  /// E ← C + sign·Y Yᵀ (lower triangle), Y not shared. E may be C.
  OPTNET_NOINLINE void add_gram(const Triangle& C, Scalar sign, const Matrix& Y, const Triangle& E) const {
    const auto y = [&Y](int i) { return OwnRow<P>{own(Y, i)}; };
    read(C, [&](auto c) {
      tiles<true>(Y.rows, Y.rows, Y.columns, y, y, [&](int i, int j, P x) {
        if (j <= i) own(E, i)[j] = fma(P(sign), x, c(i)[j]);
      });
    });
  }

  /// C ← Gᵀ diag(w): n × m from m × n
  OPTNET_NOINLINE void scaled_transpose(const Matrix& G, const P* w, const Matrix& C) const {
    read(G, [&](auto g) {
      for (int k = 0; k < G.rows; ++k) {
        for (int j = 0; j < G.columns; ++j) own(C, j)[k] = g(k)[j] * w[k];
      }
    });
  }

  using WeightedGram = Matrix;  ///< work space of add_weighted_gram
  static WeightedGram weighted_gram_storage(Arena& arena, int m, int n) { return matrix(arena, n, m, false); }
  /// E ← Q + Gᵀ diag(w)² G (lower triangle), G: m×n
  void add_weighted_gram(const Triangle& Q, const Matrix& G, const P* w, const WeightedGram& work,
                         const Triangle& E) const {
    scaled_transpose(G, w, work);
    add_gram(Q, Scalar(1), work, E);
  }

  /// v ← L⁻¹ v
  OPTNET_NOINLINE void solve_lower(const Triangle& L, P* v) const {
    read(L, [&](auto l) { solve_lower(L.size, l, v); });
  }

  /// v ← L⁻ᵀ v
  OPTNET_NOINLINE void solve_upper(const Triangle& L, P* v) const {
    read(L, [&](auto l) { solve_upper(L.size, l, v); });
  }

  /// y ← A x
  OPTNET_NOINLINE void multiply(const Matrix& A, const P* x, P* y) const {
    read(A, [&](auto a) {
      by_rows(A.rows, [&](int i, auto rows) {
        constexpr int MR = decltype(rows)::value;
        using Row = decltype(a(0));
        Row r[MR];
        OPTNET_UNROLL for (int t = 0; t < MR; ++t) r[t] = a(i + t);
        P acc[MR][1] = {};
        const OwnRow<P> v[1] = {{x}};
        multiply_rows(r, v, A.columns, acc);
        OPTNET_UNROLL for (int t = 0; t < MR; ++t) y[i + t] = acc[t][0];
      });
    });
  }

  /// y ← Aᵀ x
  OPTNET_NOINLINE void multiply_transpose(const Matrix& A, const P* x, P* y) const {
    for (int j = 0; j < A.columns; ++j) y[j] = P(0);
    read(A, [&](auto a) {
      by_rows(A.rows, [&](int i, auto rows) {
        constexpr int MR = decltype(rows)::value;
        P xi[MR];
        OPTNET_UNROLL for (int t = 0; t < MR; ++t) xi[t] = x[i + t];
        for (int j = 0; j < A.columns; ++j) {
          P acc = y[j];
          OPTNET_UNROLL for (int t = 0; t < MR; ++t) acc = fma(a(i + t)[j], xi[t], acc);
          y[j] = acc;
        }
      });
    });
  }

  /// y ← R x, R symmetric, lower triangle stored
  OPTNET_NOINLINE void multiply_symmetric(const Triangle& R, const P* x, P* y) const {
    read(R, [&](auto r) {
      by_rows(R.size, [&](int i, auto rows) {
        constexpr int MR = decltype(rows)::value;
        P acc[MR], xi[MR];
        OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
          acc[t] = P(0);
          xi[t] = x[i + t];
        }
        for (int k = 0; k < i; ++k) {  // below the diagonal block, and its mirror image
          const P xk = x[k];
          P yk = y[k];
          OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
            const P e = r(i + t)[k];
            acc[t] = fma(e, xk, acc[t]);
            yk = fma(e, xi[t], yk);
          }
          y[k] = yk;
        }
        OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
          OPTNET_UNROLL for (int u = 0; u < MR; ++u) acc[t] =
              fma(t < u ? r(i + u)[i + t] : r(i + t)[i + u], xi[u], acc[t]);
          y[i + t] = acc[t];
        }
      });
    });
  }

  /// E ← C
  void copy(const Triangle& C, const Triangle& E) const {
    read(C, [&](auto c) {
      for (int i = 0; i < C.size; ++i) {
        for (int j = 0; j <= i; ++j) own(E, i)[j] = c(i)[j];
      }
    });
  }
  /// Aᵢᵢ ← Aᵢᵢ + shift(i)
  template <class F>
  void add_diagonal(const Triangle& A, F shift) const {
    for (int i = 0; i < A.size; ++i) own(A, i)[i] = own(A, i)[i] + shift(i);
  }

  /// v ← diag(R)
  void diagonal(const Triangle& R, P* v) const {
    read(R, [&](auto r) {
      for (int i = 0; i < R.size; ++i) v[i] = r(i)[i];
    });
  }

  /// Left-looking Cholesky into C: source(i, j) gives the matrix, invert(pivot, diagonal) the reciprocal
  /// pivot.
  template <class Source, class Invert>
  static OPTNET_INLINE void cholesky(const Triangle& C, Source source, Invert invert) {
    const int n = C.size;
    const auto row = [&C](int i) { return OwnRow<P>{own(C, i)}; };
    for (int j = 0; j < n; j += kColumns) {
      with_constant<kColumns>(n - j < kColumns ? n - j : kColumns, [&](auto nr) {
        constexpr int NR = decltype(nr)::value;
        {  // the diagonal block
          P acc[NR][NR] = {};
          multiply_tile<NR, NR>(row, j, row, j, j, acc);
          P x[NR][NR];
          OPTNET_UNROLL for (int u = 0; u < NR; ++u) {
            const P diagonal = source(j + u, j + u);
            P pivot = diagonal - acc[u][u];
            OPTNET_UNROLL for (int s = 0; s < u; ++s) pivot = fnma(x[u][s], x[u][s], pivot);
            x[u][u] = invert(pivot, diagonal);
            OPTNET_UNROLL for (int t = u + 1; t < NR; ++t) {
              P v = source(j + t, j + u) - acc[t][u];
              OPTNET_UNROLL for (int s = 0; s < u; ++s) v = fnma(x[t][s], x[u][s], v);
              x[t][u] = v * x[u][u];
            }
          }
          OPTNET_UNROLL for (int t = 0; t < NR; ++t) {
            OPTNET_UNROLL for (int u = 0; u <= t; ++u) own(C, j + t)[j + u] = x[t][u];
          }
        }
        for (int i = j + NR; i < n; i += kRows) {  // the panel below it
          with_constant<kRows>(n - i < kRows ? n - i : kRows, [&](auto mr) {
            constexpr int MR = decltype(mr)::value;
            P acc[MR][NR] = {};
            multiply_tile<MR, NR>(row, i, row, j, j, acc);
            P x[MR][NR];
            finish_tile<MR, NR>(source, row, i, j, acc, x);
            OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
              OPTNET_UNROLL for (int u = 0; u < NR; ++u) own(C, i + t)[j + u] = x[t][u];
            }
          });
        }
      });
    }
  }

 protected:
  /// Calls f with a function that gives row i of A, shared or not.
  template <class Storage, class F>
  static OPTNET_INLINE void read(const Storage& A, F f) {
    if (A.shared && kWidth > 1) {
      const auto* p = static_cast<const Scalar*>(A.data);
      f([&A, p](int i) { return SharedRow<P>{p + A.offset(i)}; });
    } else {
      const auto* p = static_cast<const P*>(A.data);
      f([&A, p](int i) { return OwnRow<P>{p + A.offset(i)}; });
    }
  }

 private:
  static double element(const void* data, bool shared, std::size_t at, int lane) {
    return static_cast<double>(shared ? static_cast<const Scalar*>(data)[at]
                                      : static_cast<const P*>(data)[at].lane(lane));
  }

  // The register tile: accumulators, one column of each operand and nothing else live in registers. Its
  // columns decide the order of operations in a factor, so they are the same for every pack; rows depend on
  // the registers of a pack.
  static constexpr int kColumns = kVectorRegisters == 32 ? 4 : 3;
  static constexpr int kRows = P::kRegisters == 1 ? 4 : kVectorRegisters == 32 ? 2 : 1;
  static constexpr int kBlock = P::kRegisters == 1 ? 4 : 2;  // rows at a time, in products with a vector

  static P* own(const Matrix& A, int i) { return static_cast<P*>(A.data) + A.offset(i); }
  static P* own(const Triangle& A, int i) { return static_cast<P*>(A.data) + A.offset(i); }

  /// Calls f(k, pack of rows[·][k]) for each k < n, in order: squares of numbers are transposed in registers.
  template <class IO, class F>
  static OPTNET_INLINE void interleave(int n, const IO* const (&rows)[kWidth], F f) {
    int k = 0;
    if constexpr (kWidth > 1) {
      constexpr int kRegisters = P::kRegisters, kLane = kWidth / kRegisters;
      using Wide = typename P::R;
      for (; k + kLane <= n; k += kLane) {
        P block[kLane];
        OPTNET_UNROLL for (int g = 0; g < kRegisters; ++g) {
          Wide r[kLane];
          OPTNET_UNROLL for (int l = 0; l < kLane; ++l) {
            Register<IO, kLane> x;
            std::memcpy(&x, rows[g * kLane + l] + k, sizeof x);
            r[l] = __builtin_convertvector(x, Wide);
          }
          transpose<kLane / 2>(r);
          OPTNET_UNROLL for (int c = 0; c < kLane; ++c) block[c].r[g] = r[c];
        }
        OPTNET_UNROLL for (int c = 0; c < kLane; ++c) f(k + c, block[c]);
      }
    }
    for (; k < n; ++k) {
      P x;
      for (int l = 0; l < kWidth; ++l) x.set_lane(l, static_cast<Scalar>(rows[l][k]));
      f(k, x);
    }
  }

  template <class F, class Combine>
  static OPTNET_INLINE P reduce(int n, P start, F f, Combine combine) {
    P a[4] = {start, start, start, start};
    int i = 0;
    for (; i + 4 <= n; i += 4) {
      OPTNET_UNROLL for (int t = 0; t < 4; ++t) a[t] = combine(a[t], f(i + t));
    }
    for (; i < n; ++i) a[0] = combine(a[0], f(i));
    return combine(combine(a[0], a[1]), combine(a[2], a[3]));
  }

  template <class F>
  static OPTNET_INLINE void by_rows(int rows, F f) {
    int i = 0;
    for (; i + kBlock <= rows; i += kBlock) f(i, Constant<kBlock>{});
    with_constant<kBlock - 1>(rows - i, [&](auto rest) { f(i, rest); });
  }

  /// store(i, j, (A Bᵀ)ᵢⱼ) for all i, j; for i ≥ j and some more if kLower.
  template <bool kLower, class A, class B, class Store>
  static OPTNET_INLINE void tiles(int rows, int columns, int length, A a, B b, Store store) {
    for (int j = 0; j < columns; j += kColumns) {
      with_constant<kColumns>(columns - j < kColumns ? columns - j : kColumns, [&](auto nr) {
        for (int i = kLower ? j : 0; i < rows; i += kRows) {
          with_constant<kRows>(rows - i < kRows ? rows - i : kRows, [&](auto mr) {
            constexpr int MR = decltype(mr)::value, NR = decltype(nr)::value;
            P acc[MR][NR] = {};
            multiply_tile<MR, NR>(a, i, b, j, length, acc);
            OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
              OPTNET_UNROLL for (int u = 0; u < NR; ++u) store(i + t, j + u, acc[t][u]);
            }
          });
        }
      });
    }
  }

  template <int MR, int NR, class A, class B>
  static OPTNET_INLINE void multiply_tile(A a, int i, B b, int j, int length, P (&acc)[MR][NR]) {
    using RowA = decltype(a(0));
    using RowB = decltype(b(0));
    RowA ra[MR];
    RowB rb[NR];
    OPTNET_UNROLL for (int t = 0; t < MR; ++t) ra[t] = a(i + t);
    OPTNET_UNROLL for (int u = 0; u < NR; ++u) rb[u] = b(j + u);
    multiply_rows(ra, rb, length, acc);
  }

  /// x ← (source − acc) D⁻ᵀ for a tile whose columns j … j+NR−1 meet the diagonal block D of the factor `l`.
  template <int MR, int NR, class Source, class L>
  static OPTNET_INLINE void finish_tile(Source source, L l, int i, int j, P (&acc)[MR][NR], P (&x)[MR][NR]) {
    OPTNET_UNROLL for (int u = 0; u < NR; ++u) {
      const auto row = l(j + u);
      const P reciprocal = row[j + u];
      OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
        P v = source(i + t, j + u) - acc[t][u];
        OPTNET_UNROLL for (int s = 0; s < u; ++s) v = fnma(x[t][s], row[j + s], v);
        x[t][u] = v * reciprocal;
      }
    }
  }

  template <class L, class G>
  static OPTNET_INLINE void solve_rows(L l, int n, G g, int rows, const Matrix& Y) {
    const auto y = [&Y](int i) { return OwnRow<P>{own(Y, i)}; };
    for (int i = 0; i < rows; i += kRows) {
      with_constant<kRows>(rows - i < kRows ? rows - i : kRows, [&](auto mr) {
        for (int j = 0; j < n; j += kColumns) {
          with_constant<kColumns>(n - j < kColumns ? n - j : kColumns, [&](auto nr) {
            constexpr int MR = decltype(mr)::value, NR = decltype(nr)::value;
            P acc[MR][NR] = {};
            multiply_tile<MR, NR>(y, i, l, j, j, acc);
            P x[MR][NR];
            finish_tile<MR, NR>([&](int r, int c) { return g(r)[c]; }, l, i, j, acc, x);
            OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
              OPTNET_UNROLL for (int u = 0; u < NR; ++u) own(Y, i + t)[j + u] = x[t][u];
            }
          });
        }
      });
    }
  }

  template <class L>
  static OPTNET_INLINE void solve_lower(int n, L l, P* v) {
    by_rows(n, [&](int i, auto rows) {
      constexpr int MR = decltype(rows)::value;
      P acc[MR][1] = {};
      const OwnRow<P> x[1] = {{v}};
      decltype(l(0)) r[MR];
      OPTNET_UNROLL for (int t = 0; t < MR; ++t) r[t] = l(i + t);
      multiply_rows(r, x, i, acc);
      OPTNET_UNROLL for (int t = 0; t < MR; ++t) {
        P a = v[i + t] - acc[t][0];
        OPTNET_UNROLL for (int s = 0; s < t; ++s) a = fnma(r[t][i + s], v[i + s], a);
        v[i + t] = a * r[t][i + t];
      }
    });
  }

  template <class L>
  static OPTNET_INLINE void solve_upper(int n, L l, P* v) {
    const auto block = [&](int i, auto rows) {
      constexpr int MR = decltype(rows)::value;
      decltype(l(0)) r[MR];
      OPTNET_UNROLL for (int t = 0; t < MR; ++t) r[t] = l(i + t);
      P x[MR];
      OPTNET_UNROLL for (int t = MR - 1; t >= 0; --t) {
        P a = v[i + t];
        OPTNET_UNROLL for (int s = MR - 1; s > t; --s) a = fnma(r[s][i + t], x[s], a);
        x[t] = a * r[t][i + t];
        v[i + t] = x[t];
      }
      for (int k = 0; k < i; ++k) {
        P a = v[k];
        OPTNET_UNROLL for (int t = 0; t < MR; ++t) a = fnma(r[t][k], x[t], a);
        v[k] = a;
      }
    };
    int i = n - n % kBlock;
    with_constant<kBlock - 1>(n - i, [&](auto rest) { block(i, rest); });
    for (i -= kBlock; i >= 0; i -= kBlock) block(i, Constant<kBlock>{});
  }
};

}  // namespace optnet::OPTNET_ISA
