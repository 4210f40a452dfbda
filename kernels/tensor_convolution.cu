// Convolution of volumes by 3x3x3, stride 1 and padding 1 on tensor cores, in bfloat16, and its
// gradient with respect to what it reads. That of at most 16 channels is in narrow_convolution.cu.
//
//   y[b, v, n] = f(sum_{t, c} x[b, v - 1 + t, c] weight[n, c, t] + bias[n] + addend[b, v, n])
//   f(s) = s where s > 0, else slope s
//
// The gradient is the same with the taps in reverse and the channels exchanged. bias and addend may
// be missing; with a slope of 1, f leaves all as it is.
//
// Shapes   x (B, D, H, W, C), y and addend (B, D, H, W, N) of bfloat16, aligned to 16 bytes, C and
//          N multiples of 8; weight (N, C, 27) and bias (N) of float. Kernels read weights packed
//          as bfloat16 in the order in which lanes hold them (mma.cuh), for 16 channels of x and 16
//          of y at a time; see pack below. Their columns are exchanged so that a lane ends with
//          four neighboring channels of a voxel, which it stores at once.
// Launch   large   a block has 4x8x8 voxels x 32 channels of y and walks over x, 16 channels and
// one
//                  kh at a time: voxels with a halo, and 9 taps of weights, lie in shared memory,
//                  the next ones are copied meanwhile. A warp has 4x2x8 voxels x 32 channels; what
//                  it loads of x serves all three kd.
//          small   the same with 4x4x4 voxels x 32 channels; a warp has 2x4x4 x 16.
//                  grid = (tiles of voxels, N / 32, splits), block = 128, 56,832 or 78,336 bytes of
//                  dynamic shared memory.
//          merge   adds up the splits of large or small, in order: where there are fewer tiles than
//                  fill the device, blocks share a tile and divide its channels of x. A thread for
//                  four values.
//          pack    a thread for each packed value.
// Traffic  of large, a tile reads x 2.3 times, of small 3.4 times, nearly all from L2, and each
//          block 1728 bytes of weights for each channel of x. Splits write and read 4 bytes a value
//          each.
// Numerics x as it is, weights rounded to bfloat16, sums in float in the registers of the tensor
//          cores, in an order that depends on the shape alone and the number of multiprocessors; y
//          rounded once, after f. Rounding weights and y makes a relative error of 1.5e-3 each.
// Launcher org.unetrpp.backend.cuda.TensorConvolutions, TensorWeights
#include "tensor_convolution.cuh"

namespace {

/// How a block of four warps divides 4 x kHeight x kWidth voxels x 32 channels. A warp has kDepths
/// products of 16 voxels (16 / kWidth lines of kWidth), one behind the other along D, and kPairs
/// times 16 channels. What kStages - 1 steps ahead need is being copied.
template <int kHeight_, int kWidth_, int kDepths_, int kPairs_, int kStages_>
struct Tile {
  static constexpr int kThreads = 128;
  static constexpr int kDepth = 4;
  static constexpr int kHeight = kHeight_;
  static constexpr int kWidth = kWidth_;
  static constexpr int kDepths = kDepths_;
  static constexpr int kPairs = kPairs_;
  static constexpr int kStages = kStages_;
  static constexpr int kHalos = (kStages + 6) / 3;  // chunks that are read or being copied
  static constexpr int kColumns = 32;
  static constexpr int kLines = 16 / kWidth;
  static constexpr int kWarpsOfPairs = kColumns / kPair / kPairs;
  static constexpr int kWarpsOfHeight = kHeight / kLines;
  static_assert(kWarpsOfPairs * kWarpsOfHeight * (kDepth / kDepths) == kThreads / kWarpSize);

  static constexpr int kHaloHeight = kHeight + 2;
  static constexpr int kHaloWidth = kWidth + 2;
  // lines of four voxels begin at different halves of the banks
  static constexpr int kPitch = kWidth == 4 ? 12 : kHaloWidth;
  static constexpr int kHaloQuads = (kDepth + 2) * kHaloHeight * kPitch * 2;
  static constexpr int kWeightQuads = kTaps / 3 * (kColumns / kPair) * kWarpSize;
};

template <typename Tile>
__device__ void forward_tiled(const bfloat16* __restrict__ x, const uint4* __restrict__ weight,
                              bfloat16* y, float* partials, const Finish finish, int batch,
                              Extents extents, int in_channels, int out_channels,
                              int chunks_per_split) {
  DYNAMIC_SHARED(uint4, shared);
  uint4* const halos = shared;
  uint4* const slabs = shared + Tile::kHalos * Tile::kHaloQuads;

  const int thread = threadIdx.x;
  const int lane = thread % kWarpSize;
  const int warp = thread / kWarpSize;
  const int first_pair = warp % Tile::kWarpsOfPairs * Tile::kPairs;
  const int line_of_warp = warp / Tile::kWarpsOfPairs % Tile::kWarpsOfHeight * Tile::kLines;
  const int depth_of_warp = warp / Tile::kWarpsOfPairs / Tile::kWarpsOfHeight * Tile::kDepths;

  const Radices tiles = {(extents.d + Tile::kDepth - 1) / Tile::kDepth,
                         (extents.h + Tile::kHeight - 1) / Tile::kHeight,
                         (extents.w + Tile::kWidth - 1) / Tile::kWidth};
  const Digits tile = to_digits(blockIdx.x, tiles);
  const int first_d = tile.second * Tile::kDepth;
  const int first_h = tile.third * Tile::kHeight;
  const int first_w = tile.fourth * Tile::kWidth;
  const long long item = static_cast<long long>(tile.first) * extents.d;

  const int chunks = (in_channels + kChunk - 1) / kChunk;
  const int first_chunk = blockIdx.z * chunks_per_split;
  const int steps = (min(chunks, first_chunk + chunks_per_split) - first_chunk) * 3;

  // the third with this number of all that this block needs of x: two planes of a chunk
  const auto copy_planes = [&](int third) {
    if (third >= steps) return;
    const int chunk = third / 3;
    uint4* const halo = halos + chunk % Tile::kHalos * Tile::kHaloQuads;
    constexpr int kVoxels = 2 * Tile::kHaloHeight * Tile::kHaloWidth;
    for (int i = thread; i < kVoxels * 2; i += Tile::kThreads) {
      const int line = third % 3 * 2 * Tile::kHaloHeight + i / 2 / Tile::kHaloWidth;
      const int at_w = i / 2 % Tile::kHaloWidth;
      const int d = first_d - 1 + line / Tile::kHaloHeight;
      const int h = first_h - 1 + line % Tile::kHaloHeight;
      const int w = first_w - 1 + at_w;
      const int c = (first_chunk + chunk) * kChunk + i % 2 * 8;
      const bool is_there = is_inside(d, h, w, extents) && c < in_channels;
      const long long voxel = ((item + d) * extents.h + h) * extents.w + w;
      copy_16_bytes(halo + quad_of(line * Tile::kPitch + at_w, i % 2),
                    is_there ? x + voxel * in_channels + c : x, is_there);
    }
  };
  const uint4* const weights_of_block =
      weight + (static_cast<long long>(blockIdx.y) * chunks + first_chunk) * 3 * Tile::kWeightQuads;
  const auto copy_weights = [&](int step) {
    if (step >= steps) return;
    uint4* const slab = slabs + step % Tile::kStages * Tile::kWeightQuads;
    const uint4* const from = weights_of_block + step * Tile::kWeightQuads;
    for (int i = thread; i < Tile::kWeightQuads; i += Tile::kThreads) {
      copy_16_bytes(slab + i, from + i, true);
    }
  };

  // where this lane's line of the halo begins that the warp's first product reads with no tap added
  const int voxel_of_lane =
      (depth_of_warp * Tile::kHaloHeight + line_of_warp + lane % 16 / Tile::kWidth) * Tile::kPitch +
      lane % Tile::kWidth;
  float sums[Tile::kDepths][Tile::kPairs][2][4] = {};
  copy_planes(0);
  copy_planes(1);
  for (int step = 0; step < Tile::kStages - 1; step++) {
    copy_planes(step + 2);
    copy_weights(step);
    end_copy_group();
  }
  for (int step = 0; step < steps; step++) {
    wait_for_copies<Tile::kStages - 2>();
    __syncthreads();  // also, everyone is done with what the next copies overwrite
    copy_planes(step + Tile::kStages + 1);
    copy_weights(step + Tile::kStages - 1);
    end_copy_group();

    const int kh = step % 3;
    const uint4* const halo = halos + step / 3 % Tile::kHalos * Tile::kHaloQuads;
    const uint4* const slab =
        slabs + step % Tile::kStages * Tile::kWeightQuads + first_pair * kWarpSize;
#pragma unroll
    for (int kw = 0; kw < 3; kw++) {
      unsigned voxels[Tile::kDepths + 2][4];
#pragma unroll
      for (int d = 0; d < Tile::kDepths + 2; d++) {
        const int voxel = voxel_of_lane + (d * Tile::kHaloHeight + kh) * Tile::kPitch + kw;
        load_matrices(voxels[d], halo + quad_of(voxel, lane / 16));
      }
#pragma unroll
      for (int kd = 0; kd < 3; kd++) {
        const int tap = (kd * 3 + kw) * (Tile::kColumns / kPair);
#pragma unroll
        for (int pair = 0; pair < Tile::kPairs; pair++) {
          const uint4 w = slab[(tap + pair) * kWarpSize + lane];
#pragma unroll
          for (int d = 0; d < Tile::kDepths; d++) {
            multiply_add(sums[d][pair][0], voxels[d + kd], w.x, w.y);
            multiply_add(sums[d][pair][1], voxels[d + kd], w.z, w.w);
          }
        }
      }
    }
  }

  if (partials != nullptr) {
    const long long voxels = static_cast<long long>(batch) * extents.d * extents.h * extents.w;
    partials += blockIdx.z * voxels * out_channels;
  }
#pragma unroll
  for (int d = 0; d < Tile::kDepths; d++) {
#pragma unroll
    for (int upper = 0; upper < 2; upper++) {
      const int in_product = lane / 4 + upper * 8;
      const int at_d = first_d + depth_of_warp + d;
      const int h = first_h + line_of_warp + in_product / Tile::kWidth;
      const int w = first_w + in_product % Tile::kWidth;
      if (!is_inside(at_d, h, w, extents)) continue;
      const long long voxel = ((item + at_d) * extents.h + h) * extents.w + w;
#pragma unroll
      for (int pair = 0; pair < Tile::kPairs; pair++) {
        const int column = blockIdx.y * Tile::kColumns + (first_pair + pair) * kPair + lane % 4 * 4;
        if (column >= out_channels) continue;
        const float(&of)[2][4] = sums[d][pair];
        const float four[4] = {of[0][upper * 2], of[0][upper * 2 + 1], of[1][upper * 2],
                               of[1][upper * 2 + 1]};
        if (partials != nullptr) {
          store_four(partials + voxel * out_channels + column, four);
        } else {
          finish_four(y, voxel * out_channels + column, column, four, finish);
        }
      }
    }
  }
}

using Large = Tile<8, 8, 4, 2, 2>;
using Small = Tile<4, 4, 2, 1, 4>;  // a step takes less time than a copy

}  // namespace

#define TILED(size, Tile, blocks)                                                                \
  ENTRY_BLOCKS(tensor_convolution_##size##_bf16, 128, blocks, const bfloat16* x,                 \
               const uint4* weight, bfloat16* y, float* partials, const float* bias,             \
               const bfloat16* addend, float slope, int batch, int depth, int height, int width, \
               int in_channels, int out_channels, int chunks_per_split) {                        \
    require_tensor_cores();                                                                      \
    forward_tiled<Tile>(x, weight, y, partials, {bias, addend, slope}, batch,                    \
                        {depth, height, width}, in_channels, out_channels, chunks_per_split);    \
  }

TILED(large, Large, 3)
TILED(small, Small, 4)

ENTRY(tensor_convolution_merge_bf16, 256, const float* partials, bfloat16* y, const float* bias,
      const bfloat16* addend, float slope, long long values, int splits, int channels) {
  const long long i = thread_in_grid() * 4;
  if (i >= values) return;
  float sums[4] = {};
  for (int split = 0; split < splits; split++) {
    const float4 four = load_four(partials + split * values + i);
    sums[0] += four.x;
    sums[1] += four.y;
    sums[2] += four.z;
    sums[3] += four.w;
  }
  finish_four(y, i, static_cast<int>(i % channels), sums, {bias, addend, slope});
}

// Weights (first, second, 27) to (columns / (16 pairs), rows / 16, 3 kh, 3 kd, 3 kw, pairs, 32
// lanes, 2, 2, 2), as bfloat16: of a lane, a pair of neighboring products, the registers b0 and b1
// of each, and the two rows in one register. Zeros where there are no rows or columns. The columns
// are the first axis of the weights and the rows the second, or the other way round. Flipped, the
// taps come in reverse.
ENTRY(tensor_convolution_pack, 256, const float* weight, bfloat16* packed, long long values,
      int rows, int columns, int pairs, int columns_are_first, int flipped) {
  const long long i = thread_in_grid();
  if (i >= values) return;
  const int in_lane = static_cast<int>(i % 8);
  const int lane = static_cast<int>(i / 8 % kWarpSize);
  const long long above = i / (8 * kWarpSize);
  const int pair = static_cast<int>(above % pairs);
  const int tap = static_cast<int>(above / pairs % kTaps);
  const int chunks = (rows + kChunk - 1) / kChunk;
  const long long chunk = above / pairs / kTaps % chunks;
  const long long group = above / pairs / kTaps / chunks;

  const long long row = chunk * kChunk + lane % 4 * 2 + in_lane / 2 % 2 * 8 + in_lane % 2;
  const int in_product = lane / 4;
  const long long column =
      (group * pairs + pair) * kPair + in_product / 2 * 4 + in_product % 2 + in_lane / 4 * 2;
  float value = 0.0f;
  if (row < rows && column < columns) {
    const int kh = tap / 9;
    const int published = (tap / 3 % 3 * 3 + kh) * 3 + tap % 3;
    const long long of_channels = columns_are_first ? column * rows + row : row * columns + column;
    value = weight[of_channels * kTaps + (flipped ? kTaps - 1 - published : published)];
  }
  packed[i] = from_float<bfloat16>(value);
}
