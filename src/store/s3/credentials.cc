#include "store/s3/credentials.h"

#include <fmt/format.h>

namespace weir::store::s3 {

using base::Result;
using runtime::Reactor;
using runtime::Task;

namespace {
class StaticCredentials final : public CredentialSource {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Task<Result<Credentials>> fetch() override { co_return credentials_; }

 private:
  Credentials credentials_;
};
}  // namespace

std::unique_ptr<CredentialSource> make_static_credentials(Credentials credentials) {
  return std::make_unique<StaticCredentials>(std::move(credentials));
}

bool CredentialCache::usable(std::int64_t margin_ms) const {
  if (current_ == nullptr) return false;
  return current_->expires_ms == 0 || Reactor::current().wall_now_ms() + margin_ms < current_->expires_ms;
}

// The caller's frame may go away only after this has returned: there is one refresh, and the others wait for its event.
Task<Result<void>> CredentialCache::refresh() {
  refreshing_ = true;
  auto fetched = co_await source_->fetch();
  refreshing_ = false;
  if (fetched) {
    const bool same = current_ != nullptr && *current_ == *fetched;
    if (!same) current_ = std::make_shared<const Credentials>(std::move(*fetched));
    next_refresh_ = same ? Reactor::current().now() + refresh_pause : base::MonoTime{};
    last_outcome_ = Result<void>{};
  } else {
    next_refresh_ = Reactor::current().now() + refresh_pause;
    last_outcome_ = std::unexpected(fetched.error());
    if (usable(0) && log_ != nullptr) {
      log_->warn("store", "credentials could not be refreshed; the present ones still serve",
                 {{"source", current_->source}, {"reason", fetched.error().text}});
    }
  }
  refreshed_.pulse();
  co_return last_outcome_;
}

Task<Result<std::shared_ptr<const Credentials>>> CredentialCache::get(std::shared_ptr<const Credentials> rejected) {
  // Each round either has an answer or waits for a fetch that somebody runs.
  const bool told_rejected = rejected != nullptr && current_ == rejected;
  if (!told_rejected && usable(refresh_ahead_ms)) co_return current_;
  // Every call that meets the refusal comes by here: the source is not asked by each of them.
  if (told_rejected && usable(0) && !refreshing_ && Reactor::current().now() < next_refresh_) co_return current_;
  const bool old_serves = !told_rejected && usable(0);
  if (old_serves && (refreshing_ || Reactor::current().now() < next_refresh_)) co_return current_;
  Result<void> outcome;
  if (refreshing_) {
    (void)(co_await refreshed_.wait());
    outcome = last_outcome_;
  } else {
    outcome = co_await refresh();
  }
  if (!outcome && !usable(0)) co_return base::with_context("credentials", outcome.error());
  if (!outcome && told_rejected) co_return base::with_context("credentials", outcome.error());
  co_return current_;
}

}  // namespace weir::store::s3
