// Calls one after the other, as one.
#pragma once

#include <functional>
#include <memory>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/device.h"

namespace optnet {

class Sequence final : public Call {
 public:
  /// Makes a call, when those before it have ended well. Leaves it null where there is nothing to wait for.
  using Step = std::function<Failure(std::shared_ptr<Call>& next)>;
  using Steps = std::vector<Step>;

  explicit Sequence(Steps steps) : steps_(std::move(steps)) {}

  void run() override {
    while (advance()) {
      current_->run();
      failure_ = current_->outcome();
    }
  }
  void start(std::function<void()> finished) override {
    finished_ = std::move(finished);
    go_on();
  }
  Failure outcome() const override { return failure_; }

 private:
  /// Makes the next call that there is to wait for; false where there is none.
  bool advance() {
    current_ = nullptr;
    try {
      while (!failure_ && !current_ && next_ < steps_.size()) failure_ = steps_[next_++](current_);
    } catch (const std::bad_alloc&) {
      failure_ = {Failure::Code::kMemory};
    }
    return !failure_ && current_;
  }
  /// Each call is started by the thread that has ended the one before.
  void go_on() {
    if (advance()) {
      try {
        return current_->start([this] {
          failure_ = current_->outcome();
          go_on();
        });
      } catch (const std::bad_alloc&) {
        failure_ = {Failure::Code::kMemory};
      } catch (const std::system_error& error) {
        failure_ = {Failure::Code::kMemory};
        failure_.message = error.what();
      }
    }
    const std::function<void()> finished = std::move(finished_);
    finished();  // the sequence may be gone now
  }

  Steps steps_;
  std::size_t next_ = 0;
  std::shared_ptr<Call> current_;
  Failure failure_;
  std::function<void()> finished_;
};

}  // namespace optnet
