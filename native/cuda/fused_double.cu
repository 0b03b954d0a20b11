// The fused kernels in float64.
#include "cuda/fused.h"
#include "cuda/fused_instances.h"

namespace optnet::cuda {

template <class Team>
using DoubleBackend = TeamBackend<Team, double>;

const FusedInstance& fused_double() {
  static const FusedKernels<DoubleBackend> kernels;
  static const FusedInstance instance{kernels, FusedKernels<DoubleBackend>::lay_out};
  return instance;
}

}  // namespace optnet::cuda
