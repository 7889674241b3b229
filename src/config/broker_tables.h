// config/broker_tables.h: the pieces of the broker table, split by name to keep files readable.
#pragma once

#include "config/declaration.h"

namespace weir::config {

std::span<const Declaration> broker_settings_a_to_k();
std::span<const Declaration> broker_settings_l_to_r();
std::span<const Declaration> broker_settings_s_to_z();

}  // namespace weir::config
