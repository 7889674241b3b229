// object/parse.cc: the reading half of format.h. Every byte is checked against a CRC before it is believed, every count against
// the bytes that are left before anything is allocated, and every structure against its own invariants afterwards.
#include <algorithm>

#include <fmt/format.h>

#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "object/layout.h"
#include "object/pieces.h"

namespace weir::object {
namespace {

using base::ErrorKind;
using base::fail;

using pieces::get_uuid;

// What an entry's lists hold, before they are read.
struct Counts {
  std::uint32_t epochs = 0;
  std::uint32_t aborted = 0;
  std::uint32_t producers = 0;
  std::uint32_t time_index = 0;
  std::uint32_t blocks = 0;
};

bool get_epochs(bytes::Unpacker& in, std::uint32_t count, PartitionEntry& entry) {
  if (!in.can_hold(count, layout::epoch_bytes)) return false;
  entry.epochs.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const model::LeaderEpoch epoch{in.get<std::int32_t>()};
    const model::Offset start{in.get<std::int64_t>()};
    if (i > 0 && (epoch <= entry.epochs.back().epoch || start < entry.epochs.back().start)) return false;
    if (start >= entry.end_offset) return false;
    entry.epochs.push_back({.epoch = epoch, .start = start});
  }
  return true;
}

bool get_aborted(bytes::Unpacker& in, std::uint32_t count, PartitionEntry& entry) {
  if (!pieces::get_aborted(in, count, entry.aborted)) return false;
  return std::ranges::all_of(entry.aborted, [&](const AbortedSpan& span) { return span.last < entry.end_offset; });
}

bool get_producers(bytes::Unpacker& in, std::uint32_t count, PartitionEntry& entry) {
  if (!in.can_hold(count, layout::producer_head_bytes)) return false;
  entry.producers.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    ProducerDelta producer;
    producer.producer_id = model::ProducerId(in.get<std::int64_t>());
    producer.epoch = model::ProducerEpoch(in.get<std::int16_t>());
    producer.open_transaction_start = model::Offset(in.get<std::int64_t>());
    producer.coordinator_epoch = in.get<std::int32_t>();
    if (!pieces::get_batches(in, producer.batches)) return false;
    entry.producers.push_back(std::move(producer));
  }
  return true;
}

bool get_time_index(bytes::Unpacker& in, std::uint32_t count, PartitionEntry& entry) {
  if (!in.can_hold(count, layout::time_index_bytes)) return false;
  entry.time_index.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    TimeIndexEntry point;
    point.timestamp = in.get<std::int64_t>();
    point.offset = model::Offset(in.get<std::int64_t>());
    if (point.offset < entry.base_offset || point.offset >= entry.end_offset) return false;
    if (i > 0 && (point.timestamp <= entry.time_index.back().timestamp || point.offset <= entry.time_index.back().offset))
      return false;
    entry.time_index.push_back(point);
  }
  return true;
}

bool get_blocks(bytes::Unpacker& in, std::uint32_t count, std::uint64_t footer_position, PartitionEntry& entry) {
  if (!in.can_hold(count, layout::block_ref_bytes)) return false;
  entry.blocks.reserve(count);
  std::uint64_t payload_bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    BlockRef ref;
    ref.position = in.get<std::uint64_t>();
    ref.payload_bytes = in.get<std::uint32_t>();
    ref.payload_crc = in.get<std::uint32_t>();
    ref.base_offset = model::Offset(in.get<std::int64_t>());
    ref.end_offset = model::Offset(in.get<std::int64_t>());
    ref.max_timestamp = in.get<std::int64_t>();
    // All sums stay below 2^64: the position is below the footer's, which is below 2^63 (parse_footer).
    const std::uint64_t lowest =
        i == 0 ? object_header_bytes : entry.blocks.back().position + block_header_bytes + entry.blocks.back().payload_bytes;
    if (ref.position < lowest || ref.position >= footer_position) return false;
    if (ref.payload_bytes == 0 || ref.position + block_header_bytes + ref.payload_bytes > footer_position) return false;
    const model::Offset lowest_offset = i == 0 ? entry.base_offset : entry.blocks.back().end_offset;
    if (ref.base_offset < lowest_offset || ref.base_offset >= ref.end_offset || ref.end_offset > entry.end_offset) return false;
    payload_bytes += ref.payload_bytes;
    entry.blocks.push_back(ref);
  }
  return payload_bytes == entry.payload_bytes;
}

bool get_entry(bytes::Unpacker& in, std::uint64_t footer_position, PartitionEntry& entry) {
  entry.partition.topic = get_uuid<model::TopicId>(in);
  entry.partition.partition = model::PartitionIndex(in.get<std::int32_t>());
  entry.base_offset = model::Offset(in.get<std::int64_t>());
  entry.end_offset = model::Offset(in.get<std::int64_t>());
  entry.payload_bytes = in.get<std::uint64_t>();
  entry.max_timestamp = in.get<std::int64_t>();
  entry.last_stable_offset = model::Offset(in.get<std::int64_t>());
  entry.first_unstable_offset = model::Offset(in.get<std::int64_t>());
  Counts counts;
  counts.epochs = in.get<std::uint32_t>();
  counts.aborted = in.get<std::uint32_t>();
  counts.producers = in.get<std::uint32_t>();
  counts.time_index = in.get<std::uint32_t>();
  counts.blocks = in.get<std::uint32_t>();
  if (in.failed() || entry.partition.partition.value() < 0) return false;
  if (entry.base_offset.value() < 0 || entry.base_offset >= entry.end_offset) return false;
  return get_epochs(in, counts.epochs, entry) && get_aborted(in, counts.aborted, entry) &&
         get_producers(in, counts.producers, entry) && get_time_index(in, counts.time_index, entry) &&
         get_blocks(in, counts.blocks, footer_position, entry) && !in.failed();
}

std::string place_of(const Identity& identity, std::uint64_t position) {
  return fmt::format("object {} at {}", identity.object.to_string(), position);
}

}  // namespace

base::Result<Footer> parse_footer(bytes::Bytes data, std::uint64_t footer_position, const Identity& expected) {
  const std::string place = "the footer of " + place_of(expected, footer_position);
  if (data.size() < layout::footer_head_bytes + layout::footer_crc_bytes || footer_position >= UINT64_MAX / 2) {
    return fail(ErrorKind::corrupt, fmt::format("{}: {} bytes are too few", place, data.size()));
  }
  const bytes::Bytes covered = data.first(data.size() - layout::footer_crc_bytes);
  if (bytes::crc32c(covered) != bytes::load_le<std::uint32_t>(data.data() + covered.size())) {
    return fail(ErrorKind::corrupt, place + ": the checksum does not match");
  }
  bytes::Unpacker in(covered);
  if (in.get<std::uint32_t>() != layout::footer_magic) return fail(ErrorKind::corrupt, place + ": this is no footer");
  const auto version = in.get<std::uint32_t>();
  if (version != format_version) {
    return fail(ErrorKind::invalid, fmt::format("{}: format version {}, this binary reads {}", place, version, format_version));
  }
  Footer footer;
  footer.identity.cluster = get_uuid<model::ClusterId>(in);
  footer.identity.object = get_uuid<model::ObjectId>(in);
  footer.session = get_uuid<model::SessionId>(in);
  footer.commit = model::CommitNumber(in.get<std::uint64_t>());
  if (footer.identity != expected || in.get<std::uint64_t>() != footer_position) {
    return fail(ErrorKind::corrupt, fmt::format("{}: it belongs to object {} of cluster {}", place,
                                                footer.identity.object.to_string(), footer.identity.cluster.to_string()));
  }
  const auto count = in.get<std::uint32_t>();
  if (!in.can_hold(count, layout::entry_head_bytes))
    return fail(ErrorKind::corrupt, place + ": the entry count exceeds the bytes");
  footer.entries.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    PartitionEntry entry;
    if (!get_entry(in, footer_position, entry))
      return fail(ErrorKind::corrupt, fmt::format("{}: entry {} is not well formed", place, i));
    if (i > 0 && entry.partition <= footer.entries.back().partition) {
      return fail(ErrorKind::corrupt, fmt::format("{}: entry {} is out of order", place, i));
    }
    footer.entries.push_back(std::move(entry));
  }
  if (!in.done()) return fail(ErrorKind::corrupt, place + ": bytes are left over");
  return footer;
}

base::Result<void> verify_object_header(bytes::Bytes header, const Footer& footer) {
  const std::vector<std::byte> expected = layout::encode_object_header(footer.identity, footer.session, footer.commit);
  if (std::ranges::equal(header, expected)) return {};
  return fail(ErrorKind::corrupt, "the object's header is damaged, or another object's");
}

base::Result<FooterPlace> parse_trailer(bytes::Bytes trailer) {
  if (trailer.size() != footer_trailer_bytes)
    return fail(ErrorKind::corrupt, fmt::format("an object trailer of {} bytes", trailer.size()));
  bytes::Unpacker in(trailer);
  FooterPlace place;
  place.position = in.get<std::uint64_t>();
  place.size_bytes = in.get<std::uint32_t>();
  place.crc = in.get<std::uint32_t>();
  const auto version = in.get<std::uint32_t>();
  const std::size_t covered = in.position();
  const auto crc = in.get<std::uint32_t>();
  if (in.get<std::uint64_t>() != layout::trailer_magic || bytes::crc32c(trailer.first(covered)) != crc) {
    return fail(ErrorKind::corrupt, "the object's trailer does not match its checksum: cut short, or not an object of weir");
  }
  if (version != format_version) {
    return fail(ErrorKind::invalid, fmt::format("object format version {}, this binary reads {}", version, format_version));
  }
  return place;
}

base::Result<bytes::Bytes> verify_block(bytes::Bytes block, const Identity& expected, const model::TopicPartition& partition,
                                        const BlockRef& ref) {
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorKind::corrupt, fmt::format("the block of {}: {}", place_of(expected, ref.position), what));
  };
  if (block.size() != block_header_bytes + ref.payload_bytes) return corrupt("cut short");
  // The header as it must be: its CRC and every field of identity and place follow from what the footer said.
  const std::vector<std::byte> header = layout::encode_block_header(expected, partition, ref);
  if (std::memcmp(header.data(), block.data(), block_header_bytes) != 0)
    return corrupt("the header is not the one that the footer names");
  const bytes::Bytes payload = block.subspan(block_header_bytes);
  if (bytes::crc32c(payload) != ref.payload_crc) return corrupt("the payload does not match its checksum");
  return payload;
}

}  // namespace weir::object
