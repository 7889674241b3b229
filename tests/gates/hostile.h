// tests/gates/hostile.h: a hostile client of a whole broker: valid frames of every API, damaged, cut, late and early.
// Why:        decoders are fuzzed one by one elsewhere; what a connection does between frames (order, limits, sessions, closing) is
//             only reached by sequences of them.
// Contract:   an input is a program: each step sends something, waits, or comes back as a new connection. Whatever it does, a second
//             connection is answered within served_within, memory stays within memory_bytes_max of the start (where a sanitizer
//             counts it), and the broker stops cleanly; otherwise the process aborts with a line that says what was broken.
//             Everything runs on simulated doors, so an input replays exactly.
// Limits:     steps_max; sends take at most send_patience. Topics are not created or deleted: their number is a right, not a bug.
#pragma once

#include <chrono>

#include "base/units.h"
#include "bytes/buffer.h"

namespace weir::gates {

inline constexpr std::size_t steps_max = 48;
inline constexpr std::size_t hostile_frame_bytes_max = 1U << 20U;
inline constexpr std::size_t memory_bytes_max = 192U << 20U;
inline constexpr base::Duration send_patience = std::chrono::seconds(1);
inline constexpr base::Duration served_within = std::chrono::seconds(20);

void attack(bytes::Bytes input);

}  // namespace weir::gates
