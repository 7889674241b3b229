// Any bytes under any kind of key: no decoder may read outside or allocate by a hostile count, and what decodes must encode to
// the very same bytes. The harness puts the right CRC behind the input, or nothing would get past it.
#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "meta/codec.h"
#include "meta/keys.h"

namespace weir::meta {
namespace {

template <class Record>
void same(const keyspace::KeyValue& entry, const base::Result<Record>& record) {
  if (record) ENSURE(encode(entry.key, *record) == entry.value, "{} does not encode to what it was decoded from", entry.key);
}

void try_all(std::uint8_t kind, std::string_view body) {
  const model::TopicPartition partition{.topic = {}, .partition = model::PartitionIndex(3)};
  keyspace::KeyValue entry;
  auto under = [&](std::string key) {
    entry.key = std::move(key);
    bytes::Packer out;
    out.put(value_version);
    out.put_bytes(bytes::as_bytes(body));
    out.put(bytes::crc32c(out.view(), bytes::crc32c(bytes::as_bytes(entry.key))));
    entry.value = out.str();
    entry.mod_revision = 1;
    return entry;
  };
  switch (kind % 13) {
    case 0: same(under(std::string(keys::cluster)), decode_cluster(entry)); break;
    case 1:
      under(keys::topic("t"));
      static_cast<void>(decode_topic(entry));
      break;  // configs may come unsorted: not the same bytes
    case 2: same(under(keys::session({})), decode_session(entry)); break;
    case 3: same(under(keys::own(partition)), decode_own(entry)); break;
    case 4: same(under(keys::commit({})), decode_commit(entry)); break;
    case 5: same(under(keys::object({}, model::CommitNumber(1))), decode_object(entry)); break;
    case 6: same(under(keys::garbage({})), decode_garbage(entry)); break;
    case 7: same(under(keys::deletion({})), decode_deletion(entry)); break;
    case 8:
      under(keys::segments({}));
      static_cast<void>(decode_segments(entry));
      break;
    case 9:
      under(keys::log_start(partition));
      static_cast<void>(decode_log_start(entry));
      break;
    case 12: same(under(keys::manifest(partition)), decode_manifest(entry)); break;
    case 11:
      under(keys::config(ConfigKind::client_metrics, "m"));
      static_cast<void>(decode_config(entry));
      break;
    default:
      under(std::string(keys::producer_ids));
      static_cast<void>(decode_producer_ids(entry));
      break;
  }
}

}  // namespace
}  // namespace weir::meta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  weir::meta::try_all(data[0], body);
  // The same bytes as a whole value and as the rest of a key, without a CRC of ours.
  const weir::keyspace::KeyValue raw{
      .key = std::string(body.substr(0, body.size() / 2)), .value = std::string(body), .mod_revision = 1};
  static_cast<void>(weir::meta::decode_session(raw));
  static_cast<void>(weir::meta::keys::parse_partition(body));
  static_cast<void>(weir::meta::keys::parse_object(body));
  static_cast<void>(weir::meta::keys::parse_config(body));
  return 0;
}
