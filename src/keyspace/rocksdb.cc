#include "keyspace/rocksdb.h"

#include <utility>

#include <fmt/core.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "keyspace/rocksdb_directory.h"
#include "keyspace/rocksdb_options.h"
#include "keyspace/rocksdb_status.h"

namespace weir::keyspace {
namespace {

using base::ErrorKind;
using base::fail;

// Our keys within RocksDB: "k" + key for an entry, "m" for the newest revision.
constexpr char entry_mark = 'k';
constexpr std::string_view revision_key = "m";
constexpr std::uint8_t stored_version = 1;
constexpr std::size_t stored_overhead_bytes = 1 + 8 + 4;
constexpr std::size_t protection_bytes_per_key = 8;  // RocksDB checks the batch in memory up to the log, too

// version, revision, value, CRC32C over key and all before it.
std::string stored_value(std::string_view stored_key, Revision revision, std::string_view value) {
  bytes::Packer out;
  out.put(stored_version);
  out.put(revision);
  out.put_bytes(bytes::as_bytes(value));
  out.put(bytes::crc32c(out.view(), bytes::crc32c(bytes::as_bytes(stored_key))));
  return out.str();
}

base::Result<core::Entry> read_stored(std::string_view stored_key, std::string_view stored) {
  if (stored.size() < stored_overhead_bytes)
    return fail(ErrorKind::corrupt, fmt::format("keyspace entry {}: too short", stored_key));
  const bytes::Bytes body = bytes::as_bytes(stored.substr(0, stored.size() - sizeof(std::uint32_t)));
  const auto stated = bytes::load_le<std::uint32_t>(body.data() + body.size());
  if (bytes::crc32c(body, bytes::crc32c(bytes::as_bytes(stored_key))) != stated) {
    return fail(ErrorKind::corrupt, fmt::format("keyspace entry {}: bad CRC", stored_key));
  }
  if (static_cast<std::uint8_t>(body[0]) != stored_version) {
    return fail(ErrorKind::invalid, fmt::format("keyspace entry {} has storage version {}, this binary reads {}", stored_key,
                                                static_cast<unsigned>(body[0]), stored_version));
  }
  return core::Entry{.value = std::string(bytes::as_text(body.subspan(9))),
                     .mod_revision = bytes::load_le<Revision>(body.data() + 1)};
}

/// The database and what keeps its directory ours; touched by one pool thread at a time.
struct Handle {
  std::string directory;
  runtime::Logger* log = nullptr;
  std::unique_ptr<RocksdbDirectory> locked;
  std::unique_ptr<rocksdb::DB> db;
};

struct Opened {
  core::MapState state;
  std::vector<DirectoryNote> notes;
};

base::Result<core::MapState> read_all(rocksdb::DB& db) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator(options));
  core::EntryMap entries;
  Revision newest = 0;
  Revision revision = 0;
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const std::string_view key(at->key().data(), at->key().size());
    WEIR_TRY_ASSIGN(core::Entry entry, read_stored(key, std::string_view(at->value().data(), at->value().size())));
    if (key == revision_key) {
      revision = entry.mod_revision;
    } else if (key.starts_with(entry_mark)) {
      newest = std::max(newest, entry.mod_revision);
      entries.emplace_hint(entries.end(), std::string(key.substr(1)), std::move(entry));
    } else {
      return fail(ErrorKind::corrupt, fmt::format("the keyspace holds a key that weir never writes: {}", key));
    }
  }
  if (!at->status().ok()) return rocksdb_error("reading the keyspace", at->status());
  if (newest > revision) {
    return fail(ErrorKind::corrupt, fmt::format("the keyspace is at revision {} but holds an entry of {}", revision, newest));
  }
  return core::MapState(std::move(entries), revision);
}

base::Result<Opened> open_blocking(Handle& handle) {
  handle.db.reset();
  if (handle.locked == nullptr) { WEIR_TRY_ASSIGN(handle.locked, RocksdbDirectory::lock(handle.directory)); }
  Opened opened;
  WEIR_TRY_ASSIGN(opened.notes, handle.locked->check());
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(rocksdb_options(handle.log), handle.locked->database(), &db);
  if (!status.ok()) return rocksdb_error("opening the keyspace in " + handle.directory, status);
  handle.db.reset(db);
  WEIR_TRY_ASSIGN(opened.state, read_all(*handle.db));
  return opened;
}

base::Result<void> write_blocking(Handle& handle, const Journal::Changes& changes, Revision revision) {
  if (handle.db == nullptr) return fail(ErrorKind::io, "the keyspace is not open");
  rocksdb::WriteBatch batch(0, 0, protection_bytes_per_key, 0);
  rocksdb::Status status = batch.Put(rocksdb::Slice(revision_key), stored_value(revision_key, revision, {}));
  for (const auto& [key, entry] : changes) {
    if (!status.ok()) break;
    const std::string stored_key = entry_mark + key;
    status =
        entry ? batch.Put(stored_key, stored_value(stored_key, entry->mod_revision, entry->value)) : batch.Delete(stored_key);
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  if (status.ok()) status = handle.db->Write(options, &batch);
  if (!status.ok()) return rocksdb_error("writing the keyspace in " + handle.directory, status);
  return {};
}

void log_notes(runtime::Logger* log, const std::vector<DirectoryNote>& notes) {
  if (log == nullptr) return;
  for (const DirectoryNote& note : notes) {
    log->warn("keyspace", "cut off a torn write that no later one followed", {{"file", note.file}, {"bytes", note.cut_bytes}});
  }
}

class RocksdbJournal final : public Journal {
 public:
  RocksdbJournal(runtime::Runtime& runtime, std::shared_ptr<Handle> handle) : runtime_(runtime), handle_(std::move(handle)) {}
  runtime::Task<base::Result<void>> append(Changes changes, Revision revision) override {
    co_return co_await runtime_.blocking->run(
        [handle = handle_, changes = std::move(changes), revision] { return write_blocking(*handle, changes, revision); });
  }
  runtime::Task<base::Result<core::MapState>> reopen() override {
    auto opened = co_await runtime_.blocking->run([handle = handle_] { return open_blocking(*handle); });
    if (!opened) co_return std::unexpected(std::move(opened).error());
    log_notes(runtime_.log, opened->notes);
    co_return std::move(opened->state);
  }
  runtime::Task<void> close() override {
    co_await runtime_.blocking->run([handle = handle_] {
      handle->db.reset();
      handle->locked.reset();
      return true;
    });
  }

 private:
  runtime::Runtime& runtime_;
  std::shared_ptr<Handle> handle_;
};

}  // namespace

runtime::Task<base::Result<std::unique_ptr<LocalKeyspace>>> open_rocksdb_keyspace(runtime::Runtime& runtime,
                                                                                  std::string directory) {
  auto handle = std::make_shared<Handle>();
  handle->directory = directory;
  handle->log = runtime.log;
  auto journal = std::make_unique<RocksdbJournal>(runtime, handle);
  auto state = co_await journal->reopen();
  if (!state) {
    co_await journal->close();
    co_return std::unexpected(std::move(state).error());
  }
  co_return std::make_unique<LocalKeyspace>(runtime::Reactor::current(), std::move(journal), std::move(*state),
                                            "file://" + directory, runtime.metrics);
}

}  // namespace weir::keyspace
