"""The session: Kafka's tools, one after the other, as people use them. A step is (label, tool, arguments, options).

In arguments, @B is the broker's address and @D a folder. Options: input (standard input), files (name -> text, written to @D first),
needs (APIs without which weir cannot run the step)."""

T = "org.apache.kafka.tools."
tools = {
    "topics": T + "TopicCommand", "configs": "kafka.admin.ConfigCommand", "console-producer": T + "ConsoleProducer", "console-consumer": T + "consumer.ConsoleConsumer",
    "consumer-groups": T + "consumer.group.ConsumerGroupCommand", "get-offsets": T + "GetOffsetShell", "delete-records": T + "DeleteRecordsCommand",
    "broker-api-versions": T + "BrokerApiVersionsCommand", "log-dirs": T + "LogDirsCommand", "leader-election": T + "LeaderElectionCommand",
    "reassign-partitions": T + "reassign.ReassignPartitionsCommand", "producer-perf-test": T + "ProducerPerformance", "consumer-perf-test": T + "ConsumerPerformance",
    "e2e-latency": T + "EndToEndLatency", "verifiable-producer": T + "VerifiableProducer", "verifiable-consumer": T + "VerifiableConsumer",
    "features": T + "FeatureCommand", "cluster": T + "ClusterTool", "client-compatibility-test": T + "ClientCompatibilityTest", "groups": T + "GroupsCommand",
}
records = "".join(f"k{i}:value {i}\\n" for i in range(40))
groups = {"FindCoordinator", "JoinGroup", "SyncGroup", "OffsetCommit", "OffsetFetch", "DescribeGroups", "ListGroups"}
step = []


def add(label, tool, arguments, **options):
    step.append((label, tool, arguments.split() if isinstance(arguments, str) else arguments, options))


B = "--bootstrap-server @B "
add("create", "topics", B + "--create --topic one --partitions 3 --config retention.ms=86400000")
add("create again", "topics", B + "--create --topic one --partitions 3")
add("create if not exists", "topics", B + "--create --topic one --if-not-exists")
add("create compacted", "topics", B + "--create --topic compacted --config cleanup.policy=compact")
add("create bad config", "topics", B + "--create --topic bad --config no.such=1")
add("create bad name", "topics", B + "--create --topic a/b")
add("create assigned", "topics", B + "--create --topic assigned --replica-assignment 1,1")
add("list", "topics", B + "--list --exclude-internal")
add("describe", "topics", B + "--describe --topic one", needs={"DescribeConfigs"})
add("describe overrides", "topics", B + "--describe --topics-with-overrides --exclude-internal", needs={"DescribeConfigs"})
add("describe under-replicated", "topics", B + "--describe --under-replicated-partitions", needs={"DescribeConfigs"})
add("describe unknown", "topics", B + "--describe --topic nowhere")
add("alter partitions", "topics", B + "--alter --topic one --partitions 4", needs={"CreatePartitions"})
add("shrink partitions", "topics", B + "--alter --topic one --partitions 2", needs={"CreatePartitions"})
add("produce", "console-producer", "--bootstrap-server @B --topic one --property parse.key=true --property key.separator=:", input=records)
add("create single", "topics", B + "--create --topic single --partitions 1")
add("produce acks 0 zstd", "console-producer", "--bootstrap-server @B --topic single --producer-property acks=0 --producer-property enable.idempotence=false --compression-codec zstd", input="alone\\n")
add("offsets", "get-offsets", B + "--topic one")
add("offsets earliest", "get-offsets", B + "--topic one --time earliest")
add("offsets max timestamp", "get-offsets", B + "--topic-partitions single:0 --time max-timestamp")
add("offsets by pattern", "get-offsets", B + "--topic-partitions one:0-2,single")
add("consume a partition", "console-consumer", B + "--topic one --partition 1 --offset earliest --max-messages 5 --timeout-ms 20000 --property print.key=true --property print.offset=true")
add("consume all", "console-consumer", B + "--topic one --from-beginning --max-messages 40 --timeout-ms 30000 --property print.key=true --property print.partition=true", needs=groups)
add("consume by group", "console-consumer", B + "--topic one --group g1 --from-beginning --max-messages 40 --timeout-ms 30000", needs=groups)
add("nothing left", "console-consumer", B + "--topic one --group g1 --timeout-ms 4000", needs=groups)
add("groups list", "consumer-groups", B + "--list", needs=groups)
add("groups state", "consumer-groups", B + "--list --state", needs=groups)
add("group describe", "consumer-groups", B + "--describe --group g1", needs=groups)
add("group describe state", "consumer-groups", B + "--describe --group g1 --state", needs=groups)
add("group describe members", "consumer-groups", B + "--describe --group g1 --members --verbose", needs=groups)
add("group describe unknown", "consumer-groups", B + "--describe --group nobody", needs=groups)
for label, how in (("to earliest", "--to-earliest"), ("to latest", "--to-latest"), ("to offset", "--to-offset 3"), ("shift", "--shift-by -2"), ("to datetime", "--to-datetime 2020-01-01T00:00:00.000"),
                   ("by duration", "--by-duration P1D"), ("to current", "--to-current")):
    add(f"reset {label}", "consumer-groups", B + f"--reset-offsets --group g1 --topic one {how} --execute", needs=groups)
add("reset dry run", "consumer-groups", B + "--reset-offsets --group g1 --all-topics --to-earliest --dry-run", needs=groups)
add("reset a partition", "consumer-groups", B + "--reset-offsets --group g1 --topic one:0 --to-offset 1 --execute", needs=groups)
add("group describe after", "consumer-groups", B + "--describe --group g1 --offsets", needs=groups)
add("group delete offsets", "consumer-groups", B + "--delete-offsets --group g1 --topic one", needs=groups | {"OffsetDelete"})
add("group delete", "consumer-groups", B + "--delete --group g1", needs=groups | {"DeleteGroups"})
add("group delete unknown", "consumer-groups", B + "--delete --group nobody", needs=groups | {"DeleteGroups"})
add("groups tool", "groups", B + "--list", needs=groups)
add("config describe topic", "configs", B + "--entity-type topics --entity-name one --describe", needs={"DescribeConfigs"})
add("config describe all", "configs", B + "--entity-type topics --entity-name one --describe --all", needs={"DescribeConfigs"})
add("config alter", "configs", B + "--entity-type topics --entity-name one --alter --add-config max.message.bytes=20000,retention.bytes=1000000", needs={"IncrementalAlterConfigs"})
add("config described", "configs", B + "--entity-type topics --entity-name one --describe", needs={"DescribeConfigs"})
add("config too large", "console-producer", "--bootstrap-server @B --topic one --sync --message-send-max-retries 1 --max-block-ms 5000", input="x" * 30000 + "\\n", needs={"IncrementalAlterConfigs"})
add("config delete", "configs", B + "--entity-type topics --entity-name one --alter --delete-config max.message.bytes", needs={"IncrementalAlterConfigs"})
add("config bad", "configs", B + "--entity-type topics --entity-name one --alter --add-config retention.ms=soon", needs={"IncrementalAlterConfigs"})
add("config broker", "configs", B + "--entity-type brokers --entity-name 1 --describe", needs={"DescribeConfigs"})
add("config broker default", "configs", B + "--entity-type brokers --entity-default --alter --add-config log.retention.ms=99999999", needs={"IncrementalAlterConfigs"})
add("config broker default described", "configs", B + "--entity-type brokers --entity-default --describe", needs={"DescribeConfigs"})
add("config broker default back", "configs", B + "--entity-type brokers --entity-default --alter --delete-config log.retention.ms", needs={"IncrementalAlterConfigs"})
add("delete records", "delete-records", B + "--offset-json-file @D/delete.json", needs={"DeleteRecords"},
    files={"delete.json": '{"partitions":[{"topic":"one","partition":0,"offset":2},{"topic":"one","partition":9,"offset":1}],"version":1}'})
add("offsets after delete", "get-offsets", B + "--topic one --time earliest", needs={"DeleteRecords"})
add("api versions", "broker-api-versions", B)
add("log dirs", "log-dirs", B + "--describe --topic-list one", needs={"DescribeLogDirs"})
add("elect preferred", "leader-election", B + "--election-type preferred --topic one --partition 0", needs={"ElectLeaders"})
add("elect all", "leader-election", B + "--election-type preferred --all-topic-partitions", needs={"ElectLeaders"})
add("reassign generate", "reassign-partitions", B + "--generate --broker-list 1 --topics-to-move-json-file @D/move.json", needs={"DescribeLogDirs"},
    files={"move.json": '{"topics":[{"topic":"one"}],"version":1}'})
add("reassign execute", "reassign-partitions", B + "--execute --reassignment-json-file @D/plan.json", needs={"AlterPartitionReassignments", "IncrementalAlterConfigs"},
    files={"plan.json": '{"version":1,"partitions":[{"topic":"one","partition":0,"replicas":[1]}]}'})
add("reassign verify", "reassign-partitions", B + "--verify --reassignment-json-file @D/plan.json", needs={"AlterPartitionReassignments", "IncrementalAlterConfigs"})
add("reassign list", "reassign-partitions", B + "--list", needs={"ListPartitionReassignments"})
add("reassign cancel", "reassign-partitions", B + "--cancel --reassignment-json-file @D/plan.json", needs={"AlterPartitionReassignments", "IncrementalAlterConfigs"})
add("producer perf", "producer-perf-test", "--topic assigned --num-records 2000 --record-size 100 --throughput -1 --producer-props bootstrap.servers=@B")
add("consumer perf", "consumer-perf-test", B + "--topic assigned --num-records 2000 --timeout 20000 --group perf", needs=groups)
add("end to end", "e2e-latency", B + "--topic e2e --num-records 30 --producer-acks all --record-size 100", needs=groups)
add("verifiable producer", "verifiable-producer", B + "--topic verified --max-messages 50 --acks -1 --value-prefix 7")
add("verifiable consumer", "verifiable-consumer", B + "--topic verified --group-id vg --max-messages 50 --reset-policy earliest", needs=groups)
add("features", "features", B + "describe", needs={"UpdateFeatures"})
add("cluster id", "cluster", "cluster-id --bootstrap-server @B")
add("cluster endpoints", "cluster", "list-endpoints --bootstrap-server @B", needs={"DescribeCluster"})
add("client compatibility", "client-compatibility-test", B + "--topic cct --offsets-for-times-supported true --cluster-id-supported true --expect-record-too-large-exception false --num-cluster-nodes 1 "
    "--create-topics-supported true --describe-acls-supported @ACLS --describe-configs-supported true --idempotent-producer-supported true", needs={"DescribeConfigs"} | groups)
add("delete", "topics", B + "--delete --topic one")
add("delete unknown", "topics", B + "--delete --topic nowhere")
add("list at the end", "topics", B + "--list --exclude-internal")
