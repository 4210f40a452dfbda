package org.unetrpp.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.model.NetworkCost.Mode;
import org.unetrpp.model.NetworkCost.Operator;
import org.unetrpp.model.NetworkCost.Rounding;

/** Figures of the published networks, counted by the published counter and code. */
class NetworkCostTest {
  @ParameterizedTest(name = "{0}")
  @CsvSource({"synapse, 42952850", "acdc, 66796404", "lung, 121174798", "tumor, 42647604"})
  void parametersInAll(String variant, long expected) {
    assertThat(sum(NetworkCost.parametersByPart(architecture(variant)).values()))
        .isEqualTo(expected);
  }

  @ParameterizedTest(name = "{0} {1}")
  @CsvSource(
      textBlock =
          """
          encoder , 27387232, 44619776, 71854208, 27131168
          encoder1, 7360    , 7360    , 7360    , 8704
          decoder5, 3509848 , 6178072 , 6755608 , 3460120
          decoder4, 2377624 , 3312472 , 6777688 , 2364952
          decoder3, 9638968 , 12656248, 35757688, 9635608
          decoder2, 30208   , 22016   , 22016   , 46592
          out1    , 238     , 68      , 34      , 68
          out2    , 462     , 132     , 66      , 132
          out3    , 910     , 260     , 130     , 260
          """)
  void parametersByPart(String part, long synapse, long acdc, long lung, long tumor) {
    Map.of("synapse", synapse, "acdc", acdc, "lung", lung, "tumor", tumor)
        .forEach((variant, expected) ->
            assertThat(NetworkCost.parametersByPart(architecture(variant)))
                .as(variant)
                .containsEntry(part, expected));
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "synapse, 47885778944, 47935619072",
    "acdc, 43632742400, 43710617600",
    "lung, 125618651136, 125842931712",
    "tumor, 73545877192, 73595717320"
  })
  void multiplyAddsInAll(String variant, long evaluation, long training) {
    Architecture architecture = architecture(variant);
    assertThat(total(architecture, Rounding.AS_PUBLISHED, Mode.EVALUATION)).isEqualTo(evaluation);
    assertThat(total(architecture, Rounding.AS_PUBLISHED, Mode.TRAINING)).isEqualTo(training);
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({"synapse, 0", "acdc, 0", "lung, 0", "tumor, 129336"})
  void publishedCounterRoundsMatrixProjections(String variant, long difference) {
    Architecture architecture = architecture(variant);
    assertThat(
            total(architecture, Rounding.EXACT, Mode.EVALUATION)
                - total(architecture, Rounding.AS_PUBLISHED, Mode.EVALUATION))
        .isEqualTo(difference);
  }

  @ParameterizedTest(name = "{0} {1}")
  @CsvSource(
      textBlock =
          """
          encoder , 12677808128, 17867110400, 51457277952, 12723881440
          encoder1, 7918845952 , 3093299200 , 8908701696 , 18656264192
          decoder5, 1591410688 , 2305587200 , 6640091136 , 1566246040
          decoder4, 3287023616 , 4693811200 , 13518176256, 3236678672
          decoder3, 6990856192 , 9718169600 , 27988328448, 6890139712
          decoder2, 15166603264, 5924454400 , 17062428672, 30333206528
          out1    , 234881024  , 26214400   , 37748736   , 134217728
          out2    , 14680064   , 3276800    , 4718592    , 4194304
          out3    , 3670016    , 819200     , 1179648    , 1048576
          """)
  void multiplyAddsByPart(String part, long synapse, long acdc, long lung, long tumor) {
    Map.of("synapse", synapse, "acdc", acdc, "lung", lung, "tumor", tumor)
        .forEach((variant, expected) ->
            assertThat(
                    NetworkCost.multiplyAddsByPart(
                        architecture(variant), Rounding.AS_PUBLISHED, Mode.EVALUATION))
                .as(variant)
                .containsEntry(part, expected));
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "CONVOLUTION, 43341316096", // with 18350080 of the supervision heads
    "LINEAR, 2884632576",
    "MATRIX_PRODUCT, 1242562560",
    "INSTANCE_NORM, 335544320",
    "LAYER_NORM, 41533440",
    "BATCH_NORM, 33226752",
    "GROUP_NORM, 6963200"
  })
  void synapseByOperator(Operator operator, long expected) {
    long sum =
        NetworkCost.multiplyAdds(architecture("synapse"), Rounding.AS_PUBLISHED, Mode.EVALUATION)
            .values()
            .stream()
            .mapToLong(part -> part.getOrDefault(operator, 0L))
            .sum();
    assertThat(sum).isEqualTo(expected);
  }

  private static long total(Architecture architecture, Rounding rounding, Mode mode) {
    return sum(NetworkCost.multiplyAddsByPart(architecture, rounding, mode).values());
  }

  private static long sum(Collection<Long> values) {
    return values.stream().mapToLong(Long::longValue).sum();
  }

  private static Architecture architecture(String variant) {
    return Architecture.published(variant).orElseThrow();
  }
}
