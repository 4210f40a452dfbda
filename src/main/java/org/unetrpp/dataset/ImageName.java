package org.unetrpp.dataset;

import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The name of an image file, taken apart.
 *
 * @param stem without its ending
 * @param ending {@code .nii} or {@code .nii.gz}
 */
record ImageName(String stem, String ending) {
  private static final Pattern FORM =
      Pattern.compile("(?<stem>.+?)(?<ending>\\.nii(\\.gz)?)", Pattern.CASE_INSENSITIVE);
  private static final Pattern NUMBERED = Pattern.compile("(?<name>.+)_(?<channel>\\d{4})");

  /** A name that ends with the number of a channel. */
  record Numbered(String name, int channel) {}

  /** The parts of a path's last name; empty if it is hidden or no image's. */
  static Optional<ImageName> of(Path path) {
    String name = String.valueOf(path.getFileName());
    Matcher matcher = FORM.matcher(name);
    return matcher.matches() && !name.startsWith(".")
        ? Optional.of(new ImageName(matcher.group("stem"), matcher.group("ending")))
        : Optional.empty();
  }

  /** Case and channel of a stem such as {@code liver_12_0001}. */
  Optional<Numbered> numbered() {
    Matcher matcher = NUMBERED.matcher(stem);
    return matcher.matches()
        ? Optional.of(
            new Numbered(matcher.group("name"), Integer.parseInt(matcher.group("channel"))))
        : Optional.empty();
  }

  /** The file name of a channel of a case. */
  static String ofChannel(String id, int channel, String ending) {
    return "%s_%04d%s".formatted(id, channel, ending);
  }
}
