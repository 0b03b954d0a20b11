// The mixed precision of solver/mixed.h for a team of threads: the float32 factor lies in the panel.
#pragma once

#include "cuda/team_backend.h"
#include "solver/mixed.h"

namespace optnet::cuda {

template <class Team>
class MixedTeamBackend
    : public MixedPrecision<TeamBackend<Team, double>, TeamBackend<Team, float>, MixedTeamBackend<Team>> {
  using Narrow = TeamBackend<Team, float>;
  using Mixed = MixedPrecision<TeamBackend<Team, double>, Narrow, MixedTeamBackend>;

 public:
  using Mixed::Mixed;
  using typename Mixed::Factor;
  using typename Mixed::Triangle;

  OPTNET_FUNCTION Narrow narrow() const {
    return {reinterpret_cast<float*>(this->panel()), 2 * this->panel_size(),
            reinterpret_cast<float*>(this->block()), reinterpret_cast<float*>(this->partial())};
  }

  OPTNET_NOINLINE_FUNCTION void factor_narrow(const Triangle& R, const Factor& F) const {
    narrow().factor_in_panel(
        R.size,
        [&](int i, int j) { return i == j ? 1.0F : F.u[i] * static_cast<float>(R.at(i, j)) * F.u[j]; },
        [](int, float pivot) { return reciprocal_root(pivot > kLeastPivot ? pivot : kLeastPivot); });
  }
};

}  // namespace optnet::cuda
