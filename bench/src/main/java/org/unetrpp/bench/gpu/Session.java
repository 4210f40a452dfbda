package org.unetrpp.bench.gpu;

import com.google.gson.JsonObject;
import java.io.IOException;

/** Something loaded on the device that can be checked and timed again and again. */
interface Session extends AutoCloseable {
  /** Results to hold against others', and whether they are the same bytes every time. */
  JsonObject check(Request request) throws IOException;

  /**
   * Runs what {@link Stopwatch} times.
   *
   * @throws IllegalArgumentException if there is no such mode
   */
  Runnable work(String mode);

  OpenDevice device();

  @Override
  void close();
}
