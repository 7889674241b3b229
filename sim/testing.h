// sim/testing.h: one simulated machine with one process, for the tests of the doors.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "runtime/submit.h"
#include "sim/disk.h"
#include "sim/files.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/world.h"

namespace weir::sim {

namespace detail {
template <class T>
runtime::Task<void> keep_result(runtime::Task<T> task, std::optional<T>* into) {
  into->emplace(co_await task);
}
}  // namespace detail

/// The World of the conformance suites: two shards, an empty directory, no faults.
class SimMachine {
 public:
  explicit SimMachine(std::uint64_t seed = 1)
      : world(seed),
        fabric(world),
        host(world, fabric, "10.0.0.1", 1U << 30U),
        process(host, {.name = "test", .shard_count = 2}) {
    ENSURE(host.disk().create_directories("/dir").has_value(), "the test's directory");
    ENSURE(host.disk().sync_directory("/").has_value(), "the test's directory");
  }
  runtime::Runtime& doors() {
    ensure_running();
    return process.current()->runtime();
  }
  std::string directory() const { return "/dir"; }
  /// Runs fn() -> Task<T> on shard 0 to its end; the process lives on afterwards.
  template <class Fn>
  auto run(Fn fn, base::Duration limit = std::chrono::hours(24)) {
    using Result = typename runtime::detail::IsTask<std::invoke_result_t<Fn&>>::value_type;
    ensure_running();
    if constexpr (std::is_void_v<Result>) {
      bool ended = false;
      process.current()->shard(0).deliver([&fn, &ended] { carry_void_here(fn(), &ended); });
      ENSURE(world.run_until([&ended] { return ended; }, world.now() + limit), "the task did not end");
    } else {
      std::optional<Result> result;
      process.current()->shard(0).deliver([&fn, &result] { carry_here(fn(), &result); });
      ENSURE(world.run_until([&result] { return result.has_value(); }, world.now() + limit), "the task did not end");
      return std::move(*result);
    }
  }
  /// Begins fn() -> Task<void> on shard 0 and lets it run while the test turns the world.
  void begin(std::function<runtime::Task<void>()> fn) {
    ensure_running();
    process.current()->shard(0).deliver([fn = std::move(fn)]() mutable { carry_detached(std::move(fn)); });
  }
  void ensure_running() {
    if (!process.running()) process.start([](runtime::Runtime&) { return idle(); });
  }

  World world;
  Fabric fabric;
  Host host;
  Process process;

 private:
  static runtime::Task<void> idle() { co_await runtime::sleep_for(std::chrono::hours(10'000)); }
  static runtime::detail::Carrier carry_void_here(runtime::Task<void> task, bool* ended) {
    co_await task;
    task = runtime::Task<void>();
    *ended = true;
  }
  template <class T>
  static runtime::detail::Carrier carry_here(runtime::Task<T> task, std::optional<T>* result) {
    T value = co_await task;
    task = runtime::Task<T>();
    result->emplace(std::move(value));
  }
  static runtime::detail::Carrier carry_detached(std::function<runtime::Task<void>()> fn) { co_await fn(); }
};

}  // namespace weir::sim
