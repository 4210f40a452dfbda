#!/usr/bin/env python3
"""Writes what the peers run and are compared with: export.py [--training] DIRECTORY VARIANT...

For each variant, a name of a published network, filled with deterministic weights:
VARIANT.onnx (opset 17, weights inside), VARIANT.pt (frozen TorchScript), VARIANT-input.npy and
VARIANT-logits.npy (float32, full resolution, computed by this PyTorch in float64).
With --training instead VARIANT-step.json: batch, loss and gradient norm of a training step without dropout, in float64.
"""

import argparse
import functools
import json
import pathlib
import warnings
from dataclasses import replace

import numpy
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import training
import unetrpp

SLAB = 4  # slices
BATCHES = {"synapse": 2, "acdc": 4, "lung": 2, "tumor": 2}


def export(directory, variant):
    configuration = unetrpp.PUBLISHED[variant]
    network = unetrpp.Network(configuration).eval()
    unetrpp.fill(network)
    image = unetrpp.deterministic_input(configuration)
    with torch.no_grad():
        scripted = torch.jit.freeze(torch.jit.trace(network, image, check_trace=False))
        scripted.save(str(directory / f"{variant}.pt"))
        torch.onnx.export(
            network,
            image,
            str(directory / f"{variant}.onnx"),
            opset_version=17,
            input_names=["input"],
            output_names=["logits"],
        )
        logits = network.double()(image.double()).float()
    numpy.save(directory / f"{variant}-input.npy", image.numpy())
    numpy.save(directory / f"{variant}-logits.npy", logits.numpy())


def by_slabs(convolution, x):
    """A 3x3x3 convolution a few slices at a time: in float64 PyTorch copies each voxel's 27 neighbors beforehand."""
    padded = functional.pad(x, (1,) * 6)
    depth = x.shape[2]
    items = []
    for item in padded.split(1):
        ranges = ((first, min(first + SLAB, depth)) for first in range(0, depth, SLAB))
        slabs = [functional.conv3d(item[:, :, first : last + 2], convolution.weight) for first, last in ranges]
        items.append(torch.cat(slabs, 2))
    return torch.cat(items)


def frugal(network):
    """Makes a network take less memory, for float64 takes much: blocks compute their forward pass again in the backward."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d) and module.kernel_size == (3, 3, 3):
            module.forward = functools.partial(by_slabs, module)
        elif isinstance(module, (unetrpp.TransformerBlock, unetrpp.ResidualBlock)):
            module.forward = functools.partial(checkpoint, module.forward, use_reentrant=False)
    return network


def training_step(configuration, batch):
    """Loss and Euclidean norm of all gradients, without dropout, in float64."""
    network = unetrpp.Network(replace(configuration, attention_dropout=0.0, channel_dropout=0.0)).train()
    network.all_heads = True
    unetrpp.fill(network)
    image, targets = training.deterministic_step(configuration, 0, batch)
    loss = training.total(training.head_losses(frugal(network.double())(image.double()), targets))
    loss.backward()
    squares = sum(parameter.grad.square().sum().item() for parameter in network.parameters())
    return loss.item(), squares**0.5


def export_step(directory, variant):
    loss, norm = training_step(unetrpp.PUBLISHED[variant], BATCHES[variant])
    step = {"batch": BATCHES[variant], "loss": loss, "gradientNorm": norm}
    (directory / f"{variant}-step.json").write_text(json.dumps(step) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", action="store_true", help="the training step alone")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("variants", nargs="+", choices=list(unetrpp.PUBLISHED), metavar="VARIANT")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="torch.onnx")
    options.directory.mkdir(parents=True, exist_ok=True)
    for name in options.variants:
        (export_step if options.training else export)(options.directory, name)


if __name__ == "__main__":
    main()
