package org.unetrpp.backend.cpu.machine;

import java.util.Arrays;

/**
 * Writes the instructions that the kernels are made of: 512-bit float arithmetic in EVEX encoding
 * (Intel SDM volume 2, 2.7) and 64-bit integer arithmetic for addresses and counters. Vector
 * registers are numbers from 0 to 31; destinations come first.
 */
final class Assembler {
  private static final int EVEX = 0x62;
  private static final int MAP_0F = 1;
  private static final int MAP_0F38 = 2;
  private static final int NO_PREFIX = 0;
  private static final int PREFIX_66 = 1;
  private static final int VECTOR_BYTES = 64;
  private static final int VECTOR_512 = 2 << 5;
  private static final int BROADCAST = 1 << 4;

  private byte[] code = new byte[1 << 12];
  private int length;

  /** A position in the code to jump back to. */
  record Label(int position) {}

  /** The instructions so far. */
  byte[] code() {
    return Arrays.copyOf(code, length);
  }

  private void emit(int... bytes) {
    if (length + bytes.length > code.length) {
      code = Arrays.copyOf(code, 2 * code.length);
    }
    for (int value : bytes) {
      code[length++] = (byte) value;
    }
  }

  private void emitInt(int value) {
    emit(value, value >> 8, value >> 16, value >> 24);
  }

  /** {@code a = 0}. */
  void zero(int a) {
    registers(MAP_0F, PREFIX_66, 0xEF, a, a, a); // vpxord
  }

  /** {@code a = b}. */
  void move(int a, int b) {
    registers(MAP_0F, NO_PREFIX, 0x28, a, 0, b); // vmovaps
  }

  /** {@code a = b + c}. */
  void add(int a, int b, int c) {
    registers(MAP_0F, NO_PREFIX, 0x58, a, b, c); // vaddps
  }

  /** {@code a = b + memory}. */
  void add(int a, int b, Memory memory) {
    memory(MAP_0F, NO_PREFIX, 0x58, a, b, memory, VECTOR_BYTES);
  }

  /** {@code a = b - c}. */
  void subtract(int a, int b, int c) {
    registers(MAP_0F, NO_PREFIX, 0x5C, a, b, c); // vsubps
  }

  /** {@code a = b c}. */
  void multiply(int a, int b, int c) {
    registers(MAP_0F, NO_PREFIX, 0x59, a, b, c); // vmulps
  }

  /** {@code a = max(b, c)}. */
  void max(int a, int b, int c) {
    registers(MAP_0F, NO_PREFIX, 0x5F, a, b, c); // vmaxps
  }

  /** {@code a += b c}, rounded once. */
  void multiplyAdd(int a, int b, int c) {
    registers(MAP_0F38, PREFIX_66, 0xB8, a, b, c); // vfmadd231ps
  }

  /** {@code a += b value}, where one float in memory is every lane of {@code value}. */
  void multiplyAddBroadcast(int a, int b, Memory value) {
    memory(MAP_0F38, PREFIX_66, 0xB8, a, b, value, Float.BYTES);
  }

  /** {@code a -= b c}, rounded once. */
  void multiplySubtract(int a, int b, int c) {
    registers(MAP_0F38, PREFIX_66, 0xBC, a, b, c); // vfnmadd231ps
  }

  /** {@code a = b a + c}, rounded once. */
  void multiplyThenAdd(int a, int b, int c) {
    registers(MAP_0F38, PREFIX_66, 0xA8, a, b, c); // vfmadd213ps
  }

  /** {@code a} = 16 floats from memory. */
  void load(int a, Memory memory) {
    memory(MAP_0F, NO_PREFIX, 0x10, a, 0, memory, VECTOR_BYTES); // vmovups
  }

  /** Every lane of {@code a} = one float from memory. */
  void broadcast(int a, Memory memory) {
    // The displacement counts in floats, but the broadcast bit is not set: vbroadcastss says it
    // all.
    encode(MAP_0F38, PREFIX_66, 0x18, a, 0, memory, Float.BYTES, 0);
  }

  /** Memory = 16 floats of {@code a}. */
  void store(Memory memory, int a) {
    memory(MAP_0F, NO_PREFIX, 0x11, a, 0, memory, VECTOR_BYTES); // vmovups
  }

  private void registers(int map, int prefix, int opcode, int a, int b, int c) {
    emit(
        EVEX,
        inverted(a >> 3, 7) | inverted(c >> 4, 6) | inverted(c >> 3, 5) | inverted(a >> 4, 4) | map,
        (~b & 15) << 3 | 4 | prefix,
        VECTOR_512 | inverted(b >> 4, 3),
        opcode,
        0xC0 | (a & 7) << 3 | (c & 7));
  }

  private void memory(int map, int prefix, int opcode, int a, int b, Memory memory, int unit) {
    encode(map, prefix, opcode, a, b, memory, unit, unit == Float.BYTES ? BROADCAST : 0);
  }

  /** Displacements that are few units long take one byte, others four. */
  private void encode(
      int map, int prefix, int opcode, int a, int b, Memory memory, int unit, int broadcast) {
    Register base = memory.base();
    emit(
        EVEX,
        inverted(a >> 3, 7) | 1 << 6 | inverted(base.high(), 5) | inverted(a >> 4, 4) | map,
        (~b & 15) << 3 | 4 | prefix,
        VECTOR_512 | broadcast | inverted(b >> 4, 3),
        opcode);
    int displacement = memory.displacement();
    int units = displacement / unit;
    if (units * unit == displacement && units == (byte) units) {
      emit(0x40 | (a & 7) << 3 | base.low(), units);
    } else {
      emit(0x80 | (a & 7) << 3 | base.low());
      emitInt(displacement);
    }
  }

  private static int inverted(int bit, int position) {
    return (~bit & 1) << position;
  }

  /** {@code a = b}. */
  void move(Register a, Register b) {
    emit(0x48 | b.high() << 2 | a.high(), 0x89, 0xC0 | b.low() << 3 | a.low());
  }

  /** {@code a = value}. */
  void move(Register a, int value) {
    emit(0x48 | a.high(), 0xC7, 0xC0 | a.low());
    emitInt(value);
  }

  /** {@code a += value}. */
  void add(Register a, int value) {
    if (value != 0) {
      emit(0x48 | a.high(), 0x81, 0xC0 | a.low());
      emitInt(value);
    }
  }

  void push(Register a) {
    if (a.high() == 1) {
      emit(0x41);
    }
    emit(0x50 | a.low());
  }

  void pop(Register a) {
    if (a.high() == 1) {
      emit(0x41);
    }
    emit(0x58 | a.low());
  }

  /** The next instruction's position. */
  Label here() {
    return new Label(length);
  }

  /** Does {@code body} a number of times, with a counter where it is more than one. */
  void times(Register counter, int times, Runnable body) {
    if (times == 1) {
      body.run();
    } else if (times > 1) {
      move(counter, times);
      Label again = here();
      body.run();
      repeat(counter, again);
    }
  }

  /** Counts down and jumps back until the count is 0. */
  void repeat(Register count, Label to) {
    emit(0x48 | count.high(), 0xFF, 0xC8 | count.low()); // dec
    emit(0x0F, 0x85); // jnz
    emitInt(to.position() - (length + Integer.BYTES));
  }

  /** Returns to the caller, with the upper halves of vector registers clean. */
  void end() {
    emit(0xC5, 0xF8, 0x77, 0xC3); // vzeroupper, ret
  }
}
