#include "log/opener.h"

#include <algorithm>

namespace weir::log {

Opener::Opener(const Doors& doors, std::vector<meta::ObjectRecord> objects, std::vector<meta::ManifestRecord> manifests,
               runtime::Stop* stop, std::function<void(std::size_t, std::size_t)> progress)
    : doors_(doors), stop_(stop), progress_(std::move(progress)) {
  loaded_.reserve(objects.size() + manifests.size());
  for (meta::ObjectRecord& object : objects) {
    loaded_.push_back({.object = std::make_shared<const meta::ObjectRecord>(std::move(object)),
                       .manifest = {},
                       .root = {},
                       .entries = {},
                       .lost = {}});
  }
  for (meta::ManifestRecord& manifest : manifests) {
    loaded_.push_back({.object = {}, .manifest = std::move(manifest), .root = {}, .entries = {}, .lost = {}});
  }
}

runtime::Task<bool> Opener::fetch() {
  runtime::Scope workers;
  for (std::size_t i = 0; i < std::min(footer_loads_inflight_max, loaded_.size()); ++i) workers.spawn("fetch footers", work());
  co_await workers.join();
  co_return done_count_ == loaded_.size();
}

runtime::Task<void> Opener::work() {
  while (next_ < loaded_.size() && !stop_->requested()) {
    const std::size_t index = next_++;
    if (!co_await load(index)) co_return;
    ++done_count_;
    if (progress_) progress_(done_count_, loaded_.size());
  }
}

base::Result<object::Footer> Opener::parse(const meta::ObjectRecord& object, bytes::Bytes data) const {
  if (data.size() != object.footer_bytes) return base::fail(base::ErrorKind::corrupt, "the object ends before its footer does");
  return object::parse_footer(data, object.footer_position, {.cluster = doors_.cluster, .object = object.id});
}

runtime::Task<base::Result<void>> Opener::read_root(std::size_t index) {
  const meta::ManifestRecord record = *loaded_[index].manifest;
  const base::MonoTime deadline = runtime::Reactor::current().now() + footer_get_timeout;
  WEIR_CO_TRY_ASSIGN(const bytes::Buffer data,
                     co_await doors_.store.get(record.key, record.root_position, record.root_bytes, {.deadline = deadline}));
  Manifest manifest{.record = record, .root = {}};
  WEIR_CO_TRY_ASSIGN(manifest.root, object::parse_root(data.view(), manifest.place(),
                                                       {.cluster = doors_.cluster, .partition = record.partition}));
  if (manifest.root.sequence != record.sequence || manifest.root.covers_to != record.covers_to) {
    co_return base::fail(base::ErrorKind::corrupt, "a manifest's root is not what the keyspace says");
  }
  loaded_[index].root = std::make_shared<const Manifest>(std::move(manifest));
  loaded_[index].lost.clear();
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> Opener::read(std::size_t index) {
  if (loaded_[index].manifest) co_return co_await read_root(index);
  const ObjectPtr object = loaded_[index].object;
  const base::MonoTime deadline = runtime::Reactor::current().now() + footer_get_timeout;
  WEIR_CO_TRY_ASSIGN(const bytes::Buffer data, co_await doors_.store.get(object->key, object->footer_position,
                                                                         object->footer_bytes, {.deadline = deadline}));
  WEIR_CO_TRY_ASSIGN(object::Footer footer, parse(*object, data.view()));
  for (object::PartitionEntry& entry : footer.entries) entry.time_index = {};  // blocks know their highest timestamps
  loaded_[index].entries = std::move(footer.entries);
  loaded_[index].lost.clear();
  co_return base::Result<void>();
}

// False: stopped.
runtime::Task<bool> Opener::load(std::size_t index) {
  const std::string key = loaded_[index].key();
  base::Duration pause = retry_pause;
  std::size_t lost_attempts = 0;
  for (;;) {
    const base::Result<void> done = co_await read(index);
    if (done) co_return true;
    const bool lost = done.kind() == base::ErrorKind::corrupt || done.kind() == base::ErrorKind::not_found;
    if (lost && ++lost_attempts >= lost_attempts_max) {
      doors_.runtime.log->error("log", "a committed object is lost or damaged", {{"key", key}, {"error", done.error().text}});
      loaded_[index].lost = key + ": " + done.error().text;
      co_return true;
    }
    doors_.runtime.log->warn("log", "an object's footer cannot be read yet", {{"key", key}, {"error", done.error().text}});
    if (co_await runtime::sleep_for(pause, stop_) == runtime::Wake::stopped) co_return false;
    pause = std::min(pause * 2, retry_pause_max);
  }
}

runtime::Task<bool> Opener::find_lost() {
  bool found = false;
  for (std::size_t i = 0; i < loaded_.size() && !stop_->requested(); ++i) {
    if (loaded_[i].lost.empty()) continue;
    const base::Result<void> done = co_await read(i);
    if (!done) continue;
    doors_.runtime.log->info("log", "an object that was lost or damaged can be read again", {{"key", loaded_[i].key()}});
    found = true;
  }
  co_return found;
}

void Opener::distribute(std::map<model::TopicPartition, PartitionEvidence>& evidence) {
  const bool keep = lost_count() > 0;
  for (Loaded& loaded : loaded_) {
    if (loaded.manifest) continue;
    if (!loaded.lost.empty()) {
      // It may hold anything of a partition that was ever written, unless a later object shows that nothing is missing.
      for (auto& [id, partition] : evidence) {
        if (!partition.own.history.empty()) partition.unreadable_object = loaded.lost;
      }
      continue;
    }
    for (object::PartitionEntry& entry : loaded.entries) {
      const auto found = evidence.find(entry.partition);
      if (found == evidence.end()) continue;
      PartitionEvidence& partition = found->second;
      // The first entry shows nothing about what was before it; a gap is seen when the entries are connected.
      if (!partition.uploaded.empty() && partition.uploaded.back().entry.end_offset == entry.base_offset)
        partition.unreadable_object.clear();
      partition.uploaded.push_back({.object = loaded.object, .entry = keep ? entry : std::move(entry)});
    }
    if (!keep) loaded.entries = {};
  }
  for (const Loaded& loaded : loaded_) {
    const auto found = loaded.manifest ? evidence.find(loaded.manifest->partition) : evidence.end();
    if (found == evidence.end()) continue;
    found->second.manifest = loaded.root;
    if (!loaded.lost.empty()) found->second.unreadable_object = loaded.lost;
  }
}

std::size_t Opener::lost_count() const {
  return static_cast<std::size_t>(
      std::count_if(loaded_.begin(), loaded_.end(), [](const Loaded& l) { return !l.lost.empty(); }));
}

}  // namespace weir::log
