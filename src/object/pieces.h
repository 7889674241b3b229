// object/pieces.h: the bytes that objects and manifests encode alike: identities, counts, aborted spans and producers' batches.
// Contract:   not for other rooms. docs/formats/object-v1.md and manifest-v1.md are the text of it; the golden files in testdata/ hold
//             it in place. get_...() refuse (false) what no writer makes; a list is not made room for before the bytes can hold it.
// Tests:      format_test.cc, manifest_test.cc
#pragma once

#include <cstring>
#include <vector>

#include "bytes/pack.h"
#include "object/format.h"

namespace weir::object::pieces {

inline constexpr std::size_t aborted_bytes = 8 + 8 + 8;
inline constexpr std::size_t producer_batch_bytes = 4 + 4 + 8 + 8 + 8;

void put_uuid(bytes::Packer& out, const model::Uuid& id);

template <class Id>
[[nodiscard]] Id get_uuid(bytes::Unpacker& in) {
  Id id;
  const bytes::Bytes raw = in.get_bytes(sizeof id.bytes);
  if (!raw.empty()) std::memcpy(id.bytes.data(), raw.data(), sizeof id.bytes);
  return id;
}

void put_count(bytes::Packer& out, std::size_t count);

/// The spans alone: their count stands elsewhere.
void put_aborted(bytes::Packer& out, const std::vector<AbortedSpan>& spans);
[[nodiscard]] bool get_aborted(bytes::Unpacker& in, std::uint32_t count, std::vector<AbortedSpan>& into);

/// A count of at most producer_batches_max, then the batches, by offset.
void put_batches(bytes::Packer& out, const std::vector<ProducerBatch>& batches);
[[nodiscard]] bool get_batches(bytes::Unpacker& in, std::vector<ProducerBatch>& into);

}  // namespace weir::object::pieces
