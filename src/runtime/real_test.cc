#include "runtime/real.h"

#include <gtest/gtest.h>

#include "runtime/testing/file_conformance.h"
#include "runtime/testing/reactor_conformance.h"
#include "runtime/testing/real_world.h"

namespace weir::runtime::testing {

using UringWorld = RealWorld<FileBackend::uring>;
using PoolWorld = RealWorld<FileBackend::pwritev2>;

INSTANTIATE_TYPED_TEST_SUITE_P(Real, ReactorConformance, UringWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Uring, FileConformance, UringWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Pwritev2, FileConformance, PoolWorld);

}  // namespace weir::runtime::testing
