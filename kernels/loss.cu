// Softmax over the classes of each voxel, the sums that Dice and cross entropy are made of, and the
// gradient of a loss that is a function of these sums.
//
//   p[b,k,v] = exp(x[b,k,v]) / sum_j exp(x[b,j,v])
//   overlap[b,k] = sum_v p [k = t]      predicted[b,k] = sum_v p      target[b,k] = sum_v [k = t]
//   cross[b] = sum_v -log p[b,t,v]
//   dx[b,k,v] = p (g[k] - sum_j g[j] p[b,j,v]) + w (p - [k = t])
//   g[k] = dpredicted[b,k] + doverlap[b,k] [k = t]        w = dcross
//
// with t = t[b,v], the class of the voxel. The sums are in three steps: those of each warp of
// loss_probabilities, of all warps in loss_sums, of cross entropies on the host.
//
// Shapes   x, p, dx (B, K, voxels) of T; t (B, voxels) of T, each a number of a class, any other
//          matches none; partials (3 B K + B, warps) of float and sums (3 B K + B) of double:
//          overlap, predicted, target, cross; weights (2 B K) of float: doverlap, dpredicted.
//          p may be x, dx may be p.
// Launch   loss_probabilities, loss_gradient: four neighboring voxels per thread: grid =
//          (ceil(voxels / 1024), B), block = 256. loss_sums: grid = 3 B K + B, block = 256.
// Traffic  loss_probabilities (2 K + 1) * B * voxels * sizeof(T) bytes, the logits being read a
//          second time from L1 or L2, and 1% for the partials; loss_gradient the same.
// Numerics exponents are of differences from the largest logit; sums take unrounded probabilities:
//          in float over the 128 voxels of a warp, as a tree, in double from there on.
// Launcher org.unetrpp.backend.cuda.LossKernels
#include "elements.cuh"

namespace {

constexpr int kNoClass = -1;

/// Classes of up to kPack voxels; none of those past the first left.
template <typename T>
__device__ __forceinline__ void load_classes(const T* from, long long left, int (&classes)[kPack]) {
  float numbers[kPack];
  load_run(from, left, numbers);
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    classes[v] = v < left ? static_cast<int>(numbers[v]) : kNoClass;
  }
}

template <typename T>
__device__ __forceinline__ void loss_probabilities(const T* x, const T* target, T* p,
                                                   float* partials, long long voxels, int classes) {
  const long long first = thread_in_grid() * kPack;
  const long long left = voxels - first;  // none for the last threads, whose warps go on
  const long long item = blockIdx.y;
  const long long batch = gridDim.y;
  const T* logits = x + item * classes * voxels + first;
  T* probabilities = p + item * classes * voxels + first;
  int labels[kPack];
  load_classes(target + item * voxels + first, left, labels);

  float largest[kPack];
  float sums[kPack];
  load_run(logits, left, largest);
#pragma unroll
  for (int v = 0; v < kPack; v++) sums[v] = 1.0f;
  for (int k = 1; k < classes; k++) {
    float values[kPack];
    load_run(logits + k * voxels, left, values);
#pragma unroll
    for (int v = 0; v < kPack; v++) {
      const bool is_larger = values[v] > largest[v];
      const float ratio = expf(-fabsf(values[v] - largest[v]));
      sums[v] = is_larger ? sums[v] * ratio + 1.0f : sums[v] + ratio;
      largest[v] = is_larger ? values[v] : largest[v];
    }
  }

  const long long warps = static_cast<long long>(gridDim.x) * (blockDim.x / kWarpSize);
  const long long warp = thread_in_grid() / kWarpSize;
  const bool writes = threadIdx.x % kWarpSize == 0;
  const long long all = batch * classes;
  float cross = 0.0f;
  for (int k = 0; k < classes; k++) {
    float values[kPack];
    load_run(logits + k * voxels, left, values);
    float overlap = 0.0f;
    float predicted = 0.0f;
    float count = 0.0f;
#pragma unroll
    for (int v = 0; v < kPack; v++) {
      const float difference = values[v] - largest[v];
      values[v] = expf(difference) / sums[v];
      predicted += v < left ? values[v] : 0.0f;
      if (k != labels[v]) continue;
      overlap += values[v];
      count += 1.0f;
      cross += logf(sums[v]) - difference;
    }
    store_run(probabilities + k * voxels, left, values);
    overlap = warp_sum(overlap);
    predicted = warp_sum(predicted);
    count = warp_sum(count);
    if (writes) {
      float* row = partials + (item * classes + k) * warps + warp;
      row[0] = overlap;
      row[all * warps] = predicted;
      row[2 * all * warps] = count;
    }
  }
  cross = warp_sum(cross);
  if (writes) partials[(3 * all + item) * warps + warp] = cross;
}

template <typename T>
__device__ __forceinline__ void loss_gradient(const T* p, const T* target,
                                              const float* __restrict__ weights, T* dx,
                                              long long voxels, int classes, float cross) {
  const long long first = thread_in_grid() * kPack;
  const long long left = voxels - first;
  if (left <= 0) return;
  const long long item = blockIdx.y;
  const long long batch = gridDim.y;
  const T* probabilities = p + item * classes * voxels + first;
  T* gradients = dx + item * classes * voxels + first;
  const float* doverlap = weights + item * classes;
  const float* dpredicted = doverlap + batch * classes;
  int labels[kPack];
  load_classes(target + item * voxels + first, left, labels);

  float means[kPack] = {};
  for (int k = 0; k < classes; k++) {
    float values[kPack];
    load_run(probabilities + k * voxels, left, values);
#pragma unroll
    for (int v = 0; v < kPack; v++) {
      means[v] += (dpredicted[k] + (k == labels[v] ? doverlap[k] : 0.0f)) * values[v];
    }
  }
  for (int k = 0; k < classes; k++) {
    float values[kPack];
    load_run(probabilities + k * voxels, left, values);
#pragma unroll
    for (int v = 0; v < kPack; v++) {
      const bool is_label = k == labels[v];
      const float g = dpredicted[k] + (is_label ? doverlap[k] : 0.0f);
      values[v] = values[v] * (g - means[v]) + cross * (values[v] - (is_label ? 1.0f : 0.0f));
    }
    store_run(gradients + k * voxels, left, values);
  }
}

}  // namespace

#define LOSS(suffix, T)                                                                        \
  ENTRY_BLOCKS(loss_probabilities_##suffix, 256, 1, const T* x, const T* target, T* p,         \
               float* partials, long long voxels, int classes) {                               \
    loss_probabilities<T>(x, target, p, partials, voxels, classes);                            \
  }                                                                                            \
  ENTRY(loss_gradient_##suffix, 256, const T* p, const T* target, const float* weights, T* dx, \
        long long voxels, int classes, float cross) {                                          \
    loss_gradient<T>(p, target, weights, dx, voxels, classes, cross);                          \
  }

LOSS(f32, float)
LOSS(bf16, bfloat16)

ENTRY(loss_sums, 256, const float* partials, double* sums, long long warps) {
  __shared__ double scratch[kWarpSize + 1];
  const float* row = partials + blockIdx.x * warps;
  double sum = 0.0;
  for (long long i = threadIdx.x; i < warps; i += blockDim.x) sum += row[i];
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
