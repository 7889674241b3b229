// runtime/stream_move.h: a connection that changes the reactor it lives on.
// Why:        a client that works with one shard's partitions pays two wakes per request for living on another (docs/performance.md).
// Contract:   on the stream's own reactor, with nothing pending. What move_to() gives lives on `home`; bytes that the kernel holds come
//             along, the old stream is closed without the peer noticing. Only plain TCP can: TLS keeps its session where it began,
//             and the simulated network does not move.
// Tests:      server/move_test.cc
#pragma once

#include <memory>

#include "runtime/net.h"

namespace weir::runtime {

/// A second face of streams that can move.
class MovableStream {
 public:
  [[nodiscard]] virtual std::unique_ptr<Stream> move_to(Reactor& home) = 0;

 protected:
  ~MovableStream() = default;
};

/// Null: it stays where it is.
inline MovableStream* movable(Stream& stream) { return dynamic_cast<MovableStream*>(&stream); }

}  // namespace weir::runtime
