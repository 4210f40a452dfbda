package org.unetrpp.cli;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.file.Path;
import org.unetrpp.engine.Device;
import org.unetrpp.memory.DType;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.training.BatchSource;
import org.unetrpp.training.InitialValues;
import org.unetrpp.training.Trainer;

/** What the {@code train} command puts together. */
interface TrainingParts {
  /** Reads a plan file. */
  TrainingPlan readPlan(Path file) throws IOException;

  /** Writes a plan file in one piece. */
  void writePlan(Path target, TrainingPlan plan) throws IOException;

  /**
   * Prepares the cases and the network.
   *
   * @param console where the preparation tells how far it is
   */
  @MustBeClosed
  Opened open(Request request, Console console) throws IOException;

  /**
   * What is to be trained.
   *
   * @param planFile where the plan was read from; what is prepared may be kept beside it
   * @param plan with an absolute data set folder
   * @param fold the cases
   * @param initialValues of the network
   * @param device where it is trained
   * @param computeType of activations
   * @param threads of the device, if it is the CPU
   * @param workers threads that prepare batches
   */
  record Request(
      Path planFile,
      TrainingPlan plan,
      Fold fold,
      InitialValues initialValues,
      Device device,
      DType computeType,
      int threads,
      int workers) {}

  /** A network and its batches. */
  interface Opened extends AutoCloseable {
    Trainer trainer();

    BatchSource training();

    BatchSource validation();

    @Override
    void close();
  }
}
