#!/usr/bin/env python3
"""Measures PyTorch's own float32 errors in training: float32_training_errors.py DIRECTORY FILE.json...

For each golden file with training steps, runs them without dropout in float64 and several times in float32, in ways
that differ in the order of sums alone, and writes DIRECTORY/NAME-training-float32.json: `gradients` of the first step
and `state` after all, by parameter, each the largest difference over the whole tensor relative to its largest absolute
value, the largest of all runs. Runs in which a LeakyReLU fell on the other side of its kink than in float64 say nothing
about rounding and do not count, as long as there are others. The float64 run is first held against the file, to 1e-9.
"""

import itertools
import json
import pathlib
import sys
from dataclasses import replace

import torch

import training
import unetrpp


def run(configuration, golden, dtype, flipped=False):
    """Losses, the first step's gradients, the state at the end, and the sides of the kinks."""
    network = unetrpp.Network(configuration).train()
    network.all_heads = True
    unetrpp.fill(network)
    network.to(dtype)
    sides = []

    def look(_module, _inputs, output):
        sides.append((output.flip(0) if flipped else output) > 0)

    for module in network.modules():
        if isinstance(module, torch.nn.LeakyReLU):
            module.register_forward_hook(look)
    optimizer = training.optimizer(network)
    losses, gradients = [], {}
    for step in range(len(golden["steps"])):
        image, targets = training.deterministic_step(configuration, step, golden["batch"])
        if flipped:
            image, targets = image.flip(0), [target.flip(0) for target in targets]
        optimizer.zero_grad()
        heads = training.head_losses(network(image.to(dtype)), targets)
        loss = training.total(heads)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            gradients = {name: p.grad.double().clone() for name, p in network.named_parameters()}
        torch.nn.utils.clip_grad_norm_(network.parameters(), golden["clip_grad_norm"])
        optimizer.step()
    state = {name: value.double().clone() for name, value in network.state_dict().items()}
    return losses, gradients, state, sides


def require_golden(golden, losses, gradients, state):
    for expected, found in zip(golden["steps"], losses):
        if abs(expected["loss"] - found) > 1e-9 * abs(found):
            raise SystemExit(f"loss {found}, expected {expected['loss']}")
    for records, tensors in ((golden["steps"][0]["grads"], gradients), (golden["after"], state)):
        for name, record in records.items():
            values = tensors[name].reshape(-1)[torch.tensor(record["index"])]
            error = (values - torch.tensor(record["value"], dtype=torch.float64)).abs().max().item()
            if error > 1e-9 * max(record["absmax"], 1e-9):
                raise SystemExit(f"{name}: error {error} of {record['absmax']}")


def relative(found, exact):
    return {
        name: float(f"{((found[name] - exact[name]).abs().max() / exact[name].abs().max()).item():.3g}")
        for name in exact
        if not name.endswith("num_batches_tracked")
    }


def errors(golden):
    configuration = unetrpp.PUBLISHED[golden["variant"]].tiny(golden["image"])
    configuration = replace(configuration, attention_dropout=0.0, channel_dropout=0.0)
    losses, gradients, state, sides = run(configuration, golden["train"], torch.float64)
    require_golden(golden["train"], losses, gradients, state)
    found = []
    for threads, onednn, flipped in itertools.product((1, 2), (True, False), (False, True)):
        torch.set_num_threads(threads)
        with torch.backends.mkldnn.flags(enabled=onednn):
            _, float_gradients, float_state, float_sides = run(configuration, golden["train"], torch.float32, flipped)
        turned = sum((ours != exact).sum().item() for ours, exact in zip(float_sides, sides))
        found.append((turned, relative(float_gradients, gradients), relative(float_state, state)))
    fewest = min(turned for turned, _, _ in found)
    counted = [run for run in found if run[0] == fewest]
    print(f"{len(counted)} of {len(found)} runs count, with {fewest} activations on another side", flush=True)
    return {
        part: {name: max(run[index][name] for run in counted) for name in counted[0][index]}
        for index, part in ((1, "gradients"), (2, "state"))
    }


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for path in map(pathlib.Path, sys.argv[2:]):
        found = errors(json.loads(path.read_text(encoding="utf-8")))
        target = pathlib.Path(sys.argv[1]) / (path.stem + "-training-float32.json")
        target.write_text(json.dumps(found, indent=0))
        for part in ("gradients", "state"):
            print(path.stem, part, "worst", max(found[part], key=found[part].get), max(found[part].values()), flush=True)
