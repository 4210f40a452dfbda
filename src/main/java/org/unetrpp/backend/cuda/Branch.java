package org.unetrpp.backend.cuda;

/** Work that runs beside what is queued after it, until it is joined. */
interface Branch {
  /** Lets what is queued from now on wait for the branch. To be called once. */
  void join();
}
