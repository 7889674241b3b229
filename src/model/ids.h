// model/ids.h: Kafka's ids and weir's own as distinct types.
// Contract:   pure values; Kafka's words for Kafka's things, weir's are in docs/glossary.md.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/strong.h"

namespace weir::model {

using Offset = base::Strong<std::int64_t, struct OffsetTag>;
using LeaderEpoch = base::Strong<std::int32_t, struct LeaderEpochTag>;
using PartitionIndex = base::Strong<std::int32_t, struct PartitionIndexTag>;
using NodeId = base::Strong<std::int32_t, struct NodeIdTag>;
using ProducerId = base::Strong<std::int64_t, struct ProducerIdTag>;
using ProducerEpoch = base::Strong<std::int16_t, struct ProducerEpochTag>;
/// Producer sequence number: 0..2^31-1, wraps to 0.
using Sequence = base::Strong<std::int32_t, struct SequenceTag>;
/// Number of a group within one WAL, from 1.
using Lsn = base::Strong<std::uint64_t, struct LsnTag>;
/// Number of an upload commit within one session, from 1.
using CommitNumber = base::Strong<std::uint64_t, struct CommitNumberTag>;

inline constexpr ProducerId no_producer_id{-1};
inline constexpr ProducerEpoch no_producer_epoch{-1};
inline constexpr Sequence no_sequence{-1};
inline constexpr LeaderEpoch no_leader_epoch{-1};

/// 128 bits, as Kafka's Uuid; text form is URL-safe base64 without padding (22 characters), as Kafka prints it.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
  [[nodiscard]] bool is_zero() const { return *this == Uuid{}; }
  [[nodiscard]] std::string to_string() const;
  static std::optional<Uuid> parse(std::string_view text);
  /// A version-4 style id from 128 random bits that is neither zero nor one of Kafka's reserved ids nor begins with '-'.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
};

/// A topic's identity for its life; a re-created topic has a new one.
struct TopicId : Uuid {
  auto operator<=>(const TopicId&) const = default;
};
/// The cluster: Kafka's cluster id is its text form.
struct ClusterId : Uuid {
  auto operator<=>(const ClusterId&) const = default;
};
/// One run of one broker, from start to seal. Made at start, never reused.
struct SessionId : Uuid {
  auto operator<=>(const SessionId&) const = default;
};
/// One WAL lane of one session.
struct WalId : Uuid {
  auto operator<=>(const WalId&) const = default;
};
struct ObjectId : Uuid {
  auto operator<=>(const ObjectId&) const = default;
};

/// What storage calls a partition: stable over renames and distinct after re-creation.
struct TopicPartition {
  TopicId topic;
  PartitionIndex partition;
  auto operator<=>(const TopicPartition&) const = default;
};

}  // namespace weir::model

template <>
struct std::hash<weir::model::Uuid> {
  std::size_t operator()(const weir::model::Uuid& id) const noexcept {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, id.bytes.data(), sizeof a);
    std::memcpy(&b, id.bytes.data() + sizeof a, sizeof b);
    return static_cast<std::size_t>(a ^ (b * 0x9E3779B97F4A7C15ULL));
  }
};
template <>
struct std::hash<weir::model::TopicId> : std::hash<weir::model::Uuid> {};
template <>
struct std::hash<weir::model::SessionId> : std::hash<weir::model::Uuid> {};
template <>
struct std::hash<weir::model::ObjectId> : std::hash<weir::model::Uuid> {};
template <>
struct std::hash<weir::model::WalId> : std::hash<weir::model::Uuid> {};
template <>
struct std::hash<weir::model::TopicPartition> {
  std::size_t operator()(const weir::model::TopicPartition& tp) const noexcept {
    return std::hash<weir::model::TopicId>{}(tp.topic) * 31U + static_cast<std::size_t>(tp.partition.value());
  }
};
