// runtime/stream_rank.h: connections that step back behind the others of their reactor.
// Why:        readiness is served in the order of arrival. When a thousand members of groups speak at once, a produce that comes behind
//             them waits for all of their requests: its p99 was several times what it is while they are silent (docs/performance.md).
// Contract:   on the stream's own reactor. Each look at the sockets serves all of the first rank that are ready, up to
//             events_per_poll_max, then background_events_per_poll of the background, and half as many as came of the first rank: nobody
//             starves. The order of requests within a connection is what it was. Streams without sockets have one rank.
// Tests:      runtime/real_test.cc
#pragma once

#include "runtime/net.h"

namespace weir::runtime {

enum class Rank : std::uint8_t { first, background };

/// A second face of streams that have a rank.
class RankedStream {
 public:
  /// Costs two system calls when the rank changes.
  virtual void set_rank(Rank rank) = 0;

 protected:
  ~RankedStream() = default;
};

/// Null: it has none.
inline RankedStream* ranked(Stream& stream) { return dynamic_cast<RankedStream*>(&stream); }

}  // namespace weir::runtime
