// sim/run/nemesis.h: draws faults for the running cluster by the plan's weights, and takes them all back at the end.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/run/cluster.h"
#include "sim/run/plan.h"
#include "sim/store.h"
#include "sim/workload.h"

namespace weir::sim {

class Nemesis {
 public:
  Nemesis(Cluster& cluster, Workload& workload, const Plan& plan);
  void start();
  /// No new faults; every lasting one ends now.
  void stop();
  /// A line that the broker logs.
  void heard(std::string_view line);
  /// A change of the store.
  void stored(const StoreEvent& event);

 private:
  void next();
  void act(Action action);
  void crash(bool power);
  void arm_crash();
  void arm_crash_on_volatile_write();
  void lose_power_before_upload();
  void arm_crash_behind_a_hole();
  void crash_before_upload();
  void for_a_while(base::Duration duration, std::function<void()> undo);
  void disk_errors();
  void store_lies();
  void keyspace_lies();
  void harm_the_cache();
  void flip_bits();
  bool rot(const RotAim& aim, base::Duration duration);
  bool keep_rotten(const std::optional<RotPlace>& place, base::Duration duration);
  void rot_what_is_read_back();
  void rot_at_a_switch(int looks_left);
  void when_ready(int looks_left, std::function<void()> then);
  void seal_session();
  void answers_are_late(base::Duration duration);
  void heal_all();
  Cluster& cluster_;
  Workload& workload_;
  const Plan& plan_;
  World& world_;
  Rng rng_;
  Rng store_rng_;  ///< apart, so that what was added later does not shift the other draws
  Rng split_rng_;  ///< the same
  Rng hole_rng_;   ///< the same
  bool active_ = false;
  base::MonoTime late_until_{};  ///< the broker's answers may be late until then: it is paused, or a shard of it stands still
  std::vector<RotPlace> rotten_;
  base::MonoTime rot_until_{};  ///< a bit is flipped, or will be: no other one is
  std::uint64_t sealed_process_ = 0;
};

}  // namespace weir::sim
