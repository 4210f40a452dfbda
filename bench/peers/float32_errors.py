#!/usr/bin/env python3
"""Measures PyTorch's own float32 errors: float32_errors.py DIRECTORY FILE.json...

For each golden file, runs its network in float64 and float32 and writes DIRECTORY/NAME-float32.json: for every module
by name the largest difference over the whole output, relative to the output's largest absolute value.
"""

import json
import pathlib
import sys

import torch

import unetrpp


def observe(network, names, look):
    """Runs the network on its deterministic input, handing every named module's output to `look`."""
    modules = dict(network.named_modules())
    hooks = [
        modules[name].register_forward_hook(lambda _module, _inputs, output, name=name: look(name, output))
        for name in names
    ]
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        network(network.image.to(dtype))
    for hook in hooks:
        hook.remove()


def errors(golden):
    configuration = unetrpp.PUBLISHED[golden["variant"]]
    if golden["size"] == "tiny":
        configuration = configuration.tiny(golden["image"])
    network = unetrpp.Network(configuration).eval()
    network.all_heads = True
    network.image = unetrpp.deterministic_input(configuration, golden["salt"])
    unetrpp.fill(network, golden["salt"])
    exact = {}
    found = {}

    def keep(name, output):
        exact[name] = output.clone()

    def compare(name, output):
        found[name] = ((output.double() - exact[name]).abs().max() / exact[name].abs().max()).item()

    names = list(golden["modules"])
    observe(network.double(), names, keep)
    observe(network.float(), names, compare)  # float32 values survived the way through float64
    return found


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for path in map(pathlib.Path, sys.argv[2:]):
        found = errors(json.loads(path.read_text(encoding="utf-8")))
        target = pathlib.Path(sys.argv[1]) / (path.stem + "-float32.json")
        target.write_text(json.dumps({name: float(f"{value:.3g}") for name, value in found.items()}, indent=0))
        print(path.stem, "worst", max(found, key=found.get), max(found.values()), flush=True)
