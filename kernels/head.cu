// The head: a 1x1x1 convolution with bias to K classes, written classes first, as logits, as
// probabilities, or as the number of the largest; and the gradients of the logits' inputs.
//
//   l[b, k, v] = bias[k] + sum_c x[b, v, c] weight[k, c]
//   p[b, k, v] = exp(l[b, k, v] - max_j l[b, j, v]) / sum_j exp(l[b, j, v] - max_i l[b, i, v])
//   label[b, v] = the first k with the largest l[b, k, v]
//   dx[b, v, c] = sum_k dl[b, k, v] weight[k, c]
//   dweight[k, c] += sum_{b, v} dl[b, k, v] x[b, v, c]        dbias[k] += sum_{b, v} dl[b, k, v]
//
// Shapes   x, dx (B, D, H, W, C) of X; y, dy (B, K, D, H, W) of Y; weight (K, C), bias (K) and
//          their gradients of float; labels (B, D, H, W) of unsigned char, at most 256 classes.
// Launch   forward, backward_data: a thread for each voxel of a tile of 128; 16 channels of the
//          tile and of 16 classes' weights lie in shared memory. grid = (tiles of an item, B),
//          block = 128. backward_weights: 16 classes x 16 channels a block, which walks over its
//          share of tiles of 128 voxels; a thread has 2 x 2 sums for a quarter of the voxels.
//          grid = (splits, K / 16, C / 16), block = 256; partial_sums.cu adds up the splits.
// Traffic  sizeof(X) * B V C + sizeof(Y) * B V K bytes, for labels B V in place of the latter, if K
//          and C are at most 16. Beyond 16 classes x is read again for each 16 of them, for
//          probabilities twice; backward_data reads dy again for each 16 channels; mostly from L2.
// Numerics accumulates in float for every type, C or K terms in order; with more than 16 classes
//          the largest logit and the sum of exponentials are kept up to date, and logits computed
//          again. The gradient of the weights: products of 32 voxels a tile and thread in order,
//          over the tiles of a split, then 4 threads, then splits in double.
// Launcher org.unetrpp.backend.cuda.HeadKernels
#include "common.cuh"

namespace {

constexpr int kVoxels = 128;  // of a tile
constexpr int kGroup = 16;    // of classes, of channels
constexpr int kPitch = kVoxels + 4;
constexpr int kQuads = kGroup / 4;

enum Form { kLogits, kProbabilities, kLabels };

/// The logits of a group of classes for this thread's voxel; all threads of the block must call it.
template <typename X>
__device__ void logits_of_group(const X* __restrict__ x, const float* __restrict__ weight,
                                const float* __restrict__ bias, float* tile, float4* factors,
                                int voxels, int channels, int first_class, int classes,
                                float (&logits)[kGroup]) {
#pragma unroll
  for (int k = 0; k < kGroup; k++) {
    logits[k] = first_class + k < classes ? bias[first_class + k] : 0.0f;
  }
  const int thread = threadIdx.x;
  for (int first = 0; first < channels; first += kGroup) {
    const int count = min(kGroup, channels - first);
    __syncthreads();
#pragma unroll 4
    for (int i = thread; i < kGroup * kVoxels; i += kVoxels) {
      const int c = i % kGroup;
      const int voxel = i / kGroup;
      if (c < count && voxel < voxels) {
        tile[c * kPitch + voxel] =
            to_float(x[static_cast<long long>(voxel) * channels + first + c]);
      }
    }
    for (int i = thread; i < kGroup * kGroup; i += kVoxels) {
      const int c = i / kGroup;
      const int k = first_class + i % kGroup;
      reinterpret_cast<float*>(factors)[i] =
          c < count && k < classes ? weight[static_cast<long long>(k) * channels + first + c]
                                   : 0.0f;
    }
    __syncthreads();
    if (thread >= voxels) continue;
#pragma unroll 2
    for (int c = 0; c < count; c++) {
      const float value = tile[c * kPitch + thread];
#pragma unroll
      for (int quad = 0; quad < kQuads; quad++) {
        const float4 four = factors[c * kQuads + quad];
        logits[quad * 4] += value * four.x;
        logits[quad * 4 + 1] += value * four.y;
        logits[quad * 4 + 2] += value * four.z;
        logits[quad * 4 + 3] += value * four.w;
      }
    }
  }
}

template <Form kForm, typename X, typename Y>
__device__ void head_forward(const X* __restrict__ x, const float* __restrict__ weight,
                             const float* __restrict__ bias, Y* y, int tokens, int channels,
                             int classes) {
  __shared__ float tile[kGroup * kPitch];
  __shared__ float4 factors[kGroup * kQuads];
  const int first_voxel = blockIdx.x * kVoxels;
  const int voxels = min(kVoxels, tokens - first_voxel);
  const bool is_there = static_cast<int>(threadIdx.x) < voxels;
  const X* const my_x = x + (static_cast<long long>(blockIdx.y) * tokens + first_voxel) * channels;
  const long long voxel = static_cast<long long>(first_voxel) + threadIdx.x;
  Y* const my_y = y + (kForm == kLabels ? blockIdx.y * static_cast<long long>(tokens)
                                        : static_cast<long long>(blockIdx.y) * classes * tokens);

  float logits[kGroup];
  float largest = 0.0f;
  float sum = 0.0f;
  int label = 0;
  for (int first = 0; first < classes; first += kGroup) {
    logits_of_group(my_x, weight, bias, tile, factors, voxels, channels, first, classes, logits);
    if (first == 0) largest = logits[0];
    if constexpr (kForm == kLogits) {
#pragma unroll
      for (int k = 0; k < kGroup; k++) {
        if (is_there && first + k < classes) {
          my_y[static_cast<long long>(first + k) * tokens + voxel] = from_float<Y>(logits[k]);
        }
      }
    } else {
      const float before = largest;
#pragma unroll
      for (int k = 0; k < kGroup; k++) {
        if (first + k < classes && logits[k] > largest) {
          largest = logits[k];
          label = first + k;
        }
      }
      if (kForm == kProbabilities) {
        sum *= expf(before - largest);
#pragma unroll
        for (int k = 0; k < kGroup; k++) {
          if (first + k < classes) sum += expf(logits[k] - largest);
        }
      }
    }
  }

  if constexpr (kForm == kLabels) {
    if (is_there) my_y[voxel] = static_cast<Y>(label);
  }
  if constexpr (kForm == kProbabilities) {
    for (int first = 0; first < classes; first += kGroup) {
      if (classes > kGroup) {  // else they are still there
        logits_of_group(my_x, weight, bias, tile, factors, voxels, channels, first, classes,
                        logits);
      }
      if (!is_there) continue;
#pragma unroll
      for (int k = 0; k < kGroup; k++) {
        if (first + k < classes) {
          my_y[static_cast<long long>(first + k) * tokens + voxel] =
              from_float<Y>(expf(logits[k] - largest) / sum);
        }
      }
    }
  }
}

template <typename Y, typename X>
__device__ void head_backward_data(const Y* __restrict__ dy, const float* __restrict__ weight,
                                   X* dx, int tokens, int channels, int classes) {
  __shared__ float4 factors[kGroup * kQuads];
  __shared__ float tile[kVoxels * (kGroup + 1)];
  const int thread = threadIdx.x;
  const int first_voxel = blockIdx.x * kVoxels;
  const int voxels = min(kVoxels, tokens - first_voxel);
  const Y* const my_dy =
      dy + static_cast<long long>(blockIdx.y) * classes * tokens + first_voxel + thread;
  X* const my_dx = dx + (static_cast<long long>(blockIdx.y) * tokens + first_voxel) * channels;

  for (int first = 0; first < channels; first += kGroup) {
    const int count = min(kGroup, channels - first);
    float sums[kGroup] = {};
    for (int first_class = 0; first_class < classes; first_class += kGroup) {
      const int terms = min(kGroup, classes - first_class);
      __syncthreads();
      for (int i = thread; i < kGroup * kGroup; i += kVoxels) {
        const int k = i / kGroup;
        const int c = i % kGroup;
        reinterpret_cast<float*>(factors)[i] =
            k < terms && c < count
                ? weight[static_cast<long long>(first_class + k) * channels + first + c]
                : 0.0f;
      }
      __syncthreads();
      if (thread >= voxels) continue;
      for (int k = 0; k < terms; k++) {
        const float value = to_float(my_dy[static_cast<long long>(first_class + k) * tokens]);
#pragma unroll
        for (int quad = 0; quad < kQuads; quad++) {
          const float4 four = factors[k * kQuads + quad];
          sums[quad * 4] += value * four.x;
          sums[quad * 4 + 1] += value * four.y;
          sums[quad * 4 + 2] += value * four.z;
          sums[quad * 4 + 3] += value * four.w;
        }
      }
    }
#pragma unroll
    for (int c = 0; c < kGroup; c++) tile[thread * (kGroup + 1) + c] = sums[c];
    __syncthreads();
    for (int i = thread; i < kGroup * kVoxels; i += kVoxels) {
      const int c = i % kGroup;
      const int voxel = i / kGroup;
      if (c < count && voxel < voxels) {
        my_dx[static_cast<long long>(voxel) * channels + first + c] =
            from_float<X>(tile[voxel * (kGroup + 1) + c]);
      }
    }
    // the tile is written again behind the barriers of the next group
  }
}

template <typename X, typename Y>
__device__ void head_backward_weights(const X* __restrict__ x, const Y* __restrict__ dy,
                                      float* partials, long long partial_stride, int batch,
                                      int tokens, int channels, int classes, int tiles_per_split) {
  constexpr int kThreads = 256;
  constexpr int kSlices = 4;
  constexpr int kHalf = kGroup / 2;
  __shared__ float4 input_quads[kGroup * kPitch / 4];
  __shared__ float4 gradient_quads[kGroup * kPitch / 4];
  __shared__ float slices[kSlices][kGroup * kGroup];
  __shared__ float bias_sums[kGroup][kGroup + 1];
  float* const inputs = reinterpret_cast<float*>(input_quads);
  float* const gradients = reinterpret_cast<float*>(gradient_quads);

  const int thread = threadIdx.x;
  const int slice = thread / (kHalf * kHalf);
  const int my_class = thread / kHalf % kHalf;  // and the one kHalf further
  const int my_channel = thread % kHalf;        // likewise
  const int first_class = blockIdx.y * kGroup;
  const int first_channel = blockIdx.z * kGroup;

  const int tiles_of_item = (tokens + kVoxels - 1) / kVoxels;
  const long long tiles = static_cast<long long>(batch) * tiles_of_item;
  const long long first_tile = static_cast<long long>(blockIdx.x) * tiles_per_split;
  const long long end = min(tiles, first_tile + tiles_per_split);

  float sums[2][2] = {};
  float bias_sum = 0.0f;
  for (long long number = first_tile; number < end; number++) {
    const long long item = number / tiles_of_item;
    const int first_voxel = static_cast<int>(number % tiles_of_item) * kVoxels;
    const int voxels = min(kVoxels, tokens - first_voxel);
    for (int i = thread; i < kGroup * kVoxels; i += kThreads) {
      const int c = i % kGroup;
      const int voxel = i / kGroup;
      const bool is_there = voxel < voxels && first_channel + c < channels;
      inputs[c * kPitch + voxel] =
          is_there
              ? to_float(x[(item * tokens + first_voxel + voxel) * channels + first_channel + c])
              : 0.0f;
    }
    for (int i = thread; i < kGroup * kVoxels; i += kThreads) {
      const int k = i / kVoxels;
      const int voxel = i % kVoxels;
      const bool is_there = voxel < voxels && first_class + k < classes;
      gradients[k * kPitch + voxel] =
          is_there ? to_float(dy[(item * classes + first_class + k) * tokens + first_voxel + voxel])
                   : 0.0f;
    }
    __syncthreads();
#pragma unroll 2
    for (int i = 0; i < kVoxels / kSlices / 4; i++) {
      const int quad = slice * (kVoxels / kSlices / 4) + i;
      const float4 x0 = input_quads[my_channel * (kPitch / 4) + quad];
      const float4 x1 = input_quads[(my_channel + kHalf) * (kPitch / 4) + quad];
      const float4 dy0 = gradient_quads[my_class * (kPitch / 4) + quad];
      const float4 dy1 = gradient_quads[(my_class + kHalf) * (kPitch / 4) + quad];
      sums[0][0] += dy0.x * x0.x + dy0.y * x0.y + dy0.z * x0.z + dy0.w * x0.w;
      sums[0][1] += dy0.x * x1.x + dy0.y * x1.y + dy0.z * x1.z + dy0.w * x1.w;
      sums[1][0] += dy1.x * x0.x + dy1.y * x0.y + dy1.z * x0.z + dy1.w * x0.w;
      sums[1][1] += dy1.x * x1.x + dy1.y * x1.y + dy1.z * x1.z + dy1.w * x1.w;
    }
    float sum = 0.0f;
    for (int voxel = thread % kGroup; voxel < kVoxels; voxel += kGroup) {
      sum += gradients[thread / kGroup * kPitch + voxel];
    }
    bias_sum += sum;
    __syncthreads();
  }

#pragma unroll
  for (int i = 0; i < 2; i++) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
      slices[slice][(my_class + i * kHalf) * kGroup + my_channel + j * kHalf] = sums[i][j];
    }
  }
  bias_sums[thread / kGroup][thread % kGroup] = bias_sum;
  __syncthreads();

  partials += blockIdx.x * partial_stride;
  const int k = first_class + thread / kGroup;
  const int c = first_channel + thread % kGroup;
  if (k < classes && c < channels) {
    float total = 0.0f;
    for (int s = 0; s < kSlices; s++) total += slices[s][thread];
    partials[static_cast<long long>(k) * channels + c] = total;
  }
  if (blockIdx.z == 0 && thread < kGroup && first_class + thread < classes) {
    float total = 0.0f;
    for (int i = 0; i < kGroup; i++) total += bias_sums[thread][i];
    partials[static_cast<long long>(classes) * channels + first_class + thread] = total;
  }
}

}  // namespace

#define HEAD_LABELS(suffix, X)                                                                   \
  ENTRY_BLOCKS(head_labels_##suffix, 128, 5, const X* x, const float* weight, const float* bias, \
               unsigned char* labels, int tokens, int channels, int classes) {                   \
    head_forward<kLabels>(x, weight, bias, labels, tokens, channels, classes);                   \
  }

#define HEAD(x_suffix, y_suffix, X, Y)                                                         \
  ENTRY_BLOCKS(head_logits_##x_suffix##_##y_suffix, 128, 5, const X* x, const float* weight,   \
               const float* bias, Y* y, int tokens, int channels, int classes) {               \
    head_forward<kLogits>(x, weight, bias, y, tokens, channels, classes);                      \
  }                                                                                            \
  ENTRY_BLOCKS(head_probabilities_##x_suffix##_##y_suffix, 128, 5, const X* x,                 \
               const float* weight, const float* bias, Y* y, int tokens, int channels,         \
               int classes) {                                                                  \
    head_forward<kProbabilities>(x, weight, bias, y, tokens, channels, classes);               \
  }                                                                                            \
  ENTRY_BLOCKS(head_backward_data_##x_suffix##_##y_suffix, 128, 5, const Y* dy,                \
               const float* weight, X* dx, int tokens, int channels, int classes) {            \
    head_backward_data(dy, weight, dx, tokens, channels, classes);                             \
  }                                                                                            \
  ENTRY_BLOCKS(head_backward_weights_##x_suffix##_##y_suffix, 256, 2, const X* x, const Y* dy, \
               float* partials, long long partial_stride, int batch, int tokens, int channels, \
               int classes, int tiles_per_split) {                                             \
    head_backward_weights(x, dy, partials, partial_stride, batch, tokens, channels, classes,   \
                          tiles_per_split);                                                    \
  }

HEAD_LABELS(f32, float)
HEAD_LABELS(bf16, bfloat16)
HEAD(f32, f32, float, float)
HEAD(bf16, bf16, bfloat16, bfloat16)
HEAD(bf16, f32, bfloat16, float)
