// sim/store.h: a simulated object store: linearizable memory behind a network that delays, refuses, loses and repeats nothing.
// Why:        the worst thing a store does is apply a PUT whose reply was lost, perhaps hours later.
// Contract:   Bucket holds the objects of a run and survives every process; SimStore is one process's store::ObjectStore on it.
//             A request is applied at one instant or never; the reply may be an error, or late, or lost. If-None-Match is judged
//             when the request is applied: each call is one request, so a second call after a lost reply meets exists.
//             A damaged read flips one bit of what is returned, not of what is stored.
// Limits:     late_put_max: the longest a put may linger.
// Tests:      sim/store_test.cc, store/testing conformance
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/op.h"
#include "sim/world.h"
#include "store/store.h"

namespace weir::sim {

inline constexpr base::Duration late_put_max = std::chrono::hours(3);
inline constexpr std::size_t list_page_objects = 1000;

struct StoreProfile {
  base::Duration latency_least = std::chrono::milliseconds(3);
  base::Duration latency_tail = std::chrono::milliseconds(12);
  std::uint64_t bytes_per_second = 200'000'000;
  base::Duration timeout = std::chrono::seconds(10);  ///< after which a lost reply is reported
  std::uint32_t slow_ppm = 0;
  base::Duration slow_least = std::chrono::milliseconds(500);
  base::Duration slow_tail = std::chrono::seconds(3);
  std::uint32_t refuse_ppm = 0;          ///< 503: certainly not applied
  std::uint32_t lose_request_ppm = 0;    ///< timeout, never applied
  std::uint32_t partial_remove_ppm = 0;  ///< a deletion of several names applied to some, no reply
  std::uint32_t lose_reply_ppm = 0;      ///< applied, timeout
  std::uint32_t apply_late_ppm = 0;      ///< timeout, applied after it
  base::Duration late_max = late_put_max;
  std::uint32_t damaged_read_ppm = 0;
  std::uint32_t damaged_put_ppm = 0;  ///< the checksum sent along does not fit what arrived: refused as corrupt
  std::uint32_t refuse_keys_ppm = 0;  ///< expired credentials: refused as invalid
  std::uint32_t stale_list_ppm = 0;   ///< names as they were up to stale_max ago
  base::Duration stale_max = std::chrono::minutes(3);
  std::int64_t clock_ahead_ms = 0;  ///< of the store's clock
  std::size_t list_page_max = list_page_objects;
};

/// One thing that was done to the bucket, for the history checker.
struct StoreEvent {
  enum class Kind : std::uint8_t { put, overwritten, removed } kind = Kind::put;
  base::MonoTime when;
  std::string key;
  std::uint64_t size_bytes = 0;
  std::uint32_t crc32c = 0;
};

class Bucket {
 public:
  explicit Bucket(World& world);
  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;
  StoreProfile& profile() { return profile_; }
  /// Every request fails until then: at once, or by timeout.
  void brown_out(base::Duration duration);
  /// The same for as long as a store's worst day: an outage that is over before all faults end is counted.
  void outage(base::Duration duration);
  void heal() {
    brownout_until_ = {};
    ++outage_number_;
  }
  /// Nothing lingers any more (end of a run).
  [[nodiscard]] std::size_t late_requests() const { return late_count_; }

  struct Object {
    bytes::Buffer body;
    std::uint32_t crc32c = 0;
    std::int64_t modified_ms = 0;
  };
  [[nodiscard]] const std::map<std::string, Object>& objects() const { return objects_; }
  [[nodiscard]] const std::vector<StoreEvent>& events() const { return events_; }
  /// Called with each change as it is applied.
  void on_change(std::function<void(const StoreEvent&)> observer) { observer_ = std::move(observer); }

 private:
  friend class SimStore;
  enum class Fate : std::uint8_t { good, refused, keys_refused, request_lost, reply_lost, late };
  Fate draw_fate(bool may_be_late);
  base::Duration latency(std::size_t bytes);
  base::Result<void> apply_put(const std::string& key, const bytes::BufferList& body, const store::PutOptions& options);
  void apply_remove(const std::string& key);
  /// Names and sizes as they were at that time.
  [[nodiscard]] std::map<std::string, std::uint64_t> names_at(base::MonoTime when) const;
  /// A request that was refused without being looked at.
  base::Error refusal(Fate fate);
  void record(StoreEvent::Kind kind, const std::string& key, const Object& object);

  World& world_;
  Rng rng_;
  StoreProfile profile_;
  base::MonoTime brownout_until_{};
  std::uint64_t outage_number_ = 0;
  std::map<std::string, Object> objects_;
  std::vector<StoreEvent> events_;
  std::function<void(const StoreEvent&)> observer_;
  std::size_t late_count_ = 0;
};

class SimStore final : public store::ObjectStore {
 public:
  explicit SimStore(Bucket& bucket) : bucket_(bucket) {}
  runtime::Task<base::Result<void>> put(std::string key, bytes::BufferList body, store::PutOptions options) override;
  runtime::Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                 store::GetOptions options) override;
  runtime::Task<base::Result<store::ObjectInfo>> head(std::string key, store::GetOptions options) override;
  runtime::Task<base::Result<void>> remove(std::vector<std::string> keys, store::GetOptions options) override;
  runtime::Task<base::Result<store::ListPage>> list(std::string prefix, std::string start_after,
                                                    store::GetOptions options) override;
  [[nodiscard]] std::optional<base::WallMs> now_ms() const override;
  [[nodiscard]] std::string description() const override { return "simulated object store"; }
  runtime::Task<void> stop() override;

 private:
  // A read: `call` runs when the request is served. A lost one is reported as retry: a read changes nothing.
  template <class T>
  runtime::Task<base::Result<T>> read(std::string_view what, std::size_t bytes, base::MonoTime deadline,
                                      std::move_only_function<base::Result<T>()> call);
  Bucket& bucket_;
  bool stopped_ = false;
};

}  // namespace weir::sim
