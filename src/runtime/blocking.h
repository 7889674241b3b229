// runtime/blocking.h: calls that block (RocksDB, name resolution, file metadata) leave the reactor through this door.
// Contract:   run() executes the job on a pool thread (real) or inline after a virtual delay (simulated) and resumes the
//             caller on its own reactor. At most `blocking_queue_jobs_max` wait; past that run() waits for room.
#pragma once

#include <optional>
#include <type_traits>

#include "runtime/reactor.h"
#include "runtime/task.h"

namespace weir::runtime {

class BlockingPool {
 public:
  virtual ~BlockingPool() = default;
  /// Runs job elsewhere, then posts `done` to `home`. Thread-safe.
  virtual void submit(Reactor& home, Callback job, Callback done) = 0;

  template <class Fn>
  Task<std::invoke_result_t<Fn&>> run(Fn fn) {
    using R = std::invoke_result_t<Fn&>;
    struct Awaiter {
      BlockingPool* pool;
      Fn fn;
      std::optional<R> result;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiter) {
        pool->submit(Reactor::current(), [this] { result.emplace(fn()); }, [waiter] { waiter.resume(); });
      }
      R await_resume() { return std::move(*result); }
    };
    co_return co_await Awaiter{.pool = this, .fn = std::move(fn), .result = std::nullopt};
  }
};

}  // namespace weir::runtime
