#include "sim/process.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "runtime/submit.h"
#include "sim/disk.h"
#include "sim/files.h"
#include "sim/network.h"

namespace weir::sim {

// --- reactor ---

SimReactor::SimReactor(World& world, Incarnation& process, runtime::ShardId shard)
    : Reactor(shard), world_(world), process_(process), id_(world.next_id()), rng_(process.rng().fork("reactor")) {}

base::WallMs SimReactor::wall_now_ms() const { return process_.host().wall_ms(); }
bool SimReactor::dead() const { return process_.dead(); }
bool SimReactor::held() const { return process_.paused() || world_.now() < stalled_until_; }

void SimReactor::post(runtime::Callback callback) {
  Reactor* const source = current_or_null();
  if (source == nullptr || source == this) {
    deliver(std::move(callback));
    return;
  }
  // Another core: it arrives a little later, and in order with this poster's earlier ones.
  const std::uint64_t source_id = static_cast<SimReactor*>(source)->id();
  base::MonoTime& last = last_from_[source_id];
  last = std::max(last, world_.now() + base::Duration(static_cast<std::int64_t>(rng_.below(4'000))));
  world_.at(last, this, std::move(callback));
}

runtime::TimerId SimReactor::call_at(base::MonoTime when, runtime::Callback callback) {
  return world_.at(when, this, std::move(callback));
}

void SimReactor::run(runtime::Callback& callback) {
  const CurrentGuard guard(*this);
  callback();
}

void SimReactor::stall_until(base::MonoTime when) {
  stalled_until_ = std::max(stalled_until_, when);
  world_.at(when, nullptr, [this] { release_held(); });
}

void SimReactor::release_held() {
  if (!held()) flush_held();
}

void SimReactor::flush_held() {
  while (!held_slots_.empty()) {
    world_.enqueue(world_.now(), held_slots_.front());
    held_slots_.pop_front();
  }
}

SimReactor& current_sim_reactor() { return static_cast<SimReactor&>(runtime::Reactor::current()); }

// --- blocking pool ---

void SimBlockingPool::submit(runtime::Reactor& home, runtime::Callback job, runtime::Callback done) {
  World& world = process_.world();
  base::MonoTime& thread = *std::min_element(std::begin(free_at_), std::end(free_at_));
  thread = std::max(thread, world.now()) + process_.rng().tailed(std::chrono::microseconds(5), std::chrono::microseconds(30));
  world.at(thread, nullptr, [this, &home, job = std::move(job), done = std::move(done)]() mutable {
    finish(static_cast<SimReactor&>(home), std::move(job), std::move(done));
  });
}

void SimBlockingPool::finish(SimReactor& home, runtime::Callback job, runtime::Callback done) {
  if (process_.dead()) {
    World::bury(std::move(job));
    World::bury(std::move(done));
    return;
  }
  if (process_.paused()) {  // the pool's threads stand still too
    process_.world().after(std::chrono::milliseconds(10),
                           [this, &home, job = std::move(job), done = std::move(done)]() mutable {
                             finish(home, std::move(job), std::move(done));
                           });
    return;
  }
  job();
  home.deliver(std::move(done));
}

// --- logger ---

bool SimLogger::enabled(runtime::LogLevel level) const {
  return level != runtime::LogLevel::debug || process_.owner().options().log_debug;
}

void SimLogger::write(runtime::LogLevel level, std::string_view room, std::string_view message,
                      std::initializer_list<runtime::Field> fields) {
  static constexpr std::string_view level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
  std::string line = fmt::format("{} {} {}", level_names[static_cast<std::size_t>(level)], room, message);
  for (const runtime::Field& field : fields) fmt::format_to(std::back_inserter(line), " {}={}", field.key, field.value);
  Process& owner = process_.owner();
  World& world = process_.world();
  world.trace().text(world.now(), owner.name(), line);
  if (level == runtime::LogLevel::error) ++owner.error_lines_;
  if (owner.options_.on_log) owner.options_.on_log(line);
  if (owner.log_lines_.size() >= log_lines_kept_max) owner.log_lines_.pop_front();
  const double seconds = static_cast<double>((world.now() - world_start).count()) * 1e-9;
  owner.log_lines_.push_back(fmt::format("{:.6f} #{} {}", seconds, owner.starts(), line));
}

// --- metrics ---

namespace {
template <class Cell>
Cell& cell_of(std::map<std::string, std::unique_ptr<Cell>>& cells, const runtime::MetricDecl& decl, std::string_view labels) {
  std::string name(decl.name);
  if (!labels.empty()) name += fmt::format("{{{}}}", labels);
  std::unique_ptr<Cell>& cell = cells[name];
  if (!cell) cell = std::make_unique<Cell>();
  return *cell;
}
}  // namespace

runtime::Counter& SimMetrics::counter(const runtime::MetricDecl& decl, std::string_view labels) {
  return cell_of(counters_, decl, labels);
}
runtime::Gauge& SimMetrics::gauge(const runtime::MetricDecl& decl, std::string_view labels) {
  return cell_of(gauges_, decl, labels);
}
runtime::LatencyHistogram& SimMetrics::histogram(const runtime::MetricDecl& decl, std::string_view labels) {
  return cell_of(histograms_, decl, labels);
}

std::string SimMetrics::render(Detail /*detail*/) const {
  std::string out;
  for (const auto& [name, cell] : counters_) fmt::format_to(std::back_inserter(out), "{} {}\n", name, cell->value());
  for (const auto& [name, cell] : gauges_) fmt::format_to(std::back_inserter(out), "{} {}\n", name, cell->value());
  for (const auto& [name, cell] : histograms_) fmt::format_to(std::back_inserter(out), "{}_count {}\n", name, cell->count());
  return out;
}

std::map<std::string, std::uint64_t> SimMetrics::counters() const {
  std::map<std::string, std::uint64_t> values;
  for (const auto& [name, cell] : counters_) values[name] = cell->value();
  return values;
}

// --- incarnation ---

Incarnation::Incarnation(Process& owner, std::size_t shard_count)
    : owner_(owner), id_(owner.world().next_id()), rng_(owner.world().rng(owner.name())) {
  for (std::size_t i = 0; i < shard_count; ++i) {
    shards_.push_back(std::make_unique<SimReactor>(world(), *this, runtime::ShardId(static_cast<std::uint32_t>(i))));
    runtime_.shards.push_back(shards_.back().get());
  }
  files_ = std::make_unique<SimFileSystem>(*this);
  network_ = std::make_unique<SimNetwork>(*this);
  runtime_.files = files_.get();
  runtime_.network = network_.get();
  runtime_.blocking = &blocking_;
  runtime_.log = &logger_;
  runtime_.metrics = &metrics_;
}

Incarnation::~Incarnation() = default;

bool Incarnation::may_crash() const { return owner_.options().may_crash; }
Host& Incarnation::host() const { return owner_.host(); }
World& Incarnation::world() const { return owner_.world(); }

void Incarnation::set_paused(bool paused) {
  paused_ = paused;
  if (paused) return;
  for (const auto& shard : shards_) shard->release_held();
}

// --- host ---

Host::Host(World& world, Fabric& fabric, std::string address, std::uint64_t disk_capacity_bytes)
    : world_(world),
      fabric_(fabric),
      address_(std::move(address)),
      disk_(std::make_unique<Disk>(world, address_, disk_capacity_bytes)) {
  fabric_.add_host(*this);
}

Host::~Host() { fabric_.remove_host(*this); }

void Host::jump_wall_clock(std::int64_t by_ms) {
  wall_offset_ms_ += by_ms;
  world_.fire(Fault::clock_jump);
}

void Host::lose_power() {
  world_.fire(Fault::power_loss);
  powered_ = false;
  for (Process* process : processes_) process->end(true);
  disk_->lose_power();
}

// --- process ---

Process::Process(Host& host, ProcessOptions options) : host_(host), options_(std::move(options)) {
  ENSURE(options_.shard_count > 0, "a process needs a shard");
  host_.processes_.push_back(this);
}

Process::~Process() {
  if (running()) end(false);
  std::erase(host_.processes_, this);
}

namespace {
runtime::detail::Carrier run_main(runtime::Task<void> main, std::function<void()> ended) {
  co_await main;
  main = runtime::Task<void>();
  ended();
}
}  // namespace

void Process::start(Main main) {
  ENSURE(!running(), "{} runs already", name());
  exited_ = false;
  host_.powered_ = true;
  incarnations_.push_back(std::make_unique<Incarnation>(*this, options_.shard_count));
  current_ = incarnations_.back().get();
  current_->main_ = std::move(main);
  world().note("process.start", current_->id(), starts());
  host_.disk().process_started();
  Incarnation* const incarnation = current_;
  current_->shard(0).deliver([this, incarnation] {
    run_main(incarnation->main_(incarnation->runtime()), [this, incarnation] {
      // Ends outside the reactor's event, as a real process's threads are joined before the kernel takes its files.
      world().after_this_event([this, incarnation] {
        if (incarnation->dead()) return;
        exited_ = true;
        end(false);
      });
    });
  });
}

void Process::end(bool by_power_loss) {
  if (!running()) return;
  world().note("process.end", current_->id());
  current_->dead_ = true;
  world().cancel(std::exchange(resume_timer_, 0));
  for (const auto& shard : current_->shards_) shard->flush_held();  // buried when they come up
  if (!by_power_loss) host_.disk().process_ended(*current_, exited_);
  host_.fabric().process_ended(*current_, by_power_loss);
}

void Process::kill() {
  if (!running()) return;
  world().fire(Fault::process_kill);
  end(false);
}

void Process::pause_for(base::Duration duration) {
  if (!running() || current_->paused()) return;
  world().fire(Fault::process_pause);
  current_->set_paused(true);
  resume_timer_ = world().after(duration, [this] {
    resume_timer_ = 0;
    resume();
  });
}

void Process::resume() {
  if (!running() || !current_->paused()) return;
  world().cancel(std::exchange(resume_timer_, 0));
  current_->set_paused(false);
}

void Process::stall_shard(std::size_t index, base::Duration duration) {
  if (!running()) return;
  world().fire(Fault::shard_stall);
  current_->shard(index).stall_until(world().now() + duration);
}

std::map<std::string, std::uint64_t> Process::counters() const {
  std::map<std::string, std::uint64_t> sum;
  for (const auto& incarnation : incarnations_) {
    for (const auto& [name, value] : incarnation->metrics().counters()) sum[name] += value;
  }
  return sum;
}

}  // namespace weir::sim
