// Runs Kafka's own command-line tools one after the other in this process: a JVM's start costs more than most of their work.
// Input: lines of a main class and its arguments, separated by tabs. Output per line: what the tool printed, then a line
// "\u0001 CODE". A tool's exit becomes its code; errors are printed as the tool prints them.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

public class Tools {
  static class Exited extends RuntimeException {
    Exited(int code) {
      super("exit " + code, null, false, false);
    }
  }

  public static void main(String[] args) throws Exception {
    PrintStream out = System.out;
    Integer[] first = {null};
    // A tool that catches its own exit calls it again; what counts, also of what it prints, is the first one.
    Exit.Procedure procedure = (code, message) -> {
      if (first[0] == null) {
        if (message != null) System.out.println(message);
        first[0] = code;
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(System.out);
      }
      throw new Exited(code);
    };
    Exit.setExitProcedure(procedure);
    Exit.setHaltProcedure(procedure);
    System.setErr(out);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split("\t", -1);
      int code = 0;
      first[0] = null;
      try {
        Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(words, 1, words.length));
      } catch (InvocationTargetException e) {
        if (!(e.getCause() instanceof Exited)) {
          e.getCause().printStackTrace(System.out);
          code = 1;
        }
      }
      System.setOut(out);
      System.setErr(out);
      out.println("\u0001 " + (first[0] == null ? code : first[0]));
      out.flush();
    }
  }
}
