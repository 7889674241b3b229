#include "runtime/emulated_files.h"

#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "runtime/sync.h"

namespace weir::runtime {

void tell_emulated(const Runtime& doors, std::string_view what, std::string_view profile) {
  if (doors.log != nullptr) {
    doors.log->warn("emulation", "an emulated part: its latencies are a model's and no real device's",
                    {{"what", what}, {"profile", profile}});
  }
  if (doors.metrics != nullptr)
    doors.metrics->gauge(emulated_info, fmt::format("what=\"{}\",profile=\"{}\"", what, profile)).set(1);
}

class EmulatedFile final : public File {
 public:
  EmulatedFile(EmulatedFiles& device, std::unique_ptr<File> inner) : device_(device), inner_(std::move(inner)) {}

  Task<base::Result<std::size_t>> read_at(std::uint64_t offset, bytes::MutableBytes into) override {
    const base::MonoTime due = device_.completes_at(DeviceOperation::read, into.size());
    auto result = co_await inner_->read_at(offset, into);
    if (result) (void)co_await sleep_until(due);
    co_return result;
  }
  Task<base::Result<void>> write_at(std::uint64_t offset, std::vector<bytes::Bytes> from, Durability durability) override {
    std::uint64_t size_bytes = 0;
    for (const bytes::Bytes piece : from) size_bytes += piece.size();
    const base::MonoTime due = device_.completes_at(DeviceOperation::write, size_bytes);
    auto result = co_await inner_->write_at(offset, std::move(from), durability);
    if (result) (void)co_await sleep_until(due);
    co_return result;
  }
  Task<base::Result<void>> sync() override {
    const base::MonoTime due = device_.completes_at(DeviceOperation::write, 0);
    auto result = co_await inner_->sync();
    if (result) (void)co_await sleep_until(due);
    co_return result;
  }
  Task<base::Result<std::uint64_t>> size() override { return inner_->size(); }
  Task<base::Result<void>> truncate(std::uint64_t size_bytes) override { return inner_->truncate(size_bytes); }
  Task<base::Result<bool>> try_lock() override { return inner_->try_lock(); }
  Task<void> close() override { return inner_->close(); }

 private:
  EmulatedFiles& device_;
  std::unique_ptr<File> inner_;
};

Task<base::Result<std::unique_ptr<File>>> EmulatedFiles::open(std::string path, OpenOptions options) {
  if (home_ == nullptr) home_ = &Reactor::current();
  ENSURE(home_ == &Reactor::current(), "an emulated device is used on shard {}, its home is {}",
         Reactor::current().shard().value(), home_->shard().value());
  auto opened = co_await inner_.open(std::move(path), options);
  if (!opened) co_return std::unexpected(std::move(opened).error());
  co_return std::make_unique<EmulatedFile>(*this, std::move(*opened));
}

base::MonoTime EmulatedFiles::completes_at(DeviceOperation operation, std::uint64_t size_bytes) {
  return model_.completes_at(home_->now(), operation, size_bytes, home_->random());
}

}  // namespace weir::runtime
