#include "keyspace/memory.h"

#include "keyspace/testing/keyspace_conformance.h"
#include "runtime/testing/manual_runtime.h"

namespace weir::keyspace::testing {
namespace {

/// Calls come from shard `Caller`, the state lives on shard 0.
template <std::uint32_t Caller>
class MemoryHarness {
 public:
  MemoryHarness() : keyspace_(make_memory_keyspace(*manual_.doors.shards[0])) {}
  MemoryHarness(const MemoryHarness&) = delete;
  MemoryHarness& operator=(const MemoryHarness&) = delete;
  ~MemoryHarness() {
    run(stop(keyspace_.get()));
    manual_.drain();
  }
  Keyspace& keyspace() { return *keyspace_; }
  template <class T>
  T run(runtime::Task<T> task) {
    return manual_.run(std::move(task), runtime::ShardId(Caller));
  }
  base::MonoTime deadline() { return manual_.now() + std::chrono::seconds(5); }
  void compact(Revision revision) { run(keyspace_->compact(revision)); }

 private:
  static runtime::Task<bool> stop(Keyspace* keyspace) {
    co_await keyspace->stop();
    co_return true;
  }
  runtime::testing::ManualRuntime manual_{2};
  std::unique_ptr<LocalKeyspace> keyspace_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(MemoryAtHome, KeyspaceConformance, MemoryHarness<0>);
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryFromAnotherShard, KeyspaceConformance, MemoryHarness<1>);

}  // namespace
}  // namespace weir::keyspace::testing
