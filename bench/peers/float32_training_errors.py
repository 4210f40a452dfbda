#!/usr/bin/env python3
"""Measures PyTorch's own float32 errors in training: float32_training_errors.py DIRECTORY FILE.json...

For each golden file with training steps, runs them without dropout in float64 and several times in float32, in ways
that differ in the order of sums alone, and writes DIRECTORY/NAME-training-float32.json: `gradients` of the first step
and `state` after all, by parameter, each the largest difference over the whole tensor relative to its largest absolute
value, the largest of all runs. Each LeakyReLU takes the side of its kink that it took in float64: an activation that
is zero up to rounding changes gradients by far more than rounding. The float64 run is first held against the file, to
1e-9.
"""

import itertools
import json
import pathlib
import sys
from dataclasses import replace

import torch

import training
import unetrpp


class Sided(torch.nn.Module):
    """LeakyReLU that keeps the sides it took, or takes those that were kept."""

    def __init__(self, sides, replay, flipped):
        super().__init__()
        self.sides, self.replay, self.flipped = sides, replay, flipped

    def forward(self, x):
        if self.replay is None:
            self.sides.append(x > 0)
            side = x > 0
        else:
            side = next(self.replay)
        return torch.where(side.flip(0) if self.flipped else side, x, 0.01 * x)


def run(configuration, golden, dtype, sides, flipped=False):
    """Losses, the first step's gradients and the state at the end; fills `sides`, or takes them."""
    network = unetrpp.Network(configuration).train()
    network.all_heads = True
    unetrpp.fill(network)
    network.to(dtype)
    sided = Sided(sides, iter(list(sides)) if sides else None, flipped)
    for module in network.modules():
        if isinstance(module, unetrpp.ResidualBlock):
            module.lrelu = sided
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
    return losses, gradients, state


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
    sides = []
    losses, gradients, state = run(configuration, golden["train"], torch.float64, sides)
    require_golden(golden["train"], losses, gradients, state)
    found = []
    for threads, onednn, flipped in itertools.product((1, 2), (True, False), (False, True)):
        torch.set_num_threads(threads)
        with torch.backends.mkldnn.flags(enabled=onednn):
            _, float_gradients, float_state = run(configuration, golden["train"], torch.float32, sides, flipped)
        found.append({"gradients": relative(float_gradients, gradients), "state": relative(float_state, state)})
    return {
        part: {name: max(run[part][name] for run in found) for name in found[0][part]}
        for part in ("gradients", "state")
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
