package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.engine.DeviceUnavailableException;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.testing.CommandRun;

class MainTest {
  @Test
  void nothingIsAskedForHelp() {
    CommandRun run = CommandRun.of();
    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.text())
        .contains("segment", "plan", "train", "evaluate", "info", "forward", "devices", "convert")
        .contains("benchmark");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "segment",
        "plan",
        "train",
        "evaluate",
        "info",
        "forward",
        "benchmark",
        "devices",
        "convert"
      })
  void everyCommandHasHelp(String command) {
    CommandRun run = CommandRun.of(command, "--help");
    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.text()).startsWith("Usage: unetrpp " + command);
    assertThat(run.out()).allMatch(line -> line.length() <= 80);
  }

  @Test
  void versionIsOneLine() {
    CommandRun run = CommandRun.of("--version");
    assertThat(run.out()).singleElement().asString().startsWith("unetrpp ");
  }

  @Test
  void devicesAreALineEach() {
    CommandRun run = CommandRun.of("devices");
    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).anyMatch(line -> line.startsWith("cpu: usable, "));
    assertThat(run.out()).anyMatch(line -> line.startsWith("cuda"));
  }

  static Stream<Arguments> failures() {
    Path path = Path.of("a.nii");
    return Stream.of(
        Arguments.of(new InvalidFileException(path, "no image"), 3, "a.nii: no image"),
        Arguments.of(new NoSuchFileException("a.nii"), 3, "a.nii: no such file"),
        Arguments.of(new AccessDeniedException("a.nii"), 1, "a.nii: permission denied"),
        Arguments.of(new NotDirectoryException("a.nii"), 1, "a.nii: not a folder"),
        Arguments.of(new FileAlreadyExistsException("a.nii"), 1, "a.nii: exists and is no folder"),
        Arguments.of(
            new FileSystemException("a.nii", null, "Quota exceeded"), 1, "a.nii: Quota exceeded"),
        Arguments.of(new IOException("first line\nsecond"), 1, "first line"),
        Arguments.of(new UncheckedIOException(new FileNotFoundException("lost")), 1, "lost"),
        Arguments.of(new DeviceUnavailableException("cuda: none"), 4, "cuda: none"),
        Arguments.of(new CancellationException("why"), 130, "cancelled"),
        Arguments.of(new CommandFailedException("too large"), 1, "too large"),
        Arguments.of(new ArithmeticException("gave NaN"), 1, "gave NaN"),
        Arguments.of(
            new IllegalStateException("odd"),
            1,
            "IllegalStateException: odd (-v shows the cause)"));
  }

  @ParameterizedTest
  @MethodSource("failures")
  void everyFailureIsOneLineWithItsExitCode(Exception failure, int exitCode, String message) {
    CommandRun run = CommandRun.during(() -> Main.report(failure, "", new CommonOptions()));
    assertThat(run.exitCode()).isEqualTo(exitCode);
    assertThat(run.err()).containsExactly("error: " + message);
  }
}
