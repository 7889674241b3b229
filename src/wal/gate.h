// wal/gate.h: what stands before every statement "this is durable" (protocols.md, 2, "Gate").
// Why:        a write that completed is not enough: who wrote it must still be the owner of the volume at that moment. Volumes
//             differ in how they know, so the lane asks an interface.
// Contract:   pass() is begun after everything that the statement rests on is complete; an earlier pass does not count. A
//             refusal is final: the session is fenced.
// Tests:      wal/wal_test.cc; shared volumes (fence sector, deadline) will add kinds.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"
#include "runtime/task.h"

namespace weir::wal {

class Gate {
 public:
  virtual ~Gate() = default;
  virtual runtime::Task<base::Result<void>> pass() = 0;
  /// From now on pass() refuses.
  virtual void close(std::string why) = 0;
  [[nodiscard]] virtual bool closed() const = 0;
};

/// A private volume: open while the exclusive locks are held (they lie on the very open files that carry the writes, and go only
/// with them) and while the session does not know itself sealed.
class PrivateGate final : public Gate {
 public:
  runtime::Task<base::Result<void>> pass() override {
    if (closed_) co_return base::fail(base::ErrorKind::fenced, why_);
    co_return base::Result<void>();
  }
  void close(std::string why) override {
    if (closed_) return;
    closed_ = true;
    why_ = std::move(why);
  }
  [[nodiscard]] bool closed() const override { return closed_; }

 private:
  bool closed_ = false;
  std::string why_;
};

}  // namespace weir::wal
