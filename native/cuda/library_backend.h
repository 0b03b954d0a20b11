// The backend of the path over cuBLAS and cuSOLVER: a thread block works on one problem's vectors, the
// libraries on the matrices of many problems. Everything lies in global memory; what the libraries read or
// write are full square matrices, of whose row-major lower triangle they see the column-major upper one.
#pragma once

#include "cuda/team_backend.h"

namespace optnet::cuda {

template <class T>
class LibraryBackend : public TeamBackend<BlockTeam, T> {
 public:
  using Base = TeamBackend<BlockTeam, T>;
  using Base::Base;
  using typename Base::Factor;
  using typename Base::Matrix;
  using typename Base::Triangle;

  struct WeightedGram {
    Matrix scaled;  ///< W G, m×n
  };

  template <class Arena>
  OPTNET_FUNCTION static Triangle triangle(Arena& arena, int size, bool) {
    return {arena.template take<T>(static_cast<std::size_t>(size) * size), size, size};
  }
  template <class Arena>
  OPTNET_FUNCTION static Factor factor_storage(Arena& arena, int size) {
    return triangle(arena, size, false);
  }
  template <class Arena>
  OPTNET_FUNCTION static WeightedGram weighted_gram_storage(Arena& arena, int m, int n) {
    return {Base::matrix(arena, m, n, false)};
  }

  /// From a Cholesky factor to TeamBackend's format: diagonal blocks hold their inverses. A warp inverts a
  /// block, a lane a column of it:  xᵢ = (δᵢⱼ − Σ_{k<i} Lᵢₖ xₖ) / Lᵢᵢ.
  OPTNET_NOINLINE_FUNCTION static void invert_diagonal_blocks(const Triangle& L) {
    const int warp = BlockTeam::rank() / kWarp, lane = BlockTeam::rank() % kWarp;
    for (int J = warp * kBlock; J < L.size; J += BlockTeam::size() / kWarp * kBlock) {
      const int width = L.size - J < kBlock ? L.size - J : kBlock;
      T x[kBlock];
      OPTNET_UNROLL for (int i = 0; i < kBlock; ++i) {
        T sum = i == lane ? T(1) : T(0);
        if (i < width) {
          const T* row = L.row(J + i) + J;
          OPTNET_UNROLL for (int k = 0; k < kBlock; ++k) {
            if (k < i) sum -= row[k] * x[k];
          }
          sum /= row[i];
        }
        x[i] = sum;
      }
      synchronize_lanes(0xffffffffU);  // before what all have read is overwritten
      OPTNET_UNROLL for (int i = 0; i < kBlock; ++i) {
        if (i >= lane && i < width) L.at(J + i, J + lane) = x[i];
      }
    }
    BlockTeam::sync();
  }
};

}  // namespace optnet::cuda
