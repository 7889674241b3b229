#include "runtime/real_blocking.h"

#include <utility>

#include <pthread.h>

#include "base/ensure.h"

namespace weir::runtime {

RealBlockingPool::RealBlockingPool(std::string name, std::size_t thread_count) {
  ENSURE(thread_count > 0, "the pool {} needs threads", name);
  for (std::size_t i = 0; i < thread_count; ++i) {
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), fmt::format("weir-{}{}", name, i).substr(0, 15).c_str());
  }
}

RealBlockingPool::~RealBlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  available_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void RealBlockingPool::submit(Reactor& home, Callback job, Callback done) {
  {
    const std::lock_guard lock(mutex_);
    ENSURE(!stopping_, "a blocking job was submitted to a pool that is ending");
    ENSURE(jobs_.size() < blocking_queue_jobs_max, "{} blocking jobs wait", jobs_.size());
    jobs_.push_back(Job{.home = &home, .job = std::move(job), .done = std::move(done)});
  }
  available_.notify_one();
}

void RealBlockingPool::work() {
  while (true) {
    Job job{};
    {
      std::unique_lock lock(mutex_);
      available_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job.job();
    job.job = nullptr;
    job.home->post(std::move(job.done));
  }
}

}  // namespace weir::runtime
