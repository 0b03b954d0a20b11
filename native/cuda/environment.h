// The GPUs as the engine's users see them. Nothing here needs CUDA's headers: a build without CUDA implements
// it too (absent.cpp), and says so.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/library_file.h"
#include "engine/device.h"
#include "engine/thread_pool.h"

namespace optnet::cuda {

/// What keeps a GPU from being used, for those who are to remove it.
enum class Obstacle {
  kNone,
  kNoBackend,     ///< this build has no CUDA backend
  kNoDriver,      ///< no driver
  kNoGpu,         ///< the driver finds no GPU, or none that this process may use
  kDriverTooOld,  ///< for the CUDA that this build has
  kDriverFails,   ///< it does not start
  kNoAnswer,      ///< the GPU does not answer
  kTooOld,        ///< the GPU is too old
  kForbidden,     ///< its administrator has forbidden computing on it
};

/// One GPU, or the reason why there is none.
struct DeviceInfo {
  bool usable = false;
  std::string reason;  ///< why not: a clause
  Obstacle obstacle = Obstacle::kNone;
  int ordinal = 0;
  std::string name;                               ///< the vendor's, "NVIDIA H200"
  std::string compute_capability;                 ///< "9.0"
  std::size_t total_memory = 0, free_memory = 0;  ///< of the GPU, in bytes, whoever uses it
  int driver_version = 0, runtime_version = 0;    ///< CUDA's, as 13000 for 13.0
  std::string driver_release;  ///< the driver's own version, "580.65.06"; empty where nobody can tell
  std::string libraries;       ///< why cuBLAS and cuSOLVER cannot be had, in one sentence; empty where they
                               ///< were found or not looked for
  std::vector<LibraryFile> loaded;  ///< those of the two that were found
};

/// Every GPU of the machine; never empty, never fails.
/// `look_for_libraries`: fills in DeviceInfo::libraries, which loads them where they are.
std::vector<DeviceInfo> devices(bool look_for_libraries = false);

/// A piece of a GPU's memory; it is given back, in the order of the environment's work, when the last share
/// of it goes.
class DeviceArray {
 public:
  virtual ~DeviceArray() = default;
  virtual void* data() const = 0;
  virtual std::size_t bytes() const = 0;
  virtual int ordinal() const = 0;
};

/// What one Node environment (the main thread, or a worker thread) has on one GPU: streams, libraries'
/// handles, memory pools. Made when first used, gone with the environment. Arrays and solutions may outlive
/// it there: they keep of it what they need. `pool` may be gone as soon as no call is running, and the code
/// of this library once the last CudaDevice is: its destructor waits until the driver has left its callbacks.
class CudaDevice : public Device {
 public:
  /// Fails with kDevice where the GPU cannot be used, saying why.
  static Failure create(int ordinal, ThreadPool& pool, std::shared_ptr<CudaDevice>& out);

  /// `bytes` > 0. Fails with kMemory.
  virtual Failure allocate(std::size_t bytes, std::shared_ptr<DeviceArray>& out) = 0;
  /// A call that copies `bytes` from host memory, which is read before this returns, to memory of this GPU,
  /// which must stay until the call has ended.
  virtual Failure upload(const void* from, std::size_t bytes, void* to, std::shared_ptr<Call>& out) = 0;
  Failure upload(const void* from, const std::shared_ptr<DeviceArray>& to, std::shared_ptr<Call>& out) {
    return upload(from, to->bytes(), to->data(), out);
  }
  /// A call that copies `bytes` from memory of this GPU to host memory.
  virtual Failure download(const void* from, std::size_t bytes, void* to, std::shared_ptr<Call>& out) = 0;
  /// Whether [data, data + bytes) is memory of this GPU, as far as the driver can tell: kDevice if not.
  virtual Failure check_pointer(const void* data, std::size_t bytes) const = 0;
  /// Bytes that this environment holds there: arrays, factors, and memory kept for reuse.
  virtual std::size_t bytes_held() const = 0;
};

}  // namespace optnet::cuda
