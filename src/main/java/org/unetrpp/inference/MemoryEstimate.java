package org.unetrpp.inference;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.Geometry;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.Box;
import org.unetrpp.pipeline.CaseGeometry;
import org.unetrpp.pipeline.Export;
import org.unetrpp.pipeline.Preprocessing;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.Resampling;
import org.unetrpp.pipeline.SlidingWindow;

/** About how much memory a segmentation needs, before it starts. */
record MemoryEstimate(ModelDescription description, int threads) {
  /** The largest of what the three steps hold at a time, with the resampled image throughout. */
  long peakBytes(Geometry geometry, boolean takesProbabilities) {
    PreprocessingPlan plan = description.preprocessing();
    Architecture architecture = description.architecture();
    AxisOrder order = plan.transposeForward();
    Extents resampled =
        Resampling.newExtents(
            order.apply(geometry.extents()),
            order.apply(geometry.spacing()),
            plan.targetFor(order.apply(geometry.spacing())));
    CaseGeometry caseGeometry =
        new CaseGeometry(
            geometry.extents(),
            geometry.spacing(),
            Box.whole(geometry.extents()),
            order,
            resampled,
            plan.targetFor(order.apply(geometry.spacing())));
    long image = resampled.voxels() * Float.BYTES * architecture.inputChannels();
    long preprocessing =
        Preprocessing.peakBytes(geometry.extents(), geometry.spacing(), plan, threads);
    long window =
        SlidingWindow.peakBytes(
            resampled, architecture.inputChannels(), architecture.classes(), architecture.patch());
    long probabilities = resampled.voxels() * Float.BYTES * architecture.classes();
    long export = Export.peakBytes(caseGeometry, takesProbabilities, threads);
    return Math.max(preprocessing, image + Math.max(window, probabilities + export));
  }
}
