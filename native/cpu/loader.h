// Copies the caller's row-major data into a backend's layout, and checks them on the way, while they are in the cache.
#pragma once

#include <cstddef>
#include <cstring>

#include "cpu/simd.h"
#include "cpu/unit_solver.h"
#include "solver/data.h"

namespace optnet::OPTNET_ISA {

/// Largest magnitude of a row, and whether all of it is finite.
template <class IO>
struct RowCheck {
  bool finite = true;
  double norm = 0;

  OPTNET_NOINLINE RowCheck(const IO* row, int n) {
    constexpr int kLane = kLanes<IO>;
    using R = Register<IO, kLane>;
    R largest{}, nothing{};
    int k = 0;
    for (; k + kLane <= n; k += kLane) {
      R x;
      std::memcpy(&x, row + k, sizeof x);
      const R size = x < 0 ? -x : x;
      largest = size > largest ? size : largest;
      nothing += x * IO(0);  // 0, or NaN from here on
    }
    IO rest = 0, norm_rest = 0;
    for (; k < n; ++k) {
      const IO size = row[k] < 0 ? -row[k] : row[k];
      norm_rest = size > norm_rest ? size : norm_rest;
      rest += row[k] * IO(0);
    }
    for (int l = 0; l < kLane; ++l) {
      rest += nothing[l];
      norm_rest = largest[l] > norm_rest ? largest[l] : norm_rest;
    }
    finite = rest == 0;
    norm = static_cast<double>(norm_rest);
  }
};

/// From arrays of type IO to backend B.
template <class B, class IO>
class Loader {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  static constexpr int W = B::kWidth;

  Loader(const Dimensions& dimensions, const Sharing& sharing) : d_(dimensions), sharing_(sharing) {}

  /// The matrices that the batch shares, into B::Shared's layout (B is that backend).
  Failure load_shared(const Problem& problem, const Data<B>& data) const {
    const auto ignore = [](int, int, double) {};
    const IO* source[W] = {static_cast<const IO*>(problem.Q.data)};
    if (sharing_.Q) {
      if (const Failure f = load_symmetric(data.Q, source, 0, 1)) return f;
    }
    source[0] = static_cast<const IO*>(problem.G.data);
    if (sharing_.G && d_.m > 0) {
      if (const Failure f = load_matrix(data.G, source, 0, 1, 'G', ignore)) return f;
    }
    source[0] = static_cast<const IO*>(problem.A.data);
    if (sharing_.A && d_.q > 0) {
      if (const Failure f = load_matrix(data.A, source, 0, 1, 'A', ignore)) return f;
    }
    return {};
  }

  /// All else, for problems `first` … `first + count − 1`. Spare lanes repeat the last of them.
  Failure load(const Problem& problem, std::size_t first, int count, const Data<B>& data) const {
    const IO* source[W];
    const auto lanes_of = [&](const Datum& datum, std::size_t size) {
      for (int l = 0; l < W; ++l) {
        const std::size_t index = datum.batched ? first + static_cast<std::size_t>(l < count ? l : count - 1) : 0;
        source[l] = static_cast<const IO*>(datum.data) + index * size;
      }
    };
    const auto vector = [&](const Datum& datum, Real* v, int size, char name) {
      lanes_of(datum, static_cast<std::size_t>(size));
      return load_vector(v, size, source, first, datum.batched ? count : 1, name);
    };
    const auto rows = [&](const Datum& datum, const typename B::Matrix& M, Real* norms, int size, char name) -> Failure {
      lanes_of(datum, static_cast<std::size_t>(size) * d_.n);
      const auto norm = [&](int i, int l, double x) { set_lane(norms[i], l, static_cast<Scalar>(x > 0 ? x : 1)); };
      if (datum.batched) return load_matrix(M, source, first, count, name, norm);
      row_norms(source[0], size, norm);
      return {};
    };
    if (const Failure f = vector(problem.p, data.p, d_.n, 'p')) return f;
    if (!sharing_.Q) {
      lanes_of(problem.Q, static_cast<std::size_t>(d_.n) * d_.n);
      if (const Failure f = load_symmetric(data.Q, source, first, count)) return f;
    }
    if (d_.m > 0) {
      if (const Failure f = vector(problem.h, data.h, d_.m, 'h')) return f;
      if (const Failure f = rows(problem.G, data.G, data.G_norm, d_.m, 'G')) return f;
    }
    if (d_.q > 0) {
      if (const Failure f = vector(problem.b, data.b, d_.q, 'b')) return f;
      if (const Failure f = rows(problem.A, data.A, data.A_norm, d_.q, 'A')) return f;
    }
    return {};
  }

  static void set_lane(Real& x, int l, Scalar value) {
    if constexpr (std::is_class_v<Real>) {
      x.set_lane(l, value);
    } else {
      x = value;
    }
  }

 private:
  Dimensions d_;
  Sharing sharing_;

  static Failure not_finite(char argument, std::size_t index, int row, const IO* values, int n) {
    Failure f{Failure::Code::kNotFinite, argument, index, row};
    while (f.column < n && values[f.column] - values[f.column] == 0) ++f.column;
    return f;
  }

  static Failure load_vector(Real* v, int n, const IO* const (&source)[W], std::size_t first, int count, char name) {
    for (int l = 0; l < count; ++l) {
      if (!RowCheck<IO>(source[l], n).finite) return not_finite(name, first + l, 0, source[l], n);
    }
    B::load_row(v, n, source);
    return {};
  }

  template <class Norm>
  void row_norms(const IO* G, int rows, Norm norm) const {
    for (int i = 0; i < rows; ++i) {
      const double x = RowCheck<IO>(G + static_cast<std::size_t>(i) * d_.n, d_.n).norm;
      for (int l = 0; l < W; ++l) norm(i, l, x);
    }
  }

  /// Row by row: checked, measured and interleaved while it is in the cache.
  template <class Norm>
  Failure load_matrix(const typename B::Matrix& M, const IO* const (&source)[W], std::size_t first,
                      int count, char name, Norm norm) const {
    const IO* rows[W];
    for (int i = 0; i < M.rows; ++i) {
      double largest = 0;
      for (int l = 0; l < W; ++l) {
        rows[l] = source[l] + static_cast<std::size_t>(i) * d_.n;
        if (l < count) {
          const RowCheck<IO> check(rows[l], d_.n);
          if (!check.finite) return not_finite(name, first + l, i, rows[l], d_.n);
          largest = check.norm;
        }
        norm(i, l, largest);  // spare lanes repeat the last problem
      }
      B::load_row(M, i, rows);
    }
    return {};
  }

  Failure load_symmetric(const typename B::Triangle& Q, const IO* const (&source)[W],
                         std::size_t first, int count) const {
    const int n = d_.n;
    double norm[W] = {};
    const IO* rows[W];
    for (int i = 0; i < n; ++i) {
      for (int l = 0; l < W; ++l) {
        rows[l] = source[l] + static_cast<std::size_t>(i) * n;
        if (l >= count) continue;
        const RowCheck<IO> check(rows[l], n);
        if (!check.finite) return not_finite('Q', first + l, i, rows[l], n);
        if (check.norm > norm[l]) norm[l] = check.norm;
      }
      B::load_row(Q, i, rows);
    }
    for (int l = 0; l < count; ++l) {
      if (const Failure f = check_symmetric(source[l], norm[l], first + l)) return f;
    }
    return {};
  }

  /// |Qᵢⱼ − Qⱼᵢ| within round-off of the largest entry, by square tiles that fit the cache.
  Failure check_symmetric(const IO* Q, double norm, std::size_t index) const {
    constexpr int kTile = 8;
    const int n = d_.n;
    const double allowed = (sizeof(IO) == 8 ? 1e-9 : 1e-5) * norm;
    for (int i0 = 0; i0 < n; i0 += kTile) {
      const int i1 = i0 + kTile < n ? i0 + kTile : n;
      for (int j0 = 0; j0 <= i0; j0 += kTile) {
        const int j1 = j0 + kTile < n ? j0 + kTile : n;
        IO worst = 0;
        for (int i = i0; i < i1; ++i) {
          for (int j = j0; j < j1; ++j) {
            const IO x = Q[static_cast<std::size_t>(i) * n + j] - Q[static_cast<std::size_t>(j) * n + i];
            const IO size = x < 0 ? -x : x;
            worst = size > worst ? size : worst;
          }
        }
        if (static_cast<double>(worst) <= allowed) continue;
        for (int i = i0; i < i1; ++i) {
          for (int j = j0; j < j1; ++j) {
            const double x = static_cast<double>(Q[static_cast<std::size_t>(i) * n + j]) -
                             static_cast<double>(Q[static_cast<std::size_t>(j) * n + i]);
            if (x > allowed || -x > allowed) return {Failure::Code::kNotSymmetric, 'Q', index, i, j};
          }
        }
      }
    }
    return {};
  }
};

}  // namespace optnet::OPTNET_ISA
