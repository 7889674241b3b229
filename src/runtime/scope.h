// runtime/scope.h: the only way to run a task beside the current one: owned, named, cancelled and joined.
// Contract:   spawn() starts the task at the next turn of the current reactor. stop() requests the scope's Stop, then waits
//             until every task has ended. A scope is used on one reactor.
// Invariants: no task outlives its scope (asserted in the destructor).
#pragma once

#include <cstddef>
#include <string_view>

#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::runtime {

class Scope {
 public:
  Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { ENSURE(running_count_ == 0, "a scope was destroyed with {} running tasks", running_count_); }
  /// `name` must be a literal: it is shown by debuggers and the simulator's trace.
  void spawn(std::string_view name, Task<void> task);
  [[nodiscard]] Stop& stop_token() { return stop_; }
  [[nodiscard]] bool stopping() const { return stop_.requested(); }
  [[nodiscard]] std::size_t running_count() const { return running_count_; }
  /// Asks without waiting.
  void request_stop() { stop_.request(); }
  /// Asks and joins. Idempotent.
  Task<void> stop();
  /// Joins without asking.
  Task<void> join();

 private:
  Stop stop_;
  std::size_t running_count_ = 0;
  Event idle_;
};

}  // namespace weir::runtime
