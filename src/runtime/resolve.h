// runtime/resolve.h: names to socket addresses. Internal to runtime.
#pragma once

#include <vector>

#include <sys/socket.h>

#include "base/result.h"
#include "runtime/blocking.h"
#include "runtime/net.h"

namespace weir::runtime {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// passive: for listening; an empty host then means every interface. At most connect_addresses_max. A resolver that hangs past the
/// deadline is left to end by itself on its pool thread.
Task<base::Result<std::vector<SocketAddress>>> resolve(BlockingPool& pool, Address address, bool passive,
                                                       base::MonoTime deadline);

}  // namespace weir::runtime
