#include "keyspace/testing/faulty_keyspace.h"

namespace weir::keyspace::testing {

using base::ErrorKind;
using base::fail;

runtime::Task<base::Result<TxnResult>> FaultyKeyspace::txn(Txn txn, base::MonoTime deadline) {
  const std::uint64_t number = ++count_;
  if (crashed()) {
    if (number == crash_at_ && crash_applied_) {
      if (!co_await inner_.txn(std::move(txn), deadline))
        co_return fail(ErrorKind::cancelled, "crashed, and the inner txn failed");
    }
    co_return fail(ErrorKind::cancelled, "the process is gone");
  }
  switch (choose ? choose(number, txn) : TxnFault::none) {
    case TxnFault::none: co_return co_await inner_.txn(std::move(txn), deadline);
    case TxnFault::refuse: co_return fail(ErrorKind::retry, "refused by the test");
    case TxnFault::drop: co_return fail(ErrorKind::unknown_outcome, "request lost by the test");
    case TxnFault::lose_reply: {
      auto ignored = co_await inner_.txn(std::move(txn), deadline);
      if (!ignored) co_return ignored;
      co_return fail(ErrorKind::unknown_outcome, "reply lost by the test");
    }
    case TxnFault::hold: held_.push_back(std::move(txn)); co_return fail(ErrorKind::unknown_outcome, "held by the test");
  }
  co_return fail(ErrorKind::invalid, "no such fault");
}

runtime::Task<std::size_t> FaultyKeyspace::apply_held() {
  std::size_t succeeded = 0;
  for (Txn& txn : std::exchange(held_, {})) {
    auto result = co_await inner_.txn(std::move(txn), base::MonoTime::max());
    if (result && result->succeeded) ++succeeded;
  }
  co_return succeeded;
}

runtime::Task<base::Result<RangeResult>> FaultyKeyspace::range(std::string from, std::string to, std::size_t limit,
                                                               base::MonoTime deadline) {
  if (crashed()) co_return fail(ErrorKind::cancelled, "the process is gone");
  if (ranges_fail) co_return fail(ErrorKind::retry, "range refused by the test");
  co_return co_await inner_.range(std::move(from), std::move(to), limit, deadline);
}

}  // namespace weir::keyspace::testing
