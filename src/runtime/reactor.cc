#include "runtime/reactor.h"

#include <utility>

#include "base/ensure.h"

namespace weir::runtime {
namespace {
thread_local Reactor* current_reactor = nullptr;
}

Reactor* Reactor::current_or_null() { return current_reactor; }

Reactor& Reactor::current() {
  ENSURE(current_reactor != nullptr, "called outside a reactor");
  return *current_reactor;
}

Reactor::CurrentGuard::CurrentGuard(Reactor& reactor) : previous_(std::exchange(current_reactor, &reactor)) {}
Reactor::CurrentGuard::~CurrentGuard() { current_reactor = previous_; }

}  // namespace weir::runtime
