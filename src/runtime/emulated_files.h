// runtime/emulated_files.h: a file system whose reads, writes and syncs complete no earlier than an emulated device would let them.
// Why:        the WAL's latency on FSx or EBS, measured without them; always labelled as emulated.
// Place:      a decorator of the FileSystem door, handed to wal/ alone.
// Contract:   file.h. The real operation runs at once and really (durable means durable); its completion is withheld until the
//             model's time, so that an operation takes the longer of the two. Names, sizes and locks are not delayed.
//             All files of one EmulatedFiles belong to one reactor, that of the first open (asserted): they share one device.
// Failure:    the real ones, at once.
// Tests:      runtime/emulated_files_test.cc
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/device_model.h"
#include "runtime/file.h"
#include "runtime/metrics.h"
#include "runtime/reactor.h"
#include "runtime/runtime.h"

namespace weir::runtime {

inline constexpr MetricDecl emulated_info{
    "weir_emulated", MetricKind::gauge,
    "1 for each part that is emulated, by what (wal, store) and profile: latencies of this broker are no real device's."};
inline const DeclaredMetrics emulation_metrics({&emulated_info});

/// The label that goes with every emulated part: a warning and the metric.
void tell_emulated(const Runtime& doors, std::string_view what, std::string_view profile);

class EmulatedFiles final : public FileSystem {
 public:
  /// `inner` is borrowed and outlives this and its files.
  EmulatedFiles(FileSystem& inner, const DeviceProfile& profile) : inner_(inner), model_(profile) {}
  Task<base::Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) override;
  Task<base::Result<void>> create_directories(std::string path) override { return inner_.create_directories(std::move(path)); }
  Task<base::Result<std::vector<FileInfo>>> list(std::string path) override { return inner_.list(std::move(path)); }
  Task<base::Result<FileInfo>> stat(std::string path) override { return inner_.stat(std::move(path)); }
  Task<base::Result<void>> remove(std::string path) override { return inner_.remove(std::move(path)); }
  Task<base::Result<void>> remove_directory(std::string path) override { return inner_.remove_directory(std::move(path)); }
  Task<base::Result<void>> rename(std::string from, std::string to) override {
    return inner_.rename(std::move(from), std::move(to));
  }
  Task<base::Result<void>> rename_noreplace(std::string from, std::string to) override {
    return inner_.rename_noreplace(std::move(from), std::move(to));
  }
  Task<base::Result<void>> sync_directory(std::string path) override { return inner_.sync_directory(std::move(path)); }
  Task<base::Result<std::uint64_t>> free_space(std::string path) override { return inner_.free_space(std::move(path)); }

 private:
  friend class EmulatedFile;
  [[nodiscard]] base::MonoTime completes_at(DeviceOperation operation, std::uint64_t size_bytes);

  FileSystem& inner_;
  DeviceModel model_;
  Reactor* home_ = nullptr;
};

}  // namespace weir::runtime
