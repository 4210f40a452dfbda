package org.unetrpp.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StateLayoutTest {
  /**
   * The digests are those of the {@code state_dict} of the published implementation: a line {@code
   * name TAB shape TAB alias} per entry, extents joined by commas.
   */
  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "synapse, 636, 42, f6aee69ddc719336e04bc5f5a8ecb6b687a555070c3be5e7b2e7a5f83a9b8cb8",
    "acdc, 888, 0, ee0584ffee63530200fc872bde6dc3ea1b8460cbbcfee14416ddb4d54014c34c",
    "lung, 888, 0, 61411b2450a5d1b5db5b2e6f40dc548a8969e8176652a04e54d49028b1018d36",
    "tumor, 489, 0, d8feec973a0df59b33cb2a1e210bb917102f11d3a988a7d5a2caded3eebf49c9"
  })
  void entriesAreThoseOfThePublishedNetwork(String variant, int count, int aliases, String sha256)
      throws NoSuchAlgorithmException {
    List<StateEntry> entries = StateLayout.of(Architecture.published(variant).orElseThrow());
    String lines = entries.stream().map(StateLayoutTest::line).collect(Collectors.joining());
    byte[] digest =
        MessageDigest.getInstance("SHA-256").digest(lines.getBytes(StandardCharsets.UTF_8));

    assertThat(entries).hasSize(count);
    assertThat(entries.stream().filter(entry -> entry.aliasOf() != null)).hasSize(aliases);
    assertThat(HexFormat.of().formatHex(digest)).isEqualTo(sha256);
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "synapse, 42952850, 1372, 126",
    "acdc, 66796404, 392, 252",
    "lung, 121174798, 196, 252",
    "tumor, 42647604, 392, 126"
  })
  void parametersAreAsManyAsPublished(String variant, long parameters, long heads, int buffers) {
    List<StateEntry> distinct =
        StateLayout.of(Architecture.published(variant).orElseThrow()).stream()
            .filter(entry -> entry.aliasOf() == null)
            .toList();
    List<StateEntry> trained =
        distinct.stream().filter(entry -> entry.role() == StateEntry.Role.PARAMETER).toList();

    assertThat(trained.stream().mapToLong(StateEntry::elements).sum()).isEqualTo(parameters);
    assertThat(
            trained.stream()
                .filter(entry -> entry.name().matches("out[23]\\..*"))
                .mapToLong(StateEntry::elements)
                .sum())
        .isEqualTo(heads);
    assertThat(distinct.size() - trained.size()).isEqualTo(buffers);
  }

  private static String line(StateEntry entry) {
    String shape = entry.shape().stream().map(String::valueOf).collect(Collectors.joining(","));
    String alias = entry.aliasOf() == null ? "" : entry.aliasOf();
    return entry.name() + "\t" + shape + "\t" + alias + "\n";
  }
}
