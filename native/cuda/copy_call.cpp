#include "cuda/copy_call.h"

#include "cuda/check.h"
#include "cuda/current_device.h"

namespace optnet::cuda {

Failure UploadCall::create(std::shared_ptr<Gpu> gpu, const void* from, std::size_t bytes, void* to,
                           std::shared_ptr<Call>& out) {
  const CurrentDevice current(gpu->ordinal());
  OPTNET_TRY(current.failure());
  const std::shared_ptr<UploadCall> call(new UploadCall(std::move(gpu), bytes, to));
  OPTNET_TRY(call->snapshot_.take(call->gpu(), {{from, bytes}}));
  out = call;
  return {};
}

Failure UploadCall::queue() {
  OPTNET_TRY(gpu().streams().take(stream_));
  OPTNET_TRY(snapshot_.send(gpu(), 0, bytes_, to_, stream_));
  snapshot_.sent();
  return {};
}

void UploadCall::let_go(bool went_well) {
  if (!went_well && stream_) ignore(cudaStreamSynchronize(stream_));
  stream_ = {};
  snapshot_.let_go();
}

Failure DownloadCall::queue() {
  OPTNET_TRY(gpu().streams().take(stream_));
  delivery_.set(from_, {{0, to_, bytes_}});
  return delivery_.send(gpu(), stream_);
}

void DownloadCall::let_go(bool went_well) {
  if (!went_well && stream_) ignore(cudaStreamSynchronize(stream_));
  delivery_ = {};
  stream_ = {};
}

}  // namespace optnet::cuda
