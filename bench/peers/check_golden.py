#!/usr/bin/env python3
"""Compares the PyTorch port with golden files, in float64 and float32: check_golden.py FILE.json...

Every recorded module and head is held against the file's float64 values. Errors are relative to the largest
absolute value of the recorded tensor; float64 may differ by 1e-12, float32 by 1e-4.
"""

import json
import sys

import torch

import unetrpp

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}


def error(tensor, record):
    """The largest difference from the record, relative to the record's largest absolute value."""
    if list(tensor.shape) != record["shape"]:
        raise SystemExit(f"shape {list(tensor.shape)}, expected {record['shape']}")
    values = tensor.reshape(-1)[torch.tensor(record["index"])].double()
    worst = (values - torch.tensor(record["value"], dtype=torch.float64)).abs().max().item()
    worst = max(worst, abs(tensor.double().mean().item() - record["mean"]))
    worst = max(worst, abs(tensor.double().abs().max().item() - record["absmax"]))
    return worst / record["absmax"]


def errors(network, image, golden):
    """The error of every recorded module and head by name; heads are named `output 1` to `output 3`."""
    found = {}

    def record(name):
        def hook(_module, _inputs, output):
            found[name] = error(output, golden["modules"][name])

        return hook

    modules = dict(network.named_modules())
    missing = [name for name in golden["modules"] if name not in modules]
    if missing:
        raise SystemExit(f"modules not in the port: {missing}")
    hooks = [modules[name].register_forward_hook(record(name)) for name in golden["modules"]]
    with torch.no_grad():
        heads = network(image)
    for hook in hooks:
        hook.remove()
    for number, (head, expected) in enumerate(zip(heads, golden["outputs"]), start=1):
        found[f"output {number}"] = error(head, expected)
    unseen = [name for name in golden["modules"] if name not in found]
    if unseen:
        raise SystemExit(f"modules that never ran: {unseen}")
    return found


def check(path):
    with open(path, encoding="utf-8") as file:
        golden = json.load(file)
    configuration = unetrpp.PUBLISHED[golden["variant"]]
    if golden["size"] == "tiny":
        configuration = configuration.tiny(golden["image"])
    network = unetrpp.Network(configuration).eval()
    network.all_heads = True
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters != golden["parameters"]:
        raise SystemExit(f"{path}: {parameters} parameters, expected {golden['parameters']}")
    state = {key: {"shape": list(tensor.shape)} for key, tensor in network.state_dict().items()}
    if golden["state"] is not None and list(state.items()) != list(golden["state"].items()):
        raise SystemExit(f"{path}: names, order or shapes of the state differ")
    unetrpp.fill(network, golden["salt"])
    image = unetrpp.deterministic_input(configuration, golden["salt"])

    passed = True
    for dtype, tolerance in TOLERANCE.items():
        found = errors(network.to(dtype), image.to(dtype), golden)
        worst = max(found, key=found.get)
        within = found[worst] <= tolerance
        passed = passed and within
        logits = ", ".join(f"{found[f'output {number}']:.1e}" for number in (1, 2, 3))
        print(
            f"{golden['variant']}-{golden['size']} {dtype}: logits {logits}; worst of {len(found)}: "
            f"{found[worst]:.1e} at {worst}; {'ok' if within else f'expected at most {tolerance}'}",
            flush=True,
        )
    return passed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    results = [check(path) for path in sys.argv[1:]]
    sys.exit(0 if all(results) else 1)
