// runtime/real_blocking.h: threads for calls that block.
// Contract:   jobs begin in the order of submission, at most thread_count at a time. The destructor finishes what was submitted.
// Limits:     thread_count. What waits is one suspended coroutine per job, bounded by whoever runs them; past
//             blocking_queue_jobs_max the process stops: only a leak in the caller's own limit leads there.
// Tests:      runtime/real_test.cc
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/blocking.h"

namespace weir::runtime {

class RealBlockingPool final : public BlockingPool {
 public:
  /// `name`: at most 10 characters, shown by top and debuggers.
  RealBlockingPool(std::string name, std::size_t thread_count);
  ~RealBlockingPool() override;
  void submit(Reactor& home, Callback job, Callback done) override;

 private:
  struct Job {
    Reactor* home;
    Callback job;
    Callback done;
  };
  void work();

  std::mutex mutex_;
  std::condition_variable available_;
  std::deque<Job> jobs_;   ///< guarded by mutex_
  bool stopping_ = false;  ///< guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace weir::runtime
