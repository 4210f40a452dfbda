package org.unetrpp.image;

import static org.unetrpp.image.HeaderField.Storage.FLOAT32;
import static org.unetrpp.image.HeaderField.Storage.FLOAT64;
import static org.unetrpp.image.HeaderField.Storage.INT16;
import static org.unetrpp.image.HeaderField.Storage.INT32;
import static org.unetrpp.image.HeaderField.Storage.INT64;
import static org.unetrpp.image.HeaderField.Storage.INT8;

import java.util.Locale;

/**
 * Where the fields of a header lie: byte offset and storage in NIfTI-1 and in NIfTI-2. Analyze 7.5
 * has the fields that it shares with NIfTI-1 at the same places.
 */
enum HeaderField {
  SIZEOF_HDR(0, INT32, 0, INT32),
  DIM(40, INT16, 16, INT64),
  INTENT_P1(56, FLOAT32, 80, FLOAT64),
  INTENT_P2(60, FLOAT32, 88, FLOAT64),
  INTENT_P3(64, FLOAT32, 96, FLOAT64),
  INTENT_CODE(68, INT16, 504, INT32),
  DATATYPE(70, INT16, 12, INT16),
  BITPIX(72, INT16, 14, INT16),
  PIXDIM(76, FLOAT32, 104, FLOAT64),
  VOX_OFFSET(108, FLOAT32, 168, INT64),
  SCL_SLOPE(112, FLOAT32, 176, FLOAT64),
  SCL_INTER(116, FLOAT32, 184, FLOAT64),
  XYZT_UNITS(123, INT8, 500, INT32),
  CAL_MAX(124, FLOAT32, 192, FLOAT64),
  CAL_MIN(128, FLOAT32, 200, FLOAT64),
  DESCRIP(148, INT8, 240, INT8),
  QFORM_CODE(252, INT16, 344, INT32),
  SFORM_CODE(254, INT16, 348, INT32),
  QUATERN_B(256, FLOAT32, 352, FLOAT64),
  QUATERN_C(260, FLOAT32, 360, FLOAT64),
  QUATERN_D(264, FLOAT32, 368, FLOAT64),
  QOFFSET_X(268, FLOAT32, 376, FLOAT64),
  QOFFSET_Y(272, FLOAT32, 384, FLOAT64),
  QOFFSET_Z(276, FLOAT32, 392, FLOAT64),
  SROW_X(280, FLOAT32, 400, FLOAT64),
  SROW_Y(296, FLOAT32, 432, FLOAT64),
  SROW_Z(312, FLOAT32, 464, FLOAT64),
  INTENT_NAME(328, INT8, 508, INT8),
  MAGIC(344, INT8, 4, INT8);

  /** Characters of {@link #DESCRIP}. */
  static final int DESCRIP_LENGTH = 80;

  /** Characters of {@link #INTENT_NAME}. */
  static final int INTENT_NAME_LENGTH = 16;

  /** Offset of SPM's origin in a header of Analyze 7.5: five 16-bit integers, counted from 1. */
  static final int ANALYZE_ORIGIN = 253;

  private final int firstOffset;
  private final Storage firstStorage;
  private final int secondOffset;
  private final Storage secondStorage;

  HeaderField(int firstOffset, Storage firstStorage, int secondOffset, Storage secondStorage) {
    this.firstOffset = firstOffset;
    this.firstStorage = firstStorage;
    this.secondOffset = secondOffset;
    this.secondStorage = secondStorage;
  }

  /** Byte offset of the entry at an index, 0 for a field of one entry. */
  int offset(HeaderFormat format, int index) {
    int start = format == HeaderFormat.NIFTI_2 ? secondOffset : firstOffset;
    return start + index * storage(format).bytes;
  }

  Storage storage(HeaderFormat format) {
    return format == HeaderFormat.NIFTI_2 ? secondStorage : firstStorage;
  }

  /** The name of the standard. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** How one entry is stored. */
  enum Storage {
    INT8(1),
    INT16(2),
    INT32(4),
    INT64(8),
    FLOAT32(4),
    FLOAT64(8);

    private final int bytes;

    Storage(int bytes) {
      this.bytes = bytes;
    }
  }
}
