#include "cases.h"

namespace weir::gates {

namespace {
constexpr Case cases[] = {
    {.key = wire::ApiKey::produce, .denied = denied_produce, .answered = answered_produce},
    {.key = wire::ApiKey::fetch, .denied = denied_fetch},
    {.key = wire::ApiKey::list_offsets, .denied = denied_list_offsets},
    {.key = wire::ApiKey::metadata, .denied = denied_metadata},
    {.key = wire::ApiKey::api_versions, .denied = denied_api_versions},
    {.key = wire::ApiKey::create_topics, .denied = denied_create_topics},
    {.key = wire::ApiKey::delete_topics, .denied = denied_delete_topics},
    {.key = wire::ApiKey::init_producer_id, .denied = denied_init_producer_id},
};
}  // namespace

std::span<const Case> all_cases() { return cases; }

}  // namespace weir::gates
