package org.unetrpp.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.model.NetworkCost.Mode;
import org.unetrpp.model.NetworkCost.Rounding;

class PublishedNetworkTest {
  /** The published code itself has 0.2 and 5 % other multiply-adds than its authors claim. */
  @ParameterizedTest
  @CsvSource({"synapse, 0.3", "tumor, 5"})
  void claimsAreOfTheNetwork(String name, double percent) {
    PublishedNetwork network = PublishedNetwork.of(name).orElseThrow();
    PublishedNetwork.Claims claims = network.claims().orElseThrow();
    long parameters =
        NetworkCost.parametersByPart(network.architecture()).values().stream()
            .mapToLong(Long::longValue)
            .sum();
    long multiplyAdds =
        NetworkCost.multiplyAddsByPart(
                network.architecture(), Rounding.AS_PUBLISHED, Mode.EVALUATION)
            .values()
            .stream()
            .mapToLong(Long::longValue)
            .sum();
    assertThat(parameters / 1e6).isCloseTo(claims.parameters(), Percentage.withPercentage(0.2));
    assertThat(multiplyAdds / 1e9)
        .isCloseTo(claims.multiplyAdds(), Percentage.withPercentage(percent));
    assertThat(claims.source()).isNotBlank();
  }

  @Test
  void nothingIsClaimedOfTheOthers() {
    for (String name : new String[] {"acdc", "lung", "btcv"}) {
      assertThat(PublishedNetwork.of(name).orElseThrow().claims()).isEmpty();
    }
    assertThat(PublishedNetwork.of("brain")).isEmpty();
  }
}
