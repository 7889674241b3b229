#include "runtime/testing/real_world.h"
#include "runtime/testing/sync_conformance.h"

namespace weir::runtime::testing {

using SyncWorld = RealWorld<FileBackend::pwritev2>;
INSTANTIATE_TYPED_TEST_SUITE_P(Real, SyncConformance, SyncWorld);

}  // namespace weir::runtime::testing
