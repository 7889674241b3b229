#include "sim/run/nemesis.h"

#include <numeric>
#include <string>
#include <utility>

#include "meta/codec.h"
#include "meta/keys.h"
#include "object/object_key.h"

namespace weir::sim {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {
constexpr int switch_looks_max = 200;  // for a change of segments, half a second apart
constexpr base::Duration store_outage_duration = minutes(60);
constexpr int ready_looks_max = 600;  // for the broker's being ready, 50 ms apart
}  // namespace

Nemesis::Nemesis(Cluster& cluster, Workload& workload, const Plan& plan)
    : cluster_(cluster),
      workload_(workload),
      plan_(plan),
      world_(cluster.world),
      rng_(cluster.world.rng("nemesis")),
      store_rng_(plan.seed ^ name_hash("nemesis.store")),
      split_rng_(plan.seed ^ name_hash("nemesis.split")),
      hole_rng_(plan.seed ^ name_hash("nemesis.hole")) {}

void Nemesis::start() {
  active_ = true;
  if (plan_.store_outage) {
    world_.after(store_rng_.between(seconds(10), minutes(8)), [this] {
      if (active_) cluster_.bucket.outage(store_outage_duration);
    });
  }
  if (plan_.weights[static_cast<std::size_t>(Action::crash_at_io)] > 0 && rng_.percent(80)) {
    // Deletions in the store are few: one of the first is met.
    world_.arm_crash(CrashPoint::store_remove_applied, rng_.between(1, 3),
                     [this](Incarnation&, CrashPoint) { crash(rng_.percent(50)); });
  }
  next();
}

void Nemesis::stop() {
  active_ = false;
  heal_all();
  // A broker that knows itself sealed acknowledges nothing and uploads nothing: somebody restarts it.
  const bool runs = cluster_.broker_process.running();
  if (runs && sealed_process_ == cluster_.broker_process.current()->id()) crash(false);
}

void Nemesis::heal_all() {
  for (const RotPlace& place : rotten_) cluster_.broker_host.disk().unrot(place);
  cluster_.broker_host.correct_wall_clock();
  world_.disarm_crash();
  cluster_.broker_process.resume();
  cluster_.fabric.heal();
  cluster_.fabric.profile() = {};
  cluster_.broker_host.disk().profile() = {};
  cluster_.bucket.heal();
  cluster_.bucket.profile() = {};
  cluster_.keyspace.heal();
  cluster_.keyspace.profile() = {};
}

void Nemesis::next() {
  if (!active_) return;
  world_.after(rng_.tailed(plan_.action_pause_least, plan_.action_pause_tail), [this] {
    if (!active_) return;
    const std::uint32_t total = std::accumulate(plan_.weights.begin(), plan_.weights.end(), 0U);
    if (total > 0) {
      std::uint64_t draw = rng_.below(total);
      std::size_t index = 0;
      while (draw >= plan_.weights[index]) draw -= plan_.weights[index++];
      world_.note("nemesis", index);
      act(static_cast<Action>(index));
    }
    next();
  });
}

void Nemesis::for_a_while(base::Duration duration, std::function<void()> undo) { world_.after(duration, std::move(undo)); }

void Nemesis::crash(bool power) {
  if (power) {
    cluster_.broker_host.lose_power();
  } else {
    cluster_.broker_process.kill();
  }
}

void Nemesis::arm_crash() {
  if (rng_.percent(20)) {
    arm_crash_on_volatile_write();
    return;
  }
  if (hole_rng_.percent(30)) {
    arm_crash_behind_a_hole();
    return;
  }
  const bool power = rng_.percent(50);
  // Half the time one certain kind of instant, so that the rare ones (a rename, a created file) are met too.
  const auto kind = rng_.percent(50) ? CrashPoint::count_ : static_cast<CrashPoint>(rng_.below(crash_point_count));
  const std::uint64_t nth = kind == CrashPoint::count_ ? rng_.between(1, 300) : rng_.between(1, 12);
  world_.arm_crash(kind, nth, [this, power](Incarnation&, CrashPoint) { crash(power); });
}

// A kill leaves a group readable but volatile; the next process finds it, perhaps serves it and builds on it, and then the power
// goes: while the group is read and not yet flushed, or soon after the start, before the group is in an object.
void Nemesis::arm_crash_on_volatile_write() {
  world_.arm_crash(CrashPoint::synced_write_landed, rng_.between(1, 40), [this](Incarnation&, CrashPoint) {
    DiskProfile& profile = cluster_.broker_host.disk().profile();
    const std::uint32_t usual = std::exchange(profile.kill_leaves_volatile_percent, 100);
    crash(false);
    profile.kill_leaves_volatile_percent = usual;
    if (rng_.percent(30)) {
      world_.arm_crash(CrashPoint::sync_of_read, 1, [this](Incarnation&, CrashPoint) { crash(true); });
      return;
    }
    for_a_while(milliseconds(1), [this] { when_ready(ready_looks_max, [this] { lose_power_before_upload(); }); });
  });
}

// A group is on the disk and an older one is not: what it holds is dead for ever. The next process uses its offsets again, and ends
// before any of it is in an object: a third one finds both.
void Nemesis::arm_crash_behind_a_hole() {
  world_.arm_crash(CrashPoint::synced_write_passed, hole_rng_.between(1, 20), [this](Incarnation&, CrashPoint) {
    world_.fire(Fault::kill_behind_a_hole);
    DiskProfile& profile = cluster_.broker_host.disk().profile();
    const std::uint32_t usual = std::exchange(profile.kill_leaves_volatile_percent, 0);
    profile.kill_loses_in_flight = true;
    crash(false);
    profile.kill_loses_in_flight = false;
    profile.kill_leaves_volatile_percent = usual;
    for_a_while(milliseconds(1), [this] { when_ready(ready_looks_max, [this] { crash_before_upload(); }); });
  });
}

void Nemesis::crash_before_upload() {
  const base::Duration used = hole_rng_.between(milliseconds(100), seconds(4));
  cluster_.bucket.brown_out(used);
  const bool power = hole_rng_.percent(30);
  for_a_while(used, [this, power] {
    if (!active_ || !cluster_.ready()) return;
    world_.fire(Fault::crash_after_a_hole);
    crash(power);
  });
}

void Nemesis::lose_power_before_upload() {
  const base::Duration used = rng_.between(milliseconds(500), seconds(6));  // clients come back and meet what was recovered
  cluster_.bucket.brown_out(used);
  for_a_while(used, [this] {
    if (!active_) return;
    if (cluster_.ready() && cluster_.broker_host.disk().volatile_write_was_read()) world_.fire(Fault::power_after_restart);
    crash(true);
  });
}

void Nemesis::disk_errors() {
  DiskProfile& profile = cluster_.broker_host.disk().profile();
  static constexpr std::uint32_t chances[] = {200, 2'000, 20'000, 200'000};
  if (rng_.percent(60)) profile.write_eio_ppm = chances[rng_.below(std::size(chances))];
  // A group fails until nobody tries again: its records are void. Each failure takes a segment, often all of a small WAL.
  if (rng_.percent(30)) profile.write_eio_ppm = 900'000;
  if (rng_.percent(70)) profile.sync_eio_ppm = chances[rng_.below(std::size(chances))];
  if (rng_.percent(40)) profile.read_eio_ppm = chances[rng_.below(std::size(chances))];
  if (plan_.cache_disk_bytes > 0 && store_rng_.percent(50)) profile.read_eio_ppm = 300'000;  // of few reads some must fail
  if (rng_.percent(40)) profile.metadata_eio_ppm = chances[rng_.below(std::size(chances))];
  if (rng_.percent(30)) profile.write_enospc_ppm = chances[rng_.below(std::size(chances))];
  for_a_while(rng_.between(milliseconds(200), seconds(20)), [&profile] {
    profile.write_eio_ppm = profile.sync_eio_ppm = profile.read_eio_ppm = profile.metadata_eio_ppm = profile.write_enospc_ppm =
        0;
  });
}

// Copies of records that were just declared void, and answered as not appended, are on the disk: nobody may find them again.
void Nemesis::heard(std::string_view line) {
  if (line.find("gives up what is not confirmed") == std::string_view::npos || !active_ || !rng_.percent(50)) return;
  const bool power = rng_.percent(30);
  for_a_while(rng_.between(milliseconds(1), milliseconds(150)),
              [this, power, process = cluster_.broker_process.current()->id()] {
                if (!active_ || !cluster_.broker_process.running() || cluster_.broker_process.current()->id() != process)
                  return;
                world_.fire(Fault::crash_after_void);
                crash(power);
              });
}

// A partition's history is on its way into its manifest: objects and pages are put, then man/P is moved, then the shard is told. The
// process ends somewhere in between.
void Nemesis::stored(const StoreEvent& event) {
  if (event.kind != StoreEvent::Kind::put || !active_ || plan_.weights[static_cast<std::size_t>(Action::crash_at_io)] == 0)
    return;
  const auto name = object::parse_object_key(event.key);
  if (!name || !name->manifest_of || !cluster_.broker_process.running() || !split_rng_.percent(5)) return;
  const auto revision = [this, key = meta::keys::manifest(*name->manifest_of)] {
    const auto entry = cluster_.keyspace.entries().find(key);
    return entry == cluster_.keyspace.entries().end() ? 0 : entry->second.mod_revision;
  };
  const bool power = split_rng_.percent(30);
  for_a_while(split_rng_.between(base::Duration(0), base::Duration(milliseconds(5))),
              [this, power, revision, before = revision(), process = cluster_.broker_process.current()->id()] {
                if (!active_ || !cluster_.broker_process.running() || cluster_.broker_process.current()->id() != process)
                  return;
                world_.fire(revision() == before ? Fault::crash_before_manifest : Fault::crash_after_manifest);
                crash(power);
              });
}

void Nemesis::store_lies() {
  StoreProfile& profile = cluster_.bucket.profile();
  if (rng_.percent(50)) profile.lose_request_ppm = 100'000;
  if (rng_.percent(50)) profile.lose_reply_ppm = 200'000;
  if (rng_.percent(50)) profile.apply_late_ppm = 200'000;
  if (rng_.percent(30)) profile.damaged_read_ppm = 50'000;
  if (store_rng_.percent(30)) profile.damaged_put_ppm = 200'000;
  // Until all heals: deletions, lists and looks at the store's clock are few.
  profile.partial_remove_ppm = 500'000;
  profile.stale_list_ppm = store_rng_.percent(50) ? 500'000 : 0;
  profile.clock_ahead_ms = store_rng_.percent(50) ? static_cast<std::int64_t>(store_rng_.between(0, 3'600'000)) - 1'800'000 : 0;
  profile.late_max = plan_.rest_long ? late_put_max : minutes(8);
  for_a_while(rng_.between(seconds(5), seconds(60)), [&profile] {
    profile.lose_request_ppm = profile.lose_reply_ppm = profile.apply_late_ppm = profile.damaged_read_ppm =
        profile.damaged_put_ppm = 0;
  });
}

void Nemesis::keyspace_lies() {
  KeyspaceProfile& profile = cluster_.keyspace.profile();
  if (rng_.percent(50)) profile.lose_request_ppm = 100'000;
  if (rng_.percent(50)) profile.lose_reply_ppm = 200'000;
  if (rng_.percent(50)) profile.apply_late_ppm = 200'000;
  if (rng_.percent(50)) profile.refuse_ppm = 100'000;
  if (rng_.percent(50)) profile.slow_ppm = 100'000;
  if (rng_.percent(30)) profile.break_watch_ppm = 200'000;
  if (rng_.percent(30)) cluster_.keyspace.compact(cluster_.keyspace.revision());
  for_a_while(rng_.between(seconds(5), seconds(40)), [&profile] {
    profile.lose_request_ppm = profile.lose_reply_ppm = profile.apply_late_ppm = profile.refuse_ppm = profile.slow_ppm =
        profile.break_watch_ppm = 0;
  });
}

void Nemesis::act(Action action) {
  Disk& disk = cluster_.broker_host.disk();
  switch (action) {
    case Action::kill: crash(false); break;
    case Action::power_loss: crash(true); break;
    case Action::crash_at_io: arm_crash(); break;
    case Action::clean_restart: cluster_.request_stop(); break;
    case Action::pause: {
      const base::Duration duration = rng_.between(milliseconds(50), seconds(20));
      answers_are_late(duration);
      cluster_.broker_process.pause_for(duration);
      break;
    }
    case Action::stall_shard: {
      const std::size_t shard = rng_.below(plan_.shard_count);
      const base::Duration duration = rng_.between(milliseconds(10), seconds(5));
      answers_are_late(duration);
      cluster_.broker_process.stall_shard(shard, duration);
      break;
    }
    case Action::clock_jump: {
      const auto jump = static_cast<std::int64_t>(rng_.between(1, 1'800'000));
      cluster_.broker_host.correct_wall_clock();  // two jumps that add up would make clients' times refused, rightly
      cluster_.broker_host.jump_wall_clock(rng_.percent(50) ? jump : -jump);
      for_a_while(rng_.between(seconds(5), seconds(60)), [this] { cluster_.broker_host.correct_wall_clock(); });
      break;
    }
    case Action::cut_connection: cluster_.fabric.cut_one(); break;
    case Action::partition_network:
      workload_.sealed = {};
      cluster_.fabric.partition(cluster_.broker_host.address(), cluster_.client_host.address(),
                                rng_.between(milliseconds(100), seconds(60)));
      break;
    case Action::flaky_network: {
      workload_.sealed = {};
      NetworkProfile& profile = cluster_.fabric.profile();
      profile.cut_ppm = static_cast<std::uint32_t>(rng_.between(0, 20'000));
      profile.half_open_ppm = rng_.percent(50) ? 2'000 : 0;
      profile.refuse_ppm = rng_.percent(50) ? 200'000 : 0;
      profile.latency_tail = rng_.between(milliseconds(0), milliseconds(50));
      for_a_while(rng_.between(seconds(2), seconds(30)), [&profile] { profile = {}; });
      break;
    }
    case Action::disk_errors: disk_errors(); break;
    case Action::disk_slow:
      disk.profile().slow_ppm = static_cast<std::uint32_t>(rng_.between(1'000, 500'000));
      for_a_while(rng_.between(seconds(1), seconds(20)), [&disk] { disk.profile().slow_ppm = 0; });
      break;
    case Action::disk_full:
      disk.profile().full = true;
      for_a_while(rng_.between(seconds(1), seconds(40)), [&disk] { disk.profile().full = false; });
      break;
    case Action::store_brownout: cluster_.bucket.brown_out(rng_.between(seconds(1), minutes(3))); break;
    case Action::store_errors: {
      StoreProfile& profile = cluster_.bucket.profile();
      profile.refuse_ppm = static_cast<std::uint32_t>(rng_.between(10'000, 700'000));
      profile.slow_ppm = static_cast<std::uint32_t>(rng_.between(0, 300'000));
      if (store_rng_.percent(30)) profile.refuse_keys_ppm = store_rng_.percent(50) ? 1'000'000 : 300'000;
      for_a_while(rng_.between(seconds(2), seconds(60)),
                  [&profile] { profile.refuse_ppm = profile.refuse_keys_ppm = profile.slow_ppm = 0; });
      break;
    }
    case Action::store_lies: store_lies(); break;
    case Action::keyspace_outage: cluster_.keyspace.outage(rng_.between(milliseconds(200), seconds(40))); break;
    case Action::keyspace_lies: keyspace_lies(); break;
    case Action::bit_rot: flip_bits(); break;
    case Action::seal_session: seal_session(); break;
    case Action::count_: break;
  }
}

// One flipped bit at a time, in bytes that were written long enough ago that later groups have stated them, and flipped back
// after a while: the broker must say "damaged" in between and lose nothing.
void Nemesis::flip_bits() {
  harm_the_cache();
  if (world_.now() < rot_until_) return;
  const std::uint64_t draw = rng_.below(100);
  if (draw < 35) {
    rot({.age_min = seconds(20), .later_writes_min = 30}, rng_.between(seconds(5), seconds(90)));
  } else if (draw < 65) {
    rot_what_is_read_back();
  } else {
    rot_until_ = world_.now() + minutes(3);
    rot_at_a_switch(switch_looks_max);
  }
}

// Nothing in the disk cache is needed: any of it may be damaged or vanish, for good, and nobody may notice.
void Nemesis::harm_the_cache() {
  Disk& disk = cluster_.broker_host.disk();
  const std::vector<std::string> files = disk.files_below("/data/cache");
  if (files.empty()) return;
  if (store_rng_.percent(25)) {
    for (const std::string& file : files) (void)disk.remove(file, false);
    world_.fire(Fault::disk_cache_removed);
    return;
  }
  for (int flips = 0; flips < 60; ++flips) {
    const std::string& file = files[store_rng_.below(files.size())];
    if (disk.rot(file, store_rng_.below(plan_.cache_disk_slab_bytes))) world_.fire(Fault::disk_cache_rot);
  }
}

bool Nemesis::rot(const RotAim& aim, base::Duration duration) {
  return keep_rotten(cluster_.broker_host.disk().rot_old_write("/data/wal", aim), duration);
}

bool Nemesis::keep_rotten(const std::optional<RotPlace>& place, base::Duration duration) {
  if (!place) return false;
  workload_.lenient = true;
  rotten_.push_back(*place);
  rot_until_ = world_.now() + duration;
  for_a_while(duration, [this, place = *place] { cluster_.broker_host.disk().unrot(place); });
  return true;
}

// After a restart what was not uploaded is in the WAL only: the next upload and whoever reads the tail read it back from there.
void Nemesis::rot_what_is_read_back() {
  rot_until_ = world_.now() + minutes(1);
  crash(false);
  when_ready(ready_looks_max, [this] {
    rot({.age_min = seconds(3), .later_writes_min = 12, .among_newest = 20}, rng_.between(seconds(20), seconds(60)));
  });
}

// The statement of a high watermark stands in another segment than the record below it that rots. The partition is damaged over
// two restarts, in between everything else is uploaded and the WAL goes round: the statement must still be there.
void Nemesis::rot_at_a_switch(int looks_left) {
  if (!active_) return;
  const bool quiet = cluster_.ready() && late_until_ < world_.now() - seconds(4);
  const auto place =
      quiet ? cluster_.broker_host.disk().rot_before_switch("/data/wal", milliseconds(800), seconds(3), 6) : std::nullopt;
  if (!keep_rotten(place, minutes(3))) {
    if (looks_left > 0) for_a_while(milliseconds(500), [this, looks_left] { rot_at_a_switch(looks_left - 1); });
    return;
  }
  crash(false);
  for_a_while(rng_.between(seconds(45), seconds(110)), [this] {
    if (active_) crash(false);
  });
  for_a_while(minutes(3) + milliseconds(1), [this] {
    if (active_) crash(false);  // what was quarantined is judged anew
  });
}

void Nemesis::when_ready(int looks_left, std::function<void()> then) {
  if (!active_ || looks_left == 0) return;
  if (cluster_.ready()) {
    then();
    return;
  }
  for_a_while(milliseconds(50), [this, looks_left, then = std::move(then)] { when_ready(looks_left - 1, then); });
}

// An answer that was due long ago may now come at any time: it says nothing about the gate.
void Nemesis::answers_are_late(base::Duration duration) {
  late_until_ = std::max(late_until_, world_.now() + duration);
  workload_.sealed = {};
}

// Another process seals the broker's session, as the controller of a fleet does before it hands the partitions on. What the
// broker still has in flight when it learns of it must not be acknowledged: writes are made slow, so that there is something.
void Nemesis::seal_session() {
  if (!cluster_.ready() || late_until_ >= world_.now()) return;
  for (const auto& [key, entry] : cluster_.keyspace.entries()) {
    if (!key.starts_with("sess/")) continue;
    auto session = meta::decode_session({key, entry.value, entry.mod_revision});
    if (!session || session->state != meta::SessionState::live) continue;
    session->state = meta::SessionState::sealed;
    world_.fire(Fault::session_sealed);
    cluster_.keyspace.put_from_outside(key, meta::encode(key, *session));
    cluster_.fabric.profile() = {};
    cluster_.fabric.heal();
    cluster_.broker_host.disk().profile().slow_ppm = 1'000'000;
    const std::uint64_t process = cluster_.broker_process.current()->id();
    workload_.sealed = {.process = process};
    sealed_process_ = process;
    for_a_while(rng_.between(seconds(7), seconds(20)), [this, process] {
      cluster_.broker_host.disk().profile().slow_ppm = 0;
      if (workload_.sealed.process == process) workload_.sealed = {};
      if (cluster_.broker_process.running() && cluster_.broker_process.current()->id() == process) crash(false);
    });
    return;
  }
}

}  // namespace weir::sim
