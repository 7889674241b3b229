#include "store/s3/pool.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"
#include "runtime/reactor.h"

namespace weir::store::s3 {

using base::ErrorKind;
using base::Result;
using runtime::Reactor;
using runtime::Task;

ConnectionPool::~ConnectionPool() {
  ENSURE(busy_count_ == 0 && idle_.empty() && timer_ == 0, "a pool was destroyed with {} busy and {} idle connections",
         busy_count_, idle_.size());
}

Task<Result<std::unique_ptr<Connection>>> ConnectionPool::acquire(bool fresh, base::MonoTime deadline) {
  const base::MonoTime place_deadline = std::min(deadline, Reactor::current().now() + options_.slot_timeout);
  if (co_await places_.acquire(1, place_deadline) != runtime::Wake::ready) {
    co_return base::fail(ErrorKind::retry, fmt::format("all {} connections to {} stayed busy", options_.connections_max,
                                                       runtime::to_string(options_.address)));
  }
  drop_old();
  ++busy_count_;
  if (!fresh && !idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    co_return connection;
  }
  if (busy_count_ + idle_.size() > options_.connections_max) {
    drop(std::move(idle_.front()));
    idle_.pop_front();
  }
  auto stream = co_await options_.network->connect(options_.address, options_.tls,
                                                   std::min(deadline, Reactor::current().now() + options_.connect_timeout));
  if (!stream) {
    --busy_count_;
    places_.release(1);
    co_return base::fail(ErrorKind::retry,
                         fmt::format("connecting to {}: {}", runtime::to_string(options_.address), stream.error().text));
  }
  if (options_.opened != nullptr) options_.opened->add();
  if (options_.open != nullptr) options_.open->add(1);
  auto connection = std::make_unique<Connection>();
  connection->stream = std::move(*stream);
  co_return connection;
}

void ConnectionPool::drop(std::unique_ptr<Connection> connection) {
  connection->stream->close();
  if (options_.open != nullptr) options_.open->add(-1);
}

void ConnectionPool::release(std::unique_ptr<Connection> connection, bool reusable) {
  ENSURE(busy_count_ > 0, "a connection was released twice");
  --busy_count_;
  if (reusable) {
    connection->used_before = true;
    connection->idle_since = Reactor::current().now();
    idle_.push_back(std::move(connection));
    watch_idle();
  } else {
    drop(std::move(connection));
  }
  places_.release(1);
}

void ConnectionPool::drop_old() {
  const base::MonoTime now = Reactor::current().now();
  while (!idle_.empty() && idle_.front()->idle_since + options_.idle_timeout <= now) {
    drop(std::move(idle_.front()));
    idle_.pop_front();
  }
}

// A timer only while something is idle: an idle broker without connections has no wake-ups.
void ConnectionPool::watch_idle() {
  if (timer_ != 0 || idle_.empty()) return;
  timer_ = Reactor::current().call_at(idle_.front()->idle_since + options_.idle_timeout, [this] {
    timer_ = 0;
    drop_old();
    watch_idle();
  });
}

void ConnectionPool::stop() {
  ENSURE(busy_count_ == 0, "a pool was stopped with {} busy connections", busy_count_);
  drop_idle();
  if (timer_ != 0) Reactor::current().cancel_timer(timer_);
  timer_ = 0;
}

void ConnectionPool::drop_idle() {
  while (!idle_.empty()) {
    drop(std::move(idle_.front()));
    idle_.pop_front();
  }
}

}  // namespace weir::store::s3
