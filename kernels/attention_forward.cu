// Efficient paired attention (Shaker et al. 2024, eq. 1 to 4) in two passes over the tokens,
// without keys and values of N rows. With X = LayerNorm(x + positions), (N, C), for each item:
//
//   sums          G = X^T X (C, C),  Y = X^T E^T (C, P),  and X^T F^T where F is another projection
//   projections   |q_c|^2 = Wq_c G Wq_c^T,  |k_c|^2 alike
//                 Kp = Wk Y + b,  Vp = Wv Y + b,  Ks = t2 Kp / |q|                      (C, P)
//   channel maps  R_s = Wq_s G Wk_s^T,  A_s = softmax(t1 R_s / (|q| |k|)) of each head s (d, d)
//                 Z = blockdiag(A) Wc                                                   (C, C)
//   output maps   Mca = Wout2 Z                                                         (C / 2, C)
//   spatial       S_s = softmax(X Wq_s^T Ks_s) Vp_s^T                    (N, d), kept as (d, h, N)
//   output        y = x + positions + gamma [reread(S) Wout^T + b | X Mca^T + b2],
//                 or gamma (reread(S) + X Z^T) where there are no output layers
//   at once       both, where tiles of tokens hold whole rows of reread(S)
//   maps          projections, channel maps and output maps, where a block has the rows of whole
//                 heads; elsewhere output maps are made beside the spatial branch
//
// reread: what lies as (d, h, N) is read as (N, C), as the published code does.
//
// Shapes   x, y (B, N, C) of T; everything else of float: positions (N, C); qkvv (4 C, C) and its
//          transpose (C, 4 C); E, F (P, N), or (N, P) if token_major; spatial (B, C N);
//          sums (B, C, width) with width = C + P, or C + 2 P with F: [G | Y | X^T F^T].
//          C and d at will, P up to 128.
// Launch   blocks of (32, warps), four tokens or rows a warp; see each kernel.
// Traffic  sums: x, positions and E once for each 32 x 64 of the result, (C width) / 2048 times;
//          spatial: x, positions and 4 N C bytes of result; output: x, positions, y and 4 N C;
//          at once: x and positions twice and y. The small maps lie in L1 or L2.
// Numerics accumulates in float for every T; G and Y over 32 tokens, then over those of a block,
//          groups of blocks, and groups, in double; squares of norms in double over the channels, never below zero.
// Launcher org.unetrpp.backend.cuda.PairedAttentionKernels#forward
#include "attention.cuh"

namespace {

constexpr int kSumRows = 32;  // of the part of [G | Y] that a block makes
constexpr int kSumColumns = 64;
constexpr int kSumTokens = 32;  // that are summed at once
constexpr int kSumWarps = 4;

/// The part of [G | Y] that a thread has 4 x 4 values of.
struct SumPart {
  int row, column;  // of the first value
  int rows, width;  // of [G | Y]

  /// Stores values in a matrix (C, width).
  __device__ __forceinline__ void store(float* to, const float (&values)[4][4]) const {
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (row + i < rows && column + j < width) {
          to[static_cast<long long>(row + i) * width + column + j] = values[i][j];
        }
      }
    }
  }

  /// Stores the sum of count matrices, a stride apart, added up in double and in their order.
  __device__ __forceinline__ void store_sum(const float* from, int count, long long stride,
                                            float* to) const {
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
      double sums[4] = {};
      for (int number = 0; number < count && row + i < rows; number++) {
        const float* values =
            from + number * stride + static_cast<long long>(row + i) * width + column;
#pragma unroll
        for (int j = 0; j < 4; j++) sums[j] += column + j < width ? values[j] : 0.0f;
      }
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (row + i < rows && column + j < width) {
          to[static_cast<long long>(row + i) * width + column + j] = static_cast<float>(sums[j]);
        }
      }
    }
  }
};

/// One part of [G | Y] over a run of tokens, to partials (B, runs, C, width). The last block to come
/// of each group of runs adds theirs up, to the partials of its first run, and the last of those
/// blocks adds up all; tickets has groups + 1 for each part.
/// grid = (runs, parts, B), block = (32, 4): 4 x 4 values a thread.
template <typename T>
__device__ void attention_sums(const T* x, const float* positions, const float* norm_gamma,
                               const float* norm_beta, const float* __restrict__ keys,
                               const float* __restrict__ values, float* partials, float* result,
                               unsigned* tickets, int tokens, int channels, int projected,
                               int token_major, int run, int group, float epsilon) {
  __align__(16) __shared__ float row_tile[kSumTokens][kSumRows + 4];
  __align__(16) __shared__ float column_tile[kSumTokens][kSumColumns + 4];
  const int lane = threadIdx.x;
  const int thread = thread_in_block();
  const int width = channels + (values == nullptr ? 1 : 2) * projected;
  const int parts = (width + kSumColumns - 1) / kSumColumns;
  const int first_row = blockIdx.y / parts * kSumRows;
  const int first_column = blockIdx.y % parts * kSumColumns;
  const int begin = blockIdx.x * run;
  const int end = min(begin + run, tokens);
  x += static_cast<long long>(blockIdx.z) * tokens * channels;

  const int row = thread / 16 * 4;
  const int column = thread % 16 * 4;
  float totals[4][4] = {};
  for (int tile = begin; tile < end; tile += kSumTokens) {
    __syncthreads();  // the tile before is summed
    for (int t = threadIdx.y; t < kSumTokens; t += kSumWarps) {
      const int token = tile + t;
      const long long at = static_cast<long long>(token) * channels;
      float2 statistics = make_float2(0.0f, 0.0f);
      if (token < end) statistics = token_statistics(x + at, positions + at, channels, epsilon);
      const auto normalized = [&](int c) {
        if (token >= end || c >= channels) return 0.0f;
        const float centered = to_float(x[at + c]) + positions[at + c] - statistics.x;
        return centered * statistics.y * norm_gamma[c] + norm_beta[c];
      };
      row_tile[t][lane] = normalized(first_row + lane);
      for (int j = lane; j < kSumColumns; j += kWarpSize) {
        if (first_column + j < channels || first_column + j >= width) {
          column_tile[t][j] = normalized(first_column + j);
        }
      }
    }
    if (first_column + kSumColumns > channels) {
      for (int i = thread; i < kSumColumns * kSumTokens; i += kSumWarps * kWarpSize) {
        const int t = token_major ? i / kSumColumns : i % kSumTokens;
        const int j = token_major ? i % kSumColumns : i / kSumTokens;
        int p = first_column + j - channels;
        if (p < 0 || first_column + j >= width) continue;
        const float* weight = p < projected ? keys : values;
        if (p >= projected) p -= projected;
        const int token = tile + t;
        const long long at = token_major ? static_cast<long long>(token) * projected + p
                                         : static_cast<long long>(p) * tokens + token;
        column_tile[t][j] = token < end ? weight[at] : 0.0f;
      }
    }
    __syncthreads();

    float sums[4][4] = {};
    for (int t = 0; t < kSumTokens; t++) {
      const float4 a = *reinterpret_cast<const float4*>(&row_tile[t][row]);
      const float4 b = *reinterpret_cast<const float4*>(&column_tile[t][column]);
      const float left[4] = {a.x, a.y, a.z, a.w};
      const float right[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) sums[i][j] += left[i] * right[j];
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) totals[i][j] += sums[i][j];
    }
  }

  const long long size = static_cast<long long>(channels) * width;
  const SumPart part = {first_row + row, first_column + column, channels, width};
  const int runs = gridDim.x;
  result += blockIdx.z * size;
  if (runs == 1) {
    part.store(result, totals);
    return;
  }
  partials += blockIdx.z * runs * size;
  part.store(partials + blockIdx.x * size, totals);
  const int groups = (runs + group - 1) / group;
  tickets += (blockIdx.z * gridDim.y + blockIdx.y) * (groups + 1);
  const int own_group = blockIdx.x / group;
  float* const own = partials + own_group * group * size;
  const int members = min(group, runs - own_group * group);
  if (!comes_last(tickets + own_group, members)) return;
  part.store_sum(own, members, size, groups == 1 ? result : own);
  if (groups == 1 || !comes_last(tickets + groups, groups)) return;
  part.store_sum(partials, groups, group * size, result);
}

/// What one row of Wq, Wk and Wv makes of the sums; four rows a warp.
/// grid = (ceil(C / rows of a block), B), dynamic shared memory: the rows.
__device__ void attention_projections(const float* __restrict__ qkvv,
                                      const float* __restrict__ sums, const float* keys_bias,
                                      const float* values_bias, const float* temperature,
                                      float* query_gram, float* key_gram, float* norms, float* keys,
                                      float* scaled, float* scaled_transposed, float* values,
                                      float* values_transposed, int channels, int heads,
                                      int projected, int width) {
  DYNAMIC_SHARED(float, shared);
  const int stride = tile_stride(channels);
  float* rows = shared + threadIdx.y * kRows * stride;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= channels) return;  // whole warps, and nobody waits for them
  const long long item = blockIdx.y;
  const long long square = static_cast<long long>(channels) * channels;
  const long long maps = static_cast<long long>(channels) * projected;
  sums += item * channels * width;

  const auto weigh = [&](int which, float* gram, float(&lengths)[kRows]) {
    __syncwarp();
    load_rows(qkvv + which * square, channels, first, channels, channels, rows, stride);
    __syncwarp();
    gram += (item * channels + first) * channels;
    multiply(rows, stride, channels, sums, width, channels, [&](int i, int column, float value) {
      if (first + i < channels) gram[static_cast<long long>(i) * channels + column] = value;
    });
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      double square_length = 0.0;
      if (first + i < channels) {
        for (int column = threadIdx.x; column < channels; column += kWarpSize) {
          const double product = gram[static_cast<long long>(i) * channels + column];
          square_length += product * rows[i * stride + column];
        }
      }
      const float sum = static_cast<float>(warp_sum(square_length));
      lengths[i] = fmaxf(sqrtf(fmaxf(sum, 0.0f)), kLeastNorm);
      if (threadIdx.x == 0 && first + i < channels) {
        norms[(item * 2 + which) * channels + first + i] = lengths[i];
      }
    }
  };
  float query_lengths[kRows], key_lengths[kRows];
  weigh(0, query_gram, query_lengths);
  weigh(1, key_gram, key_lengths);

  const int head_channels = channels / heads;
  multiply(rows, stride, channels, sums + channels, width, projected,
           [&](int i, int p, float value) {
             const int c = first + i;
             if (c >= channels) return;
             if (keys_bias != nullptr) value += keys_bias[p];
             const float logit = value * (temperature[c / head_channels] / query_lengths[i]);
             const long long at = item * maps + static_cast<long long>(c) * projected + p;
             keys[at] = value;
             scaled[at] = logit;
             scaled_transposed[item * maps + static_cast<long long>(p) * channels + c] = logit;
           });
  __syncwarp();
  load_rows(qkvv + 3 * square, channels, first, channels, channels, rows, stride);
  __syncwarp();
  multiply(rows, stride, channels, sums + (width - projected), width, projected,
           [&](int i, int p, float value) {
             const int c = first + i;
             if (c >= channels) return;
             if (values_bias != nullptr) value += values_bias[p];
             values[item * maps + static_cast<long long>(c) * projected + p] = value;
             values_transposed[item * maps + static_cast<long long>(p) * channels + c] = value;
           });
}

/// Rows of A and of Z, four rows of a head from first on; what dropout leaves out of A has a sign.
/// shared: of a warp, rows of (C) and of (d).
__device__ __forceinline__ void channel_maps(const float* __restrict__ qkvv,
                                       const float* __restrict__ qkvv_transposed,
                                       const float* query_gram, const float* norms,
                                       const float* temperature, float* products, float* maps,
                                       float* branch, float* branch_transposed, const Mask& mask,
                                       int channels, int heads, int first, int head,
                                       long long item, float* rows) {
  const int d = channels / heads;
  const int stride = tile_stride(channels);
  const int map_stride = tile_stride(d);
  float* map_rows = rows + kRows * stride;
  const long long square = static_cast<long long>(channels) * channels;
  const int first_channel = head * d;
  const float* query_norms = norms + item * 2 * channels + first_channel;
  const float* key_norms = query_norms + channels;

  load_rows(query_gram + item * square + static_cast<long long>(first_channel) * channels, channels,
            first, d, channels, rows, stride);
  __syncwarp();
  const long long row_of_maps = item * channels + first_channel + first;
  multiply(rows, stride, channels, qkvv_transposed + channels + first_channel, 4ll * channels, d,
           [&](int i, int column, float value) {
             if (first + i >= d) return;
             products[(row_of_maps + i) * d + column] = value;
             map_rows[i * map_stride + column] =
                 value * temperature[head] / (query_norms[first + i] * key_norms[column]);
           });
  __syncwarp();
  for (int i = 0; i < kRows; i++) {
    float* map = map_rows + i * map_stride;
    const bool there = first + i < d;
    float largest = -kLargest;
    if (there) {
      for (int column = threadIdx.x; column < d; column += kWarpSize) {
        largest = fmaxf(largest, map[column]);
      }
    }
    largest = warp_max(largest);
    float sum = 0.0f;
    for (int column = threadIdx.x; column < d; column += kWarpSize) {
      map[column] = there ? expf(map[column] - largest) : 0.0f;
      sum += map[column];
    }
    sum = warp_sum(sum);
    for (int column = threadIdx.x; column < d && there; column += kWarpSize) {
      const float probability = map[column] / sum;
      const long long at = (row_of_maps + i) * d + column;
      const bool dropped = drops(mask, at);
      maps[at] = dropped ? -probability : probability;
      map[column] = dropped ? 0.0f : probability * mask.scale;
    }
  }
  __syncwarp();
  multiply(
      map_rows, map_stride, d, qkvv + 2 * square + static_cast<long long>(first_channel) * channels,
      channels, channels, [&](int i, int column, float value) {
        if (first + i >= d) return;
        const int c = first_channel + first + i;
        branch[item * square + static_cast<long long>(c) * channels + column] = value;
        branch_transposed[item * square + static_cast<long long>(column) * channels + c] = value;
      });
}

/// grid = (ceil(d / rows of a block), h, B), dynamic shared memory: rows of (C) and of (d).
__device__ void attention_channel_maps(const float* __restrict__ qkvv,
                                       const float* __restrict__ qkvv_transposed,
                                       const float* query_gram, const float* norms,
                                       const float* temperature, float* products, float* maps,
                                       float* branch, float* branch_transposed, const Mask& mask,
                                       int channels, int heads) {
  DYNAMIC_SHARED(float, shared);
  const int d = channels / heads;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= d) return;  // whole warps, and nobody waits for them
  float* rows = shared + threadIdx.y * kRows * (tile_stride(channels) + tile_stride(d));
  channel_maps(qkvv, qkvv_transposed, query_gram, norms, temperature, products, maps, branch,
               branch_transposed, mask, channels, heads, first, blockIdx.y, blockIdx.z, rows);
}

/// Rows of Mca of an item, by a block: four rows a warp, those of every blocks-th tile.
/// Dynamic shared memory: the rows.
__device__ __forceinline__ void output_maps(const float* __restrict__ weight, const float* branch,
                                            float* map, float* map_transposed, int channels,
                                            long long item, int block, int blocks) {
  DYNAMIC_SHARED(float, shared);
  const int half = channels / 2;
  const int stride = tile_stride(channels);
  float* rows = shared + threadIdx.y * kRows * stride;
  const long long size = static_cast<long long>(half) * channels;
  const int step = blocks * blockDim.y * kRows;
  for (int first = (block * blockDim.y + threadIdx.y) * kRows; first < half; first += step) {
    __syncwarp();  // the rows before are read
    load_rows(weight, channels, first, half, channels, rows, stride);
    __syncwarp();
    multiply(rows, stride, channels, branch + item * 2 * size, channels, channels,
             [&](int i, int column, float value) {
               const int o = first + i;
               if (o >= half) return;
               map[item * size + static_cast<long long>(o) * channels + column] = value;
               map_transposed[item * size + static_cast<long long>(column) * half + o] = value;
             });
  }
}

/// Shared memory of a block that makes S of a tile of tokens.
struct SpatialTile {
  float* normalized;  // X (tokens, C)
  float* queries;     // of some heads (tokens, heads d), whose place S takes
  int stride;
  int query_stride;
  int tokens;
  int first_token;
};

/// S of a tile of tokens and some heads, a group of heads at a time. Ends with a barrier.
/// Dynamic shared memory: tiles of (C), of (block_heads d) and of (group_heads, P); random bits.
template <typename T>
__device__ __forceinline__ SpatialTile make_spatial_tile(
    const Tokens<T>& tokens, const float* __restrict__ qkvv_transposed,
    const float* __restrict__ keys, const float* __restrict__ values_transposed, const Mask& mask,
    int heads, int projected, int first_head, int end_head, int block_heads, int group_heads) {
  DYNAMIC_SHARED(float, shared);
  const int channels = tokens.channels;
  const int d = channels / heads;
  const int tile = blockDim.y * kRows;
  const int stride = tile_stride(channels);
  const int query_stride = tile_stride(block_heads * d);
  const int head_stride = tile_stride(projected);
  const int map_stride = group_heads * head_stride;
  float* queries = shared + tile * stride;
  float* maps = queries + tile * query_stride;
  const int warp_row = threadIdx.y * kRows;
  float* rows = shared + warp_row * stride;
  float* query_rows = queries + warp_row * query_stride;
  float* map_rows = maps + warp_row * map_stride;
  unsigned short* bits = reinterpret_cast<unsigned short*>(maps + tile * map_stride) +
                         threadIdx.y * random_values(projected);
  const int first = blockIdx.x * tile + warp_row;
  const long long item = blockIdx.z;
  keys += item * channels * projected;
  values_transposed += item * channels * projected;

  tokens.load(first, rows, stride);
  __syncwarp();
  multiply(rows, stride, channels, qkvv_transposed + first_head * d, 4ll * channels,
           (end_head - first_head) * d,
           [&](int i, int column, float value) { query_rows[i * query_stride + column] = value; });
  for (int group = first_head; group < end_head; group += group_heads) {
    const int group_end = min(group + group_heads, end_head);
    float* group_rows = query_rows + (group - first_head) * d;
    __syncwarp();  // queries are there, maps of the group before are read
    for (int head = group; head < group_end; head++) {
      attend<false>(query_rows + (head - first_head) * d, query_stride, d,
                    keys + static_cast<long long>(head) * d * projected, projected, mask,
                    ((item * heads + head) * tokens.count + first) * projected, bits,
                    map_rows + (head - group) * head_stride, map_stride);
    }
    __syncwarp();
    multiply_heads(map_rows, map_stride, group_end - group, head_stride, d, projected,
                   values_transposed + group * d, channels, [&](int i, int column, float value) {
                     group_rows[i * query_stride + column] = value;
                   });
  }
  __syncthreads();
  return {shared, queries, stride, query_stride, tile, static_cast<int>(blockIdx.x) * tile};
}

/// S of a tile of tokens and some heads; blocks past the tiles make the output maps meanwhile, where
/// their weight is not null. grid = (tiles and more, ceil(h / block_heads), B), block = (32, warps).
template <typename T>
__device__ void attention_spatial(const Tokens<T>& tokens,
                                  const float* __restrict__ qkvv_transposed,
                                  const float* __restrict__ keys,
                                  const float* __restrict__ values_transposed, float* spatial,
                                  const float* __restrict__ weight,
                                  const float* __restrict__ branch, float* map,
                                  float* map_transposed, const Mask& mask, int heads, int projected,
                                  int block_heads, int group_heads) {
  const int tiles = (tokens.count + blockDim.y * kRows - 1) / (blockDim.y * kRows);
  if (blockIdx.x >= tiles) {
    output_maps(weight, branch, map, map_transposed, tokens.channels, blockIdx.z,
                (blockIdx.x - tiles) * gridDim.y + blockIdx.y, (gridDim.x - tiles) * gridDim.y);
    return;
  }
  const int first_head = blockIdx.y * block_heads;
  const int end_head = min(first_head + block_heads, heads);
  const SpatialTile tile =
      make_spatial_tile(tokens, qkvv_transposed, keys, values_transposed, mask, heads, projected,
                        first_head, end_head, block_heads, group_heads);
  const int d = tokens.channels / heads;
  const int columns = (end_head - first_head) * d;
  spatial += static_cast<long long>(blockIdx.z) * tokens.channels * tokens.count;
  for (int i = thread_in_block(); i < columns * tile.tokens; i += block_threads()) {
    const int t = i % tile.tokens;
    const int column = i / tile.tokens;
    const int token = tile.first_token + t;
    if (token < tokens.count) {
      const long long row = static_cast<long long>(column % d) * heads + first_head + column / d;
      spatial[row * tokens.count + token] = tile.queries[t * tile.query_stride + column];
    }
  }
}

/// y at once, where C divides N and the tokens of a tile: a tile has whole rows of S as it is read
/// again. grid = (tiles, 1, B), block = (32, warps).
template <typename T>
__device__ void attention_at_once(const Tokens<T>& tokens,
                                  const float* __restrict__ qkvv_transposed,
                                  const float* __restrict__ keys,
                                  const float* __restrict__ values_transposed,
                                  const float* __restrict__ out_transposed, const float* out_bias,
                                  const float* __restrict__ map_transposed, const float* map_bias,
                                  const float* gamma, T* y, const Mask& mask, int heads,
                                  int projected, int group_heads) {
  const SpatialTile tile = make_spatial_tile(tokens, qkvv_transposed, keys, values_transposed, mask,
                                             heads, projected, 0, heads, heads, group_heads);
  const int channels = tokens.channels;
  const int half = channels / 2;
  const int d = channels / heads;
  const int warp_row = threadIdx.y * kRows;
  float* rows = tile.normalized + warp_row * tile.stride;
  y += static_cast<long long>(blockIdx.z) * tokens.count * channels;
  const auto write = [&](long long token, int c, float attended) {
    const long long at = token * channels + c;
    y[at] = from_float<T>(to_float(tokens.x[at]) + tokens.positions[at] + gamma[c] * attended);
  };
  multiply(rows, tile.stride, channels,
           map_transposed + static_cast<long long>(blockIdx.z) * channels * half, half, half,
           [&](int i, int column, float value) {
             const int token = tile.first_token + warp_row + i;
             if (token < tokens.count) write(token, half + column, value + map_bias[column]);
           });
  __syncthreads();

  // row (in_head, head, run of C tokens) of S takes the place of X
  const int runs = tile.tokens / channels;
  for (int i = thread_in_block(); i < channels * tile.tokens; i += block_threads()) {
    const int t = i / channels;
    const int c = i % channels;
    const int row = (c % d * heads + c / d) * runs + t / channels;
    tile.normalized[row * tile.stride + t % channels] = tile.queries[t * tile.query_stride + c];
  }
  __syncthreads();
  multiply(rows, tile.stride, channels, out_transposed, half, half,
           [&](int i, int column, float value) {
             const int row = warp_row + i;
             const int token = tile.first_token + row % runs * channels;
             if (token >= tokens.count) return;
             const long long output_row =
                 static_cast<long long>(row / runs) * (tokens.count / channels) + token / channels;
             write(output_row, column, value + out_bias[column]);
           });
}

/// y of a tile of tokens, of block_columns channels.
/// grid = (tiles, ceil(C / block_columns), B), block = (32, warps); dynamic shared memory: a tile
/// of (C), which holds S and then X. Without output layers out_transposed is null and
/// map_transposed is Z^T.
template <typename T>
__device__ void attention_output(const Tokens<T>& tokens, const float* __restrict__ spatial,
                                 const float* __restrict__ out_transposed, const float* out_bias,
                                 const float* __restrict__ map_transposed, const float* map_bias,
                                 const float* gamma, T* y, int block_columns) {
  DYNAMIC_SHARED(float, shared);
  const int channels = tokens.channels;
  const int stride = tile_stride(channels);
  float* rows = shared + threadIdx.y * kRows * stride;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= tokens.count) return;  // whole warps, and nobody waits for them
  const long long item = blockIdx.z;
  const int first_column = blockIdx.y * block_columns;
  const int end_column = min(first_column + block_columns, channels);
  const int half = out_transposed == nullptr ? 0 : channels / 2;
  const int outputs = channels - half;
  spatial += item * tokens.count * channels;
  y += item * tokens.count * channels;
  const auto write = [&](int i, int c, float attended) {
    const int token = first + i;
    if (token >= tokens.count) return;
    const long long at = static_cast<long long>(token) * channels + c;
    y[at] = from_float<T>(to_float(tokens.x[at]) + tokens.positions[at] + gamma[c] * attended);
  };

  const int spatial_end = min(end_column, half);
  if (first_column < spatial_end) {
    load_rows(spatial, channels, first, tokens.count, channels, rows, stride);
    __syncwarp();
    multiply(rows, stride, channels, out_transposed + first_column, half,
             spatial_end - first_column, [&](int i, int column, float value) {
               const int c = first_column + column;
               write(i, c, value + out_bias[c]);
             });
    __syncwarp();
  }
  const int channel_begin = max(first_column, half);
  if (channel_begin < end_column) {
    tokens.load(first, rows, stride);
    __syncwarp();
    multiply(rows, stride, channels,
             map_transposed + item * channels * outputs + (channel_begin - half), outputs,
             end_column - channel_begin, [&](int i, int column, float value) {
               const int c = channel_begin + column;
               if (half > 0) {
                 value += map_bias[c - half];
               } else if (first + i < tokens.count) {
                 value += spatial[static_cast<long long>(first + i) * channels + c];
               }
               write(i, c, value);
             });
  }
}

}  // namespace

/// to[i] = the sum of parts[part][i] over the parts, or that is added; of each item.
/// grid = (ceil(size / 32), B), block = (32, 8), in double and in a fixed order.
ENTRY_BLOCKS(attention_merge_f32, 256, 1, const float* parts, float* to, int count,
             long long part_stride, long long size, int adds) {
  __shared__ double sums[8][kWarpSize];
  const long long i = static_cast<long long>(blockIdx.x) * kWarpSize + threadIdx.x;
  parts += blockIdx.y * count * part_stride;
  to += blockIdx.y * size;
  double sum = 0.0;
  if (i < size) {
    for (int part = threadIdx.y; part < count; part += 8) sum += parts[part * part_stride + i];
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || i >= size) return;
  for (int other = 1; other < 8; other++) sum += sums[other][threadIdx.x];
  to[i] = static_cast<float>(adds ? to[i] + sum : sum);
}

/// to (columns, rows) = from (rows, columns) of each item.
/// grid = (ceil(columns / 32), ceil(rows / 32), B), block = (32, 8).
ENTRY_BLOCKS(attention_transpose_f32, 256, 1, const float* from, float* to, int rows, int columns,
             long long from_stride, long long from_item) {
  __shared__ float tile[kWarpSize][kWarpSize + 1];
  const int first_row = blockIdx.y * kWarpSize;
  const int first_column = blockIdx.x * kWarpSize;
  from += blockIdx.z * from_item;
  to += static_cast<long long>(blockIdx.z) * rows * columns;
  for (int i = threadIdx.y; i < kWarpSize; i += 8) {
    const int row = first_row + i, column = first_column + static_cast<int>(threadIdx.x);
    if (row < rows && column < columns) tile[i][threadIdx.x] = from[row * from_stride + column];
  }
  __syncthreads();
  for (int i = threadIdx.y; i < kWarpSize; i += 8) {
    const int column = first_column + i, row = first_row + static_cast<int>(threadIdx.x);
    if (row < rows && column < columns) {
      to[static_cast<long long>(column) * rows + row] = tile[threadIdx.x][i];
    }
  }
}

ENTRY_BLOCKS(attention_projections_f32, 128, 1, const float* qkvv, const float* sums,
             const float* keys_bias, const float* values_bias, const float* temperature,
             float* query_gram, float* key_gram, float* norms, float* keys, float* scaled,
             float* scaled_transposed, float* values, float* values_transposed, int channels,
             int heads, int projected, int width) {
  attention_projections(qkvv, sums, keys_bias, values_bias, temperature, query_gram, key_gram,
                        norms, keys, scaled, scaled_transposed, values, values_transposed, channels,
                        heads, projected, width);
}

ENTRY_BLOCKS(attention_channel_maps_f32, 128, 1, const float* qkvv, const float* qkvv_transposed,
             const float* query_gram, const float* norms, const float* temperature, float* products,
             float* maps, float* branch, float* branch_transposed, MASK_PARAMETERS, int channels,
             int heads) {
  attention_channel_maps(qkvv, qkvv_transposed, query_gram, norms, temperature, products, maps,
                         branch, branch_transposed, MASK_ARGUMENT, channels, heads);
}

ENTRY_BLOCKS(attention_output_maps_f32, 128, 1, const float* weight, const float* branch,
             float* map, float* map_transposed, int channels) {
  output_maps(weight, branch, map, map_transposed, channels, blockIdx.y, blockIdx.x, gridDim.x);
}

/// All three kinds of maps, where a block's rows of projections are those of whole heads; the last
/// block of an item makes its output maps. A weight of null means that there are none.
/// grid = (ceil(C / rows of a block), B), dynamic shared memory: rows of (C) and of (d).
ENTRY_BLOCKS(attention_maps_f32, 128, 1, const float* qkvv, const float* qkvv_transposed,
             const float* sums, const float* keys_bias, const float* values_bias,
             const float* temperature, const float* temperature2, const float* weight,
             float* query_gram, float* key_gram, float* norms, float* keys, float* scaled,
             float* scaled_transposed, float* values, float* values_transposed, float* products,
             float* maps, float* branch, float* branch_transposed, float* map,
             float* map_transposed, unsigned* tickets, MASK_PARAMETERS, int channels, int heads,
             int projected, int width) {
  attention_projections(qkvv, sums, keys_bias, values_bias, temperature2, query_gram, key_gram,
                        norms, keys, scaled, scaled_transposed, values, values_transposed, channels,
                        heads, projected, width);
  __syncthreads();  // what the block's rows need of one another is there
  DYNAMIC_SHARED(float, shared);
  const int d = channels / heads;
  const int row = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (row < channels) {
    channel_maps(qkvv, qkvv_transposed, query_gram, norms, temperature, products, maps, branch,
                 branch_transposed, MASK_ARGUMENT, channels, heads, row % d, row / d, blockIdx.y,
                 shared + threadIdx.y * kRows * (tile_stride(channels) + tile_stride(d)));
  }
  if (weight != nullptr && comes_last(tickets + blockIdx.y, gridDim.x)) {
    output_maps(weight, branch, map, map_transposed, channels, blockIdx.y, 0, 1);
  }
}

#define ATTENTION(suffix, T)                                                                       \
  ENTRY_BLOCKS(attention_sums_##suffix, 128, 1, const T* x, const float* positions,                \
               const float* norm_gamma, const float* norm_beta, const float* keys,                 \
               const float* values, float* partials, float* sums, unsigned* tickets, int tokens,   \
               int channels, int projected, int token_major, int run, int group, float epsilon) {  \
    attention_sums<T>(x, positions, norm_gamma, norm_beta, keys, values, partials, sums, tickets,  \
                      tokens, channels, projected, token_major, run, group, epsilon);              \
  }                                                                                                \
  ENTRY_BLOCKS(attention_spatial_##suffix, 256, 1, const T* x, const float* positions,             \
               const float* norm_gamma, const float* norm_beta, const float* qkvv_transposed,      \
               const float* keys, const float* values_transposed, float* spatial,                  \
               const float* weight, const float* branch, float* map, float* map_transposed,        \
               MASK_PARAMETERS, int tokens, int channels, int heads, int projected,                \
               int block_heads, int group_heads, float epsilon) {                                  \
    const long long item = static_cast<long long>(blockIdx.z) * tokens * channels;                 \
    attention_spatial<T>({x + item, positions, norm_gamma, norm_beta, tokens, channels, epsilon},  \
                         qkvv_transposed, keys, values_transposed, spatial, weight, branch, map,   \
                         map_transposed, MASK_ARGUMENT, heads, projected, block_heads,             \
                         group_heads);                                                             \
  }                                                                                                \
  ENTRY_BLOCKS(attention_at_once_##suffix, 256, 1, const T* x, const float* positions,             \
               const float* norm_gamma, const float* norm_beta, const float* qkvv_transposed,      \
               const float* keys, const float* values_transposed, const float* out_transposed,     \
               const float* out_bias, const float* map_transposed, const float* map_bias,          \
               const float* gamma, T* y, MASK_PARAMETERS, int tokens, int channels, int heads,     \
               int projected, int group_heads, float epsilon) {                                    \
    const long long item = static_cast<long long>(blockIdx.z) * tokens * channels;                 \
    attention_at_once<T>({x + item, positions, norm_gamma, norm_beta, tokens, channels, epsilon},  \
                         qkvv_transposed, keys, values_transposed, out_transposed, out_bias,       \
                         map_transposed, map_bias, gamma, y, MASK_ARGUMENT, heads, projected,      \
                         group_heads);                                                             \
  }                                                                                                \
  ENTRY_BLOCKS(attention_output_##suffix, 256, 1, const T* x, const float* positions,              \
               const float* norm_gamma, const float* norm_beta, const float* spatial,              \
               const float* out_transposed, const float* out_bias, const float* map_transposed,    \
               const float* map_bias, const float* gamma, T* y, int tokens, int channels,          \
               int block_columns, float epsilon) {                                                 \
    const long long item = static_cast<long long>(blockIdx.z) * tokens * channels;                 \
    attention_output<T>({x + item, positions, norm_gamma, norm_beta, tokens, channels, epsilon},   \
                        spatial, out_transposed, out_bias, map_transposed, map_bias, gamma, y,     \
                        block_columns);                                                            \
  }

ATTENTION(f32, float)
ATTENTION(bf16, bfloat16)
