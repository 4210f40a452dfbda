#!/usr/bin/env python3
"""Measures PyTorch's own float32 errors in training: float32_training_errors.py DIRECTORY FILE.json...

For each golden file with training steps, runs them in float64 and float32 without dropout and writes
DIRECTORY/NAME-training-float32.json: `gradients` of the first step and `state` after all, by parameter, each the
largest difference over the whole tensor relative to its largest absolute value; `losses` and `norms` of all steps,
relative. The float64 run is first held against the file, to 1e-9.
"""

import json
import pathlib
import sys
from dataclasses import replace

import torch

import training
import unetrpp


def run(configuration, golden, dtype):
    """Losses, gradient norms, the first step's gradients and the state at the end."""
    network = unetrpp.Network(configuration).train()
    network.all_heads = True
    unetrpp.fill(network)
    network.to(dtype)
    optimizer = training.optimizer(network)
    losses, norms, gradients = [], [], {}
    for step in range(len(golden["steps"])):
        image, targets = training.deterministic_step(configuration, step, golden["batch"])
        optimizer.zero_grad()
        heads = training.head_losses(network(image.to(dtype)), targets)
        loss = training.total(heads)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            gradients = {name: p.grad.double().clone() for name, p in network.named_parameters()}
        norms.append(torch.nn.utils.clip_grad_norm_(network.parameters(), golden["clip_grad_norm"]).item())
        optimizer.step()
    state = {name: value.double().clone() for name, value in network.state_dict().items()}
    return losses, norms, gradients, state


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
    exact = run(configuration, golden["train"], torch.float64)
    require_golden(golden["train"], exact[0], exact[2], exact[3])
    found = run(configuration, golden["train"], torch.float32)
    return {
        "gradients": relative(found[2], exact[2]),
        "state": relative(found[3], exact[3]),
        "losses": [float(f"{abs(f - e) / abs(e):.3g}") for f, e in zip(found[0], exact[0])],
        "norms": [float(f"{abs(f - e) / abs(e):.3g}") for f, e in zip(found[1], exact[1])],
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
