package org.unetrpp.cli;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.augmentation.Augmenter;
import org.unetrpp.backend.Backend;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.dataset.PreparedDataset;
import org.unetrpp.engine.Engine;
import org.unetrpp.loss.LossSettings;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.planning.Schedule;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.sampling.BatchLoader;
import org.unetrpp.sampling.LoaderSettings;
import org.unetrpp.training.BatchSource;
import org.unetrpp.training.NetworkTrainer;
import org.unetrpp.training.Trainer;

/** The parts of a training run as its plan has them. */
final class PlannedParts implements TrainingParts {
  /** What tells the random numbers of validation batches from those of training batches. */
  private static final long VALIDATION = 0x76616c6964617465L;

  @Override
  public TrainingPlan readPlan(Path file) throws IOException {
    return PlanFile.read(file);
  }

  @Override
  public void writePlan(Path target, TrainingPlan plan) throws IOException {
    PlanFile.write(target, plan);
  }

  @Override
  @MustBeClosed
  public Opened open(Request request, Console console) throws IOException {
    Parts parts = new Parts();
    try {
      parts.open(request, console);
      return parts;
    } catch (IOException | RuntimeException | Error e) {
      parts.close();
      throw e;
    }
  }

  /** What is open, in the order in which it was opened. */
  private static final class Parts implements Opened {
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private @Nullable Trainer trainer;
    private @Nullable BatchLoader training;
    private @Nullable BatchLoader validation;

    @SuppressWarnings("MustBeClosedChecker") // close closes it
    void open(Request request, Console console) throws IOException {
      TrainingPlan plan = request.plan();
      PreparedDataset dataset =
          opened(
              PlanFile.prepare(
                  request.planFile(),
                  plan,
                  request.threads(),
                  Interruption::requested,
                  console::progress));
      console.clearBar();
      training =
          loader(
              dataset, request.fold().training(), request, augmenter(plan), plan.schedule().seed());
      validation =
          loader(
              dataset,
              request.fold().validation(),
              request,
              null,
              plan.schedule().seed() ^ VALIDATION);
      Backend backend =
          opened(Engine.open(request.device(), request.threads(), request.computeType()));
      trainer =
          opened(
              new NetworkTrainer(
                  backend,
                  plan.architecture(),
                  LossSettings.published(plan.batchDice()),
                  plan.optimization(),
                  plan.schedule().seed(),
                  request.initialValues()));
    }

    private static Augmenter augmenter(TrainingPlan plan) {
      List<ChannelPlan> channels = plan.preprocessing().channels();
      boolean[] masked = new boolean[channels.size()];
      for (int channel = 0; channel < masked.length; channel++) {
        masked[channel] = channels.get(channel).useMask();
      }
      return new Augmenter(plan.augmentation(), masked);
    }

    @SuppressWarnings("MustBeClosedChecker") // close closes it
    private BatchLoader loader(
        PreparedDataset dataset,
        List<String> ids,
        Request request,
        @Nullable Augmenter augmenter,
        long seed)
        throws IOException {
      List<PreparedCase> cases = new ArrayList<>();
      for (String id : ids) {
        cases.add(dataset.open(id));
      }
      Schedule schedule = request.plan().schedule();
      LoaderSettings settings =
          new LoaderSettings(
              schedule.batchSize(),
              request.plan().architecture().patch(),
              schedule.foregroundShare(),
              augmenter);
      return opened(new BatchLoader(cases, settings, seed, request.workers()));
    }

    private <T extends AutoCloseable> T opened(T resource) {
      open.push(resource);
      return resource;
    }

    @Override
    public Trainer trainer() {
      return there(trainer);
    }

    @Override
    public BatchSource training() {
      return there(training)::get;
    }

    @Override
    public BatchSource validation() {
      return there(validation)::get;
    }

    private static <T> T there(@Nullable T part) {
      if (part == null) {
        throw new IllegalStateException("the parts are not open");
      }
      return part;
    }

    @Override
    public void close() {
      RuntimeException failure = null;
      while (!open.isEmpty()) {
        try {
          open.pop().close();
        } catch (Exception e) {
          failure = failure == null ? new IllegalStateException(e) : failure;
        }
      }
      if (failure != null) {
        throw failure;
      }
    }
  }
}
