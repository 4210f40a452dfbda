// Transposed convolution whose kernel is its stride, so that each voxel of the input writes a block
// of its own; also the gradient of the input of a convolution with kernel = stride.
//
//   y[b, d kD + i, h kH + j, w kW + k, n] = sum_c x[b, d, h, w, c] weight[c, n, i, j, k]
//                                           + skip[b, d kD + i, h kH + j, w kW + k, n]
//
// For one (i, j), the values of all (k, n) of a voxel lie side by side in y. So this is kD kH
// matrix products: (voxels, C) times (C, kW N), whose rows go to y as they are.
//
// Shapes   x (B, D, H, W, C), y (B, D kD, H kH, W kW, N) of T; skip as y or null, may be y; weight
//          packed to (kD kH, C, padded) of float, of each row kW N values and zeros up to padded, a
//          multiple of 64 (convolution_pack).
// Launch   large: tiles of 64 voxels by 64 columns, 128 threads of 8 x 4 sums; small: 32 by 32, 64
//          threads of 4 x 4. grid = (tiles of voxels, tiles of columns, kD kH), block = threads.
// Traffic  sizeof(T) * (B D H W C + B D H W kD kH kW N * (1, with skip 2)) + 4 * kD kH C padded
//          bytes; x comes from L2 for all but the first of (kD kH, tiles of columns).
// Numerics accumulates in float for every T, C terms in order.
// Launcher org.unetrpp.backend.cuda.TransposedConvolutionKernels#forward
#include "convolution.cuh"

namespace {

constexpr int kDepth = 16;

template <typename T, int kRows, int kColumns, int kRowsPerThread>
__device__ void transposed_convolution_forward(const T* __restrict__ x,
                                               const float* __restrict__ weight, const T* skip,
                                               T* y, long long rows, int depth, int height,
                                               int width, Extents kernel, int in_channels,
                                               int out_channels, int padded) {
  constexpr int kThreads = kRows / kRowsPerThread * kColumns / 4;
  constexpr int kPitch = kRows + 4;
  __shared__ float4 left_tile[kDepth * kPitch / 4];
  __shared__ float4 right_tile[kDepth * kColumns / 4];
  float* const left = reinterpret_cast<float*>(left_tile);
  float* const right = reinterpret_cast<float*>(right_tile);

  const int thread = threadIdx.x;
  const int my_row = thread / (kColumns / 4) * kRowsPerThread;
  const int my_column = thread % (kColumns / 4) * 4;
  const long long first_row = static_cast<long long>(blockIdx.x) * kRows;
  const int first_column = blockIdx.y * kColumns;
  const int plane = blockIdx.z;
  const float* const my_weight =
      weight + static_cast<long long>(plane) * in_channels * padded + first_column;

  float sums[kRowsPerThread][4] = {};
  for (int first = 0; first < in_channels; first += kDepth) {
    const int terms = min(kDepth, in_channels - first);
    const int c = thread % kDepth;
    for (int row = thread / kDepth; row < kRows; row += kThreads / kDepth) {
      const long long voxel = first_row + row;
      left[c * kPitch + row] =
          c < terms && voxel < rows ? to_float(x[voxel * in_channels + first + c]) : 0.0f;
    }
    for (int i = thread; i < kDepth * kColumns / 4; i += kThreads) {
      const int row = i / (kColumns / 4);
      if (row < terms) {
        right_tile[i] = load_four(my_weight + static_cast<long long>(first + row) * padded +
                                  i % (kColumns / 4) * 4);
      }
    }
    __syncthreads();
    multiply_tiles(left + my_row, kPitch, right + my_column, kColumns, terms, sums);
    __syncthreads();
  }

  const int run = kernel.w * out_channels;
  const int column = first_column + my_column;
  const int count = run - column;
  const bool at_once = run % 4 == 0 && is_aligned(y);
#pragma unroll
  for (int i = 0; i < kRowsPerThread; i++) {
    const long long voxel = first_row + my_row + i;
    if (voxel >= rows || count <= 0) continue;
    const Digits at = to_digits(voxel, {depth, height, width});
    const long long slice =
        (static_cast<long long>(at.first) * depth + at.second) * kernel.d + plane / kernel.h;
    const long long line = (slice * height + at.third) * kernel.h + plane % kernel.h;
    const long long to = (line * width + at.fourth) * run + column;
    if (skip != nullptr) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (j < count) sums[i][j] += to_float(skip[to + j]);
      }
    }
    store_up_to_four(y + to, sums[i], count, at_once);
  }
}

}  // namespace

#define TRANSPOSED_CONVOLUTION(size, threads, blocks, tile, rows_per_thread, suffix, T)           \
  ENTRY_BLOCKS(transposed_convolution_forward_##size##_##suffix, threads, blocks, const T* x,     \
               const float* weight, const T* skip, T* y, long long rows, int depth, int height,   \
               int width, int kernel_depth, int kernel_height, int kernel_width, int in_channels, \
               int out_channels, int padded) {                                                    \
    transposed_convolution_forward<T, tile, tile, rows_per_thread>(                               \
        x, weight, skip, y, rows, depth, height, width,                                           \
        {kernel_depth, kernel_height, kernel_width}, in_channels, out_channels, padded);          \
  }

TRANSPOSED_CONVOLUTION(large, 128, 4, 64, 8, f32, float)
TRANSPOSED_CONVOLUTION(large, 128, 4, 64, 8, bf16, bfloat16)
TRANSPOSED_CONVOLUTION(small, 64, 8, 32, 4, f32, float)
TRANSPOSED_CONVOLUTION(small, 64, 8, 32, 4, bf16, bfloat16)
