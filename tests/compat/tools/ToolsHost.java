// Runs Kafka's command line tools one after the other in one JVM: a start of the JVM costs more than most of them (tests/compat/tools/run).
//
// Reads lines "COMMAND<tab>CLASS<tab>INPUT<tab>ARG..." (INPUT: what the tool reads from standard input, "\n" escaped), runs CLASS.main and
// writes "BEGIN COMMAND", the tool's output (standard output, then "--", then standard error) and "END EXIT-CODE".

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

public class ToolsHost {
    static class Ended extends Error {
        final int code;

        Ended(int code) {
            super("exit " + code, null, false, false);
            this.code = code;
        }
    }

    public static void main(String[] ignored) throws Exception {
        Exit.Procedure end = (code, message) -> {
            throw new Ended(code);
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((name, runnable) -> hooks.add(runnable));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream real = System.out;
        for (String line; (line = lines.readLine()) != null;) {
            String[] parts = line.split("\t", -1);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
            System.setIn(new ByteArrayInputStream(parts[2].replace("\\n", "\n").replace("\\t", "\t").getBytes(StandardCharsets.UTF_8)));
            int code = 0;
            try {
                Class.forName(parts[1]).getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(parts, 3, parts.length));
            } catch (InvocationTargetException problem) {
                Throwable cause = problem.getCause();
                while (cause != null && !(cause instanceof Ended)) {
                    if (cause.getCause() == null) break;
                    cause = cause.getCause();
                }
                if (cause instanceof Ended ended) {
                    code = ended.code;
                } else {
                    code = 99;
                    problem.getCause().printStackTrace(System.err);
                }
            }
            for (Runnable hook : hooks) hook.run();
            hooks.clear();
            real.println("BEGIN " + parts[0]);
            real.print(out.toString(StandardCharsets.UTF_8));
            if (out.size() > 0 && out.toByteArray()[out.size() - 1] != '\n') real.println();
            real.println("--");
            real.print(err.toString(StandardCharsets.UTF_8));
            if (err.size() > 0 && err.toByteArray()[err.size() - 1] != '\n') real.println();
            real.println("END " + code);
            real.flush();
        }
    }
}
