import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.yamcs.YConfiguration;
import org.yamcs.events.EventProducerFactory;
import org.yamcs.mdb.Mdb;
import org.yamcs.mdb.MdbFactory;
import org.yamcs.mdb.XtceTmExtractor;
import org.yamcs.parameter.Value;
import org.yamcs.utils.TimeEncoding;

/**
 * Yamcs' own database loader and packet extractor, without its server.
 *
 * <p>Argument: an XTCE file. Standard input: space packets, one behind the other. Standard output: for each packet a
 * line of JSON, {"container": the innermost, "values": {parameter: [raw, engineering]}}. Floats are printed with all
 * their digits (NaN and Infinity bare), octets in hexadecimal, times in ISO 8601 to the millisecond that Yamcs keeps.
 */
public class Decode {
    public static void main(String[] arguments) throws Exception {
        TimeEncoding.setUp();
        EventProducerFactory.setMockup(false);
        var loader = YConfiguration.wrap(Map.of("type", "xtce", "args", Map.of("file", arguments[0])));
        Mdb definitions = MdbFactory.createInstance(List.of(loader), false, false);
        XtceTmExtractor extractor = new XtceTmExtractor(definitions);
        extractor.provideAll();

        Gson json = new GsonBuilder().serializeSpecialFloatingPointValues().serializeNulls().create();
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        long now = TimeEncoding.getWallclockTime();
        byte[] header = new byte[6];
        for (int count = 0; in.readNBytes(header, 0, 6) == 6; count++) {
            int length = ((header[4] & 0xff) << 8 | header[5] & 0xff) + 1;
            byte[] packet = new byte[6 + length];
            System.arraycopy(header, 0, packet, 0, 6);
            in.readFully(packet, 6, length);

            var result = extractor.processPacket(packet, now, now, count);
            Map<String, Object> values = new LinkedHashMap<>();
            for (var value : result.getParameterResult()) {
                Object[] pair = {plain(value.getRawValue()), plain(value.getEngValue())};
                values.put(value.getParameter().getName(), pair);
            }
            var containers = result.getContainerResult();
            var innermost = containers.get(containers.size() - 1).getContainer().getName();
            out.println(json.toJson(Map.of("container", innermost, "values", values)));
        }
        out.flush();
    }

    private static Object plain(Value value) {
        if (value == null) {
            return null;
        }
        return switch (value.getType()) {
            case UINT32 -> Integer.toUnsignedLong(value.getUint32Value());
            case UINT64 -> new BigInteger(Long.toUnsignedString(value.getUint64Value()));
            case SINT32 -> value.getSint32Value();
            case SINT64 -> value.getSint64Value();
            case FLOAT -> (double) value.getFloatValue();
            case DOUBLE -> value.getDoubleValue();
            case BOOLEAN -> value.getBooleanValue();
            case STRING, ENUMERATED -> value.getStringValue();
            case BINARY -> HexFormat.of().formatHex(value.getBinaryValue());
            case TIMESTAMP -> TimeEncoding.toString(value.getTimestampValue());
            default -> throw new IllegalStateException("a value of type " + value.getType());
        };
    }
}
