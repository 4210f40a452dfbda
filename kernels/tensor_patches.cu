// Packs weights for products on tensor cores.
//
// Launcher org.unetrpp.backend.cuda.PackedFragments
#include "common.cuh"

namespace {

constexpr int kFragment = 16;  // rows and columns of a product, and of its neighbor

}  // namespace

// Weights (first, second, taps) as a matrix of bfloat16, in the order in which lanes hold its 16 x
// 16 parts (mma.cuh): (columns / 16, rows / 16, 32 lanes, 2, 2, 2): of a lane the registers b0 and
// b1 of two neighboring products, and the two rows in one register. Zeros where there are no rows
// or columns. The columns are the first axis of the weights and the rows the second, or the other
// way round; the rows are (taps, rows), or the columns (taps, columns). Within 16, columns are
// exchanged so that a lane ends with four neighboring ones of a row of the result.
ENTRY(tensor_patches_pack, 256, const float* weight, bfloat16* packed, long long values, int rows,
      int columns, int taps, int taps_are_rows, int columns_are_first) {
  const long long i = thread_in_grid();
  if (i >= values) return;
  const int in_lane = static_cast<int>(i % 8);
  const int lane = static_cast<int>(i / 8 % kWarpSize);
  const long long fragment = i / (8 * kWarpSize);
  const long long all_rows = static_cast<long long>(taps_are_rows ? taps : 1) * rows;
  const long long all_columns = static_cast<long long>(taps_are_rows ? 1 : taps) * columns;
  const long long chunks = (all_rows + kFragment - 1) / kFragment;

  const long long row =
      fragment % chunks * kFragment + lane % 4 * 2 + in_lane / 2 % 2 * 8 + in_lane % 2;
  const int in_product = lane / 4;
  const long long column =
      fragment / chunks * kFragment + in_product / 2 * 4 + in_product % 2 + in_lane / 4 * 2;
  float value = 0.0f;
  if (row < all_rows && column < all_columns) {
    const long long tap = taps_are_rows ? row / rows : column / columns;
    const long long in = taps_are_rows ? row % rows : row;
    const long long out = taps_are_rows ? column : column % columns;
    value = weight[(columns_are_first ? out * rows + in : in * columns + out) * taps + tap];
  }
  packed[i] = from_float<bfloat16>(value);
}
