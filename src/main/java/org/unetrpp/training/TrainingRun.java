package org.unetrpp.training;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.BooleanSupplier;
import org.unetrpp.drawing.PngFile;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.planning.Schedule;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.sampling.Batch;
import org.unetrpp.training.BatchProgress.Phase;
import org.unetrpp.weights.StoredType;

/**
 * Trains a network for the epochs of a plan: steps, validation, checkpoints, logs.
 *
 * <p>A run that ends at any moment, even by the loss of its process, and goes on from its last
 * checkpoint comes to the same checkpoints, models and log, byte by byte, as one that never ended.
 * So what tells the time lies in files of its own, and what an epoch writes is in an order in which
 * repeating the end of the epoch gives the same again.
 */
public final class TrainingRun {
  /** How a run, or a part of one, ends. */
  public enum Outcome {
    /** After its last epoch. */
    FINISHED,
    /** On request; it can go on from its last checkpoint. */
    STOPPED
  }

  /**
   * What is trained and how it is kept.
   *
   * @param plan the plan
   * @param fold its name
   * @param cases number of training cases
   * @param sources files that the network starts from
   * @param producer the program, with its version, for model files
   * @param modelType float32 or bfloat16, of model files
   * @param saveEvery time between checkpoints within an epoch
   */
  public record Settings(
      TrainingPlan plan,
      String fold,
      int cases,
      List<Provenance.Source> sources,
      String producer,
      StoredType modelType,
      Duration saveEvery) {
    public Settings {
      sources = List.copyOf(sources);
    }
  }

  private final Settings settings;
  private final Schedule schedule;
  private final String planHash;
  private final Trainer trainer;
  private final BatchSource training;
  private final BatchSource validation;
  private final RunFolder folder;
  private final RunListener listener;
  private final BooleanSupplier stopRequested;

  private List<Provenance.Source> sources;
  private RunState state;
  private long savedNanos = System.nanoTime();
  private Pace runPace = new Pace();
  private Pace epochPace = new Pace();

  /**
   * A run that has not begun.
   *
   * @param trainer the network as it starts
   * @param training batches to train on; step i of the run takes number i
   * @param validation batches to validate on, other ones in each epoch
   * @param folder where its files go
   * @param stopRequested asked after each batch
   */
  public TrainingRun(
      Settings settings,
      Trainer trainer,
      BatchSource training,
      BatchSource validation,
      RunFolder folder,
      RunListener listener,
      BooleanSupplier stopRequested) {
    this.settings = settings;
    this.schedule = settings.plan().schedule();
    this.planHash = PlanHash.of(settings.plan());
    this.trainer = trainer;
    this.training = training;
    this.validation = validation;
    this.folder = folder;
    this.listener = listener;
    this.stopRequested = stopRequested;
    this.sources = settings.sources();
    this.state = RunState.start(settings.plan().labels().size());
  }

  /**
   * Trains from the beginning.
   *
   * @throws IOException if a file cannot be written
   * @throws ArithmeticException if the loss is no number any more
   */
  public Outcome start() throws IOException {
    save(); // so that a run can go on from here whenever its process dies
    return run();
  }

  /**
   * Goes on from a checkpoint, for which {@link RunFolder#readLast} has found that it fits.
   *
   * @throws InvalidFileException if the checkpoint is of another network
   * @throws IOException if a file cannot be written
   * @throws ArithmeticException if the loss is no number any more
   */
  public Outcome resume(Checkpoint checkpoint) throws IOException {
    try {
      trainer.restore(checkpoint.tensors());
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(folder.lastCheckpoint(), String.valueOf(e.getMessage()), e);
    }
    sources = checkpoint.sources();
    state = checkpoint.state();
    return run();
  }

  /** Where the run stands. */
  public RunState state() {
    return state;
  }

  private Outcome run() throws IOException {
    writeLog(); // what was logged after the checkpoint no longer counts
    try (EventFile events = EventFile.create(folder.path(), state.step(schedule) + 1)) {
      while (state.epoch() < schedule.epochs()) {
        if (!runEpoch(events)) {
          return Outcome.STOPPED;
        }
      }
    }
    writeModel(folder.model());
    return Outcome.FINISHED;
  }

  /** What is left of an epoch; false if it was stopped before its end. */
  private boolean runEpoch(EventFile events) throws IOException {
    double learningRate =
        LearningRate.of(
            settings.plan().optimization().learningRate(), state.epoch(), schedule.epochs());
    epochPace = new Pace();
    while (state.iteration() < schedule.iterations()) {
      if (stopsHere()) {
        return false;
      }
      step(learningRate, events);
      saveWhenDue();
    }
    while (state.validation().batches() < schedule.validationIterations()) {
      if (stopsHere()) {
        return false;
      }
      validate();
      saveWhenDue();
    }
    endEpoch(learningRate, events);
    return true;
  }

  private void step(double learningRate, EventFile events) throws IOException {
    long step = state.step(schedule);
    long start = System.nanoTime();
    Batch batch = training.get(step);
    long ready = System.nanoTime();
    StepReport report = trainer.step(batch, step, learningRate);
    if (!Double.isFinite(report.loss()) || !Double.isFinite(report.gradientNorm())) {
      throw new ArithmeticException(
          "epoch %d, step %d: loss %s, gradient norm %s: a lower learning rate may help"
              .formatted(
                  state.epoch() + 1, state.iteration() + 1, report.loss(), report.gradientNorm()));
    }
    state = state.withStep(report.loss());
    events.write(step + 1, curves(report, learningRate));
    tell(Phase.TRAINING, report.loss(), start, ready);
  }

  private void validate() {
    long index =
        (long) state.epoch() * schedule.validationIterations() + state.validation().batches();
    long start = System.nanoTime();
    Batch batch = validation.get(index);
    long ready = System.nanoTime();
    ValidationReport report = trainer.evaluate(batch);
    state = state.withValidation(report);
    tell(Phase.VALIDATION, report.loss(), start, ready);
  }

  private void tell(Phase phase, double loss, long start, long ready) {
    double seconds = (System.nanoTime() - start) * 1e-9;
    double waiting = (ready - start) * 1e-9;
    epochPace.add(phase, seconds, waiting);
    runPace.add(phase, seconds, waiting);
    boolean trains = phase == Phase.TRAINING;
    listener.batchDone(
        new BatchProgress(
            phase,
            state.epoch() + 1,
            schedule.epochs(),
            trains ? state.iteration() : state.validation().batches(),
            trains ? schedule.iterations() : schedule.validationIterations(),
            loss,
            epochPace.of(phase).perBatch(),
            epochPace.of(phase).waitingShare(),
            runPace.epochSecondsLeft(state, schedule),
            runPace.runSecondsLeft(state, schedule)));
  }

  /**
   * The last checkpoint comes after all that it says is there, and before the log, which is written
   * anew from it.
   */
  private void endEpoch(double learningRate, EventFile events) throws IOException {
    state = state.withEpochEnded(learningRate);
    EpochResult result = state.history().getLast();
    Checkpoint checkpoint = checkpoint();
    if (result.best()) {
      writeModel(folder.bestModel());
      checkpoint.write(folder.bestCheckpoint());
    }
    write(checkpoint);
    writeLog();
    events.write(state.step(schedule), curves(result));
    Timings.append(folder.timings(), result.epoch(), epochPace);
    listener.epochDone(result, epochPace.seconds());
  }

  /** Whether the run stops here, in which case it is saved. */
  private boolean stopsHere() throws IOException {
    if (!stopRequested.getAsBoolean()) {
      return false;
    }
    save();
    if (epochPace.seconds() > 0) {
      Timings.append(folder.timings(), state.epoch() + 1, epochPace);
    }
    return true;
  }

  private void saveWhenDue() throws IOException {
    if (System.nanoTime() - savedNanos >= settings.saveEvery().toNanos()) {
      save();
    }
  }

  private void save() throws IOException {
    write(checkpoint());
  }

  private Checkpoint checkpoint() {
    return new Checkpoint(planHash, settings.fold(), sources, state, trainer.snapshot());
  }

  private void write(Checkpoint checkpoint) throws IOException {
    checkpoint.write(folder.lastCheckpoint());
    savedNanos = System.nanoTime();
  }

  private void writeLog() throws IOException {
    String log = RunLog.csv(state.history(), settings.plan().labels());
    AtomicFile.write(folder.log(), out -> out.write(log.getBytes(StandardCharsets.UTF_8)));
    PngFile.write(folder.curve(), Chart.draw(state.history()));
  }

  private void writeModel(Path target) throws IOException {
    TrainingPlan plan = settings.plan();
    String note =
        "trained on %s, fold %s, %d cases; %d of %d epochs of %d steps; plan sha256 %s"
            .formatted(
                plan.name(),
                settings.fold(),
                settings.cases(),
                state.epoch(),
                schedule.epochs(),
                schedule.iterations(),
                planHash);
    ModelDescription description =
        new ModelDescription(
            plan.architecture(),
            plan.labels(),
            plan.preprocessing(),
            new Provenance(settings.producer(), sources, note));
    ModelFile.write(target, description, trainer.tensors(), settings.modelType());
  }

  private static SequencedMap<String, Double> curves(StepReport report, double learningRate) {
    SequencedMap<String, Double> curves = new LinkedHashMap<>();
    curves.put("step/loss", report.loss());
    curves.put("step/gradient_norm", report.gradientNorm());
    curves.put("step/learning_rate", learningRate);
    return curves;
  }

  private SequencedMap<String, Double> curves(EpochResult result) {
    SequencedMap<String, Double> curves = new LinkedHashMap<>();
    curves.put("epoch/training_loss", result.trainingLoss());
    curves.put("epoch/validation_loss", result.validationLoss());
    curves.put("epoch/dice", result.dice());
    curves.put("epoch/average_dice", result.averageDice());
    for (int i = 0; i < result.classDice().size(); i++) {
      String label = settings.plan().labels().get(i + 1).name();
      curves.put("dice/" + label, result.classDice().get(i));
    }
    return curves;
  }
}
