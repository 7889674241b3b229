// api/list_partition_reassignments.cc: ListPartitionReassignments (46): a reassignment is done when it is answered, so none is ever
// under way.
#include "wire/list_partition_reassignments.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

runtime::Task<Reply> handle_list_partition_reassignments(Call call) {
  auto request = decode_body<wire::ListPartitionReassignmentsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::ListPartitionReassignmentsResponse response;
  response.error_message = std::nullopt;
  if (!allowed_on_cluster(call, security::Operation::describe)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    response.error_message = "Authorization failed.";
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
