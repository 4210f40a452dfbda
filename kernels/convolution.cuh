// What the kernels of convolutions share: four values at once, counting through grids, and the
// product of two tiles in shared memory.
#pragma once

#include "common.cuh"

/// Depth, height and width.
struct Extents {
  int d, h, w;
};

/// Whether four values of T may be moved at once from or to an address, or to one that lies a
/// multiple of four values behind it.
template <typename T>
__device__ __forceinline__ bool is_aligned(const T* address) {
  return reinterpret_cast<unsigned long long>(address) % (4 * sizeof(T)) == 0;
}

__device__ __forceinline__ float4 load_four(const float* from) {
  return *reinterpret_cast<const float4*>(from);
}

/// The values of four bfloat16.
__device__ __forceinline__ float4 to_four(const uint2& bits) {
  return make_float4(__uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xffff0000u),
                     __uint_as_float(bits.y << 16), __uint_as_float(bits.y & 0xffff0000u));
}

__device__ __forceinline__ float4 load_four(const bfloat16* from) {
  return to_four(*reinterpret_cast<const uint2*>(from));
}

__device__ __forceinline__ void store_four(float* to, const float (&values)[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
}

__device__ __forceinline__ void store_four(bfloat16* to, const float (&values)[4]) {
  const unsigned a = from_float<bfloat16>(values[0]).bits;
  const unsigned b = from_float<bfloat16>(values[1]).bits;
  const unsigned c = from_float<bfloat16>(values[2]).bits;
  const unsigned d = from_float<bfloat16>(values[3]).bits;
  *reinterpret_cast<uint2*>(to) = make_uint2(a | b << 16, c | d << 16);
}

/// Stores the first count of four values; all at once where that is said to be possible.
template <typename T>
__device__ __forceinline__ void store_up_to_four(T* to, const float (&values)[4], int count,
                                                 bool at_once) {
  if (at_once && count >= 4) {
    store_four(to, values);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (i < count) to[i] = from_float<T>(values[i]);
  }
}

/// What a convolution reads instead of x: leaky_relu((x - mean) * scale), which padding is not.
struct Prologue {
  const float2* coefficients;  // (items, channels) of (mean, scale), or null for x itself
  float slope;

  __device__ __forceinline__ float apply(float value, const float2& own) const {
    const float scaled = (value - own.x) * own.y;
    return scaled > 0.0f ? scaled : slope * scaled;
  }

  /// Four neighboring channels.
  __device__ __forceinline__ float4 apply(const float4& x, const float2* own) const {
    return make_float4(apply(x.x, own[0]), apply(x.y, own[1]), apply(x.z, own[2]),
                       apply(x.w, own[3]));
  }
};

/// What a convolution makes of its sums: y = leaky_relu(sum + bias + addend).
template <typename T>
struct Epilogue {
  const float* bias;  // of each channel, or null
  const T* addend;    // as y, or null
  float slope;        // of the LeakyReLU below zero; 1 is no activation, and then exactly none

  /// Stores the first count of four neighboring channels of a voxel, from channel column on, which
  /// lie from place to on in y; all at once where that is said to be possible.
  __device__ __forceinline__ void store(T* y, long long to, int column, float (&sums)[4], int count,
                                        bool at_once) const {
    float addends[4] = {};
    if (addend != nullptr) {
      if (at_once && count >= 4 && is_aligned(addend)) {
        const float4 four = load_four(addend + to);
        addends[0] = four.x;
        addends[1] = four.y;
        addends[2] = four.z;
        addends[3] = four.w;
      } else {
#pragma unroll
        for (int j = 0; j < 4; j++) addends[j] = j < count ? to_float(addend[to + j]) : 0.0f;
      }
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (bias != nullptr && j < count) sums[j] += bias[column + j];
      sums[j] += addends[j];
      sums[j] = sums[j] > 0.0f ? sums[j] : slope * sums[j];
    }
    store_up_to_four(y + to, sums, count, at_once);
  }
};

/// Adds four values, or the first count of them, to sums.
__device__ __forceinline__ void add_up_to_four(const float* from, int count, bool at_once,
                                               float (&sums)[4]) {
  if (at_once && count >= 4) {
    const float4 four = load_four(from);
    sums[0] += four.x;
    sums[1] += four.y;
    sums[2] += four.z;
    sums[3] += four.w;
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
    if (j < count) sums[j] += from[j];
  }
}

/// A number in four digits, the last the fastest: item, depth, height and width of a voxel, or
/// depth, height, width and channel of a weight. The first digit has no limit.
struct Digits {
  int first, second, third, fourth;
};

/// The limits of the last three digits.
struct Radices {
  int second, third, fourth;
};

__device__ __forceinline__ Digits to_digits(long long number, Radices radices) {
  const long long without_fourth = number / radices.fourth;
  const long long without_third = without_fourth / radices.third;
  const long long first = without_third / radices.second;
  return {static_cast<int>(first), static_cast<int>(without_third - first * radices.second),
          static_cast<int>(without_fourth - without_third * radices.third),
          static_cast<int>(number - without_fourth * radices.fourth)};
}

/// Sum of two numbers; divisions would cost more than the carries.
__device__ __forceinline__ Digits add(Digits a, Digits b, Radices radices) {
  Digits sum = {a.first + b.first, a.second + b.second, a.third + b.third, a.fourth + b.fourth};
  if (sum.fourth >= radices.fourth) {
    sum.fourth -= radices.fourth;
    sum.third++;
  }
  if (sum.third >= radices.third) {
    sum.third -= radices.third;
    sum.second++;
  }
  if (sum.second >= radices.second) {
    sum.second -= radices.second;
    sum.first++;
  }
  return sum;
}

__device__ __forceinline__ bool is_inside(int d, int h, int w, Extents extents) {
  return static_cast<unsigned>(d) < static_cast<unsigned>(extents.d) &&
         static_cast<unsigned>(h) < static_cast<unsigned>(extents.h) &&
         static_cast<unsigned>(w) < static_cast<unsigned>(extents.w);
}

/// sums[i][j] += sum_k left[k * left_pitch + i] * right[k * right_pitch + j] for i < kRows, j < 4.
/// Both tiles lie in shared memory; left and right point to what this thread reads of them, aligned
/// to 16 bytes, as the pitches are.
template <int kRows>
__device__ __forceinline__ void multiply_tiles(const float* left, int left_pitch,
                                               const float* right, int right_pitch, int depth,
                                               float (&sums)[kRows][4]) {
#pragma unroll 4
  for (int k = 0; k < depth; k++) {
    float rows[kRows];
#pragma unroll
    for (int i = 0; i < kRows; i += 4) {
      const float4 four = load_four(left + k * left_pitch + i);
      rows[i] = four.x;
      rows[i + 1] = four.y;
      rows[i + 2] = four.z;
      rows[i + 3] = four.w;
    }
    const float4 columns = load_four(right + k * right_pitch);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      sums[i][0] += rows[i] * columns.x;
      sums[i][1] += rows[i] * columns.y;
      sums[i][2] += rows[i] * columns.z;
      sums[i][3] += rows[i] * columns.w;
    }
  }
}

/// Moves the sums of a block of terms to the totals, so that errors grow with the square root of
/// the blocks and of their length, not of all terms.
template <int kRows>
__device__ __forceinline__ void flush(float (&sums)[kRows][4], float (&totals)[kRows][4]) {
#pragma unroll
  for (int i = 0; i < kRows; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      totals[i][j] += sums[i][j];
      sums[i][j] = 0.0f;
    }
  }
}

template <int kRows>
__device__ __forceinline__ void clear(float (&sums)[kRows][4]) {
#pragma unroll
  for (int i = 0; i < kRows; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) sums[i][j] = 0.0f;
  }
}
