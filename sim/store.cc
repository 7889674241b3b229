#include "sim/store.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "store/keys.h"

namespace weir::sim {

using base::ErrorKind;
using base::fail;
using base::Result;
using runtime::Task;

Bucket::Bucket(World& world) : world_(world), rng_(world.rng("store")) {}

void Bucket::brown_out(base::Duration duration) {
  world_.fire(Fault::store_brownout);
  brownout_until_ = std::max(brownout_until_, world_.now() + duration);
}

void Bucket::outage(base::Duration duration) {
  brownout_until_ = std::max(brownout_until_, world_.now() + duration);
  world_.after(duration, [this, number = ++outage_number_] {
    if (number == outage_number_) world_.fire(Fault::store_outage);
  });
}

base::Error Bucket::refusal(Fate fate) {
  if (fate == Fate::keys_refused) {
    world_.fire(Fault::store_keys_refused);
    return {.kind = ErrorKind::invalid, .text = "the store refuses the credentials"};
  }
  world_.fire(Fault::store_refused);
  return {.kind = ErrorKind::retry, .text = "503 from the store"};
}

std::map<std::string, std::uint64_t> Bucket::names_at(base::MonoTime when) const {
  std::map<std::string, std::uint64_t> names;
  for (const auto& [key, object] : objects_) names[key] = object.body.size();
  for (auto event = events_.rbegin(); event != events_.rend() && event->when > when; ++event) {
    if (event->kind == StoreEvent::Kind::put) names.erase(event->key);
    if (event->kind == StoreEvent::Kind::removed) names[event->key] = event->size_bytes;
  }
  return names;
}

Bucket::Fate Bucket::draw_fate(bool may_be_late) {
  if (world_.now() < brownout_until_) return rng_.percent(60) ? Fate::refused : Fate::request_lost;
  if (rng_.chance_ppm(profile_.refuse_ppm)) return Fate::refused;
  if (rng_.chance_ppm(profile_.refuse_keys_ppm)) return Fate::keys_refused;
  if (rng_.chance_ppm(profile_.lose_request_ppm)) return Fate::request_lost;
  if (rng_.chance_ppm(profile_.lose_reply_ppm)) return Fate::reply_lost;
  if (may_be_late && rng_.chance_ppm(profile_.apply_late_ppm)) return Fate::late;
  return Fate::good;
}

base::Duration Bucket::latency(std::size_t bytes) {
  base::Duration latency = rng_.tailed(profile_.latency_least, profile_.latency_tail);
  latency += base::Duration(
      static_cast<std::int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(profile_.bytes_per_second)));
  if (rng_.chance_ppm(profile_.slow_ppm)) {
    world_.fire(Fault::store_slow);
    latency += rng_.tailed(profile_.slow_least, profile_.slow_tail);
  }
  return latency;
}

void Bucket::record(StoreEvent::Kind kind, const std::string& key, const Object& object) {
  world_.note(kind == StoreEvent::Kind::removed ? "store.removed" : "store.put", name_hash(key), object.body.size());
  events_.push_back(StoreEvent{kind, world_.now(), key, object.body.size(), object.crc32c});
  if (observer_) observer_(events_.back());
}

Result<void> Bucket::apply_put(const std::string& key, const bytes::BufferList& body, const store::PutOptions& options) {
  const std::size_t size = bytes::total_size(body);
  std::uint32_t crc = 0;
  for (const bytes::Buffer& piece : body) crc = bytes::crc32c(piece.view(), crc);
  ENSURE(crc == options.crc32c, "the body of {} changed between its checksum and the request, or the checksum is wrong", key);
  const auto it = objects_.find(key);
  if (it != objects_.end() && options.if_none_match) {
    world_.fire(Fault::store_put_conflict);
    return fail(ErrorKind::exists, "another object stands at " + key);
  }
  const bool replaced = it != objects_.end();
  bytes::SlabRef slab = bytes::SlabRef::allocate(std::max<std::size_t>(size, 1));
  std::size_t at = 0;
  for (const bytes::Buffer& piece : body) {
    std::copy_n(piece.data(), piece.size(), slab.writable().data() + at);
    at += piece.size();
  }
  Object& object = objects_[key];
  object = Object{bytes::Buffer(std::move(slab), 0, size), crc, world_.wall_ms()};
  record(replaced ? StoreEvent::Kind::overwritten : StoreEvent::Kind::put, key, object);
  return {};
}

void Bucket::apply_remove(const std::string& key) {
  const auto it = objects_.find(key);
  if (it == objects_.end()) return;
  const Object object = it->second;
  objects_.erase(it);
  record(StoreEvent::Kind::removed, key, object);
}

// --- the door ---

namespace {

/// Completes the operation at the caller's deadline if nothing else has; `began`: the request was sent.
template <class T>
runtime::TimerId arm_deadline(const std::shared_ptr<Op<Result<T>>>& op, base::MonoTime deadline, ErrorKind kind) {
  if (deadline == base::MonoTime{} || deadline == runtime::no_deadline) return 0;
  return op->home().call_at(deadline, [op, kind] { op->complete(fail(kind, "deadline passed while waiting for the store")); });
}

}  // namespace

Task<Result<void>> SimStore::put(std::string key, bytes::BufferList body, store::PutOptions options) {
  ENSURE(!stopped_, "a put after stop");
  WEIR_CO_TRY(store::check_key(key));
  World& world = bucket_.world_;
  Incarnation& process = current_sim_reactor().process();
  if (options.deadline != base::MonoTime{} && options.deadline <= world.now()) {
    co_return fail(ErrorKind::cancelled, "deadline passed before the put began");
  }
  auto op = begin_op<Result<void>>();
  world.note("store.put_issued", name_hash(key), bytes::total_size(body));
  const auto fate = bucket_.draw_fate(true);
  const base::Duration latency = bucket_.latency(bytes::total_size(body));
  const base::Duration timeout = std::max(bucket_.profile_.timeout, latency);
  const auto lost = [op] { op->complete(fail(ErrorKind::unknown_outcome, "no reply from the store")); };
  const runtime::TimerId deadline = arm_deadline(op, options.deadline, ErrorKind::unknown_outcome);
  switch (fate) {
    case Bucket::Fate::refused:
    case Bucket::Fate::keys_refused:
      world.after(latency, [op, error = bucket_.refusal(fate)] { op->complete(std::unexpected(error)); });
      break;
    case Bucket::Fate::request_lost:
      world.fire(Fault::store_lost_request);
      world.after(timeout, lost);
      break;
    case Bucket::Fate::late: {
      world.fire(Fault::store_applied_late);
      world.after(timeout, lost);
      ++bucket_.late_count_;
      Rng& rng = bucket_.rng_;
      const base::Duration extra =
          rng.percent(60) ? rng.between(std::chrono::milliseconds(1), std::chrono::minutes(1))
                          : rng.between(std::chrono::minutes(1),
                                        std::max<base::Duration>(bucket_.profile_.late_max, std::chrono::minutes(1)));
      world.after(timeout + extra, [bucket = &bucket_, key = std::move(key), body = std::move(body), options] {
        --bucket->late_count_;
        (void)bucket->apply_put(key, body, options);
      });
      break;
    }
    case Bucket::Fate::reply_lost:
    case Bucket::Fate::good: {
      if (bucket_.rng_.chance_ppm(bucket_.profile_.damaged_put_ppm)) {
        world.fire(Fault::store_damaged_put);
        world.after(latency, [op] { op->complete(fail(ErrorKind::corrupt, "the body that arrived has another checksum")); });
        break;
      }
      const bool reply = fate == Bucket::Fate::good;
      if (!reply) {
        world.fire(Fault::store_lost_reply);
        world.after(timeout, lost);
      }
      world.after(latency * 2 / 3, [bucket = &bucket_, process = &process, op, reply, rest = latency / 3, key = std::move(key),
                                    body = std::move(body), options] {
        Result<void> result = bucket->apply_put(key, body, options);
        bucket->world_.crash_point(*process, CrashPoint::store_put_applied);
        if (reply) bucket->world_.after(rest, [op, kept = std::move(result)] { op->complete(kept); });
      });
      break;
    }
  }
  world.crash_point(process, CrashPoint::store_put_issued);
  auto result = co_await Op<Result<void>>::wait(op);
  op->home().cancel_timer(deadline);
  co_return result;
}

template <class T>
Task<Result<T>> SimStore::read(std::string_view what, std::size_t bytes, base::MonoTime deadline,
                               std::move_only_function<Result<T>()> call) {
  ENSURE(!stopped_, "a store call after stop");
  World& world = bucket_.world_;
  if (deadline != base::MonoTime{} && deadline <= world.now()) {
    co_return fail(ErrorKind::cancelled, "deadline passed before the request began");
  }
  auto op = begin_op<Result<T>>();
  world.note(what, bytes);
  const auto fate = bucket_.draw_fate(false);
  const base::Duration latency = bucket_.latency(bytes);
  const base::Duration timeout = std::max(bucket_.profile_.timeout, latency);
  const runtime::TimerId timer = arm_deadline(op, deadline, ErrorKind::retry);
  if (fate == Bucket::Fate::refused || fate == Bucket::Fate::keys_refused) {
    world.after(latency, [op, error = bucket_.refusal(fate)] { op->complete(std::unexpected(error)); });
  } else if (fate != Bucket::Fate::good) {
    world.fire(Fault::store_lost_request);
    world.after(timeout, [op] { op->complete(fail(ErrorKind::retry, "no reply from the store")); });
  } else {
    world.after(latency, [op, call = std::move(call)]() mutable { op->complete(call()); });
  }
  auto result = co_await Op<Result<T>>::wait(op);
  op->home().cancel_timer(timer);
  co_return result;
}

Task<Result<bytes::Buffer>> SimStore::get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                          store::GetOptions options) {
  WEIR_CO_TRY(store::check_key(key));
  co_return co_await read<bytes::Buffer>(
      "store.get", size_bytes, options.deadline,
      [bucket = &bucket_, key = std::move(key), offset_bytes, size_bytes]() -> Result<bytes::Buffer> {
        const auto it = bucket->objects_.find(key);
        if (it == bucket->objects_.end()) return fail(ErrorKind::not_found, "no object " + key);
        const bytes::Buffer& body = it->second.body;
        const std::size_t rest = body.size() - std::min<std::size_t>(offset_bytes, body.size());
        const std::size_t count = size_bytes == 0 ? rest : std::min<std::size_t>(size_bytes, rest);
        if (count > 0 && bucket->rng_.chance_ppm(bucket->profile_.damaged_read_ppm)) {
          bucket->world_.fire(Fault::store_damaged_read);
          bytes::SlabRef slab = bytes::SlabRef::allocate(count);
          std::copy_n(body.data() + offset_bytes, count, slab.writable().data());
          slab.writable()[bucket->rng_.below(count)] ^= static_cast<std::byte>(1U << bucket->rng_.below(8));
          return bytes::Buffer(std::move(slab), 0, count);
        }
        return count == 0 ? bytes::Buffer() : body.slice(offset_bytes, count);
      });
}

Task<Result<store::ObjectInfo>> SimStore::head(std::string key, store::GetOptions options) {
  WEIR_CO_TRY(store::check_key(key));
  co_return co_await read<store::ObjectInfo>("store.head", 0, options.deadline,
                                             [bucket = &bucket_, key = std::move(key)]() -> Result<store::ObjectInfo> {
                                               const auto it = bucket->objects_.find(key);
                                               if (it == bucket->objects_.end())
                                                 return fail(ErrorKind::not_found, "no object " + key);
                                               return store::ObjectInfo{key, it->second.body.size(), it->second.modified_ms};
                                             });
}

Task<Result<store::ListPage>> SimStore::list(std::string prefix, std::string start_after, store::GetOptions options) {
  co_return co_await read<store::ListPage>(
      "store.list", 0, options.deadline,
      [bucket = &bucket_, prefix = std::move(prefix), start_after = std::move(start_after)]() -> Result<store::ListPage> {
        store::ListPage page;
        if (bucket->rng_.chance_ppm(bucket->profile_.stale_list_ppm)) {
          bucket->world_.fire(Fault::store_stale_list);
          const base::Duration age = bucket->rng_.between(std::chrono::seconds(1), bucket->profile_.stale_max);
          for (const auto& [key, size_bytes] : bucket->names_at(bucket->world_.now() - age)) {
            if (!key.starts_with(prefix) || key <= start_after) continue;
            page.objects.push_back({key, size_bytes, bucket->world_.wall_ms()});
            if (page.objects.size() < bucket->profile_.list_page_max) continue;
            page.next_start_after = key;
            break;
          }
          return page;
        }
        auto it = start_after < prefix ? bucket->objects_.lower_bound(prefix) : bucket->objects_.upper_bound(start_after);
        for (; it != bucket->objects_.end() && it->first.starts_with(prefix); ++it) {
          if (page.objects.size() == bucket->profile_.list_page_max) {
            page.next_start_after = page.objects.back().key;
            break;
          }
          page.objects.push_back({it->first, it->second.body.size(), it->second.modified_ms});
        }
        return page;
      });
}

Task<Result<void>> SimStore::remove(std::vector<std::string> keys, store::GetOptions options) {
  ENSURE(!stopped_, "a remove after stop");
  for (const std::string& key : keys) WEIR_CO_TRY(store::check_key(key));
  World& world = bucket_.world_;
  Incarnation& process = current_sim_reactor().process();
  if (options.deadline != base::MonoTime{} && options.deadline <= world.now()) {
    co_return fail(ErrorKind::cancelled, "deadline passed before the remove began");
  }
  auto op = begin_op<Result<void>>();
  world.note("store.remove", keys.size());
  const auto fate = bucket_.draw_fate(false);
  const base::Duration latency = bucket_.latency(0);
  const base::Duration timeout = std::max(bucket_.profile_.timeout, latency);
  const runtime::TimerId timer = arm_deadline(op, options.deadline, ErrorKind::unknown_outcome);
  if (fate == Bucket::Fate::refused || fate == Bucket::Fate::keys_refused) {
    world.after(latency, [op, error = bucket_.refusal(fate)] { op->complete(std::unexpected(error)); });
  } else if (fate == Bucket::Fate::request_lost) {
    world.fire(Fault::store_lost_request);
    world.after(timeout, [op] { op->complete(fail(ErrorKind::unknown_outcome, "no reply from the store")); });
  } else {
    const bool reply = fate == Bucket::Fate::good && !bucket_.rng_.chance_ppm(bucket_.profile_.partial_remove_ppm);
    world.after(latency, [bucket = &bucket_, process = &process, op, reply, timeout, keys = std::move(keys)] {
      // A lost reply may also mean that only some of the keys are gone.
      const bool partial = !reply && keys.size() > 1;
      const std::size_t count = partial ? bucket->rng_.below(keys.size()) : keys.size();
      if (partial) bucket->world_.fire(Fault::store_remove_partial);
      for (std::size_t i = 0; i < count; ++i) bucket->apply_remove(keys[i]);
      bucket->world_.crash_point(*process, CrashPoint::store_remove_applied);
      if (reply) {
        op->complete({});
        return;
      }
      bucket->world_.fire(Fault::store_lost_reply);
      bucket->world_.after(timeout, [op] { op->complete(fail(ErrorKind::unknown_outcome, "no reply from the store")); });
    });
  }
  auto result = co_await Op<Result<void>>::wait(op);
  op->home().cancel_timer(timer);
  co_return result;
}

std::optional<base::WallMs> SimStore::now_ms() const {
  if (bucket_.profile_.clock_ahead_ms != 0) bucket_.world_.fire(Fault::store_clock_off);
  return bucket_.world_.wall_ms() + bucket_.profile_.clock_ahead_ms;
}

Task<void> SimStore::stop() {
  stopped_ = true;
  co_return;
}

}  // namespace weir::sim
