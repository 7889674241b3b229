#include "meta/transact.h"

#include <algorithm>
#include <utility>

#include "runtime/reactor.h"
#include "runtime/sync.h"

namespace weir::meta {
namespace {

using base::ErrorKind;
using base::fail;

// Half fixed, half by chance: brokers that failed together do not come back together.
runtime::Task<void> pause(base::Duration& next) {
  const auto half = static_cast<std::uint64_t>(next.count() / 2);
  const auto jitter = static_cast<std::int64_t>(runtime::Reactor::current().random() % (half + 1));
  co_await runtime::sleep_for(base::Duration(next.count() / 2 + jitter));
  next = std::min(next * 2, pause_max);
}

// Reads change nothing, so whatever is not final may be asked again.
bool may_ask_again(ErrorKind kind) {
  return kind == ErrorKind::retry || kind == ErrorKind::cancelled || kind == ErrorKind::unknown_outcome ||
         kind == ErrorKind::io;
}

}  // namespace

runtime::Task<base::Result<Decision>> Transactor::decide(keyspace::Txn txn, Patience patience) {
  const base::MonoTime give_up = runtime::Reactor::current().now() + bounded_patience;
  base::Duration next_pause = pause_min;
  bool ambiguous = false;
  for (;;) {  // ends when decided, stopped, or out of patience
    const base::MonoTime now = runtime::Reactor::current().now();
    auto sent = co_await keyspace_.txn(txn, now + attempt_timeout);
    if (sent) { co_return Decision{.succeeded = sent->succeeded, .revision = sent->revision, .was_ambiguous = ambiguous}; }
    const ErrorKind kind = sent.kind();
    ambiguous = ambiguous || kind == ErrorKind::unknown_outcome || kind == ErrorKind::io;
    const bool may_resend = ambiguous || kind == ErrorKind::retry || kind == ErrorKind::cancelled;
    const bool out_of_patience = patience == Patience::bounded && runtime::Reactor::current().now() >= give_up;
    if (!may_resend) co_return std::unexpected(std::move(sent).error());
    if (stopping() || out_of_patience) {
      if (ambiguous) co_return fail(ErrorKind::unknown_outcome, std::move(sent).error().text);
      co_return std::unexpected(std::move(sent).error());
    }
    co_await pause(next_pause);
  }
}

runtime::Task<base::Result<std::optional<keyspace::KeyValue>>> Transactor::get(std::string key) {
  const base::MonoTime give_up = runtime::Reactor::current().now() + bounded_patience;
  base::Duration next_pause = pause_min;
  std::string end = key + '\0';
  for (;;) {  // ends when answered, stopped, or out of patience
    const base::MonoTime now = runtime::Reactor::current().now();
    auto read = co_await keyspace_.range(key, end, 1, now + attempt_timeout);
    if (read) {
      if (read->entries.empty()) co_return std::optional<keyspace::KeyValue>();
      co_return std::optional<keyspace::KeyValue>(std::move(read->entries.front()));
    }
    if (!may_ask_again(read.kind()) || stopping() || runtime::Reactor::current().now() >= give_up) {
      co_return std::unexpected(std::move(read).error());
    }
    co_await pause(next_pause);
  }
}

runtime::Task<base::Result<keyspace::RangeResult>> Transactor::list(std::string prefix) {
  const base::MonoTime give_up = runtime::Reactor::current().now() + bounded_patience;
  base::Duration next_pause = pause_min;
  for (;;) {  // ends when answered, stopped, or out of patience
    const base::MonoTime now = runtime::Reactor::current().now();
    auto read = co_await keyspace::range_prefix(keyspace_, prefix, now + attempt_timeout);
    if (read) co_return std::move(*read);
    if (!may_ask_again(read.kind()) || stopping() || runtime::Reactor::current().now() >= give_up) {
      co_return std::unexpected(std::move(read).error());
    }
    co_await pause(next_pause);
  }
}

}  // namespace weir::meta
