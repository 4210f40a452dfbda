package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class ProviderChoiceTest {
  private static final Ones WORK = new Ones(1000);

  private final List<String> log = new ArrayList<>();
  private final ChoiceTable table = ChoiceTable.inMemory();
  private Policy policy = Policy.MEASURED;
  private final EmulatedContext emulated = new EmulatedContext();
  private final Writer own = new Writer("own", 1);

  /** Who wrote last is asked for the time. */
  private double lastMillis;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @AfterEach
  void everyBufferIsReleased() {
    emulated.close();
  }

  /** Writes ones, or not quite. */
  private class Writer implements Provider {
    private final String name;
    private final double millis;
    private int runs;

    Writer(String name, double millis) {
      this.name = name;
      this.millis = millis;
    }

    @Override
    public String name() {
      return name;
    }

    void write(Buffer output) {
      runs++;
      lastMillis = millis;
      for (long i = 0; i < output.elements(); i++) {
        EmulatedContext.write(output, i, value(i));
      }
    }

    /** What is written at {@code index}, 1 if it is right. */
    @SuppressWarnings("UnusedVariable") // of those who err in some places
    float value(long index) {
      return 1;
    }
  }

  private record Ones(int count) implements Work<Writer> {
    @Override
    public String key() {
      return count + " ones";
    }

    @Override
    public double tolerance() {
      return 1e-4;
    }

    @Override
    public Trial<Writer> trial(RandomValues random) {
      return new Trial<>() {
        @Override
        public Buffer output() {
          return random.allocate(DType.FLOAT32, count, 1);
        }

        @Override
        public void run(Writer provider, Buffer output) {
          provider.write(output);
        }
      };
    }
  }

  private record Loaded(Writer provider, @Nullable String refused)
      implements Library<Writer, Ones> {
    @Override
    public @Nullable String refusal(Ones work) {
      return refused;
    }

    @Override
    public void close() {}
  }

  private ProviderChoice<Writer, Ones> choice(Writer... writers) {
    List<Loaded> libraries = new ArrayList<>();
    for (Writer writer : writers) {
      libraries.add(new Loaded(writer, null));
    }
    return choice(libraries);
  }

  private ProviderChoice<Writer, Ones> choice(List<Loaded> libraries) {
    return choice(emulated, libraries);
  }

  private ProviderChoice<Writer, Ones> choice(EmulatedContext on, List<Loaded> libraries) {
    Stopwatch stopwatch =
        work -> {
          work.run();
          return lastMillis;
        };
    return new ProviderChoice<>(on.context(), policy, own, libraries, stopwatch, table, log::add);
  }

  @Test
  void quickestIsTakenAndAskedOnce() {
    Writer slow = new Writer("slow", 0.9);
    Writer quick = new Writer("quick", 0.1);
    ProviderChoice<Writer, Ones> choice = choice(slow, quick);
    assertThat(choice.of(WORK)).isSameAs(quick);
    int runs = quick.runs;
    assertThat(choice.of(new Ones(1000))).isSameAs(quick);
    assertThat(quick.runs).isEqualTo(runs);
    assertThat(table.provider("1000 ones")).isEqualTo("quick");
    assertThat(log).isEmpty();
  }

  @Test
  void ownIsTakenWhereItIsAboutAsQuick() {
    assertThat(choice(new Writer("library", 0.98)).of(WORK)).isSameAs(own);
    assertThat(table.provider("1000 ones")).isEqualTo("own");
  }

  @Test
  void eachShapeIsChosenForItself() {
    Writer library = new Writer("library", 0.5);
    ProviderChoice<Writer, Ones> choice = choice(library);
    choice.of(WORK);
    int runs = library.runs;
    choice.of(new Ones(999));
    assertThat(library.runs).isGreaterThan(runs);
  }

  private void requireDropped(Writer wrong, String... messageParts) {
    assertThat(choice(wrong).of(WORK)).isSameAs(own);
    assertThat(log).hasSize(1).first().asString().contains("1000 ones", "wrong");
    assertThat(log).first().asString().contains(messageParts);
    assertThat(table.provider("1000 ones")).isEqualTo("own");
  }

  @Test
  void libraryThatIsInaccurateIsDropped() {
    requireDropped(
        new Writer("wrong", 0.1) {
          @Override
          float value(long index) {
            return index % 2 == 0 ? 1.0003f : 1;
          }
        },
        "differs from own kernels by 2.1e-04");
  }

  @Test
  void libraryThatIsAccurateEnoughIsKept() {
    Writer library =
        new Writer("right", 0.1) {
          @Override
          float value(long index) {
            return index % 2 == 0 ? 1.0001f : 1;
          }
        };
    assertThat(choice(library).of(WORK)).isSameAs(library);
  }

  @Test
  void libraryWithOneWrongValueIsDropped() {
    Ones many = new Ones(100_000); // where the norm hardly shows it
    Writer wrong =
        new Writer("wrong", 0.1) {
          @Override
          float value(long index) {
            return index == 77_777 ? 1.01f : 1;
          }
        };
    assertThat(choice(wrong).of(many)).isSameAs(own);
    assertThat(log).hasSize(1).first().asString().contains("by 3.2e-05", "up to 1.0e-02");
  }

  @Test
  void libraryThatLeavesNaNIsDropped() {
    requireDropped(
        new Writer("wrong", 0.1) {
          @Override
          float value(long index) {
            return index == 999 ? Float.NaN : 1;
          }
        },
        "NaN");
  }

  @Test
  void libraryThatFailsIsDropped() {
    requireDropped(
        new Writer("wrong", 0.1) {
          @Override
          void write(Buffer output) {
            throw new CudaException("cudnnConvolutionForward: code 3000");
          }
        },
        "code 3000");
  }

  @Test
  void failureOfOwnKernelsIsNotHidden() {
    Writer failing =
        new Writer("own", 1) {
          @Override
          void write(Buffer output) {
            throw new CudaException("launch failed");
          }
        };
    var choice =
        new ProviderChoice<Writer, Ones>(
            emulated.context(),
            policy,
            failing,
            List.of(new Loaded(new Writer("library", 1), null)),
            _ -> 1,
            table,
            log::add);
    assertThatThrownBy(() -> choice.of(WORK)).hasMessage("launch failed");
  }

  @Test
  void libraryThatRefusesIsNotTried() {
    Writer library = new Writer("library", 0.1);
    var choice = choice(List.of(new Loaded(library, "has too few channels")));
    assertThat(choice.of(WORK)).isSameAs(own);
    assertThat(library.runs).isZero();
    assertThat(own.runs).isZero();
    assertThat(log).isEmpty();
  }

  @Test
  void choiceOfTheTableIsNotTriedAgain() {
    Writer library = new Writer("library", 5);
    table.choose("1000 ones", "library", Map.of(), Map.of());
    assertThat(choice(library).of(WORK)).isSameAs(library);
    assertThat(library.runs).isZero();
  }

  @Test
  void choiceOfALibraryThatIsGoneIsTriedAgain() {
    Writer library = new Writer("library", 0.5);
    table.choose("1000 ones", "another", Map.of(), Map.of());
    assertThat(choice(library).of(WORK)).isSameAs(library);
    assertThat(library.runs).isPositive();
  }

  @Test
  void policyOwnTriesNothing() {
    policy = Policy.OWN;
    Writer library = new Writer("library", 0.1);
    table.choose("1000 ones", "library", Map.of(), Map.of());
    assertThat(choice(library).of(WORK)).isSameAs(own);
    assertThat(library.runs).isZero();
  }

  @Test
  void policyLibraryTakesItThoughItIsSlower() {
    policy = Policy.LIBRARY;
    Writer library = new Writer("library", 5);
    table.choose("1000 ones", "own", Map.of(), Map.of());
    assertThat(choice(library).of(WORK)).isSameAs(library);
    assertThat(table.provider("1000 ones")).isEqualTo("own");
  }

  @Test
  void policyLibraryDropsItIfItIsWrong() {
    policy = Policy.LIBRARY;
    Writer wrong =
        new Writer("wrong", 0.1) {
          @Override
          float value(long index) {
            return 2;
          }
        };
    assertThat(choice(wrong).of(WORK)).isSameAs(own);
    assertThat(log).hasSize(1);
  }

  @Test
  void withoutMemoryToTryOwnIsTaken() {
    // One result of 4000 bytes, not two.
    try (EmulatedContext small = new EmulatedContext(6000)) {
      Loaded library = new Loaded(new Writer("library", 0.1), null);
      assertThat(choice(small, List.of(library)).of(WORK)).isSameAs(own);
    }
    assertThat(log).hasSize(1).first().asString().contains("no memory");
    assertThat(table.provider("1000 ones")).isNull();
  }
}
