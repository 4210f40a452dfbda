package org.unetrpp.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.IntStream;
import org.apache.commons.math3.stat.StatUtils;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;

class InitializationTest {
  @ParameterizedTest(name = "{0} {1}")
  @CsvSource({
    "synapse, unetr_pp_encoder.stages.0.0.conv51.conv1.conv.weight, 0.03402",
    "synapse, unetr_pp_encoder.stages.0.0.conv8.1.weight, 0.17678",
    "synapse, unetr_pp_encoder.stages.0.0.conv8.1.bias, 0.17678",
    "synapse, unetr_pp_encoder.downsample_layers.0.0.conv.weight, 0.17678",
    "acdc, unetr_pp_encoder.downsample_layers.0.0.conv.weight, 0.25",
    "synapse, decoder5.transp_conv.conv.weight, 0.03125",
    "synapse, decoder2.transp_conv.conv.weight, 0.04419",
    "acdc, decoder2.transp_conv.conv.weight, 0.0625",
    "synapse, decoder5.decoder_block.0.0.epa_block.qkvv.weight, 0.08839",
    "synapse, out1.conv.conv.weight, 0.25",
    "tumor, decoder5.decoder_block.0.0.epa_block.EF, 0.125"
  })
  void uniformWithinTheBoundOfTheFanIn(String variant, String name, double bound) {
    double[] values = valuesOf(variant, name);
    double largest = Math.max(StatUtils.max(values), -StatUtils.min(values));
    assertThat(largest).isLessThanOrEqualTo(bound * 1.001);
    assertThat(largest).isGreaterThan(bound * (values.length > 100 ? 0.95 : 0.5));
    if (values.length > 100) { // a uniform distribution has the deviation bound / sqrt 3
      assertThat(Math.sqrt(StatUtils.variance(values)))
          .isCloseTo(bound / Math.sqrt(3), within(0.06 * bound));
    }
  }

  @Test
  void linearLayersOfTheEncoderAreNormal() {
    double[] values = valuesOf("synapse", "unetr_pp_encoder.stages.3.0.epa_block.qkvv.weight");
    // 262144 samples: the deviation's standard error is 0.02 / sqrt(2 * 262144) = 3e-5
    assertThat(Math.sqrt(StatUtils.variance(values))).isCloseTo(0.02, within(1.5e-4));
    assertThat(StatUtils.mean(values)).isCloseTo(0, within(2e-4));
    assertThat(valuesOf("synapse", "unetr_pp_encoder.stages.0.0.epa_block.E.bias"))
        .containsOnly(0.0);
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "unetr_pp_encoder.stages.0.0.pos_embed, 0",
    "unetr_pp_encoder.stages.0.0.gamma, 1e-6",
    "unetr_pp_encoder.stages.0.0.norm.weight, 1",
    "unetr_pp_encoder.stages.0.0.norm.bias, 0",
    "unetr_pp_encoder.downsample_layers.0.1.weight, 1",
    "unetr_pp_encoder.downsample_layers.0.1.bias, 0",
    "decoder3.decoder_block.0.1.conv51.norm2.weight, 1",
    "decoder3.decoder_block.0.1.conv51.norm2.bias, 0",
    "decoder3.decoder_block.0.1.conv51.norm2.running_mean, 0",
    "decoder3.decoder_block.0.1.conv51.norm2.running_var, 1",
    "decoder3.decoder_block.0.1.epa_block.temperature2, 1"
  })
  void constants(String name, float expected) {
    assertThat(valuesOf("synapse", name)).containsOnly(expected);
  }

  @Test
  void dependsOnTheSeedAlone() {
    String name = "out1.conv.conv.weight";
    assertThat(valuesOf("synapse", name, 7)).isEqualTo(valuesOf("synapse", name, 7));
    assertThat(valuesOf("synapse", name, 7)).isNotEqualTo(valuesOf("synapse", name, 8));
  }

  private static double[] valuesOf(String variant, String name) {
    return valuesOf(variant, name, 1);
  }

  /** On a small patch, which changes the token counts only. */
  private static double[] valuesOf(String variant, String name, long seed) {
    Architecture architecture =
        Architecture.published(variant).orElseThrow().withPatch(new Extents(32, 32, 32));
    float[] values = Initialization.values(architecture, name, seed);
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }
}
