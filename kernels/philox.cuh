// The random bits of org.unetrpp.backend.DropoutMask: Philox4x32-10 (Salmon et al. 2011).
#pragma once

#include "common.cuh"

constexpr int kMaskBlock = 8;  // values that 128 random bits decide on, 16 bits each

/// Which values a dropout leaves out.
struct Mask {
  unsigned long long seed;
  unsigned long long step;
  unsigned layer;
  unsigned threshold;  // of 65536: values with lower bits are left out
  float scale;         // of the others

  /// The bits of values 8 number to 8 number + 7, the lowest of the first word first.
  __device__ __forceinline__ uint4 bits(unsigned long long number) const {
    unsigned x0 = static_cast<unsigned>(number);
    unsigned x1 = static_cast<unsigned>(number >> 32) ^ static_cast<unsigned>(step >> 32);
    unsigned x2 = layer;
    unsigned x3 = static_cast<unsigned>(step);
    unsigned key0 = static_cast<unsigned>(seed);
    unsigned key1 = static_cast<unsigned>(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
      const unsigned low0 = 0xD2511F53u * x0;
      const unsigned high0 = __umulhi(0xD2511F53u, x0);
      const unsigned low1 = 0xCD9E8D57u * x2;
      const unsigned high1 = __umulhi(0xCD9E8D57u, x2);
      x0 = high1 ^ x1 ^ key0;
      x1 = low1;
      x2 = high0 ^ x3 ^ key1;
      x3 = low0;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    return make_uint4(x0, x1, x2, x3);
  }

  /// What value which, 0 to 7, of a block is multiplied with: 0 or scale.
  __device__ __forceinline__ float factor(const uint4& bits, int which) const {
    const unsigned word = which < 4 ? (which < 2 ? bits.x : bits.y) : (which < 6 ? bits.z : bits.w);
    const unsigned half = which % 2 == 0 ? word & 0xffffu : word >> 16;
    return half < threshold ? 0.0f : scale;
  }
};
