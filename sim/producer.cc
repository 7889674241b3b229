#include "sim/producer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "model/records.h"
#include "wire/init_producer_id.h"

namespace weir::sim {

using model::ErrorCode;
using runtime::Task;

namespace {
constexpr base::Duration connect_patience = std::chrono::seconds(5);
constexpr base::Duration call_patience_slack = std::chrono::seconds(15);
}  // namespace

SimProducer::SimProducer(Workload& workload, runtime::Runtime& runtime, ProducerOptions options)
    : workload_(workload), runtime_(runtime), options_(std::move(options)), rng_(workload.world.rng(options_.name)) {}

bool SimProducer::idle() const {
  return requests_in_flight_ == 0 && std::ranges::all_of(lanes_, [](const auto& lane) { return lane->items.empty(); });
}

Task<void> SimProducer::run() {
  runtime::Reactor& reactor = *runtime_.shards[0];
  while (workload_.producing || !idle()) {
    give_up_old();
    refresh_lanes();
    if (!co_await connect()) continue;
    if (options_.idempotent && session_lost_) {
      if (requests_in_flight_ > 0) {  // answers of the old session must come first
        (void)co_await changed_.wait(reactor.now() + std::chrono::seconds(1));
        continue;
      }
      if (!co_await begin_session()) continue;
    }
    if (requests_in_flight_ >= options_.requests_in_flight_max) {
      (void)co_await changed_.wait(reactor.now() + std::chrono::seconds(1));
      continue;
    }
    std::vector<Sent> sent = choose();
    if (!sent.empty()) {
      ++requests_in_flight_;
      scope_.spawn("produce", send(std::move(sent)));
    }
    (void)co_await runtime::sleep_for(rng_.tailed(options_.pause_least, options_.pause_tail));
  }
  co_await scope_.join();
  if (connection_) co_await connection_->close();
}

Task<bool> SimProducer::connect() {
  runtime::Reactor& reactor = *runtime_.shards[0];
  if (connection_ && !connection_->broken()) co_return true;
  if (connection_) {
    if (!connection_->order_violation().empty())
      workload_.history.violation(options_.name + ": " + connection_->order_violation());
    while (requests_in_flight_ > 0) (void)co_await changed_.wait();
    co_await connection_->close();
  }
  connection_ = std::make_unique<KafkaConnection>(runtime_, options_.name);
  ++connection_id_;
  if (co_await connection_->open(workload_.broker, reactor.now() + connect_patience)) co_return true;
  co_await connection_->close();
  connection_ = nullptr;
  (void)co_await runtime::sleep_for(rng_.between(std::chrono::milliseconds(50), std::chrono::milliseconds(1'000)));
  co_return false;
}

Task<bool> SimProducer::begin_session() {
  wire::InitProducerIdRequest request;
  request.transactional_id = std::nullopt;
  request.transaction_timeout_ms = 60'000;
  const auto version = static_cast<std::int16_t>(rng_.between(0, 5));
  auto answer = co_await connection_->call<wire::InitProducerIdRequest, wire::InitProducerIdResponse>(
      std::move(request), version, runtime_.shards[0]->now() + options_.request_timeout + call_patience_slack);
  if (!answer || answer->message.error_code != ErrorCode::none) {
    (void)co_await runtime::sleep_for(rng_.between(std::chrono::milliseconds(50), std::chrono::milliseconds(500)));
    co_return false;
  }
  producer_id_ = answer->message.producer_id;
  producer_epoch_ = answer->message.producer_epoch;
  session_lost_ = false;
  for (const auto& lane : lanes_) lane->next_sequence = 0;
  co_return true;
}

void SimProducer::refresh_lanes() {
  for (TopicInfo* topic : workload_.live_topics()) {
    for (std::int32_t index = 0; index < topic->partition_count; ++index) {
      const bool have =
          std::ranges::any_of(lanes_, [&](const auto& lane) { return lane->topic == topic && lane->partition == index; });
      if (have) continue;
      lanes_.push_back(std::make_unique<Lane>());
      lanes_.back()->topic = topic;
      lanes_.back()->partition = index;
    }
  }
  for (const auto& lane : lanes_) {
    if (!lane->topic->deleted) continue;
    std::erase_if(lane->items, [](const auto& item) { return !item->in_flight; });
  }
}

std::shared_ptr<SimProducer::Item> SimProducer::make_item(Lane& lane) {
  const model::TopicPartition partition = Workload::partition_of(*lane.topic, lane.partition);
  model::BatchSpec spec;
  const auto count = static_cast<std::int32_t>(rng_.between(1, options_.records_max));
  if (options_.idempotent) {
    spec.producer_id = producer_id_;
    spec.producer_epoch = producer_epoch_;
    spec.base_sequence = model::Sequence(lane.next_sequence);
    lane.next_sequence += count;
  }
  if (rng_.percent(20)) {
    static constexpr model::CompressionType codecs[] = {model::CompressionType::gzip, model::CompressionType::snappy,
                                                        model::CompressionType::lz4};
    spec.compression = codecs[rng_.below(std::size(codecs))];
  }
  const base::WallMs at = workload_.history.unique_timestamp(partition, workload_.world.wall_ms());
  std::vector<std::string> values;
  std::vector<model::RecordInput> records;
  for (std::int32_t i = 0; i < count; ++i) {
    std::string value(rng_.between(1, rng_.percent(5) ? options_.value_bytes_max * 20 : options_.value_bytes_max), '\0');
    for (std::size_t at_byte = 0; at_byte < value.size(); at_byte += sizeof(std::uint64_t)) {
      const std::uint64_t bits = rng_.next();
      std::memcpy(value.data() + at_byte, &bits, std::min(sizeof bits, value.size() - at_byte));
    }
    values.push_back(std::move(value));
  }
  for (const std::string& value : values) records.push_back({.key = options_.name, .value = value, .timestamp = at});
  auto built = model::build_batch(spec, records);
  ENSURE(built.has_value(), "building a batch: {}", built.error().text);
  auto item = std::make_shared<Item>();
  item->made = workload_.world.now();
  item->damaged = !options_.idempotent && rng_.percent(options_.damaged_percent);
  item->number = workload_.history.produced(partition, *built);
  item->batch = std::move(*built);
  if (item->damaged) {
    const bytes::SlabRef slab = bytes::SlabRef::allocate(item->batch.size());
    std::memcpy(slab.writable().data(), item->batch.data(), item->batch.size());
    slab.writable()[item->batch.size() - 1] ^= std::byte{1};
    item->batch = bytes::Buffer(slab, 0, item->batch.size());
  }
  return item;
}

std::shared_ptr<SimProducer::Item> SimProducer::next_item(Lane& lane) {
  for (const auto& item : lane.items) {
    if (!item->in_flight) return item;
  }
  if (!workload_.producing || lane.topic->deleted || lane.items.size() >= options_.requests_in_flight_max) return nullptr;
  lane.items.push_back(make_item(lane));
  return lane.items.back();
}

std::vector<SimProducer::Sent> SimProducer::choose() {
  std::vector<Sent> sent;
  for (const auto& lane : lanes_) {
    if (lane->recovering && lane->in_flight_count == 0) lane->recovering = false;
    const bool old_open = !lane->items.empty() && !lane->items.front()->in_flight;
    if (lane->recovering || (lane->topic->deleted && lane->items.empty()) || !rng_.percent(old_open ? 90 : 25)) continue;
    if (auto item = next_item(*lane)) {
      item->in_flight = true;
      ++lane->in_flight_count;
      workload_.history.send_began(item->number);
      workload_.world.note("client.produce", item->number, static_cast<std::uint64_t>(connection_id_));
      sent.push_back({lane.get(), std::move(item)});
    }
  }
  return sent;
}

wire::ProduceRequest SimProducer::request_of(const std::vector<Sent>& sent) const {
  wire::ProduceRequest request;
  request.acks = options_.acks;
  request.timeout_ms =
      static_cast<std::int32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(options_.request_timeout).count());
  for (const Sent& each : sent) {
    wire::ProduceRequest::Topic* topic = nullptr;
    for (auto& known : request.topic_data) {
      if (known.topic_id == each.lane->topic->id) topic = &known;
    }
    if (topic == nullptr) {
      topic = &request.topic_data.emplace_back();
      topic->topic_id = each.lane->topic->id;
      topic->name = each.lane->topic->name;
    }
    topic->partition_data.push_back(
        {.index = model::PartitionIndex(each.lane->partition), .records = wire::Records(each.item->batch.view())});
  }
  return request;
}

Task<void> SimProducer::send(std::vector<Sent> sent) {
  if (options_.acks == 0) {
    (void)connection_->send_only(request_of(sent), options_.version);
    for (const Sent& each : sent) drop(*each.lane, each.item);
  } else {
    const std::uint64_t id = connection_id_;
    auto answer = co_await connection_->call<wire::ProduceRequest, wire::ProduceResponse>(
        request_of(sent), options_.version, runtime_.shards[0]->now() + options_.request_timeout + call_patience_slack);
    if (answer) {
      judge_gate(id, answer->message);
      for (const Sent& each : sent) {
        const wire::ProduceResponse::Partition* found = nullptr;
        for (const auto& topic : answer->message.responses) {
          const bool same =
              options_.version >= 13 ? topic.topic_id == each.lane->topic->id : topic.name == each.lane->topic->name;
          for (const auto& partition : topic.partition_responses) {
            if (same && partition.index.value() == each.lane->partition) found = &partition;
          }
        }
        if (found == nullptr) {
          workload_.history.violation(options_.name + ": an answer without a partition that was asked for");
          failed(each);
        } else {
          settle(each, *found);
        }
      }
    } else {
      if (answer.kind() == base::ErrorKind::corrupt) workload_.history.violation(options_.name + ": " + answer.error().text);
      for (const Sent& each : sent) failed(each);
    }
  }
  --requests_in_flight_;
  changed_.pulse();
}

// P1: what completes after the broker knows its session sealed is not acknowledged. An answer leaves when its last partition is
// decided, but never before the answers ahead of it: only one that followed none closely, and that says yes throughout, tells.
void SimProducer::judge_gate(std::uint64_t connection, const wire::ProduceResponse& answer) {
  const base::MonoTime now = workload_.world.now();
  const bool waited_for_another = answered_connection_ == connection && now <= answered_at_ + Workload::sealed_grace;
  answered_connection_ = connection;
  answered_at_ = now;
  const base::MonoTime known_at = workload_.sealed.known_at;
  if (known_at == runtime::no_deadline || now <= known_at + Workload::sealed_grace || waited_for_another) return;
  for (const auto& topic : answer.responses) {
    for (const auto& partition : topic.partition_responses) {
      if (partition.error_code != ErrorCode::none) return;
    }
  }
  workload_.history.violation(options_.name + ": batches were acked by a broker that knows its session is sealed");
}

void SimProducer::drop(Lane& lane, const std::shared_ptr<Item>& item) {
  if (item->in_flight) --lane.in_flight_count;
  item->in_flight = false;
  std::erase(lane.items, item);
}

void SimProducer::failed(const Sent& sent) {
  workload_.world.note("client.failed", sent.item->number);
  sent.item->in_flight = false;
  --sent.lane->in_flight_count;
  sent.lane->recovering = true;
}

void SimProducer::settle(const Sent& sent, const wire::ProduceResponse::Partition& answer) {
  History& history = workload_.history;
  const BatchNumber number = sent.item->number;
  const bool deleted = sent.lane->topic->deleted;
  workload_.world.note("client.answer", number, static_cast<std::uint64_t>(answer.error_code));
  switch (answer.error_code) {
    case ErrorCode::none:
      if (sent.item->damaged) history.violation(fmt::format("{}: a damaged batch was accepted", options_.name));
      history.acked(number, answer.base_offset);
      drop(*sent.lane, sent.item);
      return;
    case ErrorCode::duplicate_sequence_number:
      history.acked_as_old_duplicate(number);
      drop(*sent.lane, sent.item);
      return;
    case ErrorCode::corrupt_message:
      if (!sent.item->damaged) history.violation(fmt::format("{}: batch {} was called damaged", options_.name, number));
      history.refused(number);
      drop(*sent.lane, sent.item);
      return;
    case ErrorCode::not_enough_replicas:
      history.refused(number);
      failed(sent);
      return;
    case ErrorCode::out_of_order_sequence_number: {
      const bool only_this = sent.lane->items.front() == sent.item && sent.lane->in_flight_count == 1;
      history.refused_out_of_order(number);
      failed(sent);
      if (only_this) abandon_session("out of order");
      return;
    }
    case ErrorCode::invalid_producer_epoch:
    case ErrorCode::unknown_producer_id:
      history.refused(number);
      failed(sent);
      abandon_session("fenced");
      return;
    case ErrorCode::request_timed_out:
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::unknown_server_error: failed(sent); return;
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
      if (!deleted) history.violation(fmt::format("{}: {} is called unknown", options_.name, sent.lane->topic->name));
      failed(sent);
      return;
    default:
      history.violation(fmt::format("{}: batch {} answered {}", options_.name, number, to_string(answer.error_code)));
      failed(sent);
  }
}

// As Kafka's clients: the session is given up, with what is open in it.
void SimProducer::abandon_session(std::string_view why) {
  workload_.world.note(why, producer_id_.value());
  session_lost_ = true;
  for (const auto& lane : lanes_) {
    lane->recovering = true;
    std::erase_if(lane->items, [](const auto& item) { return !item->in_flight; });
  }
}

void SimProducer::give_up_old() {
  const base::MonoTime now = workload_.world.now();
  for (const auto& lane : lanes_) {
    if (session_lost_ && options_.idempotent) std::erase_if(lane->items, [](const auto& item) { return !item->in_flight; });
    if (lane->items.empty() || lane->items.front()->in_flight || now - lane->items.front()->made < options_.patience) continue;
    if (options_.idempotent) {
      abandon_session("gave up");
      return;
    }
    lane->items.pop_front();
  }
}

}  // namespace weir::sim
