// Calls that only copy, between the host's memory and a GPU's.
#pragma once

#include <memory>

#include "cuda/environment.h"
#include "cuda/stream_call.h"
#include "cuda/transfer.h"

namespace optnet::cuda {

class UploadCall final : public StreamCall {
 public:
  /// Copies `bytes` from `from` before it returns. `to` must stay until it has ended.
  static Failure create(std::shared_ptr<Gpu> gpu, const void* from, std::size_t bytes, void* to,
                        std::shared_ptr<Call>& out);

 protected:
  Failure queue() override;
  const Stream& last_stream() const override { return stream_; }
  Failure collect() override { return {}; }
  void let_go(bool went_well) override;

 private:
  UploadCall(std::shared_ptr<Gpu> gpu, std::size_t bytes, void* to)
      : StreamCall(std::move(gpu)), bytes_(bytes), to_(static_cast<std::byte*>(to)) {}

  std::size_t bytes_;
  std::byte* to_;
  Snapshot snapshot_;
  Stream stream_;
};

class DownloadCall final : public StreamCall {
 public:
  DownloadCall(std::shared_ptr<Gpu> gpu, const void* from, std::size_t bytes, void* to)
      : StreamCall(std::move(gpu)), from_(static_cast<const std::byte*>(from)), bytes_(bytes), to_(to) {}

 protected:
  Failure queue() override;
  const Stream& last_stream() const override { return stream_; }
  Failure collect() override { return delivery_.receive(gpu()); }
  void let_go(bool went_well) override;

 private:
  const std::byte* from_;
  std::size_t bytes_;
  void* to_;
  Delivery delivery_;
  Stream stream_;
};

}  // namespace optnet::cuda
