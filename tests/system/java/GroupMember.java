import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group for the system tests: "ADDRESS GROUP TOPIC [KEY=VALUE ...]". Tells on standard output "assigned 0 1 2" after each
 * change and "record PARTITION OFFSET VALUE" per record, commits after each poll; ends when its input says "close" (or ends).
 */
public final class GroupMember {
    public static void main(String[] args) throws Exception {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", args[0], "group.id", args[1], "auto.offset.reset", "earliest",
            "enable.auto.commit", "false", "session.timeout.ms", "10000", "heartbeat.interval.ms", "500"));
        for (int i = 3; i < args.length; ++i) {
            String[] pair = args[i].split("=", 2);
            config.put(pair[0], pair[1]);
        }
        AtomicBoolean closing = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try (Scanner lines = new Scanner(System.in)) {
                while (lines.hasNextLine() && !lines.nextLine().equals("close")) { }
            }
            closing.set(true);
        });
        input.setDaemon(true);
        input.start();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(args[2]), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    tell("revoked", partitions);
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    tell("assigned", consumer.assignment());
                }
            });
            while (!closing.get()) {
                var records = consumer.poll(Duration.ofMillis(200));
                records.forEach(r -> System.out.println("record " + r.partition() + " " + r.offset() + " " + r.value()));
                if (!records.isEmpty()) {
                    consumer.commitSync();
                    System.out.println("committed");
                }
            }
        }
        System.out.println("closed");
    }

    static void tell(String what, Collection<TopicPartition> partitions) {
        StringBuilder line = new StringBuilder(what);
        for (int index : new TreeSet<>(partitions.stream().map(TopicPartition::partition).toList())) line.append(' ').append(index);
        System.out.println(line);
    }
}
