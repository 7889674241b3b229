// api/registry.h: which APIs this broker serves; ApiVersions is made from it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "api/handler.h"
#include "wire/api_table.h"

namespace weir::api {

struct Entry {
  wire::ApiKey key;
  HandlerFunction handle;
  Traffic traffic = Traffic::any;
  bool overlaps = false;  ///< requests of this kind may run side by side on one connection
};

/// In ascending order of key.
[[nodiscard]] std::span<const Entry> served_apis();

/// On shard 0; services outlive it.
[[nodiscard]] std::unique_ptr<Dispatcher> make_dispatcher(Services& services);

}  // namespace weir::api
