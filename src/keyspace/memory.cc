#include "keyspace/memory.h"

namespace weir::keyspace {
namespace {

class NoJournal final : public Journal {
 public:
  runtime::Task<base::Result<void>> append(Changes /*changes*/, Revision /*revision*/) override {
    co_await runtime::yield();  // a real journal suspends; so do the tests' callers
    co_return base::Result<void>();
  }
  runtime::Task<base::Result<core::MapState>> reopen() override {
    co_return base::fail(base::ErrorKind::invalid, "a memory keyspace cannot be reopened");
  }
  runtime::Task<void> close() override { co_return; }
};

}  // namespace

std::unique_ptr<LocalKeyspace> make_memory_keyspace(runtime::Reactor& home, runtime::Metrics* metrics) {
  return std::make_unique<LocalKeyspace>(home, std::make_unique<NoJournal>(), core::MapState(), "memory", metrics);
}

}  // namespace weir::keyspace
