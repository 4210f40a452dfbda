package org.unetrpp.testing;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Function;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.memory.Buffer;

/**
 * On which side of its kink each LeakyReLU was. An activation that is zero up to rounding may fall
 * on either side, and the gradients differ then by far more than rounding; so gradients of two
 * backends are compared on the branch that one of them took.
 */
public final class Branches {
  private final Deque<float[]> sides = new ArrayDeque<>();

  /** A backend with composed boxes whose branches are kept. */
  public Backend recording(Backend backend) {
    return recording(backend, ComposedTrainingBoxes::new);
  }

  /**
   * A backend whose branches are kept.
   *
   * @param boxes of that backend
   */
  public Backend recording(Backend backend, Function<Backend, TrainingBoxes> boxes) {
    return with(
        backend,
        boxes,
        y -> {
          float[] values = backend.download(y);
          for (int i = 0; i < values.length; i++) {
            values[i] = Math.signum(values[i]);
          }
          sides.addLast(values);
          return y;
        });
  }

  /** A backend with composed boxes that takes the branches kept, in their order. */
  public Backend replaying(Backend backend) {
    return with(
        backend,
        ComposedTrainingBoxes::new,
        y -> {
          Buffer same = backend.scopes().allocate(y.dtype(), y.elements());
          backend.upload(sides.removeFirst(), same);
          return same;
        });
  }

  /** Sees the output of a LeakyReLU whose gradient is wanted, and gives what to take for it. */
  @FunctionalInterface
  private interface Side {
    Buffer of(Buffer y);
  }

  private static Backend with(Backend backend, Function<Backend, TrainingBoxes> boxes, Side side) {
    TrainingPrimitives training =
        proxy(
            TrainingPrimitives.class,
            (_, method, arguments) -> {
              if (method.getName().equals("leakyReluBackward")) {
                arguments[1] = side.of((Buffer) arguments[1]);
              }
              return method.invoke(backend.training(), arguments);
            });
    Backend[] self = new Backend[1];
    self[0] =
        proxy(
            Backend.class,
            (_, method, arguments) ->
                switch (method.getName()) {
                  case "training" -> training;
                  case "trainingBoxes" -> boxes.apply(self[0]);
                  default -> method.invoke(backend, arguments);
                });
    return self[0];
  }

  private static <T> T proxy(Class<T> type, InvocationHandler handler) {
    InvocationHandler unwrapping =
        (proxy, method, arguments) -> {
          try {
            return handler.invoke(proxy, method, arguments);
          } catch (InvocationTargetException e) {
            throw e.getCause();
          }
        };
    return type.cast(
        Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, unwrapping));
  }
}
