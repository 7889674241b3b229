// runtime/testing/real_world.h: the World of the conformance suites on the real machine: two shards and a scratch directory.
#pragma once

#include <memory>
#include <string>

#include "runtime/real.h"

namespace weir::runtime::testing {

/// An empty directory under $TMPDIR (or /tmp), removed with everything in it when destroyed.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <FileBackend backend>
class RealWorld {
 public:
  RealWorld() {
    RealOptions options{.shard_count = 2, .file_backend = backend};
    options.log.level = LogLevel::warn;
    auto made = make_real_runtime(std::move(options));
    ENSURE(made.has_value(), "{}", made.error().text);
    runtime_ = std::move(*made);
  }
  Runtime& doors() { return runtime_->doors(); }
  const std::string& directory() { return directory_.path(); }
  template <class Fn>
  auto run(Fn fn) {
    return runtime_->run_on_shard0(std::move(fn));
  }

 private:
  ScratchDirectory directory_;
  std::unique_ptr<RealRuntime> runtime_;
};

}  // namespace weir::runtime::testing
