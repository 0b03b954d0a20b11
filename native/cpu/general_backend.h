// The blocked backend with what the general solver needs beside.
#pragma once

#include "cpu/blocked.h"

namespace optnet::OPTNET_ISA {

class GeneralBackend : public BlockedBackend<double> {
 public:
  /// Elements that a vector of `size` takes.
  static int padded(int size) { return (size + kStrip - 1) / kStrip * kStrip; }

  /// to ← from
  static void copy(const Triangle& from, const Triangle& to) {
    const auto strips = static_cast<std::size_t>(from.strips());
    std::memcpy(to.data, from.data, strips * (strips + 1) / 2 * kStrip * kStrip * sizeof(double));
  }

  /// Aᵢⱼ ← element(i, j)
  template <class F>
  void set(const Matrix& A, F element) const {
    for (int s = 0; s < A.strips(); ++s) {
      double* out = A.strip(s);
      for (int j = 0; j < A.columns; ++j) {
        for (int r = 0; r < kStrip; ++r, ++out) {
          const int i = s * kStrip + r;
          *out = i < A.rows ? element(i, j) : 0;
        }
      }
    }
  }
  template <class F>
  void set(const Triangle& A, F element) const {
    for (int s = 0; s < A.strips(); ++s) {
      double* out = A.strip(s);
      for (int j = 0; j < (s + 1) * kStrip; ++j) {
        for (int r = 0; r < kStrip; ++r, ++out) {
          const int i = s * kStrip + r;
          *out = i < A.size && j < A.size ? element(i, j) : 0;
        }
      }
    }
  }
  /// Aᵢᵢ ← Aᵢᵢ + shift(i)
  template <class F>
  void add_diagonal(const Triangle& A, F shift) const {
    for (int i = 0; i < A.size; ++i) {
      A.strip(i / kStrip)[static_cast<std::size_t>(i) * kStrip + i % kStrip] += shift(i);
    }
  }
};

}  // namespace optnet::OPTNET_ISA
