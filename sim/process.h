// sim/process.h: simulated machines and processes: reactors on virtual time, pauses, kills, restarts, and the doors of one run.
// Why:        the broker takes a runtime::Runtime from its constructor; this makes one whose every door the seed controls.
// Contract:   a Host has a disk, an address and a wall clock that may jump. A Process on it is started again after each death;
//             each run is an Incarnation with doors of its own. kill() is kill -9: no destructor runs, what the process owned is
//             leaked, locks and connections go, writes in flight have a fate of their own (disk.h). A process whose main task
//             returned has exited.
// Invariants: at most one incarnation of a process is alive (asserted in start()).
// Tests:      sim/process_test.cc, runtime/testing/reactor_conformance.h
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/task.h"
#include "sim/world.h"

namespace weir::sim {

class Disk;
class Fabric;
class Host;
class Incarnation;
class Process;

inline constexpr std::size_t log_lines_kept_max = 400;
inline constexpr std::size_t blocking_threads_max = 4;

class SimReactor final : public runtime::Reactor {
 public:
  SimReactor(World& world, Incarnation& process, runtime::ShardId shard);
  [[nodiscard]] base::MonoTime now() const override { return world_.now(); }
  [[nodiscard]] base::WallMs wall_now_ms() const override;
  [[nodiscard]] std::uint64_t random() override { return rng_.next(); }
  void post(runtime::Callback callback) override;
  runtime::TimerId call_at(base::MonoTime when, runtime::Callback callback) override;
  void cancel_timer(runtime::TimerId id) override { world_.cancel(id); }

  /// From the world (a device, the network): runs on this reactor as the next event of this instant.
  void deliver(runtime::Callback callback) { world_.at(world_.now(), this, std::move(callback)); }
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] Incarnation& process() const { return process_; }
  [[nodiscard]] World& world() const { return world_; }
  [[nodiscard]] bool dead() const;
  [[nodiscard]] bool held() const;
  /// This shard's thread gets no processor until then; the process's others run on.
  void stall_until(base::MonoTime when);

 private:
  friend class World;
  friend class Incarnation;
  friend class Process;
  void run(runtime::Callback& callback);
  void release_held();
  void flush_held();
  World& world_;
  Incarnation& process_;
  std::uint64_t id_;
  Rng rng_;
  base::MonoTime stalled_until_{};
  std::deque<std::uint32_t> held_slots_;               ///< events that came while held, in order
  std::map<std::uint64_t, base::MonoTime> last_from_;  ///< per posting reactor: keeps its posts in order
};

/// The simulated reactor that runs now; asserts that there is one.
SimReactor& current_sim_reactor();

class SimBlockingPool final : public runtime::BlockingPool {
 public:
  explicit SimBlockingPool(Incarnation& process) : process_(process) {}
  void submit(runtime::Reactor& home, runtime::Callback job, runtime::Callback done) override;

 private:
  void finish(SimReactor& home, runtime::Callback job, runtime::Callback done);
  Incarnation& process_;
  base::MonoTime free_at_[blocking_threads_max] = {};
};

class SimLogger final : public runtime::Logger {
 public:
  explicit SimLogger(Incarnation& process) : process_(process) {}
  [[nodiscard]] bool enabled(runtime::LogLevel level) const override;
  void write(runtime::LogLevel level, std::string_view room, std::string_view message,
             std::initializer_list<runtime::Field> fields) override;

 private:
  Incarnation& process_;
};

class SimMetrics final : public runtime::Metrics {
 public:
  runtime::Counter& counter(const runtime::MetricDecl& decl, std::string_view labels) override;
  runtime::Gauge& gauge(const runtime::MetricDecl& decl, std::string_view labels) override;
  runtime::LatencyHistogram& histogram(const runtime::MetricDecl& decl, std::string_view labels) override;
  [[nodiscard]] std::string render(Detail detail) const override;
  /// name, or name{labels} -> value, of all counters.
  [[nodiscard]] std::map<std::string, std::uint64_t> counters() const;

 private:
  std::map<std::string, std::unique_ptr<runtime::Counter>> counters_;
  std::map<std::string, std::unique_ptr<runtime::Gauge>> gauges_;
  std::map<std::string, std::unique_ptr<runtime::LatencyHistogram>> histograms_;
};

/// One run of a process, with its doors. Never destroyed while coroutines of it exist (see World's contract).
class Incarnation {
 public:
  Incarnation(Process& owner, std::size_t shard_count);
  Incarnation(const Incarnation&) = delete;
  Incarnation& operator=(const Incarnation&) = delete;
  ~Incarnation();
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool dead() const { return dead_; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] bool may_crash() const;
  [[nodiscard]] Process& owner() const { return owner_; }
  [[nodiscard]] Host& host() const;
  [[nodiscard]] World& world() const;
  runtime::Runtime& runtime() { return runtime_; }
  SimReactor& shard(std::size_t index) { return *shards_.at(index); }
  [[nodiscard]] std::size_t shard_count() const { return shards_.size(); }
  [[nodiscard]] const SimMetrics& metrics() const { return metrics_; }
  Rng& rng() { return rng_; }

 private:
  friend class Process;
  void set_paused(bool paused);
  Process& owner_;
  std::uint64_t id_;
  Rng rng_;
  bool dead_ = false;
  bool paused_ = false;
  std::vector<std::unique_ptr<SimReactor>> shards_;
  SimBlockingPool blocking_{*this};
  SimLogger logger_{*this};
  SimMetrics metrics_;
  std::unique_ptr<runtime::FileSystem> files_;
  std::unique_ptr<runtime::Network> network_;
  runtime::Runtime runtime_;
  std::function<runtime::Task<void>(runtime::Runtime&)> main_;
};

class Host {
 public:
  /// The address is what its processes listen on and are connected to, e.g. "10.0.0.1".
  Host(World& world, Fabric& fabric, std::string address, std::uint64_t disk_capacity_bytes);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();
  [[nodiscard]] World& world() const { return world_; }
  [[nodiscard]] Fabric& fabric() const { return fabric_; }
  [[nodiscard]] const std::string& address() const { return address_; }
  Disk& disk() { return *disk_; }
  [[nodiscard]] base::WallMs wall_ms() const { return world_.wall_ms() + wall_offset_ms_; }
  void jump_wall_clock(std::int64_t by_ms);
  /// Set right again (by NTP, say).
  void correct_wall_clock() { wall_offset_ms_ = 0; }
  /// Kills its processes; everything volatile is gone.
  void lose_power();
  [[nodiscard]] bool powered() const { return powered_; }

 private:
  friend class Process;
  World& world_;
  Fabric& fabric_;
  std::string address_;
  std::int64_t wall_offset_ms_ = 0;
  bool powered_ = true;  ///< false from a power loss to the next start of a process here
  std::vector<Process*> processes_;
  std::unique_ptr<Disk> disk_;
};

struct ProcessOptions {
  std::string name;
  std::size_t shard_count = 1;
  bool may_crash = true;  ///< armed crash points strike it
  bool log_debug = false;
  /// Sees every line as it is written.
  std::function<void(std::string_view line)> on_log = {};
};

class Process {
 public:
  using Main = std::function<runtime::Task<void>(runtime::Runtime&)>;
  Process(Host& host, ProcessOptions options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();
  [[nodiscard]] const std::string& name() const { return options_.name; }
  [[nodiscard]] const ProcessOptions& options() const { return options_; }
  void on_log(std::function<void(std::string_view line)> observer) { options_.on_log = std::move(observer); }
  [[nodiscard]] Host& host() const { return host_; }
  [[nodiscard]] World& world() const { return host_.world(); }
  /// Runs main on shard 0 of a new incarnation. main is kept until the incarnation is gone.
  void start(Main main);
  /// True until it is killed or its main returned.
  [[nodiscard]] bool running() const { return current_ != nullptr && !current_->dead(); }
  [[nodiscard]] bool exited() const { return exited_; }
  /// The newest incarnation, dead or alive; null before the first start.
  [[nodiscard]] Incarnation* current() const { return current_; }
  [[nodiscard]] std::uint64_t starts() const { return incarnations_.size(); }
  void kill();
  void pause_for(base::Duration duration);
  void resume();
  void stall_shard(std::size_t index, base::Duration duration);
  /// Counters of all incarnations added together: name, or name{labels}.
  [[nodiscard]] std::map<std::string, std::uint64_t> counters() const;
  [[nodiscard]] const std::deque<std::string>& log_lines() const { return log_lines_; }
  [[nodiscard]] std::uint64_t error_lines() const { return error_lines_; }

 private:
  friend class Host;
  friend class SimLogger;
  void end(bool by_power_loss);
  Host& host_;
  ProcessOptions options_;
  std::vector<std::unique_ptr<Incarnation>> incarnations_;
  Incarnation* current_ = nullptr;
  bool exited_ = false;
  runtime::TimerId resume_timer_ = 0;
  std::deque<std::string> log_lines_;
  std::uint64_t error_lines_ = 0;
};

}  // namespace weir::sim
