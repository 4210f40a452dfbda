package org.unetrpp.backend.cuda.driver;

/**
 * Grid and block of one kernel launch.
 *
 * @param sharedBytes dynamic shared memory of a block
 */
public record LaunchGeometry(
    int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ, int sharedBytes) {
  private static final int WARP = 32;
  private static final int MAX_GRID_YZ = 65_535;
  private static final int MAX_BLOCK = 1024;

  public LaunchGeometry {
    if (gridX < 1 || gridY < 1 || gridZ < 1 || gridY > MAX_GRID_YZ || gridZ > MAX_GRID_YZ) {
      throw new IllegalArgumentException("grid %d x %d x %d".formatted(gridX, gridY, gridZ));
    }
    if (blockX < 1 || blockY < 1 || blockZ < 1 || (long) blockX * blockY * blockZ > MAX_BLOCK) {
      throw new IllegalArgumentException("block %d x %d x %d".formatted(blockX, blockY, blockZ));
    }
  }

  /** A grid of blocks along one axis. */
  public static LaunchGeometry blocks(long count, int threads) {
    return new LaunchGeometry(Math.toIntExact(count), 1, 1, threads, 1, 1, 0);
  }

  /** One thread for each of {@code count} things. */
  public static LaunchGeometry threadEach(long count, int threadsPerBlock) {
    return blocks(Math.max(1, Math.ceilDiv(count, threadsPerBlock)), threadsPerBlock);
  }

  /** One warp for each row, {@code warps} of them in a block: (32, warps) threads. */
  public static LaunchGeometry warpEach(long rows, int warps) {
    int blocks = Math.toIntExact(Math.max(1, Math.ceilDiv(rows, warps)));
    return new LaunchGeometry(blocks, 1, 1, WARP, warps, 1, 0);
  }

  /** The same with another grid. */
  public LaunchGeometry grid(int x, int y, int z) {
    return new LaunchGeometry(x, y, z, blockX, blockY, blockZ, sharedBytes);
  }

  /** The same with dynamic shared memory. */
  public LaunchGeometry shared(int bytes) {
    return new LaunchGeometry(gridX, gridY, gridZ, blockX, blockY, blockZ, bytes);
  }

  @Override
  public String toString() {
    return "grid (%d, %d, %d), block (%d, %d, %d), %d bytes of shared memory"
        .formatted(gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes);
  }
}
