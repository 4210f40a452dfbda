package org.unetrpp.training;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.unetrpp.planning.TrainingPlan;

/** Tells plans apart. */
public final class PlanHash {
  private PlanHash() {}

  /**
   * SHA-256 in lower-case hexadecimal of all that a plan says, except where the data lie: they may
   * move between one part of a run and the next.
   */
  public static String of(TrainingPlan plan) {
    JsonObject json = new Gson().toJsonTree(plan).getAsJsonObject();
    json.remove("dataset");
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of()
          .formatHex(digest.digest(json.toString().getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
    }
  }
}
