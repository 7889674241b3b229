import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams for the system tests: "ADDRESS STATE-DIRECTORY WORDS" counts the words of topic "in" by way of a repartition topic and a state
 * store with a changelog, writes the counts to "out", and ends with 0 once a reader of "out" has seen counts that add up to WORDS.
 * Prints "uncaught ..." for each error that the application would have had to deal with.
 */
public final class WordCount {
    public static void main(String[] args) {
        long wanted = Long.parseLong(args[2]);
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "word-count");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[1]);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 500);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("in").flatMapValues(value -> Arrays.asList(value.split(" "))).groupBy((key, word) -> word)
            .count(Materialized.as("counts")).toStream().to("out", Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.setUncaughtExceptionHandler(error -> {
            System.out.println("uncaught " + error);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.start();
        Map<String, Long> counts = new HashMap<>();
        Map<String, Object> reading = Map.of("bootstrap.servers", args[0], "group.id", "reader", "auto.offset.reset", "earliest");
        try (KafkaConsumer<String, Long> reader = new KafkaConsumer<>(reading, new StringDeserializer(), new LongDeserializer())) {
            reader.subscribe(List.of("out"));
            for (long seen = 0; seen < wanted; seen = counts.values().stream().mapToLong(Long::longValue).sum()) {
                for (ConsumerRecord<String, Long> record : reader.poll(Duration.ofMillis(200))) counts.put(record.key(), record.value());
            }
        }
        System.out.println("words " + counts.size() + " counted " + counts.values().stream().mapToLong(Long::longValue).sum());
        streams.close(Duration.ofSeconds(20));
        System.exit(0);
    }
}
