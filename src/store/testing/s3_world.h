// store/testing/s3_world.h: an S3 client and a fake server on virtual time, for tests of faults: nothing sleeps, every wait is
// exact.
#pragma once

#include <functional>
#include <memory>

#include "runtime/testing/manual_runtime.h"
#include "store/s3.h"
#include "store/testing/fake_s3.h"
#include "store/testing/pipe_network.h"

namespace weir::store::testing {

class S3World {
 public:
  explicit S3World(FakeS3Options options = {});
  ~S3World();
  /// Changes the client's options before the store is made (endpoint and host header are set).
  std::function<void(S3Options*)> client_options;
  std::unique_ptr<s3::CredentialSource> credentials;  ///< default: the server's keys

  /// Makes the store on first use, runs the body, leaves the store for further bodies.
  template <class Body>
  auto run(Body body) {
    return machine_.run(run_body(this, std::move(body)));
  }
  FakeS3& server() { return server_; }
  PipeNetwork& network() { return network_; }
  ObjectStore& store() { return *store_; }
  runtime::testing::ManualRuntime& machine() { return machine_; }
  [[nodiscard]] std::uint64_t counter(const runtime::MetricDecl& decl, std::string_view labels = {}) {
    return machine_.doors.metrics->counter(decl, labels).value();
  }

 private:
  runtime::Task<bool> make_store();
  runtime::Task<bool> close();
  template <class Body>
  static auto run_body(S3World* world, Body body) -> decltype(body(world)) {
    if (world->store_ == nullptr) (void)(co_await world->make_store());
    co_return co_await body(world);
  }

  runtime::testing::ManualRuntime machine_;
  PipeNetwork network_;
  FakeS3 server_;
  std::unique_ptr<ObjectStore> store_;
};

}  // namespace weir::store::testing
