#include "object/manifest.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "object/pieces.h"

namespace weir::object {
namespace {

using base::ErrorKind;
using base::fail;
using pieces::get_uuid;
using pieces::put_aborted;
using pieces::put_batches;
using pieces::put_count;
using pieces::put_uuid;

constexpr std::uint32_t leaf_magic = 0x41454C57U;                  // "WLEA"
constexpr std::uint32_t root_magic = 0x4F4F5257U;                  // "WROO"
constexpr std::uint64_t page_trailer_magic = 0x314E414D52494557U;  // "WEIRMAN1"
constexpr std::size_t crc_bytes = 4;
/// Magic, version, cluster, topic, partition, page object, position.
constexpr std::size_t page_head_bytes = 4 + 4 + 16 + 16 + 4 + 16 + 8;
constexpr std::size_t name_bytes = 8 + 16 + 8 + 16;
constexpr std::size_t entry_bytes = name_bytes + 8 + 8 + 4 + 4 + 8 + 8 + 8 + 8 + 8 + 4;
constexpr std::size_t leaf_ref_bytes = name_bytes + 8 + 4 + 4 + 8 + 8 + 4 + 8 + 8 + 8;
constexpr std::size_t epoch_bytes = 4 + 8;
constexpr std::size_t producer_bytes = 8 + 2 + 8 + 4 + 8 + 8 + 4;
constexpr std::size_t writer_bytes = 8 + 16;

bytes::Packer begin_page(std::uint32_t magic, const ManifestIdentity& identity, const model::ObjectId& page,
                         std::uint64_t position) {
  bytes::Packer out;
  out.put(magic);
  out.put(manifest_version);
  put_uuid(out, identity.cluster);
  put_uuid(out, identity.partition.topic);
  out.put(identity.partition.partition.value());
  put_uuid(out, page);
  out.put(position);
  return out;
}

std::vector<std::byte> finish_page(bytes::Packer out) {
  out.put(bytes::crc32c(out.view()));
  return std::move(out.data());
}

// The fields between head and CRC, checked.
base::Result<bytes::Unpacker> open_page(bytes::Bytes data, std::uint32_t magic, const PagePlace& place,
                                        const ManifestIdentity& expected) {
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorKind::corrupt,
                fmt::format("the manifest page of {}-{} in object {} at {}: {}", expected.partition.topic.to_string(),
                            expected.partition.partition.value(), place.page.id.to_string(), place.position, what));
  };
  if (data.size() != place.size_bytes || data.size() < page_head_bytes + crc_bytes) return corrupt("cut short");
  const bytes::Bytes covered = data.first(data.size() - crc_bytes);
  const auto stated = bytes::load_le<std::uint32_t>(data.data() + covered.size());
  if (bytes::crc32c(covered) != stated) return corrupt("the checksum does not match");
  if (stated != place.crc) return corrupt("it is not the page that was asked for");
  bytes::Unpacker in(covered);
  if (in.get<std::uint32_t>() != magic) return corrupt("this is no such page");
  const auto version = in.get<std::uint32_t>();
  if (version != manifest_version) {
    return fail(ErrorKind::invalid,
                fmt::format("a manifest page of format version {}, this binary reads {}", version, manifest_version));
  }
  ManifestIdentity found;
  found.cluster = get_uuid<model::ClusterId>(in);
  found.partition.topic = get_uuid<model::TopicId>(in);
  found.partition.partition = model::PartitionIndex(in.get<std::int32_t>());
  const auto page = get_uuid<model::ObjectId>(in);
  const auto position = in.get<std::uint64_t>();
  if (found != expected || page != place.page.id || position != place.position) {
    return corrupt("it belongs to another partition or place");
  }
  return in;
}

void put_name(bytes::Packer& out, const ManifestName& name) {
  out.put(name.incarnation);
  put_uuid(out, name.session);
  out.put(name.sequence);
  put_uuid(out, name.id);
}

ManifestName get_name(bytes::Unpacker& in) {
  ManifestName name;
  name.incarnation = in.get<std::uint64_t>();
  name.session = get_uuid<model::SessionId>(in);
  name.sequence = in.get<std::uint64_t>();
  name.id = get_uuid<model::ObjectId>(in);
  return name;
}

void put_entry(bytes::Packer& out, const ManifestEntry& entry) {
  put_name(out, entry.object);
  out.put(entry.size_bytes);
  out.put(entry.footer_position);
  out.put(entry.footer_bytes);
  out.put(entry.footer_crc);
  out.put(entry.base_offset.value());
  out.put(entry.end_offset.value());
  out.put(entry.payload_bytes);
  out.put(entry.max_timestamp);
  out.put(entry.created_ms);
  put_count(out, entry.aborted.size());
  put_aborted(out, entry.aborted);
}

bool get_entry(bytes::Unpacker& in, ManifestEntry& entry) {
  entry.object = get_name(in);
  entry.size_bytes = in.get<std::uint64_t>();
  entry.footer_position = in.get<std::uint64_t>();
  entry.footer_bytes = in.get<std::uint32_t>();
  entry.footer_crc = in.get<std::uint32_t>();
  entry.base_offset = model::Offset(in.get<std::int64_t>());
  entry.end_offset = model::Offset(in.get<std::int64_t>());
  entry.payload_bytes = in.get<std::uint64_t>();
  entry.max_timestamp = in.get<std::int64_t>();
  entry.created_ms = in.get<std::int64_t>();
  const auto count = in.get<std::uint32_t>();
  if (in.failed() || entry.base_offset.value() < 0 || entry.base_offset >= entry.end_offset) return false;
  if (entry.footer_bytes > entry.size_bytes || entry.footer_position > entry.size_bytes - entry.footer_bytes) return false;
  if (!pieces::get_aborted(in, count, entry.aborted)) return false;
  return std::ranges::is_sorted(entry.aborted, {}, &AbortedSpan::first) &&
         std::ranges::all_of(entry.aborted, [&](const AbortedSpan& span) {
           return span.first < entry.end_offset && span.last >= entry.base_offset;
         });
}

void put_producer(bytes::Packer& out, const ManifestProducer& producer) {
  out.put(producer.state.producer_id.value());
  out.put(producer.state.epoch.value());
  out.put(producer.state.open_transaction_start.value());
  out.put(producer.state.coordinator_epoch);
  out.put(producer.last_timestamp);
  out.put(producer.last_offset.value());
  put_batches(out, producer.state.batches);
}

bool get_producer(bytes::Unpacker& in, ManifestProducer& producer) {
  producer.state.producer_id = model::ProducerId(in.get<std::int64_t>());
  producer.state.epoch = model::ProducerEpoch(in.get<std::int16_t>());
  producer.state.open_transaction_start = model::Offset(in.get<std::int64_t>());
  producer.state.coordinator_epoch = in.get<std::int32_t>();
  producer.last_timestamp = in.get<std::int64_t>();
  producer.last_offset = model::Offset(in.get<std::int64_t>());
  if (!pieces::get_batches(in, producer.state.batches)) return false;
  return !in.failed();
}

LeafRef get_leaf_ref(bytes::Unpacker& in) {
  LeafRef ref;
  ref.page = get_name(in);
  ref.position = in.get<std::uint64_t>();
  ref.size_bytes = in.get<std::uint32_t>();
  ref.crc = in.get<std::uint32_t>();
  ref.base_offset = model::Offset(in.get<std::int64_t>());
  ref.end_offset = model::Offset(in.get<std::int64_t>());
  ref.entry_count = in.get<std::uint32_t>();
  ref.payload_bytes = in.get<std::uint64_t>();
  ref.max_timestamp = in.get<std::int64_t>();
  ref.oldest_max_timestamp = in.get<std::int64_t>();
  return ref;
}

bool get_leaves(bytes::Unpacker& in, ManifestRoot& root) {
  const auto count = in.get<std::uint32_t>();
  if (count > root_leaves_max || !in.can_hold(count, leaf_ref_bytes)) return false;
  root.leaves.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const LeafRef ref = get_leaf_ref(in);
    if (ref.base_offset.value() < 0 || ref.base_offset >= ref.end_offset || ref.entry_count == 0) return false;
    if (i > 0 && ref.base_offset != root.leaves.back().end_offset) return false;
    root.leaves.push_back(ref);
  }
  return root.leaves.empty() || root.leaves.back().end_offset == root.covers_to;
}

bool get_root(bytes::Unpacker& in, ManifestRoot& root) {
  root.sequence = in.get<std::uint64_t>();
  root.covers_to = model::Offset(in.get<std::int64_t>());
  if (in.failed() || root.sequence == 0 || root.covers_to.value() < 0) return false;
  const auto epochs = in.get<std::uint32_t>();
  if (!in.can_hold(epochs, epoch_bytes)) return false;
  for (std::uint32_t i = 0; i < epochs; ++i) {
    const model::LeaderEpoch epoch{in.get<std::int32_t>()};
    const model::Offset start{in.get<std::int64_t>()};
    if (i > 0 && (epoch <= root.epochs.back().epoch || start < root.epochs.back().start)) return false;
    if (start >= root.covers_to) return false;
    root.epochs.push_back({.epoch = epoch, .start = start});
  }
  const auto producers = in.get<std::uint32_t>();
  if (!in.can_hold(producers, producer_bytes)) return false;
  for (std::uint32_t i = 0; i < producers; ++i) {
    ManifestProducer producer;
    if (!get_producer(in, producer)) return false;
    if (i > 0 && producer.state.producer_id <= root.producers.back().state.producer_id) return false;
    root.producers.push_back(std::move(producer));
  }
  const auto writers = in.get<std::uint32_t>();
  if (!in.can_hold(writers, writer_bytes)) return false;
  for (std::uint32_t i = 0; i < writers; ++i) {
    ManifestWriter writer;
    writer.first_sequence = in.get<std::uint64_t>();
    writer.session = get_uuid<model::SessionId>(in);
    const std::uint64_t before = i == 0 ? 0 : root.writers.back().first_sequence;
    if (writer.first_sequence <= before || writer.first_sequence > root.sequence) return false;
    root.writers.push_back(writer);
  }
  return get_leaves(in, root) && in.done();
}

std::unexpected<base::Error> malformed(const PagePlace& place, const ManifestIdentity& identity, std::string_view what) {
  return fail(ErrorKind::corrupt,
              fmt::format("the manifest page of {}-{} in object {} at {}: {}", identity.partition.topic.to_string(),
                          identity.partition.partition.value(), place.page.id.to_string(), place.position, what));
}

}  // namespace

std::uint64_t ManifestRoot::payload_bytes() const {
  std::uint64_t total = 0;
  for (const LeafRef& leaf : leaves) total += leaf.payload_bytes;
  return total;
}

base::WallMs ManifestRoot::max_timestamp() const {
  base::WallMs highest = -1;
  for (const LeafRef& leaf : leaves) highest = std::max(highest, leaf.max_timestamp);
  return highest;
}

std::size_t find_leaf(const ManifestRoot& root, model::Offset offset) {
  const auto at = std::ranges::upper_bound(root.leaves, offset, {}, &LeafRef::end_offset);
  if (at == root.leaves.end() || at->base_offset > offset) return root.leaves.size();
  return static_cast<std::size_t>(at - root.leaves.begin());
}

std::size_t find_entry(const Leaf& leaf, model::Offset offset) {
  const auto at = std::ranges::upper_bound(leaf.entries, offset, {}, &ManifestEntry::end_offset);
  if (at == leaf.entries.end() || at->base_offset > offset) return leaf.entries.size();
  return static_cast<std::size_t>(at - leaf.entries.begin());
}

std::vector<std::byte> encode_leaf(const Leaf& leaf, const ManifestIdentity& identity, const model::ObjectId& page,
                                   std::uint64_t position) {
  bytes::Packer out = begin_page(leaf_magic, identity, page, position);
  put_count(out, leaf.entries.size());
  for (const ManifestEntry& entry : leaf.entries) put_entry(out, entry);
  return finish_page(std::move(out));
}

std::vector<std::byte> encode_root(const ManifestRoot& root, const ManifestIdentity& identity, const model::ObjectId& page,
                                   std::uint64_t position) {
  bytes::Packer out = begin_page(root_magic, identity, page, position);
  out.put(root.sequence);
  out.put(root.covers_to.value());
  put_count(out, root.epochs.size());
  for (const EpochStart& epoch : root.epochs) {
    out.put(epoch.epoch.value());
    out.put(epoch.start.value());
  }
  put_count(out, root.producers.size());
  for (const ManifestProducer& producer : root.producers) put_producer(out, producer);
  put_count(out, root.writers.size());
  for (const ManifestWriter& writer : root.writers) {
    out.put(writer.first_sequence);
    put_uuid(out, writer.session);
  }
  put_count(out, root.leaves.size());
  for (const LeafRef& ref : root.leaves) {
    put_name(out, ref.page);
    out.put(ref.position);
    out.put(ref.size_bytes);
    out.put(ref.crc);
    out.put(ref.base_offset.value());
    out.put(ref.end_offset.value());
    out.put(ref.entry_count);
    out.put(ref.payload_bytes);
    out.put(ref.max_timestamp);
    out.put(ref.oldest_max_timestamp);
  }
  return finish_page(std::move(out));
}

std::vector<std::byte> encode_page_trailer(const PagePlace& root) {
  bytes::Packer out;
  out.put(root.position);
  out.put(root.size_bytes);
  out.put(root.crc);
  out.put(manifest_version);
  out.put(bytes::crc32c(out.view()));
  out.put(page_trailer_magic);
  return std::move(out.data());
}

base::Result<PagePlace> parse_page_trailer(bytes::Bytes trailer, const ManifestName& page) {
  if (trailer.size() != page_trailer_bytes ||
      bytes::load_le<std::uint64_t>(trailer.data() + page_trailer_bytes - 8) != page_trailer_magic) {
    return fail(ErrorKind::not_found, "this is no page object of a manifest");
  }
  bytes::Unpacker in(trailer);
  PagePlace place{.page = page};
  place.position = in.get<std::uint64_t>();
  place.size_bytes = in.get<std::uint32_t>();
  place.crc = in.get<std::uint32_t>();
  const auto version = in.get<std::uint32_t>();
  const std::size_t covered = in.position();
  if (bytes::crc32c(trailer.first(covered)) != in.get<std::uint32_t>()) {
    return fail(ErrorKind::corrupt, "a page object's trailer does not match its checksum");
  }
  if (version != manifest_version) {
    return fail(ErrorKind::invalid,
                fmt::format("a manifest of format version {}, this binary reads {}", version, manifest_version));
  }
  return place;
}

base::Result<PageClaim> claim_of(bytes::Bytes page) {
  if (page.size() < page_head_bytes) return fail(ErrorKind::corrupt, "a manifest page is cut short");
  bytes::Unpacker in(page);
  (void)in.get<std::uint64_t>();  // magic and version
  PageClaim claim;
  claim.identity.cluster = get_uuid<model::ClusterId>(in);
  claim.identity.partition.topic = get_uuid<model::TopicId>(in);
  claim.identity.partition.partition = model::PartitionIndex(in.get<std::int32_t>());
  claim.page = get_uuid<model::ObjectId>(in);
  return claim;
}

base::Result<Leaf> parse_leaf(bytes::Bytes data, const LeafRef& ref, const ManifestIdentity& expected) {
  const PagePlace place{.page = ref.page, .position = ref.position, .size_bytes = ref.size_bytes, .crc = ref.crc};
  WEIR_TRY_ASSIGN(bytes::Unpacker in, open_page(data, leaf_magic, place, expected));
  const auto count = in.get<std::uint32_t>();
  if (count != ref.entry_count || !in.can_hold(count, entry_bytes))
    return malformed(place, expected, "a wrong number of entries");
  Leaf leaf;
  leaf.entries.reserve(count);
  std::uint64_t payload_bytes = 0;
  base::WallMs highest = -1;
  for (std::uint32_t i = 0; i < count; ++i) {
    ManifestEntry entry;
    if (!get_entry(in, entry)) return malformed(place, expected, fmt::format("entry {} is not well formed", i));
    const model::Offset follows = i == 0 ? ref.base_offset : leaf.entries.back().end_offset;
    if (entry.base_offset != follows) return malformed(place, expected, fmt::format("entry {} does not follow", i));
    payload_bytes += entry.payload_bytes;
    highest = std::max(highest, entry.max_timestamp);
    leaf.entries.push_back(std::move(entry));
  }
  if (!in.done() || leaf.entries.empty() || leaf.entries.back().end_offset != ref.end_offset ||
      payload_bytes != ref.payload_bytes || highest != ref.max_timestamp) {
    return malformed(place, expected, "its entries are not what its root states");
  }
  return leaf;
}

base::Result<ManifestRoot> parse_root(bytes::Bytes data, const PagePlace& place, const ManifestIdentity& expected) {
  WEIR_TRY_ASSIGN(bytes::Unpacker in, open_page(data, root_magic, place, expected));
  ManifestRoot root;
  if (!get_root(in, root)) return malformed(place, expected, "not a well-formed root");
  return root;
}

}  // namespace weir::object
