// The fused kernels by precision: each is compiled by a source of its own.
#pragma once

#include "cuda/kernels.h"

namespace optnet::cuda {

struct FusedInstance {
  const Kernels& kernels;
  void (*lay_out)(Plan& plan);  ///< completes a plan whose tier, form, sizes and team are chosen
};

const FusedInstance& fused_double();
const FusedInstance& fused_mixed();
const FusedInstance& fused_single();

}  // namespace optnet::cuda
