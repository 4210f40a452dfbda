"""Distances between the surfaces of random masks by MedPy's rule, with numpy and scipy.

A mask's border is the mask without its erosion by the cross of 6 neighbors, outside of the array
background; distances are read from the exact Euclidean transform of the complement of the other
border. HD95 is numpy's percentile of both directions pooled. MedPy: https://loli.github.io/medpy/

The masks come of a generator that SurfaceVectorsTest has too. Made with numpy 1.24.2, scipy 1.10.1:

    python3 make_vectors.py > surfaces.csv
"""

import numpy as np
from scipy import ndimage

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8), (0.7, 1.9, 1.1), (10.0, 1.5, 1.25)]


class Generator:
    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


def mask(generator, extents):
    result = np.zeros(extents, bool)
    kind = generator.below(8)
    if kind == 0:  # empty
        return result
    if kind == 1:  # one voxel
        result[tuple(generator.below(e) for e in extents)] = True
        return result
    if kind == 2:  # full
        result[:] = True
        return result
    for _ in range(1 + generator.below(3)):
        ends = []
        for extent in extents:
            low = generator.below(extent)
            ends.append(slice(low, low + 1 + generator.below(extent - low)))
        result[tuple(ends)] = True
    if kind >= 5:  # noise: each voxel turned over with a chance of 1 in 16
        flat = result.reshape(-1)
        for voxel in range(flat.size):
            if generator.below(16) == 0:
                flat[voxel] = not flat[voxel]
    return result


def border(mask):
    cross = ndimage.generate_binary_structure(mask.ndim, 1)
    return mask ^ ndimage.binary_erosion(mask, structure=cross, iterations=1)


def distances(test, reference, spacing):
    transform = ndimage.distance_transform_edt(~border(reference), sampling=spacing)
    return transform[border(test)]


def main():
    print("seed,depth,height,width,spacing,test,reference,both,dice,hd,hd95,asd,assd")
    for seed in range(100):
        generator = Generator(seed)
        depth = 1 if seed % 4 == 0 else 1 + generator.below(12)
        extents = (depth, 1 + generator.below(14), 1 + generator.below(20))
        spacing = generator.below(len(SPACINGS))
        test = mask(generator, extents)
        reference = mask(generator, extents)
        both = np.count_nonzero(test & reference)
        sizes = np.count_nonzero(test), np.count_nonzero(reference)
        dice = 2 * both / sum(sizes) if sum(sizes) else 1.0
        values = [float("nan")] * 4
        if all(sizes):
            to_reference = distances(test, reference, SPACINGS[spacing])
            to_test = distances(reference, test, SPACINGS[spacing])
            pooled = np.hstack((to_reference, to_test))
            means = to_reference.mean(), to_test.mean()
            values = [pooled.max(), np.percentile(pooled, 95), means[0], np.mean(means)]
        numbers = [seed, *extents, spacing, *sizes, both]
        print(",".join([*map(str, numbers), *(f"{v:.10f}" for v in [dice, *values])]))


main()
