#!/usr/bin/env python3
"""Two kernels of kernels/ by themselves: prototypes.py FOLDER_OF_CUBINS

Each is held against float64 on fresh random inputs, with outputs that are NaN before, then timed. A JSON object in a
line for each; `ok` says whether the relative error is within the bound.
"""

import ctypes
import json
import pathlib
import sys

import torch

import ceilings
import driver

BOUND = 4e-3  # bfloat16 operands, float accumulation


def packed_weights(weight):
    """(16, 16, 3, 3, 3) as the registers of each lane and tap hold it, (27, 32, 4, 2)."""
    lane = torch.arange(32)
    group, quarter = lane // 4, lane % 4
    taps = weight.reshape(16, 16, 27).permute(2, 0, 1)  # tap, out, in
    packed = torch.empty((27, 32, 4, 2), dtype=weight.dtype, device=weight.device)
    for register in range(4):
        out = group + 8 * (register & 1)
        first = 2 * quarter + 8 * (register >> 1)
        for half in range(2):
            packed[:, :, register, half] = taps[:, out.to(weight.device), (first + half).to(weight.device)]
    return packed.contiguous()


def convolution_reference(x, scale_shift, weight, slope):
    """In the type of its arguments; x (B, D, H, W, 16), of which the kernel sees the rounded normalization."""
    normalized = x * scale_shift[:, None, None, None, :, 0] + scale_shift[:, None, None, None, :, 1]
    leaky = torch.maximum(normalized, slope * normalized)
    y = torch.nn.functional.conv3d(leaky.permute(0, 4, 1, 2, 3), weight, padding=1)
    return y.permute(0, 2, 3, 4, 1)


def convolution(folder, batch=1, extents=(64, 128, 128), segment=16):
    module = driver.Module(folder / "conv3_c16.cubin")
    depth, height, width = extents
    x = torch.randn((batch, depth, height, width, 16), device="cuda").bfloat16()
    weight = (torch.randn((16, 16, 3, 3, 3), device="cuda") / 432**0.5).bfloat16()
    scale_shift = torch.stack((torch.rand(batch, 16) + 0.5, torch.randn(batch, 16)), -1).cuda().contiguous()
    grid = (width // 32, height // 16, batch * depth // segment)
    y = torch.full_like(x, float("nan"))
    part = torch.full((grid[0] * grid[1] * grid[2], 16, 2), float("nan"), device="cuda")
    packed = packed_weights(weight)
    integers = [ctypes.c_int(value) for value in (depth, height, width, segment)]
    arguments = (x, packed, scale_shift, y, part, *integers, ctypes.c_float(0.01))

    def launch():
        module.launch("conv3_c16", grid, 256, *arguments, shared=2 * 18 * 34 * 32)

    launch()
    expected = convolution_reference(x.double(), scale_shift.double(), weight.double(), 0.01)
    error = float((y.double() - expected).norm() / expected.norm())
    sums = part.double().sum(0)
    ours = torch.stack((y.double().sum((0, 1, 2, 3)), (y.double() ** 2).sum((0, 1, 2, 3))), -1)
    statistics = float((sums - ours).norm() / ours.norm())
    ok = error <= BOUND and statistics <= 1e-5
    return {"error": error, "error_of_statistics": statistics, "ok": ok, "us": 1000 * ceilings.milliseconds(launch, 50)}


def attention_reference(x, pos, gamma, beta, keys, values, channel, channel_bias, out, out_bias):
    """In the type of its arguments: what epa_out32.cu says, for C = 32, 4 heads and 64 projected tokens."""
    batch, tokens, channels = x.shape
    skip = x + pos
    normalized = torch.nn.functional.layer_norm(skip, (channels,), gamma, beta, 1e-5)
    logits = torch.einsum("bnc,bhpc->bhnp", normalized, keys.reshape(batch, 4, 64, channels))
    attended = torch.einsum("bhnp,bhdp->bhnd", logits.softmax(-1), values)
    # Channel d * 4 + h of token n, channel-major, read again as rows of channels.
    again = attended.permute(0, 3, 1, 2).reshape(batch, tokens, channels)
    spatial = again @ out.T + out_bias
    channelwise = torch.einsum("bnc,bkc->bnk", normalized, channel) + channel_bias
    return skip, torch.cat((spatial, channelwise), -1)


def attention(folder, batch=1, tokens=32768):
    module = driver.Module(folder / "epa_out32.cubin")

    def random(*shape, scale=1.0):
        return scale * torch.randn(shape, device="cuda")

    x, pos = random(batch, tokens, 32), random(tokens, 32, scale=0.3).bfloat16()
    gamma, beta = random(32, scale=0.2) + 1, random(32, scale=0.2)
    keys = random(batch, 256, 32, scale=0.3).bfloat16()
    values = random(batch, 4, 8, 64).bfloat16()
    channel, channel_bias = random(batch, 16, 32, scale=0.2).bfloat16(), random(16)
    out, out_bias = random(16, 32, scale=0.2).bfloat16(), random(16)
    y = torch.full_like(x, float("nan"))
    arguments = (x, pos, gamma, beta, keys, values, channel, channel_bias, out, out_bias, y, ctypes.c_int(tokens))

    def launch():
        module.launch("epa_out32", (tokens // 256, batch), 256, *arguments, shared=65_024)

    launch()
    tensors = (x, pos, gamma, beta, keys, values, channel, channel_bias, out, out_bias)
    skip, expected = attention_reference(*(each.double() for each in tensors))
    found = y.double() - skip
    halves = {
        "error_spatial": float((found - expected)[..., :16].norm() / expected[..., :16].norm()),
        "error_channel": float((found - expected)[..., 16:].norm() / expected[..., 16:].norm()),
    }
    ok = all(error <= BOUND for error in halves.values())
    return {**halves, "ok": ok, "us": 1000 * ceilings.milliseconds(launch, 50)}


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, run in (("conv3_c16", convolution), ("epa_out32", attention)):
        for batch in (1, 8):
            try:
                found = run(folder, batch)
            except Exception as failure:  # the other kernel may still run
                found = {"ok": False, "error": f"{type(failure).__name__}: {failure}"[:500]}
            print(json.dumps({"kernel": name, "batch": batch, **found}), flush=True)


if __name__ == "__main__":
    main()
