import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java client's part of the system tests: "produce ADDRESS TOPIC CODEC FILE" or "dump ADDRESS TOPIC". */
public final class Records {
    public static void main(String[] args) throws Exception {
        if (args[0].equals("produce")) produce(args[1], args[2], args[3], args[4]);
        else dump(args[1], args[2]);
    }

    static void produce(String address, String topic, String codec, String file) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", address, "acks", "all", "enable.idempotence", true, "compression.type", codec,
            "linger.ms", 10, "batch.size", 200000, "buffer.memory", 128 << 20);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
             var in = new DataInputStream(new BufferedInputStream(new FileInputStream(file), 1 << 20))) {
            while (true) {
                int keyLength;
                try {
                    keyLength = in.readInt();
                } catch (EOFException end) {
                    break;
                }
                byte[] key = in.readNBytes(keyLength);
                byte[] value = in.readNBytes(in.readInt());
                sent.add(producer.send(new ProducerRecord<>(topic, key, value)));
            }
            producer.flush();
            for (Future<RecordMetadata> future : sent) future.get();
        }
    }

    static void dump(String address, String topic) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", address, "enable.auto.commit", false, "auto.offset.reset", "earliest",
            "max.partition.fetch.bytes", 8 << 20, "max.poll.records", 5000);
        List<ConsumerRecord<byte[], byte[]>> rows = new ArrayList<>();
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            long deadline = System.nanoTime() + Duration.ofMinutes(3).toNanos();
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                if (System.nanoTime() > deadline) throw new IllegalStateException("no end after 3 minutes");
                consumer.poll(Duration.ofMillis(500)).forEach(rows::add);
            }
        }
        rows.sort(Comparator.<ConsumerRecord<byte[], byte[]>>comparingInt(ConsumerRecord::partition).thenComparingLong(ConsumerRecord::offset));
        MessageDigest sha = MessageDigest.getInstance("SHA-256");
        for (var row : rows) {
            sha.update(ByteBuffer.allocate(16).putInt(row.partition()).putLong(row.offset()).putInt(row.key().length).array());
            sha.update(row.key());
            sha.update(ByteBuffer.allocate(4).putInt(row.value().length).array());
            sha.update(row.value());
        }
        System.out.println(HexFormat.of().formatHex(sha.digest()) + " " + rows.size());
    }
}
