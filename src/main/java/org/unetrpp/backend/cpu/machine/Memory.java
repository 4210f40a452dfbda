package org.unetrpp.backend.cpu.machine;

/**
 * A memory operand.
 *
 * @param base register that holds an address; not RSP or R12, which need another encoding
 * @param displacement bytes added to it
 */
record Memory(Register base, int displacement) {
  Memory {
    if (base.low() == Register.RSP.low()) {
      throw new IllegalArgumentException(base + " as the base of a memory operand");
    }
  }

  Memory plus(int bytes) {
    return new Memory(base, displacement + bytes);
  }
}
