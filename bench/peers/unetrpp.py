"""UNETR++ in plain PyTorch, for comparing speed and values with the engine.

A network is a `Configuration`; its state has the names, order and shapes of published checkpoints. Shapes in
comments: B batch, C channels, N tokens, P projected tokens, h heads, d channels of a head.
`deterministic` fills a tensor from its name alone, so that every side of a comparison has the same weights.
"""

from dataclasses import dataclass, replace
from typing import Tuple

import numpy
import torch
from torch import nn
from torch.nn import functional

HEADS = 4


@dataclass(frozen=True)
class Configuration:
    """All that makes one network differ from another; extents are slice axis first."""

    in_channels: int
    classes: int
    patch: Tuple[int, int, int]
    stem: Tuple[int, int, int]
    projection: str  # "shared linear", "separate linear" or "shared matrix"
    residual_convolutions: int
    attention_dropout: float
    channel_dropout: float = 0.1
    widths: Tuple[int, ...] = (32, 64, 128, 256)
    depths: Tuple[int, ...] = (3, 3, 3, 3)
    decoder_depth: int = 3
    projected_tokens: Tuple[int, ...] = (64, 64, 64, 32)
    decoder_projected_tokens: int = 64
    feature_size: int = 16

    def tiny(self, patch):
        """The same network with a quarter of the channels and fewer blocks, on another patch."""
        return replace(
            self, patch=tuple(patch), widths=(8, 16, 32, 64), depths=(1, 2, 1, 1), decoder_depth=1, feature_size=4
        )

    def grid(self, stage):
        """Tokens along the axes of an encoder stage, 0 to 3."""
        return tuple(extent // stride // 2**stage for extent, stride in zip(self.patch, self.stem))

    def tokens(self, stage):
        depth, height, width = self.grid(stage)
        return depth * height * width


PUBLISHED = {
    "synapse": Configuration(1, 14, (64, 128, 128), (2, 4, 4), "shared linear", 1, 0.15),
    "acdc": Configuration(1, 4, (16, 160, 160), (1, 4, 4), "separate linear", 2, 0.1),
    "lung": Configuration(1, 2, (32, 192, 192), (1, 4, 4), "separate linear", 2, 0.1),
    "tumor": Configuration(4, 4, (128, 128, 128), (4, 4, 4), "shared matrix", 1, 0.1),
}


class Convolution(nn.Module):
    """A convolution behind one more level of names: `conv.weight`."""

    def __init__(self, from_channels, to_channels, kernel, stride=1, bias=False):
        super().__init__()
        padding = 1 if kernel == 3 else 0
        self.conv = nn.Conv3d(from_channels, to_channels, kernel, stride, padding, bias=bias)

    def forward(self, x):
        return self.conv(x)


class Upsampling(nn.Module):
    """A transposed convolution whose kernel is its stride."""

    def __init__(self, from_channels, to_channels, stride):
        super().__init__()
        self.conv = nn.ConvTranspose3d(from_channels, to_channels, stride, stride, bias=False)

    def forward(self, x):
        return self.conv(x)


class Head(nn.Module):
    """Logits from features: a 1x1x1 convolution with bias."""

    def __init__(self, from_channels, classes):
        super().__init__()
        self.conv = Convolution(from_channels, classes, 1, bias=True)

    def forward(self, x):
        return self.conv(x)


class ResidualBlock(nn.Module):
    """Two normalized 3x3x3 convolutions beside a skip, which is projected where the channels change."""

    def __init__(self, from_channels, to_channels, normalization):
        super().__init__()
        self.conv1 = Convolution(from_channels, to_channels, 3)
        self.conv2 = Convolution(to_channels, to_channels, 3)
        self.lrelu = nn.LeakyReLU(0.01)
        self.norm1 = normalization(to_channels)
        self.norm2 = normalization(to_channels)
        if from_channels != to_channels:
            self.conv3 = Convolution(from_channels, to_channels, 1)
            self.norm3 = normalization(to_channels)

    def forward(self, x):
        y = self.lrelu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        skip = self.norm3(self.conv3(x)) if hasattr(self, "conv3") else x
        return self.lrelu(y + skip)


class PairedAttention(nn.Module):
    """Efficient paired attention: channel and spatial attention with the same queries and keys."""

    def __init__(self, channels, tokens, projected_tokens, projection, dropout):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.temperature2 = nn.Parameter(torch.ones(HEADS, 1, 1))
        if projection == "shared matrix":
            self.EF = nn.Parameter(torch.zeros(tokens, projected_tokens))
        self.qkvv = nn.Linear(channels, 4 * channels, bias=False)
        if projection != "shared matrix":
            self.E = nn.Linear(tokens, projected_tokens)
            self.F = self.E if projection == "shared linear" else nn.Linear(tokens, projected_tokens)
        self.attn_drop = nn.Dropout(dropout)
        self.attn_drop_2 = nn.Dropout(dropout)
        if projection != "shared matrix":
            self.out_proj = nn.Linear(channels, channels // 2)
            self.out_proj2 = nn.Linear(channels, channels // 2)

    def forward(self, x):  # (B, N, C)
        batch, tokens, channels = x.shape
        slices = self.qkvv(x).reshape(batch, tokens, 4, HEADS, channels // HEADS)
        query, key, channel_value, spatial_value = slices.permute(2, 0, 3, 4, 1).unbind(0)  # (B, h, d, N)
        if hasattr(self, "EF"):
            projected_key = key @ self.EF  # (B, h, d, P)
            projected_value = spatial_value @ self.EF
        else:
            projected_key = self.E(key)
            projected_value = self.F(spatial_value)
        query = functional.normalize(query, dim=-1)
        key = functional.normalize(key, dim=-1)

        channel_map = self.attn_drop(((query @ key.transpose(-2, -1)) * self.temperature).softmax(-1))
        channel_branch = (channel_map @ channel_value).permute(0, 3, 1, 2).reshape(batch, tokens, channels)

        spatial_map = self.attn_drop_2(
            ((query.transpose(-2, -1) @ projected_key) * self.temperature2).softmax(-1)  # (B, h, N, P)
        )
        spatial = spatial_map @ projected_value.transpose(-2, -1)  # (B, h, N, d)
        # As published, the memory of (B, d, h, N) is read as (B, N, C), not transposed back.
        spatial_branch = spatial.permute(0, 3, 1, 2).reshape(batch, tokens, channels)

        if hasattr(self, "EF"):
            return channel_branch + spatial_branch
        return torch.cat((self.out_proj(spatial_branch), self.out_proj2(channel_branch)), dim=-1)


class TransformerBlock(nn.Module):
    """Paired attention over the tokens, then residual convolutions over the volume."""

    def __init__(self, configuration, stage, projected_tokens):
        super().__init__()
        channels = configuration.widths[stage]
        tokens = configuration.tokens(stage)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, channels))
        self.norm = nn.LayerNorm(channels)
        self.epa_block = PairedAttention(
            channels, tokens, projected_tokens, configuration.projection, configuration.attention_dropout
        )
        self.conv51 = ResidualBlock(channels, channels, nn.BatchNorm3d)
        if configuration.residual_convolutions == 2:
            self.conv52 = ResidualBlock(channels, channels, nn.BatchNorm3d)
        self.conv8 = nn.Sequential(nn.Dropout3d(configuration.channel_dropout), nn.Conv3d(channels, channels, 1))

    def forward(self, volume):  # (B, C, D, H, W)
        tokens = volume.flatten(2).transpose(1, 2) + self.pos_embed  # (B, N, C)
        attended = tokens + self.gamma * self.epa_block(self.norm(tokens))
        skip = attended.transpose(1, 2).reshape(volume.shape)
        y = self.conv51(skip)
        if hasattr(self, "conv52"):
            y = self.conv52(y)
        return skip + self.conv8(y)


class Encoder(nn.Module):
    """Four stages of patch embedding and transformer blocks."""

    def __init__(self, configuration):
        super().__init__()
        channels = (configuration.in_channels,) + configuration.widths
        self.downsample_layers = nn.ModuleList(
            nn.Sequential(
                Convolution(channels[stage], channels[stage + 1], stride, stride),
                nn.GroupNorm(channels[stage], channels[stage + 1]),
            )
            for stage, stride in enumerate((configuration.stem, (2, 2, 2), (2, 2, 2), (2, 2, 2)))
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(TransformerBlock(configuration, stage, projected) for _ in range(depth)))
            for stage, (depth, projected) in enumerate(zip(configuration.depths, configuration.projected_tokens))
        )

    def forward(self, x):
        outputs = []
        for embedding, blocks in zip(self.downsample_layers, self.stages):
            x = blocks(embedding(x))
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    """Upsampling, the encoder's skip, then blocks."""

    def __init__(self, from_channels, to_channels, stride, block):
        super().__init__()
        self.transp_conv = Upsampling(from_channels, to_channels, stride)
        self.decoder_block = nn.ModuleList([block])

    def forward(self, x, skip):
        return self.decoder_block[0](self.transp_conv(x) + skip)


class Network(nn.Module):
    """UNETR++; returns the logits at full resolution, or those of all three heads with `all_heads`."""

    def __init__(self, configuration):
        super().__init__()
        widths = configuration.widths
        features = configuration.feature_size
        self.all_heads = False
        self.unetr_pp_encoder = Encoder(configuration)
        self.encoder1 = ResidualBlock(configuration.in_channels, features, nn.InstanceNorm3d)

        def decoder(stage):
            projected = configuration.decoder_projected_tokens
            blocks = (TransformerBlock(configuration, stage, projected) for _ in range(configuration.decoder_depth))
            return Decoder(widths[stage + 1], widths[stage], (2, 2, 2), nn.Sequential(*blocks))

        self.decoder5 = decoder(2)
        self.decoder4 = decoder(1)
        self.decoder3 = decoder(0)
        self.decoder2 = Decoder(
            widths[0], features, configuration.stem, ResidualBlock(features, features, nn.InstanceNorm3d)
        )
        self.out1 = Head(features, configuration.classes)
        self.out2 = Head(widths[0], configuration.classes)
        self.out3 = Head(widths[1], configuration.classes)

    def forward(self, x):
        stage0, stage1, stage2, stage3 = self.unetr_pp_encoder(x)
        full = self.encoder1(x)
        decoded2 = self.decoder5(stage3, stage2)
        decoded1 = self.decoder4(decoded2, stage1)
        decoded0 = self.decoder3(decoded1, stage0)
        logits = self.out1(self.decoder2(decoded0, full))
        if self.all_heads:
            return logits, self.out2(decoded0), self.out3(decoded1)
        return logits


def deterministic(key, shape, center, half_width, salt=""):
    """A float32 array whose elements are uniform in center +- half_width and follow from `key` alone.

    SplitMix64 with FNV-1a of salt + key as the seed, one draw per element in row-major order.
    """
    seed = 0xCBF29CE484222325
    for byte in (salt + key).encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    count = int(numpy.prod(shape, dtype=numpy.int64))
    golden = numpy.uint64(0x9E3779B97F4A7C15)
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(1)) * golden
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> numpy.uint64(31))) >> numpy.uint64(40)
    unit = z.astype(numpy.float64) / 2**24
    return (center + half_width * (2 * unit - 1)).astype(numpy.float32).reshape(shape)


def _range(key, shape, transposed):
    """Center and half width of the state entry named `key`."""
    last = key.rsplit(".", 1)[-1]
    by_name = {
        "temperature": (1.0, 0.3),
        "temperature2": (1.0, 0.3),
        "gamma": (0.5, 0.5),
        "pos_embed": (0.0, 0.2),
        "running_mean": (0.0, 0.2),
        "running_var": (1.0, 0.5),
        "bias": (0.0, 0.2),
    }
    if last in by_name:
        return by_name[last]
    if last == "EF":
        return 0.0, (3 / shape[0]) ** 0.5
    if len(shape) == 1:
        return 1.0, 0.2
    fan_in = shape[0] if transposed else int(numpy.prod(shape[1:]))
    return 0.0, (3 / fan_in) ** 0.5


def fill(network, salt=""):
    """Gives every tensor of `network` its deterministic values; a shared layer takes those of its first name."""
    filled = set()
    for key, tensor in network.state_dict(keep_vars=True).items():
        if key.endswith("num_batches_tracked") or id(tensor) in filled:
            continue
        filled.add(id(tensor))
        center, half_width = _range(key, tuple(tensor.shape), ".transp_conv." in key)
        values = deterministic(key, tuple(tensor.shape), center, half_width, salt)
        tensor.data.copy_(torch.from_numpy(values))


def deterministic_input(configuration, salt=""):
    """The network's deterministic input, (1, C, D, H, W) of float32."""
    shape = (1, configuration.in_channels) + configuration.patch
    return torch.from_numpy(deterministic("input", shape, 0.0, 3**0.5, salt))
