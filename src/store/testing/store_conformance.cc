#include "store/testing/store_conformance.h"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "runtime/scope.h"
#include "store/calls.h"
#include "store/keys.h"

namespace weir::store::testing {

using base::ErrorKind;
using base::Result;
using bytes::Buffer;
using bytes::BufferList;
using runtime::Task;

BufferList test_body(std::uint64_t seed, std::size_t size_bytes, std::size_t piece_bytes) {
  BufferList list;
  std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  std::size_t piece_index = 0;
  for (std::size_t made = 0; made < size_bytes; ++piece_index) {
    const bool run = piece_index % 3 == 2;  // an aligned piece of whole pages now and then
    const std::size_t wanted = run ? std::size_t{128} << 10U : piece_bytes;
    const std::size_t size = std::min(wanted, size_bytes - made);
    const bytes::SlabRef slab = bytes::SlabRef::allocate(size, bytes::io_alignment_bytes);
    for (std::byte& byte : slab.writable()) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      byte = static_cast<std::byte>(state >> 56U);
    }
    list.emplace_back(slab, 0, size);
    made += size;
  }
  return list;
}

std::uint32_t crc_of(const BufferList& body) {
  std::uint32_t crc = 0;
  for (const Buffer& piece : body) crc = bytes::crc32c(piece.view(), crc);
  return crc;
}

Task<Result<void>> put_body(ObjectStore* store, std::string key, BufferList body, bool if_none_match) {
  const std::uint32_t crc = crc_of(body);
  co_return co_await store->put(std::move(key), std::move(body), {.if_none_match = if_none_match, .crc32c = crc});
}

namespace {

BufferList text_body(std::string_view text) { return BufferList(1, Buffer::copy_of(text)); }

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "ok" : fmt::format("{}: {}", base::to_string(result.error().kind), result.error().text);
}
template <class T>
bool failed_with(const Result<T>& result, ErrorKind kind) {
  return !result && result.error().kind == kind;
}

Task<void> expect_put(ObjectStore* store, std::string key, BufferList body) {
  const auto put = co_await put_body(store, key, std::move(body));
  EXPECT_TRUE(put) << key << ": " << error_of(put);
}

Task<void> expect_content(ObjectStore* store, std::string key, std::string content) {
  const auto got = co_await store->get(key, 0, 0, {});
  EXPECT_TRUE(got) << key << ": " << error_of(got);
  if (got) EXPECT_EQ(got->text(), content) << key;
}

Task<std::vector<ObjectInfo>> list_all(ObjectStore* store, std::string prefix, std::string start_after,
                                       std::size_t* page_count) {
  std::vector<ObjectInfo> all;
  for (int page_index = 0; page_index < 100; ++page_index) {
    const auto page = co_await store->list(prefix, start_after, {});
    EXPECT_TRUE(page) << error_of(page);
    if (!page) break;
    EXPECT_LE(page->objects.size(), request_objects_max);
    ++*page_count;
    all.insert(all.end(), page->objects.begin(), page->objects.end());
    if (page->next_start_after.empty()) break;
    EXPECT_EQ(page->next_start_after, page->objects.back().key);
    start_after = page->next_start_after;
  }
  co_return all;
}

std::vector<std::string> keys_of(const std::vector<ObjectInfo>& objects) {
  std::vector<std::string> keys;
  for (const ObjectInfo& object : objects) keys.push_back(object.key);
  return keys;
}

Task<void> put_then_get_ranges(ObjectStore* store, std::string base) {
  const std::string key = base + "a/object";
  co_await expect_put(store, key, text_body("0123456789"));
  co_await expect_content(store, key, "0123456789");
  struct Range {
    std::uint64_t offset, size;
    const char* expected;
  };
  const Range ranges[] = {{0, 1, "0"},      {3, 4, "3456"}, {9, 1, "9"}, {8, 10, "89"},
                          {4, 0, "456789"}, {10, 1, ""},    {10, 0, ""}, {400, 7, ""}};
  for (const Range& range : ranges) {
    const auto got = co_await store->get(key, range.offset, range.size, {});
    EXPECT_TRUE(got) << range.offset << "+" << range.size << ": " << error_of(got);
    if (got) EXPECT_EQ(got->text(), range.expected) << range.offset << "+" << range.size;
  }
  const auto info = co_await store->head(key, {});
  EXPECT_TRUE(info) << error_of(info);
  if (info) {
    EXPECT_EQ(info->key, key);
    EXPECT_EQ(info->size_bytes, 10U);
    EXPECT_GT(info->modified_ms, 0);
  }
}

Task<void> empty_object(ObjectStore* store, std::string base) {
  const std::string key = base + "empty";
  co_await expect_put(store, key, {});
  co_await expect_content(store, key, "");
  const auto past_end = co_await store->get(key, 5, 5, {});
  EXPECT_TRUE(past_end) << error_of(past_end);
  const auto info = co_await store->head(key, {});
  EXPECT_TRUE(info) << error_of(info);
  if (info) EXPECT_EQ(info->size_bytes, 0U);
}

Task<void> missing_is_not_found(ObjectStore* store, std::string base) {
  const auto got = co_await store->get(base + "no/such", 0, 10, {});
  EXPECT_TRUE(failed_with(got, ErrorKind::not_found)) << error_of(got);
  const auto info = co_await store->head(base + "no/such", {});
  EXPECT_TRUE(failed_with(info, ErrorKind::not_found)) << error_of(info);
  const auto page = co_await store->list(base + "no/", "", {});
  EXPECT_TRUE(page) << error_of(page);
  if (page) EXPECT_TRUE(page->objects.empty() && page->next_start_after.empty());
}

Task<void> if_none_match_keeps_the_first(ObjectStore* store, std::string base) {
  const std::string key = base + "claim";
  const auto first = co_await put_body(store, key, text_body("first"), true);
  EXPECT_TRUE(first) << error_of(first);
  const auto second = co_await put_body(store, key, text_body("second"), true);
  EXPECT_TRUE(failed_with(second, ErrorKind::exists)) << error_of(second);
  co_await expect_content(store, key, "first");
  // Equal bytes of another call are another writer's: a claim has one winner whatever is written into it.
  const auto equal = co_await put_body(store, key, text_body("first"), true);
  EXPECT_TRUE(failed_with(equal, ErrorKind::exists)) << error_of(equal);
  const auto removed = co_await store->remove(std::vector<std::string>(1, key), {});
  EXPECT_TRUE(removed) << error_of(removed);
  const auto again = co_await put_body(store, key, text_body("again"), true);
  EXPECT_TRUE(again) << error_of(again);
  co_await expect_content(store, key, "again");
}

Task<void> race_one(ObjectStore* store, std::string key, int writer, std::vector<int>* winners,
                    std::vector<std::string>* others) {
  const auto put = co_await put_body(store, std::move(key), text_body(fmt::format("writer {}", writer)), true);
  if (put) {
    winners->push_back(writer);
  } else if (put.error().kind != ErrorKind::exists) {
    others->push_back(error_of(put));
  }
}

Task<void> race_has_one_winner(ObjectStore* store, std::string base) {
  constexpr int round_count = 8;
  constexpr int writer_count = 16;
  for (int round = 0; round < round_count; ++round) {
    const std::string key = fmt::format("{}race-{}", base, round);
    std::vector<int> winners;
    std::vector<std::string> others;
    runtime::Scope scope;
    for (int writer = 0; writer < writer_count; ++writer)
      scope.spawn("writer", race_one(store, key, writer, &winners, &others));
    co_await scope.join();
    EXPECT_TRUE(others.empty()) << others.front();
    EXPECT_EQ(winners.size(), 1U);
    if (winners.size() == 1) co_await expect_content(store, key, fmt::format("writer {}", winners.front()));
  }
}

Task<void> put_again_with_equal_bytes(ObjectStore* store, std::string base) {
  co_await expect_put(store, base + "same", text_body("bytes"));
  co_await expect_put(store, base + "same", text_body("bytes"));
  co_await expect_content(store, base + "same", "bytes");
}

Task<void> remove_present_and_missing(ObjectStore* store, std::string base) {
  co_await expect_put(store, base + "dir/kept", text_body("k"));
  co_await expect_put(store, base + "dir/gone", text_body("g"));
  std::vector<std::string> keys{base + "dir/gone", base + "dir/never", base + "never/at/all"};
  const auto removed = co_await store->remove(keys, {});
  EXPECT_TRUE(removed) << error_of(removed);
  const auto again = co_await store->remove(keys, {});
  EXPECT_TRUE(again) << error_of(again);
  const auto nothing = co_await store->remove({}, {});
  EXPECT_TRUE(nothing) << error_of(nothing);
  const auto got = co_await store->get(base + "dir/gone", 0, 0, {});
  EXPECT_TRUE(failed_with(got, ErrorKind::not_found)) << error_of(got);
  co_await expect_content(store, base + "dir/kept", "k");
}

Task<void> list_in_order_of_key(ObjectStore* store, std::string base) {
  // '-' and '.' sort before '/', '0' after it: a walk by directory gives another order.
  std::vector<std::string> keys;
  for (const char* name :
       {"a", "a-b/x", "b/-", "b/c/d", "b/c.d", "b/c-d", "b/c0", "b0", "c/.hidden", "c/%41", "c/\xc3\xa9", "d"}) {
    keys.push_back(base + name);
  }
  std::sort(keys.begin(), keys.end());
  for (const std::string& key : keys) co_await expect_put(store, key, text_body(key));
  std::size_t page_count = 0;
  EXPECT_EQ(keys_of(co_await list_all(store, base, "", &page_count)), keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::vector<std::string> rest(keys.begin() + static_cast<std::ptrdiff_t>(i) + 1, keys.end());
    EXPECT_EQ(keys_of(co_await list_all(store, base, keys[i], &page_count)), rest) << "after " << keys[i];
  }
  for (const char* prefix : {"b", "b/", "b/c", "b/c/", "c/.", "c/%", "zz", "a-", "b/c.d", "b/c.d/"}) {
    std::vector<std::string> expected;
    std::copy_if(keys.begin(), keys.end(), std::back_inserter(expected),
                 [&](const std::string& key) { return key.starts_with(base + prefix); });
    EXPECT_EQ(keys_of(co_await list_all(store, base + prefix, "", &page_count)), expected) << "prefix " << prefix;
    EXPECT_EQ(keys_of(co_await list_all(store, base + prefix, base, &page_count)), expected)
        << "prefix " << prefix << " after base";
  }
  const auto all = co_await list_all(store, base, "", &page_count);
  for (const ObjectInfo& object : all) {
    EXPECT_EQ(object.size_bytes, object.key.size());
    EXPECT_GT(object.modified_ms, 0);
  }
}

Task<void> put_range(ObjectStore* store, std::string base, int begin, int end, int step) {
  for (int i = begin; i < end; i += step) {
    co_await expect_put(store, fmt::format("{}page/{}/{:05}", base, i % 7, i), text_body("x"));
  }
}

Task<void> put_many(ObjectStore* store, std::string base, int begin, int end) {
  constexpr int writer_count = 8;
  runtime::Scope scope;
  for (int i = 0; i < writer_count; ++i) scope.spawn("writer", put_range(store, base, begin + i, end, writer_count));
  co_await scope.join();
}

Task<void> list_and_remove_many(ObjectStore* store, std::string base) {
  constexpr int object_count = 2010;
  constexpr int exact_count = static_cast<int>(request_objects_max);
  co_await put_many(store, base, 0, exact_count);
  std::size_t page_count = 0;
  const auto exact = co_await list_all(store, base, "", &page_count);
  EXPECT_EQ(exact.size(), request_objects_max);
  EXPECT_EQ(page_count, 1U) << "a full last page says that it is the last";
  co_await put_many(store, base, exact_count, object_count);
  std::vector<std::string> expected;
  for (int i = 0; i < object_count; ++i) expected.push_back(fmt::format("{}page/{}/{:05}", base, i % 7, i));
  std::sort(expected.begin(), expected.end());
  page_count = 0;
  EXPECT_EQ(keys_of(co_await list_all(store, base + "page/", "", &page_count)), expected);
  EXPECT_EQ(page_count, 3U);
  const std::string kept = expected[1500];
  std::erase(expected, kept);
  const auto removed = co_await store->remove(expected, {});
  EXPECT_TRUE(removed) << error_of(removed);
  page_count = 0;
  EXPECT_EQ(keys_of(co_await list_all(store, base, "", &page_count)), std::vector<std::string>(1, kept));
}

Task<void> unusual_keys(ObjectStore* store, std::string base) {
  for (const char* name : {"test$file.text", "with space", "plus+equals=", "paren(s)!*'", "amp&semi;comma,colon:at@",
                           "percent%25%2F", "tilde~under_score-", "\xc3\xbc/\xe6\x97\xa5\xe6\x9c\xac", "...", "..dots/.tmp/x",
                           "<tag>\"quote\"", "back\\slash?query#hash"}) {
    const std::string key = base + "odd/" + name;
    co_await expect_put(store, key, text_body(name));
    co_await expect_content(store, key, name);
    const auto page = co_await store->list(key, "", {});
    EXPECT_TRUE(page) << error_of(page);
    if (page) EXPECT_EQ(keys_of(page->objects), std::vector<std::string>(1, key));
    const auto removed = co_await store->remove(std::vector<std::string>(1, key), {});
    EXPECT_TRUE(removed) << error_of(removed);
    const auto info = co_await store->head(key, {});
    EXPECT_TRUE(failed_with(info, ErrorKind::not_found)) << key << ": " << error_of(info);
  }
}

Task<void> invalid_keys_are_refused(ObjectStore* store, std::string base) {
  const std::string keys[] = {"",
                              "/",
                              "/a",
                              "a//b",
                              "a/",
                              "a/./b",
                              "../b",
                              "a/..",
                              std::string("nul\0x", 5),
                              std::string(1, '\n'),
                              "\xff",
                              std::string(901, 'k')};
  for (const std::string& key : keys) {
    const auto put = co_await put_body(store, key, text_body("x"));
    EXPECT_TRUE(failed_with(put, ErrorKind::invalid)) << key << ": " << error_of(put);
    const auto got = co_await store->get(key, 0, 0, {});
    EXPECT_TRUE(failed_with(got, ErrorKind::invalid)) << key << ": " << error_of(got);
    const auto removed = co_await store->remove(std::vector<std::string>(1, key), {});
    EXPECT_TRUE(failed_with(removed, ErrorKind::invalid)) << key << ": " << error_of(removed);
  }
  const auto page = co_await store->list(base, "", {});
  EXPECT_TRUE(page && page->objects.empty());
}

Task<void> passed_deadline_begins_nothing(ObjectStore* store, std::string base) {
  const base::MonoTime passed(base::Duration(1));
  const std::string key = base + "late";
  const auto put = co_await store->put(key, text_body("x"), {.crc32c = crc_of(text_body("x")), .deadline = passed});
  EXPECT_TRUE(failed_with(put, ErrorKind::cancelled)) << error_of(put);
  const auto got = co_await store->get(key, 0, 0, {.deadline = passed});
  EXPECT_TRUE(failed_with(got, ErrorKind::cancelled)) << error_of(got);
  const auto info = co_await store->head(key, {.deadline = passed});
  EXPECT_TRUE(failed_with(info, ErrorKind::cancelled)) << error_of(info);
  const auto removed = co_await store->remove(std::vector<std::string>(1, key), {.deadline = passed});
  EXPECT_TRUE(failed_with(removed, ErrorKind::cancelled)) << error_of(removed);
  const auto page = co_await store->list(base, "", {.deadline = passed});
  EXPECT_TRUE(failed_with(page, ErrorKind::cancelled)) << error_of(page);
  const auto missing = co_await store->head(key, {});
  EXPECT_TRUE(failed_with(missing, ErrorKind::not_found)) << error_of(missing);
}

Task<void> large_body_round_trip(ObjectStore* store, std::string base) {
  // Sizes around the borders of page, bounce buffer and transfer units.
  for (const std::size_t size : {std::size_t{4095}, std::size_t{131072}, std::size_t{131073}, std::size_t{1} << 20U,
                                 (std::size_t{1} << 20U) + 1, std::size_t{5'300'000}}) {
    const std::string key = fmt::format("{}large/{}", base, size);
    const BufferList body = test_body(size, size);
    co_await expect_put(store, key, body);
    const Buffer whole = join(body);
    const auto got = co_await store->get(key, 0, 0, {});
    EXPECT_TRUE(got) << error_of(got);
    if (got) EXPECT_TRUE(got->text() == whole.text()) << key;
    const std::uint64_t offset = size / 3;
    const std::uint64_t count = size / 2 + 1;
    const auto part = co_await store->get(key, offset, count, {});
    EXPECT_TRUE(part) << error_of(part);
    if (part) EXPECT_TRUE(part->text() == whole.slice(offset, count).text()) << key;
  }
}

Task<void> mixed_one(ObjectStore* store, std::string base, int worker) {
  for (int i = 0; i < 10; ++i) {
    const std::string key = fmt::format("{}mixed/{}/{}", base, worker, i);
    const std::size_t size = static_cast<std::size_t>(worker) * 40'000 + static_cast<std::size_t>(i) * 7'001;
    const BufferList body = test_body(static_cast<std::uint64_t>(worker * 100 + i), size);
    co_await expect_put(store, key, body);
    const auto got = co_await store->get(key, 0, 0, {});
    EXPECT_TRUE(got) << error_of(got);
    if (got) EXPECT_TRUE(got->text() == join(body).text()) << key;
    if (i % 2 == 0) {
      const auto removed = co_await store->remove(std::vector<std::string>(1, key), {});
      EXPECT_TRUE(removed) << error_of(removed);
    }
  }
}

Task<void> many_at_once(ObjectStore* store, std::string base) {
  constexpr int worker_count = 12;
  runtime::Scope scope;
  for (int worker = 0; worker < worker_count; ++worker) scope.spawn("worker", mixed_one(store, base, worker));
  co_await scope.join();
  std::size_t page_count = 0;
  EXPECT_EQ((co_await list_all(store, base + "mixed/", "", &page_count)).size(), 60U);
}

}  // namespace

const std::vector<ConformanceCase>& conformance_cases() {
  static const std::vector<ConformanceCase> cases{
      {"put_then_get_ranges", put_then_get_ranges},
      {"empty_object", empty_object},
      {"missing_is_not_found", missing_is_not_found},
      {"if_none_match_keeps_the_first", if_none_match_keeps_the_first},
      {"race_has_one_winner", race_has_one_winner},
      {"put_again_with_equal_bytes", put_again_with_equal_bytes},
      {"remove_present_and_missing", remove_present_and_missing},
      {"list_in_order_of_key", list_in_order_of_key},
      {"list_and_remove_many", list_and_remove_many},
      {"unusual_keys", unusual_keys},
      {"invalid_keys_are_refused", invalid_keys_are_refused},
      {"passed_deadline_begins_nothing", passed_deadline_begins_nothing},
      {"large_body_round_trip", large_body_round_trip},
      {"many_at_once", many_at_once},
  };
  return cases;
}

}  // namespace weir::store::testing
