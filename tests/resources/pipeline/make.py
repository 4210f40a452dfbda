"""Writes resampling.json, labels.json, holes.json, normalization.json and importance.json."""

import json

import numpy
import scipy.ndimage
import skimage.transform

random = numpy.random.default_rng(20240607)


def coordinates(old, new):
    return old / new * (numpy.arange(new) + 0.5) - 0.5


def catmull_rom_line(length, new):
    """Dense matrix of cubic convolution, a = -1/2, with clamped indices."""
    matrix = numpy.zeros((new, length))
    for output, u in enumerate(coordinates(length, new)):
        base = int(numpy.floor(u))
        for index in range(base - 1, base + 3):
            x = abs(u - index)
            if x <= 1:
                weight = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                weight = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            else:
                weight = 0
            matrix[output, min(max(index, 0), length - 1)] += weight
    return matrix


def catmull_rom(data, new):
    """Cubic convolution along every axis that changes."""
    for axis, (old, length) in enumerate(zip(data.shape, new)):
        if old != length:
            line = catmull_rom_line(old, length)
            data = numpy.moveaxis(numpy.tensordot(line, data, (1, axis)), 0, axis)
    return data


def interpolate(data, new, order):
    """map_coordinates: B-spline on 12 copies of the edge where the order is 3."""
    grid = numpy.meshgrid(*[coordinates(o, n) for o, n in zip(data.shape, new)], indexing="ij")
    return scipy.ndimage.map_coordinates(data, numpy.array(grid), order=order, mode="nearest")


def b_spline_spelled_out(data, new):
    padded = numpy.pad(data, 12, mode="edge")
    coefficients = scipy.ndimage.spline_filter(padded, 3, mode="reflect")
    grid = numpy.meshgrid(*[coordinates(o, n) + 12 for o, n in zip(data.shape, new)], indexing="ij")
    return scipy.ndimage.map_coordinates(
        coefficients, numpy.array(grid), order=3, mode="nearest", prefilter=False)


def resize(data, new, order, rule):
    """A 2-D or 3-D array, clipped to its own range."""
    in_plane = data.ndim == 2 or data.shape[-1] == new[-1]
    if order == 3 and rule == "PINNED" and in_plane:
        result = catmull_rom(data, new)
    elif order == 3:
        result = b_spline_spelled_out(data, new)
        assert numpy.abs(result - interpolate(data, new, 3)).max() < 1e-12
        newer = skimage.transform.resize(
            data, new, 3, mode="edge", anti_aliasing=False, clip=True)
        assert numpy.abs(numpy.clip(result, data.min(), data.max()) - newer).max() < 1e-12
    else:
        result = interpolate(data, new, order)
    return numpy.clip(result, data.min(), data.max()) if order > 0 else result


def resample(data, new, order, axis, rule):
    data = data.astype(float)
    if axis is None:
        return resize(data, new, order, rule)
    plane = [n for i, n in enumerate(new) if i != axis]
    slices = [resize(data.take(i, axis), plane, order, rule) for i in range(data.shape[axis])]
    stacked = numpy.stack(slices, axis)
    return interpolate(stacked, new, 0)


def resample_labels(labels, new, axis):
    def one(data, new):
        result = numpy.zeros(new, data.dtype)
        for value in numpy.unique(data):
            result[interpolate((data == value).astype(float), new, 1) >= 0.5] = value
        return result

    if axis is None:
        return one(labels, new)
    plane = [n for i, n in enumerate(new) if i != axis]
    stacked = numpy.stack([one(labels.take(i, axis), plane) for i in range(labels.shape[axis])], axis)
    return interpolate(stacked, new, 0)


def flat(array):
    return [float(f"{x:.9g}") for x in array.astype(numpy.float32).ravel()]


def write(name, value):
    with open(name, "w") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")


cases = []
for old, new, order, axis, rule in [
    ((5, 6, 7), (8, 5, 9), 3, None, "PINNED"),
    ((5, 6, 7), (8, 5, 7), 3, None, "PINNED"),
    ((5, 6, 7), (8, 5, 7), 3, None, "BSPLINE"),
    ((5, 6, 7), (5, 6, 4), 3, None, "PINNED"),
    ((4, 7, 6), (6, 9, 4), 3, 0, "PINNED"),
    ((4, 7, 6), (6, 9, 4), 3, 0, "BSPLINE"),
    ((7, 4, 6), (5, 3, 9), 3, 1, "PINNED"),
    ((7, 4, 6), (5, 3, 9), 3, 1, "BSPLINE"),
    ((7, 6, 4), (5, 8, 7), 3, 2, "PINNED"),
    ((4, 7, 6), (9, 7, 6), 3, 0, "PINNED"),
    ((1, 7, 6), (1, 5, 9), 3, None, "PINNED"),
    ((5, 6, 7), (8, 5, 9), 1, None, "PINNED"),
    ((4, 7, 6), (7, 9, 4), 1, 0, "PINNED"),
    ((5, 6, 7), (8, 5, 9), 0, None, "PINNED"),
]:
    data = random.standard_normal(old).astype(numpy.float32)
    cases.append({
        "from": old, "to": new, "order": order, "separateAxis": axis, "rule": rule,
        "input": flat(data), "output": flat(resample(data, new, order, axis, rule))})
write("resampling.json", cases)

cases = []
for old, new, axis in [
    ((5, 6, 7), (8, 9, 10), None), ((6, 8, 8), (4, 5, 5), None), ((4, 6, 6), (7, 9, 9), 0),
    ((6, 6, 4), (9, 4, 3), 2)]:
    smooth = scipy.ndimage.gaussian_filter(random.standard_normal(old), 1)
    labels = numpy.digitize(smooth, numpy.quantile(smooth, [0.2, 0.5, 0.7])) - 1
    cases.append({
        "from": old, "to": new, "separateAxis": axis,
        "input": labels.ravel().tolist(),
        "output": resample_labels(labels, new, axis).ravel().tolist()})
write("labels.json", cases)

smooth = scipy.ndimage.gaussian_filter(random.standard_normal((12, 14, 13)), 0.5)
mask = smooth > numpy.quantile(smooth, 0.25)
mask[:2] = mask[:, -1:] = False
filled = scipy.ndimage.binary_fill_holes(mask)
box = [[int(i.min()), int(i.max()) + 1] for i in numpy.nonzero(filled)]
write("holes.json", {
    "extents": mask.shape, "mask": "".join("01"[int(x)] for x in mask.ravel()),
    "filled": "".join("01"[int(x)] for x in filled.ravel()), "box": box})

values = (random.standard_normal(40) * 300 + 50).astype(numpy.float32)
inside = random.random(40) < 0.7
low, high, mean, sd = -400.5, 380.25, 61.3, 211.7


def ct(data):
    return (numpy.clip(data, low, high) - mean) / sd


def ct2(data):
    used = data[(data > low) & (data < high)]
    return (numpy.clip(data, low, high) - used.mean()) / used.std()


def other(data, mask):
    result = numpy.zeros_like(data)
    result[mask] = (data[mask] - data[mask].mean()) / (data[mask].std() + 1e-8)
    return result


write("normalization.json", {
    "input": flat(values), "mask": "".join("01"[int(x)] for x in inside),
    "low": low, "high": high, "mean": mean, "sd": sd,
    "ctFloat": flat(ct(values)), "ctDouble": flat(ct(values.astype(float))),
    "ctMasked": flat(numpy.where(inside, ct(values.astype(float)), 0)),
    "ct2Double": flat(ct2(values.astype(float))),
    "other": flat(other(values.astype(float), numpy.ones(40, bool))),
    "otherMasked": flat(other(values.astype(float), inside))})


def importance(patch):
    impulse = numpy.zeros(patch)
    impulse[tuple(p // 2 for p in patch)] = 1
    result = scipy.ndimage.gaussian_filter(
        impulse, [p / 8 for p in patch], 0, mode="constant", cval=0)
    result = (result / result.max()).astype(numpy.float32)
    result[result == 0] = result[result != 0].min()
    return result


write("importance.json", [
    {"patch": patch, "map": flat(importance(patch))}
    for patch in [(5, 6, 7), (8, 8, 8), (1, 9, 10)]])
