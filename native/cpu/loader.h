// Copies the caller's row-major data into a backend's layout, and checks them on the way, while they are in
// the cache.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "cpu/missing_rows.h"
#include "cpu/simd.h"
#include "cpu/unit_solver.h"
#include "engine/numbers.h"
#include "solver/data.h"

namespace optnet::OPTNET_ISA {

/// From arrays of type IO to backend B.
template <class B, class IO>
class Loader {
 public:
  using Real = typename B::Real;
  using Scalar = typename B::Scalar;
  static constexpr int W = B::kWidth;

  Loader(const Dimensions& dimensions, const Sharing& sharing) : d_(dimensions), sharing_(sharing) {}

  /// The matrices that the batch shares, into B::Shared's layout (B is that backend). `stand_in`: for the
  /// rows that no problem has, by an h that the batch shares too; null where they stay.
  Failure load_shared(const Problem& problem, const Data<B>& data, const StandIn* stand_in) const {
    const IO* source[W] = {static_cast<const IO*>(problem.Q.data)};
    const auto into = [](Scalar* norms) { return [norms](int i, Real norm) { norms[i] = lane(norm, 0); }; };
    if (sharing_.Q) {
      if (Failure f = load_symmetric(data.Q, source, 0, 1)) return f;
    }
    source[0] = static_cast<const IO*>(problem.G.data);
    if (sharing_.G && d_.m > 0) {
      std::vector<Real> missing;
      if (stand_in && !problem.h.batched) {
        const IO* h = static_cast<const IO*>(problem.h.data);
        for (int i = 0; i < d_.m; ++i)
          missing.push_back(MissingRows<B>::flag(Real(static_cast<Scalar>(h[i]))));
      }
      const Removed removed{missing.empty() ? nullptr : missing.data(), stand_in};
      if (Failure f = load_matrix(data.G, source, 0, 1, 'G', into(data.shared_G_norm), removed)) return f;
    }
    source[0] = static_cast<const IO*>(problem.A.data);
    if (sharing_.A && d_.q > 0) {
      if (Failure f = load_matrix(data.A, source, 0, 1, 'A', into(data.shared_A_norm), {})) return f;
    }
    return {};
  }

  /// All else, for problems `first` … `first + count − 1`. Spare lanes repeat the last of them. `missing`:
  /// the rows that problems lack; null where all stay as they are.
  Failure load(const Problem& problem, std::size_t first, int count, const Data<B>& data,
               const MissingRows<B>* missing) const {
    const IO* source[W];
    const auto lanes_of = [&](const Datum& datum, std::size_t size) {
      find(datum, size, first, count, source);
    };
    const auto vector = [&](const Datum& datum, Real* v, int size, char name) {
      return load_vector(datum, v, size, first, count, name, kNothing);
    };
    const auto rows = [&](const Datum& datum, const typename B::Matrix& M, Real* norms,
                          const Scalar* shared_norms, char name, const Removed& removed) -> Failure {
      if (!datum.batched) {
        for (int i = 0; i < M.rows; ++i) norms[i] = Real(shared_norms[i]);
        return {};
      }
      lanes_of(datum, static_cast<std::size_t>(M.rows) * d_.n);
      const auto store = [norms](int i, Real norm) { norms[i] = norm; };
      return load_matrix(M, source, first, count, name, store, removed);
    };
    if (Failure f = vector(problem.p, data.p, d_.n, 'p')) return f;
    if (!sharing_.Q) {
      lanes_of(problem.Q, static_cast<std::size_t>(d_.n) * d_.n);
      if (Failure f = load_symmetric(data.Q, source, first, count)) return f;
    }
    if (d_.m > 0) {
      Removed removed;
      if (problem.h.data) {
        if (Failure f = load_upper(problem, first, count, data.h, missing)) return f;
        if (missing && missing->any()) removed = {missing->flags(), &missing->stand_in()};
      }
      if (Failure f = rows(problem.G, data.G, data.G_norm, data.shared_G_norm, 'G', removed)) return f;
    }
    if (d_.q > 0) {
      if (Failure f = vector(problem.b, data.b, d_.q, 'b')) return f;
      if (Failure f = rows(problem.A, data.A, data.A_norm, data.shared_A_norm, 'A', {})) return f;
    }
    return {};
  }

  /// One vector of `size`, of those problems; its elements are finite, or `allowed`. `largest`: of |vᵢ|.
  static Failure load_vector(const Datum& datum, Real* v, int size, std::size_t first, int count, char name,
                             double allowed, Real* largest = nullptr) {
    const IO* source[W];
    find(datum, static_cast<std::size_t>(size), first, count, source);
    const RowCheck<Real> check = B::load_row(v, size, source);
    if (largest) *largest = check.norm;
    for (int l = 0; l < (datum.batched ? count : 1); ++l) {
      if (lane(check.nothing, l) == 0) continue;
      if (Failure f = not_finite(name, first + l, source[l], size, 1, allowed)) return f;
    }
    return {};
  }

  static Scalar lane(const Real& x, int l) {
    if constexpr (std::is_class_v<Real>) {
      return x.lane(l);
    } else {
      return x;
    }
  }

 private:
  static constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

  /// Rows of a matrix that become zeros: where the flags, of which there may be none, are 1.
  struct Removed {
    const Real* flags = nullptr;
    const StandIn* stand_in = nullptr;
  };

  Dimensions d_;
  Sharing sharing_;

  /// h, and which rows are missing by it.
  Failure load_upper(const Problem& problem, std::size_t first, int count, Real* h,
                     const MissingRows<B>* missing) const {
    Real largest(Scalar(0));
    if (Failure f = load_vector(problem.h, h, d_.m, first, count, 'h', kNoBound, &largest)) return f;
    if (missing) missing->find(h, largest, !sharing_.G || !problem.h.batched);
    return {};
  }

  /// Where each lane's numbers are. Spare lanes repeat the last problem.
  static void find(const Datum& datum, std::size_t size, std::size_t first, int count,
                   const IO* (&source)[W]) {
    for (int l = 0; l < W; ++l) {
      const std::size_t index =
          datum.batched ? first + static_cast<std::size_t>(l < count ? l : count - 1) : 0;
      source[l] = static_cast<const IO*>(datum.data) + index * size;
    }
  }

  /// The first of `values`, rows of n, that is neither finite (and fits this backend's numbers) nor
  /// `allowed`.
  static Failure not_finite(char argument, std::size_t index, const IO* values, int n, int rows = 1,
                            double allowed = kNothing) {
    const std::size_t width = static_cast<std::size_t>(n), size = width * static_cast<std::size_t>(rows);
    for (std::size_t at = 0; at < size; ++at) {
      const auto x = static_cast<Scalar>(values[at]);
      if (x - x == 0 || static_cast<double>(x) == allowed) continue;
      return {Failure::Code::kNotFinite, argument, index, static_cast<int>(at / width),
              static_cast<int>(at % width)};
    }
    return {};
  }

  /// Row by row: interleaved, checked and measured; a row of zeros counts as one of norm 1. Those that are
  /// removed are checked too.
  template <class StoreNorm>
  static Failure load_matrix(const typename B::Matrix& M, const IO* const (&source)[W], std::size_t first,
                             int count, char name, StoreNorm store_norm, const Removed& removed) {
    const IO* rows[W];
    const std::vector<IO> zeros(removed.flags ? static_cast<std::size_t>(M.columns) : 0);
    Real nothing(Scalar(0));
    for (int i = 0; i < M.rows; ++i) {
      for (int l = 0; l < W; ++l) rows[l] = source[l] + static_cast<std::size_t>(i) * M.columns;
      const RowCheck<Real> check = B::load_row(M, i, rows);
      nothing = nothing + check.nothing;
      const Real norm = select(check.norm > Real(Scalar(0)), check.norm, Real(Scalar(1)));
      if (!removed.flags) {
        store_norm(i, norm);
        continue;
      }
      const Real flag = removed.flags[i], of_zeros(static_cast<Scalar>(removed.stand_in->norm));
      for (int l = 0; l < W; ++l) rows[l] = lane(flag, l) > 0 ? zeros.data() : rows[l];
      B::load_row(M, i, rows);
      store_norm(i, select(flag > Real(Scalar(0)), of_zeros, norm));
    }
    for (int l = 0; l < count; ++l) {
      if (!(lane(nothing, l) == 0)) return not_finite(name, first + l, source[l], M.columns, M.rows);
    }
    return {};
  }

  static Failure load_symmetric(const typename B::Triangle& Q, const IO* const (&source)[W],
                                std::size_t first, int count) {
    Real asymmetry(Scalar(0));
    const RowCheck<Real> check = B::load_symmetric(Q, source, asymmetry);
    for (int l = 0; l < count; ++l) {
      if (!(lane(check.nothing, l) == 0)) return not_finite('Q', first + l, source[l], Q.size, Q.size);
      const auto allowed =
          static_cast<double>(lane(check.norm, l)) *
          symmetry_tolerance(sizeof(IO) == sizeof(double) ? DType::kFloat64 : DType::kFloat32);
      if (static_cast<double>(lane(asymmetry, l)) > allowed)
        return find_asymmetry(first + l, source[l], Q.size, allowed);
    }
    return {};
  }
};

}  // namespace optnet::OPTNET_ISA
