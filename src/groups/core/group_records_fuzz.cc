// Any bytes as records of the topic of groups: nothing is read outside, what is taken makes a state whose checkpoint makes the same
// state again, and a group that was taken can be restored.
#include "base/ensure.h"
#include "groups/core/records.h"
#include "groups/core/step.h"

namespace weir::groups {
namespace {

// Records with a byte of flags and lengths of a byte in front; flag 1: a tombstone, 2: of a transaction, 4: the transaction ends.
void replay(bytes::Bytes input, StoredState& state) {
  std::int64_t offset = 0;
  while (input.size() >= 3) {
    const auto flags = static_cast<unsigned>(input[0]);
    const std::size_t key_bytes = std::min<std::size_t>(static_cast<std::size_t>(input[1]), input.size() - 3);
    const std::size_t value_bytes = std::min<std::size_t>(static_cast<std::size_t>(input[2]), input.size() - 3 - key_bytes);
    const bytes::Bytes key = input.subspan(3, key_bytes);
    const bytes::Bytes value = input.subspan(3 + key_bytes, value_bytes);
    const model::ProducerId producer(static_cast<std::int64_t>(flags >> 4U));
    StoredState::Source source{.offset = model::Offset(offset++), .transaction = std::nullopt};
    if ((flags & 2U) != 0) source.transaction = producer;
    static_cast<void>(state.apply(key, (flags & 1U) != 0 ? std::nullopt : std::optional(value), source).has_value());
    if ((flags & 4U) != 0) state.end_transaction(producer, (flags & 8U) != 0);
    input = input.subspan(3 + key_bytes + value_bytes);
  }
}

void run(bytes::Bytes input) {
  StoredState state;
  replay(input, state);
  std::vector<Record> records;
  std::string cursor;
  do { cursor = state.checkpoint(cursor, 64, records); } while (!cursor.empty());
  StoredState again;
  std::uint64_t bytes = 0;
  for (const Record& record : records) {
    ENSURE(again.apply(record.key.view(), record.value->view(), {.offset = model::Offset(0), .transaction = std::nullopt})
               .has_value(),
           "a checkpoint's record is refused");
    bytes += record_bytes(record.key.size(), record.value->size());
  }
  ENSURE(bytes == state.live_bytes() && again.live_bytes() == bytes, "{} live bytes, {} in the checkpoint", state.live_bytes(),
         bytes);
  ENSURE(again.offset_count() == state.offset_count(), "a checkpoint loses offsets");
  for (const auto& [id, stored] : again.groups()) {
    const Restored restored = restore_group(id, stored, {}, {.mono = base::MonoTime(std::chrono::hours(1)), .wall = 1});
    restored.group.check();
  }
}

}  // namespace
}  // namespace weir::groups

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weir::groups::run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
