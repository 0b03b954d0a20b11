// The blocked backend: one problem at a time, for sizes at which W of them would not fit the cache side by
// side.
//
// Matrices are kept in strips of kStrip rows; inside a strip, column after column, so that a register tile of
// kStrip × kColumns reads both of its operands as two contiguous streams whatever the size of the matrix:
//     acc[v][c] += A[strip rows][k] · B[row j+c][k],   v < 3 vectors, c < kColumns.
// Rows beyond the last are zero, in matrices and in vectors: kernels run over whole strips.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include "cpu/simd.h"
#include "solver/arena.h"

namespace optnet::OPTNET_ISA {

template <class T>
class BlockedBackend {
 public:
  using Real = T;
  using Scalar = T;
  using Mask = bool;
  using Shared = BlockedBackend;  // one problem or the whole batch: the same matrix
  static constexpr int kWidth = 1;

  static constexpr int kLane = kLanes<T>;
  static constexpr int kVectors = 3;  // 3 × 4 (16 registers) or 3 × 8 (32 registers) accumulators
  static constexpr int kStrip = kVectors * kLane;
  static constexpr int kColumns = kStrip % 8 == 0 && kVectorRegisters == 32 ? 8 : kStrip % 4 == 0 ? 4 : 3;
  using R = Register<T, kLane>;

  /// Strip s begins at s·kStrip·columns.
  struct Matrix {
    T* data = nullptr;
    int rows = 0, columns = 0;
    T* strip(int s) const { return data + static_cast<std::size_t>(s) * kStrip * columns; }
    int strips() const { return strips_of(rows); }
  };
  /// Lower triangle by strips; strip s has the (s+1)·kStrip columns up to the end of its diagonal block. In a
  /// symmetric matrix that block is full; in a factor it is zero above the diagonal, which holds reciprocals.
  struct Triangle {
    T* data = nullptr;
    int size = 0;
    T* strip(int s) const { return data + static_cast<std::size_t>(s) * (s + 1) / 2 * kStrip * kStrip; }
    int strips() const { return strips_of(size); }
  };
  using Factor = Triangle;

  static Matrix matrix(Arena& arena, int rows, int columns, bool) {
    return {arena.take<T>(static_cast<std::size_t>(strips_of(rows)) * kStrip * columns), rows, columns};
  }
  static Triangle triangle(Arena& arena, int size, bool) {
    const auto strips = static_cast<std::size_t>(strips_of(size));
    return {arena.take<T>(strips * (strips + 1) / 2 * kStrip * kStrip), size};
  }
  static Factor factor_storage(Arena& arena, int size) { return triangle(arena, size, false); }
  OPTNET_NOINLINE static T* vector(Arena& arena, int size) {
    const int padded = strips_of(size) * kStrip;
    T* v = arena.take<T>(static_cast<std::size_t>(padded));
    if (v) {
      for (int i = size; i < padded; ++i) v[i] = 0;
    }
    return v;
  }

  // ---- in and out ----

  template <class IO>
  OPTNET_NOINLINE static RowCheck<T> load_row(const Matrix& A, int i, const IO* const (&rows)[1]) {
    T* out = A.strip(i / kStrip) + i % kStrip;
    for (int j = 0; j < A.columns; ++j) out[column(j)] = static_cast<T>(rows[0][j]);
    if (i == A.rows - 1) zero_rows(A.strip(i / kStrip), i % kStrip + 1, A.columns);
    return check(rows[0], A.columns);
  }
  template <class IO>
  OPTNET_NOINLINE static RowCheck<T> load_row(T* v, int n, const IO* const (&rows)[1]) {
    for (int k = 0; k < n; ++k) v[k] = static_cast<T>(rows[0][k]);
    return check(rows[0], n);
  }
  template <class IO>
  OPTNET_NOINLINE static RowCheck<T> load_symmetric(const Triangle& Q, const IO* const (&matrices)[1],
                                                    T& asymmetry) {
    const IO* q = matrices[0];
    const int n = Q.size;
    for (int i = 0; i < n; ++i) {
      T* out = Q.strip(i / kStrip) + i % kStrip;
      const int width = (i / kStrip + 1) * kStrip;
      const IO* row = q + static_cast<std::size_t>(i) * n;
      for (int j = 0; j < width; ++j) out[column(j)] = j < n ? static_cast<T>(row[j]) : 0;
      if (i == n - 1) zero_rows(Q.strip(i / kStrip), i % kStrip + 1, width);
    }
    constexpr int kTile = 8;  // a square and its mirror image fit the first cache
    asymmetry = 0;
    for (int i0 = 0; i0 < n; i0 += kTile) {
      for (int j0 = 0; j0 <= i0; j0 += kTile) {
        for (int i = i0; i < i0 + kTile && i < n; ++i) {
          for (int j = j0; j < j0 + kTile && j < n; ++j) {
            const auto difference = static_cast<T>(q[static_cast<std::size_t>(i) * n + j] -
                                                   q[static_cast<std::size_t>(j) * n + i]);
            const T size = difference < 0 ? -difference : difference;
            asymmetry = size > asymmetry ? size : asymmetry;
          }
        }
      }
    }
    return check(q, static_cast<std::ptrdiff_t>(n) * n);
  }
  template <class IO>
  static void store_row(const T* v, int n, IO* const (&rows)[1], int) {
    for (int k = 0; k < n; ++k) rows[0][k] = static_cast<IO>(v[k]);
  }

  /// Row i of the problem, and the whole symmetric matrix.
  static void read_row(const Matrix& A, int i, int, double* out) {
    const T* in = A.strip(i / kStrip) + i % kStrip;
    for (int j = 0; j < A.columns; ++j) out[j] = static_cast<double>(in[column(j)]);
  }
  static void read_symmetric(const Triangle& A, int, double* out) {
    const auto n = static_cast<std::size_t>(A.size);
    for (int i = 0; i < A.size; ++i) {
      const T* in = A.strip(i / kStrip) + i % kStrip;
      for (int j = 0; j <= i; ++j) out[i * n + j] = out[j * n + i] = static_cast<double>(in[column(j)]);
    }
  }

  // ---- over an index range ----

  template <class F>
  OPTNET_INLINE void each(int n, F f) const {
#pragma GCC ivdep
    for (int i = 0; i < n; ++i) f(i);
  }
  template <class F>
  OPTNET_INLINE T sum(int n, F f) const {
    return reduce(n, T(0), f, [](T a, T b) { return a + b; });
  }
  template <class F>
  OPTNET_INLINE T min(int n, F f) const {
    return reduce(n, static_cast<T>(1e30), f, [](T a, T b) { return a < b ? a : b; });
  }
  template <class F>
  OPTNET_INLINE T max(int n, F f) const {
    return reduce(n, static_cast<T>(-1e30), f, [](T a, T b) { return a > b ? a : b; });
  }

  // ---- factorisations ----

  /// L Lᵀ = Q. False where a pivot falls below `floor`·Qᵢᵢ.
  OPTNET_NOINLINE bool factor(const Triangle& Q, const Triangle& L, T floor) const {
    bool definite = true;
    cholesky(
        L, [&](int s, int j, int v) { return load(Q.strip(s) + column(j) + v * kLane); },
        [&](T pivot, T diagonal) {
          definite = definite && pivot > floor * diagonal;
          return 1 / OPTNET_ISA::sqrt(pivot);
        });
    return definite;
  }

  /// L Lᵀ = E in place; a row whose pivot falls below `floor`·Eᵢᵢ is dropped: its reciprocal pivot becomes
  /// zero.
  OPTNET_NOINLINE void factor_dropping(const Triangle& E, T floor) const {
    cholesky(
        E, [&](int s, int j, int v) { return load(E.strip(s) + column(j) + v * kLane); },
        [&](T pivot, T diagonal) { return pivot > floor * diagonal ? 1 / OPTNET_ISA::sqrt(pivot) : T(0); });
  }

  /// T Tᵀ = I + W R W, W = diag(w). Its pivots are at least 1, which round-off must not undo.
  OPTNET_NOINLINE void factor_scaled(const Triangle& A, const T* w, const Triangle& C) const {
    cholesky(
        C,
        [&](int s, int j, int v) {
          const int row = s * kStrip + v * kLane;
          const R scaled = load(A.strip(s) + column(j) + v * kLane) * load(w + row) * broadcast(w[j]);
          return j >= row && j < row + kLane ? scaled + unit(j - row) : scaled;
        },
        [](T pivot, T) { return 1 / OPTNET_ISA::sqrt(pivot > 1 ? pivot : T(1)); });
  }
  /// v ← (T Tᵀ)⁻¹ v
  void solve_scaled(const Triangle&, const T*, const Triangle& C, T* v) const {
    solve_lower(C, v);
    solve_upper(C, v);
  }

  // ---- products and solves ----

  /// Y ← G L⁻ᵀ: each row g of G becomes L⁻¹g. Y may be G.
  OPTNET_NOINLINE void solve_rows(const Triangle& L, const Matrix& G, const Matrix& Y) const {
    for (int s = 0; s < G.strips(); ++s) {
      T* y = Y.strip(s);
      const T* g = G.strip(s);
      for (int j = 0; j < L.size; j += kColumns) {
        Tile x;
        subtract_product(y, L.strip(j / kStrip) + j % kStrip, j, x, [&](int c, int v) {
          return j + c < L.size ? load(g + column(j + c) + v * kLane) : R{};
        });
        Diagonal d;
        d.read(L, j);
        finish(d, x);
        for (int c = 0; c < kColumns && j + c < L.size; ++c) store_column(x, c, y + column(j + c));
      }
    }
  }

  /// C ← A Bᵀ
  OPTNET_NOINLINE void multiply_transposed(const Matrix& A, const Matrix& B, const Matrix& C) const {
    for (int j = 0; j < B.rows; j += kColumns) {
      const T* b = B.strip(j / kStrip) + j % kStrip;
      for (int s = 0; s < A.strips(); ++s) {
        Tile x;
        subtract_product(A.strip(s), b, A.columns, x, [](int, int) { return R{}; });
        for (int c = 0; c < kColumns && j + c < B.rows; ++c) {
          OPTNET_UNROLL for (int v = 0; v < kVectors; ++v)
              store(C.strip(s) + column(j + c) + v * kLane, -x.r[v][c]);
        }
      }
    }
  }

  /// E ← Y Yᵀ
  OPTNET_NOINLINE void gram(const Matrix& Y, const Triangle& E) const {
    gram_tiles(
        Y, E, [](int, int, int) { return R{}; }, T(1));
  }
  /// E ← C + sign·Y Yᵀ. E may be C.
  OPTNET_NOINLINE void add_gram(const Triangle& C, T sign, const Matrix& Y, const Triangle& E) const {
    gram_tiles(
        Y, E, [&](int s, int j, int v) { return load(C.strip(s) + column(j) + v * kLane); }, sign);
  }

  /// C ← Gᵀ diag(w)
  OPTNET_NOINLINE void scaled_transpose(const Matrix& G, const T* w, const Matrix& C) const {
    for (int j = 0; j < C.strips() * kStrip; ++j) {
      T* out = C.strip(j / kStrip) + j % kStrip;
      for (int k = 0; k < G.rows; ++k) {
        out[column(k)] = j < G.columns ? G.strip(k / kStrip)[column(j) + k % kStrip] * w[k] : T(0);
      }
    }
  }

  using WeightedGram = Matrix;  ///< work space of add_weighted_gram
  static WeightedGram weighted_gram_storage(Arena& arena, int m, int n) { return matrix(arena, n, m, false); }
  /// E ← Q + Gᵀ diag(w)² G (lower triangle), G: m×n
  void add_weighted_gram(const Triangle& Q, const Matrix& G, const T* w, const WeightedGram& work,
                         const Triangle& E) const {
    scaled_transpose(G, w, work);
    add_gram(Q, T(1), work, E);
  }

  /// v ← L⁻¹ v
  OPTNET_NOINLINE void solve_lower(const Triangle& L, T* v) const {
    for (int s = 0; s < L.strips(); ++s) {
      const T* l = L.strip(s);
      const int first = s * kStrip;
      R a[kVectors];
      load_strip(v + first, a);
      subtract_columns(l, first, v, a);
      T rest[kStrip], x[kStrip];
      for (int c = 0; c < kStrip; ++c) {  // inside the diagonal block, column by column
        store_strip(a, rest);
        const T* column_c = l + column(first + c);
        x[c] = rest[c] * column_c[c];
        OPTNET_UNROLL for (int t = 0; t < kVectors; ++t) a[t] =
            fma(-load(column_c + t * kLane), broadcast(x[c]), a[t]);
      }
      std::memcpy(v + first, x, sizeof x);
    }
  }

  /// v ← L⁻ᵀ v
  OPTNET_NOINLINE void solve_upper(const Triangle& L, T* v) const {
    for (int s = L.strips() - 1; s >= 0; --s) {
      const T* l = L.strip(s);
      const int first = s * kStrip;
      T x[kStrip] = {};
      for (int c = kStrip - 1; c >= 0; --c) {
        const T* column_c = l + column(first + c);
        T dot = v[first + c];
        for (int r = c + 1; r < kStrip; ++r) dot -= column_c[r] * x[r];
        x[c] = dot * column_c[c];
      }
      std::memcpy(v + first, x, sizeof x);
      R xs[kVectors];
      load_strip(x, xs);
      for (int k = 0; k < first; k += kLane) {
        const R dots = dot_columns(l, k, xs);
        store(v + k, load(v + k) - dots);
      }
    }
  }

  /// y ← A x
  OPTNET_NOINLINE void multiply(const Matrix& A, const T* x, T* y) const {
    for (int s = 0; s < A.strips(); ++s) {
      R a[kVectors] = {};
      subtract_columns(A.strip(s), A.columns, x, a);
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) store(y + s * kStrip + v * kLane, -a[v]);
    }
  }

  /// y ← Aᵀ x
  OPTNET_NOINLINE void multiply_transpose(const Matrix& A, const T* x, T* y) const {
    const std::size_t stride = static_cast<std::size_t>(kStrip) * A.columns;
    int k = 0;
    for (; k + kLane <= A.columns; k += kLane) {
      R sums[kLane] = {};
      for (int s = 0; s < A.strips(); ++s) {
        R xs[kVectors];
        load_strip(x + s * kStrip, xs);
        const T* a = A.data + s * stride + column(k);
        OPTNET_UNROLL for (int c = 0; c < kLane; ++c) {
          OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) sums[c] =
              fma(load(a + c * kStrip + v * kLane), xs[v], sums[c]);
        }
      }
      store(y + k, fold(sums));
    }
    for (; k < A.columns; ++k) {
      T sum = 0;
      for (int s = 0; s < A.strips(); ++s) {
        for (int r = 0; r < kStrip; ++r) sum += A.data[s * stride + column(k) + r] * x[s * kStrip + r];
      }
      y[k] = sum;
    }
  }

  /// y ← A x, A symmetric
  OPTNET_NOINLINE void multiply_symmetric(const Triangle& A, const T* x, T* y) const {
    for (int s = 0; s < A.strips(); ++s) {
      const T* a = A.strip(s);
      const int first = s * kStrip;
      R xs[kVectors], ys[kVectors] = {};
      load_strip(x + first, xs);
      for (int k = 0; k < first; k += kLane) {  // left of the diagonal block, and its mirror image
        R dots[kLane];
        OPTNET_UNROLL for (int c = 0; c < kLane; ++c) {
          const T* column_k = a + column(k + c);
          const R xk = broadcast(x[k + c]);
          dots[c] = R{};
          OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) {
            const R e = load(column_k + v * kLane);
            ys[v] = fma(e, xk, ys[v]);
            dots[c] = fma(e, xs[v], dots[c]);
          }
        }
        store(y + k, load(y + k) + fold(dots));
      }
      R minus[kVectors];
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) minus[v] = -ys[v];
      subtract_columns(a + column(first), kStrip, x + first, minus);
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) store(y + first + v * kLane, -minus[v]);
    }
  }

  /// v ← diag(A)
  void diagonal(const Triangle& A, T* v) const {
    for (int i = 0; i < A.size; ++i) v[i] = A.strip(i / kStrip)[column(i) + i % kStrip];
  }

  /// Left-looking Cholesky into C. source(s, j, v): vector v of column j of the matrix's strip s.
  template <class Source, class Invert>
  static OPTNET_INLINE void cholesky(const Triangle& C, Source source, Invert invert) {
    for (int j = 0; j < C.size; j += kColumns) {
      const int diagonal_strip = j / kStrip, offset = j % kStrip;
      const T* b = C.strip(diagonal_strip) + offset;
      Diagonal d;
      for (int s = diagonal_strip; s < C.strips(); ++s) {
        Tile x;
        subtract_product(C.strip(s), b, j, x, [&](int c, int v) { return source(s, j + c, v); });
        T buffer[kColumns][kStrip];
        if (s == diagonal_strip) {
          for (int c = 0; c < kColumns; ++c) {
            store_column(x, c, buffer[c]);
            for (int e = c; e < kColumns; ++e) d.l[c][e] = buffer[c][offset + e];
            const R original = source(s, j + c, (offset + c) / kLane);
            d.original[c] = original[(offset + c) % kLane];
          }
          d.factor(C.size - j, invert);
        }
        finish(d, x);
        if (s == diagonal_strip) {
          for (int c = 0; c < kColumns; ++c) {
            store_column(x, c, buffer[c]);
            for (int i = 0; i < offset + c; ++i) buffer[c][i] = 0;
            buffer[c][offset + c] = d.l[c][c];
            std::memcpy(C.strip(s) + column(j + c), buffer[c], sizeof buffer[c]);
          }
        } else {
          for (int c = 0; c < kColumns; ++c) store_column(x, c, C.strip(s) + column(j + c));
        }
      }
      if (diagonal_strip * kStrip + kStrip > C.size && j + kColumns >= C.size) zero_columns(C, j + kColumns);
    }
  }

 private:
  struct Tile {
    R r[kVectors][kColumns];
  };

  static constexpr int strips_of(int rows) { return (rows + kStrip - 1) / kStrip; }
  static OPTNET_INLINE std::size_t column(int j) { return static_cast<std::size_t>(j) * kStrip; }
  static OPTNET_INLINE R load(const T* p) {
    R r;
    std::memcpy(&r, p, sizeof r);
    return r;
  }
  static OPTNET_INLINE void store(T* p, R r) { std::memcpy(p, &r, sizeof r); }
  static OPTNET_INLINE R broadcast(T x) { return x - R{}; }
  static OPTNET_INLINE R unit(int lane) {
    R r{};
    r[lane] = 1;
    return r;
  }
  static OPTNET_INLINE void load_strip(const T* p, R (&a)[kVectors]) {
    OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) a[v] = load(p + v * kLane);
  }
  static OPTNET_INLINE void store_strip(const R (&a)[kVectors], T* p) {
    OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) store(p + v * kLane, a[v]);
  }
  static OPTNET_INLINE void store_column(const Tile& x, int c, T* p) {
    OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) store(p + v * kLane, x.r[v][c]);
  }
  template <class IO>
  static OPTNET_INLINE RowCheck<T> check(const IO* x, std::ptrdiff_t count) {
    RowCheck<R> lanes{R{}, R{}};
    std::ptrdiff_t k = 0;
    for (; k + kLane <= count; k += kLane) {
      Register<IO, kLane> narrow;
      std::memcpy(&narrow, x + k, sizeof narrow);
      const R r = __builtin_convertvector(narrow, R), size = r < 0 ? -r : r;
      lanes.norm = size > lanes.norm ? size : lanes.norm;
      lanes.nothing += r * T(0);
    }
    RowCheck<T> all;
    for (int l = 0; l < kLane; ++l) {
      all.norm = lanes.norm[l] > all.norm ? lanes.norm[l] : all.norm;
      all.nothing += lanes.nothing[l];
    }
    for (; k < count; ++k) all.add(static_cast<T>(x[k]));
    return all;
  }
  static void zero_rows(T* strip, int from, int columns) {
    for (int j = 0; j < columns; ++j) {
      for (int r = from; r < kStrip; ++r) strip[column(j) + r] = 0;
    }
  }

  template <class F, class Combine>
  static OPTNET_INLINE T reduce(int n, T start, F f, Combine combine) {
    T a[kLane];
    for (T& x : a) x = start;
    int i = 0;
    for (; i + kLane <= n; i += kLane) {
      for (int l = 0; l < kLane; ++l) a[l] = combine(a[l], f(i + l));
    }
    for (; i < n; ++i) a[0] = combine(a[0], f(i));
    for (int l = 1; l < kLane; ++l) a[0] = combine(a[0], a[l]);
    return a[0];
  }

  /// Lane c of the result: the sum of all lanes of sums[c]. Halves are folded onto each other, two registers
  /// at a time.
  static OPTNET_INLINE R fold(const R (&sums)[kLane]) {
    R a[kLane];
    OPTNET_UNROLL for (int c = 0; c < kLane; ++c) a[c] = sums[c];
    return fold_from<kLane>(a);
  }
  template <int kGroup>
  static OPTNET_INLINE R fold_from(R (&a)[kLane]) {
    if constexpr (kGroup == 1) {
      return a[0];
    } else {
      OPTNET_UNROLL for (int c = 0; c < kGroup / 2; ++c) {
        a[c] = fold_pair<kGroup>(a[c], a[c + kGroup / 2], std::make_integer_sequence<int, kLane>{});
      }
      return fold_from<kGroup / 2>(a);
    }
  }
  /// a and b hold sums in groups of kGroup lanes; the result holds them in groups of half that, a's and b's
  /// in turn.
  template <int kGroup, int... kAt>
  static OPTNET_INLINE R fold_pair(R a, R b, std::integer_sequence<int, kAt...>) {
    constexpr auto from = [](int i, int half) {
      const int group = i / (kGroup / 2), within = i % (kGroup / 2);
      return group % 2 * kLane + group / 2 * kGroup + within + half * (kGroup / 2);
    };
    return __builtin_shufflevector(a, b, from(kAt, 0)...) + __builtin_shufflevector(a, b, from(kAt, 1)...);
  }

  /// Lane c: the product of column k+c of the strip with x.
  static OPTNET_INLINE R dot_columns(const T* strip, int k, const R (&x)[kVectors]) {
    R dots[kLane];
    OPTNET_UNROLL for (int c = 0; c < kLane; ++c) {
      const T* a = strip + column(k + c);
      dots[c] = R{};
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) dots[c] = fma(load(a + v * kLane), x[v], dots[c]);
    }
    return fold(dots);
  }

  /// a ← a − Σₖ strip[·][k] x[k], k < columns; even and odd columns apart, so that additions do not wait.
  static OPTNET_INLINE void subtract_columns(const T* strip, int columns, const T* x, R (&a)[kVectors]) {
    R odd[kVectors] = {};
    int k = 0;
    for (; k + 2 <= columns; k += 2) {
      const R x0 = broadcast(-x[k]), x1 = broadcast(-x[k + 1]);
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) {
        a[v] = fma(load(strip + column(k) + v * kLane), x0, a[v]);
        odd[v] = fma(load(strip + column(k + 1) + v * kLane), x1, odd[v]);
      }
    }
    if (k < columns) {
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) a[v] =
          fma(load(strip + column(k) + v * kLane), broadcast(-x[k]), a[v]);
    }
    OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) a[v] = a[v] + odd[v];
  }

  /// x ← source − A[strip] B[kColumns rows]ᵀ over `length` columns. The register tile.
  template <class Source>
  static OPTNET_INLINE void subtract_product(const T* a, const T* b, int length, Tile& x, Source source) {
    R acc[kVectors][kColumns] = {};
    for (int k = 0; k < length; ++k) {
      R ak[kVectors];
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) {
        ak[v] = load(a + column(k) + v * kLane);
        keep_in_register(ak[v]);
      }
      OPTNET_UNROLL for (int c = 0; c < kColumns; ++c) {
        const R bk = broadcast(b[column(k) + c]);
        OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) acc[v][c] = fma(ak[v], bk, acc[v][c]);
      }
    }
    OPTNET_UNROLL for (int c = 0; c < kColumns; ++c) {
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) x.r[v][c] = source(c, v) - acc[v][c];
    }
  }

  /// The kColumns × kColumns block on a factor's diagonal: l[t][c] = L(j+c, j+t), reciprocals on the
  /// diagonal.
  struct Diagonal {
    T l[kColumns][kColumns];

    void read(const Triangle& L, int j) {
      const T* block = L.strip(j / kStrip) + column(j) + j % kStrip;
      for (int t = 0; t < kColumns; ++t) {
        for (int c = t; c < kColumns; ++c) l[t][c] = block[column(t) + c];
      }
    }
    /// From the block itself, in l. Columns from `size` on do not exist.
    template <class Invert>
    void factor(int size, Invert invert) {
      for (int t = 0; t < kColumns; ++t) {
        const T diagonal = original[t];
        l[t][t] = t < size ? invert(l[t][t], diagonal) : T(0);
        for (int c = t + 1; c < kColumns; ++c) l[t][c] *= l[t][t];
        for (int u = t + 1; u < kColumns; ++u) {
          for (int c = u; c < kColumns; ++c) l[u][c] -= l[t][u] * l[t][c];
        }
      }
    }
    T original[kColumns];  // the diagonal before anything was subtracted
  };

  /// x ← x D⁻ᵀ
  static OPTNET_INLINE void finish(const Diagonal& d, Tile& x) {
    OPTNET_UNROLL for (int c = 0; c < kColumns; ++c) {
      OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) {
        R r = x.r[v][c];
        OPTNET_UNROLL for (int t = 0; t < c; ++t) r = fma(-x.r[v][t], broadcast(d.l[t][c]), r);
        x.r[v][c] = r * broadcast(d.l[c][c]);
      }
    }
  }

  /// The last strip's columns that no row reaches.
  static void zero_columns(const Triangle& C, int from) {
    const int s = C.strips() - 1;
    for (int j = from; j < (s + 1) * kStrip; ++j) std::memset(C.strip(s) + column(j), 0, kStrip * sizeof(T));
  }

  template <class Source>
  static OPTNET_INLINE void gram_tiles(const Matrix& Y, const Triangle& E, Source source, T sign) {
    for (int j = 0; j < E.strips() * kStrip; j += kColumns) {
      const T* b = Y.strip(j / kStrip) + j % kStrip;
      for (int s = j / kStrip; s < E.strips(); ++s) {
        Tile x;
        subtract_product(Y.strip(s), b, Y.columns, x, [](int, int) { return R{}; });
        const R minus = broadcast(-sign);
        for (int c = 0; c < kColumns; ++c) {
          OPTNET_UNROLL for (int v = 0; v < kVectors; ++v) {
            store(E.strip(s) + column(j + c) + v * kLane, fma(minus, x.r[v][c], source(s, j + c, v)));
          }
        }
      }
    }
  }
};

}  // namespace optnet::OPTNET_ISA
