package org.unetrpp.sampling;

import java.util.List;
import java.util.concurrent.CancellationException;
import org.unetrpp.augmentation.Augmenter;
import org.unetrpp.augmentation.Draws;
import org.unetrpp.augmentation.Patch;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.sampling.RandomStream.Purpose;

/**
 * Makes any sample of any batch, the same one whenever it is asked for: each has random streams of
 * its own. Thread-safe.
 *
 * @param cases drawn from uniformly, with replacement
 * @param settings how batches are made
 * @param seed of all samples
 */
record PatchSampler(List<PreparedCase> cases, LoaderSettings settings, long seed) {
  PatchSampler {
    cases = List.copyOf(cases);
    if (cases.isEmpty()) {
      throw new IllegalArgumentException("no cases, expected at least one");
    }
    int channels = cases.getFirst().channels();
    for (PreparedCase each : cases) {
      requireConsistent(each, channels);
    }
  }

  private static void requireConsistent(PreparedCase each, int channels) {
    if (each.channels() != channels) {
      throw new IllegalArgumentException(
          "case %s has %d channels, expected %d".formatted(each.id(), each.channels(), channels));
    }
    long voxels = each.extents().voxels();
    requireBytes(each, "image", each.image().byteSize(), voxels * channels * Float.BYTES);
    requireBytes(each, "labels", each.labels().byteSize(), voxels * Short.BYTES);
  }

  private static void requireBytes(PreparedCase each, String what, long bytes, long expected) {
    if (bytes != expected) {
      throw new IllegalArgumentException(
          "case %s has %s of %d bytes, expected %d for %d channels of %s"
              .formatted(each.id(), what, bytes, expected, each.channels(), each.extents()));
    }
  }

  int channels() {
    return cases.getFirst().channels();
  }

  /**
   * A sample of the network's extents, with labels from 0 on.
   *
   * @param batch index of the batch
   * @param position of the sample in the batch
   * @throws IllegalStateException if anything goes wrong; the message names the case
   */
  Patch sample(long batch, int position) {
    Purpose purpose =
        settings.augmenter() == null ? Purpose.VALIDATION_PATCH : Purpose.TRAINING_PATCH;
    Draws draws = new Draws(RandomStream.of(seed, purpose, batch, position));
    PreparedCase source = cases.get(draws.below(cases.size()));
    try {
      Patch patch = cut(source, draws, settings.forcesForeground(position));
      return finished(patch, RandomStream.of(seed, Purpose.AUGMENTATION, batch, position));
    } catch (CancellationException e) {
      throw e;
    } catch (RuntimeException | Error e) {
      throw new IllegalStateException("case " + source.id() + ": " + e.getMessage(), e);
    }
  }

  private Patch cut(PreparedCase source, Draws draws, boolean forced) {
    CutPosition positions = new CutPosition(source.extents(), settings.cut(), settings.patch());
    int[] corner = forced ? positions.aroundForeground(source, draws) : positions.anywhere(draws);
    return CaseCut.of(source, corner, settings.cut());
  }

  private Patch finished(Patch patch, RandomStream random) {
    Augmenter augmenter = settings.augmenter();
    if (augmenter != null) {
      return augmenter.apply(patch, settings.patch(), random);
    }
    short[] labels = patch.labels();
    for (int voxel = 0; voxel < labels.length; voxel++) {
      labels[voxel] = labels[voxel] == -1 ? 0 : labels[voxel];
    }
    return patch;
  }
}
