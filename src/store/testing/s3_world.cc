#include "store/testing/s3_world.h"

#include <gtest/gtest.h>

namespace weir::store::testing {

using runtime::Task;

S3World::S3World(FakeS3Options options) : server_(&network_, std::move(options)) { machine_.doors.network = &network_; }

S3World::~S3World() { EXPECT_TRUE(machine_.run(close())); }

Task<bool> S3World::make_store() {
  const auto started = co_await server_.start();
  EXPECT_TRUE(started);
  S3Options options{
      .bucket = server_.options().bucket, .prefix = {}, .region = server_.options().region, .endpoint = server_.address()};
  options.host_header = runtime::to_string(options.endpoint);
  options.tls = false;
  options.path_style = true;
  if (client_options) client_options(&options);
  if (credentials == nullptr) credentials = s3::make_static_credentials(server_.options().keys);
  store_ = make_s3_store(std::move(options), std::move(credentials), machine_.doors);
  co_return true;
}

Task<bool> S3World::close() {
  if (store_ == nullptr) co_return true;
  co_await store_->stop();
  store_.reset();
  co_await server_.stop();
  co_return true;
}

}  // namespace weir::store::testing
