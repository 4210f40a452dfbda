// Weights of convolutions between the order of checkpoints and the order that cuDNN reads for
// channels-last activations.
//
//   packed[o,t,i] = weight[o,i,t]        dweight[o,i,t] += packed[o,t,i]
//
// Shapes   weight, dweight (Cout, Cin, taps) of float, taps = kD kH kW; packed (Cout, taps, Cin) of
//          T, which is K, T, R, S, C in cuDNN's letters.
// Launch   one block for each tile of 32 inputs x 32 taps of one output channel:
//          grid = Cout * ceil(Cin / 32) * ceil(taps / 32), block = (32, 8), 4.2 KB shared memory.
// Traffic  Cout * Cin * taps * (4 + sizeof(T)) bytes to pack, (8 + sizeof(T)) to add.
// Numerics pack rounds to T; adding is in float, one writer for each value.
// Launcher org.unetrpp.backend.cuda.WeightKernels#pack, #addUnpacked
#include "common.cuh"

namespace {

constexpr int kTile = 32;
constexpr int kTileRows = 8;  // of threads: each handles kTile / kTileRows rows of a tile

// The part of the weights that a block handles.
struct Tile {
  long long output;  // first value of the output channel, in either order
  int input;         // first input channel
  int tap;           // first tap
};

__device__ __forceinline__ Tile block_tile(int inputs, int taps) {
  const int input_tiles = (inputs + kTile - 1) / kTile;
  const int tap_tiles = (taps + kTile - 1) / kTile;
  const int tiles = input_tiles * tap_tiles;
  const int tile = static_cast<int>(blockIdx.x) % tiles;
  const long long channel = static_cast<int>(blockIdx.x) / tiles;
  return {channel * inputs * taps, tile / tap_tiles * kTile, tile % tap_tiles * kTile};
}

template <typename T>
__device__ void weights_pack(const float* __restrict__ weight, T* __restrict__ packed, int inputs,
                             int taps) {
  __shared__ float values[kTile][kTile + 1];  // by input and tap; the padding spreads the banks
  const Tile tile = block_tile(inputs, taps);
  const int x = threadIdx.x;

  for (int row = threadIdx.y; row < kTile; row += kTileRows) {
    const int input = tile.input + row;
    const int tap = tile.tap + x;
    if (input < inputs && tap < taps) {
      values[row][x] = weight[tile.output + static_cast<long long>(input) * taps + tap];
    }
  }
  __syncthreads();
  for (int row = threadIdx.y; row < kTile; row += kTileRows) {
    const int tap = tile.tap + row;
    const int input = tile.input + x;
    if (input < inputs && tap < taps) {
      packed[tile.output + static_cast<long long>(tap) * inputs + input] =
          from_float<T>(values[x][row]);
    }
  }
}

template <typename T>
__device__ void weights_add_unpacked(const T* __restrict__ packed, float* __restrict__ dweight,
                                     int inputs, int taps) {
  __shared__ float values[kTile][kTile + 1];  // by tap and input
  const Tile tile = block_tile(inputs, taps);
  const int x = threadIdx.x;

  for (int row = threadIdx.y; row < kTile; row += kTileRows) {
    const int tap = tile.tap + row;
    const int input = tile.input + x;
    if (input < inputs && tap < taps) {
      values[row][x] = to_float(packed[tile.output + static_cast<long long>(tap) * inputs + input]);
    }
  }
  __syncthreads();
  for (int row = threadIdx.y; row < kTile; row += kTileRows) {
    const int input = tile.input + row;
    const int tap = tile.tap + x;
    if (input < inputs && tap < taps) {
      dweight[tile.output + static_cast<long long>(input) * taps + tap] += values[x][row];
    }
  }
}

}  // namespace

#define WEIGHTS(suffix, T)                                                                  \
  ENTRY(weights_pack_##suffix, 256, const float* weight, T* packed, int inputs, int taps) { \
    weights_pack<T>(weight, packed, inputs, taps);                                          \
  }                                                                                         \
  ENTRY(weights_add_unpacked_##suffix, 256, const T* packed, float* dweight, int inputs,    \
        int taps) {                                                                         \
    weights_add_unpacked<T>(packed, dweight, inputs, taps);                                 \
  }

WEIGHTS(f32, float)
WEIGHTS(bf16, bfloat16)
