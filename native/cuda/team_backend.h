// The backend of a team of threads that works on one problem. Vectors lie in shared memory, matrices wherever
// they were placed.
//
// Factorisations run in the *panel*, a piece of shared memory that is lent to one dense kernel after the
// other. The factor of an iteration has no memory but the panel; all other factors are copied out of it.
//
// The diagonal blocks of every factor, kBlock wide, hold their inverses: a triangular solve is then a few
// products with a barrier between them, instead of a chain of n dependent steps.
#pragma once

#include "cuda/kernel.h"
//
#include "cuda/team.h"
#include "solver/arena.h"
#include "solver/scalar.h"

namespace optnet::cuda {

constexpr int kPanelWidth =
    8;  // columns that a Cholesky step takes: their factor lives in each thread's registers
constexpr int kBlock = 32;      // of the inverses: a warp's width
constexpr int kTile = 4;        // products are made of 4×4 tiles: 8 loads for 16 multiply-adds
constexpr int kSlab = 16;       // columns of a product's operand that are staged at a time
constexpr int kLeastStrip = 8;  // rows that are solved for at a time, at least

/// Element (i, j) of a packed lower triangle, row after row: (i, 0). For 2ᵏ neighbouring rows these are
/// different modulo 2ᵏ, so that threads reading a column meet no bank conflicts.
OPTNET_FUNCTION inline int packed(int i) { return i * (i + 1) / 2; }

/// Elements of the panel that the factorisation of an n×n matrix needs.
OPTNET_FUNCTION inline int factor_panel(int n) {
  return packed(n) + (n + kBlock - 1) / kBlock * (kBlock / 2) * (kBlock / 2);
}
/// … that Y Yᵀ needs, Y: rows × columns, and solving for rows of n elements.
OPTNET_FUNCTION inline int gram_panel(int rows) { return rows * (kSlab + 1); }
OPTNET_FUNCTION inline int rows_panel(int n) { return kLeastStrip * (n | 1); }

/// 1/√x
OPTNET_FUNCTION inline double reciprocal_root(double x) {
#if defined(__CUDA_ARCH__)
  return rsqrt(x);
#else
  return 1 / std::sqrt(x);
#endif
}
OPTNET_FUNCTION inline float reciprocal_root(float x) {
#if defined(__CUDA_ARCH__)
  return rsqrtf(x);
#else
  return 1 / std::sqrt(x);
#endif
}

template <class Team, class T>
class TeamBackend {
 public:
  using Real = T;
  using Scalar = T;
  using Mask = bool;

  /// Row-major.
  struct Matrix {
    T* data = nullptr;
    int rows = 0, columns = 0;
    OPTNET_FUNCTION T& at(int i, int j) const { return data[static_cast<std::size_t>(i) * columns + j]; }
    OPTNET_FUNCTION T* row(int i) const { return data + static_cast<std::size_t>(i) * columns; }
  };
  /// Lower triangle, row after row; as part of a full matrix if `stride` (its row length) is not 0, otherwise
  /// packed.
  struct Triangle {
    T* data = nullptr;
    int size = 0, stride = 0;
    OPTNET_FUNCTION T* row(int i) const {
      return data + (stride ? static_cast<std::size_t>(i) * stride : static_cast<std::size_t>(packed(i)));
    }
    OPTNET_FUNCTION T& at(int i, int j) const { return row(i)[j]; }
  };
  using Factor =
      Triangle;  ///< of the matrix that changes with each iteration: without data, it is in the panel
  struct WeightedGram {};  ///< nothing: the product is staged in the panel

  /// `panel`: `panel_size` elements. `block`: kBlock elements. `partial`: an element for each warp.
  OPTNET_FUNCTION TeamBackend(T* panel, int panel_size, T* block, T* partial)
      : panel_(panel), panel_size_(panel_size), block_(block), partial_(partial) {}

  template <class Arena>
  OPTNET_FUNCTION static Matrix matrix(Arena& arena, int rows, int columns, bool) {
    return {arena.template take<T>(static_cast<std::size_t>(rows) * columns), rows, columns};
  }
  template <class Arena>
  OPTNET_FUNCTION static Triangle triangle(Arena& arena, int size, bool) {
    return {arena.template take<T>(static_cast<std::size_t>(packed(size))), size};
  }
  template <class Arena>
  OPTNET_FUNCTION static Factor factor_storage(Arena&, int size) {
    return {nullptr, size};
  }
  template <class Arena>
  OPTNET_FUNCTION static T* vector(Arena& arena, int size) {
    return arena.template take<T>(static_cast<std::size_t>(size));
  }
  template <class Arena>
  OPTNET_FUNCTION static WeightedGram weighted_gram_storage(Arena&, int, int) {
    return {};
  }

  // ---- over an index range ----

  template <class F>
  OPTNET_FUNCTION void each(int n, F f) const {
    OPTNET_NO_UNROLL for (int i = Team::rank(); i < n; i += Team::size()) f(i);
    Team::sync();
  }
  template <class F>
  OPTNET_FUNCTION T sum(int n, F f) const {
    return reduce(n, T(0), f, [](T a, T b) { return a + b; });
  }
  template <class F>
  OPTNET_FUNCTION T min(int n, F f) const {
    return reduce(n, T(1e30), f, [](T a, T b) { return a < b ? a : b; });
  }
  template <class F>
  OPTNET_FUNCTION T max(int n, F f) const {
    return reduce(n, T(-1e30), f, [](T a, T b) { return a > b ? a : b; });
  }

  /// store(i, Σ over parts) for each of `rows` rows, whose work is divided among neighbouring threads: part
  /// of `parts`.
  template <class Partial, class Store>
  OPTNET_FUNCTION void row_sums(int rows, Partial partial, Store store) const {
    row_reductions(
        rows, T(0), partial, [](T a, T b) { return a + b; }, store);
  }
  template <class Partial, class Combine, class Store>
  OPTNET_FUNCTION void row_reductions(int rows, T nothing, Partial partial, Combine combine,
                                      Store store) const {
    const int parts = parts_of(rows), part = Team::rank() % parts;
    for (int first = 0; first < rows; first += Team::size() / parts) {
      const int row = first + Team::rank() / parts;
      const T own = row < rows ? partial(row, part, parts) : nothing;
      const T all = combine_neighbours<Team>(own, parts, combine);
      if (parts > 1) Team::sync_warp();  // a store may go to what the neighbours read; shuffles order nothing
      if (part == 0 && row < rows) store(row, all);
    }
  }

  // ---- factorisations ----

  /// L Lᵀ = Q. False where a pivot falls below `floor`·Qᵢᵢ.
  OPTNET_NOINLINE_FUNCTION bool factor(const Triangle& Q, const Triangle& L, T floor) const {
    bool definite = true;
    factor_in_panel(
        Q.size, [&](int i, int j) { return Q.at(i, j); },
        [&](int i, T pivot) {
          definite = definite && pivot > floor * Q.at(i, i);
          return reciprocal_root(pivot);
        });
    copy_panel(L);
    return definite;
  }

  /// L Lᵀ = E in place. A row whose pivot falls below `floor`·Eᵢᵢ depends on those before it and is dropped:
  /// its reciprocal pivot becomes zero, and so does its unknown in every solve.
  OPTNET_NOINLINE_FUNCTION void factor_dropping(const Triangle& E, T floor) const {
    factor_in_panel(
        E.size, [&](int i, int j) { return E.at(i, j); },
        [&](int i, T pivot) { return pivot > floor * E.at(i, i) ? reciprocal_root(pivot) : T(0); });
    copy_panel(E);
  }

  /// F Fᵀ = I + W R W, W = diag(w). Its pivots are at least 1, which round-off must not undo.
  OPTNET_NOINLINE_FUNCTION void factor_scaled(const Triangle& R, const T* w, const Triangle& F) const {
    factor_in_panel(
        R.size, [&](int i, int j) { return w[i] * R.at(i, j) * w[j] + (i == j ? T(1) : T(0)); },
        [](int, T pivot) { return reciprocal_root(pivot > T(1) ? pivot : T(1)); });
    copy_panel(F);
  }
  /// v ← (F Fᵀ)⁻¹ v
  OPTNET_FUNCTION void solve_scaled(const Triangle&, const T*, const Triangle& F, T* v) const {
    solve_lower(F, v);
    solve_upper(F, v);
  }

  /// In the panel: the Cholesky factor of the matrix that source(i, j) gives, diagonal blocks inverted.
  /// invert(i, pivot) gives the reciprocal of the factor's i-th diagonal element. Right-looking, kPanelWidth
  /// columns at a time, whose diagonal block each thread factors and inverts by itself: nothing is gained by
  /// waiting for another.
  template <class Source, class Invert>
  OPTNET_FUNCTION void factor_in_panel(int n, Source source, Invert invert) const {
    for_triangle(n, [&](int i, int j) { panel_[packed(i) + j] = source(i, j); });
    Team::sync();
    for (int J = 0; J < n; J += kPanelWidth) {
      const int width = n - J < kPanelWidth ? n - J : kPanelWidth, below = J + width;
      T X[kPanelWidth][kPanelWidth];
      invert_diagonal(J, width, invert, X);
      OPTNET_NO_UNROLL for (int i = below + Team::rank(); i < n;
                            i += Team::size()) {  // columns J…: L = A X ᵀ
        T* row = panel_ + packed(i) + J;
        T a[kPanelWidth];
        OPTNET_UNROLL for (int c = 0; c < kPanelWidth; ++c) a[c] = c < width ? row[c] : T(0);
        OPTNET_UNROLL for (int c = 0; c < kPanelWidth; ++c) {
          T x = T(0);
          OPTNET_UNROLL for (int k = 0; k < kPanelWidth; ++k) {
            if (k <= c) x += X[c][k] * a[k];
          }
          if (c < width) row[c] = x;
        }
      }
      Team::sync();
      if (Team::rank() == 0) {  // nobody reads the diagonal block any more
        OPTNET_UNROLL for (int r = 0; r < kPanelWidth; ++r) {
          OPTNET_UNROLL for (int c = 0; c < kPanelWidth; ++c) {
            if (c <= r && r < width) panel_[packed(J + r) + J + c] = X[r][c];
          }
        }
      }
      subtract_products(J, width, below, n);
      Team::sync();
    }
    join_inverses(n);
  }

  // ---- products and solves ----

  /// Y ← G L⁻ᵀ, that is, each row g of G becomes L⁻¹g. Y may be G. As many rows at a time as the panel takes.
  OPTNET_NOINLINE_FUNCTION void solve_rows(const Triangle& L, const Matrix& G, const Matrix& Y) const {
    const int n = L.size, stride = n | 1;  // odd: threads that read a column meet no bank conflicts
    const int most = panel_size_ / stride;
    for (int first = 0; first < G.rows; first += most) {
      const int rows = G.rows - first < most ? G.rows - first : most;
      for_entries(rows, n, [&](int i, int j) { panel_[i * stride + j] = G.at(first + i, j); });
      Team::sync();
      for (int J = 0; J < n; J += kBlock) {
        const int width = n - J < kBlock ? n - J : kBlock;
        multiply_strip_by_inverse(L, J, width, rows, stride);
        Team::sync();
        update_strip(L, J, width, rows, stride);
        Team::sync();
      }
      for_entries(rows, n, [&](int i, int j) { Y.at(first + i, j) = panel_[i * stride + j]; });
      Team::sync();
    }
  }

  /// C ← A Bᵀ
  OPTNET_NOINLINE_FUNCTION void multiply_transposed(const Matrix& A, const Matrix& B, const Matrix& C) const {
    const int down = tiles(A.rows), across = tiles(B.rows);
    OPTNET_NO_UNROLL for (int t = Team::rank(); t < down * across; t += Team::size()) {
      const int i0 = t / across * kTile, j0 = t % across * kTile;
      T sums[kTile][kTile] = {};
      multiply_tile(
          A.columns, [&](int r, int k) { return A.at(clip(i0 + r, A.rows), k); },
          [&](int c, int k) { return B.at(clip(j0 + c, B.rows), k); }, sums);
      store_tile(sums, i0, j0, A.rows, B.rows, [&](int i, int j, T x) { C.at(i, j) = x; });
    }
    Team::sync();
  }

  /// E ← Y Yᵀ (lower triangle)
  OPTNET_NOINLINE_FUNCTION void gram(const Matrix& Y, const Triangle& E) const {
    symmetric_product<false>(
        Y.rows, Y.columns, [&](int i, int k) { return Y.at(i, k); }, [](int, int) { return T(0); }, T(1), E);
  }
  /// E ← C + sign·Y Yᵀ (lower triangle). E may be C.
  OPTNET_NOINLINE_FUNCTION void add_gram(const Triangle& C, T sign, const Matrix& Y,
                                         const Triangle& E) const {
    symmetric_product<false>(
        Y.rows, Y.columns, [&](int i, int k) { return Y.at(i, k); }, [&](int i, int j) { return C.at(i, j); },
        sign, E);
  }
  /// E ← Q + Gᵀ diag(w)² G (lower triangle), G: m×n
  OPTNET_NOINLINE_FUNCTION void add_weighted_gram(const Triangle& Q, const Matrix& G, const T* w,
                                                  const WeightedGram&, const Triangle& E) const {
    symmetric_product<true>(
        G.columns, G.rows, [&](int i, int k) { return G.at(k, i) * w[k]; },
        [&](int i, int j) { return Q.at(i, j); }, T(1), E);
  }

  /// v ← L⁻¹ v
  OPTNET_NOINLINE_FUNCTION void solve_lower(const Triangle& factor, T* v) const {
    const Triangle L = located(factor);
    for (int J = 0; J < L.size; J += kBlock) {
      const int width = L.size - J < kBlock ? L.size - J : kBlock;
      row_sums(
          width,
          [&](int r, int part, int parts) {
            const T* row = L.row(J + r) + J;
            T x = T(0);
            for (int c = part; c <= r; c += parts) x += row[c] * v[J + c];
            return x;
          },
          [&](int r, T x) { block_[r] = x; });
      Team::sync();
      row_sums(
          L.size - J - width,
          [&](int r, int part, int parts) {
            const T* row = L.row(J + width + r) + J;
            T x = T(0);
            for (int c = part; c < width; c += parts) x += row[c] * block_[c];
            return x;
          },
          [&](int r, T x) { v[J + width + r] -= x; });
      OPTNET_NO_UNROLL for (int r = Team::rank(); r < width; r += Team::size()) v[J + r] = block_[r];
      Team::sync();
    }
  }

  /// v ← L⁻ᵀ v
  OPTNET_NOINLINE_FUNCTION void solve_upper(const Triangle& factor, T* v) const {
    const Triangle L = located(factor);
    for (int J = (L.size - 1) / kBlock * kBlock; J >= 0; J -= kBlock) {
      const int width = L.size - J < kBlock ? L.size - J : kBlock;
      row_sums(
          width,
          [&](int c, int part, int parts) {
            T x = T(0);
            for (int r = c + part; r < width; r += parts) x += L.at(J + r, J + c) * v[J + r];
            return x;
          },
          [&](int c, T x) { block_[c] = x; });
      Team::sync();
      row_sums(
          J,
          [&](int i, int part, int parts) {
            T x = T(0);
            for (int r = part; r < width; r += parts) x += L.at(J + r, i) * block_[r];
            return x;
          },
          [&](int i, T x) { v[i] -= x; });
      OPTNET_NO_UNROLL for (int r = Team::rank(); r < width; r += Team::size()) v[J + r] = block_[r];
      Team::sync();
    }
  }

  /// y ← A x
  OPTNET_NOINLINE_FUNCTION void multiply(const Matrix& A, const T* x, T* y) const {
    row_sums(
        A.rows,
        [&](int i, int part, int parts) {
          const T* row = A.row(i);
          T sum = T(0);
          for (int j = part; j < A.columns; j += parts) sum += row[j] * x[j];
          return sum;
        },
        [&](int i, T sum) { y[i] = sum; });
    Team::sync();
  }

  /// y ← Aᵀ x
  OPTNET_NOINLINE_FUNCTION void multiply_transpose(const Matrix& A, const T* x, T* y) const {
    each(A.columns, [&](int j) {
      T sum = T(0);
      for (int i = 0; i < A.rows; ++i) sum += A.at(i, j) * x[i];
      y[j] = sum;
    });
  }

  /// y ← R x, R symmetric, lower triangle stored
  OPTNET_NOINLINE_FUNCTION void multiply_symmetric(const Triangle& R, const T* x, T* y) const {
    row_sums(
        R.size,
        [&](int i, int part, int parts) {
          const T* row = R.row(i);
          T sum = T(0);
          int j = part;
          for (; j <= i; j += parts) sum += row[j] * x[j];
          for (; j < R.size; j += parts) sum += R.at(j, i) * x[j];
          return sum;
        },
        [&](int i, T sum) { y[i] = sum; });
    Team::sync();
  }

  /// v ← diag(R)
  OPTNET_FUNCTION void diagonal(const Triangle& R, T* v) const {
    each(R.size, [&](int i) { v[i] = R.at(i, i); });
  }

  /// f(i, j) for all entries, neighbouring threads along a row.
  template <class F>
  OPTNET_FUNCTION static void for_entries(int rows, int columns, F f) {
    const int lanes = Team::size() < kWarp ? Team::size() : kWarp;
    OPTNET_NO_UNROLL for (int i = Team::rank() / lanes; i < rows; i += Team::size() / lanes) {
      for (int j = Team::rank() % lanes; j < columns; j += lanes) f(i, j);
    }
  }
  template <class F>
  OPTNET_FUNCTION static void for_triangle(int size, F f) {
    const int lanes = Team::size() < kWarp ? Team::size() : kWarp;
    OPTNET_NO_UNROLL for (int i = Team::rank() / lanes; i < size; i += Team::size() / lanes) {
      for (int j = Team::rank() % lanes; j <= i; j += lanes) f(i, j);
    }
  }

  OPTNET_FUNCTION T* panel() const { return panel_; }
  OPTNET_FUNCTION int panel_size() const { return panel_size_; }
  OPTNET_FUNCTION T* block() const { return block_; }
  OPTNET_FUNCTION T* partial() const { return partial_; }

 private:
  T* panel_;
  int panel_size_;
  T *block_, *partial_;

  OPTNET_FUNCTION static int tiles(int n) { return (n + kTile - 1) / kTile; }
  OPTNET_FUNCTION static int clip(int i, int rows) { return i < rows ? i : rows - 1; }
  OPTNET_FUNCTION Triangle located(const Triangle& L) const {
    return L.data ? L : Triangle{panel_, L.size, 0};
  }

  template <class F, class Combine>
  OPTNET_FUNCTION T reduce(int n, T start, F f, Combine combine) const {
    T value = start;
    OPTNET_NO_UNROLL for (int i = Team::rank(); i < n; i += Team::size()) value = combine(value, f(i));
    return combine_all<Team>(value, partial_, combine);
  }

  /// How many neighbouring threads share a row, so that none is idle: a power of two up to 32.
  OPTNET_FUNCTION static int parts_of(int rows) {
    int parts = 1;
    while (parts < kWarp && 2 * parts <= Team::size() && 2 * parts * rows <= Team::size()) parts *= 2;
    return parts;
  }

  OPTNET_FUNCTION void copy_panel(const Triangle& to) const {
    if (!to.data) return;  // it stays there
    for_triangle(to.size, [&](int i, int j) { to.at(i, j) = panel_[packed(i) + j]; });
    Team::sync();
  }

  /// The inverse of the Cholesky factor of the panel's diagonal block at J.
  template <class Invert>
  OPTNET_FUNCTION void invert_diagonal(int J, int width, Invert invert,
                                       T (&X)[kPanelWidth][kPanelWidth]) const {
    T L[kPanelWidth][kPanelWidth], reciprocal[kPanelWidth];
    OPTNET_UNROLL for (int c = 0; c < kPanelWidth; ++c) {
      OPTNET_UNROLL for (int r = 0; r < kPanelWidth; ++r) {
        if (r < c) continue;
        T x = r < width ? panel_[packed(J + r) + J + c] : r == c ? T(1) : T(0);
        OPTNET_UNROLL for (int k = 0; k < kPanelWidth; ++k) {
          if (k < c) x -= L[r][k] * L[c][k];
        }
        if (r == c) {
          reciprocal[c] = c < width ? invert(J + c, x) : T(1);
        } else {
          L[r][c] = x * reciprocal[c];
        }
      }
    }
    OPTNET_UNROLL for (int c = 0; c < kPanelWidth; ++c) {
      OPTNET_UNROLL for (int r = 0; r < kPanelWidth; ++r) {
        if (r < c) continue;
        T x = r == c ? T(1) : T(0);
        OPTNET_UNROLL for (int k = 0; k < kPanelWidth; ++k) {
          if (k >= c && k < r) x -= L[r][k] * X[k][c];
        }
        X[r][c] = x * reciprocal[r];
      }
    }
  }

  /// C ← C − P Pᵀ for the panel's rows and columns from `first` on, P its columns J … J+width−1.
  OPTNET_FUNCTION void subtract_products(int J, int width, int first, int n) const {
    const int down = tiles(n - first);
    OPTNET_NO_UNROLL for (int t = Team::rank(); t < packed(down); t += Team::size()) {
      const int ti = triangle_row(t), i0 = first + ti * kTile, j0 = first + (t - packed(ti)) * kTile;
      const T *rows[kTile], *columns[kTile];
      OPTNET_UNROLL for (int r = 0; r < kTile; ++r) {
        rows[r] = panel_ + packed(clip(i0 + r, n)) + J;
        columns[r] = panel_ + packed(clip(j0 + r, n)) + J;
      }
      T sums[kTile][kTile] = {};
      multiply_tile(
          width, [&](int r, int k) { return rows[r][k]; }, [&](int c, int k) { return columns[c][k]; }, sums);
      store_tile(sums, i0, j0, n, n, [&](int i, int j, T x) {
        if (j <= i) panel_[packed(i) + j] -= x;
      });
    }
  }

  /// Doubles the inverted diagonal blocks from kPanelWidth to kBlock: (A 0; B C)⁻¹ = (A⁻¹ 0; −C⁻¹B A⁻¹  C⁻¹).
  OPTNET_FUNCTION void join_inverses(int n) const {
    T* const products = panel_ + packed(n);
    for (int s = kPanelWidth; s < kBlock; s *= 2) {
      const int count = (n + s - 1) / (2 * s) * s * s;  // elements of all B
      const auto for_elements = [&](auto f) {
        OPTNET_NO_UNROLL for (int e = Team::rank(); e < count; e += Team::size()) {
          const int top = e / (s * s) * 2 * s, r = e / s % s, c = e % s;
          if (top + s + r < n) f(e, top, r, c);
        }
        Team::sync();
      };
      for_elements([&](int e, int top, int r, int c) {
        const T* B = panel_ + packed(top + s + r) + top;
        T x = T(0);
        for (int k = c; k < s; ++k) x += B[k] * panel_[packed(top + k) + top + c];
        products[e] = x;
      });
      for_elements([&](int e, int top, int r, int c) {
        T* row = panel_ + packed(top + s + r) + top;
        const T* column = products + e - r * s;
        T x = T(0);
        for (int k = 0; k <= r; ++k) x += row[s + k] * column[k * s];
        row[c] = -x;
      });
    }
  }

  /// For each row x of the strip: its columns J… ← X x, X the inverted diagonal block of L. From the last
  /// column to the first, because each needs only those before it.
  OPTNET_FUNCTION void multiply_strip_by_inverse(const Triangle& L, int J, int width, int rows,
                                                 int stride) const {
    for (int c = width - 1; c >= 0; --c) {
      const T* X = L.row(J + c) + J;
      row_sums(
          rows,
          [&](int r, int part, int parts) {
            const T* x = panel_ + r * stride + J;
            T sum = T(0);
            for (int k = part; k <= c; k += parts) sum += X[k] * x[k];
            return sum;
          },
          [&](int r, T sum) { panel_[r * stride + J + c] = sum; });
    }
  }

  /// The strip's columns behind J + width ← themselves − (columns J…) L ᵀ.
  OPTNET_FUNCTION void update_strip(const Triangle& L, int J, int width, int rows, int stride) const {
    const int first = J + width, across = tiles(L.size - first), down = tiles(rows);
    OPTNET_NO_UNROLL for (int t = Team::rank(); t < down * across; t += Team::size()) {
      const int i0 = t % down * kTile, j0 = first + t / down * kTile;
      const T *left[kTile], *right[kTile];
      OPTNET_UNROLL for (int r = 0; r < kTile; ++r) {
        left[r] = panel_ + clip(i0 + r, rows) * stride + J;
        right[r] = L.row(clip(j0 + r, L.size)) + J;
      }
      T sums[kTile][kTile] = {};
      multiply_tile(
          width, [&](int r, int k) { return left[r][k]; }, [&](int c, int k) { return right[c][k]; }, sums);
      store_tile(sums, i0, j0, rows, L.size, [&](int i, int j, T x) { panel_[i * stride + j] -= x; });
    }
  }

  /// E ← start + sign·S Sᵀ (lower triangle); source(i, k) gives S, rows × columns. Neighbouring threads read
  /// along its columns if kDown, otherwise along its rows.
  template <bool kDown, class Source, class Start>
  OPTNET_FUNCTION void symmetric_product(int rows, int columns, Source source, Start start, T sign,
                                         const Triangle& E) const {
    constexpr int kStride = kSlab + 1;
    const int down = tiles(rows);
    for (int k0 = 0; k0 < columns || k0 == 0; k0 += kSlab) {
      const int width = columns - k0 < kSlab ? columns - k0 : kSlab;
      OPTNET_NO_UNROLL for (int e = Team::rank(); e < rows * width; e += Team::size()) {
        const int i = kDown ? e % rows : e / width, k = kDown ? e / rows : e % width;
        panel_[i * kStride + k] = source(i, k0 + k);
      }
      Team::sync();
      OPTNET_NO_UNROLL for (int t = Team::rank(); t < packed(down); t += Team::size()) {
        const int ti = triangle_row(t), i0 = ti * kTile, j0 = (t - packed(ti)) * kTile;
        const T *left[kTile], *right[kTile];
        OPTNET_UNROLL for (int r = 0; r < kTile; ++r) {
          left[r] = panel_ + clip(i0 + r, rows) * kStride;
          right[r] = panel_ + clip(j0 + r, rows) * kStride;
        }
        T sums[kTile][kTile] = {};
        multiply_tile(
            width, [&](int r, int k) { return left[r][k]; }, [&](int c, int k) { return right[c][k]; }, sums);
        store_tile(sums, i0, j0, rows, rows, [&](int i, int j, T x) {
          if (j <= i) E.at(i, j) = (k0 == 0 ? start(i, j) : E.at(i, j)) + sign * x;
        });
      }
      Team::sync();
    }
  }

  /// sums[r][c] += Σₖ a(r, k) b(c, k)
  template <class A, class B>
  OPTNET_FUNCTION static void multiply_tile(int length, A a, B b, T (&sums)[kTile][kTile]) {
    for (int k = 0; k < length; ++k) {
      T x[kTile], y[kTile];
      OPTNET_UNROLL for (int r = 0; r < kTile; ++r) {
        x[r] = a(r, k);
        y[r] = b(r, k);
      }
      OPTNET_UNROLL for (int r = 0; r < kTile; ++r) {
        OPTNET_UNROLL for (int c = 0; c < kTile; ++c) sums[r][c] += x[r] * y[c];
      }
    }
  }

  template <class Store>
  OPTNET_FUNCTION static void store_tile(const T (&sums)[kTile][kTile], int i0, int j0, int rows, int columns,
                                         Store store) {
    OPTNET_UNROLL for (int r = 0; r < kTile; ++r) {
      OPTNET_UNROLL for (int c = 0; c < kTile; ++c) {
        if (i0 + r < rows && j0 + c < columns) store(i0 + r, j0 + c, sums[r][c]);
      }
    }
  }

  /// The row of element t of a packed triangle.
  OPTNET_FUNCTION static int triangle_row(int t) {
    int i = static_cast<int>((std::sqrt(8.0F * static_cast<float>(t) + 1.0F) - 1.0F) / 2.0F);
    while (packed(i) > t) --i;
    while (packed(i + 1) <= t) ++i;
    return i;
  }
};

}  // namespace optnet::cuda
