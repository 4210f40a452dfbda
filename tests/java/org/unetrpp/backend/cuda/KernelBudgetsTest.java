package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** What the compiled kernels take of a GPU, as ptxas reports it, against kernels/budgets.txt. */
class KernelBudgetsTest {
  private static final Path KERNELS = Path.of("../kernels");
  private static final int REGISTERS_OF_A_BLOCK = 65_536;
  private static final int REGISTERS_ALLOCATED_TOGETHER = 256;
  private static final int WARP = 32;
  private static final int SHARED_BYTES = 48 << 10;

  /** One entry point compiled for one architecture. */
  private record Usage(
      String entry, String architecture, int registers, int sharedBytes, int spilledBytes) {
    @Override
    public String toString() {
      return entry + " on " + architecture;
    }
  }

  /** Of one file: the entry points, and the most threads that a block of each may have. */
  private record Report(List<Usage> usages, Map<String, Integer> threads) {
    private static final Pattern ENTRY = Pattern.compile("entry function '(\\w+)' for '(\\w+)'");
    private static final Pattern PROPERTIES = Pattern.compile("Function properties for (\\w+)");
    private static final Pattern SPILLED =
        Pattern.compile("(\\d+) bytes spill stores, (\\d+) bytes spill loads");
    private static final Pattern REGISTERS = Pattern.compile("Used (\\d+) registers");
    private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");
    private static final Pattern THREADS = Pattern.compile("block of (\\w+): (\\d+)");

    static Report parse(List<String> lines) {
      List<Usage> usages = new ArrayList<>();
      Map<String, Integer> threads = new HashMap<>();
      String entry = "";
      String architecture = "";
      int spilled = 0;
      for (String line : lines) {
        Matcher compiled = ENTRY.matcher(line);
        Matcher properties = PROPERTIES.matcher(line);
        Matcher spills = SPILLED.matcher(line);
        Matcher registers = REGISTERS.matcher(line);
        Matcher block = THREADS.matcher(line);
        if (compiled.find()) {
          entry = compiled.group(1);
          architecture = compiled.group(2);
          spilled = 0;
        } else if (properties.find()) { // of a function that the entry point calls, too
          spilled = properties.group(1).equals(entry) ? 0 : spilled;
        } else if (spills.find()) {
          spilled += Integer.parseInt(spills.group(1)) + Integer.parseInt(spills.group(2));
        } else if (registers.find()) {
          Matcher shared = SHARED.matcher(line);
          usages.add(
              new Usage(
                  entry,
                  architecture,
                  Integer.parseInt(registers.group(1)),
                  shared.find() ? Integer.parseInt(shared.group(1)) : 0,
                  spilled));
        } else if (block.find()) {
          threads.put(block.group(1), Integer.parseInt(block.group(2)));
        }
      }
      return new Report(usages, threads);
    }

    /** What is beyond the budgets, in words. */
    List<String> violations(List<Budget> budgets) {
      List<String> found = new ArrayList<>();
      for (Usage usage : usages) {
        Integer block = threads.get(usage.entry);
        if (block == null) {
          found.add(usage + " has no launch bounds");
          continue;
        }
        Budget budget = Budget.of(usage.entry, budgets);
        check(found, usage, "registers", usage.registers, budget.registers);
        check(found, usage, "bytes of static shared memory", usage.sharedBytes, budget.sharedBytes);
        check(found, usage, "spilled bytes", usage.spilledBytes, budget.spilledBytes);
        int ofWarp = Math.ceilDiv(usage.registers * WARP, REGISTERS_ALLOCATED_TOGETHER);
        int ofBlock = Math.ceilDiv(block, WARP) * ofWarp * REGISTERS_ALLOCATED_TOGETHER;
        String what = "registers in a block of " + block;
        check(found, usage, what, ofBlock, REGISTERS_OF_A_BLOCK);
      }
      return found;
    }

    private static void check(List<String> found, Usage usage, String what, int is, int most) {
      if (is > most) {
        found.add("%s: %d %s, at most %d".formatted(usage, is, what, most));
      }
    }
  }

  /** A line of the budgets. */
  private record Budget(Pattern entry, int registers, int sharedBytes, int spilledBytes) {
    private static final Budget WITHOUT_LINE =
        new Budget(Pattern.compile(".*"), 255, SHARED_BYTES, 0);

    static List<Budget> read(List<String> lines) {
      return lines.stream()
          .filter(line -> !line.isBlank() && !line.startsWith("#"))
          .map(Budget::parse)
          .toList();
    }

    private static Budget parse(String line) {
      Matcher matcher =
          Pattern.compile("([\\w*]+) +(\\d+)(?: +shared=(\\d+))?(?: +spill=(\\d+))?").matcher(line);
      if (!matcher.matches()) {
        throw new IllegalArgumentException("budget '%s' is not understood".formatted(line));
      }
      return new Budget(
          Pattern.compile(matcher.group(1).replace("*", ".*")),
          Integer.parseInt(matcher.group(2)),
          Optional.ofNullable(matcher.group(3)).map(Integer::parseInt).orElse(SHARED_BYTES),
          Optional.ofNullable(matcher.group(4)).map(Integer::parseInt).orElse(0));
    }

    static Budget of(String entry, List<Budget> budgets) {
      return budgets.stream()
          .filter(budget -> budget.entry.matcher(entry).matches())
          .findFirst()
          .orElse(WITHOUT_LINE);
    }
  }

  /** Of every kernel file by its name; a machine without nvcc has none. */
  private static Map<String, Report> reports() throws IOException {
    Map<String, Report> reports = new HashMap<>();
    Path folder = KERNELS.resolve("target/ptxas");
    if (Files.isDirectory(folder)) {
      try (Stream<Path> files = Files.list(folder)) {
        for (Path file : files.filter(path -> path.toString().endsWith(".txt")).toList()) {
          String name = Objects.requireNonNull(file.getFileName()).toString();
          reports.put(name.replace(".txt", ""), Report.parse(Files.readAllLines(file)));
        }
      }
    }
    assumeTrue(!reports.isEmpty(), "no kernel was compiled: the build found no nvcc that works");
    return reports;
  }

  private static List<Budget> budgets() throws IOException {
    return Budget.read(Files.readAllLines(KERNELS.resolve("budgets.txt")));
  }

  @Test
  void everyKernelIsWithinItsBudgetOnEveryArchitecture() throws IOException {
    List<Budget> budgets = budgets();
    assertThat(reports().values().stream().flatMap(report -> report.violations(budgets).stream()))
        .isEmpty();
  }

  @Test
  void everyKernelFileWasCompiledForTheSameArchitectures() throws IOException {
    List<String> files;
    try (Stream<Path> sources = Files.list(KERNELS)) {
      files =
          sources
              .map(path -> Objects.requireNonNull(path.getFileName()).toString())
              .filter(name -> name.endsWith(".cu"))
              .map(name -> name.replace(".cu", ""))
              .toList();
    }
    Map<String, Report> reports = reports();
    assertThat(reports).containsOnlyKeys(files);
    assertThat(
            reports.values().stream()
                .map(report -> report.usages.stream().map(Usage::architecture).distinct().toList())
                .distinct())
        .hasSize(1)
        .allSatisfy(architectures -> assertThat(architectures).isNotEmpty());
  }

  @Test
  void everyBudgetIsOfAKernelThatThereIs() throws IOException {
    List<String> entries =
        reports().values().stream()
            .flatMap(report -> report.usages.stream().map(Usage::entry))
            .distinct()
            .toList();
    assertThat(budgets())
        .allSatisfy(
            budget -> assertThat(entries).anyMatch(entry -> budget.entry.matcher(entry).matches()));
  }

  /** The check itself, on reports as ptxas writes them. */
  @Nested
  class Check {
    private static final String REPORT =
        """
        ptxas info    : 0 bytes gmem
        ptxas info    : Compiling entry function 'sum_f32' for 'sm_75'
        ptxas info    : Function properties for sum_f32
            16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
        ptxas info    : Used 72 registers, used 1 barriers, 50000 bytes smem, 400 bytes cmem[0]
        block of sum_f32: 1024
        """;

    private static List<String> violations(String report, String... budgets) {
      return Report.parse(report.lines().toList()).violations(Budget.read(List.of(budgets)));
    }

    @Test
    void namesAllThatIsBeyondTheBudget() {
      assertThat(violations(REPORT, "# registers", "sum_* 64"))
          .containsExactly(
              "sum_f32 on sm_75: 72 registers, at most 64",
              "sum_f32 on sm_75: 50000 bytes of static shared memory, at most 49152",
              "sum_f32 on sm_75: 20 spilled bytes, at most 0",
              "sum_f32 on sm_75: 73728 registers in a block of 1024, at most 65536");
    }

    @Test
    void allowsWhatALineAllows() {
      String small = REPORT.replace("1024", "256");
      assertThat(violations(small, "sum_f32 72 shared=50000 spill=20", "sum_* 64")).isEmpty();
    }

    @Test
    void findsAKernelWithoutLaunchBounds() {
      assertThat(violations(REPORT.replaceAll("block of.*", ""), "sum_* 72"))
          .containsExactly("sum_f32 on sm_75 has no launch bounds");
    }

    @Test
    void holdsKernelsWithoutALineToTheirBlockAlone() {
      String clean = REPORT.replace("8 bytes", "0 bytes").replace("12 bytes", "0 bytes");
      assertThat(violations(clean.replace("50000", "48").replace("72", "64"))).isEmpty();
      assertThat(violations(clean.replace("50000", "48")))
          .containsExactly("sum_f32 on sm_75: 73728 registers in a block of 1024, at most 65536");
    }
  }
}
