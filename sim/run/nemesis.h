// sim/run/nemesis.h: draws faults for the running cluster by the plan's weights, and takes them all back at the end.
#pragma once

#include <functional>
#include <vector>

#include "sim/run/cluster.h"
#include "sim/run/plan.h"
#include "sim/workload.h"

namespace weir::sim {

class Nemesis {
 public:
  Nemesis(Cluster& cluster, Workload& workload, const Plan& plan);
  void start();
  /// No new faults; every lasting one ends now.
  void stop();

 private:
  void next();
  void act(Action action);
  void crash(bool power);
  void arm_crash();
  void for_a_while(base::Duration duration, std::function<void()> undo);
  void disk_errors();
  void store_lies();
  void keyspace_lies();
  void flip_bits();
  void heal_all();
  Cluster& cluster_;
  Workload& workload_;
  const Plan& plan_;
  World& world_;
  Rng rng_;
  bool active_ = false;
  std::vector<RotPlace> rotten_;
};

}  // namespace weir::sim
