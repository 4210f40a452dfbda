package org.unetrpp.backend.cpu.machine;

import static org.unetrpp.backend.cpu.machine.Winograd.PRODUCTS;
import static org.unetrpp.backend.cpu.machine.Winograd.TILE;
import static org.unetrpp.backend.cpu.machine.WinogradLayout.LANES;
import static org.unetrpp.backend.cpu.machine.WinogradLayout.VECTOR;

import java.util.List;
import org.unetrpp.backend.cpu.machine.Assembler.Label;

/** Assembles the three steps of {@link Winograd} for a layout. */
final class WinogradCode {
  /** Input channels whose arithmetic stands in the code without a loop. */
  private static final int UNROLLED = 4;

  /** Taps of the kernel along each axis. */
  private static final int TAPS = 3;

  /** Longest sum that is taken in one go. */
  private static final int LONGEST_SUM = 512;

  /** Where the inputs of three planes are found. */
  private static final List<Register> PLANES = List.of(Register.RDI, Register.RSI, Register.RDX);

  /** Where each constant lies, in floats. */
  private enum Constant {
    A2_B2(0),
    A2_PLUS_B2(1),
    B2(2),
    A2(3),
    A(4),
    B(5),
    A3(6),
    B3(7),
    SLOPE_BEFORE(8),
    SLOPE_AFTER(9);

    private final int index;

    Constant(int index) {
      this.index = index;
    }

    Memory at(Register constants) {
      return constants.at(index * Float.BYTES);
    }
  }

  private final WinogradLayout layout;

  WinogradCode(WinogradLayout layout) {
    this.layout = layout;
  }

  /**
   * What the code reads at the address of its constants.
   *
   * @param before slope of a LeakyReLU in front of the convolution
   * @param after slope of one behind it
   */
  static float[] constants(float before, float after) {
    double a2 = Winograd.A * Winograd.A;
    double b2 = Winograd.B * Winograd.B;
    double a3 = a2 * Winograd.A;
    double b3 = b2 * Winograd.B;
    double[] transforms = {a2 * b2, a2 + b2, b2, a2, Winograd.A, Winograd.B, a3, b3};
    float[] constants = new float[Constant.values().length];
    for (int i = 0; i < transforms.length; i++) {
      constants[i] = (float) transforms[i]; // all of them exact
    }
    constants[Constant.SLOPE_BEFORE.index] = before;
    constants[Constant.SLOPE_AFTER.index] = after;
    return constants;
  }

  /**
   * Transforms rows of a plane. The function takes the addresses of the first row, of its
   * transform, of a line of scratch, of the constants and of an affine map of the channels (all
   * means, all scales, all shifts), and the number of rows.
   *
   * @param normalizing whether the inputs are {@code leakyRelu((x - mean) scale + shift)}
   */
  byte[] input(boolean normalizing) {
    Assembler code = new Assembler();
    Register x = Register.RDI;
    Register transformed = Register.RSI;
    Register line = Register.RDX;
    Register constants = Register.RCX;
    Register affine = Register.R8;
    Register rows = Register.R9;
    Register from = Register.RAX;
    Register to = Register.R10;
    Register count = Register.R11;
    InputTile tile = new InputTile(code);
    tile.loadConstants(constants);
    InputLine copied = new InputLine(code, layout.inChannels() * Float.BYTES, normalizing);
    copied.loadSlope(constants);

    code.zero(0);
    code.store(line.at(0), 0);
    for (int at = layout.width() + 1; at < TILE * layout.tiles() + 2; at++) {
      code.store(line.at(at * VECTOR), 0);
    }
    Label row = code.here();
    for (int block = 0; block < layout.inBlocks(); block++) {
      copied.loadAffine(affine, block);
      code.move(from, x);
      code.add(from, block * VECTOR);
      code.move(to, line);
      code.add(to, VECTOR);
      code.times(count, layout.width() / TILE, () -> copied.copy(from, to, TILE));
      copied.copy(from, to, layout.width() % TILE);

      code.move(from, line);
      code.move(to, transformed);
      code.add(to, block * layout.blockBytes());
      code.times(
          count,
          layout.tiles(),
          () -> {
            tile.transform(from, to, layout.inputBytes());
            code.add(from, TILE * VECTOR);
            code.add(to, VECTOR);
          });
    }
    code.add(x, layout.width() * layout.inChannels() * Float.BYTES);
    code.add(transformed, layout.rowBytes());
    code.repeat(rows, row);
    code.end();
    return code.code();
  }

  /** Copies voxels of one block of channels next to each other. */
  private record InputLine(Assembler code, int voxelBytes, boolean normalizing) {
    private static final int MEAN = 20;
    private static final int SCALE = 21;
    private static final int SHIFT = 22;
    private static final int SLOPE = 23;
    private static final int SCALED = 8;

    void loadSlope(Register constants) {
      code.broadcast(SLOPE, Constant.SLOPE_BEFORE.at(constants));
    }

    void loadAffine(Register affine, int block) {
      if (normalizing) {
        code.load(MEAN, affine.at(block * VECTOR));
        code.load(SCALE, affine.at(voxelBytes + block * VECTOR));
        code.load(SHIFT, affine.at(2 * voxelBytes + block * VECTOR));
      }
    }

    void copy(Register from, Register to, int voxels) {
      for (int i = 0; i < voxels; i++) {
        code.load(i, from.at(i * voxelBytes));
        if (normalizing) {
          code.subtract(i, i, MEAN);
          code.multiplyThenAdd(i, SCALE, SHIFT);
          code.multiply(SCALED, i, SLOPE);
          code.max(i, i, SCALED);
        }
        code.store(to.at(i * VECTOR), i);
      }
      code.add(from, voxels * voxelBytes);
      code.add(to, voxels * VECTOR);
    }
  }

  /** {@code v = B x}. */
  private record InputTile(Assembler code) {
    private static final int A2_B2 = 24;
    private static final int A2_PLUS_B2 = 25;
    private static final int B2 = 26;
    private static final int A2 = 27;
    private static final int A = 28;
    private static final int B = 29;

    void loadConstants(Register constants) {
      code.broadcast(A2_B2, Constant.A2_B2.at(constants));
      code.broadcast(A2_PLUS_B2, Constant.A2_PLUS_B2.at(constants));
      code.broadcast(B2, Constant.B2.at(constants));
      code.broadcast(A2, Constant.A2.at(constants));
      code.broadcast(A, Constant.A.at(constants));
      code.broadcast(B, Constant.B.at(constants));
    }

    /** Six vectors next to each other to six that are {@code step} bytes apart. */
    void transform(Register from, Register to, int step) {
      for (int i = 0; i < PRODUCTS; i++) {
        code.load(i, from.at(i * VECTOR));
      }
      code.move(6, 4);
      code.multiplySubtract(6, 2, A2_PLUS_B2);
      code.multiplyAdd(6, 0, A2_B2);
      code.store(to.at(0), 6);
      pair(B2, A, to.at(step), step);
      pair(A2, B, to.at(3 * step), step);
      code.multiplySubtract(5, 3, A2_PLUS_B2);
      code.multiplyAdd(5, 1, A2_B2);
      code.store(to.at(5 * step), 5);
    }

    /** {@code (x4 - square x2) +- point (x3 - square x1)}. */
    private void pair(int square, int point, Memory to, int step) {
      code.move(7, 4);
      code.multiplySubtract(7, 2, square);
      code.move(8, 3);
      code.multiplySubtract(8, 1, square);
      code.move(9, 7);
      code.multiplyAdd(7, 8, point);
      code.multiplySubtract(9, 8, point);
      code.store(to, 7);
      code.store(to.plus(step), 9);
    }
  }

  /**
   * Multiplies the inputs of one product by its weights for all rows of the strip, summed over
   * input channels and the taps along depth and height. The function takes the addresses of the
   * inputs of three planes, of the weights (tap of depth, input channel, tap of height, block of
   * output channels, 16), and of the results.
   *
   * <p>A block of rows and tiles has its sums in registers. Each input is read once and multiplied
   * by the weights of all the taps along the height that it meets.
   */
  byte[] product(RegisterBlock block) {
    Assembler code = new Assembler();
    code.push(Register.RBX);
    code.push(Register.RBP);
    code.push(Register.R13);
    int rows = layout.rows();
    code.times(Register.R13, rows / block.rows(), () -> productRows(code, block, block.rows()));
    if (rows % block.rows() > 0) {
      productRows(code, block, rows % block.rows());
    }
    code.pop(Register.R13);
    code.pop(Register.RBP);
    code.pop(Register.RBX);
    code.end();
    return code.code();
  }

  private void productRows(Assembler code, RegisterBlock block, int rows) {
    int tiles = layout.tiles();
    code.times(
        Register.R9,
        tiles / block.tiles(),
        () -> productBlock(code, new RegisterBlock(rows, block.tiles(), block.together())));
    if (tiles % block.tiles() > 0) {
      productBlock(code, new RegisterBlock(rows, tiles % block.tiles(), block.together()));
    }
    int skipped = (rows - 1) * layout.rowBytes();
    PLANES.forEach(plane -> code.add(plane, skipped));
    code.add(Register.R8, skipped);
  }

  /**
   * The sums of one block. Long ones are taken plane by plane and then added up: rounding errors
   * grow with the length of a sum.
   */
  private void productBlock(Assembler code, RegisterBlock block) {
    Register x = Register.RAX;
    Register weights = Register.R10;
    code.move(weights, Register.RCX);
    if (TAPS * TAPS * layout.inChannels() > LONGEST_SUM) {
      for (int tap = 0; tap < TAPS; tap++) {
        clear(code, block);
        code.move(x, PLANES.get(tap));
        productPlane(code, block, x, weights);
        store(code, block, tap > 0);
      }
    } else {
      clear(code, block);
      code.times(
          Register.R11,
          TAPS,
          () -> {
            code.move(x, Register.RDI);
            productPlane(code, block, x, weights);
            // The next plane; after three of them each is where it was.
            code.move(Register.RBP, Register.RDI);
            code.move(Register.RDI, Register.RSI);
            code.move(Register.RSI, Register.RDX);
            code.move(Register.RDX, Register.RBP);
          });
      store(code, block, false);
    }
    int step = block.tiles() * VECTOR;
    PLANES.forEach(plane -> code.add(plane, step));
    code.add(Register.R8, step);
  }

  private static void clear(Assembler code, RegisterBlock block) {
    for (int i = 0; i < block.sums(); i++) {
      code.zero(i);
    }
  }

  private void store(Assembler code, RegisterBlock block, boolean adding) {
    for (int row = 0; row < block.rows(); row++) {
      for (int tile = 0; tile < block.tiles(); tile++) {
        for (int out = 0; out < block.together(); out++) {
          Memory to =
              Register.R8.at(
                  out * layout.resultBlockBytes() + row * layout.rowBytes() + tile * VECTOR);
          int sum = block.sum(row, tile, out);
          if (adding) {
            code.add(sum, sum, to);
          }
          code.store(to, sum);
        }
      }
    }
  }

  /** All input channels of one plane. */
  private void productPlane(Assembler code, RegisterBlock block, Register x, Register weights) {
    code.times(
        Register.RBX,
        layout.inBlocks(),
        () -> {
          code.times(
              Register.RBP, LANES / UNROLLED, () -> productChannels(code, block, x, weights));
          code.add(x, layout.blockBytes() - VECTOR);
        });
  }

  /** Some input channels of one plane. */
  private void productChannels(Assembler code, RegisterBlock block, Register x, Register weights) {
    int together = block.together();
    for (int channel = 0; channel < UNROLLED; channel++) {
      for (int i = 0; i < TAPS * together; i++) {
        code.load(block.weight(i), weights.at((channel * TAPS * together + i) * VECTOR));
      }
      for (int row = 0; row < block.rows() + TAPS - 1; row++) {
        int firstTap = Math.max(0, row - block.rows() + 1);
        int lastTap = Math.min(row, TAPS - 1);
        for (int tile = 0; tile < block.tiles(); tile++) {
          Memory value = x.at(row * layout.rowBytes() + tile * VECTOR + channel * Float.BYTES);
          if (firstTap == lastTap && together == 1) {
            code.multiplyAddBroadcast(
                block.sum(row - firstTap, tile, 0), block.weight(firstTap), value);
            continue;
          }
          int input = block.input(tile);
          code.broadcast(input, value);
          for (int tap = firstTap; tap <= lastTap; tap++) {
            for (int out = 0; out < together; out++) {
              code.multiplyAdd(
                  block.sum(row - tap, tile, out), block.weight(tap * together + out), input);
            }
          }
        }
      }
    }
    code.add(x, UNROLLED * Float.BYTES);
    code.add(weights, UNROLLED * TAPS * together * VECTOR);
  }

  /**
   * {@code y = leakyRelu(A m + bias + addend)} for all rows of the strip and the output channels
   * computed together. The function takes the addresses of the results of {@link #product}, of the
   * strip's first voxel in y and in the addend, of the constants and of the bias.
   */
  byte[] output(boolean bias, boolean addend, boolean leaky) {
    Assembler code = new Assembler();
    Register results = Register.RDI;
    Register y = Register.RSI;
    Register added = Register.RDX;
    Register constants = Register.RCX;
    Register biases = Register.R8;
    Register from = Register.RAX;
    Register to = Register.R9;
    Register fromAdded = Register.R10;
    Register count = Register.R11;
    code.push(Register.RBX);
    int voxelBytes = layout.outChannels() * Float.BYTES;
    OutputTile tile = new OutputTile(code, layout.resultBytes(), voxelBytes, bias, addend, leaky);
    tile.loadConstants(constants);
    int whole = layout.width() / TILE;
    code.times(
        Register.RBX,
        layout.rows(),
        () -> {
          for (int block = 0; block < layout.together(); block++) {
            if (bias) {
              code.load(OutputTile.BIAS, biases.at(block * VECTOR));
            }
            code.move(from, results);
            code.add(from, block * layout.resultBlockBytes());
            code.move(to, y);
            code.add(to, block * VECTOR);
            code.move(fromAdded, added);
            code.add(fromAdded, block * VECTOR);
            code.times(
                count,
                whole,
                () -> {
                  tile.transform(from, to, fromAdded, TILE);
                  code.add(from, VECTOR);
                  code.add(to, TILE * voxelBytes);
                  code.add(fromAdded, TILE * voxelBytes);
                });
            tile.transform(from, to, fromAdded, layout.width() % TILE);
          }
          code.add(results, layout.rowBytes());
          code.add(y, layout.width() * voxelBytes);
          code.add(added, layout.width() * voxelBytes);
        });
    code.pop(Register.RBX);
    code.end();
    return code.code();
  }

  /** {@code y = A m} and what follows. */
  private record OutputTile(
      Assembler code,
      int resultBytes,
      int voxelBytes,
      boolean bias,
      boolean addend,
      boolean leaky) {
    private static final int A = 22;
    private static final int B = 23;
    private static final int A2 = 24;
    private static final int B2 = 25;
    private static final int A3 = 26;
    private static final int B3 = 27;
    private static final int SLOPE = 28;
    static final int BIAS = 29;

    void loadConstants(Register constants) {
      code.broadcast(A, Constant.A.at(constants));
      code.broadcast(B, Constant.B.at(constants));
      code.broadcast(A2, Constant.A2.at(constants));
      code.broadcast(B2, Constant.B2.at(constants));
      code.broadcast(A3, Constant.A3.at(constants));
      code.broadcast(B3, Constant.B3.at(constants));
      code.broadcast(SLOPE, Constant.SLOPE_AFTER.at(constants));
    }

    /** Writes the first {@code voxels} outputs of a tile. */
    void transform(Register from, Register to, Register added, int voxels) {
      if (voxels == 0) {
        return;
      }
      for (int i = 0; i < PRODUCTS; i++) {
        code.load(i, from.at(i * resultBytes));
      }
      code.add(6, 1, 2);
      code.subtract(7, 1, 2);
      code.add(8, 3, 4);
      code.subtract(9, 3, 4);
      code.add(0, 0, 6);
      code.add(0, 0, 8); // y0
      code.multiply(1, 7, A);
      code.multiplyAdd(1, 9, B); // y1
      code.multiply(2, 6, A2);
      code.multiplyAdd(2, 8, B2); // y2
      code.move(3, 5);
      code.multiplyAdd(3, 7, A3);
      code.multiplyAdd(3, 9, B3); // y3
      for (int i = 0; i < voxels; i++) {
        if (bias) {
          code.add(i, i, BIAS);
        }
        if (addend) {
          code.add(i, i, added.at(i * voxelBytes));
        }
        if (leaky) {
          code.multiply(10 + i, i, SLOPE);
          code.max(i, i, 10 + i);
        }
        code.store(to.at(i * voxelBytes), i);
      }
    }
  }
}
