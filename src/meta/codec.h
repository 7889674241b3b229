// meta/codec.h: values of the keyspace: a version byte, little-endian fields, and a CRC32C over the key and all before it.
// Why:        the CRC covers the key, so a value that stands under another key than it was written for is not believed.
// Contract:   pure; docs/formats/keyspace-v1.md has the layout, testdata/ golden values that are never rewritten.
//             decode: corrupt = too short, bad CRC, impossible field; invalid = a newer version, named by number.
// Limits:     counts are checked against the bytes that are there before anything is allocated.
// Tests:      codec_test.cc, meta_codec_fuzz.cc
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/meta.h"

namespace weir::meta {

inline constexpr std::uint8_t value_version = 1;

/// com/S: the newest commit of a session and whose it was.
struct CommitRecord {
  model::CommitNumber commit;
  model::ObjectId object;
};
/// del/T: a topic whose key is gone and whose partitions' keys are being erased.
struct DeletionRecord {
  std::string name;
  std::int32_t partition_count = 0;
};

// Each encode takes the key that the value will stand under (keys.h); ids that the key holds are not repeated in the value.
[[nodiscard]] std::string encode(std::string_view key, const ClusterRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const TopicRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const SessionRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const OwnRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const CommitRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const ObjectRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const ManifestRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const GarbageRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const DeletionRecord& record);
[[nodiscard]] std::string encode(std::string_view key, const ConfigRecord& record);
[[nodiscard]] std::string encode_segments(std::string_view key, std::uint32_t segment_count);
[[nodiscard]] std::string encode_log_start(std::string_view key, model::Offset start);
[[nodiscard]] std::string encode_producer_ids(std::string_view key, model::ProducerId next);

// Each decode also reads the ids out of the key and takes the revision over.
[[nodiscard]] base::Result<ClusterRecord> decode_cluster(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<TopicRecord> decode_topic(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<SessionRecord> decode_session(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<OwnRecord> decode_own(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<CommitRecord> decode_commit(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<ObjectRecord> decode_object(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<ManifestRecord> decode_manifest(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<GarbageRecord> decode_garbage(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<DeletionRecord> decode_deletion(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<ConfigRecord> decode_config(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<std::uint32_t> decode_segments(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<model::Offset> decode_log_start(const keyspace::KeyValue& entry);
[[nodiscard]] base::Result<model::ProducerId> decode_producer_ids(const keyspace::KeyValue& entry);

}  // namespace weir::meta
