// The suites that real doors pass, on the simulated ones: what the simulator tests must be what the broker meets.
#include "keyspace/testing/keyspace_conformance.h"
#include "runtime/testing/file_conformance.h"
#include "runtime/testing/net_conformance.h"
#include "runtime/testing/reactor_conformance.h"
#include "runtime/testing/sync_conformance.h"
#include "sim/keyspace.h"
#include "sim/store.h"
#include "sim/testing.h"
#include "store/testing/store_conformance.h"

namespace weir::runtime::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ReactorConformance, sim::SimMachine);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, SyncConformance, sim::SimMachine);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, FileConformance, sim::SimMachine);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, NetConformance, sim::SimMachine);
}  // namespace weir::runtime::testing

namespace weir::sim {
namespace {

struct KeyspaceHarness {
  SimMachine machine;
  KeyspaceState state{machine.world};
  SimKeyspace door{state};
  keyspace::Keyspace& keyspace() { return door; }
  template <class T>
  T run(runtime::Task<T> task) {
    return machine.run([&task] { return std::move(task); });
  }
  base::MonoTime deadline() { return machine.world.now() + std::chrono::seconds(5); }
  void compact(keyspace::Revision revision) { state.compact(revision); }
};

class StoreConformance : public ::testing::TestWithParam<store::testing::ConformanceCase> {};

TEST_P(StoreConformance, OnTheSimulatedStore) {
  SimMachine machine;
  Bucket bucket(machine.world);
  bucket.profile().list_page_max = 1000;
  SimStore store(bucket);
  machine.run([&] { return GetParam().run(&store, "base/"); });
}
INSTANTIATE_TEST_SUITE_P(Sim, StoreConformance, ::testing::ValuesIn(store::testing::conformance_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace weir::sim

namespace weir::keyspace::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, KeyspaceConformance, sim::KeyspaceHarness);
}  // namespace weir::keyspace::testing
