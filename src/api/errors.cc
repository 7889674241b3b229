#include "api/errors.h"

namespace weir::api {

using model::ErrorCode;

ErrorCode produce_error(log::Errc errc) {
  using log::Errc;
  switch (errc) {
    case Errc::none: return ErrorCode::none;
    case Errc::unknown_partition: return ErrorCode::unknown_topic_or_partition;
    case Errc::not_owner: return ErrorCode::not_leader_or_follower;
    case Errc::quarantined: return ErrorCode::kafka_storage_error;
    case Errc::not_appended:
    case Errc::cancelled: return ErrorCode::not_enough_replicas;
    case Errc::outcome_unknown: return ErrorCode::request_timed_out;
    case Errc::corrupt_batch: return ErrorCode::corrupt_message;
    case Errc::unsupported_magic:
    case Errc::invalid_record: return ErrorCode::invalid_record;
    case Errc::message_too_large: return ErrorCode::message_too_large;
    case Errc::invalid_timestamp: return ErrorCode::invalid_timestamp;
    case Errc::unsupported_compression: return ErrorCode::unsupported_compression_type;
    case Errc::out_of_order_sequence: return ErrorCode::out_of_order_sequence_number;
    case Errc::duplicate_sequence: return ErrorCode::duplicate_sequence_number;
    case Errc::invalid_producer_epoch: return ErrorCode::invalid_producer_epoch;
    case Errc::invalid_txn_state: return ErrorCode::invalid_txn_state;
    case Errc::coordinator_fenced: return ErrorCode::transaction_coordinator_fenced;
    case Errc::offset_out_of_range: return ErrorCode::offset_out_of_range;
    case Errc::store_unavailable: return ErrorCode::not_enough_replicas;
  }
  return ErrorCode::unknown_server_error;
}

ErrorCode fetch_error(log::Errc errc) {
  using log::Errc;
  switch (errc) {
    case Errc::none: return ErrorCode::none;
    case Errc::unknown_partition: return ErrorCode::unknown_topic_or_partition;
    case Errc::not_owner:
    case Errc::cancelled: return ErrorCode::not_leader_or_follower;
    case Errc::quarantined:
    case Errc::store_unavailable: return ErrorCode::kafka_storage_error;  // retriable for clients: they refresh and ask again
    case Errc::offset_out_of_range: return ErrorCode::offset_out_of_range;
    case Errc::corrupt_batch: return ErrorCode::corrupt_message;
    default: return ErrorCode::unknown_server_error;
  }
}

ErrorCode group_error(groups::Errc errc) {
  using groups::Errc;
  switch (errc) {
    case Errc::none: return ErrorCode::none;
    case Errc::loading: return ErrorCode::coordinator_load_in_progress;
    case Errc::not_coordinator: return ErrorCode::not_coordinator;
    case Errc::unavailable: return ErrorCode::coordinator_not_available;
    case Errc::too_large: return ErrorCode::unknown_server_error;
    case Errc::invalid_group_id: return ErrorCode::invalid_group_id;
    case Errc::invalid_session_timeout: return ErrorCode::invalid_session_timeout;
    case Errc::unknown_member_id: return ErrorCode::unknown_member_id;
    case Errc::member_id_required: return ErrorCode::member_id_required;
    case Errc::illegal_generation: return ErrorCode::illegal_generation;
    case Errc::rebalance_in_progress: return ErrorCode::rebalance_in_progress;
    case Errc::fenced_instance_id: return ErrorCode::fenced_instance_id;
    case Errc::inconsistent_protocol: return ErrorCode::inconsistent_group_protocol;
    case Errc::group_max_size_reached: return ErrorCode::group_max_size_reached;
    case Errc::group_id_not_found: return ErrorCode::group_id_not_found;
    case Errc::non_empty_group: return ErrorCode::non_empty_group;
    case Errc::subscribed_to_topic: return ErrorCode::group_subscribed_to_topic;
    case Errc::offset_metadata_too_large: return ErrorCode::offset_metadata_too_large;
    case Errc::unstable_offset: return ErrorCode::unstable_offset_commit;
  }
  return ErrorCode::unknown_server_error;
}

ErrorCode commit_error(groups::Errc errc) {
  return errc == groups::Errc::too_large ? ErrorCode::invalid_commit_offset_size : group_error(errc);
}

ErrorCode admin_error(base::ErrorKind kind) {
  switch (kind) {
    case base::ErrorKind::exists: return ErrorCode::topic_already_exists;
    case base::ErrorKind::not_found: return ErrorCode::unknown_topic_or_partition;
    case base::ErrorKind::invalid: return ErrorCode::invalid_request;
    case base::ErrorKind::fenced: return ErrorCode::not_controller;
    case base::ErrorKind::exhausted: return ErrorCode::policy_violation;
    case base::ErrorKind::retry:
    case base::ErrorKind::cancelled:
    case base::ErrorKind::unknown_outcome: return ErrorCode::request_timed_out;
    default: return ErrorCode::unknown_server_error;
  }
}

}  // namespace weir::api
