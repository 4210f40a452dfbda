package org.unetrpp.files;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import org.junit.jupiter.api.Test;

class PythonJsonTest {
  /** Printed by json.dumps(value, sort_keys=True, indent=4) of Python 3.11. */
  private static final String PRINTED =
      """
      {
          "a": {
              "10": [],
              "2": {},
              "t": true,
              "\\u00e9\\n\\"\\\\\\u007f": null
          },
          "b": [
              1,
              2.0,
              NaN,
              1e-05,
              0.0001,
              1e+16,
              123456789012345.0,
              1e+22,
              -2.5e-07,
              0.1,
              2.2250738585072014e-308,
              1.7976931348623157e+308,
              0.0,
              -0.0,
              100.0,
              -Infinity
          ]
      }\
      """;

  @Test
  void textIsThatOfPython() {
    JsonArray numbers = new JsonArray();
    numbers.add(1);
    for (double value :
        new double[] {
          2,
          Double.NaN,
          1e-05,
          0.0001,
          1e16,
          123456789012345.0,
          1e22,
          -2.5e-7,
          0.1,
          Double.MIN_NORMAL,
          Double.MAX_VALUE,
          0.0,
          -0.0,
          100,
          Double.NEGATIVE_INFINITY
        }) {
      numbers.add(value);
    }
    JsonObject inner = new JsonObject();
    inner.add("2", new JsonObject());
    inner.add("10", new JsonArray());
    inner.addProperty("t", true);
    inner.add("\u00e9\n\"\\\u007f", JsonNull.INSTANCE);
    JsonObject value = new JsonObject();
    value.add("b", numbers);
    value.add("a", inner);
    assertThat(PythonJson.text(value)).isEqualTo(PRINTED);
  }
}
