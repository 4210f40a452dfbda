"""Writes spatial.json, blur.json, low-resolution.json and intensities.json."""

import json

import numpy
import scipy.ndimage
from scipy.spatial.transform import Rotation


def image(shape):
    """Values between -1 and 1 that the tests compute for themselves."""
    index = numpy.arange(numpy.prod(shape), dtype=numpy.int64)
    return (index * index * 7919 % 1009 / 504.5 - 1).reshape(shape).astype(numpy.float32)


def labels(shape):
    """Blocks of 2x3x3 voxels of -1, 0, 1, 2 or 5, that the tests compute for themselves."""
    z, y, x = numpy.indices(shape)
    return numpy.array([-1, 0, 1, 2, 5])[(z // 2 + 2 * (y // 3) + x // 3) % 5]


def positions(source, target, angles, scale, slice_wise):
    axes = [numpy.arange(n) - (n - 1) / 2 for n in target]
    grid = numpy.stack(numpy.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    rotation = numpy.eye(3)
    for axis, angle in zip("xyz", angles):
        rotation = rotation @ Rotation.from_euler(axis, angle).as_matrix()
    center = numpy.array([int(numpy.round(n / 2)) for n in source])[:, None]
    rotated = (grid.T @ rotation).T * scale + center
    if slice_wise:
        rotated[0] = grid[0] + (target[0] - 1) / 2
    return rotated.reshape(3, *target)


def sample(data, points, slice_wise, **options):
    if not slice_wise:
        return scipy.ndimage.map_coordinates(data, points, mode="constant", **options)
    return numpy.stack([
        scipy.ndimage.map_coordinates(data[z], points[1:, z], mode="constant", **options)
        for z in range(len(data))])


def spatial_case(source, target, angles, scale, slice_wise=False):
    angles = numpy.deg2rad(angles)
    points = positions(source, target, angles, scale, slice_wise)
    values = sample(image(source).astype(float), points, slice_wise, order=3, cval=0)
    found = labels(source)
    result = numpy.zeros(target, int)
    for label in numpy.unique(found):
        share = sample((found == label).astype(float), points, slice_wise, order=1, cval=-1)
        result[share >= 0.5] = label
    return {
        "source": source, "target": target, "angles": angles.tolist(), "scale": scale,
        "sliceWise": slice_wise, "image": floats(values), "labels": result.ravel().tolist()}


def floats(values):
    return [float(numpy.format_float_positional(v, 9, fractional=False)) for v in values.ravel()]


def blur_case(shape, deviation):
    blurred = scipy.ndimage.gaussian_filter(image(shape), deviation, order=0)
    return {"extents": shape, "deviation": deviation, "output": floats(blurred)}


def centers(shape, new):
    """Where the voxels of a grid lie among those of another one of the same size."""
    return [n / m * (numpy.arange(m) + 0.5) - 0.5 for n, m in zip(shape, new)]


def low_resolution_case(shape, zoom, slice_wise):
    coarse = numpy.round(numpy.array(shape) * zoom).astype(int)
    if slice_wise:
        coarse[0] = shape[0]
    data = image(shape).astype(float)
    nearest = [numpy.floor(u + 0.5).astype(int) for u in centers(shape, coarse)]
    low = data[numpy.ix_(*nearest)]
    # mode "nearest" filters the volume with 12 copies of its edges on each side
    grid = numpy.array(numpy.meshgrid(*centers(coarse, shape), indexing="ij"))
    back = scipy.ndimage.map_coordinates(low, grid, order=3, mode="nearest")
    back = numpy.clip(back, low.min(), low.max())
    return {"extents": shape, "zoom": zoom, "sliceWise": slice_wise, "output": floats(back)}


def contrast(x, factor):
    return numpy.clip((x - x.mean()) * factor + x.mean(), x.min(), x.max())


def gamma(x, exponent):
    mean, deviation = x.mean(), x.std()
    low, extent = x.min(), x.max() - x.min() + 1e-7
    x = numpy.power((x - low) / extent, exponent) * extent + low
    x = x - x.mean() + mean
    return x / (x.std() + 1e-8) * deviation


def intensity_case(factor, exponent):
    x = image((3, 4, 5)).astype(float) * 2 + 0.75
    return {
        "factor": factor, "exponent": exponent, "contrast": floats(contrast(x, factor)),
        "gamma": floats(gamma(x, exponent)), "inverted": floats(-gamma(-x, exponent))}


def write(name, cases):
    with open(name + ".json", "w") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")


write("spatial", [
    spatial_case((9, 10, 11), (4, 5, 6), (20, -15, 28), 1.2),
    spatial_case((9, 10, 11), (5, 4, 6), (-30, 30, -30), 0.8),
    spatial_case((8, 8, 9), (6, 6, 7), (0, 0, 0), 1.4),  # runs past all borders
    spatial_case((8, 8, 9), (4, 5, 6), (0, 0, 0), 0.7),
    spatial_case((7, 8, 9), (7, 8, 9), (5, 0, 0), 1),
    spatial_case((70, 6, 75), (4, 5, 6), (10, 20, -25), 0.9),  # only a part is filtered
    spatial_case((1, 2, 9), (1, 2, 6), (0, 0, 0), 0.75),
    spatial_case((3, 12, 11), (3, 7, 6), (130, 0, 0), 1.1, True),
    spatial_case((2, 90, 80), (2, 6, 5), (-77, 0, 0), 0.7, True),
    spatial_case((1, 9, 8), (1, 6, 7), (0, 0, 0), 1.4, True),
])
write("blur", [
    blur_case((5, 6, 7), 0.5), blur_case((5, 6, 7), 0.7), blur_case((5, 6, 7), 0.99),
    blur_case((1, 2, 9), 0.9), blur_case((3, 1, 1), 1.0)])
write("low-resolution", [
    low_resolution_case((6, 7, 9), 0.5, False), low_resolution_case((6, 7, 9), 0.77, False),
    low_resolution_case((4, 7, 9), 0.5, True), low_resolution_case((4, 9, 8), 0.81, True)])
write("intensities", [
    intensity_case(0.8, 0.7), intensity_case(1.2, 1.5), intensity_case(0.97, 1.01)])
