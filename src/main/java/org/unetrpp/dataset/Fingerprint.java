package org.unetrpp.dataset;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.IntensityStatistics;

/**
 * What a data set looks like to the planner; all cases count, those of validation too.
 *
 * @param channels names of the channels
 * @param sizes of the cases after cropping
 * @param spacings of the cases
 * @param sizeReductions what part of each case's voxels cropping left
 * @param statistics for each CT channel, of every tenth foreground voxel of each case; empty for
 *     other channels
 */
public record Fingerprint(
    List<String> channels,
    List<Extents> sizes,
    List<Spacing> spacings,
    List<Double> sizeReductions,
    List<Optional<IntensityStatistics>> statistics) {
  public Fingerprint {
    channels = List.copyOf(channels);
    sizes = List.copyOf(sizes);
    spacings = List.copyOf(spacings);
    sizeReductions = List.copyOf(sizeReductions);
    statistics = List.copyOf(statistics);
    if (sizes.isEmpty() || sizes.size() != spacings.size()) {
      throw new IllegalArgumentException(
          "%d sizes and %d spacings, expected one of each for each case"
              .formatted(sizes.size(), spacings.size()));
    }
  }

  /**
   * Gathers what is known of the cases.
   *
   * @throws IllegalArgumentException if the foreground of a CT channel is all of one value
   */
  public static Fingerprint of(List<String> channels, List<CaseFingerprint> cases) {
    List<Optional<IntensityStatistics>> statistics = new ArrayList<>();
    for (int channel = 0; channel < channels.size(); channel++) {
      int index = channel;
      statistics.add(
          isCt(channels.get(channel))
              ? Optional.of(
                  statistics(cases.stream().map(found -> found.samples().get(index)).toList()))
              : Optional.empty());
    }
    return new Fingerprint(
        channels,
        cases.stream().map(CaseFingerprint::size).toList(),
        cases.stream().map(CaseFingerprint::spacing).toList(),
        cases.stream().map(CaseFingerprint::sizeReduction).toList(),
        statistics);
  }

  /** Whether a channel of this name is normalized as CT. */
  public static boolean isCt(String channel) {
    return channel.equals("CT") || channel.equals("ct");
  }

  private static IntensityStatistics statistics(List<float[]> samples) {
    float[] all = new float[Math.toIntExact(samples.stream().mapToLong(s -> s.length).sum())];
    int end = 0;
    for (float[] sample : samples) {
      System.arraycopy(sample, 0, all, end, sample.length);
      end += sample.length;
    }
    if (all.length == 0) {
      throw new IllegalArgumentException(
          "no case has foreground, whose intensities CT needs to be normalized");
    }
    Arrays.sort(all);
    double sum = 0;
    for (float value : all) {
      sum += value;
    }
    double mean = sum / all.length;
    double squares = 0;
    for (float value : all) {
      squares += (value - mean) * (value - mean);
    }
    return new IntensityStatistics(
        mean, Math.sqrt(squares / all.length), percentile(all, 0.5), percentile(all, 99.5));
  }

  /** The percentile of sorted values, linear between neighbors. */
  private static double percentile(float[] sorted, double percent) {
    double place = percent / 100 * (sorted.length - 1);
    int below = (int) place;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * ((double) sorted[above] - sorted[below]);
  }
}
