// Dropout of values and of whole channels (Srivastava et al. 2014), its own gradient.
//
//   values     y[i] = m(first + i) x[i]
//   channels   y[b,t,c] = m(b C + c) x[b,t,c]
//   m(i) = 0 where 16 random bits of value i are below threshold, else scale
//
// The random bits are a function of seed, step, layer and i: those of
// org.unetrpp.backend.DropoutMask, bit for bit.
//
// Shapes   x, y (count) or (B, tokens, C) of T; y may be x.
// Launch   values: one thread for the eight values of a block of random bits: grid =
//          ceil(blocks / 256), block = 256, where block 0 may begin before the first value.
//          channels: grid = (tiles of channels, chunks of tokens, B), block = 256, as in rows.cuh.
// Traffic  2 * count * sizeof(T) bytes.
// Numerics one product in float for every T.
// Launcher org.unetrpp.backend.cuda.DropoutKernels
#include "elements.cuh"
#include "philox.cuh"

namespace {

template <typename T>
__device__ __forceinline__ void dropout(const T* x, T* y, const Mask& mask, long long first,
                                        long long count) {
  const long long block = first / kMaskBlock + thread_in_grid();
  const long long begin = block * kMaskBlock - first;  // below 0 where others have the first values
  if (begin >= count) return;
  const uint4 bits = mask.bits(block);
#pragma unroll
  for (int part = 0; part < kMaskBlock; part += kPack) {
    const long long at = begin + part;
    if (at >= 0) {
      float values[kPack];
      load_run(x + at, count - at, values);
#pragma unroll
      for (int v = 0; v < kPack; v++) values[v] *= mask.factor(bits, part + v);
      store_run(y + at, count - at, values);
    } else {
#pragma unroll
      for (int v = 0; v < kPack; v++) {
        if (at + v < 0 || at + v >= count) continue;
        y[at + v] = from_float<T>(to_float(x[at + v]) * mask.factor(bits, part + v));
      }
    }
  }
}

template <typename T, int V>
__device__ __forceinline__ void channel_dropout(const T* x, T* y, const Mask& mask,
                                                long long tokens, int chunk, int channels) {
  static_assert(kMaskBlock % V == 0, "neighboring channels share their random bits");
  const RowWalk<V> walk(tokens, chunk, channels);
  if (!walk.works) return;
  const long long item = blockIdx.z;
  const long long index = item * channels + walk.channel;
  const uint4 bits = mask.bits(index / kMaskBlock);
  const int in_block = static_cast<int>(index % kMaskBlock);
  float factors[V];
#pragma unroll
  for (int v = 0; v < V; v++) factors[v] = mask.factor(bits, in_block + v);
  const long long step = static_cast<long long>(walk.lanes) * channels;
  long long at = item * tokens * channels + walk.start(channels);
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += kRowsAtOnce * walk.lanes) {
    float values[kRowsAtOnce][V];
#pragma unroll
    for (int u = 0; u < kRowsAtOnce; u++) {
      if (row + u * walk.lanes < walk.rows) load_pack(x + at + u * step, values[u]);
    }
#pragma unroll
    for (int u = 0; u < kRowsAtOnce; u++) {
      if (row + u * walk.lanes >= walk.rows) continue;
#pragma unroll
      for (int v = 0; v < V; v++) values[u][v] *= factors[v];
      store_pack(y + at + u * step, values[u]);
    }
    at += kRowsAtOnce * step;
  }
}

}  // namespace

#define DROPOUT(suffix, T)                                                                       \
  ENTRY(dropout_##suffix, 256, const T* x, T* y, long long seed, long long step, int layer,      \
        int threshold, float scale, long long first, long long count) {                          \
    const Mask mask = {static_cast<unsigned long long>(seed),                                    \
                       static_cast<unsigned long long>(step), static_cast<unsigned>(layer),      \
                       static_cast<unsigned>(threshold), scale};                                 \
    dropout<T>(x, y, mask, first, count);                                                        \
  }                                                                                              \
  ENTRY(channel_dropout_##suffix, kRowThreads, const T* x, T* y, long long seed, long long step, \
        int layer, int threshold, float scale, long long tokens, int chunk, int channels,        \
        int packed) {                                                                            \
    const Mask mask = {static_cast<unsigned long long>(seed),                                    \
                       static_cast<unsigned long long>(step), static_cast<unsigned>(layer),      \
                       static_cast<unsigned>(threshold), scale};                                 \
    if (packed) {                                                                                \
      channel_dropout<T, kPack>(x, y, mask, tokens, chunk, channels);                            \
    } else {                                                                                     \
      channel_dropout<T, 1>(x, y, mask, tokens, chunk, channels);                                \
    }                                                                                            \
  }

DROPOUT(f32, float)
DROPOUT(bf16, bfloat16)
