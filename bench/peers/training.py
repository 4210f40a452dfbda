"""One training step of UNETR++ in plain PyTorch: the published loss and optimizer."""

import numpy
import torch
from torch.nn import functional

import unetrpp

HEAD_WEIGHTS = (4 / 7, 2 / 7, 1 / 7)
SMOOTHING = 1e-5


def dice_and_cross_entropy(logits, target, batch_dice=True):
    """Cross entropy minus mean soft Dice of the foreground; logits (B, K, ...), target (B, ...)."""
    probabilities = logits.softmax(1)
    one_hot = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    axes = tuple(range(2, logits.ndim))
    overlap = (probabilities * one_hot).sum(axes)  # (B, K)
    total = (probabilities + one_hot).sum(axes)
    if batch_dice:
        overlap, total = overlap.sum(0, keepdim=True), total.sum(0, keepdim=True)
    dice = (2 * overlap + SMOOTHING) / (total + SMOOTHING + 1e-8)
    return functional.cross_entropy(logits, target) - dice[:, 1:].mean()


def head_losses(heads, targets):
    return [dice_and_cross_entropy(head, target) for head, target in zip(heads, targets)]


def total(losses):
    return sum(weight * loss for weight, loss in zip(HEAD_WEIGHTS, losses))


def optimizer(network):
    return torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.99, nesterov=True, weight_decay=3e-5)


def deterministic_step(configuration, step, batch=2):
    """Image and the three heads' targets of a training step, made from names alone."""
    patch = configuration.patch
    image = unetrpp.deterministic(f"step{step}/input", (batch, configuration.in_channels) + patch, 0.0, 3**0.5)
    blocks = (batch, patch[0] // 4, patch[1] // 8, patch[2] // 8)
    unit = unetrpp.deterministic(f"step{step}/target", blocks, 0.5, 0.5).astype(numpy.float64)
    classes = numpy.minimum(numpy.floor(unit * configuration.classes), configuration.classes - 1).astype(numpy.int64)
    full = classes.repeat(4, 1).repeat(8, 2).repeat(8, 3)
    stem = configuration.stem
    coarse = [full[:, :: s * stem[0], :: s * stem[1], :: s * stem[2]] for s in (1, 2)]
    return torch.from_numpy(image), [torch.from_numpy(numpy.ascontiguousarray(t)) for t in [full] + coarse]
