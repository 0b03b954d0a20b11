// The fused kernels in float32.
#include "cuda/fused.h"
#include "cuda/fused_instances.h"

namespace optnet::cuda {

template <class Team>
using SingleBackend = TeamBackend<Team, float>;

const FusedInstance& fused_single() {
  static const FusedKernels<SingleBackend> kernels;
  static const FusedInstance instance{kernels, FusedKernels<SingleBackend>::lay_out};
  return instance;
}

}  // namespace optnet::cuda
