#include "runtime/loop_crew.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "runtime/scope.h"

namespace weir::runtime {
namespace {

using namespace std::chrono_literals;

struct Crew {
  explicit Crew(std::size_t count, Folding folding, LatencyHistogram* away = nullptr) {
    for (std::size_t i = 0; i < count; ++i)
      owned.push_back(std::make_unique<RealReactor>(ShardId(static_cast<std::uint32_t>(i))));
    std::vector<RealReactor*> reactors;
    for (auto& reactor : owned) reactors.push_back(reactor.get());
    crew = std::make_unique<LoopCrew>(std::move(reactors), folding, away);
    crew->run();
  }
  ~Crew() { crew->stop(); }
  std::vector<std::unique_ptr<RealReactor>> owned;
  std::unique_ptr<LoopCrew> crew;
};

/// Hands a token round the reactors; each counts it in memory that only its own callbacks touch (TSan sees any other).
struct Ring {
  Crew* crew;
  std::vector<std::uint64_t> seen;
  std::uint64_t left;
  std::promise<void>* done;
  void at(std::size_t index) {
    ASSERT_EQ(Reactor::current_or_null(), crew->owned[index].get());
    ++seen[index];
    if (left-- == 0) {
      done->set_value();
      return;
    }
    const std::size_t next = (index + 1) % crew->owned.size();
    crew->owned[next]->post([this, next] { at(next); });
  }
};

std::uint64_t folds_of_a_ring(Folding folding, std::uint64_t hops) {
  Crew crew(3, folding);
  std::promise<void> done;
  Ring ring{.crew = &crew, .seen = std::vector<std::uint64_t>(3), .left = hops, .done = &done};
  crew.owned[0]->post([&ring] { ring.at(0); });
  EXPECT_EQ(done.get_future().wait_for(60s), std::future_status::ready);
  EXPECT_EQ(ring.seen[0] + ring.seen[1] + ring.seen[2], hops + 1);
  return crew.crew->folds();
}

TEST(LoopCrew, EachReactorHasOneDriverWhoeverItIs) {
  EXPECT_GT(folds_of_a_ring(Folding::restless, 50'000), 10U);
  EXPECT_EQ(folds_of_a_ring(Folding::never, 50'000), 0U);
}

TEST(LoopCrew, FoldsWhileThereIsLittleToDo) {
  Crew crew(2, Folding::automatic);
  const base::MonoTime give_up = crew.owned[0]->now() + 60s;
  while (crew.crew->folds() == 0 && crew.owned[0]->now() < give_up) {
    std::promise<void> done;
    crew.owned[0]->post([&] { crew.owned[1]->post([&done] { done.set_value(); }); });
    done.get_future().wait();
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_GT(crew.crew->folds(), 0U);
}

TEST(LoopCrew, UnfoldsUnderLoad) {
  Crew crew(2, Folding::automatic);
  std::atomic<bool> other_thread{false};
  std::atomic<std::thread::id> first{};
  const base::MonoTime give_up = crew.owned[0]->now() + 60s;
  // Until both are driven by one thread ...
  while (crew.crew->folds() == 0 && crew.owned[0]->now() < give_up) {
    crew.owned[0]->post([] {});
    std::this_thread::sleep_for(5ms);
  }
  ASSERT_GT(crew.crew->folds(), 0U);
  // ... and then work enough for two: reactor 1 gets its own thread back.
  while (!other_thread.load() && crew.owned[0]->now() < give_up) {
    std::promise<void> done;
    crew.owned[0]->post([&] {
      first.store(std::this_thread::get_id());
      const base::MonoTime until = crew.owned[0]->now() + 10ms;
      while (crew.owned[0]->now() < until) {}
      crew.owned[1]->post([&] {
        if (std::this_thread::get_id() != first.load()) other_thread.store(true);
        done.set_value();
      });
    });
    done.get_future().wait();
  }
  EXPECT_TRUE(other_thread.load());
}

// Work counts, sleep does not, whoever drives.
TEST(LoopCrew, TellsHowLongALoopIsAwayFromItsSockets) {
  for (const Folding folding : {Folding::never, Folding::automatic, Folding::restless}) {
    LatencyHistogram away;
    Crew crew(2, folding, &away);
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(120ms);  // automatic: folded from the second on
      std::promise<void> done;
      crew.owned[0]->post([&] {
        const base::MonoTime until = crew.owned[0]->now() + 40ms;
        while (crew.owned[0]->now() < until) {}
        crew.owned[0]->post([&done] { done.set_value(); });
      });
      done.get_future().wait();
    }
    std::this_thread::sleep_for(10ms);  // the look after the last work
    EXPECT_GE(away.sum_seconds(), 0.120) << static_cast<int>(folding);
    std::this_thread::sleep_for(1s);
    std::promise<void> woken;
    crew.owned[0]->post([&woken] { woken.set_value(); });
    woken.get_future().wait();
    std::uint64_t of_work = 0;
    std::uint64_t of_sleep = 0;
    for (std::size_t i = 0; i < LatencyHistogram::bucket_count; ++i) {
      if (LatencyHistogram::upper_bound_seconds(i) >= 0.040) of_work += away.bucket(i);
      if (LatencyHistogram::upper_bound_seconds(i) >= 1.000) of_sleep += away.bucket(i);
    }
    EXPECT_GE(of_work, 3U) << static_cast<int>(folding);
    EXPECT_EQ(of_sleep, 0U) << static_cast<int>(folding);
  }
}

TEST(LoopCrew, EndsInWhateverState) {
  for (int i = 0; i < 200; ++i) {
    Crew crew(3, Folding::restless);
    for (int j = 0; j < i; ++j) crew.owned[static_cast<std::size_t>(j) % 3]->post([] {});
  }
}

// Timers, hops and files of three shards, while drivers change all the time.
Task<void> work(Runtime* doors, std::string directory, std::uint32_t shard, std::uint64_t* done_count) {
  const std::string path = directory + "/" + std::to_string(shard);
  auto file = co_await doors->files->open(path, {.write = true, .create = true});
  if (!file) co_return;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::string text = std::to_string(i % 10);
    const auto written = co_await (*file)->write_at(i, std::vector<bytes::Bytes>(1, bytes::as_bytes(text)), Durability::none);
    if (!written) break;
    const auto there = co_await submit_to(doors->shard(ShardId((shard + 1) % 3)), [i] { return i; });
    if (i % 10 == 0) co_await sleep_for(1ms);
    if (there == i) ++*done_count;
  }
  co_await (*file)->close();
}

Task<std::uint64_t> all_work(Runtime* doors, std::string directory) {
  std::vector<std::uint64_t> counts(3);
  Scope scope;
  for (std::uint32_t shard = 0; shard < 3; ++shard) {
    scope.spawn("work", [](Runtime* d, std::string at, std::uint32_t s, std::uint64_t* count) -> Task<void> {
      co_await submit_to(d->shard(ShardId(s)), [d, at, s, count] { return work(d, at, s, count); });
    }(doors, directory, shard, &counts[shard]));
  }
  co_await scope.join();
  co_return counts[0] + counts[1] + counts[2];
}

class RestlessFiles : public ::testing::TestWithParam<FileBackend> {};

TEST_P(RestlessFiles, NothingIsLostWhileDriversChange) {
  const std::string directory = ::testing::TempDir() + "/loop-crew-" + std::to_string(::getpid());
  std::filesystem::create_directories(directory);
  for (int round = 0; round < 5; ++round) {
    auto machine = make_real_runtime({.shard_count = 3, .folding = Folding::restless, .file_backend = GetParam()});
    ASSERT_TRUE(machine) << machine.error().text;
    RealRuntime* real = machine->get();
    EXPECT_EQ(real->run_on_shard0([real, &directory] { return all_work(&real->doors(), directory); }), 300U);
  }
  std::filesystem::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(Backends, RestlessFiles, ::testing::Values(FileBackend::uring, FileBackend::pwritev2));

}  // namespace
}  // namespace weir::runtime
