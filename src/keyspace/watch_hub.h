// keyspace/watch_hub.h: hands applied transactions to the watches of all shards.
// Place:      L3, behind local_keyspace. The hub lives on the keyspace's home reactor, each watch on its own.
// Contract:   a watch sees every transaction above its start revision that touches its prefix, in order, or is told that it
//             broke. Hub and watch share nothing but immutable events and messages posted between their reactors.
// Limits:     watch_backlog_events_max events wait in one watch; past that it breaks (its owner ranges anew).
// Tests:      keyspace/testing/keyspace_conformance.h
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "keyspace/core/map_state.h"
#include "keyspace/keyspace.h"
#include "runtime/reactor.h"
#include "runtime/sync.h"

namespace weir::keyspace {

inline constexpr std::size_t watch_backlog_events_max = 8192;

/// What waits for one watch; touched on the watch's reactor, except that the hub reads the constants.
struct WatchMailbox {
  explicit WatchMailbox(runtime::Reactor& reactor_in, std::string prefix_in, Revision after_revision_in)
      : reactor(reactor_in), prefix(std::move(prefix_in)), after_revision(after_revision_in) {}
  runtime::Reactor& reactor;
  const std::string prefix;
  const Revision after_revision;
  std::deque<std::vector<WatchEvent>> waiting;
  std::size_t waiting_events = 0;
  bool broken = false;
  bool closed = false;  ///< the watch is gone
  runtime::Event changed;
};

class WatchHub {
 public:
  /// Sends what history has above the watch's start, then keeps it; breaks it at once when that was compacted.
  void add(std::shared_ptr<WatchMailbox> mailbox, const core::MapState& state);
  void remove(const std::shared_ptr<WatchMailbox>& mailbox);
  void publish(const core::Applied& applied);
  void break_all();

 private:
  std::vector<std::shared_ptr<WatchMailbox>> mailboxes_;  ///< in order of registration
};

/// Posts the mailbox to the hub at `home`.
std::unique_ptr<Watch> make_local_watch(runtime::Reactor& home, std::shared_ptr<WatchHub> hub,
                                        std::shared_ptr<WatchMailbox> mailbox);

}  // namespace weir::keyspace
