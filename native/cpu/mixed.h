// The mixed precision of solver/mixed.h for the CPU's backends: packs, and one problem at a time.
#pragma once

#include "cpu/blocked.h"
#include "cpu/packed.h"
#include "solver/mixed.h"

namespace optnet::OPTNET_ISA {

template <class Base, class Narrow>
class MixedBackend : public MixedPrecision<Base, Narrow, MixedBackend<Base, Narrow>> {
  using Mixed = MixedPrecision<Base, Narrow, MixedBackend<Base, Narrow>>;

 public:
  using typename Mixed::Factor;
  using typename Mixed::NarrowReal;
  using typename Mixed::Triangle;

  Narrow narrow() const { return {}; }

  /// From R and u, packs.
  template <class T = Base>
  OPTNET_NOINLINE void factor_narrow(const Triangle& R, const Factor& F) const
    requires(T::kWidth > 1)
  {
    Base::read(R, [&](auto r) {
      Narrow::cholesky(
          F.L, [&](int i, int j) { return i == j ? NarrowReal(1.0F) : F.u[i] * to_float(r(i)[j]) * F.u[j]; },
          [](NarrowReal pivot, NarrowReal) {
            return NarrowReal(1.0F) / sqrt(max(pivot, NarrowReal(kLeastPivot)));
          });
    });
  }

  /// From R and u, one problem: its strips are half as high in float64.
  template <class T = Base>
  OPTNET_NOINLINE void factor_narrow(const Triangle& R, const Factor& F) const
    requires(T::kWidth == 1)
  {
    using V = typename Narrow::R;
    constexpr int kLane = Narrow::kLane;
    Narrow::cholesky(
        F.L,
        [&](int s, int j, int v) {
          const int row = s * Narrow::kStrip + v * kLane;
          V out, u;
          std::memcpy(&u, F.u + row, sizeof u);
          const auto half = [&](int first) {
            typename Base::R wide{};
            const int strip = first / Base::kStrip;
            if (strip < R.strips() &&
                j < (strip + 1) * Base::kStrip) {  // above the diagonal nothing is stored
              std::memcpy(&wide,
                          R.strip(strip) + static_cast<std::size_t>(j) * Base::kStrip + first % Base::kStrip,
                          sizeof wide);
            }
            return __builtin_convertvector(wide, Register<float, kLane / 2>);
          };
          out = join(half(row), half(row + kLane / 2), std::make_integer_sequence<int, kLane>{});
          out = out * u * (F.u[j] - V{});
          if (j >= row && j < row + kLane) out[j - row] = 1;
          return out;
        },
        [](float pivot, float) { return 1 / OPTNET_ISA::sqrt(pivot > kLeastPivot ? pivot : kLeastPivot); });
  }
};

using MixedPacked =
    MixedBackend<PackedBackend<Pack<double, kLanes<float>>>, PackedBackend<Pack<float, kLanes<float>>>>;
using MixedBlocked = MixedBackend<BlockedBackend<double>, BlockedBackend<float>>;

}  // namespace optnet::OPTNET_ISA
