// Uploads in parts against the in-process server.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "store/check.h"
#include "store/multipart.h"
#include "store/testing/s3_world.h"
#include "store/testing/store_conformance.h"

namespace weir::store::testing {
namespace {

using base::ErrorKind;
using base::Result;
using runtime::Task;

Task<Result<UploadPart>> put_part(S3World* world, MultipartUpload upload, std::uint32_t number, std::string_view text) {
  bytes::BufferList body(1, bytes::Buffer::copy_of(text));
  co_return co_await world->store().multipart()->put_part(std::move(upload), number, body, {.crc32c = crc_of(body)});
}

Task<std::vector<std::string>> listed_keys(S3World* world, std::string prefix) {
  std::vector<std::string> keys;
  UploadPage page;
  do {
    const auto got = co_await world->store().multipart()->list(prefix, page.next_key, page.next_id, {});
    EXPECT_TRUE(got) << (got ? "" : got.error().text);
    if (!got) break;
    page = *got;
    for (const MultipartUpload& upload : page.uploads) keys.push_back(upload.key);
  } while (!page.next_key.empty());
  co_return keys;
}

const std::string large(part_bytes_min, 'p');

class S3Multipart : public ::testing::TestWithParam<std::string> {
 protected:
  S3Multipart() {
    world_.client_options = [](S3Options* options) { options->prefix = GetParam(); };
  }
  S3World world_;
};

TEST_P(S3Multipart, PartsBecomeOneObject) {
  world_.run([](S3World* world) -> Task<bool> {
    Multipart* multipart = world->store().multipart();
    const auto upload = co_await multipart->begin("a/b & c", {});
    EXPECT_TRUE(upload);
    if (!upload) co_return false;
    std::vector<UploadPart> parts;
    for (const auto& [number, text] : {std::pair<std::uint32_t, std::string_view>{1, large}, {2, "tail"}}) {
      const auto part = co_await put_part(world, *upload, number, text);
      EXPECT_TRUE(part) << number;
      if (part) parts.push_back(*part);
    }
    EXPECT_EQ((co_await world->store().head("a/b & c", {})).kind(), ErrorKind::not_found);
    EXPECT_EQ(co_await listed_keys(world, "a/"), std::vector<std::string>{"a/b & c"});
    EXPECT_TRUE(co_await listed_keys(world, "b/") == std::vector<std::string>());
    const auto done = co_await multipart->complete(*upload, parts, {});
    EXPECT_TRUE(done) << (done ? "" : done.error().text);
    const auto got = co_await world->store().get("a/b & c", 0, 0, {});
    EXPECT_TRUE(got && got->text() == large + "tail");
    EXPECT_TRUE(co_await listed_keys(world, "") == std::vector<std::string>());
    const auto twice = co_await multipart->complete(*upload, parts, {});
    EXPECT_FALSE(twice);
    if (!twice) EXPECT_EQ(twice.kind(), ErrorKind::not_found);
    co_return true;
  });
}

TEST_P(S3Multipart, AbortedOnesAreGoneAndManyAreListedInPages) {
  world_.run([](S3World* world) -> Task<bool> {
    Multipart* multipart = world->store().multipart();
    std::vector<MultipartUpload> uploads;
    std::vector<std::string> keys;
    for (int i = 0; i < 2003; ++i) {
      // Two under each key: a page may end between them.
      const auto upload = co_await multipart->begin(fmt::format("many/{:05}", i / 2), {});
      EXPECT_TRUE(upload);
      if (!upload) co_return false;
      uploads.push_back(*upload);
      keys.push_back(upload->key);
    }
    EXPECT_EQ(co_await listed_keys(world, "many/"), keys);
    for (const MultipartUpload& upload : uploads) EXPECT_TRUE(co_await multipart->abort(upload, {}));
    EXPECT_TRUE(co_await multipart->abort(uploads.front(), {})) << "a missing one is aborted";
    EXPECT_EQ(world->server().upload_count(), 0U);
    co_return true;
  });
}

INSTANTIATE_TEST_SUITE_P(Prefix, S3Multipart, ::testing::Values("", "deep/prefix with space"),
                         [](const auto& info) { return info.param.empty() ? "none" : "some"; });

TEST(S3MultipartFaults, ADamagedPartIsRefused) {
  S3World world;
  world.run([](S3World* at) -> Task<bool> {
    const auto upload = co_await at->store().multipart()->begin("k", {});
    EXPECT_TRUE(upload);
    if (!upload) co_return false;
    bytes::BufferList body(1, bytes::Buffer::copy_of(std::string_view("part")));
    const auto part = co_await at->store().multipart()->put_part(*upload, 1, body, {.crc32c = crc_of(body) ^ 1U});
    EXPECT_FALSE(part);
    if (!part) EXPECT_EQ(part.kind(), ErrorKind::corrupt);
    co_return true;
  });
}

TEST(S3MultipartFaults, ALostReplyOfACompletionIsNotCalledAFailure) {
  S3World world;
  world.server().plan = [lost = false](const s3::RequestHead& head, std::uint64_t) mutable {
    const bool completes = head.method == "POST" && head.target.find("uploadId=") != std::string::npos;
    if (!completes || std::exchange(lost, true)) return Fault{};
    return Fault{.apply = true, .reset = true};
  };
  world.run([](S3World* at) -> Task<bool> {
    const auto upload = co_await at->store().multipart()->begin("k", {});
    EXPECT_TRUE(upload);
    if (!upload) co_return false;
    const auto part = co_await put_part(at, *upload, 1, "part");
    EXPECT_TRUE(part);
    if (!part) co_return false;
    const auto done = co_await at->store().multipart()->complete(*upload, {*part}, {});
    EXPECT_FALSE(done);
    if (!done) EXPECT_EQ(done.kind(), ErrorKind::unknown_outcome) << done.error().text;
    co_return true;
  });
}

TEST(S3MultipartFaults, AServerWithoutThemSaysSoAtOnce) {
  S3World world;
  world.server().plan = [](const s3::RequestHead& head, std::uint64_t) {
    if (head.target.find("uploads") == std::string::npos) return Fault{};
    return Fault{.status = 501, .code = "NotImplemented", .message = "A header you provided implies functionality"};
  };
  world.run([](S3World* at) -> Task<bool> {
    const auto page = co_await at->store().multipart()->list("", "", "", {});
    EXPECT_FALSE(page);
    if (!page) EXPECT_EQ(page.kind(), ErrorKind::invalid);
    EXPECT_EQ(at->server().request_count(), 1U) << "asking again would not help";
    // What weir itself needs is all there.
    for (const CheckStep& step : co_await check_store(&at->store(), "", {}))
      EXPECT_TRUE(step.ok) << step.name << ": " << step.text;
    co_return true;
  });
}

TEST(S3MultipartFaults, TheCheckTriesThemAndLeavesNothing) {
  S3World world;
  world.run([](S3World* at) -> Task<bool> {
    bool tried = false;
    for (const CheckStep& step : co_await check_store(&at->store(), "", {})) {
      EXPECT_TRUE(step.ok) << step.name << ": " << step.text;
      tried = tried || (step.name == "multipart" && step.text.find("two parts make one object") != std::string::npos);
    }
    EXPECT_TRUE(tried);
    EXPECT_EQ(at->server().upload_count(), 0U);
    EXPECT_EQ(at->server().object_count(), 0U);
    co_return true;
  });
}

}  // namespace
}  // namespace weir::store::testing
