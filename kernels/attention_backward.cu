// Gradient of efficient paired attention, with dropout of both maps. What attention_forward.cu made
// of the sums over tokens is there; S is made again; nothing of (N, P) is stored. With g = gamma
// dy, its halves gs and gc (both all of g where there are no output layers), f what dropout
// multiplies with:
//
//   output          dS = gs Wout (reread),  J = dys^T S,  H = dyc^T X,  sums of dy over tokens
//   tokens          dVp = dS^T (f P),  dP = f (dS Vp),  dL = P (dP - sum_p P dP)
//                   dKs = Q^T dL,  dQ = dL Ks^T,  and the sum dQ^T X
//   channel maps    dZ = Wout2^T gamma H,  dA = f (dZ Wc^T),  dl = A (dA - sum A dA)
//                   dt1 = sum dl R / (|q| |k|),  dR = dl t1 / (|q| |k|)
//   weights         uq = -(sum dKs Ks + sum dR R) / |q|^2,  uk = -sum dR R / |k|^2
//                   dKp = dKs t2 / |q|,  dt2 = sum dKs Kp / |q|
//                   dWq = dQ^T X + dR Wk G + uq Wq G,  dWk = dR^T Wq G + uk Wk G + dKp Y^T
//                   dWc = (f A)^T dZ,  dWv = dVp Y^T
//                   Uq = dR Wk + uq Wq,  Uk = dR^T Wq + uk Wk
//   sums            D = Wq^T Uq + Wk^T Uk, that is dG + dG^T;  dY = Wk^T dKp + Wv^T dVp
//   output weights  dWout = gamma J,  dWout2 = gamma H Z^T,  biases,
//                   dgamma = sum J Wout + b sum dys | sum H Mca + b2 sum dyc
//   input           dX = dQ Wq + X D + gc Mca + E^T dY^T,  dE = (X dY)^T,  then through the
//                   normalization to dt = dy + ..., which is dx and, summed over the batch, that of
//                   positions
//
// where a clamped norm has no gradient.
//
// Shapes   as in attention_forward.cu; dy and dx as y; gradients of parameters as these, float,
//          added to what is there; (B, C, C), (B, C, P) and (B, C, d) for each matrix between.
// Launch   blocks of (32, warps), four tokens or rows a warp; see each kernel. Blocks over tokens
//          take several tiles one after another and keep their sums in partials of their own.
// Traffic  x and positions three times, dy twice, S and dS written and read, dQ written and read;
//          E and dE, positions and their gradient once.
// Numerics in float for every T; sums over tokens by tiles, then blocks in double, always in the
//          same order.
// Launcher org.unetrpp.backend.cuda.PairedAttentionKernels#training
#include "attention.cuh"

namespace {

/// Behind C rows of C in the sums of attention_output_backward: of dy, and of dy S.
constexpr int kOutputVectors = 2;

/// dS, and sums over tokens: row o of [J | H], dy, dy S; to partials (B, blocks, C C + 2 C).
/// grid = (blocks, 1, B), dynamic shared memory: tiles of (C) for X, S and dy.
template <typename T>
__device__ void attention_output_backward(const Tokens<T>& tokens, const T* dy, const float* gamma,
                                          const float* __restrict__ out_weight,
                                          const float* __restrict__ spatial, float* dspatial,
                                          float* partials, int block_tiles) {
  DYNAMIC_SHARED(float, shared);
  const int channels = tokens.channels;
  const int half = out_weight == nullptr ? 0 : channels / 2;
  const int stride = tile_stride(channels);
  const int tile = blockDim.y * kRows;
  float* branch = shared;
  float* normalized = branch + tile * stride;
  float* gradient = normalized + tile * stride;
  const int warp_row = threadIdx.y * kRows;
  float* gradient_rows = gradient + warp_row * stride;
  const long long item = static_cast<long long>(blockIdx.z) * tokens.count * channels;
  const long long square = static_cast<long long>(channels) * channels;
  dy += item;
  spatial += item;
  dspatial += item;
  partials += (static_cast<long long>(blockIdx.z) * gridDim.x + blockIdx.x) *
              (square + kOutputVectors * channels);

  for (int step = 0; step < block_tiles; step++) {
    const int first = (blockIdx.x * block_tiles + step) * tile + warp_row;
    const bool fresh = step == 0;
    __syncthreads();  // the tile before is summed
    tokens.load(first, normalized + warp_row * stride, stride);
    load_rows(spatial, channels, first, tokens.count, channels, branch + warp_row * stride, stride);
    for (int i = 0; i < kRows; i++) {
      const int token = first + i;
      const long long at = static_cast<long long>(token) * channels;
      for (int c = threadIdx.x; c < channels; c += kWarpSize) {
        const float value = token < tokens.count ? to_float(dy[at + c]) : 0.0f;
        gradient_rows[i * stride + c] = c < half ? gamma[c] * value : value;
        if (half == 0 && token < tokens.count) dspatial[at + c] = gamma[c] * value;
      }
    }
    if (half > 0) {
      __syncwarp();
      multiply(gradient_rows, stride, half, out_weight, channels, channels,
               [&](int i, int c, float value) {
                 if (first + i < tokens.count) {
                   dspatial[static_cast<long long>(first + i) * channels + c] = value;
                 }
               });
      __syncwarp();
      for (int i = 0; i < kRows; i++) {
        const int token = first + i;
        const long long at = static_cast<long long>(token) * channels;
        for (int c = threadIdx.x; c < half; c += kWarpSize) {
          gradient_rows[i * stride + c] = token < tokens.count ? to_float(dy[at + c]) : 0.0f;
        }
      }
    }
    __syncthreads();
    // rows of the first half with S, the others with X
    add_outer_products(gradient, stride, channels, half > 0 ? branch : normalized, stride,
                       half > 0 ? half : channels, tile * stride, channels, tile, fresh, partials,
                       [](float value) { return value; });
    for (int c = thread_in_block(); c < channels; c += block_threads()) {
      float sum = 0.0f;
      float product = 0.0f;
      for (int t = 0; t < tile; t++) {
        sum += gradient[t * stride + c];
        product += gradient[t * stride + c] * branch[t * stride + c];
      }
      float* sums = partials + square;
      sums[c] = fresh ? sum : sums[c] + sum;
      sums[channels + c] = fresh ? product : sums[channels + c] + product;
    }
  }
}

/// dQ, and sums over tokens: dKs (C, P), dVp (C, P), dQ^T X (C, C); to partials (B, blocks, 2 C P +
/// C C). grid = (blocks, ceil(h / block_heads), B), dynamic shared memory: tiles of (C), of
/// (block_heads d) for Q, dS and dQ, and of (group_heads, P), and random bits.
template <typename T>
__device__ void attention_tokens_backward(
    const Tokens<T>& tokens, const float* __restrict__ qkvv_transposed,
    const float* __restrict__ keys, const float* __restrict__ keys_transposed,
    const float* __restrict__ values, const float* __restrict__ dspatial, float* dqueries,
    float* partials, const Mask& mask, int heads, int projected, int block_heads, int group_heads,
    int block_tiles) {
  DYNAMIC_SHARED(float, shared);
  const int channels = tokens.channels;
  const int d = channels / heads;
  const int tile = blockDim.y * kRows;
  const int first_head = blockIdx.y * block_heads;
  const int end_head = min(first_head + block_heads, heads);
  const int columns = (end_head - first_head) * d;
  const int stride = tile_stride(channels);
  const int query_stride = tile_stride(block_heads * d);
  const int head_stride = tile_stride(projected);
  const int map_stride = group_heads * head_stride;
  float* normalized = shared;
  float* queries = normalized + tile * stride;
  float* outputs = queries + tile * query_stride;
  float* gradients = outputs + tile * query_stride;
  float* maps = gradients + tile * query_stride;
  const int warp_row = threadIdx.y * kRows;
  float* rows = normalized + warp_row * stride;
  float* query_rows = queries + warp_row * query_stride;
  float* output_rows = outputs + warp_row * query_stride;
  float* gradient_rows = gradients + warp_row * query_stride;
  float* map_rows = maps + warp_row * map_stride;
  unsigned short* bits = reinterpret_cast<unsigned short*>(maps + tile * map_stride) +
                         threadIdx.y * random_values(projected);
  const long long item = blockIdx.z;
  const long long map_size = static_cast<long long>(channels) * projected;
  const long long square = static_cast<long long>(channels) * channels;
  keys += item * map_size;
  keys_transposed += item * map_size;
  values += item * map_size;
  dspatial += item * channels * tokens.count;
  dqueries += item * channels * tokens.count;
  partials += (item * gridDim.x + blockIdx.x) * (2 * map_size + square);
  const float scale = mask.scale;

  for (int step = 0; step < block_tiles; step++) {
    const int tile_first = (blockIdx.x * block_tiles + step) * tile;
    const int first = tile_first + warp_row;
    const bool fresh = step == 0;
    __syncthreads();  // the tile before is summed
    tokens.load(first, rows, stride);
    __syncwarp();
    multiply(
        rows, stride, channels, qkvv_transposed + first_head * d, 4ll * channels, columns,
        [&](int i, int column, float value) { query_rows[i * query_stride + column] = value; });
    for (int i = thread_in_block(); i < columns * tile; i += block_threads()) {
      const int token = tile_first + i % tile;
      const int head = first_head + i / tile / d;
      const int in_head = i / tile % d;
      const long long at = (static_cast<long long>(in_head) * heads + head) * tokens.count + token;
      outputs[i % tile * query_stride + i / tile] = token < tokens.count ? dspatial[at] : 0.0f;
    }
    __syncthreads();

    for (int group = first_head; group < end_head; group += group_heads) {
      const int group_end = min(group + group_heads, end_head);
      const int group_columns = (group_end - group) * d;
      const int at = (group - first_head) * d;
      for (int head = group; head < group_end; head++) {
        attend<true>(query_rows + (head - first_head) * d, query_stride, d,
                     keys + static_cast<long long>(head) * d * projected, projected, mask,
                     ((item * heads + head) * tokens.count + first) * projected, bits,
                     map_rows + (head - group) * head_stride, map_stride);
      }
      __syncthreads();
      const long long group_map = static_cast<long long>(group) * d * projected;
      add_outer_products(outputs + at, query_stride, group_columns, maps, map_stride, d,
                         head_stride, projected, tile, fresh, partials + map_size + group_map,
                         [scale](float map) { return fmaxf(map, 0.0f) * scale; });
      __syncthreads();

      // dL takes the place of P
      for (int head = group; head < group_end; head++) {
        float* map = map_rows + (head - group) * head_stride;
        const float* head_values = values + static_cast<long long>(head) * d * projected;
        const float* head_outputs = output_rows + (head - first_head) * d;
        const auto differentiate = [&](auto wide) {
          constexpr int kWide = decltype(wide)::value;
          float dmap[kRows][kWide] = {};
          add_products<kWide>(head_outputs, query_stride, d, head_values, projected, 0, projected,
                              dmap);
#pragma unroll
          for (int i = 0; i < kRows; i++) {
            float probability[kWide];
            float sum = 0.0f;
#pragma unroll
            for (int j = 0; j < kWide; j++) {
              const int p = static_cast<int>(threadIdx.x) + j * kWarpSize;
              const float value = p < projected ? map[i * map_stride + p] : 0.0f;
              probability[j] = fabsf(value);
              dmap[i][j] = is_dropped(value) ? 0.0f : dmap[i][j] * scale;
              sum += probability[j] * dmap[i][j];
            }
            sum = warp_sum(sum);
#pragma unroll
            for (int j = 0; j < kWide; j++) {
              const int p = static_cast<int>(threadIdx.x) + j * kWarpSize;
              if (p < projected) map[i * map_stride + p] = probability[j] * (dmap[i][j] - sum);
            }
          }
        };
        if (projected <= kWarpSize) {
          differentiate(Wide<1>());
        } else if (projected <= 2 * kWarpSize) {
          differentiate(Wide<2>());
        } else {
          differentiate(Wide<4>());
        }
      }
      __syncwarp();
      multiply_heads(
          map_rows, map_stride, group_end - group, head_stride, d, projected,
          keys_transposed + group * d, channels, [&](int i, int column, float value) {
            gradient_rows[i * query_stride + at + column] = value;
            if (first + i < tokens.count) {
              dqueries[static_cast<long long>(first + i) * channels + group * d + column] = value;
            }
          });
      __syncthreads();
      add_outer_products(queries + at, query_stride, group_columns, maps, map_stride, d,
                         head_stride, projected, tile, fresh, partials + group_map,
                         [](float map) { return map; });
      __syncthreads();
    }
    add_outer_products(gradients, query_stride, columns, normalized, stride, channels, tile, fresh,
                       partials + 2 * map_size + static_cast<long long>(first_head) * d * channels);
  }
}

/// Rows of dZ and dR, and what each row gives dt1. Four rows of a head a warp.
/// grid = (ceil(d / rows of a block), h, B), dynamic shared memory: rows of (C) twice and of (d).
__device__ void attention_channel_maps_backward(
    const float* __restrict__ sums, const float* gamma, const float* channel_weight,
    const float* maps, const float* products, const float* norms, const float* temperature,
    const float* __restrict__ qkvv_transposed, float* dbranch, float* dproducts,
    float* dtemperatures, float scale, int channels, int heads) {
  DYNAMIC_SHARED(float, shared);
  const int d = channels / heads;
  const int half = channel_weight == nullptr ? 0 : channels / 2;
  const int stride = tile_stride(channels);
  const int map_stride = tile_stride(d);
  float* rows = shared + threadIdx.y * kRows * (2 * stride + map_stride);
  float* factor_rows = rows + kRows * stride;
  float* map_rows = factor_rows + kRows * stride;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= d) return;  // whole warps, and nobody waits for them
  const int head = blockIdx.y;
  const long long item = blockIdx.z;
  const long long square = static_cast<long long>(channels) * channels;
  const int first_channel = head * d;
  const float* query_norms = norms + item * 2 * channels + first_channel;
  const float* key_norms = query_norms + channels;
  const float* h_sums =
      sums + item * (square + kOutputVectors * channels) + static_cast<long long>(half) * channels;
  dbranch += item * square + static_cast<long long>(first_channel + first) * channels;

  if (half > 0) {
    for (int i = 0; i < kRows; i++) {
      for (int o = threadIdx.x; o < half; o += kWarpSize) {
        factor_rows[i * stride + o] =
            first + i < d ? gamma[half + o] * channel_weight[static_cast<long long>(o) * channels +
                                                             first_channel + first + i]
                          : 0.0f;
      }
    }
    __syncwarp();
    multiply(factor_rows, stride, half, h_sums, channels, channels,
             [&](int i, int column, float value) {
               rows[i * stride + column] = value;
               if (first + i < d) dbranch[static_cast<long long>(i) * channels + column] = value;
             });
  } else {
    for (int i = 0; i < kRows; i++) {
      const int c = first_channel + first + i;
      for (int column = threadIdx.x; column < channels; column += kWarpSize) {
        const float value =
            first + i < d ? gamma[c] * h_sums[static_cast<long long>(c) * channels + column] : 0.0f;
        rows[i * stride + column] = value;
        if (first + i < d) dbranch[static_cast<long long>(i) * channels + column] = value;
      }
    }
  }
  __syncwarp();
  multiply(rows, stride, channels, qkvv_transposed + 2 * channels + first_channel, 4ll * channels,
           d, [&](int i, int column, float value) { map_rows[i * map_stride + column] = value; });
  __syncwarp();
  for (int i = 0; i < kRows && first + i < d; i++) {
    float* map = map_rows + i * map_stride;
    const long long row = item * channels + first_channel + first + i;
    float sum = 0.0f;
    for (int column = threadIdx.x; column < d; column += kWarpSize) {
      const float value = maps[row * d + column];
      map[column] = is_dropped(value) ? 0.0f : map[column] * scale;
      sum += fabsf(value) * map[column];
    }
    sum = warp_sum(sum);
    float dtemperature = 0.0f;
    for (int column = threadIdx.x; column < d; column += kWarpSize) {
      const float dlogit = fabsf(maps[row * d + column]) * (map[column] - sum);
      const float over_norms = dlogit / (query_norms[first + i] * key_norms[column]);
      dtemperature += over_norms * products[row * d + column];
      dproducts[row * d + column] = over_norms * temperature[head];
    }
    dtemperature = warp_sum(dtemperature);
    if (threadIdx.x == 0) dtemperatures[row] = dtemperature;
  }
}

/// Rows of the gradient of qkvv, Uq, Uk, and what each row gives dt2. Four rows of a head a warp,
/// the items of the batch one after another.
/// grid = (ceil(d / rows of a block), h), dynamic shared memory: three rows of (d), two of (P).
__device__ void attention_weights_backward(
    const float* __restrict__ qkvv, const float* __restrict__ query_gram,
    const float* __restrict__ key_gram, const float* norms, const float* keys,
    const float* products, const float* dproducts, const float* maps,
    const float* __restrict__ dbranch, const float* sums, const float* __restrict__ sums_transposed,
    const float* temperature, float* dqkvv, float* mixed, float* dtemperatures, float scale,
    int batch, int channels, int heads, int projected, int width) {
  DYNAMIC_SHARED(float, shared);
  const int d = channels / heads;
  const int map_stride = tile_stride(d);
  const int projected_stride = tile_stride(projected);
  float* query_rows = shared + threadIdx.y * kRows * (3 * map_stride + 2 * projected_stride);
  float* key_rows = query_rows + kRows * map_stride;
  float* value_rows = key_rows + kRows * map_stride;
  float* dkey_rows = value_rows + kRows * map_stride;
  float* dvalue_rows = dkey_rows + kRows * projected_stride;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= d) return;  // whole warps, and nobody waits for them
  const int head = blockIdx.y;
  const int first_channel = head * d;
  const long long square = static_cast<long long>(channels) * channels;
  const long long map_size = static_cast<long long>(channels) * projected;
  const long long head_rows = static_cast<long long>(first_channel) * channels;

  for (long long item = 0; item < batch; item++) {
    const float* item_sums = sums + item * (2 * map_size + square);
    const float* item_projections = sums_transposed + item * (width - channels) * channels;
    const float* query_norms = norms + item * 2 * channels + first_channel;
    const float* key_norms = query_norms + channels;
    const long long head_maps = (item * channels + first_channel) * d;
    float query_factors[kRows], key_factors[kRows];  // uq and uk
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      const int row = first + i;
      const bool there = row < d;
      float query_sum = 0.0f;
      float key_sum = 0.0f;
      for (int j = threadIdx.x; j < d; j += kWarpSize) {
        const long long in_row = head_maps + static_cast<long long>(row) * d + j;
        const long long in_column = head_maps + static_cast<long long>(j) * d + row;
        const float row_value = there ? dproducts[in_row] : 0.0f;
        const float column_value = there ? dproducts[in_column] : 0.0f;
        query_rows[i * map_stride + j] = row_value;
        key_rows[i * map_stride + j] = column_value;
        value_rows[i * map_stride + j] = there ? fmaxf(maps[in_column], 0.0f) * scale : 0.0f;
        if (there) {
          query_sum += row_value * products[in_row];
          key_sum += column_value * products[in_column];
        }
      }
      const float query_norm = there ? query_norms[row] : 1.0f;
      const float key_norm = there ? key_norms[row] : 1.0f;
      float dtemperature = 0.0f;
      for (int p = threadIdx.x; p < projected; p += kWarpSize) {
        const long long at = static_cast<long long>(first_channel + row) * projected + p;
        const float dkey = there ? item_sums[at] / query_norm : 0.0f;
        dkey_rows[i * projected_stride + p] = dkey * temperature[head];
        dvalue_rows[i * projected_stride + p] = there ? item_sums[map_size + at] : 0.0f;
        if (there) dtemperature += dkey * keys[item * map_size + at];
      }
      dtemperature = warp_sum(dtemperature);
      query_sum = warp_sum(query_sum) + temperature[head] * dtemperature;
      key_sum = warp_sum(key_sum);
      query_factors[i] = query_norm > kLeastNorm ? -query_sum / (query_norm * query_norm) : 0.0f;
      key_factors[i] = key_norm > kLeastNorm ? -key_sum / (key_norm * key_norm) : 0.0f;
      if (threadIdx.x == 0 && there) {
        dtemperatures[item * channels + first_channel + row] = dtemperature;
      }
    }
    __syncwarp();

    const long long first_row = head_rows + static_cast<long long>(first) * channels;
    // to the rows of slice which of the gradient: a product, and factors times the rows of a matrix
    const auto add_rows = [&](int which, const float* rows, int stride, int terms,
                              const float* matrix, const float* own, const float* factors) {
      float* to = dqkvv + which * square + first_row;
      multiply(rows, stride, terms, matrix, channels, channels,
               [&](int i, int column, float value) {
                 if (first + i >= d) return;
                 const long long at = static_cast<long long>(i) * channels + column;
                 if (own != nullptr) value += factors[i] * own[first_row + at];
                 to[at] += value;
               });
    };
    const float* item_query_gram = query_gram + item * square;
    const float* item_key_gram = key_gram + item * square;
    add_rows(0, query_rows, map_stride, d, item_key_gram + head_rows, item_query_gram,
             query_factors);
    add_rows(1, key_rows, map_stride, d, item_query_gram + head_rows, item_key_gram, key_factors);
    add_rows(1, dkey_rows, projected_stride, projected, item_projections, nullptr, nullptr);
    add_rows(2, value_rows, map_stride, d, dbranch + item * square + head_rows, nullptr, nullptr);
    add_rows(3, dvalue_rows, projected_stride, projected,
             item_projections + (width - channels - projected) * static_cast<long long>(channels),
             nullptr, nullptr);
    for (int i = 0; i < kRows && first + i < d; i++) {  // dQ^T X
      const long long at = first_row + static_cast<long long>(i) * channels;
      for (int column = threadIdx.x; column < channels; column += kWarpSize) {
        dqkvv[at + column] += item_sums[2 * map_size + at + column];
      }
    }

    const auto mix = [&](int which, const float* rows, const float(&factors)[kRows]) {
      const float* own = qkvv + which * square + first_row;
      float* to = mixed + (item * 2 + which) * square + first_row;
      multiply(rows, map_stride, d, qkvv + (1 - which) * square + head_rows, channels, channels,
               [&](int i, int column, float value) {
                 if (first + i >= d) return;
                 const long long at = static_cast<long long>(i) * channels + column;
                 to[at] = value + factors[i] * own[at];
               });
    };
    mix(0, query_rows, query_factors);
    mix(1, key_rows, key_factors);
  }
}

/// Rows of D and dY; four rows a warp. dY of keys and of values are one where they have one
/// projection: dprojections (B, C, width - C), and transposed.
/// grid = (ceil(C / rows of a block), B), dynamic shared memory: rows of (2 C).
__device__ void attention_sums_backward(const float* __restrict__ qkvv_transposed,
                                        const float* __restrict__ mixed, const float* norms,
                                        const float* temperature, const float* __restrict__ sums,
                                        float* dsums, float* dprojections,
                                        float* dprojections_transposed, int channels, int heads,
                                        int projected, int width) {
  DYNAMIC_SHARED(float, shared);
  const int stride = tile_stride(2 * channels);
  float* rows = shared + threadIdx.y * kRows * stride;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= channels) return;  // whole warps, and nobody waits for them
  const long long item = blockIdx.y;
  const int d = channels / heads;
  const long long square = static_cast<long long>(channels) * channels;
  const long long map_size = static_cast<long long>(channels) * projected;
  const int columns = width - channels;
  sums += item * (2 * map_size + square);
  dprojections += item * channels * columns;
  dprojections_transposed += item * channels * columns;

  load_rows(qkvv_transposed, 4ll * channels, first, channels, 2 * channels, rows, stride);
  __syncwarp();
  multiply(rows, stride, 2 * channels, mixed + item * 2 * square, channels, channels,
           [&](int i, int column, float value) {
             if (first + i >= channels) return;
             dsums[item * square + static_cast<long long>(first + i) * channels + column] = value;
           });
  __syncwarp();
  for (int i = 0; i < kRows; i++) {
    const float* weights = qkvv_transposed + static_cast<long long>(first + i) * 4 * channels;
    for (int c = threadIdx.x; c < channels; c += kWarpSize) {
      const bool there = first + i < channels;
      const float norm = norms[item * 2 * channels + c];
      rows[i * stride + c] = there ? weights[channels + c] * (temperature[c / d] / norm) : 0.0f;
      rows[i * stride + channels + c] = there ? weights[3 * channels + c] : 0.0f;
    }
  }
  __syncwarp();
  const auto store = [&](int first_column) {
    return [&, first_column](int i, int p, float value) {
      const int c = first + i;
      if (c >= channels) return;
      const int column = first_column + p;
      dprojections[static_cast<long long>(c) * columns + column] = value;
      dprojections_transposed[static_cast<long long>(column) * channels + c] = value;
    };
  };
  if (columns == projected) {  // dKs and dVp lie one behind the other
    multiply(rows, stride, 2 * channels, sums, projected, projected, store(0));
  } else {
    multiply(rows, stride, channels, sums, projected, projected, store(0));
    __syncwarp();
    for (int i = 0; i < kRows; i++) {
      for (int c = threadIdx.x; c < channels; c += kWarpSize) {
        rows[i * stride + c] = rows[i * stride + channels + c];
      }
    }
    __syncwarp();
    multiply(rows, stride, channels, sums + map_size, projected, projected, store(projected));
  }
}

/// Adds the gradients of the output layers' rows and of gamma; four rows a warp, the items of the
/// batch one after another. Without output layers, out_weight is null and outputs is Z.
/// grid = ceil(C or C / 2 / rows of a block), dynamic shared memory: rows of (C).
__device__ void attention_output_weights_backward(const float* sums, const float* gamma,
                                                  const float* out_weight, const float* out_bias,
                                                  const float* map_bias, const float* outputs,
                                                  const float* __restrict__ branch_transposed,
                                                  float* dout_weight, float* dout_bias,
                                                  float* dmap_weight, float* dmap_bias,
                                                  float* dgamma, int batch, int channels) {
  DYNAMIC_SHARED(float, shared);
  const int half = out_weight == nullptr ? 0 : channels / 2;
  const int count = channels - half;
  const int stride = tile_stride(channels);
  float* rows = shared + threadIdx.y * kRows * stride;
  const int first = (blockIdx.x * blockDim.y + threadIdx.y) * kRows;
  if (first >= count) return;  // whole warps, and nobody waits for them
  const long long square = static_cast<long long>(channels) * channels;

  for (int item = 0; item < batch; item++) {
    const float* item_sums = sums + item * (square + kOutputVectors * channels);
    const float* sums_of_dy = item_sums + square;
    for (int i = 0; i < kRows && first + i < count; i++) {
      const int o = first + i;
      const long long row = static_cast<long long>(o) * channels;
      const float* h_sums = item_sums + static_cast<long long>(half + o) * channels;
      const float* map = outputs + (static_cast<long long>(item) * count + o) * channels;
      float map_sum = 0.0f;
      float out_sum = 0.0f;
      for (int c = threadIdx.x; c < channels; c += kWarpSize) {
        map_sum += h_sums[c] * map[c];
        if (half > 0) {
          out_sum += item_sums[row + c] * out_weight[row + c];
          dout_weight[row + c] += gamma[o] * item_sums[row + c];
        }
      }
      map_sum = warp_sum(map_sum);
      out_sum = warp_sum(out_sum);
      if (threadIdx.x != 0) continue;
      if (half > 0) {
        dgamma[o] += out_sum + out_bias[o] * sums_of_dy[o];
        dgamma[half + o] += map_sum + map_bias[o] * sums_of_dy[half + o];
        dout_bias[o] += gamma[o] * sums_of_dy[o];
        dmap_bias[o] += gamma[half + o] * sums_of_dy[half + o];
      } else {
        dgamma[o] += map_sum + sums_of_dy[channels + o];
      }
    }
    if (half == 0) continue;
    __syncwarp();
    load_rows(item_sums + half * static_cast<long long>(channels), channels, first, half, channels,
              rows, stride);
    __syncwarp();
    multiply(rows, stride, channels, branch_transposed + item * square, channels, channels,
             [&](int i, int column, float value) {
               const int o = first + i;
               if (o >= half) return;
               dmap_weight[static_cast<long long>(o) * channels + column] +=
                   gamma[half + o] * value;
             });
  }
}

/// dx and what it gives positions and the projections along tokens, a tile of tokens a block, the
/// items of the batch one after another; sums for the normalization to partials (tiles, 2, C).
/// grid = tiles, dynamic shared memory: tiles of (C) for X, dQ, g and dX, of (width - C) for E, of
/// (P) for dE, and two rows of (C) a warp.
template <typename T>
__device__ void attention_input_backward(
    const Tokens<T>& tokens_of_first, const T* dy, const float* gamma,
    const float* __restrict__ qkvv, const float* __restrict__ dqueries,
    const float* __restrict__ dsums, const float* __restrict__ outputs, const float* keys,
    const float* values, const float* __restrict__ dprojections,
    const float* __restrict__ dprojections_transposed, T* dx, float* dpositions, float* dkeys,
    float* dvalues, float* partials, int batch, int projected, int token_major, int half) {
  DYNAMIC_SHARED(float, shared);
  const int channels = tokens_of_first.channels;
  const int count = tokens_of_first.count;
  const int tile = blockDim.y * kRows;
  const int stride = tile_stride(channels);
  const int columns = (values == nullptr ? 1 : 2) * projected;
  const int weight_stride = tile_stride(columns);
  const int dweight_stride = tile_stride(projected);
  float* weights = shared + 4 * tile * stride;
  float* dweights = weights + tile * weight_stride;
  float* norm_sums = dweights + tile * dweight_stride;
  const int warp_row = threadIdx.y * kRows;
  float* rows = shared + warp_row * stride;
  float* query_rows = rows + tile * stride;
  float* output_rows = query_rows + tile * stride;
  float* gradient_rows = output_rows + tile * stride;
  const float* weight_rows = weights + warp_row * weight_stride;
  float* dweight_rows = dweights + warp_row * dweight_stride;
  float* gamma_sums = norm_sums + threadIdx.y * 2 * channels;
  float* beta_sums = gamma_sums + channels;
  const int tile_first = blockIdx.x * tile;
  const int first = tile_first + warp_row;
  const long long square = static_cast<long long>(channels) * channels;

  // token t and column p of a task of a whole tile; memory is read along what lies together
  const auto token_of = [&](int task, int wide) { return token_major ? task / wide : task % tile; };
  const auto column_of = [&](int task, int wide) {
    return token_major ? task % wide : task / tile;
  };
  const auto place = [&](int token, int p) {
    return token_major ? static_cast<long long>(token) * projected + p
                       : static_cast<long long>(p) * count + token;
  };
  for (int task = thread_in_block(); task < tile * columns; task += block_threads()) {
    const int t = token_of(task, columns);
    const int column = column_of(task, columns);
    const float* weight = column < projected ? keys : values;
    const int p = column < projected ? column : column - projected;
    const int token = tile_first + t;
    weights[t * weight_stride + column] = token < count ? weight[place(token, p)] : 0.0f;
  }
  for (int c = threadIdx.x; c < 2 * channels; c += kWarpSize) gamma_sums[c] = 0.0f;
  __syncthreads();

  for (int item = 0; item < batch; item++) {
    const long long item_at = static_cast<long long>(item) * count * channels;
    const float* item_dprojections =
        dprojections_transposed + item * static_cast<long long>(columns) * channels;
    Tokens<T> tokens = tokens_of_first;
    tokens.x += item_at;
    float2 statistics[kRows];
    __syncwarp();
    tokens.load(first, rows, stride, statistics);
    load_rows(dqueries + item_at, channels, first, count, channels, query_rows, stride);
    for (int i = 0; i < kRows; i++) {
      const long long at = item_at + static_cast<long long>(first + i) * channels;
      for (int c = half + threadIdx.x; c < channels; c += kWarpSize) {
        output_rows[i * stride + c - half] =
            first + i < count ? gamma[c] * to_float(dy[at + c]) : 0.0f;
      }
    }
    __syncwarp();
    each_run(channels, [&](auto wide, int run) {
      constexpr int kWide = decltype(wide)::value;
      float sums[kRows][kWide] = {};
      add_products<kWide>(query_rows, stride, channels, qkvv, channels, run, channels, sums);
      add_products<kWide>(rows, stride, channels, dsums + item * square, channels, run, channels,
                          sums);
      add_products<kWide>(output_rows, stride, channels - half,
                          outputs + item * static_cast<long long>(channels - half) * channels,
                          channels, run, channels, sums);
      add_products<kWide>(weight_rows, weight_stride, columns, item_dprojections, channels, run,
                          channels, sums);
#pragma unroll
      for (int i = 0; i < kRows; i++) {
#pragma unroll
        for (int j = 0; j < kWide; j++) {
          const int c = run + static_cast<int>(threadIdx.x) + j * kWarpSize;
          if (c < channels) gradient_rows[i * stride + c] = sums[i][j];
        }
      }
    });

#pragma unroll
    for (int i = 0; i < kRows; i++) {
      if (first + i >= count) break;
      const long long position = static_cast<long long>(first + i) * channels;
      const float mean = statistics[i].x;
      const float rstd = statistics[i].y;
      const float* gradient = gradient_rows + i * stride;
      float sum = 0.0f;
      float product = 0.0f;
      for (int c = threadIdx.x; c < channels; c += kWarpSize) {
        const float scaled =
            (to_float(tokens.x[position + c]) + tokens.positions[position + c] - mean) * rstd;
        gamma_sums[c] += gradient[c] * scaled;
        beta_sums[c] += gradient[c];
        sum += gradient[c] * tokens.gamma[c];
        product += gradient[c] * tokens.gamma[c] * scaled;
      }
      const float mean_gradient = warp_sum(sum) / channels;
      const float mean_product = warp_sum(product) / channels;
      for (int c = threadIdx.x; c < channels; c += kWarpSize) {
        const float scaled =
            (to_float(tokens.x[position + c]) + tokens.positions[position + c] - mean) * rstd;
        const float through =
            rstd * (gradient[c] * tokens.gamma[c] - mean_gradient - scaled * mean_product);
        const float dt = to_float(dy[item_at + position + c]) + through;
        dpositions[position + c] += dt;
        if (dx != nullptr) dx[item_at + position + c] = from_float<T>(dt);
      }
    }

    for (int which = 0; which < columns / projected; which++) {
      multiply(rows, stride, channels,
               dprojections + item * static_cast<long long>(columns) * channels + which * projected,
               columns, projected,
               [&](int i, int p, float value) { dweight_rows[i * dweight_stride + p] = value; });
      __syncthreads();
      float* to = which == 0 ? dkeys : dvalues;
      for (int task = thread_in_block(); task < tile * projected; task += block_threads()) {
        const int t = token_of(task, projected);
        const int p = column_of(task, projected);
        if (tile_first + t < count) {
          to[place(tile_first + t, p)] += dweights[t * dweight_stride + p];
        }
      }
      __syncthreads();
    }
  }
  for (int c = thread_in_block(); c < 2 * channels; c += block_threads()) {
    float sum = 0.0f;
    for (int warp = 0; warp < static_cast<int>(blockDim.y); warp++) {
      sum += norm_sums[warp * 2 * channels + c];
    }
    partials[static_cast<long long>(blockIdx.x) * 2 * channels + c] = sum;
  }
}

}  // namespace

ENTRY_BLOCKS(attention_channel_maps_backward_f32, 128, 1, const float* sums, const float* gamma,
             const float* channel_weight, const float* maps, const float* products,
             const float* norms, const float* temperature, const float* qkvv_transposed,
             float* dbranch, float* dproducts, float* dtemperatures, float scale, int channels,
             int heads) {
  attention_channel_maps_backward(sums, gamma, channel_weight, maps, products, norms, temperature,
                                  qkvv_transposed, dbranch, dproducts, dtemperatures, scale,
                                  channels, heads);
}

ENTRY_BLOCKS(attention_weights_backward_f32, 128, 1, const float* qkvv, const float* query_gram,
             const float* key_gram, const float* norms, const float* keys, const float* products,
             const float* dproducts, const float* maps, const float* dbranch, const float* sums,
             const float* sums_transposed, const float* temperature, float* dqkvv, float* mixed,
             float* dtemperatures, float scale, int batch, int channels, int heads, int projected,
             int width) {
  attention_weights_backward(qkvv, query_gram, key_gram, norms, keys, products, dproducts, maps,
                             dbranch, sums, sums_transposed, temperature, dqkvv, mixed,
                             dtemperatures, scale, batch, channels, heads, projected, width);
}

ENTRY_BLOCKS(attention_sums_backward_f32, 256, 1, const float* qkvv_transposed, const float* mixed,
             const float* norms, const float* temperature, const float* sums, float* dsums,
             float* dprojections, float* dprojections_transposed, int channels, int heads,
             int projected, int width) {
  attention_sums_backward(qkvv_transposed, mixed, norms, temperature, sums, dsums, dprojections,
                          dprojections_transposed, channels, heads, projected, width);
}

ENTRY_BLOCKS(attention_output_weights_backward_f32, 128, 1, const float* sums, const float* gamma,
             const float* out_weight, const float* out_bias, const float* map_bias,
             const float* outputs, const float* branch_transposed, float* dout_weight,
             float* dout_bias, float* dmap_weight, float* dmap_bias, float* dgamma, int batch,
             int channels) {
  attention_output_weights_backward(sums, gamma, out_weight, out_bias, map_bias, outputs,
                                    branch_transposed, dout_weight, dout_bias, dmap_weight,
                                    dmap_bias, dgamma, batch, channels);
}

/// Adds the gradients of the projections' biases and of the temperatures, each a sum over channels
/// and items by one thread, in double. Both biases may be the same, or null.
ENTRY_BLOCKS(attention_scalars_backward_f32, 128, 1, const float* sums, const float* norms,
             const float* temperature2, const float* row_temperatures,
             const float* row_temperatures2, float* dtemperature, float* dtemperature2,
             float* dkeys_bias, float* dvalues_bias, int batch, int channels, int heads,
             int projected) {
  const int i = static_cast<int>(thread_in_grid());
  const int d = channels / heads;
  const long long map_size = static_cast<long long>(channels) * projected;
  const long long item_size = 2 * map_size + static_cast<long long>(channels) * channels;
  if (i < heads) {
    double sum = 0.0;
    double sum2 = 0.0;
    for (int item = 0; item < batch; item++) {
      for (int c = i * d; c < (i + 1) * d; c++) {
        sum += row_temperatures[item * channels + c];
        sum2 += row_temperatures2[item * channels + c];
      }
    }
    dtemperature[i] += static_cast<float>(sum);
    dtemperature2[i] += static_cast<float>(sum2);
  }
  if (i < projected && dkeys_bias != nullptr) {
    double sum = 0.0;
    for (int item = 0; item < batch; item++) {
      for (int c = 0; c < channels; c++) {
        const float factor = temperature2[c / d] / norms[item * 2 * channels + c];
        sum += sums[item * item_size + static_cast<long long>(c) * projected + i] * factor;
      }
    }
    dkeys_bias[i] += static_cast<float>(sum);
  }
  if (i < projected && dvalues_bias != nullptr) {
    double sum = 0.0;
    for (int item = 0; item < batch; item++) {
      for (int c = 0; c < channels; c++) {
        sum += sums[item * item_size + map_size + static_cast<long long>(c) * projected + i];
      }
    }
    dvalues_bias[i] += static_cast<float>(sum);
  }
}

#define ATTENTION_BACKWARD(suffix, T)                                                              \
  ENTRY_BLOCKS(attention_output_backward_##suffix, 256, 1, const T* x, const float* positions,     \
               const float* norm_gamma, const float* norm_beta, const T* dy, const float* gamma,   \
               const float* out_weight, const float* spatial, float* dspatial, float* partials,    \
               int tokens, int channels, int block_tiles, float epsilon) {                         \
    const long long item = static_cast<long long>(blockIdx.z) * tokens * channels;                 \
    attention_output_backward<T>(                                                                  \
        {x + item, positions, norm_gamma, norm_beta, tokens, channels, epsilon}, dy, gamma,        \
        out_weight, spatial, dspatial, partials, block_tiles);                                     \
  }                                                                                                \
  ENTRY_BLOCKS(attention_tokens_backward_##suffix, 256, 1, const T* x, const float* positions,     \
               const float* norm_gamma, const float* norm_beta, const float* qkvv_transposed,      \
               const float* keys, const float* keys_transposed, const float* values,               \
               const float* dspatial, float* dqueries, float* partials, MASK_PARAMETERS,           \
               int tokens, int channels, int heads, int projected, int block_heads,                \
               int group_heads, int block_tiles, float epsilon) {                                  \
    const long long item = static_cast<long long>(blockIdx.z) * tokens * channels;                 \
    attention_tokens_backward<T>(                                                                  \
        {x + item, positions, norm_gamma, norm_beta, tokens, channels, epsilon}, qkvv_transposed,  \
        keys, keys_transposed, values, dspatial, dqueries, partials, MASK_ARGUMENT, heads,         \
        projected, block_heads, group_heads, block_tiles);                                         \
  }                                                                                                \
  ENTRY_BLOCKS(attention_input_backward_##suffix, 256, 1, const T* x, const float* positions,      \
               const float* norm_gamma, const float* norm_beta, const T* dy, const float* gamma,   \
               const float* qkvv, const float* dqueries, const float* dsums, const float* outputs, \
               const float* keys, const float* values, const float* dprojections,                  \
               const float* dprojections_transposed, T* dx, float* dpositions, float* dkeys,       \
               float* dvalues, float* partials, int batch, int tokens, int channels,               \
               int projected, int token_major, int half, float epsilon) {                          \
    attention_input_backward<T>({x, positions, norm_gamma, norm_beta, tokens, channels, epsilon},  \
                                dy, gamma, qkvv, dqueries, dsums, outputs, keys, values,           \
                                dprojections, dprojections_transposed, dx, dpositions, dkeys,      \
                                dvalues, partials, batch, projected, token_major, half);           \
  }

ATTENTION_BACKWARD(f32, float)
ATTENTION_BACKWARD(bf16, bfloat16)
