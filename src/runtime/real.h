// runtime/real.h: the doors onto the real machine, for the weir command, tests on real files and sockets, and benches.
// Contract:   make_real_runtime() starts one thread per shard (loop_crew.h says which of them drives what) and the pools. Tasks
//             are run by run() or run_on_shard0() from an ordinary thread, which blocks. The destructor stops loops and joins threads; by then every task has ended and every
//             file and stream is closed (asserted where it can be seen).
// Failure:    ENSURE for what a broken machine refuses at start (threads, epoll); io_uring refused -> the thread pool, logged.
// Limits:     the counts in RealOptions.
// Tests:      runtime/real_test.cc
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "runtime/runtime.h"
#include "runtime/submit.h"
#include "runtime/task.h"
#include "runtime/text_log.h"

namespace weir::runtime {

enum class FileBackend : std::uint8_t {
  automatic,  ///< uring where the kernel lets us, else pwritev2
  uring,      ///< uring or no start
  pwritev2,   ///< the thread pool
};

/// Whether one thread may drive all shards while one core could do all the work (loop_crew.h).
enum class Folding : std::uint8_t {
  automatic,
  never,
  restless,  ///< for tests: folds and unfolds as often as it can
};

struct RealOptions {
  std::uint32_t shard_count = 1;
  Folding folding = Folding::automatic;
  FileBackend file_backend = FileBackend::automatic;
  std::uint32_t blocking_thread_count = 4;
  std::uint32_t file_thread_count = 8;  ///< of the pwritev2 backend
  LogOptions log;
};

class RealRuntime {
 public:
  virtual ~RealRuntime() = default;
  [[nodiscard]] virtual Runtime& doors() = 0;
  /// automatic never: which one was chosen.
  [[nodiscard]] virtual FileBackend file_backend() const = 0;
  /// From now on SIGTERM and SIGINT do not end the process: each one calls back on shard 0 with its number. Once, before run().
  virtual void on_terminate(std::move_only_function<void(int signal_number)> callback) = 0;

  /// Runs `fn() -> Task<T>` on shard 0 and blocks this ordinary thread until it has ended. fn lives as long as its task.
  template <class Fn>
  auto run_on_shard0(Fn fn) -> detail::IsTask<std::invoke_result_t<Fn&>>::value_type {
    using T = detail::IsTask<std::invoke_result_t<Fn&>>::value_type;
    ENSURE(Reactor::current_or_null() == nullptr, "run_on_shard0 would block a reactor");
    std::promise<T> promise;
    std::future<T> future = promise.get_future();
    doors().shard(ShardId(0)).post([&promise, &fn] { drive<Fn, T>(&fn, &promise); });
    return future.get();
  }
  /// The whole life of a process: runs main on shard 0 and gives its exit code.
  template <class Fn>
  int run(Fn main_task) {
    return run_on_shard0(std::move(main_task));
  }

 private:
  template <class Fn, class T>
  static detail::Carrier drive(Fn* fn, std::promise<T>* promise) {
    if constexpr (std::is_void_v<T>) {
      co_await (*fn)();
      promise->set_value();
    } else {
      promise->set_value(co_await (*fn)());
    }
  }
};

/// invalid: file_backend = uring where io_uring is refused.
base::Result<std::unique_ptr<RealRuntime>> make_real_runtime(RealOptions options);

}  // namespace weir::runtime
