#include "api/producer_ids.h"

#include "runtime/submit.h"

namespace weir::api {

using runtime::Task;

Task<base::Result<model::ProducerId>> ProducerIds::next() {
  co_return co_await runtime::submit_to(*services_.runtime.shards[0], [this] { return next_here(); });
}

Task<base::Result<model::ProducerId>> ProducerIds::next_here() {
  if (next_ == end_) {
    (void)co_await refill_.acquire(1);
    if (next_ == end_) {
      auto first = co_await services_.meta.allocate_producer_ids(producer_id_block_count);
      if (!first) {
        refill_.release(1);
        co_return std::unexpected(first.error());
      }
      next_ = first->value();
      end_ = next_ + producer_id_block_count;
    }
    refill_.release(1);
  }
  co_return model::ProducerId(next_++);
}

}  // namespace weir::api
