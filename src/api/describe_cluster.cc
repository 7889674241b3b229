// api/describe_cluster.cc: DescribeCluster (60): the brokers and the cluster id.
#include "wire/describe_cluster.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/view.h"

namespace weir::api {

runtime::Task<Reply> handle_describe_cluster(Call call) {
  constexpr std::int8_t endpoint_brokers = 1;
  constexpr std::int8_t endpoint_controllers = 2;
  auto request = decode_body<wire::DescribeClusterRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::DescribeClusterResponse response;
  const std::string cluster = call.services.cluster.to_string();
  const Endpoint endpoint = endpoint_for(call);
  const std::string unsupported = fmt::format("Unsupported endpoint type {}", request->endpoint_type);
  if (request->endpoint_type != endpoint_brokers) {
    // There are no controller listeners to tell of: a client that wants one asks a broker.
    const bool known = request->endpoint_type == endpoint_controllers;
    response.error_code = known ? model::ErrorCode::mismatched_endpoint_type : model::ErrorCode::unsupported_endpoint_type;
    response.error_message = unsupported;
    if (known) {
      response.error_message =
          "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
    }
    co_return make_reply(call, response);
  }
  response.cluster_id = cluster;
  const model::NodeId self(call.services.config.node_id);
  response.controller_id = self;
  const std::string& rack = call.services.config.rack;
  wire::DescribeClusterResponse::Broker broker;
  broker.broker_id = self;
  broker.host = endpoint.host;
  broker.port = endpoint.port;
  if (!rack.empty()) broker.rack = rack;
  response.brokers.push_back(std::move(broker));
  if (request->include_cluster_authorized_operations) {
    const auto& [type, name] = security::cluster_resource;
    const bool may = allowed_on_cluster(call, security::Operation::describe);
    response.cluster_authorized_operations = may ? authorized_operations(call, type, name) : 0;
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
