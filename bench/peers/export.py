#!/usr/bin/env python3
"""Writes what the peers run and are compared with: export.py DIRECTORY VARIANT...

For each variant, a name of a published network, filled with deterministic weights:
VARIANT.onnx (opset 17, weights inside), VARIANT.pt (frozen TorchScript), VARIANT-input.npy and
VARIANT-logits.npy (float32, full resolution, computed by this PyTorch in float64).
"""

import pathlib
import sys
import warnings

import numpy
import torch

import unetrpp


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


if __name__ == "__main__":
    if len(sys.argv) < 3 or any(variant not in unetrpp.PUBLISHED for variant in sys.argv[2:]):
        sys.exit(f"{__doc__}\nVariants: {', '.join(unetrpp.PUBLISHED)}")
    warnings.filterwarnings("ignore", category=UserWarning, module="torch.onnx")
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        export(target, name)
