// meta/transact.h: sends one transaction until its outcome is known.
// Why:        "a lost reply means unknown, and an unknown transaction may be applied after any later read" (protocols.md, 1).
//             Sending the very same transaction again decides it: it succeeds, or it is refused, and then a read tells whether
//             an earlier copy or somebody else was first. That loop is written here once.
// Contract:   every mutation's compares must break when it is applied (they name the revision of a key that it puts), or the
//             second copy would be applied too.
// Limits:     each attempt: attempt_timeout; between attempts pause_min doubling to pause_max, with jitter; Patience::bounded
//             gives up after bounded_patience, Patience::until_decided only when stopped.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "base/result.h"
#include "keyspace/keyspace.h"

namespace weir::meta {

inline constexpr base::Duration attempt_timeout = std::chrono::seconds(10);
inline constexpr base::Duration bounded_patience = std::chrono::seconds(30);
inline constexpr base::Duration pause_min = std::chrono::milliseconds(20);
inline constexpr base::Duration pause_max = std::chrono::seconds(1);

enum class Patience : std::uint8_t {
  bounded,        ///< for a caller who can report an unknown outcome
  until_decided,  ///< for one who must not go on before it is known
};

struct Decision {
  bool succeeded = false;
  keyspace::Revision revision = 0;
  bool was_ambiguous = false;  ///< an earlier copy had an unknown outcome: a refusal may mean that it was applied
};

class Transactor {
 public:
  explicit Transactor(keyspace::Keyspace& keyspace) : keyspace_(keyspace) {}
  runtime::Task<base::Result<Decision>> decide(keyspace::Txn txn, Patience patience);
  /// One key, with retries within bounded_patience. Empty: absent.
  runtime::Task<base::Result<std::optional<keyspace::KeyValue>>> get(std::string key);
  /// All entries under a prefix, with the same patience for the whole.
  runtime::Task<base::Result<keyspace::RangeResult>> list(std::string prefix);
  void stop() { stopping_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  [[nodiscard]] keyspace::Keyspace& keyspace() { return keyspace_; }

 private:
  keyspace::Keyspace& keyspace_;
  std::atomic<bool> stopping_{false};
};

}  // namespace weir::meta
