// store/testing/pipe_network.h: sockets inside one thread, for tests on virtual time.
// Contract:   every listener is reached by its port, whatever the host. A write waits while `pipe_bytes_max` are unread. All
// parties
//             run on reactors of one ManualRuntime.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "runtime/net.h"

namespace weir::store::testing {

inline constexpr std::size_t pipe_bytes_max = std::size_t{256} << 10U;

class PipeListener;

class PipeNetwork final : public runtime::Network {
 public:
  runtime::Task<base::Result<std::unique_ptr<runtime::Listener>>> listen(runtime::Address address,
                                                                         std::optional<runtime::TlsServerOptions> tls) override;
  runtime::Task<base::Result<std::unique_ptr<runtime::Stream>>> connect(runtime::Address address,
                                                                        std::optional<runtime::TlsClientOptions> tls,
                                                                        base::MonoTime deadline) override;
  std::size_t refuse_count = 0;  ///< so many next connects are refused
  std::size_t stall_count = 0;   ///< so many next connects never complete

 private:
  friend class PipeListener;
  std::map<std::uint16_t, PipeListener*> listeners_;
  std::uint16_t next_port_ = 10'000;
};

}  // namespace weir::store::testing
