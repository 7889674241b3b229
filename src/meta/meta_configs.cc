// Meta: settings of brokers, groups and client-metrics subscriptions.
#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

runtime::Task<base::Result<ConfigRecord>> Meta::put_config(ConfigRecord config) {
  const std::string key = keys::config(config.kind, config.name);
  if (key.size() > keyspace::key_bytes_max) co_return fail(ErrorKind::invalid, "the resource's name is too long");
  if (config.values.empty() && config.revision == 0) co_return config;
  const std::string encoded = config.values.empty() ? std::string() : encode(key, config);
  WEIR_CO_TRY_ASSIGN(const std::string value, value_that_fits(encoded, "the settings"));
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = config.revision});
  txn.operations.push_back(config.values.empty() ? Operation::erase(key) : Operation::put(key, value));
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  config.revision = config.values.empty() ? 0 : decision.revision;
  if (decision.succeeded) co_return config;
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
  const bool as_wanted = entry ? entry->value == value : config.values.empty();
  if (as_wanted && decision.was_ambiguous) {
    config.revision = entry ? entry->mod_revision : 0;
    co_return config;
  }
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  co_return fail(ErrorKind::exists, fmt::format("the settings of '{}' were changed by somebody else", config.name));
}

runtime::Task<base::Result<ConfigRecord>> Meta::find_config(ConfigKind kind, std::string name) {
  const std::string key = keys::config(kind, name);
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
  if (!entry) co_return ConfigRecord{.kind = kind, .name = std::move(name), .values = {}, .revision = 0};
  co_return decode_config(*entry);
}

}  // namespace weir::meta
