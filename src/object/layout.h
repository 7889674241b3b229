// object/layout.h: the byte layout behind format.h, shared by the builder, the parser and their tests. Not for other rooms.
// Contract:   docs/formats/object-v1.md is the text of it; golden files in testdata/ hold it in place.
#pragma once

#include <cstdint>
#include <vector>

#include "object/format.h"

namespace weir::object::layout {

inline constexpr std::uint32_t object_magic = 0x4A424F57U;           // "WOBJ"
inline constexpr std::uint32_t block_magic = 0x4B4C4257U;            // "WBLK"
inline constexpr std::uint32_t footer_magic = 0x52544657U;           // "WFTR"
inline constexpr std::uint64_t trailer_magic = 0x31444E4552494557U;  // "WEIREND1"

/// Footer bytes before the entries: magic, version, cluster, object, session, commit, own position, entry count.
inline constexpr std::size_t footer_head_bytes = 4 + 4 + 16 + 16 + 16 + 8 + 8 + 4;
inline constexpr std::size_t footer_crc_bytes = 4;
/// The fixed part of an entry; its lists follow.
inline constexpr std::size_t entry_head_bytes = 16 + 4 + 8 + 8 + 8 + 8 + 8 + 8 + 5 * 4;
inline constexpr std::size_t epoch_bytes = 4 + 8;
inline constexpr std::size_t producer_head_bytes = 8 + 2 + 8 + 4 + 4;
inline constexpr std::size_t time_index_bytes = 8 + 8;
inline constexpr std::size_t block_ref_bytes = 8 + 4 + 4 + 8 + 8 + 8;

/// The object's first object_header_bytes.
[[nodiscard]] std::vector<std::byte> encode_object_header(const Identity& identity, const model::SessionId& session,
                                                          model::CommitNumber commit);
[[nodiscard]] std::vector<std::byte> encode_block_header(const Identity& identity, const model::TopicPartition& partition,
                                                         const BlockRef& ref);
/// The footer with its CRC as the last four bytes.
[[nodiscard]] std::vector<std::byte> encode_footer(const Footer& footer, std::uint64_t footer_position);
[[nodiscard]] std::vector<std::byte> encode_trailer(const FooterPlace& place);

}  // namespace weir::object::layout
