// What the 3x3x3 convolutions on tensor cores share: how channels lie in shared memory, and what is
// done to the sums.
#pragma once

#include "convolution.cuh"
#include "mma.cuh"

constexpr int kTaps = 27;
constexpr int kChunk = 16;  // channels of x that a product sums over
constexpr int kPair = 16;   // channels of y in two neighboring products

/// A number that a call is compiled for.
template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

/// What is done to the sums.
struct Finish {
  const float* bias;
  const bfloat16* addend;
  float slope;

  __device__ __forceinline__ float apply(float sum, float of_bias, float of_addend) const {
    const float value = sum + (of_addend + of_bias);
    return value < 0.0f ? value * slope : value;
  }
};

/// The biases of four neighboring channels; zeros where there are none.
__device__ __forceinline__ float4 biases_of(const float* bias, int column, int channels) {
  return bias == nullptr || column >= channels
             ? make_float4(0.0f, 0.0f, 0.0f, 0.0f)
             : make_float4(bias[column], bias[column + 1], bias[column + 2], bias[column + 3]);
}

/// Stores the sums of four neighboring channels, from column on, at an offset of y.
__device__ __forceinline__ void finish_four(bfloat16* y, long long at, int column,
                                            const float (&sums)[4], const Finish& finish) {
  float4 more = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if (finish.addend != nullptr) more = load_four(finish.addend + at);
  if (finish.bias != nullptr) {
    more.x += finish.bias[column];
    more.y += finish.bias[column + 1];
    more.z += finish.bias[column + 2];
    more.w += finish.bias[column + 3];
  }
  float values[4] = {sums[0] + more.x, sums[1] + more.y, sums[2] + more.z, sums[3] + more.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (values[i] < 0.0f) values[i] *= finish.slope;
  }
  store_four(y + at, values);
}

/// Place of half of a voxel's 16 channels: eight neighboring voxels, or two runs of four that lie
/// an odd multiple of four apart, meet all banks once.
__device__ __forceinline__ int quad_of(int voxel, int half) {
  return voxel * 2 + (half ^ (voxel >> 2 & 1));
}
