// A 3x3x3 convolution from 16 to 16 channels: normalization before it, statistics after it.
//
//   y = W * leaky(x * scale[b,c] + shift[b,c]), zero padding after the normalization
//   part[block,c] = sum and sum of squares over the block's voxels of the rounded y
//
// Shapes   x, y (B, D, H, W, 16) of bfloat16; wf 27 taps x 32 lanes x 4 packed A fragments;
//          ss (B, 16) of (scale, shift); D a multiple of seg, H of 16, W of 32.
// Launch   grid = (W / 32, H / 16, B * D / seg), block = 256, two planes of 19,584 bytes.
// Numerics operands bfloat16, accumulation in float.
//
// The weights of tap i = (kd * 3 + kh) * 3 + kw: register r of lane 4 g + q holds W[cout][cin] and
// W[cout][cin + 1], cout = g + 8 (r & 1), cin = 2 q + 8 (r >> 1). prototypes.py packs and checks.
#include <cuda_bf16.h>
#include <stdint.h>
typedef __nv_bfloat16 bf;
__device__ __forceinline__ void mma(float* c, const uint32_t* a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void ldsm4(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d,
                                      uint32_t s) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];\n"
               : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
               : "r"(s));
}
__device__ __forceinline__ void cpa(uint32_t s, const void* g, int n) {
  asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;\n" ::"r"(s), "l"(g), "r"(n));
}
#define TH 16
#define TW 32
#define PH (TH + 2)
#define PW (TW + 2)
#define PLANE (PH * PW * 32)
#define NCH (PH * PW * 2)
__device__ __forceinline__ uint32_t sw(int v, int half) {
  return (uint32_t)(v * 2 + (half ^ ((v >> 2) & 1))) * 16;
}
extern "C" __global__ __launch_bounds__(256, 1) void conv3_c16(
    const bf* __restrict__ x, const uint4* __restrict__ wf, const float2* __restrict__ ss,
    bf* __restrict__ y, float2* __restrict__ part, int D, int H, int W, int seg, float slope) {
  extern __shared__ __align__(128) unsigned char sm[];
  const int t = threadIdx.x, lane = t & 31, wp = t >> 5;
  const int w0 = blockIdx.x * TW, h0 = blockIdx.y * TH;
  const int nseg = D / seg;
  const int b = blockIdx.z / nseg, d0 = (blockIdx.z % nseg) * seg;
  const size_t HW = (size_t)H * W;
  const bf* xb = x + (size_t)b * D * HW * 16;
  bf* yb = y + (size_t)b * D * HW * 16;
  uint32_t a[27][4];
#pragma unroll
  for (int i = 0; i < 27; i++) {
    uint4 v = wf[i * 32 + lane];
    a[i][0] = v.x;
    a[i][1] = v.y;
    a[i][2] = v.z;
    a[i][3] = v.w;
  }
  float acc[3][8][4];
#pragma unroll
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 8; j++)
      for (int k = 0; k < 4; k++) acc[i][j][k] = 0.f;
  const uint32_t sb = (uint32_t)__cvta_generic_to_shared(sm);
  float s1[2] = {0, 0}, s2[2] = {0, 0};
  auto load = [&](int d, int buf) {
    for (int i = t; i < NCH; i += 256) {
      int v = i >> 1, hf = i & 1;
      int r = v / PW, c = v - r * PW;
      int h = h0 + r - 1, w = w0 + c - 1;
      bool ok = (unsigned)d < (unsigned)D && (unsigned)h < (unsigned)H && (unsigned)w < (unsigned)W;
      const bf* g = ok ? xb + ((size_t)d * HW + (size_t)h * W + w) * 16 + hf * 8 : xb;
      cpa(sb + buf * PLANE + sw(v, hf), g, ok ? 16 : 0);
    }
    asm volatile("cp.async.commit_group;\n");
  };
  auto xform = [&](int d,
                   int buf) {  // scale/shift + leaky relu in place on own chunks; padding stays 0
    for (int i = t; i < NCH; i += 256) {
      int v = i >> 1, hf = i & 1;
      int r = v / PW, c = v - r * PW;
      int h = h0 + r - 1, w = w0 + c - 1;
      bool ok = (unsigned)d < (unsigned)D && (unsigned)h < (unsigned)H && (unsigned)w < (unsigned)W;
      if (ok) {
        uint4* p = (uint4*)(sm + buf * PLANE + sw(v, hf));
        uint4 q = *p;
        __nv_bfloat162* e = (__nv_bfloat162*)&q;
#pragma unroll
        for (int k = 0; k < 4; k++) {
          float2 f = __bfloat1622float2(e[k]);
          float2 u = __ldg(ss + b * 16 + hf * 8 + 2 * k),
                 z = __ldg(ss + b * 16 + hf * 8 + 2 * k + 1);
          f.x = f.x * u.x + u.y;
          f.y = f.y * z.x + z.y;
          f.x = fmaxf(f.x, slope * f.x);
          f.y = fmaxf(f.y, slope * f.y);
          e[k] = __float22bfloat162_rn(f);
        }
        *p = q;
      }
    }
  };
  load(d0 - 1, 0);
  for (int z = 0; z < seg + 2; z++) {
    const int buf = z & 1;
    if (z + 1 < seg + 2) {
      load(d0 + z, buf ^ 1);
      asm volatile("cp.async.wait_group 1;\n");
    } else
      asm volatile("cp.async.wait_group 0;\n");
    xform(d0 + z - 1, buf);
    __syncthreads();
// input plane zi=d0+z-1 feeds outputs zi+1 (kd=0)->acc[2], zi (kd=1)->acc[1], zi-1 (kd=2)->acc[0]
#pragma unroll
    for (int r = 0; r < 4; r++) {  // input rows of this warp
#pragma unroll
      for (int kw = 0; kw < 3; kw++) {
#pragma unroll
        for (int tp = 0; tp < 2; tp++) {  // pairs of n8 tiles
          uint32_t b0, b1, b2, b3;
          int v = (wp * 2 + r) * PW + tp * 16 + kw + (lane & 7) + ((lane >> 4) << 3);
          ldsm4(b0, b1, b2, b3, sb + buf * PLANE + sw(v, (lane >> 3) & 1));
#pragma unroll
          for (int o = 0; o < 2; o++) {
            const int kh = r - o;
            if (kh >= 0 && kh < 3) {
#pragma unroll
              for (int kd = 0; kd < 3; kd++) {
                mma(acc[2 - kd][o * 4 + tp * 2], a[(kd * 3 + kh) * 3 + kw], b0, b1);
                mma(acc[2 - kd][o * 4 + tp * 2 + 1], a[(kd * 3 + kh) * 3 + kw], b2, b3);
              }
            }
          }
        }
      }
    }
    if (z >= 2) {
      const int d = d0 + z - 2;
#pragma unroll
      for (int j = 0; j < 8; j++) {
        int o = j >> 2, tl = j & 3;
        int h = h0 + wp * 2 + o;
        int w = w0 + tl * 8 + (lane & 3) * 2;
        int c = lane >> 2;
        bf r0 = __float2bfloat16(acc[0][j][0]), r1 = __float2bfloat16(acc[0][j][1]),
           r2 = __float2bfloat16(acc[0][j][2]), r3 = __float2bfloat16(acc[0][j][3]);
        float f0 = __bfloat162float(r0), f1 = __bfloat162float(r1), f2 = __bfloat162float(r2),
              f3 = __bfloat162float(r3);
        s1[0] += f0 + f1;
        s2[0] += f0 * f0 + f1 * f1;
        s1[1] += f2 + f3;
        s2[1] += f2 * f2 + f3 * f3;
        bf* q = yb + ((size_t)d * HW + (size_t)h * W + w) * 16;
        q[c] = r0;
        q[16 + c] = r1;
        q[8 + c] = r2;
        q[24 + c] = r3;
      }
    }
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int k = 0; k < 4; k++) {
        acc[0][j][k] = acc[1][j][k];
        acc[1][j][k] = acc[2][j][k];
        acc[2][j][k] = 0.f;
      }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
#pragma unroll
    for (int m = 1; m < 4; m <<= 1) {
      s1[i] += __shfl_xor_sync(~0u, s1[i], m);
      s2[i] += __shfl_xor_sync(~0u, s2[i], m);
    }
  }
  __shared__ float2 red[8][16];
  if ((lane & 3) == 0) {
    red[wp][lane >> 2] = make_float2(s1[0], s2[0]);
    red[wp][8 + (lane >> 2)] = make_float2(s1[1], s2[1]);
  }
  __syncthreads();
  if (t < 16) {
    float2 v = make_float2(0, 0);
    for (int i = 0; i < 8; i++) {
      v.x += red[i][t].x;
      v.y += red[i][t].y;
    }
    part[((size_t)(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x) * 16 + t] = v;
  }
}
