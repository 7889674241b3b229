#include "client/client.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "bytes/endian.h"
#include "wire/api_versions.h"

namespace weir::client {

using runtime::Task;

Client::~Client() { stream_->close(); }

Task<base::Result<std::unique_ptr<Client>>> Client::open(runtime::Network& network, Options options) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + options.timeout;
  auto stream = co_await network.connect(options.address, options.tls, deadline);
  if (!stream) {
    co_return base::fail(stream.kind(),
                         fmt::format("no broker answers at {}: {}", runtime::to_string(options.address), stream.error().text));
  }
  std::unique_ptr<Client> client(new Client(std::move(options), std::move(*stream)));
  auto asked = co_await client->ask_versions();
  if (!asked) co_return std::unexpected(asked.error());
  co_return client;
}

Task<base::Result<void>> Client::ask_versions() {
  const wire::ApiInfo& own = wire::api_info(wire::ApiKey::api_versions);
  served_[static_cast<std::int16_t>(own.key)] = {0,
                                                 3};  // every broker since 2.4 reads version 3, and answers others in version 0
  wire::ApiVersionsRequest request;
  request.client_software_name = "weir";
  request.client_software_version = "0.1";
  auto answer = co_await call<wire::ApiVersionsResponse>(request);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->message.error_code != model::ErrorCode::none) {
    co_return base::fail(base::ErrorKind::invalid,
                         fmt::format("ApiVersions: {}", model::to_string(answer->message.error_code)));
  }
  for (const auto& api : answer->message.api_keys) served_[api.api_key] = {api.min_version, api.max_version};
  co_return base::Result<void>();
}

base::Result<std::int16_t> Client::choose_version(const wire::ApiInfo& api, std::int16_t version_limit) const {
  const auto at = served_.find(static_cast<std::int16_t>(api.key));
  if (at == served_.end()) return base::fail(base::ErrorKind::invalid, fmt::format("the broker does not serve {}", api.name));
  const std::int16_t version = std::min({at->second.second, api.version_max_stable, version_limit});
  if (version < std::max(at->second.first, api.version_min)) {
    return base::fail(base::ErrorKind::invalid,
                      fmt::format("the broker serves no version of {} that this client knows", api.name));
  }
  return version;
}

Task<base::Result<bytes::Buffer>> Client::exchange(bytes::BufferList frame) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + options_.timeout;
  std::vector<bytes::Bytes> pieces;
  for (const bytes::Buffer& buffer : frame) pieces.push_back(buffer.view());
  auto sent = co_await stream_->write(std::move(pieces), deadline);
  if (!sent) co_return std::unexpected(sent.error());
  std::array<std::byte, wire::frame_length_bytes> prefix{};
  const auto read_exactly = [this, deadline](bytes::MutableBytes into) -> Task<base::Result<void>> {
    return [](runtime::Stream* stream, bytes::MutableBytes rest, base::MonoTime until) -> Task<base::Result<void>> {
      while (!rest.empty()) {
        auto count = co_await stream->read_some(rest, until);
        if (!count) co_return std::unexpected(count.error());
        if (*count == 0) co_return base::fail(base::ErrorKind::io, "the broker closed the connection");
        rest = rest.subspan(*count);
      }
      co_return base::Result<void>();
    }(stream_.get(), into, deadline);
  };
  WEIR_CO_TRY(co_await read_exactly(prefix));
  auto length = wire::parse_frame_length(prefix, response_bytes_max);
  if (!length) co_return std::unexpected(length.error());
  bytes::SlabRef slab = bytes::SlabRef::allocate(*length);
  WEIR_CO_TRY(co_await read_exactly(slab.writable()));
  co_return bytes::Buffer(slab, 0, *length);
}

}  // namespace weir::client
