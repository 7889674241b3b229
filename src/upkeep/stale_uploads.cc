// upkeep/stale_uploads.cc: uploads in parts that nobody will complete. Their parts are billed and stand in no list of objects.
// weir puts every object whole, so what is under way under its names was left by a copy, a restore or a mirror that was given up, or by
// `weir store check`. The same proof as for objects (core/garbage.h): a name of this cluster that is committed already, or that nobody
// can commit any more; and it has been seen for upload_waits. Anybody else's names are left alone.
#include <fmt/format.h>

#include "store/check.h"
#include "store/multipart.h"
#include "upkeep/upkeep_impl.h"

namespace weir::upkeep {

using base::ErrorKind;
using runtime::Task;

Task<base::Result<std::vector<store::MultipartUpload>>> UpkeepImpl::list_uploads() {
  std::vector<store::MultipartUpload> uploads;
  store::Multipart* multipart = doors_.store.multipart();
  if (multipart == nullptr) co_return uploads;
  store::UploadPage page;
  do {
    auto got = co_await multipart->list("", page.next_key, page.next_id, {.deadline = request_deadline()});
    if (!got && got.kind() == ErrorKind::invalid) {
      // Not offered, or not allowed: objects can still be swept.
      if (!std::exchange(uploads_refused_, true)) {
        doors_.runtime.log->warn(
            "upkeep",
            "uploads in parts that were left behind cannot be looked for; allow "
            "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or let the bucket's lifecycle end them",
            {{"error", got.error().text}});
      }
      co_return std::vector<store::MultipartUpload>();
    }
    if (!got) co_return std::unexpected(got.error());
    page = std::move(*got);
    for (store::MultipartUpload& upload : page.uploads) {
      if (uploads.size() < orphans_seen_max) uploads.push_back(std::move(upload));
    }
    if (scope_.stopping()) co_return base::fail(ErrorKind::cancelled, "stopping");
  } while (!page.next_key.empty() && uploads.size() < orphans_seen_max);
  co_return uploads;
}

namespace {
bool is_stale(const store::MultipartUpload& upload, const NamesView& view) {
  if (upload.key.starts_with(store::check_prefix)) return true;
  const std::optional<object::ObjectKey> key = object::parse_object_key(upload.key);
  if (!key || key->cluster != view.cluster || key->incarnation != view.incarnation) return false;
  if (view.referenced.contains(key->id) || is_orphan(*key, view)) return true;
  if (!key->manifest_of) return false;
  const auto manifest = view.manifests.find(*key->manifest_of);
  return manifest != view.manifests.end() && key->commit.value() <= manifest->second.sequence;  // committed: it was put whole
}
}  // namespace

Task<UpkeepImpl::Done> UpkeepImpl::abort_stale(std::vector<store::MultipartUpload> uploads, const NamesView* view) {
  std::map<std::string, base::MonoTime> seen;
  std::size_t count = 0;
  base::Result<void> failure;
  for (const store::MultipartUpload& upload : uploads) {
    if (!is_stale(upload, *view)) continue;
    const auto known = uploads_seen_.find(upload.id);
    const base::MonoTime since = known == uploads_seen_.end() ? now() : known->second;
    if (known == uploads_seen_.end() || now() < since + upload_waits * options_.garbage_wait || !failure || scope_.stopping()) {
      seen[upload.id] = since;
      continue;
    }
    failure = co_await doors_.store.multipart()->abort(upload, {.deadline = request_deadline()});
    if (failure) {
      ++count;
    } else {
      seen[upload.id] = since;
    }
  }
  uploads_seen_ = std::move(seen);
  if (count > 0) {
    cells_.uploads_aborted.add(count);
    doors_.runtime.log->info("upkeep", "uploads in parts that nobody completes are aborted", {{"uploads", count}});
  }
  co_return failure;
}

}  // namespace weir::upkeep
