// What TSan is told to keep quiet about, linked into every test program of a tsan build.
//
// Debian's librocksdb is not built with TSan, so the locks and atomics by which its threads hand files to one another are
// not seen: a table read by the caller and closed, much later, by the thread that compacted it away looks like a race for
// the descriptor. Only RocksDB's own file classes are named: a race in a callback of ours that RocksDB runs still counts.
extern "C" const char* __tsan_default_suppressions() { return "race:rocksdb::Posix\n"; }
