// The local directory store on the simulated disk: an acknowledged put survives kills and power losses whole; an
// unacknowledged one is there whole or not at all.
#include <map>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "runtime/scope.h"
#include "runtime/testing/co_assert.h"
#include "sim/testing.h"
#include "store/local_directory.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::Result;
using runtime::Task;

struct Written {
  std::map<std::string, std::uint64_t> acknowledged;  ///< key -> seed of its bytes
  std::map<std::string, std::uint64_t> attempted;
};

bytes::BufferList body_of(std::uint64_t seed) {
  Rng rng(seed);
  bytes::BufferList body;
  const std::uint64_t pieces = rng.between(1, 4);
  for (std::uint64_t i = 0; i < pieces; ++i) {
    const std::size_t size = rng.percent(20) ? rng.between(1, 300'000) : rng.between(1, 9'000);
    const bytes::SlabRef slab = bytes::SlabRef::allocate(size, bytes::io_alignment_bytes);
    for (std::byte& b : slab.writable()) b = static_cast<std::byte>(rng.next());
    body.emplace_back(slab, 0, size);
  }
  return body;
}

Task<void> put_many(runtime::Runtime* doors, std::uint64_t seed, Written* written) {
  auto opened = co_await store::open_local_directory("/dir/store", *doors);
  if (!opened) co_return;  // an injected error: the next start tries again
  Rng rng(seed);
  for (int i = 0; i < 12; ++i) {
    const std::uint64_t content = rng.next();
    const std::string key =
        "p" + std::to_string(rng.below(3)) + "/q" + std::to_string(rng.below(2)) + "/" + std::to_string(content);
    bytes::BufferList body = body_of(content);
    std::uint32_t crc = 0;
    for (const bytes::Buffer& piece : body) crc = bytes::crc32c(piece.view(), crc);
    written->attempted[key] = content;
    const auto put = co_await (*opened)->put(key, std::move(body), {.if_none_match = true, .crc32c = crc});
    if (put) written->acknowledged[key] = content;
  }
  co_await (*opened)->stop();
}

Task<void> verify(runtime::Runtime* doors, const Written* written) {
  auto opened = co_await store::open_local_directory("/dir/store", *doors);
  CO_ASSERT_OK(opened);
  const auto page = co_await (*opened)->list("p", "", {});
  CO_ASSERT_OK(page);
  std::set<std::string> listed;
  for (const auto& object : page->objects) {
    listed.insert(object.key);
    const auto attempt = written->attempted.find(object.key);
    CO_ASSERT_TRUE(attempt != written->attempted.end());
    const auto got = co_await (*opened)->get(object.key, 0, 0, {});
    CO_ASSERT_OK(got);
    std::string expected;
    for (const bytes::Buffer& piece : body_of(attempt->second)) expected += piece.text();
    EXPECT_TRUE(got->text() == expected) << object.key << " is there but not whole";
  }
  for (const auto& [key, content] : written->acknowledged) {
    EXPECT_TRUE(listed.contains(key)) << key << " was acknowledged and is gone";
  }
  co_await (*opened)->stop();
}

TEST(LocalDirectoryOnSimDisk, AcknowledgedObjectsSurviveEveryCrash) {
  std::size_t acknowledged = 0;
  FaultTable table;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SimMachine machine(seed);
    Rng rng = machine.world.rng("test");
    Written written;
    for (int crash = 0; crash < 6; ++crash) {
      machine.host.disk().profile().write_eio_ppm = rng.percent(20) ? 30'000 : 0;
      machine.host.disk().profile().sync_eio_ppm = rng.percent(20) ? 30'000 : 0;
      const std::uint64_t content_seed = rng.next();
      machine.begin([&] { return put_many(&machine.doors(), content_seed, &written); });
      machine.world.arm_crash(CrashPoint::count_, rng.between(1, 120), [&](Incarnation& victim, CrashPoint) {
        if (rng.percent(50)) {
          victim.owner().kill();
        } else {
          machine.host.lose_power();
        }
      });
      machine.world.run_for(1min);
      machine.world.disarm_crash();
      if (machine.process.running()) machine.process.kill();
      if (rng.percent(50)) machine.host.lose_power();
    }
    machine.host.disk().profile() = {};
    machine.run([&] { return verify(&machine.doors(), &written); });
    acknowledged += written.acknowledged.size();
    table.add(machine.world.faults());
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(acknowledged, 800U);
  for (const CrashPoint point : {CrashPoint::write_issued, CrashPoint::file_renamed, CrashPoint::directory_synced}) {
    EXPECT_GT(table.struck(point), 0U) << to_string(point);
  }
}

}  // namespace
}  // namespace weir::sim
