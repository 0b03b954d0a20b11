// The path over cuBLAS and cuSOLVER: Kernels for plans of tier kLibrary.
#pragma once

#include <memory>

#include "cuda/kernels.h"
#include "engine/problem.h"

namespace optnet::cuda {

/// With handles and workspaces of their own, on the GPU that is current. Any thread may call them; calls that
/// overlap take turns. Fails with kDevice, saying what is missing.
Failure make_library_kernels(int ordinal, std::unique_ptr<Kernels>& out);

}  // namespace optnet::cuda
