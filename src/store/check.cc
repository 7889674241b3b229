#include "store/check.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "bytes/crc32c.h"
#include "runtime/reactor.h"
#include "runtime/scope.h"
#include "store/multipart.h"

namespace weir::store {
namespace {

using base::ErrorKind;
using base::Result;
using bytes::Buffer;
using bytes::BufferList;
using runtime::Task;

constexpr base::Duration call_patience = std::chrono::seconds(60);

/// Bytes that differ from place to place, so that a wrong range shows.
Buffer made_body(std::size_t size_bytes, std::uint64_t seed) {
  const bytes::SlabRef slab = bytes::SlabRef::allocate(size_bytes);
  std::uint64_t state = seed | 1U;
  for (std::byte& byte : slab.writable()) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(state >> 56U);
  }
  return Buffer(slab, 0, size_bytes);
}

bool same(bytes::Bytes a, bytes::Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

base::MonoTime patience() { return runtime::Reactor::current().now() + call_patience; }

Task<Result<void>> put_one(ObjectStore* store, std::string key, Buffer body, bool if_none_match) {
  const std::uint32_t crc = bytes::crc32c(body.view());
  BufferList list;
  list.push_back(std::move(body));
  co_return co_await store->put(std::move(key), std::move(list),
                                {.if_none_match = if_none_match, .crc32c = crc, .deadline = patience()});
}

struct Judgement {
  bool ok = false;
  std::string text;
};
Judgement good(std::string text) { return {.ok = true, .text = std::move(text)}; }
Judgement bad(std::string text) { return {.ok = false, .text = std::move(text)}; }

class Checker {
 public:
  Checker(ObjectStore* store, std::string base, std::function<void(const CheckStep&)> told)
      : store_(store), base_(std::move(base)), told_(std::move(told)) {}

  Task<std::vector<CheckStep>> run() {
    body_ = made_body(check_body_bytes, runtime::Reactor::current().random());
    co_await step("put", put());
    if (!steps_.back().ok) co_return std::move(steps_);
    co_await step("get", get());
    co_await step("range", range());
    co_await step("head", head());
    co_await step("conditional put", conditional_put());
    co_await step("race of conditional puts", race());
    co_await step("checksum", checksum());
    co_await step("multipart", multipart());
    co_await step("list", list());
    co_await step("delete", remove());
    co_await step("clock", clock());
    co_return std::move(steps_);
  }

 private:
  [[nodiscard]] std::string key(std::string_view name) const { return base_ + std::string(name); }

  Task<void> step(std::string name, Task<Judgement> judged) {
    const base::MonoTime began = runtime::Reactor::current().now();
    Judgement seen = co_await std::move(judged);
    steps_.push_back({.name = std::move(name),
                      .ok = seen.ok,
                      .text = std::move(seen.text),
                      .took = runtime::Reactor::current().now() - began});
    if (told_) told_(steps_.back());
  }

  Task<Judgement> put() {
    const auto done = co_await put_one(store_, key("body"), body_, false);
    if (!done) co_return bad(done.error().text);
    co_return good(fmt::format("an object of {} bytes", body_.size()));
  }

  Task<Judgement> get() {
    const auto whole = co_await store_->get(key("body"), 0, 0, {.deadline = patience()});
    if (!whole) co_return bad(fmt::format("what was just put cannot be read: {}", whole.error().text));
    if (!same(whole->view(), body_.view())) co_return bad("other bytes came back than were put");
    co_return good("the same bytes come back, at once after the put");
  }

  Task<Judgement> range() {
    const std::uint64_t size = body_.size();
    for (const auto& [offset, count] : {std::pair<std::uint64_t, std::uint64_t>{0, 1}, {size / 2 - 7, 4099}, {size - 5, 100}}) {
      const auto part = co_await store_->get(key("body"), offset, count, {.deadline = patience()});
      if (!part) co_return bad(fmt::format("bytes {} to {} cannot be read: {}", offset, offset + count, part.error().text));
      if (!same(part->view(), body_.view().subspan(offset, std::min(count, size - offset))))
        co_return bad(fmt::format("a request for {} bytes at {} brought others ({} of them)", count, offset, part->size()));
    }
    const auto beyond = co_await store_->get(key("body"), size, 10, {.deadline = patience()});
    if (!beyond || !beyond->empty()) co_return bad("a range behind the object's end is not answered as empty");
    co_return good("ranges are exact, at the end too");
  }

  Task<Judgement> head() {
    const auto info = co_await store_->head(key("body"), {.deadline = patience()});
    if (!info) co_return bad(info.error().text);
    if (info->size_bytes != body_.size())
      co_return bad(fmt::format("{} bytes stated, {} are there", info->size_bytes, body_.size()));
    const auto missing = co_await store_->head(key("missing"), {.deadline = patience()});
    if (missing || missing.kind() != ErrorKind::not_found)
      co_return bad("an object that was never put is not answered as missing");
    co_return good("size and absence are told");
  }

  Task<Judgement> conditional_put() {
    const Buffer first = made_body(1000, 1);
    if (const auto done = co_await put_one(store_, key("once"), first, true); !done)
      co_return bad(fmt::format("a put with If-None-Match to a free key fails: {}", done.error().text));
    const auto second = co_await put_one(store_, key("once"), made_body(1000, 2), true);
    const auto there = co_await store_->get(key("once"), 0, 0, {.deadline = patience()});
    if (there && !same(there->view(), first.view()))
      co_return bad(
          "If-None-Match is accepted and ignored: the second put replaced the object. Two brokers would overwrite each other's "
          "data");
    if (second)
      co_return bad("a second put with If-None-Match is answered as done, though the first one's object is still there");
    if (second.kind() != ErrorKind::exists)
      co_return bad(fmt::format("a second put with If-None-Match: {}", second.error().text));
    co_return good("If-None-Match refuses the second put");
  }

  Task<void> racer(std::string name, std::uint64_t seed, int* won, std::optional<std::uint64_t>* winner, std::string* trouble) {
    const auto done = co_await put_one(store_, std::move(name), made_body(20000, seed), true);
    if (done) {
      ++*won;
      *winner = seed;
    } else if (done.kind() != ErrorKind::exists) {
      *trouble = done.error().text;
    }
  }

  Task<Judgement> race() {
    for (int round = 0; round < check_race_rounds; ++round) {
      const std::string name = key(fmt::format("race-{}", round));
      int won = 0;
      std::optional<std::uint64_t> winner;
      std::string trouble;
      runtime::Scope scope;
      for (int i = 0; i < check_race_writers; ++i)
        scope.spawn("racer", racer(name, static_cast<std::uint64_t>(round * 100 + i + 1), &won, &winner, &trouble));
      co_await scope.join();
      if (won != 1) {
        co_return bad(fmt::format("{} of {} puts with If-None-Match to one key at once were answered as done{}{}", won,
                                  check_race_writers, trouble.empty() ? "" : ": ", trouble));
      }
      const auto there = co_await store_->get(name, 0, 0, {.deadline = patience()});
      if (!there || !same(there->view(), made_body(20000, *winner).view()))
        co_return bad("the object is not that of the put that was answered as done");
    }
    co_return good(fmt::format("one winner in each of {} races of {}", check_race_rounds, check_race_writers));
  }

  Task<Judgement> checksum() {
    const Buffer body = made_body(5000, 9);
    BufferList list;
    list.push_back(body);
    const auto done = co_await store_->put(key("damaged"), std::move(list),
                                           {.crc32c = bytes::crc32c(body.view()) ^ 1U, .deadline = patience()});
    const bool stored = (co_await store_->head(key("damaged"), {.deadline = patience()})).has_value();
    // A local directory does not check: the kernel's copy is not a network.
    if (done) co_return good("not checked by this store: bytes damaged on their way to it are found when they are read");
    if (stored) co_return bad("an object with a wrong checksum is refused, but stored all the same");
    co_return good("an object whose checksum does not fit is refused");
  }

  Task<Result<UploadPart>> part(MultipartUpload upload, std::uint32_t number, Buffer body) {
    const std::uint32_t crc = bytes::crc32c(body.view());
    BufferList list;
    list.push_back(std::move(body));
    co_return co_await store_->multipart()->put_part(std::move(upload), number, std::move(list),
                                                     {.crc32c = crc, .deadline = patience()});
  }

  /// Whether the server lists this upload as under way.
  Task<Result<bool>> is_under_way(MultipartUpload upload) {
    std::string after_key;
    std::string after_id;
    while (true) {
      const auto page = co_await store_->multipart()->list(upload.key, after_key, after_id, {.deadline = patience()});
      if (!page) co_return std::unexpected(page.error());
      for (const MultipartUpload& one : page->uploads) {
        if (one.id == upload.id) co_return true;
      }
      if (page->next_key.empty()) co_return false;
      after_key = page->next_key;
      after_id = page->next_id;
    }
  }

  Task<Judgement> multipart() {
    if (store_->multipart() == nullptr) co_return good("this store has no uploads in parts; weir needs none");
    const auto upload = co_await store_->multipart()->begin(key("parts"), {.deadline = patience()});
    if (!upload) co_return good(fmt::format("not to be had here ({}); weir needs none", upload.error().text));
    const Judgement seen = co_await try_parts(*upload);
    // What is complete cannot be aborted, and says so; anything else must not stay behind.
    const auto aborted = co_await store_->multipart()->abort(*upload, {.deadline = patience()});
    if (seen.ok && !aborted)
      co_return bad(fmt::format("{}. Uploads left behind would be billed for ever", aborted.error().text));
    co_return seen;
  }

  Task<Judgement> try_parts(MultipartUpload upload) {
    const Buffer tail = made_body(1000, 17);
    const auto first = co_await part(upload, 1, body_);
    if (!first) co_return bad(first.error().text);
    const auto second = co_await part(upload, 2, tail);
    if (!second) co_return bad(second.error().text);
    const auto listed = co_await is_under_way(upload);
    if (!listed) co_return bad(fmt::format("{}. What is left behind could not be found", listed.error().text));
    if (!*listed) co_return bad("an upload that was begun is not listed: what is left behind could not be found");
    if (const auto early = co_await store_->head(key("parts"), {.deadline = patience()}); early)
      co_return bad("the object is there before its upload is complete");
    const auto done = co_await store_->multipart()->complete(upload, {*first, *second}, {.deadline = patience()});
    // On a bad day the answer may be lost: then the object tells.
    if (!done && done.kind() != ErrorKind::unknown_outcome) co_return bad(done.error().text);
    const auto whole = co_await store_->get(key("parts"), 0, 0, {.deadline = patience()});
    if (!whole)
      co_return bad(fmt::format("an object of two parts cannot be read: {}", done ? whole.error().text : done.error().text));
    const std::uint64_t size = body_.size();
    if (whole->size() != size + tail.size() || !same(whole->view().subspan(0, size), body_.view()) ||
        !same(whole->view().subspan(size), tail.view()))
      co_return bad("an object of two parts does not hold them one behind the other");
    // One that is given up leaves nothing.
    const auto given_up = co_await store_->multipart()->begin(key("given-up"), {.deadline = patience()});
    if (!given_up) co_return bad(given_up.error().text);
    if (const auto put = co_await part(*given_up, 1, tail); !put) co_return bad(put.error().text);
    const auto aborted = co_await store_->multipart()->abort(*given_up, {.deadline = patience()});
    if (!aborted) co_return bad(fmt::format("{}. Uploads left behind would be billed for ever", aborted.error().text));
    const auto still = co_await is_under_way(*given_up);
    if (!still) co_return bad(still.error().text);
    if (*still) co_return bad("an upload that was aborted is still listed: it would be billed for ever");
    co_return good("two parts make one object, an upload that is given up is gone");
  }

  Task<Judgement> list() {
    std::vector<std::string> keys;
    for (int i = 0; i < check_list_objects; ++i) {
      keys.push_back(key(fmt::format("list/{:02}", i)));
      if (const auto done = co_await put_one(store_, keys.back(), made_body(10, 3), false); !done)
        co_return bad(done.error().text);
    }
    const auto seen = co_await listed("list/");
    if (!seen) co_return bad(seen.error().text);
    if (*seen != keys)
      co_return bad(fmt::format("{} objects were put, a list right after shows {}{}", keys.size(), seen->size(),
                                seen->size() == keys.size() ? " in another order" : ""));
    const auto behind = co_await store_->list(key("list/"), keys[9], {.deadline = patience()});
    if (!behind || behind->objects.size() != keys.size() - 10) co_return bad("a list from behind a key does not begin there");
    co_return good(fmt::format("{} objects are listed at once, in order", keys.size()));
  }

  Task<Judgement> remove() {
    const auto all = co_await listed("");
    if (!all) co_return bad(all.error().text);
    const auto done = co_await store_->remove(*all, {.deadline = patience()});
    if (!done) co_return bad(fmt::format("{}. Garbage would stay for ever", done.error().text));
    const auto left = co_await listed("");
    if (!left) co_return bad(left.error().text);
    if (!left->empty()) co_return bad(fmt::format("{} of {} deleted objects are still listed", left->size(), all->size()));
    const auto read = co_await store_->get(key("body"), 0, 0, {.deadline = patience()});
    if (read || read.kind() != ErrorKind::not_found) co_return bad("a deleted object can still be read");
    co_return good(fmt::format("{} objects are gone at once", all->size()));
  }

  Task<Judgement> clock() {
    const auto theirs = store_->now_ms();
    if (!theirs) co_return good("this store has no clock of its own");
    const std::int64_t apart_ms = *theirs - runtime::Reactor::current().wall_now_ms();
    if (std::abs(apart_ms) > 60'000)
      co_return bad(fmt::format(
          "the store's clock and this machine's are {} s apart: set this machine's, or retention by time is off by it",
          apart_ms / 1000));
    co_return good("the clocks agree");
  }

  Task<Result<std::vector<std::string>>> listed(std::string below) {
    std::vector<std::string> keys;
    std::string after;
    while (true) {
      auto page = co_await store_->list(key(below), after, {.deadline = patience()});
      if (!page) co_return std::unexpected(page.error());
      for (const ObjectInfo& object : page->objects) keys.push_back(object.key);
      if (page->next_start_after.empty()) co_return keys;
      after = page->next_start_after;
    }
  }

  ObjectStore* store_;
  std::string base_;
  std::function<void(const CheckStep&)> told_;
  Buffer body_;
  std::vector<CheckStep> steps_;
};

}  // namespace

Task<std::vector<CheckStep>> check_store(ObjectStore* store, std::string prefix, std::function<void(const CheckStep&)> told) {
  Checker checker(store, fmt::format("{}{}{:016x}/", prefix, check_prefix, runtime::Reactor::current().random()),
                  std::move(told));
  co_return co_await checker.run();
}

}  // namespace weir::store
