package org.unetrpp.inference;

import java.util.ArrayList;
import java.util.List;

/**
 * A label that a model gives.
 *
 * @param value the number in label volumes; 0 is background
 * @param name for people
 * @param color {@code #RRGGBB}
 */
public record LabelClass(int value, String name, String color) {
  private static final int GOLDEN_ANGLE = 137;

  public LabelClass {
    if (value < 0 || value > 255) {
      throw new IllegalArgumentException("label " + value + ", expected 0 to 255");
    }
    if (!color.matches("#[0-9a-fA-F]{6}")) {
      throw new IllegalArgumentException("color '" + color + "', expected #RRGGBB");
    }
  }

  /** Background and the given names as labels 1, 2, ..., in colors far apart. */
  public static List<LabelClass> of(List<String> foreground) {
    List<LabelClass> labels = new ArrayList<>();
    labels.add(new LabelClass(0, "background", "#000000"));
    for (String name : foreground) {
      int value = labels.size();
      labels.add(of(value, name));
    }
    return List.copyOf(labels);
  }

  /** A label in a color of its own, black for background. */
  public static LabelClass of(int value, String name) {
    return new LabelClass(value, name, value == 0 ? "#000000" : color(value));
  }

  /** Makes of class numbers the values that label volumes have; in place. */
  public static void toValues(byte[] classes, List<LabelClass> labels) {
    byte[] values = new byte[labels.size()];
    boolean same = true;
    for (int index = 0; index < values.length; index++) {
      values[index] = (byte) labels.get(index).value();
      same &= labels.get(index).value() == index;
    }
    for (int voxel = 0; !same && voxel < classes.length; voxel++) {
      classes[voxel] = values[Byte.toUnsignedInt(classes[voxel])];
    }
  }

  /** Hues a golden angle apart never come close. */
  private static String color(int value) {
    float hue = (value * GOLDEN_ANGLE) % 360 / 360f;
    float[] rgb = new float[3];
    for (int i = 0; i < 3; i++) {
      float phase = (hue * 6 + (i == 0 ? 0 : i == 1 ? 4 : 2)) % 6;
      rgb[i] = 0.25f + 0.75f * Math.clamp(Math.abs(phase - 3) - 1, 0, 1);
    }
    return String.format(
        "#%02x%02x%02x",
        Math.round(rgb[0] * 255), Math.round(rgb[1] * 255), Math.round(rgb[2] * 255));
  }
}
