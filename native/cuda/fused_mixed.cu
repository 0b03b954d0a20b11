// The fused kernels in float64 with factors in float32.
#include "cuda/fused.h"
#include "cuda/fused_instances.h"

namespace optnet::cuda {

template <class Team>
using MixedBackend = MixedTeamBackend<Team>;

const FusedInstance& fused_mixed() {
  static const FusedKernels<MixedBackend> kernels;
  static const FusedInstance instance{kernels, FusedKernels<MixedBackend>::lay_out};
  return instance;
}

}  // namespace optnet::cuda
