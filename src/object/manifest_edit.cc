#include "object/manifest_edit.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/ensure.h"
#include "bytes/endian.h"

namespace weir::object {
namespace {

using base::ErrorKind;
using base::fail;

bool is_full(const LeafRef& ref) { return ref.entry_count >= leaf_entries_max || ref.size_bytes >= leaf_bytes_max; }

std::set<ManifestName> pages_of(const ManifestRoot& root, const ManifestName& root_page) {
  std::set<ManifestName> pages{root_page};
  for (const LeafRef& leaf : root.leaves) pages.insert(leaf.page);
  return pages;
}

std::uint32_t stated_crc(const std::vector<std::byte>& page) {
  return bytes::load_le<std::uint32_t>(page.data() + page.size() - sizeof(std::uint32_t));
}

// What an entry takes in a leaf, closely enough to close leaves by size.
std::size_t size_of(const ManifestEntry& entry) { return 116 + entry.aborted.size() * 24; }

// Pages in the making: appended to the body one behind the other.
class PageWriter {
 public:
  PageWriter(ManifestIdentity identity, ManifestName page) : identity_(identity), page_(page) {}
  LeafRef add_leaf(const std::vector<ManifestEntry>& entries) {
    LeafRef ref{.page = page_,
                .position = body_.size(),
                .base_offset = entries.front().base_offset,
                .end_offset = entries.back().end_offset,
                .entry_count = static_cast<std::uint32_t>(entries.size()),
                .oldest_max_timestamp = entries.front().max_timestamp};
    for (const ManifestEntry& entry : entries) {
      ref.payload_bytes += entry.payload_bytes;
      ref.max_timestamp = std::max(ref.max_timestamp, entry.max_timestamp);
      ref.oldest_max_timestamp = std::min(ref.oldest_max_timestamp, entry.max_timestamp);
    }
    const std::vector<std::byte> page = encode_leaf({.entries = entries}, identity_, page_.id, ref.position);
    ref.size_bytes = static_cast<std::uint32_t>(page.size());
    ref.crc = stated_crc(page);
    body_.insert(body_.end(), page.begin(), page.end());
    return ref;
  }
  PagePlace add_root(const ManifestRoot& root) {
    PagePlace place{.page = page_, .position = body_.size()};
    const std::vector<std::byte> page = encode_root(root, identity_, page_.id, place.position);
    place.size_bytes = static_cast<std::uint32_t>(page.size());
    place.crc = stated_crc(page);
    body_.insert(body_.end(), page.begin(), page.end());
    const std::vector<std::byte> trailer = encode_page_trailer(place);
    body_.insert(body_.end(), trailer.begin(), trailer.end());
    return place;
  }
  std::vector<std::byte> take_body() { return std::move(body_); }

 private:
  ManifestIdentity identity_;
  ManifestName page_;
  std::vector<std::byte> body_;
};

// As log's ProducerTable::merge(): what an entry states over what was known.
void merge_producer(ManifestProducer& known, const ProducerDelta& delta, const ManifestEntry& entry) {
  if (known.state.epoch != delta.epoch) known.state.batches.clear();
  known.state.producer_id = delta.producer_id;
  known.state.epoch = delta.epoch;
  known.last_offset = entry.end_offset - 1;
  for (const ProducerBatch& batch : delta.batches) {
    auto& batches = known.state.batches;
    if (!batches.empty() && batch.base_offset <= batches.back().last_offset) continue;  // restated
    if (batches.size() == producer_batches_max) batches.erase(batches.begin());
    batches.push_back(batch);
    known.last_timestamp = batch.max_timestamp;
  }
  if (delta.batches.empty()) known.last_timestamp = std::max(known.last_timestamp, entry.max_timestamp);
  // Every transaction that began below covers_to is decided; what says how is behind it, or below the log start.
  known.state.open_transaction_start = model::Offset(-1);
  known.state.coordinator_epoch = std::max(known.state.coordinator_epoch, delta.coordinator_epoch);
}

void merge_producers(ManifestRoot& root, const ManifestEditInput& input) {
  if (input.added.empty()) return;
  std::map<model::ProducerId, ManifestProducer> all;
  for (ManifestProducer& producer : root.producers) {
    const model::ProducerId id = producer.state.producer_id;
    all.emplace(id, std::move(producer));
  }
  for (const AddedObject& added : input.added) {
    for (const ProducerDelta& delta : added.producers) {
      const auto [at, fresh] = all.try_emplace(delta.producer_id);
      if (fresh) at->second.state.epoch = delta.epoch;
      merge_producer(at->second, delta, added.entry);
    }
  }
  root.producers.clear();
  for (auto& [id, producer] : all) {
    if (producer.last_timestamp < input.producers_expire_before_ms) continue;
    root.producers.push_back(std::move(producer));
  }
}

void merge_epochs(ManifestRoot& root, const ManifestEditInput& input) {
  for (const AddedObject& added : input.added) {
    for (const EpochStart& epoch : added.epochs) {
      if (!root.epochs.empty() && epoch.epoch <= root.epochs.back().epoch) continue;
      while (!root.epochs.empty() && root.epochs.back().start >= epoch.start) root.epochs.pop_back();
      root.epochs.push_back(epoch);
    }
  }
  std::size_t below = 0;
  while (below + 1 < root.epochs.size() && root.epochs[below + 1].start <= input.log_start) ++below;
  root.epochs.erase(root.epochs.begin(), root.epochs.begin() + static_cast<std::ptrdiff_t>(below));
}

// The numbers between the old one and this one are of edits that failed: nobody wrote them.
void add_writer(ManifestRoot& root, std::uint64_t old_sequence, const model::SessionId& session) {
  const bool skipped = root.sequence > old_sequence + 1;
  if (skipped) root.writers.push_back({.first_sequence = old_sequence + 1, .session = {}});
  if (root.writers.empty() || root.writers.back().session != session) {
    root.writers.push_back({.first_sequence = root.sequence, .session = session});
  }
}

base::Result<void> check_follows(const ManifestEditInput& input, const ManifestRoot& root) {
  model::Offset next = root.covers_to;
  bool may_jump = root.leaves.empty();  // nothing is left that it would have to follow
  for (const AddedObject& added : input.added) {
    const ManifestEntry& entry = added.entry;
    const bool first_ever = input.old_root == nullptr && &added == &input.added.front();
    const bool jumps = may_jump && entry.base_offset > next && entry.base_offset <= input.log_start;
    if ((entry.base_offset != next && !first_ever && !jumps) || entry.base_offset >= entry.end_offset) {
      return fail(ErrorKind::invalid, fmt::format("an entry [{}, {}) does not follow a manifest that covers up to {}",
                                                  entry.base_offset.value(), entry.end_offset.value(), next.value()));
    }
    may_jump = false;
    next = entry.end_offset;
  }
  return {};
}

// Drops what lies below the log start out of the first leaf. Whole entries only.
void drop_first(ManifestRoot& root, ManifestEditInput& input, PageWriter& writer, ManifestEdit& edit) {
  if (!manifest_edit_needs(root, input.log_start, false).first_leaf) return;
  ENSURE(input.first_leaf && input.first_leaf->entries.size() == root.leaves.front().entry_count,
         "the first leaf is needed: entries of it lie below {}", input.log_start.value());
  std::vector<ManifestEntry>& entries = input.first_leaf->entries;
  std::size_t count = 0;
  while (count < entries.size() && entries[count].end_offset <= input.log_start && count < edit_drops_max) {
    edit.dropped.push_back(entries[count++].object);
  }
  if (count == 0) return;
  const bool is_last = root.leaves.size() == 1 && input.last_leaf && !input.added.empty();
  entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
  if (is_last) {
    // The same leaf gets the added entries: it is written once, by append().
    input.last_leaf->entries = entries;
    if (entries.empty()) root.leaves.clear();
  } else if (entries.empty()) {
    root.leaves.erase(root.leaves.begin());
  } else {
    root.leaves.front() = writer.add_leaf(entries);
  }
  // Of the next leaf only the range is known.
  edit.drops_left = !entries.empty() ? entries.front().end_offset <= input.log_start
                                     : !root.leaves.empty() && root.leaves.front().base_offset < input.log_start;
}

// The last leaf, if it has room, and the added entries, as leaves of at most leaf_entries_max.
void append(ManifestRoot& root, ManifestEditInput& input, PageWriter& writer) {
  if (input.added.empty()) return;
  std::vector<ManifestEntry> pool;
  if (!root.leaves.empty() && !is_full(root.leaves.back())) {
    ENSURE(input.last_leaf && !input.last_leaf->entries.empty() &&
               input.last_leaf->entries.back().end_offset == root.leaves.back().end_offset,
           "the last leaf is needed: it has room for entries from {} on", root.covers_to.value());
    pool = std::move(input.last_leaf->entries);
    root.leaves.pop_back();
  }
  std::size_t pool_bytes = 0;
  for (const ManifestEntry& entry : pool) pool_bytes += size_of(entry);
  for (AddedObject& added : input.added) {
    const std::size_t bytes = size_of(added.entry);
    if (!pool.empty() && (pool.size() == leaf_entries_max || pool_bytes + bytes > leaf_bytes_max)) {
      root.leaves.push_back(writer.add_leaf(pool));
      pool.clear();
      pool_bytes = 0;
    }
    pool_bytes += bytes;
    root.covers_to = added.entry.end_offset;
    pool.push_back(std::move(added.entry));
  }
  root.leaves.push_back(writer.add_leaf(pool));
}

}  // namespace

ManifestEditNeeds manifest_edit_needs(const ManifestRoot& root, model::Offset log_start, bool adds) {
  if (root.leaves.empty()) return {};
  return {.first_leaf = root.leaves.front().base_offset < log_start, .last_leaf = adds && !is_full(root.leaves.back())};
}

base::Result<ManifestEdit> edit_manifest(ManifestEditInput input) {
  const std::uint64_t old_sequence = input.old_root == nullptr ? 0 : input.old_root->sequence;
  ENSURE(input.page.sequence > old_sequence, "an edit {} after {}", input.page.sequence, old_sequence);
  ENSURE(input.old_root != nullptr || !input.added.empty(), "a first manifest without objects");
  ManifestEdit edit;
  ManifestRoot root;
  if (input.old_root != nullptr) root = *input.old_root;
  PageWriter writer(input.identity, input.page);
  drop_first(root, input, writer, edit);
  WEIR_TRY(check_follows(input, root));
  merge_producers(root, input);
  merge_epochs(root, input);
  edit.drops_left = edit.drops_left || (!input.added.empty() && input.added.front().entry.end_offset <= input.log_start);
  append(root, input, writer);
  root.sequence = input.page.sequence;
  add_writer(root, old_sequence, input.page.session);
  if (root.leaves.size() > root_leaves_max) {
    return fail(ErrorKind::exhausted,
                fmt::format("a manifest of {} leaves; at most {} are possible", root.leaves.size(), root_leaves_max));
  }
  edit.place = writer.add_root(root);
  if (edit.place.size_bytes > root_bytes_max) {
    return fail(ErrorKind::exhausted,
                fmt::format("a manifest root of {} bytes; at most {} are possible", edit.place.size_bytes, root_bytes_max));
  }
  if (input.old_root != nullptr) {
    const std::set<ManifestName> now = pages_of(root, input.page);
    for (const ManifestName& page : pages_of(*input.old_root, input.old_place.page)) {
      if (!now.contains(page)) edit.dropped.push_back(page);
    }
  }
  edit.root = std::move(root);
  edit.body = writer.take_body();
  return edit;
}

}  // namespace weir::object
