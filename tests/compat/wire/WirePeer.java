// Kafka's side of the proof that weir's codec and Kafka's agree byte for byte (tests/compat/wire/run).
//   check FILE      each line is a message that weir encoded and printed: Kafka must read it, write the same bytes, show the same JSON,
//                   and make the same bytes from that JSON
//   generate FILE   writes messages that were built as JSON from Kafka's own schemas and encoded by Kafka
//   tables FILE     compares weir's table of APIs and error codes with Kafka's
// A line: message name, version, "tags" when unknown tagged fields were added (JSON does not show them) or "-", hex, JSON; tab-separated.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public class WirePeer {
    static final String MESSAGES = "org.apache.kafka.common.message.";
    static final String GROUP_RECORDS = "org.apache.kafka.coordinator.group.generated.";
    static final String TRANSACTION_RECORDS = "org.apache.kafka.coordinator.transaction.generated.";
    static final int FAILURES_SHOWN_MAX = 20;
    static final int LONG_LENGTH = 130;
    /** Arrays nest no deeper; a message that is not long at any depth has the longest strings instead. */
    static final int DEEPEST = 5;
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final JsonNodeFactory NODES = JsonNodeFactory.instance;

    public static void main(String[] args) throws Exception {
        boolean good = switch (args[0]) {
            case "check" -> check(Path.of(args[1]));
            case "generate" -> generate(Path.of(args[1]), Path.of(args[2]));
            case "tables" -> tables(Path.of(args[1]));
            default -> throw new IllegalArgumentException(args[0]);
        };
        System.exit(good ? 0 : 1);
    }

    /** One kind of message: Kafka's data class and its JSON converter. */
    record Kind(Class<?> data, Class<?> converter) {
        /** An API's message, a header, or a record of one of the coordinators' topics. */
        static Kind of(String name) throws Exception {
            for (String place : List.of(MESSAGES + name + "Data", GROUP_RECORDS + name, TRANSACTION_RECORDS + name)) {
                try {
                    return new Kind(Class.forName(place), Class.forName(place + "JsonConverter"));
                } catch (ClassNotFoundException e) {
                    // the next place
                }
            }
            throw new ClassNotFoundException("Kafka has no message " + name);
        }

        Message decode(byte[] bytes, short version) throws Exception {
            Message message = (Message) data.getConstructor().newInstance();
            ByteBufferAccessor in = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
            message.read(in, version);
            if (in.remaining() != 0) throw new IOException(in.remaining() + " bytes left over");
            return message;
        }

        JsonNode toJson(Message message, short version) throws Exception {
            JsonNode node = (JsonNode) converter.getMethod("write", data, short.class, boolean.class).invoke(null, message, version, true);
            return MAPPER.readTree(MAPPER.writeValueAsBytes(node));
        }

        Message fromJson(JsonNode node, short version) throws Exception {
            return (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, node, version);
        }
    }

    static byte[] encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException("size() said too much");
        return buffer.array();
    }

    // ---- check

    static boolean check(Path file) throws Exception {
        int lines = 0;
        int failures = 0;
        try (BufferedReader in = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            for (String line; (line = in.readLine()) != null; ++lines) {
                String[] parts = line.split("\t", 5);
                String problem;
                try {
                    problem = checkOne(Kind.of(parts[0]), Short.parseShort(parts[1]), parts[2].equals("tags"), HexFormat.of().parseHex(parts[3]), parts[4]);
                } catch (Exception e) {
                    Throwable cause = e.getCause() == null ? e : e.getCause();
                    problem = cause.toString();
                }
                if (problem != null && ++failures <= FAILURES_SHOWN_MAX) System.err.println(parts[0] + " v" + parts[1] + ": " + shorten(problem));
            }
        }
        System.err.println("Kafka checked " + lines + " messages: " + failures + " differ");
        return failures == 0 && lines > 0;
    }

    static String shorten(String text) {
        String plain = text.replaceAll("m{40,}", "m..m").replaceAll("(6d){40,}", "6d..6d");
        return plain.length() < 1500 ? plain : plain.substring(0, 1500) + "...";
    }

    static String checkOne(Kind kind, short version, boolean tags, byte[] bytes, String json) throws Exception {
        Message message = kind.decode(bytes, version);
        byte[] again = encode(message, version);
        if (!Arrays.equals(bytes, again)) return "bytes differ: " + HexFormat.of().formatHex(bytes) + " and Kafka's " + HexFormat.of().formatHex(again);
        JsonNode kafkas = kind.toJson(message, version);
        JsonNode ours = MAPPER.readTree(json);
        if (!kafkas.equals(withoutRecords(ours))) return "JSON differs: " + ours + " and Kafka's " + kafkas;
        if (!tags && !Arrays.equals(bytes, encode(kind.fromJson(ours, version), version))) return "bytes made from the JSON differ: " + ours;
        return null;
    }

    /** Kafka's converter reads records from JSON, but shows every non-null one as empty; their bytes are compared through fromJson. */
    static JsonNode withoutRecords(JsonNode node) {
        JsonNode copy = node.deepCopy();
        for (JsonNode holder : copy.findParents("records")) {
            if (holder.get("records").isTextual()) ((ObjectNode) holder).put("records", "");
        }
        return copy;
    }

    // ---- generate

    enum Shape {
        DEFAULTS(6), NULLS(6), EMPTIES(6), MAXIMA(6), MINIMA(4), MIXED(14);

        final int seeds;

        Shape(int seeds) {
            this.seeds = seeds;
        }
    }

    /** KINDS lists "name min max" per line: what weir has schemas for. */
    static boolean generate(Path kinds, Path file) throws Exception {
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(file, StandardCharsets.UTF_8))) {
            for (String line : Files.readAllLines(kinds)) {
                String[] parts = line.split(" ");
                Kind kind = Kind.of(parts[0]);
                for (short version = Short.parseShort(parts[1]); version <= Short.parseShort(parts[2]); ++version) {
                    for (Shape shape : Shape.values()) {
                        for (int seed = 0; seed < shape.seeds; ++seed) one(out, parts[0], kind, version, shape, seed);
                    }
                }
            }
            return !out.checkError();
        }
    }

    static void one(PrintWriter out, String name, Kind kind, short version, Shape shape, int seed) throws Exception {
        Builder builder = new Builder(version, shape, seed);
        JsonNode json = builder.struct(kind.data());
        Message message = kind.fromJson(json, version);
        boolean tags = seed % 2 == 1 && builder.flexible;
        if (tags) builder.addUnknownTags(message);
        byte[] bytes = encode(message, version);
        out.println(name + "\t" + version + "\t" + (tags ? "tags" : "-") + "\t" + HexFormat.of().formatHex(bytes) + "\t"
            + MAPPER.writeValueAsString(kind.toJson(message, version)));
    }

    /** Makes JSON for Kafka's data classes from their schemas. */
    static class Builder {
        final short version;
        final Random random;
        final int longDepth;
        Shape shape;
        int depth = 0;
        boolean flexible = false;

        Builder(short version, Shape shape, int seed) {
            this.version = version;
            this.shape = shape;
            this.random = new Random(seed * 7919L + shape.ordinal());
            this.longDepth = seed % (DEEPEST + 1);
        }

        ObjectNode struct(Class<?> type) throws Exception {
            Schema schema = ((Schema[]) type.getField("SCHEMAS").get(null))[version];
            Object defaults = type.getConstructor().newInstance();
            ObjectNode node = NODES.objectNode();
            for (BoundField bound : schema.fields()) {
                if (bound.def.type instanceof TaggedFields tagged) {
                    flexible = true;
                    for (Field field : tagged.fields().values()) field(node, type, defaults, field, true);
                } else {
                    field(node, type, defaults, bound.def, false);
                }
            }
            return node;
        }

        void field(ObjectNode node, Class<?> type, Object defaults, Field field, boolean tagged) throws Exception {
            String name = camel(field.name);
            java.lang.reflect.Field member = type.getDeclaredField(name);
            member.setAccessible(true);
            Object initial = member.get(defaults);
            boolean array = field.type.isArray();
            Type element = array ? field.type.arrayElementType().get() : field.type;
            boolean container = element instanceof Schema;
            boolean nullable = field.type.isNullable();
            if (keepsDefault(container) && (initial != null || nullable)) {
                if (tagged) return;
                if (!container || array) {
                    node.set(name, value(initial));
                    return;
                }
            }
            if (nullable && choosesNull(container)) {
                node.putNull(name);
            } else if (array) {
                node.set(name, array(element, container ? elementClass(member) : null));
            } else {
                node.set(name, container ? struct(member.getType()) : scalar(element));
            }
        }

        ArrayNode array(Type element, Class<?> type) throws Exception {
            Shape saved = shape;
            int at = depth++;
            int count = switch (saved) {
                case EMPTIES -> type != null && random.nextBoolean() ? 1 : 0;
                case MAXIMA -> type == null || at == longDepth ? LONG_LENGTH : 1;
                case MIXED -> random.nextInt(4);
                default -> 1;
            };
            if (count == LONG_LENGTH) shape = Shape.EMPTIES;
            ArrayNode items = NODES.arrayNode();
            for (int i = 0; i < count; ++i) items.add(type != null ? struct(type) : scalar(element));
            shape = saved;
            --depth;
            return items;
        }

        boolean keepsDefault(boolean container) {
            return switch (shape) {
                case DEFAULTS -> !container || random.nextInt(4) == 0;
                case MIXED -> random.nextInt(5) == 0;
                default -> false;
            };
        }

        boolean choosesNull(boolean container) {
            return switch (shape) {
                case NULLS -> !container || random.nextBoolean();
                case MIXED -> random.nextInt(5) == 0;
                default -> false;
            };
        }

        JsonNode scalar(Type type) {
            String name = type.toString();
            if (name.contains("STRING")) return NODES.textNode(text());
            if (name.contains("BYTES") || name.contains("RECORDS")) return NODES.binaryNode(bytes());
            if (type == Type.BOOLEAN) return NODES.booleanNode(shape == Shape.MAXIMA || (shape != Shape.MINIMA && random.nextBoolean()));
            if (type == Type.UUID) {
                if (shape == Shape.MAXIMA) return NODES.textNode(new Uuid(-1, -1).toString());
                return NODES.textNode(new Uuid(random.nextLong(), random.nextLong()).toString());
            }
            if (type == Type.FLOAT64) {
                return NODES.numberNode(shape == Shape.MAXIMA ? Double.MAX_VALUE : shape == Shape.MINIMA ? -Double.MAX_VALUE : random.nextInt() / 64.0);
            }
            if (type == Type.INT8) return NODES.numberNode(integer(Byte.MIN_VALUE, Byte.MAX_VALUE));
            if (type == Type.INT16) return NODES.numberNode(integer(Short.MIN_VALUE, Short.MAX_VALUE));
            if (type == Type.UINT16) return NODES.numberNode(integer(0, 0xFFFF));
            if (type == Type.INT32) return NODES.numberNode(integer(Integer.MIN_VALUE, Integer.MAX_VALUE));
            if (type == Type.UNSIGNED_INT32) return NODES.numberNode(integer(0, 0xFFFFFFFFL));
            if (type == Type.INT64) return NODES.numberNode(integer(Long.MIN_VALUE, Long.MAX_VALUE));
            throw new IllegalStateException("no values for " + name);
        }

        long integer(long min, long max) {
            if (shape == Shape.MAXIMA) return max;
            if (shape == Shape.MINIMA) return min;
            return switch (random.nextInt(4)) {
                case 0 -> max;
                case 1 -> random.nextInt(100);
                default -> max == Long.MAX_VALUE ? random.nextLong() : min + Math.floorMod(random.nextLong(), max - min + 1);
            };
        }

        int length() {
            return switch (shape) {
                case EMPTIES -> 0;
                case MAXIMA -> LONG_LENGTH + random.nextInt(300);
                default -> random.nextInt(12);
            };
        }

        String text() {
            if (shape == Shape.MAXIMA && longDepth == DEEPEST) return "m".repeat(Short.MAX_VALUE);
            String[] pieces = {"a", "Z", "-", ".", "7", "\"", "\\", "\n", "\t", "\u00e9", "\u20ac", "\ud83c\udf0a", "\u0001", " "};
            StringBuilder text = new StringBuilder();
            for (int left = length(); left > 0; --left) text.append(pieces[random.nextInt(pieces.length)]);
            return text.toString();
        }

        byte[] bytes() {
            byte[] data = new byte[length()];
            random.nextBytes(data);
            return data;
        }

        /** Adds unknown tagged fields to the message and to every struct that its version has. */
        void addUnknownTags(Object object) throws Exception {
            if (object instanceof Collection<?> items) {
                for (Object item : items) addUnknownTags(item);
                return;
            }
            if (!(object instanceof Message message)) return;
            int id = 1000;
            for (int left = random.nextInt(3); left > 0; --left) {
                id += 1 + random.nextInt(40000);
                message.unknownTaggedFields().add(new RawTaggedField(id, bytes()));
            }
            for (BoundField bound : ((Schema[]) object.getClass().getField("SCHEMAS").get(null))[version].fields()) {
                Collection<Field> fields = bound.def.type instanceof TaggedFields tagged ? tagged.fields().values() : List.of(bound.def);
                for (Field field : fields) {
                    java.lang.reflect.Field member = object.getClass().getDeclaredField(camel(field.name));
                    member.setAccessible(true);
                    addUnknownTags(member.get(object));
                }
            }
        }
    }

    static JsonNode value(Object object) {
        if (object == null) return NODES.nullNode();
        if (object instanceof String text) return NODES.textNode(text);
        if (object instanceof Boolean bool) return NODES.booleanNode(bool);
        if (object instanceof Double number) return NODES.numberNode(number);
        if (object instanceof Number number) return NODES.numberNode(number.longValue());
        if (object instanceof Uuid id) return NODES.textNode(id.toString());
        if (object instanceof byte[] data) return NODES.binaryNode(data);
        if (object instanceof ByteBuffer) return NODES.binaryNode(new byte[0]);
        if (object instanceof Collection<?>) return NODES.arrayNode();
        throw new IllegalStateException("no JSON for a default of " + object.getClass());
    }

    static Class<?> elementClass(java.lang.reflect.Field member) {
        if (member.getGenericType() instanceof ParameterizedType list) return (Class<?>) list.getActualTypeArguments()[0];
        return (Class<?>) ((ParameterizedType) member.getType().getGenericSuperclass()).getActualTypeArguments()[0];
    }

    static String camel(String snake) {
        StringBuilder name = new StringBuilder();
        for (String part : snake.split("_")) {
            name.append(name.isEmpty() ? part : Character.toUpperCase(part.charAt(0)) + part.substring(1));
        }
        return name.toString();
    }

    // ---- tables

    /** Lines "api KEY NAME MIN MAX MAX_STABLE", "header KEY VERSION REQUEST RESPONSE", "error CODE NAME RETRIABLE". */
    static boolean tables(Path file) throws Exception {
        List<String> problems = new ArrayList<>();
        int errors = 0;
        for (String line : Files.readAllLines(file)) {
            String[] parts = line.split(" ");
            short number = Short.parseShort(parts[1]);
            String kafkas;
            switch (parts[0]) {
                case "api" -> {
                    ApiMessageType type = ApiMessageType.fromApiKey(number);
                    kafkas = "api " + number + " " + type.name + " " + type.lowestSupportedVersion() + " " + type.highestSupportedVersion(true) + " "
                        + type.highestSupportedVersion(false);
                }
                case "header" -> {
                    short version = Short.parseShort(parts[2]);
                    ApiKeys api = ApiKeys.forId(number);
                    kafkas = "header " + number + " " + version + " " + api.requestHeaderVersion(version) + " " + api.responseHeaderVersion(version);
                }
                default -> {
                    ++errors;
                    Errors error = Errors.forCode(number);
                    kafkas = "error " + number + " " + error.name() + " " + (error.exception() instanceof RetriableException);
                }
            }
            if (!kafkas.equals(line)) problems.add("'" + line + "', Kafka has '" + kafkas + "'");
        }
        if (errors != Errors.values().length) problems.add(errors + " error codes, Kafka has " + Errors.values().length);
        problems.forEach(System.err::println);
        return problems.isEmpty();
    }
}
