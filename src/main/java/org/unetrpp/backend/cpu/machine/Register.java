package org.unetrpp.backend.cpu.machine;

/** General registers of x86-64, by their number in instructions. */
enum Register {
  RAX,
  RCX,
  RDX,
  RBX,
  RSP,
  RBP,
  RSI,
  RDI,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15;

  /** The three bits that stand in the instruction itself. */
  int low() {
    return ordinal() & 7;
  }

  /** The fourth bit, which stands in a prefix. */
  int high() {
    return ordinal() >> 3;
  }

  /** Memory at this register plus {@code displacement} bytes. */
  Memory at(int displacement) {
    return new Memory(this, displacement);
  }
}
