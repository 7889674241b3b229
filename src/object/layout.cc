#include "object/layout.h"

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "object/pieces.h"

namespace weir::object::layout {
namespace {

using pieces::put_aborted;
using pieces::put_batches;
using pieces::put_count;
using pieces::put_uuid;

void seal_with_crc(bytes::Packer& out) { out.put(bytes::crc32c(out.view())); }

void put_producer(bytes::Packer& out, const ProducerDelta& producer) {
  out.put(producer.producer_id.value());
  out.put(producer.epoch.value());
  out.put(producer.open_transaction_start.value());
  out.put(producer.coordinator_epoch);
  put_batches(out, producer.batches);
}

void put_entry(bytes::Packer& out, const PartitionEntry& entry) {
  put_uuid(out, entry.partition.topic);
  out.put(entry.partition.partition.value());
  out.put(entry.base_offset.value());
  out.put(entry.end_offset.value());
  out.put(entry.payload_bytes);
  out.put(entry.max_timestamp);
  out.put(entry.last_stable_offset.value());
  out.put(entry.first_unstable_offset.value());
  put_count(out, entry.epochs.size());
  put_count(out, entry.aborted.size());
  put_count(out, entry.producers.size());
  put_count(out, entry.time_index.size());
  put_count(out, entry.blocks.size());
  for (const EpochStart& epoch : entry.epochs) {
    out.put(epoch.epoch.value());
    out.put(epoch.start.value());
  }
  put_aborted(out, entry.aborted);
  for (const ProducerDelta& producer : entry.producers) put_producer(out, producer);
  for (const TimeIndexEntry& point : entry.time_index) {
    out.put(point.timestamp);
    out.put(point.offset.value());
  }
  for (const BlockRef& block : entry.blocks) {
    out.put(block.position);
    out.put(block.payload_bytes);
    out.put(block.payload_crc);
    out.put(block.base_offset.value());
    out.put(block.end_offset.value());
    out.put(block.max_timestamp);
  }
}

}  // namespace

std::vector<std::byte> encode_object_header(const Identity& identity, const model::SessionId& session,
                                            model::CommitNumber commit) {
  // The session's id does not fit beside the others in 64 bytes and stands in the footer; its CRC ties the two together.
  bytes::Packer out;
  out.put(object_magic);
  out.put(format_version);
  put_uuid(out, identity.cluster);
  put_uuid(out, identity.object);
  out.put(commit.value());
  bytes::Packer session_bytes;
  put_uuid(session_bytes, session);
  out.put(bytes::crc32c(session_bytes.view()));
  while (out.size() < object_header_bytes - sizeof(std::uint32_t)) out.put(std::uint8_t{0});
  seal_with_crc(out);
  ENSURE(out.size() == object_header_bytes, "an object header of {} bytes", out.size());
  return std::move(out.data());
}

std::vector<std::byte> encode_block_header(const Identity& identity, const model::TopicPartition& partition,
                                           const BlockRef& ref) {
  bytes::Packer out;
  out.put(block_magic);
  out.put(format_version);
  put_uuid(out, identity.cluster);
  put_uuid(out, identity.object);
  out.put(ref.position);
  put_uuid(out, partition.topic);
  out.put(partition.partition.value());
  out.put(ref.payload_bytes);
  out.put(ref.base_offset.value());
  out.put(ref.end_offset.value());
  out.put(ref.payload_crc);
  seal_with_crc(out);
  ENSURE(out.size() == block_header_bytes, "a block header of {} bytes", out.size());
  return std::move(out.data());
}

std::vector<std::byte> encode_footer(const Footer& footer, std::uint64_t footer_position) {
  bytes::Packer out;
  out.put(footer_magic);
  out.put(format_version);
  put_uuid(out, footer.identity.cluster);
  put_uuid(out, footer.identity.object);
  put_uuid(out, footer.session);
  out.put(footer.commit.value());
  out.put(footer_position);
  put_count(out, footer.entries.size());
  for (const PartitionEntry& entry : footer.entries) put_entry(out, entry);
  seal_with_crc(out);
  return std::move(out.data());
}

std::vector<std::byte> encode_trailer(const FooterPlace& place) {
  bytes::Packer out;
  out.put(place.position);
  out.put(place.size_bytes);
  out.put(place.crc);
  out.put(format_version);
  seal_with_crc(out);
  out.put(trailer_magic);
  ENSURE(out.size() == footer_trailer_bytes, "a trailer of {} bytes", out.size());
  return std::move(out.data());
}

}  // namespace weir::object::layout
