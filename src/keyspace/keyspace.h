// keyspace/keyspace.h: the small, strongly consistent map that holds weir's metadata: compare-txn, range, watch. No leases.
// Why:        one interface for RocksDB (one node), etcd (a fleet) and memory (tests, simulation).
// Contract:   linearizable. Every txn that changes a key has its own revision, greater than all before (one that changes
//             nothing reports the present one). A key's mod_revision is the revision of the txn that last put it; 0 = absent.
//             Calls may come from any shard and complete on the caller's reactor. Keys and values are bytes; keys sort bytewise.
// Failure:    retry = certainly not applied; unknown_outcome = may be applied now or later (protocols.md, 1: it is decided only
//             by seeing it applied, by the same txn refused, or by another txn that breaks its compare); corrupt = the
//             keyspace's own log is damaged: the start is refused.
// Limits:     txn_operations_max, value_bytes_max below (etcd's defaults): asserted.
// Tests:      keyspace/testing/keyspace_conformance.h runs on every implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::keyspace {

inline constexpr std::size_t txn_operations_max = 128;  ///< compares + operations
inline constexpr std::size_t value_bytes_max = 1024 * 1024;
inline constexpr std::size_t key_bytes_max = 1024;
inline constexpr std::size_t range_page_max = 1000;
inline constexpr std::size_t range_pages_max = 100'000;  ///< of one range_all()

using Revision = std::int64_t;

struct KeyValue {
  std::string key;
  std::string value;
  Revision mod_revision = 0;
};

/// Holds when the key's mod_revision equals `mod_revision` (0: the key is absent).
struct Compare {
  std::string key;
  Revision mod_revision = 0;
};

struct Operation {
  enum class Kind : std::uint8_t { put, erase };
  Kind kind = Kind::put;
  std::string key;
  std::string value;  ///< for put
  static Operation put(std::string key, std::string value) { return {Kind::put, std::move(key), std::move(value)}; }
  static Operation erase(std::string key) { return {Kind::erase, std::move(key), {}}; }
};

struct Txn {
  std::vector<Compare> compares;      ///< all must hold
  std::vector<Operation> operations;  ///< applied together; a key occurs at most once
};

struct TxnResult {
  bool succeeded = false;  ///< the compares held and the operations are applied, durably
  Revision revision = 0;   ///< of this txn when it succeeded, otherwise the revision at which the compares were judged
};

struct RangeResult {
  std::vector<KeyValue> entries;  ///< in order of key
  Revision revision = 0;          ///< the state that this page shows
  bool more = false;              ///< further entries follow the last one
};

struct WatchEvent {
  KeyValue entry;  ///< for an erase: value empty, mod_revision = the erasing txn
  bool erased = false;
};

/// A stream of changes under a prefix, each txn's events together, in order of revision.
class Watch {
 public:
  virtual ~Watch() = default;
  /// The next txn's events; retry = the stream broke or the start revision was compacted: range anew and watch from there;
  /// cancelled = nothing came until the deadline, or `stop` was requested.
  virtual runtime::Task<base::Result<std::vector<WatchEvent>>> next(base::MonoTime deadline, runtime::Stop* stop) = 0;
};

class Keyspace {
 public:
  virtual ~Keyspace() = default;
  virtual runtime::Task<base::Result<TxnResult>> txn(Txn txn, base::MonoTime deadline) = 0;
  /// Entries with key in [from, to), at most `limit` (<= range_page_max). to empty: to the end.
  virtual runtime::Task<base::Result<RangeResult>> range(std::string from, std::string to, std::size_t limit,
                                                         base::MonoTime deadline) = 0;
  /// Events with revision > after_revision for keys that begin with prefix. Used and destroyed on the calling reactor.
  virtual base::Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after_revision) = 0;
  /// The revision of the newest applied txn that this process knows of.
  [[nodiscard]] virtual Revision last_known_revision() const = 0;
  [[nodiscard]] virtual std::string description() const = 0;
  virtual runtime::Task<void> stop() = 0;
};

/// The end of the range of keys that begin with prefix: prefix with its last byte counted up (empty: no end).
[[nodiscard]] std::string prefix_end(std::string prefix);

/// All entries under a prefix, page by page (not one snapshot: pages may show different revisions; the result's revision is
/// the first page's, which is safe for a following watch).
runtime::Task<base::Result<RangeResult>> range_prefix(Keyspace& keyspace, std::string prefix, base::MonoTime deadline);
/// The same for the keys in [from, to).
runtime::Task<base::Result<RangeResult>> range_all(Keyspace& keyspace, std::string from, std::string to,
                                                   base::MonoTime deadline);

}  // namespace weir::keyspace
