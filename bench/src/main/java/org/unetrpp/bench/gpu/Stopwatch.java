package org.unetrpp.bench.gpu;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.Optional;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.backend.cuda.driver.TimedDriver;
import org.unetrpp.backend.cuda.driver.TimedDriver.KernelTime;

/** Times work that is queued on a device, by the host's clock and by the device's. */
final class Stopwatch {
  private static final double MILLI = 1e-6;
  private static final long FILLED_BYTES = 1L << 30;
  private static final int EVENT_COST = 3; // a launch between two events, against a launch alone

  private Stopwatch() {}

  /** From one point of the device's stream to another. */
  private record Interval(TimedDriver driver, CudaDriver.Event from, CudaDriver.Event to) {
    static Interval on(TimedDriver driver) {
      return new Interval(driver, driver.createEvent(), driver.createEvent());
    }

    void begin() {
      driver.record(from, OpenDevice.stream(driver));
    }

    void end() {
      driver.record(to, OpenDevice.stream(driver));
    }

    /** Waits for the end. */
    float millis() {
      return driver.elapsedMillis(from, to);
    }

    void destroy() {
      driver.destroy(from);
      driver.destroy(to);
    }
  }

  /**
   * Runs the work again and again, each time until the device is done.
   *
   * @param least runs at least
   * @param seconds goes on until that many have passed
   * @param most runs at most
   */
  static JsonObject run(OpenDevice device, Runnable work, int least, double seconds, int most) {
    JsonArray wall = new JsonArray();
    JsonArray onDevice = new JsonArray();
    Optional<Interval> interval = device.driver().map(Interval::on);
    long begin = System.nanoTime();
    for (int i = 0; i < most; i++) {
      long start = System.nanoTime();
      if (i >= least && (start - begin) * 1e-9 >= seconds) {
        break;
      }
      interval.ifPresent(Interval::begin);
      work.run();
      interval.ifPresent(Interval::end);
      device.backend().synchronize();
      wall.add((System.nanoTime() - start) * MILLI);
      interval.ifPresent(passed -> onDevice.add(passed.millis()));
    }
    interval.ifPresent(Interval::destroy);
    JsonObject times = new JsonObject();
    times.add("wall_ms", wall);
    times.add("device_ms", onDevice);
    return times;
  }

  /**
   * What each kernel takes, on average over {@code passes}. The device is kept busy until the host
   * has queued a pass, so that no kernel waits for its launch.
   *
   * @throws IllegalStateException on a device without a driver
   */
  static JsonObject kernels(OpenDevice device, Runnable work, int passes) {
    TimedDriver driver =
        device
            .driver()
            .orElseThrow(() -> new IllegalStateException("no kernels are timed on the CPU"));
    CudaDriver.Stream stream = OpenDevice.stream(driver);
    long start = System.nanoTime();
    work.run();
    double queueing = (System.nanoTime() - start) * MILLI;
    device.backend().synchronize();

    long filled = driver.allocate(FILLED_BYTES);
    Interval fillTime = Interval.on(driver);
    fillTime.begin();
    driver.fill(filled, (byte) 0, FILLED_BYTES, stream);
    fillTime.end();
    int fills = (int) Math.ceil(EVENT_COST * queueing / fillTime.millis()) + 1;
    fillTime.destroy();

    JsonArray kernels = new JsonArray();
    driver.begin();
    for (int pass = 0; pass < passes; pass++) {
      for (int fill = 0; fill < fills; fill++) {
        driver.fill(filled, (byte) 0, FILLED_BYTES, stream);
      }
      work.run();
      device.backend().synchronize();
    }
    driver.end().forEach(time -> kernels.add(json(time, passes)));
    driver.free(filled);
    JsonObject result = new JsonObject();
    result.addProperty("queueing_ms", queueing);
    result.add("kernels", kernels);
    return result;
  }

  private static JsonObject json(KernelTime time, int passes) {
    LaunchGeometry geometry = time.geometry();
    JsonObject json = new JsonObject();
    json.addProperty("kernel", time.kernel());
    json.addProperty("grid", geometry.gridX() + "x" + geometry.gridY() + "x" + geometry.gridZ());
    json.addProperty("threads", geometry.blockX() * geometry.blockY() * geometry.blockZ());
    json.addProperty("shared", geometry.sharedBytes());
    json.addProperty("launches", time.launches() / passes);
    json.addProperty("us", 1000 * time.millis() / passes);
    return json;
  }
}
