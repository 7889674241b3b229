#include "keyspace/watch_hub.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"

namespace weir::keyspace {
namespace {

void send(const std::shared_ptr<WatchMailbox>& mailbox, const core::Applied& applied) {
  if (applied.revision <= mailbox->after_revision) return;
  std::vector<WatchEvent> events;
  for (const WatchEvent& event : applied.events) {
    if (event.entry.key.starts_with(mailbox->prefix)) events.push_back(event);
  }
  if (events.empty()) return;
  mailbox->reactor.post([mailbox, events = std::move(events)]() mutable {
    if (mailbox->closed || mailbox->broken) return;
    if (mailbox->waiting_events + events.size() > watch_backlog_events_max) {
      mailbox->broken = true;
    } else {
      mailbox->waiting_events += events.size();
      mailbox->waiting.push_back(std::move(events));
    }
    mailbox->changed.pulse();
  });
}

void send_break(const std::shared_ptr<WatchMailbox>& mailbox) {
  mailbox->reactor.post([mailbox] {
    mailbox->broken = true;
    mailbox->changed.pulse();
  });
}

class LocalWatch final : public Watch {
 public:
  LocalWatch(runtime::Reactor& home, std::shared_ptr<WatchHub> hub, std::shared_ptr<WatchMailbox> mailbox)
      : home_(home), hub_(std::move(hub)), mailbox_(std::move(mailbox)) {}
  LocalWatch(const LocalWatch&) = delete;
  LocalWatch& operator=(const LocalWatch&) = delete;
  ~LocalWatch() override {
    mailbox_->closed = true;
    home_.post([hub = std::move(hub_), mailbox = std::move(mailbox_)] { hub->remove(mailbox); });
  }
  runtime::Task<base::Result<std::vector<WatchEvent>>> next(base::MonoTime deadline, runtime::Stop* stop) override {
    ENSURE(&runtime::Reactor::current() == &mailbox_->reactor, "a watch is used on the reactor that made it");
    while (mailbox_->waiting.empty()) {
      if (mailbox_->broken) {
        co_return base::fail(base::ErrorKind::retry, "the watch broke: its start was compacted, or it fell too far behind");
      }
      if (co_await mailbox_->changed.wait(deadline, stop) != runtime::Wake::ready) {
        co_return base::fail(base::ErrorKind::cancelled, "nothing changed until the deadline or the stop");
      }
    }
    std::vector<WatchEvent> events = std::move(mailbox_->waiting.front());
    mailbox_->waiting.pop_front();
    mailbox_->waiting_events -= events.size();
    co_return events;
  }

 private:
  runtime::Reactor& home_;
  std::shared_ptr<WatchHub> hub_;
  std::shared_ptr<WatchMailbox> mailbox_;
};

}  // namespace

void WatchHub::add(std::shared_ptr<WatchMailbox> mailbox, const core::MapState& state) {
  if (mailbox->after_revision < state.compacted_to()) {
    send_break(mailbox);
    return;
  }
  for (const auto& applied : state.history()) send(mailbox, *applied);
  mailboxes_.push_back(std::move(mailbox));
}

void WatchHub::remove(const std::shared_ptr<WatchMailbox>& mailbox) { std::erase(mailboxes_, mailbox); }

void WatchHub::publish(const core::Applied& applied) {
  for (const auto& mailbox : mailboxes_) send(mailbox, applied);
}

void WatchHub::break_all() {
  for (const auto& mailbox : mailboxes_) send_break(mailbox);
  mailboxes_.clear();
}

std::unique_ptr<Watch> make_local_watch(runtime::Reactor& home, std::shared_ptr<WatchHub> hub,
                                        std::shared_ptr<WatchMailbox> mailbox) {
  return std::make_unique<LocalWatch>(home, std::move(hub), std::move(mailbox));
}

}  // namespace weir::keyspace
