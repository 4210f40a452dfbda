// The token side of paired attention for C = 32, 4 heads, 64 projected tokens.
//
//   X = LayerNorm(x + pos); P_h = softmax(X M_h); S_h = P_h Vp_h^T; S is read again as rows of C
//   out = x + pos + [S Wo^T + bo | X Mca^T + bca]
//
// Shapes   x, out (B, N, 32) of float; pos (N, 32), M (B, 256, 32), Vp (B, 4, 8, 64),
//          Mca (B, 16, 32), Wo (16, 32) of bfloat16; lnw, lnb (32), bca, bo (16) of float;
//          N a multiple of 256 and of 32. Layer scale is in Mca, Wo and the biases.
// Launch   grid = (N / 256, B), block = 256, 65,024 bytes of dynamic shared memory.
// Numerics operands bfloat16, accumulation and softmax in float.
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
__device__ __forceinline__ uint32_t pk(float a, float b) {
  __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
  return *(uint32_t*)&v;
}
#define T 256
#define C 32
extern "C" __global__ __launch_bounds__(256) void epa_out32(
    const float* __restrict__ x, const bf* __restrict__ pos, const float* __restrict__ lnw,
    const float* __restrict__ lnb, const bf* __restrict__ M, const bf* __restrict__ Vp,
    const bf* __restrict__ Mca, const float* __restrict__ bca, const bf* __restrict__ Wo,
    const float* __restrict__ bo, float* __restrict__ out, int N) {
  extern __shared__ __align__(16) unsigned char sm[];  // 65,024 B
  bf(*sX)[C + 8] = (bf(*)[C + 8]) sm, (*sM)[C + 8] = sX + T, (*sC)[C + 8] = sM + 256,
              (*sO)[C + 8] = sC + 16;
  bf(*sV)[8][72] = (bf(*)[8][72])(sO + 16);
  bf(*sS)[T + 8] = (bf(*)[T + 8])(sV + 4);
  const int t = threadIdx.x, lane = t & 31, wp = t >> 5, g = lane >> 2, q = lane & 3;
  const int b = blockIdx.y, n0 = blockIdx.x * T;
  const size_t base = (size_t)b * N * C;
  {  // LN: one token per thread
    const float4* xp = (const float4*)(x + base + (size_t)(n0 + t) * C);
    const uint4* pp = (const uint4*)(pos + (size_t)(n0 + t) * C);
    float v[C];
    float s = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float4 a = xp[i];
      v[4 * i] = a.x;
      v[4 * i + 1] = a.y;
      v[4 * i + 2] = a.z;
      v[4 * i + 3] = a.w;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      uint4 u = pp[i];
      const __nv_bfloat162* e = (const __nv_bfloat162*)&u;
#pragma unroll
      for (int k = 0; k < 4; k++) {
        float2 f = __bfloat1622float2(e[k]);
        v[8 * i + 2 * k] += f.x;
        v[8 * i + 2 * k + 1] += f.y;
      }
    }
#pragma unroll
    for (int i = 0; i < C; i++) s += v[i];
    float m = s * (1.f / C), r = 0;
#pragma unroll
    for (int i = 0; i < C; i++) {
      float d = v[i] - m;
      r += d * d;
    }
    r = rsqrtf(r * (1.f / C) + 1e-5f);
#pragma unroll
    for (int i = 0; i < C; i += 2)
      *(uint32_t*)&sX[t][i] =
          pk((v[i] - m) * r * lnw[i] + lnb[i], (v[i + 1] - m) * r * lnw[i + 1] + lnb[i + 1]);
  }
  for (int i = t; i < 256 * C / 8; i += 256) {
    int r = i / 4, c = (i & 3) * 8;
    *(uint4*)&sM[r][c] = *(const uint4*)(M + ((size_t)b * 256 + r) * C + c);
  }
  for (int i = t; i < 4 * 8 * 64 / 8; i += 256) {
    int r = i >> 3, c = (i & 7) * 8;
    *(uint4*)&sV[r >> 3][r & 7][c] = *(const uint4*)(Vp + ((size_t)b * 32 + r) * 64 + c);
  }
  if (t < 64) {
    int r = t >> 2, c = (t & 3) * 8;
    *(uint4*)&sC[r][c] = *(const uint4*)(Mca + ((size_t)b * 16 + r) * C + c);
    *(uint4*)&sO[r][c] = *(const uint4*)(Wo + r * C + c);
  }
  __syncthreads();
#pragma unroll 1
  for (int mt = 0; mt < 2; mt++) {
    const int r0 = wp * 32 + mt * 16;
    uint32_t a[2][4];
#pragma unroll
    for (int k = 0; k < 2; k++) {
      a[k][0] = *(uint32_t*)&sX[r0 + g][k * 16 + q * 2];
      a[k][1] = *(uint32_t*)&sX[r0 + g + 8][k * 16 + q * 2];
      a[k][2] = *(uint32_t*)&sX[r0 + g][k * 16 + 8 + q * 2];
      a[k][3] = *(uint32_t*)&sX[r0 + g + 8][k * 16 + 8 + q * 2];
    }
#pragma unroll 1
    for (int h = 0; h < 4; h++) {
      float L[8][4];
#pragma unroll
      for (int j = 0; j < 8; j++) {
        L[j][0] = L[j][1] = L[j][2] = L[j][3] = 0.f;
        const bf* mp = &sM[h * 64 + j * 8 + g][0];
        mma(L[j], a[0], *(uint32_t*)(mp + q * 2), *(uint32_t*)(mp + 8 + q * 2));
        mma(L[j], a[1], *(uint32_t*)(mp + 16 + q * 2), *(uint32_t*)(mp + 24 + q * 2));
      }
      float m0 = -1e30f, m1 = -1e30f;
#pragma unroll
      for (int j = 0; j < 8; j++) {
        m0 = fmaxf(m0, fmaxf(L[j][0], L[j][1]));
        m1 = fmaxf(m1, fmaxf(L[j][2], L[j][3]));
      }
      m0 = fmaxf(m0, __shfl_xor_sync(~0u, m0, 1));
      m0 = fmaxf(m0, __shfl_xor_sync(~0u, m0, 2));
      m1 = fmaxf(m1, __shfl_xor_sync(~0u, m1, 1));
      m1 = fmaxf(m1, __shfl_xor_sync(~0u, m1, 2));
      float s0 = 0, s1 = 0;
#pragma unroll
      for (int j = 0; j < 8; j++) {
        L[j][0] = __expf(L[j][0] - m0);
        L[j][1] = __expf(L[j][1] - m0);
        L[j][2] = __expf(L[j][2] - m1);
        L[j][3] = __expf(L[j][3] - m1);
        s0 += L[j][0] + L[j][1];
        s1 += L[j][2] + L[j][3];
      }
      s0 += __shfl_xor_sync(~0u, s0, 1);
      s0 += __shfl_xor_sync(~0u, s0, 2);
      s1 += __shfl_xor_sync(~0u, s1, 1);
      s1 += __shfl_xor_sync(~0u, s1, 2);
      s0 = 1.f / s0;
      s1 = 1.f / s1;
      float o[4] = {0, 0, 0, 0};
#pragma unroll
      for (int k = 0; k < 4; k++) {
        uint32_t pa[4] = {pk(L[2 * k][0] * s0, L[2 * k][1] * s0),
                          pk(L[2 * k][2] * s1, L[2 * k][3] * s1),
                          pk(L[2 * k + 1][0] * s0, L[2 * k + 1][1] * s0),
                          pk(L[2 * k + 1][2] * s1, L[2 * k + 1][3] * s1)};
        const bf* vp = &sV[h][g][k * 16];
        mma(o, pa, *(uint32_t*)(vp + q * 2), *(uint32_t*)(vp + 8 + q * 2));
      }
      // channel j = dd*4 + h, dd = q*2, q*2+1 ; transposed store
      sS[(q * 2) * 4 + h][r0 + g] = __float2bfloat16(o[0]);
      sS[(q * 2 + 1) * 4 + h][r0 + g] = __float2bfloat16(o[1]);
      sS[(q * 2) * 4 + h][r0 + g + 8] = __float2bfloat16(o[2]);
      sS[(q * 2 + 1) * 4 + h][r0 + g + 8] = __float2bfloat16(o[3]);
    }
// channel attention half: 16 outputs
#pragma unroll
    for (int j = 0; j < 2; j++) {
      float c[4] = {0, 0, 0, 0};
      const bf* mp = &sC[j * 8 + g][0];
      mma(c, a[0], *(uint32_t*)(mp + q * 2), *(uint32_t*)(mp + 8 + q * 2));
      mma(c, a[1], *(uint32_t*)(mp + 16 + q * 2), *(uint32_t*)(mp + 24 + q * 2));
#pragma unroll
      for (int e = 0; e < 2; e++) {
        int row = n0 + r0 + g + 8 * e, col = 16 + j * 8 + q * 2;
        size_t ix = base + (size_t)row * C + col;
        float2 xr = *(const float2*)(x + ix);
        float2 pr = __bfloat1622float2(*(const __nv_bfloat162*)(pos + (size_t)row * C + col));
        *(float2*)(out + ix) = make_float2(xr.x + pr.x + c[2 * e] + bca[j * 8 + q * 2],
                                           xr.y + pr.y + c[2 * e + 1] + bca[j * 8 + q * 2 + 1]);
      }
    }
  }
  __syncthreads();
  // spatial half: rows R = j*(N/C) + n0/C + r, r<8 ; warp w handles chunk r = w : A = sS[j][r*32 ..
  // +31] (32 channels x 32 tokens)
  {
    const int r = wp;
#pragma unroll
    for (int mt = 0; mt < 2; mt++) {
      uint32_t a[2][4];
#pragma unroll
      for (int k = 0; k < 2; k++) {
        const bf *p0 = &sS[mt * 16 + g][r * 32 + k * 16],
                 *p1 = &sS[mt * 16 + g + 8][r * 32 + k * 16];
        a[k][0] = *(uint32_t*)(p0 + q * 2);
        a[k][1] = *(uint32_t*)(p1 + q * 2);
        a[k][2] = *(uint32_t*)(p0 + 8 + q * 2);
        a[k][3] = *(uint32_t*)(p1 + 8 + q * 2);
      }
#pragma unroll
      for (int j = 0; j < 2; j++) {
        float c[4] = {0, 0, 0, 0};
        const bf* mp = &sO[j * 8 + g][0];
        mma(c, a[0], *(uint32_t*)(mp + q * 2), *(uint32_t*)(mp + 8 + q * 2));
        mma(c, a[1], *(uint32_t*)(mp + 16 + q * 2), *(uint32_t*)(mp + 24 + q * 2));
#pragma unroll
        for (int e = 0; e < 2; e++) {
          int row = (mt * 16 + g + 8 * e) * (N / C) + n0 / C + r, col = j * 8 + q * 2;
          size_t ix = base + (size_t)row * C + col;
          float2 xr = *(const float2*)(x + ix);
          float2 pr = __bfloat1622float2(*(const __nv_bfloat162*)(pos + (size_t)row * C + col));
          *(float2*)(out + ix) = make_float2(xr.x + pr.x + c[2 * e] + bo[j * 8 + q * 2],
                                             xr.y + pr.y + c[2 * e + 1] + bo[j * 8 + q * 2 + 1]);
        }
      }
    }
  }
}
