// object/builder.cc: the writing half of format.h. No payload byte is read again when its batch is large: block and body CRCs
// are combined from the CRCs that the WAL records carry.
#include <algorithm>
#include <cstring>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "object/layout.h"

namespace weir::object {
namespace {

// Combining costs about a microsecond whatever the length; reading costs about 0.1 us per KiB.
constexpr std::size_t combine_bytes_min = 16U << 10U;
// Runs of smaller batches that do not adjoin in memory are copied together: a piece costs 32 bytes here, an iovec and a
// reference later, which for a 100-byte batch is more than the copy.
constexpr std::size_t copy_bytes_max = 2U << 10U;
// Of one piece at a time: those that adjoin in memory may be a whole block.
constexpr std::size_t copy_step_bytes = 32U << 10U;
// The time index gets a point at most this often while the running maximum rises.
constexpr std::uint64_t time_index_interval_bytes = 64U << 10U;

bytes::Buffer to_buffer(const std::vector<std::byte>& data) { return bytes::Buffer::copy_of(bytes::Bytes(data)); }

std::uint32_t extend_crc(std::uint32_t crc, const InputBatch& batch) {
  if (batch.payload.size() >= combine_bytes_min) return bytes::crc32c_combine(crc, batch.payload_crc, batch.payload.size());
  return bytes::crc32c(batch.payload.view(), crc);
}

// The end of the block that begins at `from`: as many batches as fit into block_payload_bytes_max, one at least.
std::size_t block_end(const std::vector<InputBatch>& batches, std::size_t from) {
  std::size_t payload_bytes = batches[from].payload.size();
  std::size_t to = from + 1;
  while (to < batches.size() && payload_bytes + batches[to].payload.size() <= block_payload_bytes_max) {
    payload_bytes += batches[to].payload.size();
    ++to;
  }
  return to;
}

std::vector<TimeIndexEntry> make_time_index(const std::vector<InputBatch>& batches) {
  std::vector<TimeIndexEntry> index;
  base::WallMs highest = -1;
  model::Offset reached;  // where the running maximum reached `highest`
  std::uint64_t since_bytes = 0;
  for (const InputBatch& batch : batches) {
    if (batch.max_timestamp > highest) {
      highest = batch.max_timestamp;
      reached = batch.base_offset;
      if (index.empty() || since_bytes >= time_index_interval_bytes) {
        index.push_back({.timestamp = highest, .offset = reached});
        since_bytes = 0;
      }
    }
    since_bytes += batch.payload.size();
  }
  // The last point states the entry's maximum, so that a search beyond it needs no block.
  if (!index.empty() && index.back().timestamp != highest) index.push_back({.timestamp = highest, .offset = reached});
  return index;
}

}  // namespace

Builder::Builder(Identity identity, model::SessionId session, model::CommitNumber commit) {
  footer_.identity = identity;
  footer_.session = session;
  footer_.commit = commit;
  bytes::Buffer header = to_buffer(layout::encode_object_header(identity, session, commit));
  const std::uint32_t crc = bytes::crc32c(header.view());
  append(std::move(header), crc);
}

void Builder::append(bytes::Buffer piece, std::uint32_t piece_crc) {
  crc_ = bytes::crc32c_combine(crc_, piece_crc, piece.size());
  position_ += piece.size();
  body_.push_back(std::move(piece));
}

void Builder::add_partition(PartitionEntry entry, std::vector<InputBatch> batches) {
  begin_partition(std::move(entry), std::move(batches));
  while (!add_blocks(UINT64_MAX)) {}
}

void Builder::begin_partition(PartitionEntry entry, std::vector<InputBatch> batches) {
  entry.time_index = make_time_index(batches);
  begin_blocks(std::move(entry), std::move(batches));
}

void Builder::begin_blocks(PartitionEntry entry, std::vector<InputBatch> batches) {
  ENSURE(batches_.empty(), "a partition is begun before the last one is whole");
  ENSURE(footer_.entries.empty() || footer_.entries.back().partition < entry.partition, "partitions must be added in order");
  ENSURE(!batches.empty() && batches.front().base_offset >= entry.base_offset && batches.back().end_offset == entry.end_offset,
         "batches [{}, {}) of an entry [{}, {})", batches.empty() ? -1 : batches.front().base_offset.value(),
         batches.empty() ? -1 : batches.back().end_offset.value(), entry.base_offset.value(), entry.end_offset.value());
  entry_ = std::move(entry);
  batches_ = std::move(batches);
  next_batch_ = 0;
  entry_.blocks.clear();
  entry_.payload_bytes = 0;
  entry_.max_timestamp = -1;
}

bool Builder::add_blocks(std::uint64_t bytes_max) {
  ENSURE(!batches_.empty(), "blocks without a partition");
  const std::uint64_t end = worked_bytes_ + std::min(bytes_max, UINT64_MAX - worked_bytes_);
  while (worked_bytes_ < end) {
    if (!block_ && next_batch_ == batches_.size()) {
      footer_.entries.push_back(std::move(entry_));
      entry_ = {};
      batches_.clear();
      return true;
    }
    if (!block_) begin_block();
    if (next_batch_ < block_->end_batch) {
      take_batch();
      if (next_batch_ == block_->end_batch) end_batches();
    } else {
      place_piece();
    }
  }
  return false;
}

void Builder::begin_block() {
  Block block;
  block.end_batch = block_end(batches_, next_batch_);
  block.ref = {.position = position_,
               .base_offset = batches_[next_batch_].base_offset,
               .end_offset = batches_[block.end_batch - 1].end_offset};
  block_ = std::move(block);
}

void Builder::take_batch() {
  InputBatch& batch = batches_[next_batch_];
  ENSURE(next_batch_ == 0 || batch.base_offset >= batches_[next_batch_ - 1].end_offset, "batches of a partition must ascend");
  ENSURE(batch.base_offset < batch.end_offset && !batch.payload.empty(), "an empty batch");
  ENSURE(batch.payload.size() <= UINT32_MAX - block_header_bytes - block_->ref.payload_bytes, "a block of more than 4 GiB");
  BlockRef& ref = block_->ref;
  ref.payload_crc = extend_crc(ref.payload_crc, batch);
  ref.payload_bytes += static_cast<std::uint32_t>(batch.payload.size());
  ref.max_timestamp = std::max(ref.max_timestamp, batch.max_timestamp);
  worked_bytes_ += batch.payload.size();
  bytes::BufferList& pieces = block_->pieces;
  if (pieces.empty() || !pieces.back().try_extend(batch.payload)) pieces.push_back(batch.payload);
  batch.payload = bytes::Buffer();
  ++next_batch_;
}

// The header states the whole payload, so it is written once all batches are known, before their pieces.
void Builder::end_batches() {
  const BlockRef& ref = block_->ref;
  bytes::Buffer header = to_buffer(layout::encode_block_header(footer_.identity, entry_.partition, ref));
  const std::uint32_t header_crc = bytes::crc32c(header.view());
  append(std::move(header), header_crc);
  crc_ = bytes::crc32c_combine(crc_, ref.payload_crc, ref.payload_bytes);
  position_ += ref.payload_bytes;
  payload_bytes_ += ref.payload_bytes;
  entry_.payload_bytes += ref.payload_bytes;
  entry_.max_timestamp = std::max(entry_.max_timestamp, ref.max_timestamp);
  entry_.blocks.push_back(ref);
}

// One piece goes to the body as it is, or as part of a run of small ones into a copy of them all. With the last the block ends.
void Builder::place_piece() {
  Block& block = *block_;
  const std::size_t copy_max_bytes = copy_payloads_ ? SIZE_MAX : copy_bytes_max;
  if (block.next_piece == block.end_of_run) {
    std::size_t to = block.next_piece;
    std::size_t run_bytes = 0;
    while (to < block.pieces.size() && block.pieces[to].size() <= copy_max_bytes) run_bytes += block.pieces[to++].size();
    const bool worth_it = to - block.next_piece > 1 || (to > block.next_piece && copy_payloads_);
    if (worth_it) {
      block.end_of_run = to;
      block.slab = bytes::SlabRef::allocate(run_bytes);
      block.slab_filled = 0;
    }
  }
  bytes::Buffer& piece = block.pieces[block.next_piece];
  if (block.next_piece == block.end_of_run) {
    body_.push_back(std::move(piece));
    block.end_of_run = ++block.next_piece;
  } else {
    const std::size_t part = std::min(piece.size() - block.piece_copied, copy_step_bytes);
    std::memcpy(block.slab.writable().data() + block.slab_filled, piece.data() + block.piece_copied, part);
    block.slab_filled += part;
    block.piece_copied += part;
    worked_bytes_ += part;
    if (block.piece_copied < piece.size()) return;
    block.piece_copied = 0;
    piece = bytes::Buffer();
    if (++block.next_piece == block.end_of_run) body_.emplace_back(std::move(block.slab), 0, block.slab_filled);
  }
  if (block.next_piece == block.pieces.size()) block_.reset();
}

Builder::Finished Builder::finish() && {
  ENSURE(batches_.empty(), "the last partition is not whole");
  Finished done;
  done.footer_position = position_;
  bytes::Buffer footer = to_buffer(layout::encode_footer(footer_, position_));
  ENSURE(footer.size() <= UINT32_MAX, "a footer of {} bytes", footer.size());
  done.footer_bytes = static_cast<std::uint32_t>(footer.size());
  // The footer's own CRC is its last four bytes; with those appended, the CRC of the whole follows by combination.
  const std::size_t covered = footer.size() - layout::footer_crc_bytes;
  done.footer_crc = bytes::load_le<std::uint32_t>(footer.data() + covered);
  const std::uint32_t footer_whole_crc = bytes::crc32c(footer.view().subspan(covered), done.footer_crc);
  append(std::move(footer), footer_whole_crc);
  bytes::Buffer trailer = to_buffer(
      layout::encode_trailer({.position = done.footer_position, .size_bytes = done.footer_bytes, .crc = done.footer_crc}));
  const std::uint32_t trailer_crc = bytes::crc32c(trailer.view());
  append(std::move(trailer), trailer_crc);
  done.body = std::move(body_);
  done.size_bytes = position_;
  done.crc32c = crc_;
  done.footer = std::move(footer_);
  return done;
}

}  // namespace weir::object
