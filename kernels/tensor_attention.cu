// Efficient paired attention (Shaker et al. 2024, eq. 1 to 4) on tensor cores, for inference in
// bfloat16: three launches. With X = LayerNorm(x + positions), (N, C), h heads s of d channels:
//
//   sums    G = X^T X (C, C),  Y = X^T E^T (C, P),  and X^T F^T where F is another projection
//   maps    U = Wk G,  |k_c|^2 = U_c Wk_c^T,  |q_c|^2 alike
//           A_s = softmax(t1 Wq_s U_s^T / (|q| |k|))                                    (d, d)
//           Kp = Wk Y + b,  M_s = Wq_s^T (t2 Kp_s / |q|) log2(e)                        (C, P)
//           Vp = Wv Y + b                                                               (C, P)
//           V = Wout2 blockdiag(A), or blockdiag(A) where there are no output layers
//   output  S_s = softmax(X M_s) Vp_s^T                             (N, d), kept as (d, h, N)
//           y = x + positions + gamma [reread(S) Wout^T + b | (X Wc^T) V^T + b2],
//           or gamma (reread(S) + (X Wc^T) V^T) where there are no output layers
//
// reread: what lies as (d, h, N) is read as (N, C), as the published code does. Where x is what a
// convolution has made, the group normalization behind it is applied where x is read.
//
// Shapes   x, y (B, N, C) of bfloat16, aligned to 16 bytes; positions (N, C) and other parameters
//          of float. C 32, 64, 128 or 256; d 8, 16, ... 64; P up to 128. P' is 32, 64 or 128,
//          with zeros behind P. sums (B, C, width) of float, for each
//          group of runs: [G | Y | X^T F^T], width = C + P', or C + 2 P'.
//          Matrices that a lane holds 16 bytes of (pack): of a matrix b (K, n), for each 8 columns
//          n and 32 rows k in turn, the rows 2 quarter + 8 i and + 1 of column group; split: for
//          each 16 rows the values rounded to bfloat16 and then what that cut off. The columns of
//          Wout and V are exchanged so that a lane ends with four neighboring channels.
// Launch   blocks of 256 threads.
//          sums    a block normalizes a run of tokens, a tile at a time, and multiplies them for a
//                  part of the result: 32 or 64 rows, up to 256 columns, a warp every eighth 8 of
//                  them. The last block to come of each group of runs adds theirs up.
//                  grid = (runs, parts, B).
//          maps    a block adds up 32 columns of the sums of the groups and multiplies them by 64
//                  rows of a head's weights. The last to come of those that M needs makes M; the
//                  last of those that A needs makes A and V.
//                  grid = (width / 32 x ceil(2 d / 64), h, B).
//          output  Rows of reread(S) whose first values lie a multiple of h N apart are made of the
//                  same C pairs of head and token: a class, of gcd(h N, C) / h rows. A block has
//                  some of them: where C divides N, those of neighboring tokens (chunks) and of
//                  several heads; elsewhere one, or part of its rows. It normalizes the tokens of
//                  the pairs and those of its rows of y; warps make softmax and S of 16 pairs at a
//                  time, in registers, and X Wc^T; then y. grid = (classes / those of a block,
//                  parts of the rows of a class, B); or twice the parts, where some make the
//                  spatial half of y and others the channel half.
// Traffic  sums: x and positions for each part, E once; partial sums twice.
//          output: x and positions three times (from L2 but for the first), y once; maps from L2.
// Numerics X, E, M, Vp, V, the other weights, S and X Wc^T are rounded to bfloat16, and so is what
//          softmax adds up, before its sum is divided out. Sums in float, those of runs in order.
//          Products that make maps take values in two parts of bfloat16 and leave out the product
//          of the lower ones: a relative error of some 2^-17. Squares of norms are never below
//          zero. y is rounded once. No result depends on how the tokens of `output` are divided.
// Launcher org.unetrpp.backend.cuda.TensorAttention
#include "mma.cuh"
#include "normalization.cuh"

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kOfThread = 8;  // channels of a token that a thread normalizes
constexpr int kPadding = 8;   // between rows in shared memory: eight of them meet all banks once
constexpr float kLeastNorm = 1e-12f;
constexpr float kLogOfE = 1.44269504f;  // to the base of 2

__device__ __forceinline__ int lane_of_warp() { return threadIdx.x % kWarpSize; }

/// A matrix of bfloat16 in shared memory.
struct Tile {
  unsigned short* values;
  int stride;

  /// Where a lane finds its row of four 8 x 8 matrices, of which the second lies below the first.
  __device__ __forceinline__ const unsigned short* below(int row, int column) const {
    const int lane = lane_of_warp();
    return values + (row + lane % 16) * stride + column + lane / 16 * 8;
  }

  /// The same, where the second lies to the right of the first.
  __device__ __forceinline__ const unsigned short* beside(int row, int column) const {
    const int lane = lane_of_warp();
    return values + (row + lane / 16 * 8 + lane % 8) * stride + column + lane / 8 % 2 * 8;
  }
};

/// Two values in two parts: rounded to bfloat16, and what that cut off.
__device__ __forceinline__ void split_pair(float lower, float upper, unsigned& high,
                                           unsigned& low) {
  high = pack_pair(lower, upper);
  low = pack_pair(lower - __uint_as_float(high << 16), upper - __uint_as_float(high & 0xffff0000u));
}

/// Factors in two parts.
struct Split {
  unsigned high[4], low[4];
};

/// c += a b without the product of the lower parts; b has its parts in two registers each.
__device__ __forceinline__ void add_split(float (&c)[4], const Split& a, unsigned high0,
                                          unsigned high1, unsigned low0, unsigned low1) {
  multiply_add(c, a.high, low0, low1);
  multiply_add(c, a.low, high0, high1);
  multiply_add(c, a.high, high0, high1);
}

/// 16 rows of a split matrix from its eight and eight columns n.
__device__ __forceinline__ Split split_rows(const uint4& upper, const uint4& lower) {
  return {{upper.x, lower.x, upper.y, lower.y}, {upper.z, lower.z, upper.w, lower.w}};
}

/// Channel of a column whose place was exchanged: of 16 columns, those that a lane has of the two
/// neighboring products are four neighboring channels.
__device__ __forceinline__ int exchanged(int column) {
  return column / 16 * 16 + column % 8 / 2 * 4 + column / 8 % 2 * 2 + column % 2;
}

/// The tokens of an item, before they are normalized.
struct Tokens {
  const bfloat16* __restrict__ x;
  const float* __restrict__ positions;
  const float2* __restrict__ coefficients;  // of a normalization of x; or none
  const float* __restrict__ shift;
  const float* __restrict__ gamma;
  const float* __restrict__ beta;
  int count;
  float epsilon;

  /// x + positions of V channels.
  template <int V>
  __device__ __forceinline__ void load(int token, int channel, int channels,
                                       float (&values)[V]) const {
    const long long at = static_cast<long long>(token) * channels + channel;
    load_pack(x + at, values);
    if (coefficients != nullptr) {
      const Scaling<V> scaling = Scaling<V>::of(coefficients + channel);
#pragma unroll
      for (int v = 0; v < V; v += 2) {
        const unsigned pair =
            pack_pair(scaling.apply(values[v], v) + shift[channel + v],
                      scaling.apply(values[v + 1], v + 1) + shift[channel + v + 1]);
        values[v] = __uint_as_float(pair << 16);
        values[v + 1] = __uint_as_float(pair & 0xffff0000u);
      }
    }
#pragma unroll
    for (int v = 0; v < V; v += 4) {
      float four[4];
      load_pack(positions + at + v, four);
#pragma unroll
      for (int i = 0; i < 4; i++) values[v + i] += four[i];
    }
  }
};

/// X of some tokens to the rows of a tile; zeros where there is no token (below zero).
template <int C, typename TokenOf>
__device__ __forceinline__ void normalize(const Tokens& tokens, int rows, const Tile& tile,
                                          TokenOf token_of) {
  constexpr int kLanes = C / kOfThread;
  constexpr int kRows = kThreads / kLanes;
  constexpr int kAtOnce = C < 128 ? 2 : 4;
  const int channel = threadIdx.x % kLanes * kOfThread;
  float gamma[kOfThread], beta[kOfThread];
  load_parameters(tokens.gamma + channel, 1.0f, gamma);
  load_parameters(tokens.beta + channel, 0.0f, beta);
#pragma unroll 1
  for (int first = 0; first < rows; first += kRows * kAtOnce) {
    float values[kAtOnce][kOfThread];
    bool is_there[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; u++) {
      const int row = first + u * kRows + static_cast<int>(threadIdx.x) / kLanes;
      const int token = row < rows ? token_of(row) : -1;
      is_there[u] = token >= 0;
      if (is_there[u]) {
        tokens.load(token, channel, C, values[u]);
      } else {
#pragma unroll
        for (int v = 0; v < kOfThread; v++) values[u][v] = 0.0f;
      }
    }
#pragma unroll
    for (int u = 0; u < kAtOnce; u++) {
      const int row = first + u * kRows + static_cast<int>(threadIdx.x) / kLanes;
      float sum = 0.0f;
#pragma unroll
      for (int v = 0; v < kOfThread; v++) sum += values[u][v];
      const float mean = lanes_sum(sum, kLanes) / C;
      float squares = 0.0f;
#pragma unroll
      for (int v = 0; v < kOfThread; v++) {
        values[u][v] -= mean;
        squares += values[u][v] * values[u][v];
      }
      const float rstd = rsqrtf(lanes_sum(squares, kLanes) / C + tokens.epsilon);
      if (row >= rows) continue;
      unsigned pairs[kOfThread / 2];
#pragma unroll
      for (int v = 0; v < kOfThread; v += 2) {
        const unsigned pair = pack_pair(values[u][v] * rstd * gamma[v] + beta[v],
                                        values[u][v + 1] * rstd * gamma[v + 1] + beta[v + 1]);
        pairs[v / 2] = is_there[u] ? pair : 0;
      }
      *reinterpret_cast<uint4*>(tile.values + row * tile.stride + channel) =
          make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    }
  }
}

// ---- sums ---------------------------------------------------------------------------------------

constexpr int kSumColumns = 4;  // times 8 columns of a warp, at most

/// Sums of V values of count matrices, a stride apart, in the order of those.
template <int V>
__device__ __forceinline__ void add_up(const float* from, int count, long long stride,
                                       float (&sums)[V]) {
#pragma unroll
  for (int v = 0; v < V; v++) sums[v] = 0.0f;
#pragma unroll 8
  for (int number = 0; number < count; number++) {
    float values[V];
    load_pack(from + number * stride, values);
#pragma unroll
    for (int v = 0; v < V; v++) sums[v] += values[v];
  }
}

/// A part of [G | Y]: rows first_row and on, of 8 columns each those from first to end.
struct SumPart {
  int first_row, first, end, width;
};

/// Dynamic shared memory: a tile of tokens of X, and of what of E and F the part takes.
template <int C>
__device__ void attention_sums(const Tokens& tokens, const uint4* __restrict__ keys,
                               const uint4* __restrict__ values, float* partials, float* sums,
                               unsigned* tickets, int projected, int width, int run,
                               int tile_tokens, int group, int part_columns) {
  constexpr int kTiles = C < 64 ? C / 16 : 4;  // of 16 rows
  constexpr int kRowParts = C / 16 / kTiles;
  DYNAMIC_SHARED(uint4, shared);
  const Tile tile = {reinterpret_cast<unsigned short*>(shared), C + kPadding};
  uint4* const weights = shared + tile_tokens * tile.stride / 8;
  const int lane = lane_of_warp();
  const int warp = threadIdx.x / kWarpSize;
  const int first = static_cast<int>(blockIdx.y) / kRowParts * part_columns;
  const SumPart part = {static_cast<int>(blockIdx.y) % kRowParts * kTiles * 16, first,
                        min(first + part_columns, width / 8), width};
  const int own = (part.end - part.first - warp + kWarps - 1) / kWarps;  // columns, times 8
  const int first_projected = max(part.first, C / 8);
  const int steps = tile_tokens / 32;
  const int all_steps = (tokens.count + 31) / 32;
  const int begin = blockIdx.x * run;
  const int end = min(begin + run, tokens.count);

  float totals[kSumColumns][kTiles][4] = {};
  for (int from = begin; from < end; from += tile_tokens) {
    __syncthreads();  // the tile before is summed
    for (int i = threadIdx.x; i < (part.end - first_projected) * steps * kWarpSize; i += kThreads) {
      const int column = first_projected - C / 8 + i / (steps * kWarpSize);
      const int step = from / 32 + i / kWarpSize % steps;
      const uint4* matrix = column < projected / 8 ? keys : values;
      const long long at =
          static_cast<long long>(column % (projected / 8)) * all_steps + min(step, all_steps - 1);
      copy_16_bytes(weights + i, matrix + at * kWarpSize + i % kWarpSize, step < all_steps);
    }
    end_copy_group();
    normalize<C>(tokens, tile_tokens, tile,
                 [&](int row) { return from + row < end ? from + row : -1; });
    wait_for_copies<0>();
    __syncthreads();

#pragma unroll 1
    for (int step = 0; step < steps; step++) {
      unsigned right[kSumColumns][4];
#pragma unroll
      for (int n = 0; n < kSumColumns; n++) {
        if (n >= own) continue;
        const int column = part.first + warp + n * kWarps;
        if (column < C / 8) {
          load_matrices_transposed(right[n],
                                   tile.values + (step * 32 + lane) * tile.stride + column * 8);
        } else {
          const uint4 four =
              weights[((column - first_projected) * steps + step) * kWarpSize + lane];
          right[n][0] = four.x;
          right[n][1] = four.y;
          right[n][2] = four.z;
          right[n][3] = four.w;
        }
      }
#pragma unroll
      for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int m = 0; m < kTiles; m++) {
          unsigned left[4];
          load_matrices_transposed(left,
                                   tile.beside(step * 32 + half * 16, part.first_row + m * 16));
#pragma unroll
          for (int n = 0; n < kSumColumns; n++) {
            if (n < own) {
              multiply_add(totals[n][m], left, right[n][half * 2], right[n][half * 2 + 1]);
            }
          }
        }
      }
    }
  }

  const long long size = static_cast<long long>(C) * width;
  const int runs = gridDim.x;
  const int groups = (runs + group - 1) / group;
  const int own_group = blockIdx.x / group;
  sums += (static_cast<long long>(blockIdx.z) * groups + own_group) * size;
  partials += static_cast<long long>(blockIdx.z) * runs * size;
  float* const to = group == 1 ? sums : partials + blockIdx.x * size;
#pragma unroll
  for (int n = 0; n < kSumColumns; n++) {
    if (n >= own) continue;
#pragma unroll
    for (int m = 0; m < kTiles; m++) {
      float* const at = to + static_cast<long long>(part.first_row + m * 16 + lane / 4) * width +
                        (part.first + warp + n * kWarps) * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(at) = make_float2(totals[n][m][0], totals[n][m][1]);
      *reinterpret_cast<float2*>(at + 8ll * width) = make_float2(totals[n][m][2], totals[n][m][3]);
    }
  }
  if (group == 1) return;
  const int members = min(group, runs - own_group * group);
  if (!comes_last(tickets + (blockIdx.z * gridDim.y + blockIdx.y) * groups + own_group, members)) {
    return;
  }
  partials += own_group * group * size;
  const int fours = (part.end - part.first) * 2;
  for (int i = threadIdx.x; i < kTiles * 16 * fours; i += kThreads) {
    const long long at =
        static_cast<long long>(part.first_row + i / fours) * width + part.first * 8 + i % fours * 4;
    float four[4];
    add_up(partials + at, members, size, four);
    store_pack(sums + at, four);
  }
}

// ---- maps ---------------------------------------------------------------------------------------

constexpr int kMapColumns = 32;  // of the sums that a block takes
constexpr int kMapStride = kMapColumns + kPadding;
constexpr int kRowWarps = 4;  // of a block, that take 16 rows of weights each
constexpr int kQueries = 0, kKeys = 1, kValues = 3;  // of qkvv

/// What a head's maps are made of and where they go.
struct HeadMaps {
  const float* __restrict__ qkvv;
  const uint4* __restrict__ rows;             // split, of qkvv
  const uint4* __restrict__ queries;          // split, of this head, Wq_s^T: (d, C)
  const uint4* __restrict__ channel_weights;  // split, of this head, of Wout2; or none
  const float* __restrict__ keys_bias;
  const float* __restrict__ values_bias;
  float temperature, temperature2;
  float* products;        // of each 32 columns: keys by queries (d, d), squares of norms (2, d)
  float* projected_keys;  // (d, P')
  uint4* projected_values;
  uint4* logit_maps;
  unsigned* channel_maps;  // of all heads
  int channels, d, head, projected, padded, width;

  /// Of the sums.
  __device__ __forceinline__ int column_parts() const { return width / kMapColumns; }

  __device__ __forceinline__ int product_size() const { return d * d + 2 * d; }

  /// Rows of the inner index of products over the channels of a head.
  __device__ __forceinline__ int inner() const { return max(d, 16); }
};

/// Multiplies rows of weights with 32 columns of the sums, which lie in shared memory in two parts.
/// Blocks of the same columns divide the rows.
__device__ __forceinline__ void multiply_columns(const HeadMaps& maps, const Tile& high,
                                                 const Tile& low, int part, bool two_projections) {
  const int lane = lane_of_warp();
  const int warp = threadIdx.x / kWarpSize;
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int steps = maps.channels / 16;
  const int eights = maps.d / 8;
  const int gram_parts = maps.channels / kMapColumns;
  const bool is_gram = part < gram_parts;
  const int parts_of_projection = maps.padded / kMapColumns;
  const int projected_part = is_gram ? 0 : (part - gram_parts) % parts_of_projection;
  const bool is_second = part >= gram_parts + parts_of_projection;
  const int upper = is_gram ? kQueries : is_second ? kValues : kKeys;
  const int lower = is_gram ? kKeys : kValues;
  const int count = is_gram || !two_projections ? 2 * eights : eights;  // of 8 rows
  const auto matrix_of = [&](int eight) { return eight < eights ? upper : lower; };
  const auto tile_of = [&](int eight) {
    return (matrix_of(eight) * maps.channels + maps.head * maps.d) / 8 + eight % eights;
  };
  float* const products = maps.products + part * maps.product_size();

  const int step_of_rows = static_cast<int>(gridDim.x) / maps.column_parts() * kRowWarps * 2;
  for (int first = (static_cast<int>(blockIdx.x) / maps.column_parts() * kRowWarps + warp) * 2;
       first < count && warp < kRowWarps; first += step_of_rows) {
    float sums[4][4] = {};
    const bool is_paired = first + 1 < count;
    const uint4* const rows0 = maps.rows + tile_of(first) * steps * kWarpSize + lane;
    const uint4* const rows1 =
        is_paired ? maps.rows + tile_of(first + 1) * steps * kWarpSize + lane : nullptr;
#pragma unroll 4
    for (int step = 0; step < steps; step++) {
      const Split left = split_rows(rows0[step * kWarpSize],
                                    is_paired ? rows1[step * kWarpSize] : make_uint4(0, 0, 0, 0));
#pragma unroll
      for (int two = 0; two < 2; two++) {
        unsigned above[4], rest[4];
        load_matrices_transposed(above, high.below(step * 16, two * 16));
        load_matrices_transposed(rest, low.below(step * 16, two * 16));
        add_split(sums[two * 2], left, above[0], above[1], rest[0], rest[1]);
        add_split(sums[two * 2 + 1], left, above[2], above[3], rest[2], rest[3]);
      }
    }

    for (int half = 0; half < 2 && first + half < count; half++) {
      const int eight = first + half;
      const int row = eight % eights * 8 + group;  // of the head
      const int matrix = matrix_of(eight);
      if (is_gram) {
        const float* const weights =
            maps.qkvv +
            (static_cast<long long>(matrix) * maps.channels + maps.head * maps.d + row) *
                maps.channels +
            part * kMapColumns + quarter * 2;
        float squares = 0.0f;
#pragma unroll
        for (int j = 0; j < 4; j++) {
          const float* const pair = &sums[j][0] + half * 2;
          squares += pair[0] * weights[j * 8] + pair[1] * weights[j * 8 + 1];
        }
        squares = lanes_sum(squares, 4);
        if (quarter == 0) products[maps.d * maps.d + matrix * maps.d + row] = squares;
        continue;
      }
      const float* const bias = matrix == kKeys ? maps.keys_bias : maps.values_bias;
      unsigned pairs[4];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float* const pair = &sums[j][0] + half * 2;
        const int p = projected_part * kMapColumns + j * 8 + quarter * 2;
        const float more0 = bias != nullptr && p < maps.projected ? bias[p] : 0.0f;
        const float more1 = bias != nullptr && p + 1 < maps.projected ? bias[p + 1] : 0.0f;
        if (matrix == kKeys) {
          *reinterpret_cast<float2*>(maps.projected_keys + row * maps.padded + p) =
              make_float2(pair[0] + more0, pair[1] + more1);
        } else {
          pairs[j] = pack_pair(pair[0] + more0, pair[1] + more1);
        }
      }
      if (matrix == kValues) {
        maps.projected_values[(eight % eights * parts_of_projection + projected_part) * kWarpSize +
                              lane] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      }
    }

    if (!is_gram || first + 1 < eights) continue;
    Split keys[2];  // the sums as factors of these 32 columns
#pragma unroll
    for (int two = 0; two < 2; two++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float* const pair = &sums[two * 2 + i / 2][0] + i % 2 * 2;
        split_pair(pair[0], pair[1], keys[two].high[i], keys[two].low[i]);
      }
    }
    for (int eight = 0; eight < eights; eight++) {
      float product[4] = {};
#pragma unroll
      for (int two = 0; two < 2; two++) {
        const uint4 right = maps.rows[(tile_of(eight) * steps + part * 2 + two) * kWarpSize + lane];
        add_split(product, keys[two], right.x, right.y, right.z, right.w);
      }
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int row = (first + half - eights) * 8 + group;
        if (row < 0) continue;
        *reinterpret_cast<float2*>(products + row * maps.d + eight * 8 + quarter * 2) =
            make_float2(product[half * 2], product[half * 2 + 1]);
      }
    }
  }
}

__device__ __forceinline__ float norm_of(float squares) {
  return fmaxf(sqrtf(fmaxf(squares, 0.0f)), kLeastNorm);
}

/// A value in two parts to the same place of two tiles.
__device__ __forceinline__ void store_split(const Tile& high, const Tile& low, int row, int column,
                                            float value) {
  const bfloat16 rounded = from_float<bfloat16>(value);
  high.values[row * high.stride + column] = rounded.bits;
  low.values[row * low.stride + column] = from_float<bfloat16>(value - to_float(rounded)).bits;
}

/// t2 Kp / |q| in two parts in shared memory, with zeros behind row d. Norms takes those of
/// queries.
__device__ __forceinline__ void scale_keys(const HeadMaps& maps, float* norms,
                                           const Tile& keys_high, const Tile& keys_low) {
  const int d = maps.d;
  for (int i = threadIdx.x * 4; i < d; i += kThreads * 4) {
    float four[4];
    add_up(maps.products + d * d + i, maps.channels / kMapColumns, maps.product_size(), four);
#pragma unroll
    for (int j = 0; j < 4; j++) norms[i + j] = norm_of(four[j]);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < maps.inner() * maps.padded; i += kThreads) {
    const int row = i / maps.padded;
    const float key =
        row < d ? maps.projected_keys[i] * (maps.temperature2 * kLogOfE / norms[row]) : 0.0f;
    store_split(keys_high, keys_low, row, i % maps.padded, key);
  }
  __syncthreads();
}

/// A of the head in shared memory, as it is and in two parts, these with zeros behind row d.
__device__ __forceinline__ void make_channel_map(const HeadMaps& maps, float* logits, float* norms,
                                                 const Tile& map_high, const Tile& map_low) {
  const int d = maps.d;
  for (int i = threadIdx.x * 4; i < maps.product_size(); i += kThreads * 4) {
    float four[4];
    add_up(maps.products + i, maps.channels / kMapColumns, maps.product_size(), four);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (i < d * d) {
        logits[(i % d + j) * (d + 1) + i / d] = four[j];
      } else {
        norms[i - d * d + j] = norm_of(four[j]);
      }
    }
  }
  for (int i = d * d + threadIdx.x; i < maps.inner() * d; i += kThreads) {
    store_split(map_high, map_low, i / d, i % d, 0.0f);
  }
  __syncthreads();
  for (int row = threadIdx.x / kWarpSize; row < d; row += kWarps) {
    float* const of_row = logits + row * (d + 1);
    float largest = -kLargest;
    for (int j = lane_of_warp(); j < d; j += kWarpSize) {
      of_row[j] *= maps.temperature / (norms[row] * norms[d + j]);
      largest = fmaxf(largest, of_row[j]);
    }
    largest = warp_max(largest);
    float sum = 0.0f;
    for (int j = lane_of_warp(); j < d; j += kWarpSize) {
      of_row[j] = expf(of_row[j] - largest);
      sum += of_row[j];
    }
    sum = warp_sum(sum);
    for (int j = lane_of_warp(); j < d; j += kWarpSize) {
      of_row[j] /= sum;
      store_split(map_high, map_low, row, j, of_row[j]);
    }
  }
  __syncthreads();
}

/// M of the head.
__device__ __forceinline__ void make_logit_map(const HeadMaps& maps, const Tile& keys_high,
                                               const Tile& keys_low) {
  const int lane = lane_of_warp();
  const int steps = maps.inner() / 16;
  const int fours = maps.channels / 32;  // of 8 channels
  for (int unit = threadIdx.x / kWarpSize; unit < maps.padded / 16 * fours; unit += kWarps) {
    const int first = unit / fours;  // of P', times 16
    const int four = unit % fours;
    float sums[4][4] = {};
#pragma unroll 2
    for (int step = 0; step < steps; step++) {
      Split left;
      load_matrices_transposed(left.high, keys_high.beside(step * 16, first * 16));
      load_matrices_transposed(left.low, keys_low.beside(step * 16, first * 16));
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const uint4 right = maps.queries[((four * 4 + j) * steps + step) * kWarpSize + lane];
        add_split(sums[j], left, right.x, right.y, right.z, right.w);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      unsigned pairs[4];
#pragma unroll
      for (int j = 0; j < 4; j++) pairs[j] = pack_pair(sums[j][half * 2], sums[j][half * 2 + 1]);
      maps.logit_maps[((first * 2 + half) * fours + four) * kWarpSize + lane] =
          make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    }
  }
}

/// Where a lane has the channels k and k + 1 of a head's part of V, of columns 8 eight and on.
__device__ __forceinline__ unsigned* place_of_channels(const HeadMaps& maps, int eight, int k) {
  const int channel = maps.head * maps.d + k;
  return maps.channel_maps +
         ((eight * (maps.channels / 32) + channel / 32) * kWarpSize + lane_of_warp()) * 4 +
         channel / 8 % 4;
}

/// The head's part of V.
__device__ __forceinline__ void make_channel_maps(const HeadMaps& maps, const float* map,
                                                  const Tile& map_high, const Tile& map_low) {
  const int d = maps.d;
  const int lane = lane_of_warp();
  const int warp = threadIdx.x / kWarpSize;
  if (maps.channel_weights == nullptr) {
    for (int unit = warp; unit < maps.channels / 8 * (d / 8); unit += kWarps) {
      const int row = exchanged(unit / (d / 8) * 8 + lane / 4) - maps.head * d;
      const int k = unit % (d / 8) * 8 + lane % 4 * 2;
      const bool is_own = row >= 0 && row < d;
      *place_of_channels(maps, unit / (d / 8), k) =
          is_own ? pack_pair(map[row * (d + 1) + k], map[row * (d + 1) + k + 1]) : 0;
    }
    return;
  }
  const int steps = maps.inner() / 16;
  const int groups = (d + 31) / 32;
  for (int unit = warp; unit < maps.channels / 32 * groups; unit += kWarps) {
    const int first = unit / groups * 2;  // of the outputs, times 8
    const int column = unit % groups * 32;
    float sums[4][4] = {};
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
      const uint4* const weights = maps.channel_weights + (first * steps + step) * kWarpSize + lane;
      const Split left = split_rows(weights[0], weights[steps * kWarpSize]);
#pragma unroll
      for (int two = 0; two < 2; two++) {
        if (column + two * 16 >= d) continue;
        unsigned above[4], rest[4];
        load_matrices_transposed(above, map_high.below(step * 16, column + two * 16));
        load_matrices_transposed(rest, map_low.below(step * 16, column + two * 16));
        add_split(sums[two * 2], left, above[0], above[1], rest[0], rest[1]);
        add_split(sums[two * 2 + 1], left, above[2], above[3], rest[2], rest[3]);
      }
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (column + j * 8 >= d) continue;
      *place_of_channels(maps, first, column + j * 8) = pack_pair(sums[j][0], sums[j][1]);
      *place_of_channels(maps, first + 1, column + j * 8) = pack_pair(sums[j][2], sums[j][3]);
    }
  }
}

/// Dynamic shared memory: 32 columns of the sums in two parts, or t2 Kp / |q|, or A.
__device__ void attention_maps(const HeadMaps& maps, const float* __restrict__ sums, int groups,
                               bool two_projections, unsigned* tickets) {
  DYNAMIC_SHARED(unsigned short, shared);
  const int part = static_cast<int>(blockIdx.x) % maps.column_parts();
  {
    const Tile high = {shared, kMapStride};
    const Tile low = {shared + maps.channels * kMapStride, kMapStride};
    for (int i = threadIdx.x; i < maps.channels * kMapColumns / 4; i += kThreads) {
      const int row = i / (kMapColumns / 4);
      const int column = i % (kMapColumns / 4) * 4;
      float four[4];
      add_up(sums + static_cast<long long>(row) * maps.width + part * kMapColumns + column, groups,
             static_cast<long long>(maps.channels) * maps.width, four);
      uint2 upper, rest;
      split_pair(four[0], four[1], upper.x, rest.x);
      split_pair(four[2], four[3], upper.y, rest.y);
      const int at = row * kMapStride + column;
      *reinterpret_cast<uint2*>(high.values + at) = upper;
      *reinterpret_cast<uint2*>(low.values + at) = rest;
    }
    __syncthreads();
    multiply_columns(maps, high, low, part, two_projections);
  }
  const int d = maps.d;
  const int gram_parts = maps.channels / kMapColumns;
  const int key_parts = maps.padded / kMapColumns;
  const int row_parts = static_cast<int>(gridDim.x) / maps.column_parts();
  const int query_parts = (d / 8 + kRowWarps * 2 - 1) / (kRowWarps * 2);  // that have such rows
  const bool has_queries = static_cast<int>(blockIdx.x) / maps.column_parts() < query_parts;
  if (has_queries && part < gram_parts + key_parts &&
      comes_last(tickets, (gram_parts + key_parts) * query_parts)) {
    float* const norms = reinterpret_cast<float*>(shared);
    const int stride = maps.padded + kPadding;
    const Tile high = {reinterpret_cast<unsigned short*>(norms + d), stride};
    const Tile low = {high.values + maps.inner() * stride, stride};
    scale_keys(maps, norms, high, low);
    make_logit_map(maps, high, low);
  }
  if (part < gram_parts && comes_last(tickets + 1, gram_parts * row_parts)) {
    float* const logits = reinterpret_cast<float*>(shared);
    float* const norms = logits + d * (d + 1);
    const int stride = d + kPadding;
    const Tile high = {reinterpret_cast<unsigned short*>(norms + 2 * d), stride};
    const Tile low = {high.values + maps.inner() * stride, stride};
    make_channel_map(maps, logits, norms, high, low);
    make_channel_maps(maps, logits, high, low);
  }
}

// ---- output -------------------------------------------------------------------------------------

/// What the tokens go through, of one item.
struct OutputMaps {
  const uint4* logits;                        // M of each head
  const uint4* values;                        // Vp of each head
  const uint4* channels;                      // V
  const uint4* __restrict__ channel_values;   // Wc
  const uint4* __restrict__ spatial_weights;  // Wout, or none
  const float* __restrict__ spatial_bias;
  const float* __restrict__ channel_bias;
  const float* __restrict__ gamma;
};

/// How rows of reread(S) are divided.
struct Classes {
  int heads;
  int of_head;              // classes of neighboring tokens: N / C where C divides N, else all
  int period;               // of all
  int rows;                 // of a class
  int shift;                // a class's next row is 2^shift rows further down in a head's d
  int chunks, block_heads;  // of a block
  int parts;                // of the rows of a class
};

/// The classes of a block and their rows.
struct BlockClasses {
  Classes all;
  int first_head, first_chunk, heads, chunks;
  int first_row, rows, most_rows;  // of each class

  __device__ __forceinline__ explicit BlockClasses(const Classes classes) : all(classes) {
    const int groups = (all.of_head + all.chunks - 1) / all.chunks;
    first_chunk = static_cast<int>(blockIdx.x) % groups * all.chunks;
    first_head = static_cast<int>(blockIdx.x) / groups * all.block_heads;
    chunks = min(all.chunks, all.of_head - first_chunk);
    heads = min(all.block_heads, all.heads - first_head);
    most_rows = (all.rows + all.parts - 1) / all.parts;
    first_row = static_cast<int>(blockIdx.y) % all.parts * most_rows;
    rows = min(most_rows, all.rows - first_row);
  }

  __device__ __forceinline__ int count() const { return chunks * heads; }

  __device__ __forceinline__ int number(int own) const {
    return (first_head + own / chunks) * all.of_head + first_chunk + own % chunks;
  }

  /// Rows of the block, those that are left out behind the last of a class included.
  __device__ __forceinline__ int all_rows() const { return count() * most_rows; }

  /// Row of y, below zero if that is left out.
  __device__ __forceinline__ int row_of(int row) const {
    const int in_class = row % most_rows;
    return in_class < rows ? number(row / most_rows) + all.period * (first_row + in_class) : -1;
  }
};

/// Softmax and S of 16 pairs of a class, of one head: the pairs from first on, before end.
/// slot_of says where the token of a pair is in the tile.
template <int C, int kColumns, typename SlotOf>
__device__ __forceinline__ void attend(const Tile& tokens, const OutputMaps& maps, int head, int d,
                                       int projected, int first, int end, SlotOf slot_of,
                                       const BlockClasses& block, int base, int row,
                                       const Tile& spatial) {
  const int lane = lane_of_warp();
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int pair = min(first + lane % 16, end - 1);
  const unsigned short* const place = tokens.values + slot_of(pair) * tokens.stride + lane / 16 * 8;
  const uint4* const logit_maps = maps.logits + head * kColumns * (C / 32) * kWarpSize + lane;
  float logits[kColumns][4] = {};
#pragma unroll 1
  for (int step = 0; step < C / 32; step++) {
    unsigned left[2][4];
    load_matrices(left[0], place + step * 32);
    load_matrices(left[1], place + step * 32 + 16);
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      const uint4 right = logit_maps[(j * (C / 32) + step) * kWarpSize];
      multiply_add(logits[j], left[0], right.x, right.y);
      multiply_add(logits[j], left[1], right.z, right.w);
    }
  }

  if (projected < kColumns * 8) {
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        if (j * 8 + quarter * 2 + i % 2 >= projected) logits[j][i] = -kLargest;
      }
    }
  }

  unsigned probabilities[kColumns][2];
  float factors[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float largest = -kLargest;
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        largest = fmaxf(largest, logits[j][half * 2 + i]);
      }
    }
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      const float lower = power_of_two(logits[j][half * 2] - largest);
      const float upper = power_of_two(logits[j][half * 2 + 1] - largest);
      sum += lower + upper;
      probabilities[j][half] = pack_pair(lower, upper);
    }
    factors[half] = 1.0f / lanes_sum(sum, 4);
  }

  const int first_in_head = base + (block.first_row << block.all.shift);
  const int last_in_head = base + ((block.first_row + block.rows - 1) << block.all.shift);
  const uint4* const values = maps.values + head * (d / 8) * (kColumns / 4) * kWarpSize + lane;
  for (int eight = first_in_head / 8; eight <= last_in_head / 8; eight++) {
    float sums[4] = {};
#pragma unroll
    for (int step = 0; step < kColumns / 4; step++) {
      const uint4 right = values[(eight * (kColumns / 4) + step) * kWarpSize];
      const unsigned(&p)[kColumns][2] = probabilities;
      const unsigned lower[4] = {p[step * 4][0], p[step * 4][1], p[step * 4 + 1][0],
                                 p[step * 4 + 1][1]};
      const unsigned upper[4] = {p[step * 4 + 2][0], p[step * 4 + 2][1], p[step * 4 + 3][0],
                                 p[step * 4 + 3][1]};
      multiply_add(sums, lower, right.x, right.y);
      multiply_add(sums, upper, right.z, right.w);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int delta = eight * 8 + quarter * 2 + i % 2 - base;
      const int in_class = (delta >> block.all.shift) - block.first_row;
      const int column = first + group + i / 2 * 8;
      if (delta >= 0 && (delta & ((1 << block.all.shift) - 1)) == 0 && in_class >= 0 &&
          in_class < block.rows && column < end) {
        spatial.values[(row + in_class) * spatial.stride + column] =
            from_float<bfloat16>(sums[i] * factors[i / 2]).bits;
      }
    }
  }
}

/// sums[j] += 16 rows of a tile times 8 columns each of a packed matrix.
template <int C, int kColumns>
__device__ __forceinline__ void multiply_rows(const Tile& rows, int first, const uint4* matrix,
                                              int first_column, float (&sums)[kColumns][4]) {
  const uint4* const columns = matrix + first_column * (C / 32) * kWarpSize + lane_of_warp();
#pragma unroll 2
  for (int step = 0; step < C / 32; step++) {
    unsigned left[2][4];
    load_matrices(left[0], rows.below(first, step * 32));
    load_matrices(left[1], rows.below(first, step * 32 + 16));
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      const uint4 right = columns[(j * (C / 32) + step) * kWarpSize];
      multiply_add(sums[j], left[0], right.x, right.y);
      multiply_add(sums[j], left[1], right.z, right.w);
    }
  }
}

/// Dynamic shared memory: tiles of X of the pairs' tokens, and of X, S and X Wc^T of the rows.
/// Where there are twice as many blocks along y as parts of rows, the first of them make the
/// spatial half of y and the others the channel half.
template <int C, int kColumns>
__device__ __forceinline__ void attention_output(const Tokens tokens, const OutputMaps maps,
                                                 const Classes classes, int projected,
                                                 bfloat16* y) {
  DYNAMIC_SHARED(unsigned short, shared);
  constexpr int kStride = C + kPadding;
  const int lane = lane_of_warp();
  const int warp = threadIdx.x / kWarpSize;
  const int count = tokens.count;
  const int d = C / classes.heads;
  const BlockClasses block(classes);
  const int rows = block.all_rows();
  const int tiles = (rows + 15) / 16;
  const bool is_short = count <= C;  // all tokens are in the tile, in their order
  const int slots = is_short ? count : block.chunks * C;
  const bool is_divided = static_cast<int>(gridDim.y) > classes.parts;
  const bool makes_spatial = !is_divided || static_cast<int>(blockIdx.y) < classes.parts;
  const bool makes_channels = !is_divided || !makes_spatial;
  const int first_token = block.number(0) * C % count;
  const Tile of_pairs = {shared, kStride};
  const Tile of_rows = {of_pairs.values + slots * kStride, kStride};
  const Tile spatial = {of_rows.values + tiles * 16 * kStride, kStride};
  const Tile channel_values = {spatial.values + tiles * 16 * kStride, kStride};

  normalize<C>(tokens, makes_spatial ? slots : 0, of_pairs, [&](int slot) {
    const int token = first_token + slot;
    return is_short ? slot : token < count ? token : token - count;
  });
  normalize<C>(tokens, makes_channels ? rows : 0, of_rows,
               [&](int row) { return block.row_of(row); });
  __syncthreads();

  int unit = 0;
  for (int own = 0; own < block.count() && makes_spatial; own++) {
    const int begin = block.number(own) * C;
    const auto slot_of = [&](int pair) {
      return is_short ? (begin + pair) % count : own % block.chunks * C + pair;
    };
    for (int pair = 0; pair < C;) {
      const int end = min(C, pair + count - (begin + pair) % count);  // of the head's tokens
      const int head_and_base = (begin + pair) / count;
      for (int first = pair; first < end; first += 16, unit++) {
        if (unit % kWarps != warp) continue;
        attend<C, kColumns>(of_pairs, maps, head_and_base % classes.heads, d, projected, first, end,
                            slot_of, block, head_and_base / classes.heads, own * block.most_rows,
                            spatial);
      }
      pair = end;
    }
  }
  for (int own = 0; own < tiles * (C / 32) && makes_channels; own++, unit++) {
    if (unit % kWarps != warp) continue;
    const int row = own / (C / 32) * 16;
    const int column = own % (C / 32) * 32;
    float sums[4][4] = {};
    multiply_rows<C>(of_rows, row, maps.channel_values, column / 8, sums);
    unsigned short* const to =
        channel_values.values + (row + lane / 4) * kStride + column + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      *reinterpret_cast<unsigned*>(to + j * 8) = pack_pair(sums[j][0], sums[j][1]);
      *reinterpret_cast<unsigned*>(to + 8 * kStride + j * 8) = pack_pair(sums[j][2], sums[j][3]);
    }
  }
  __syncthreads();

  const bool has_layers = maps.spatial_weights != nullptr;
  const int first_column = makes_spatial ? 0 : C / 2;
  const int columns = is_divided ? C / 32 : C / 16;  // times 16
  for (int own = warp; own < tiles * columns; own += kWarps) {
    const int row = own / columns * 16;
    const int column = first_column + own % columns * 16;
    const bool is_spatial = has_layers && column < C / 2;
    const int in_half = has_layers && !is_spatial ? column - C / 2 : column;
    float sums[2][4] = {};
    const Tile left = {is_spatial ? spatial.values : channel_values.values, kStride};
    multiply_rows<C>(left, row, is_spatial ? maps.spatial_weights : maps.channels, in_half / 8,
                     sums);
    const int channel = column + lane % 4 * 4;
    const float* const bias = is_spatial ? maps.spatial_bias : maps.channel_bias;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int own_row = row + lane / 4 + half * 8;
      const int token = own_row < rows ? block.row_of(own_row) : -1;
      if (token < 0) continue;
      float values[4];
      tokens.load(token, channel, C, values);
      unsigned pairs[2];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float attended = sums[i / 2][half * 2 + i % 2];
        if (has_layers) {
          attended += bias[in_half + lane % 4 * 4 + i];
        } else {
          attended += to_float(bfloat16{spatial.values[own_row * kStride + channel + i]});
        }
        values[i] += maps.gamma[channel + i] * attended;
      }
      pairs[0] = pack_pair(values[0], values[1]);
      pairs[1] = pack_pair(values[2], values[3]);
      *reinterpret_cast<uint2*>(y + static_cast<long long>(token) * C + channel) =
          make_uint2(pairs[0], pairs[1]);
    }
  }
}

}  // namespace

#define TOKEN_PARAMETERS                                                                     \
  const bfloat16 *x, const float *positions, const float2 *coefficients, const float *shift, \
      const float *norm_gamma, const float *norm_beta
#define TOKENS(C)                                                                            \
  Tokens {                                                                                   \
    x + static_cast<long long>(blockIdx.z) * tokens *C, positions,                           \
        coefficients == nullptr ? nullptr : coefficients + blockIdx.z *C, shift, norm_gamma, \
        norm_beta, tokens, epsilon                                                           \
  }

/// Packs rows n and columns k of a matrix of float, or of groups of them: a thread for 16 bytes.
/// Zeros outside. grid = ceil(count / 256).
ENTRY(tensor_attention_pack, kThreads, const float* from, uint4* to, long long count, int rows,
      int columns, long long row_stride, long long column_stride, long long group_stride,
      int row_tiles, int steps, int is_split, int is_exchanged) {
  const long long i = thread_in_grid();
  if (i >= count) return;
  const int lane = i % kWarpSize;
  const int step = i / kWarpSize % steps;
  const long long tile = i / kWarpSize / steps;
  const int place = static_cast<int>(tile % row_tiles) * 8 + lane / 4;
  const int row = is_exchanged ? exchanged(place) : place;
  const float* const values = from + tile / row_tiles * group_stride + row * row_stride;
  const auto value = [&](int column) {
    return row < rows && column < columns ? values[column * column_stride] : 0.0f;
  };
  const int column = step * (is_split ? 16 : 32) + lane % 4 * 2;
  uint4 four;
  if (is_split) {
    split_pair(value(column), value(column + 1), four.x, four.z);
    split_pair(value(column + 8), value(column + 9), four.y, four.w);
  } else {
    four = make_uint4(pack_pair(value(column), value(column + 1)),
                      pack_pair(value(column + 8), value(column + 9)),
                      pack_pair(value(column + 16), value(column + 17)),
                      pack_pair(value(column + 24), value(column + 25)));
  }
  to[i] = four;
}

ENTRY_BLOCKS(tensor_attention_maps, kThreads, 1, const float* sums, const float* qkvv,
             const uint4* rows, const uint4* queries, const uint4* channel_weights,
             const float* keys_bias, const float* values_bias, const float* temperature,
             const float* temperature2, float* products, float* projected_keys,
             uint4* projected_values, uint4* logit_maps, unsigned* channel_maps, unsigned* tickets,
             int channels, int heads, int projected, int padded, int width, int groups,
             int two_projections) {
  require_tensor_cores();
  const int d = channels / heads;
  const int head = blockIdx.y;
  const long long number = static_cast<long long>(blockIdx.z) * heads + head;
  const int head_steps = max(d, 16) / 16;
  const int outputs = channel_weights == nullptr ? channels : channels / 2;
  const HeadMaps maps = {
      qkvv,
      rows,
      queries + head * (channels / 8) * head_steps * kWarpSize,
      channel_weights == nullptr
          ? nullptr
          : channel_weights + head * (channels / 16) * head_steps * kWarpSize,
      keys_bias,
      values_bias,
      temperature[head],
      temperature2[head],
      products + number * (channels / kMapColumns) * (d * d + 2 * d),
      projected_keys + number * d * padded,
      projected_values + number * (d / 8) * (padded / 32) * kWarpSize,
      logit_maps + number * (padded / 8) * (channels / 32) * kWarpSize,
      channel_maps + blockIdx.z * (outputs / 8) * (channels / 32) * kWarpSize * 4,
      channels,
      d,
      head,
      projected,
      padded,
      width};
  attention_maps(maps, sums + static_cast<long long>(blockIdx.z) * groups * channels * width,
                 groups, two_projections != 0, tickets + number * 2);
}

#define ATTENTION_SUMS(C)                                                                         \
  ENTRY_BLOCKS(tensor_attention_sums_##C, kThreads, C < 64 ? 2 : 1, TOKEN_PARAMETERS,             \
               const uint4* keys, const uint4* values, float* partials, float* sums,              \
               unsigned* tickets, int tokens, int projected, int width, int run, int tile_tokens, \
               int group, int part_columns, float epsilon) {                                      \
    require_tensor_cores();                                                                       \
    attention_sums<C>(TOKENS(C), keys, values, partials, sums, tickets, projected, width, run,    \
                      tile_tokens, group, part_columns);                                          \
  }

#define ATTENTION_OUTPUT(C, P)                                                                    \
  ENTRY_BLOCKS(tensor_attention_output_##C##_##P, kThreads, P < 128 ? 2 : 1, TOKEN_PARAMETERS,    \
               const uint4* logit_maps, const uint4* projected_values, const uint4* channel_maps, \
               const uint4* channel_values, const uint4* spatial_weights,                         \
               const float* spatial_bias, const float* channel_bias, const float* gamma,          \
               bfloat16* y, int tokens, int projected, int heads, int of_head, int period,        \
               int rows, int row_shift, int chunks, int block_heads, int parts, float epsilon) {  \
    require_tensor_cores();                                                                       \
    const long long item = blockIdx.z;                                                            \
    const int outputs = spatial_weights == nullptr ? C : C / 2;                                   \
    const OutputMaps maps = {logit_maps + item * heads * (P / 8) * (C / 32) * kWarpSize,          \
                             projected_values + item * (C / 8) * (P / 32) * kWarpSize,            \
                             channel_maps + item * (outputs / 8) * (C / 32) * kWarpSize,          \
                             channel_values,                                                      \
                             spatial_weights,                                                     \
                             spatial_bias,                                                        \
                             channel_bias,                                                        \
                             gamma};                                                              \
    attention_output<C, P / 8>(                                                                   \
        TOKENS(C), maps, {heads, of_head, period, rows, row_shift, chunks, block_heads, parts},   \
        projected, y + item * tokens * C);                                                        \
  }

#define ATTENTION(C)      \
  ATTENTION_SUMS(C)       \
  ATTENTION_OUTPUT(C, 32) \
  ATTENTION_OUTPUT(C, 64) \
  ATTENTION_OUTPUT(C, 128)

ATTENTION(32)
ATTENTION(64)
ATTENTION(128)
ATTENTION(256)
