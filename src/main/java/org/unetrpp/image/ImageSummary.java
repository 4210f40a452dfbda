package org.unetrpp.image;

import java.util.List;

/**
 * What a file holds.
 *
 * @param shape voxels along each axis, in the order of the file
 * @param voxelType stored type as NumPy writes it, such as "int16" or ">f4"
 * @param axisSpacing distance of neighbors along each axis, in the order of the file
 * @param affine from voxel index to millimeters
 * @param axisCodes the direction in which each spatial axis grows, such as "RAS"
 * @param slope what stored numbers are multiplied with
 * @param intercept what is added to the product
 * @param statistics of the voxels after scaling
 */
public record ImageSummary(
    List<Integer> shape,
    String voxelType,
    List<Double> axisSpacing,
    Affine affine,
    String axisCodes,
    double slope,
    double intercept,
    VoxelStatistics statistics) {}
