// sim/op.h: one pending operation of a simulated process: begun by a door, completed by the world, resumed on the caller's shard.
// Contract:   shared by the waiting coroutine and by the world's events. The first completion wins (a deadline may race the
//             result). When the process died meanwhile, the completion is dropped: the coroutine never resumes.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "sim/process.h"

namespace weir::sim {

template <class T>
class Op {
 public:
  explicit Op(SimReactor& home) : home_(home) {}
  [[nodiscard]] bool done() const { return value_.has_value(); }
  [[nodiscard]] SimReactor& home() const { return home_; }
  bool complete(T value) {
    if (value_) return false;
    value_.emplace(std::move(value));
    if (waiter_) home_.deliver([handle = waiter_] { handle.resume(); });
    return true;
  }

  /// co_await Op<T>::wait(op)
  struct Awaiter {
    std::shared_ptr<Op> op;
    [[nodiscard]] bool await_ready() const noexcept { return op->done(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept { op->waiter_ = handle; }
    T await_resume() { return std::move(*op->value_); }
  };
  static Awaiter wait(std::shared_ptr<Op> op) { return Awaiter{std::move(op)}; }

 private:
  SimReactor& home_;
  std::optional<T> value_;
  std::coroutine_handle<> waiter_;
};

/// A new operation of the shard that runs now.
template <class T>
std::shared_ptr<Op<T>> begin_op() {
  return std::make_shared<Op<T>>(current_sim_reactor());
}

}  // namespace weir::sim
