// The data of a problem on their way to the solver: where each array lies, and what becomes of it. An array
// that is on the GPU in the solver's number type stays where it is. All others come into memory that the call
// has for all of it (what the batch shares) or for one chunk of the batch, or, where the adjoint needs them
// again, into the solution's.
#pragma once

#include <memory>
#include <vector>

#include "cuda/data_order.h"
#include "cuda/gpu.h"
#include "cuda/transfer.h"

namespace optnet::cuda {

class Inputs {
 public:
  /// `retain`: Q, G and A are needed as long as the solution lives.
  Inputs(const Problem& problem, DType scalar, bool retain);

  /// Copies what is in host memory, unless it has owners. Needs the GPU to be current.
  Failure take(Gpu& gpu);

  // Bytes of the three memories. The last one is what is laid out.
  std::size_t retained_bytes() const { return retained_.bytes(); }
  std::size_t shared_bytes() const { return shared_.bytes(); }
  std::size_t lay_out_chunk(std::size_t problems);

  struct Memory {
    std::byte *retained = nullptr, *shared = nullptr, *chunk = nullptr;
  };

  /// Queues what brings the data that the batch shares to the GPU, and checks them: `first_bad` as in
  /// LoadArguments.
  Failure queue_shared(Gpu& gpu, const Memory& memory, Key* first_bad, cudaStream_t stream) const;
  /// The same for the other data of problems [first, first + count).
  Failure queue_chunk(Gpu& gpu, const Memory& memory, std::size_t first, std::size_t count, Key* first_bad,
                      cudaStream_t stream) const;

  /// An argument, from problem `first` on.
  DeviceDatum datum(int argument, const Memory& memory, std::size_t first) const;
  /// What keeps the caller's arrays that the adjoint needs.
  std::vector<std::shared_ptr<const void>> retained_owners() const;

  const DataOrder& order() const { return order_; }
  void sent() { snapshot_.sent(); }
  void let_go() { snapshot_.let_go(); }

 private:
  enum class Place { kCaller, kRetained, kShared, kChunk };
  struct Array {
    Place place = Place::kCaller;
    std::size_t offset = 0;
  };
  struct Input {
    Datum datum;
    std::size_t elements = 0;  ///< of one problem
    bool retained = false;
    Array raw;     ///< in the caller's number type
    Array scalar;  ///< in the solver's: may be the same
    std::size_t snapshot_part = 0;
  };

  bool from_host(const Input& input) const { return !input.datum.on_device; }
  std::size_t raw_bytes(const Input& input) const;
  std::size_t scalar_bytes(const Input& input) const;
  std::byte* address(const Input& input, const Array& array, std::size_t element_bytes, const Memory& memory,
                     std::size_t first) const;
  void lay_out(Layout& layout, Place place, std::size_t problems);
  Failure queue(Gpu& gpu, const Memory& memory, bool batched, std::size_t first, std::size_t count,
                Key* first_bad, cudaStream_t stream) const;
  Failure send(Gpu& gpu, const Memory& memory, bool batched, std::size_t first, std::size_t count,
               cudaStream_t stream) const;

  Shape shape_;
  DType dtype_, scalar_;
  DataOrder order_;
  Input inputs_[kArgumentCount];
  Snapshot snapshot_;
  Layout retained_, shared_;
  std::size_t shared_norm_ = 0, chunk_norms_ = 0;
};

}  // namespace optnet::cuda
