// object/manifest.h: a partition's manifest, version 1: which objects hold its history, as immutable leaf pages under one root.
// Why:        the keyspace holds O(partitions + recent objects); everything older is found through one small key per partition, a
//             root that is in memory, and one range GET of a leaf (docs/manifests.md, docs/formats/manifest-v1.md).
// Contract:   pure: bytes in, bytes out. A page object is one PUT: the leaves that an edit made, the root, a trailer for tools. Every object that a
//             manifest names belongs to its partition alone: what an edit drops may go.
// Invariants: entries tile [first base, covers_to) without gaps or overlaps; leaves ascend; a leaf's reference states what its
//             entries add up to, and both are compared when a leaf is read. CRCs cover cluster, partition, page object and position.
// Failure:    corrupt with the place, never a crash or an allocation beyond the input.
// Limits:     leaf_entries_max, leaf_bytes_max, root_leaves_max: about 16 million objects per partition; the edit past it is
//             refused (exhausted) and the objects stay recent.
// Tests:      object/manifest_test.cc (golden file, every byte flipped), object/manifest_fuzz.cc, object/manifest_edit_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "object/format.h"
#include "object/object_key.h"

namespace weir::object {

inline constexpr std::uint32_t manifest_version = 1;
inline constexpr std::size_t page_trailer_bytes = 32;  ///< at the very end of a page object
inline constexpr std::size_t leaf_entries_max = 1000;
inline constexpr std::size_t leaf_bytes_max = 1U << 20U;  ///< one entry with more aborted spans than that has a leaf of its own
inline constexpr std::size_t root_leaves_max = 16384;
inline constexpr std::size_t root_bytes_max = 64U << 20U;

/// Whose manifest it is: a part of every checksum in it.
struct ManifestIdentity {
  model::ClusterId cluster;
  model::TopicPartition partition;
  bool operator==(const ManifestIdentity&) const = default;
};

/// An object or page as manifests name it; with the identity it gives the whole ObjectKey.
struct ManifestName {
  std::uint64_t incarnation = 0;
  model::SessionId session;
  std::uint64_t sequence = 0;  ///< of the edit that it was written for
  model::ObjectId id;
  auto operator<=>(const ManifestName&) const = default;
  [[nodiscard]] ObjectKey key(const ManifestIdentity& identity) const {
    return {.cluster = identity.cluster,
            .incarnation = incarnation,
            .session = session,
            .commit = model::CommitNumber(sequence),
            .id = id,
            .manifest_of = identity.partition};
  }
};

/// One object of the partition.
struct ManifestEntry {
  ManifestName object;
  std::uint64_t size_bytes = 0;
  std::uint64_t footer_position = 0;
  std::uint32_t footer_bytes = 0;
  std::uint32_t footer_crc = 0;
  model::Offset base_offset;
  model::Offset end_offset;
  std::uint64_t payload_bytes = 0;
  base::WallMs max_timestamp = -1;
  base::WallMs created_ms = 0;
  std::vector<AbortedSpan> aborted;  ///< every one that touches the range, by first offset; its marker may lie behind it
  bool operator==(const ManifestEntry&) const = default;
};

struct Leaf {
  std::vector<ManifestEntry> entries;
  bool operator==(const Leaf&) const = default;
};

/// Where a leaf lies and what it holds.
struct LeafRef {
  ManifestName page;
  std::uint64_t position = 0;
  std::uint32_t size_bytes = 0;
  std::uint32_t crc = 0;  ///< the leaf's last four bytes
  model::Offset base_offset;
  model::Offset end_offset;
  std::uint32_t entry_count = 0;
  std::uint64_t payload_bytes = 0;
  base::WallMs max_timestamp = -1;  ///< of all entries
  base::WallMs oldest_max_timestamp =
      0;  ///< the lowest max_timestamp of an entry: before it retention by time has nothing to do
  bool operator==(const LeafRef&) const = default;
};

/// A producer's state at covers_to.
struct ManifestProducer {
  ProducerDelta state;
  base::WallMs last_timestamp = -1;
  model::Offset last_offset{-1};
  bool operator==(const ManifestProducer&) const = default;
};

/// Which session wrote the edits from a sequence on; none (zero): they failed, and what was put for them is garbage.
struct ManifestWriter {
  std::uint64_t first_sequence = 0;
  model::SessionId session;
  bool operator==(const ManifestWriter&) const = default;
};

struct ManifestRoot {
  std::uint64_t sequence = 0;               ///< of the edit, from 1
  model::Offset covers_to;                  ///< the entries' end; recent objects below it do not count
  std::vector<EpochStart> epochs;           ///< those that hold offsets below covers_to
  std::vector<ManifestProducer> producers;  ///< by id, all of them
  std::vector<ManifestWriter> writers;      ///< ascending
  std::vector<LeafRef> leaves;
  bool operator==(const ManifestRoot&) const = default;
  [[nodiscard]] std::uint64_t payload_bytes() const;
  [[nodiscard]] base::WallMs max_timestamp() const;
  /// First offset that an entry holds; covers_to when there is none.
  [[nodiscard]] model::Offset base_offset() const { return leaves.empty() ? covers_to : leaves.front().base_offset; }
};

/// Where a page of a page object lies.
struct PagePlace {
  ManifestName page;
  std::uint64_t position = 0;
  std::uint32_t size_bytes = 0;
  std::uint32_t crc = 0;
  bool operator==(const PagePlace&) const = default;
};

/// Index of the leaf that holds the offset, or leaves.size().
[[nodiscard]] std::size_t find_leaf(const ManifestRoot& root, model::Offset offset);
/// Index of the entry that holds the offset, or entries.size().
[[nodiscard]] std::size_t find_entry(const Leaf& leaf, model::Offset offset);

[[nodiscard]] std::vector<std::byte> encode_leaf(const Leaf& leaf, const ManifestIdentity& identity,
                                                 const model::ObjectId& page, std::uint64_t position);
[[nodiscard]] std::vector<std::byte> encode_root(const ManifestRoot& root, const ManifestIdentity& identity,
                                                 const model::ObjectId& page, std::uint64_t position);
/// Where the root lies in its page object; readers know it from the keyspace, tools do not.
[[nodiscard]] std::vector<std::byte> encode_page_trailer(const PagePlace& root);
/// From the last page_trailer_bytes. not_found: this is no page object.
[[nodiscard]] base::Result<PagePlace> parse_page_trailer(bytes::Bytes trailer, const ManifestName& page);
/// What a page says of itself, unchecked: for a tool that was given nothing but a file.
struct PageClaim {
  ManifestIdentity identity;
  model::ObjectId page;
};
[[nodiscard]] base::Result<PageClaim> claim_of(bytes::Bytes page);
/// `data` is the range that `ref` names. Everything that the reference states is compared.
[[nodiscard]] base::Result<Leaf> parse_leaf(bytes::Bytes data, const LeafRef& ref, const ManifestIdentity& expected);
[[nodiscard]] base::Result<ManifestRoot> parse_root(bytes::Bytes data, const PagePlace& place,
                                                    const ManifestIdentity& expected);

}  // namespace weir::object
