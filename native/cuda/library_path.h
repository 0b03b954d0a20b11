// The path over cuBLAS and cuSOLVER, for problems of any size: the host queues the libraries' batched
// routines, and between them kernels that run the solver's text.
//
//   every iteration   T = I + W R W, or H = Q + GᵀDG (gemmBatched)      potrfBatched
//   once              L of Q (potrfBatched)   Y = G L⁻ᵀ, Yₐ = A L⁻ᵀ (trsmBatched)   E, V, R (gemmBatched)
//   as an oracle      the KKT matrix                                     getrfBatched, getrsBatched
//
// The libraries may choose an algorithm by the number of problems they are given, and then the result's bits
// would depend on the batch: so they are always given as many, a group, filled up with memory that nobody
// needs.
#pragma once

#include <memory>

#include "cuda/kernels.h"

namespace optnet::cuda {

/// For plans of Tier::kLibrary, on the GPU `ordinal`, which must be current when these kernels are used and
/// destroyed. Calls may overlap. Loads the libraries: fails with kDevice, saying why they cannot be had.
Failure make_library_kernels(int ordinal, std::unique_ptr<Kernels>& out);

}  // namespace optnet::cuda
