#include "runtime/resolve.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <netdb.h>

#include "runtime/errno_error.h"
#include "runtime/net_real.h"

namespace weir::runtime {
namespace {

using base::ErrorKind;
using base::Result;
using Addresses = std::vector<SocketAddress>;

Result<Addresses> look_up(const Address& address, bool passive, bool numeric_only) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0) | (numeric_only ? AI_NUMERICHOST : 0);
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const int failed = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(), &hints, &found);
  const std::string what = fmt::format("resolve '{}'", address.host);
  if (failed == EAI_SYSTEM) return errno_fail(errno, what);
  if (failed != 0) {
    const ErrorKind kind = failed == EAI_AGAIN ? ErrorKind::retry : failed == EAI_NONAME ? ErrorKind::not_found : ErrorKind::io;
    return base::fail(kind, fmt::format("{}: {}", what, ::gai_strerror(failed)));
  }
  Addresses addresses;
  for (const addrinfo* at = found; at != nullptr && addresses.size() < connect_addresses_max; at = at->ai_next) {
    if (at->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress one{.size = at->ai_addrlen};
    std::memcpy(&one.storage, at->ai_addr, at->ai_addrlen);
    addresses.push_back(one);
  }
  ::freeaddrinfo(found);
  return addresses;
}

}  // namespace

Task<Result<Addresses>> resolve(BlockingPool& pool, Address address, bool passive, base::MonoTime deadline) {
  // Numbers need no resolver, and so no thread.
  Result<Addresses> numeric = look_up(address, passive, true);
  if (numeric || address.host.empty()) co_return numeric;

  using Answer = Completion<Result<Addresses>>;
  const auto answer = std::make_shared<Answer>();
  const auto found = std::make_shared<std::optional<Result<Addresses>>>();
  pool.submit(
      Reactor::current(), [address, passive, found] { found->emplace(look_up(address, passive, false)); },
      [answer, found] { answer->complete(std::move(**found)); });
  if (co_await answer->wait(deadline) != Wake::ready) {
    co_return base::fail(ErrorKind::cancelled, fmt::format("resolve '{}': the deadline passed", address.host));
  }
  co_return answer->take();
}

}  // namespace weir::runtime
