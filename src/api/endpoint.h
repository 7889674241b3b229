// api/endpoint.h: where a client reaches this broker: what is advertised for its listener, else the address it connected to.
#pragma once

#include <cstdint>
#include <string>

#include "api/handler.h"

namespace weir::api {

struct Endpoint {
  std::string host;
  std::int32_t port = 0;
};

[[nodiscard]] inline Endpoint endpoint_for(const Call& call) {
  for (const AdvertisedListener& listener : call.services.advertised) {
    if (listener.name == call.ctx.listener) {
      return {.host = listener.host.empty() ? call.ctx.local_host : listener.host,
              .port = listener.port == 0 ? call.ctx.local_port : listener.port};
    }
  }
  return {.host = call.ctx.local_host, .port = call.ctx.local_port};
}

}  // namespace weir::api
