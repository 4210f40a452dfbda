package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;

/**
 * A library that computes some shapes of what own kernels compute of all.
 *
 * @param <P> what it provides
 * @param <W> the shapes of that
 */
interface Library<P extends Provider, W extends Work<P>> extends AutoCloseable {
  /** Who computes. */
  P provider();

  /** Why the library is not to compute this, or nothing if it can be. */
  @Nullable String refusal(W work);

  @Override
  void close();
}
