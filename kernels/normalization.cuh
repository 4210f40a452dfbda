// What normalizations over voxels share: moments that can be merged, the pass that applies them.
#pragma once

#include "rows.cuh"

/// Of count values their mean and the sum of their squared distances from it. Merged by the formula
/// of Chan, Golub and LeVeque (1979), which does not cancel.
struct Moments {
  float count, mean, squares;

  __device__ __forceinline__ void add(const Moments& other) {
    if (other.count == 0.0f) return;
    const float total = count + other.count;
    const float weight = other.count / total;
    const float delta = other.mean - mean;
    squares += other.squares + delta * delta * (count * weight);
    mean += delta * weight;
    count = total;
  }
};

/// Merges the moments of the 32 lanes; lane 0 gets them. All lanes must call it.
__device__ __forceinline__ Moments warp_merge(Moments moments) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    const Moments other = {__shfl_xor_sync(kAllLanes, moments.count, offset),
                           __shfl_xor_sync(kAllLanes, moments.mean, offset),
                           __shfl_xor_sync(kAllLanes, moments.squares, offset)};
    moments.add(other);
  }
  return moments;
}

/// Rows of one chunk of those that a matrix is cut into.
__device__ __forceinline__ float rows_of_chunk(int index, long long rows, int chunk) {
  const long long first = static_cast<long long>(index) * chunk;
  return static_cast<float>(min(static_cast<long long>(chunk), rows - first));
}

/// (x - mean) * scale of V channels.
template <int V>
struct Scaling {
  float mean[V], scale[V];

  /// That of (mean, scale) pairs, or what leaves values exactly as they are.
  __device__ __forceinline__ static Scaling of(const float2* coefficients) {
    Scaling scaling;
#pragma unroll
    for (int v = 0; v < V; v++) {
      const float2 own = coefficients == nullptr ? make_float2(0.0f, 1.0f) : coefficients[v];
      scaling.mean[v] = own.x;
      scaling.scale[v] = own.y;
    }
    return scaling;
  }

  __device__ __forceinline__ float apply(float x, int v) const { return (x - mean[v]) * scale[v]; }
};

/// normalize_rows for U rows at once, with or without residual.
template <int U, bool kResidual, typename T, int V>
__device__ __forceinline__ void normalize_rows_at_once(const T* x, const Scaling<V>& scaling,
                                                       const float (&shift)[V], const T* residual,
                                                       const Scaling<V>& scaling_of_residual, T* y,
                                                       float slope, int channels,
                                                       const RowWalk<V>& walk) {
  const long long step = static_cast<long long>(walk.lanes) * channels;
  long long at = walk.start(channels);
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += U * walk.lanes) {
    float values[U][V], others[U][V];
#pragma unroll
    for (int u = 0; u < U; u++) {
      if (row + u * walk.lanes >= walk.rows) continue;
      load_pack(x + at + u * step, values[u]);
      if (kResidual) load_pack(residual + at + u * step, others[u]);
    }
#pragma unroll
    for (int u = 0; u < U; u++) {
      if (row + u * walk.lanes >= walk.rows) continue;
#pragma unroll
      for (int v = 0; v < V; v++) {
        float value = scaling.apply(values[u][v], v) + shift[v];
        if (kResidual) value += scaling_of_residual.apply(others[u][v], v);
        values[u][v] = value > 0.0f ? value : slope * value;
      }
      store_pack(y + at + u * step, values[u]);
    }
    at += U * step;
  }
}

/// y = leaky_relu(scaled x + shift + scaled residual) for the rows of a walk; a slope of 1 is no
/// activation. y may be x or residual, which may be none.
template <typename T, int V>
__device__ __forceinline__ void normalize_rows(const T* x, const Scaling<V>& scaling,
                                               const float (&shift)[V], const T* residual,
                                               const Scaling<V>& scaling_of_residual, T* y,
                                               float slope, int channels, const RowWalk<V>& walk) {
  if (residual == nullptr) {
    normalize_rows_at_once<kRowsAtOnce, false>(x, scaling, shift, residual, scaling_of_residual, y,
                                               slope, channels, walk);
  } else {
    normalize_rows_at_once<kPairsAtOnce, true>(x, scaling, shift, residual, scaling_of_residual, y,
                                               slope, channels, walk);
  }
}
