package org.unetrpp.convert;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.Fusion;
import org.unetrpp.model.TokenProjection;
import org.unetrpp.weights.StoredTensor;

/**
 * Reads the architecture of a network off the names and shapes of its state.
 *
 * <p>All but the patch and the dropout rates is there. Of the patch there is the number of tokens,
 * which a published patch, or a cube, or the caller's word splits into axes.
 */
final class ArchitectureRecognizer {
  private static final String ENCODER = "unetr_pp_encoder";
  private static final int SHOWN_PATCHES = 3;
  private static final int MAX_EDGE = 1 << 16;

  private final Path path;
  private final Map<String, StoredTensor> state;

  private ArchitectureRecognizer(Path path, Map<String, StoredTensor> state) {
    this.path = path;
    this.state = state;
  }

  /**
   * The architecture of a state.
   *
   * @param path the file, for messages
   * @param state the tensors by their own names
   * @param required the patch the caller says it is, if any
   * @param suggested a patch to try before others, if any
   * @throws InvalidFileException if a tensor that tells is missing, the shapes contradict each
   *     other, or the patch stays open
   */
  static Architecture recognize(
      Path path,
      Map<String, StoredTensor> state,
      @Nullable Extents required,
      @Nullable Extents suggested)
      throws InvalidFileException {
    return new ArchitectureRecognizer(path, state).recognize(required, suggested);
  }

  /** The published recipe of an architecture, whatever its number of classes. */
  static Optional<String> variant(Architecture architecture) {
    return Architecture.publishedNames().stream()
        .filter(name -> published(name).withClasses(architecture.classes()).equals(architecture))
        .findFirst();
  }

  private Architecture recognize(@Nullable Extents required, @Nullable Extents suggested)
      throws InvalidFileException {
    List<Integer> stem = shape(StateDictionary.STEM, 5);
    List<Extents> downsampling = new ArrayList<>();
    List<Integer> widths = new ArrayList<>(List.of(stem.get(0)));
    List<Integer> depths = new ArrayList<>();
    List<Integer> projections = new ArrayList<>();
    List<Integer> tokens = new ArrayList<>();
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      if (stage > 0) {
        List<Integer> embedding =
            shape("%s.downsample_layers.%d.0.conv.weight".formatted(ENCODER, stage), 5);
        widths.add(embedding.get(0));
        downsampling.add(kernel(embedding));
      }
      String blocks = "%s.stages.%d.".formatted(ENCODER, stage);
      depths.add(depth(blocks));
      projections.add(projection(blocks + "0"));
      tokens.add(shape(blocks + "0.pos_embed", 3).get(1));
    }
    Strides strides = new Strides(kernel(stem), downsampling, tokens);
    Extents patch = patch(strides, required, suggested);
    return create(stem, strides, widths, depths, projections, patch);
  }

  private Architecture create(
      List<Integer> stem,
      Strides strides,
      List<Integer> widths,
      List<Integer> depths,
      List<Integer> projections,
      Extents patch)
      throws InvalidFileException {
    String block = ENCODER + ".stages.0.0";
    String decoder = "decoder5.decoder_block.0.";
    int residualConvolutions = has(block + ".conv52.conv1.conv.weight") ? 2 : 1;
    TokenProjection projection = tokenProjection(block, residualConvolutions);
    Architecture recipe = recipeOf(projection);
    try {
      return new Architecture(
          stem.get(1),
          shape("out1.conv.conv.weight", 5).get(0),
          patch,
          strides.stem,
          strides.downsampling,
          widths,
          depths,
          depth(decoder),
          projections,
          projection(decoder + "0"),
          shape("encoder1.conv1.conv.weight", 5).get(0),
          shape(block + ".epa_block.temperature", 3).get(0),
          projection,
          has(block + ".epa_block.out_proj.weight") ? Fusion.CONCATENATE : Fusion.SUM,
          residualConvolutions,
          recipe.attentionDropout(),
          recipe.channelDropout());
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(path, "not a UNETR++ that can be built: " + e.getMessage(), e);
    }
  }

  /** Shared or not has the same names and shapes: the published networks share with one block. */
  private TokenProjection tokenProjection(String block, int residualConvolutions) {
    if (has(block + ".epa_block.EF")) {
      return TokenProjection.SHARED_MATRIX;
    }
    return residualConvolutions == 1
        ? TokenProjection.SHARED_LINEAR
        : TokenProjection.SEPARATE_LINEAR;
  }

  /** The published network of a kind, for what no state tells: the dropout rates of training. */
  private static Architecture recipeOf(TokenProjection projection) {
    return switch (projection) {
      case SHARED_LINEAR -> published("synapse");
      case SEPARATE_LINEAR -> published("acdc");
      case SHARED_MATRIX -> published("tumor");
    };
  }

  private static Architecture published(String name) {
    return Architecture.published(name).orElseThrow();
  }

  /** Strides, and the number of tokens at each stage. */
  private record Strides(Extents stem, List<Extents> downsampling, List<Integer> tokens) {
    /** Strides from the patch to the tokens of the last stage. */
    Extents product() {
      return downsampling.stream().reduce(stem, Extents::times);
    }

    boolean fit(Extents patch) {
      Extents grid = patch;
      for (int stage = 0; stage < tokens.size(); stage++) {
        Extents stride = stage == 0 ? stem : downsampling.get(stage - 1);
        if (!grid.divisibleBy(stride)) {
          return false;
        }
        grid = grid.dividedBy(stride);
        if (!isGrid(grid) || grid.voxels() != tokens.get(stage)) {
          return false;
        }
      }
      return true;
    }

    /** Whether extents, which damaged shapes can make overflow, are those of a grid of tokens. */
    private static boolean isGrid(Extents grid) {
      return IntStream.of(grid.toArray()).allMatch(extent -> extent > 0 && extent <= MAX_EDGE);
    }

    /** Patches of the given tokens whose rows and columns are as many. */
    List<Extents> squarePatches() {
      int last = tokens.getLast();
      return IntStream.rangeClosed(1, (int) Math.sqrt(last))
          .filter(edge -> last % (edge * edge) == 0)
          .mapToObj(edge -> new Extents(last / (edge * edge), edge, edge).times(product()))
          .filter(this::fit)
          .toList();
    }

    /** The patch whose tokens of the first stage are a cube, if they can be. */
    Optional<Extents> cubicPatch() {
      int edge = (int) Math.round(Math.cbrt(tokens.getFirst()));
      return Optional.of(Extents.cube(edge).times(stem)).filter(this::fit);
    }
  }

  private Extents patch(Strides strides, @Nullable Extents required, @Nullable Extents suggested)
      throws InvalidFileException {
    if (required != null) {
      if (!strides.fit(required)) {
        throw new InvalidFileException(
            path,
            "patch %s does not give the %s tokens of its stages"
                .formatted(required, strides.tokens));
      }
      return required;
    }
    Stream<Extents> published =
        Architecture.publishedNames().stream()
            .map(ArchitectureRecognizer::published)
            .filter(architecture -> architecture.stem().equals(strides.stem))
            .map(Architecture::patch);
    Stream<Extents> known =
        Stream.of(Stream.ofNullable(suggested), published, strides.cubicPatch().stream())
            .flatMap(patches -> patches);
    return known.filter(strides::fit).findFirst().orElseThrow(() -> openPatch(strides));
  }

  private InvalidFileException openPatch(Strides strides) {
    return new InvalidFileException(
        path,
        ("its stages have %s tokens, which several patches give, such as %s: "
                + "name it with --patch DxHxW")
            .formatted(
                strides.tokens, strides.squarePatches().stream().limit(SHOWN_PATCHES).toList()));
  }

  private int depth(String blocks) {
    int depth = 0;
    while (has(blocks + depth + ".gamma")) {
      depth++;
    }
    return depth;
  }

  private int projection(String block) throws InvalidFileException {
    String matrix = block + ".epa_block.EF";
    return has(matrix) ? shape(matrix, 2).get(1) : shape(block + ".epa_block.E.weight", 2).get(0);
  }

  private static Extents kernel(List<Integer> shape) {
    return new Extents(shape.get(2), shape.get(3), shape.get(4));
  }

  private boolean has(String name) {
    return state.containsKey(name);
  }

  private List<Integer> shape(String name, int axes) throws InvalidFileException {
    StoredTensor tensor = state.get(name);
    if (tensor == null) {
      throw new InvalidFileException(path, "not a whole UNETR++: it has no tensor " + name);
    }
    boolean sane =
        tensor.shape().stream().allMatch(extent -> extent > 0 && extent <= Integer.MAX_VALUE);
    if (tensor.shape().size() != axes || !sane) {
      throw new InvalidFileException(
          path,
          "tensor %s has shape %s, expected %d axes of 1 or more"
              .formatted(name, tensor.shapeText(), axes));
    }
    return tensor.shape().stream().map(Math::toIntExact).toList();
  }
}
