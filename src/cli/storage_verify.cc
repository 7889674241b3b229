// cli/storage_verify.cc: weir storage verify: reads every object of a store and checks every byte of it, beside a running broker or
//             without one.
// Why:        bytes rot unread. A broker finds damage when somebody reads it; this finds it while other copies still exist.
// Contract:   reads only. An object's identity is taken from its name, so a valid object at another's name is damage too. An
//             object that vanishes meanwhile was garbage. What the broker has not uploaded yet is in its WAL and not seen here. With
//             topic ids, blocks of other topics are left out.
// Limits:     verify_read_bytes_max of memory per read; --rate bounds the bytes per second.
#include <algorithm>
#include <cstdio>
#include <set>
#include <vector>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "object/format.h"
#include "object/manifest.h"
#include "object/object_key.h"
#include "store/open.h"

namespace weir::cli {
namespace {

using base::ErrorKind;
using base::Result;
using runtime::Task;

constexpr std::uint64_t verify_read_bytes_max = std::uint64_t{8} << 20U;
constexpr base::Duration progress_every = std::chrono::seconds(1);

struct PlacedBlock {
  const object::PartitionEntry* entry = nullptr;
  const object::BlockRef* ref = nullptr;
  [[nodiscard]] std::uint64_t end() const { return ref->position + object::block_header_bytes + ref->payload_bytes; }
};

struct Totals {
  std::uint64_t objects = 0;
  std::uint64_t manifests = 0;  ///< page objects of manifests
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;
  std::uint64_t damaged = 0;
  std::uint64_t strangers = 0;   ///< keys that are no object's
  std::set<std::string> topics;  ///< ids of the topics whose blocks were checked
  std::string rows;              ///< of the damage, as JSON
};

class Verifier {
 public:
  Verifier(const StorageVerify& options, store::ObjectStore* store)
      : options_(options), store_(store), began_(runtime::Reactor::current().now()), told_(began_) {}

  Task<Result<Totals>> run() {
    std::string after = options_.after;
    while (true) {
      auto page = co_await store_->list("", after, {});
      if (!page) co_return std::unexpected(page.error());
      for (const store::ObjectInfo& info : page->objects) {
        const auto key = object::parse_object_key(info.key);
        if (!key) {
          ++totals_.strangers;
        } else if (auto read = co_await object(info, *key); !read) {
          co_return base::with_context(fmt::format("after {}", last_), read.error());
        }
        last_ = info.key;
        progress();
      }
      if (page->next_start_after.empty()) co_return std::move(totals_);
      after = page->next_start_after;
    }
  }

 private:
  void progress() {
    const base::MonoTime now = runtime::Reactor::current().now();
    if (now < told_ + progress_every) return;
    told_ = now;
    std::fputs(fmt::format("weir: {} objects, {:.1f} MB verified; to go on from here: --after {}\n", totals_.objects,
                           static_cast<double>(totals_.bytes) / 1e6, last_)
                   .c_str(),
               stderr);
  }

  void damaged(const std::string& key, const object::PartitionEntry* entry, const object::BlockRef* ref,
               const std::string& why) {
    ++totals_.damaged;
    const std::string where = entry == nullptr ? ""
                                               : fmt::format(" topic {} partition {}", entry->partition.topic.to_string(),
                                                             entry->partition.partition.value());
    const std::string offsets =
        ref == nullptr ? "" : fmt::format(" offsets {} to {}", ref->base_offset.value(), ref->end_offset.value() - 1);
    tell_error(fmt::format("DAMAGED {}{}{}: {}", key, where, offsets, why));
    totals_.rows +=
        fmt::format(R"({}{{"key":{},"topic_id":{},"partition":{},"base_offset":{},"end_offset":{},"why":{}}})",
                    totals_.rows.empty() ? "" : ",", json_string(key),
                    entry == nullptr ? "null" : json_string(entry->partition.topic.to_string()),
                    entry == nullptr ? -1 : entry->partition.partition.value(), ref == nullptr ? -1 : ref->base_offset.value(),
                    ref == nullptr ? -1 : ref->end_offset.value(), json_string(why));
  }

  // Reads a range at the rate that was asked for. An error other than a vanished object ends the run.
  Task<Result<bytes::Buffer>> read(const std::string& key, std::uint64_t offset, std::uint64_t size) {
    auto got = co_await store_->get(key, offset, size, {});
    if (got) totals_.bytes += got->size();
    if (options_.bytes_per_second > 0) {
      const double due_s = static_cast<double>(totals_.bytes) / static_cast<double>(options_.bytes_per_second);
      const auto due = began_ + std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(due_s));
      if (due > runtime::Reactor::current().now()) co_await runtime::sleep_for(due - runtime::Reactor::current().now());
    }
    co_return got;
  }

  Task<Result<void>> object(const store::ObjectInfo& info, const object::ObjectKey& key) {
    const object::Identity identity{.cluster = key.cluster, .object = key.id};
    if (info.size_bytes < object::object_header_bytes + object::footer_trailer_bytes) {
      damaged(info.key, nullptr, nullptr, fmt::format("{} bytes are too few for an object", info.size_bytes));
      co_return Result<void>{};
    }
    auto trailer = co_await read(info.key, info.size_bytes - object::footer_trailer_bytes, object::footer_trailer_bytes);
    if (!trailer) co_return gone_or(trailer.error());
    if (key.manifest_of) {
      const object::ManifestName page{
          .incarnation = key.incarnation, .session = key.session, .sequence = key.commit.value(), .id = key.id};
      const auto root = object::parse_page_trailer(trailer->view(), page);
      if (root || root.kind() == ErrorKind::corrupt) co_return co_await manifest(info, key, root);
    }
    const auto place = object::parse_trailer(trailer->view());
    if (!place || place->position > info.size_bytes || place->size_bytes > info.size_bytes - place->position) {
      damaged(info.key, nullptr, nullptr, place ? "the trailer names a footer outside the object" : place.error().text);
      co_return Result<void>{};
    }
    auto footer_bytes = co_await read(info.key, place->position, place->size_bytes);
    if (!footer_bytes) co_return gone_or(footer_bytes.error());
    const auto footer = object::parse_footer(footer_bytes->view(), place->position, identity);
    if (!footer) {
      damaged(info.key, nullptr, nullptr, footer.error().text);
      co_return Result<void>{};
    }
    auto header = co_await read(info.key, 0, object::object_header_bytes);
    if (!header) co_return gone_or(header.error());
    if (const auto good = object::verify_object_header(header->view(), *footer); !good)
      damaged(info.key, nullptr, nullptr, good.error().text);
    ++totals_.objects;
    co_return co_await blocks(info, identity, *footer);
  }

  // A page object: its root, and the leaves that were written with it.
  Task<Result<void>> manifest(store::ObjectInfo info, object::ObjectKey key, Result<object::PagePlace> place) {
    ++totals_.manifests;
    const object::ManifestIdentity identity{.cluster = key.cluster, .partition = *key.manifest_of};
    const auto bad = [&](const std::string& why) {
      damaged(info.key, nullptr, nullptr,
              fmt::format("manifest of topic {} partition {}: {}", identity.partition.topic.to_string(),
                          identity.partition.partition.value(), why));
    };
    if (!place || place->position > info.size_bytes || place->size_bytes > info.size_bytes - place->position) {
      bad(place ? "the trailer names a root outside the object" : place.error().text);
      co_return Result<void>{};
    }
    auto data = co_await read(info.key, place->position, place->size_bytes);
    if (!data) co_return gone_or(data.error());
    const auto root = object::parse_root(data->view(), *place, identity);
    if (!root) {
      bad(root.error().text);
      co_return Result<void>{};
    }
    for (const object::LeafRef& ref : root->leaves) {
      if (ref.page.id != key.id) continue;
      auto leaf = co_await read(info.key, ref.position, ref.size_bytes);
      if (!leaf) co_return gone_or(leaf.error());
      if (const auto parsed = object::parse_leaf(leaf->view(), ref, identity); !parsed) bad(parsed.error().text);
    }
    co_return Result<void>{};
  }

  static Result<void> gone_or(const base::Error& error) {
    if (error.kind == ErrorKind::not_found) return {};
    return std::unexpected(error);
  }

  [[nodiscard]] bool wanted(const object::PartitionEntry& entry) const {
    return options_.topic_ids.empty() || std::find(options_.topic_ids.begin(), options_.topic_ids.end(),
                                                   entry.partition.topic.to_string()) != options_.topic_ids.end();
  }

  Task<Result<void>> blocks(const store::ObjectInfo& info, object::Identity identity, const object::Footer& footer) {
    std::vector<PlacedBlock> all;
    for (const object::PartitionEntry& entry : footer.entries) {
      if (!wanted(entry)) continue;
      totals_.topics.insert(entry.partition.topic.to_string());
      for (const object::BlockRef& ref : entry.blocks) all.push_back({.entry = &entry, .ref = &ref});
    }
    std::sort(all.begin(), all.end(),
              [](const PlacedBlock& a, const PlacedBlock& b) { return a.ref->position < b.ref->position; });
    for (std::size_t first = 0; first < all.size();) {
      // Neighbours are read with one call.
      std::size_t end = first + 1;
      while (end < all.size() && all[end].ref->position == all[end - 1].end() &&
             all[end].end() - all[first].ref->position <= verify_read_bytes_max)
        ++end;
      const std::uint64_t from = all[first].ref->position;
      auto data = co_await read(info.key, from, all[end - 1].end() - from);
      if (!data) co_return gone_or(data.error());
      for (; first < end; ++first) check(info.key, identity, all[first], data->view(), from);
    }
    co_return Result<void>{};
  }

  void check(const std::string& key, const object::Identity& identity, const PlacedBlock& block, bytes::Bytes data,
             std::uint64_t from) {
    ++totals_.blocks;
    const std::uint64_t at = block.ref->position - from;
    if (block.end() - from > data.size()) {
      damaged(key, block.entry, block.ref, "the object ends inside the block");
      return;
    }
    const auto good =
        object::verify_block(data.subspan(at, block.end() - block.ref->position), identity, block.entry->partition, *block.ref);
    if (!good) damaged(key, block.entry, block.ref, good.error().text);
  }

  const StorageVerify& options_;
  store::ObjectStore* store_;
  base::MonoTime began_;
  base::MonoTime told_;
  std::string last_;
  Totals totals_;
};

Task<Result<Totals>> verify(runtime::RealRuntime* real, const StorageVerify* options,
                            const std::map<std::string, std::string>* environment) {
  auto opened = co_await store::open_store(options->store_url, *environment, real->doors());
  if (!opened) co_return std::unexpected(opened.error());
  Verifier verifier(*options, opened->get());
  auto totals = co_await verifier.run();
  co_await (*opened)->stop();
  co_return totals;
}

}  // namespace

int storage_verify(const Common& common, const StorageVerify& options, const std::map<std::string, std::string>& environment) {
  const auto real = command_machine();
  if (real == nullptr) return exit_failed;
  auto totals = real->run_on_shard0([&] { return verify(real.get(), &options, &environment); });
  if (!totals) {
    tell_error(totals.error().text);
    return totals.kind() == ErrorKind::invalid ? exit_usage : exit_failed;
  }
  for (const std::string& id : options.topic_ids) {
    if (!totals->topics.contains(id)) tell_error(fmt::format("no object holds a batch of a topic with the id {}", id));
  }
  if (common.json) {
    std::puts(fmt::format(R"({{"objects":{},"manifests":{},"blocks":{},"bytes":{},"strangers":{},"damaged":[{}]}})",
                          totals->objects, totals->manifests, totals->blocks, totals->bytes, totals->strangers, totals->rows)
                  .c_str());
  } else {
    std::puts(fmt::format("{} objects, {} blocks, {:.1f} MB verified, {} damaged{}", totals->objects + totals->manifests,
                          totals->blocks, static_cast<double>(totals->bytes) / 1e6, totals->damaged,
                          totals->strangers == 0 ? "" : fmt::format("; {} other keys left alone", totals->strangers))
                  .c_str());
  }
  return totals->damaged == 0 ? exit_done : exit_failed;
}

}  // namespace weir::cli
