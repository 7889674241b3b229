#include "runtime/testing/real_world.h"

#include <cstdlib>
#include <filesystem>

#include "base/ensure.h"

namespace weir::runtime::testing {

ScratchDirectory::ScratchDirectory() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base == nullptr ? "/tmp" : base) + "/weir-test-XXXXXX";
  ENSURE(::mkdtemp(path_.data()) != nullptr, "no scratch directory at {}", path_);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace weir::runtime::testing
