// config/version.h: the version that `weir version`, metrics and clients are told.
#pragma once

namespace weir::config {
inline constexpr const char* version = "0.1.0";
}  // namespace weir::config
