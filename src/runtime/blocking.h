// runtime/blocking.h: calls that block (RocksDB, name resolution, file metadata) leave the reactor through this door.
// Contract:   run() executes the job on a pool thread (real) or inline after a virtual delay (simulated) and resumes the
//             caller on its own reactor. A few jobs run at a time; the rest wait in order, each a suspended caller.
// Limits:     blocking_queue_jobs_max waiting jobs (asserted): whoever starts callers bounds them far below.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "runtime/reactor.h"
#include "runtime/task.h"

namespace weir::runtime {

inline constexpr std::size_t blocking_queue_jobs_max = 1U << 20U;

class BlockingPool {
 public:
  virtual ~BlockingPool() = default;
  /// Runs job elsewhere, then posts `done` to `home`. Thread-safe.
  virtual void submit(Reactor& home, Callback job, Callback done) = 0;

  template <class Fn>
  Task<std::invoke_result_t<Fn&>> run(Fn fn) {
    co_return co_await Awaiter<Fn, std::invoke_result_t<Fn&>>{.pool = this, .fn = std::move(fn), .result = {}};
  }

 private:
  struct Nothing {};
  template <class Fn, class R>
  struct Awaiter {
    using Slot = std::conditional_t<std::is_void_v<R>, Nothing, std::optional<R>>;
    BlockingPool* pool;
    Fn fn;
    Slot result;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      pool->submit(
          Reactor::current(),
          [this] {
            if constexpr (std::is_void_v<R>) {
              fn();
            } else {
              result.emplace(fn());
            }
          },
          [waiter] { waiter.resume(); });
    }
    R await_resume() {
      if constexpr (!std::is_void_v<R>) return std::move(*result);
    }
  };
};

}  // namespace weir::runtime
