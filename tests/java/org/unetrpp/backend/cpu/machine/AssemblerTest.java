package org.unetrpp.backend.cpu.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.backend.cpu.machine.Register.R10;
import static org.unetrpp.backend.cpu.machine.Register.R11;
import static org.unetrpp.backend.cpu.machine.Register.R12;
import static org.unetrpp.backend.cpu.machine.Register.R13;
import static org.unetrpp.backend.cpu.machine.Register.R14;
import static org.unetrpp.backend.cpu.machine.Register.R15;
import static org.unetrpp.backend.cpu.machine.Register.R8;
import static org.unetrpp.backend.cpu.machine.Register.R9;
import static org.unetrpp.backend.cpu.machine.Register.RAX;
import static org.unetrpp.backend.cpu.machine.Register.RBP;
import static org.unetrpp.backend.cpu.machine.Register.RBX;
import static org.unetrpp.backend.cpu.machine.Register.RDI;
import static org.unetrpp.backend.cpu.machine.Register.RDX;
import static org.unetrpp.backend.cpu.machine.Register.RSI;
import static org.unetrpp.backend.cpu.machine.Register.RSP;

import java.util.HexFormat;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Expected bytes are those of the GNU assembler 2.40. */
class AssemblerTest {
  static Stream<Arguments> instructions() {
    return Stream.of(
        instruction("vpxord zmm0,zmm0,zmm0", "62f17d48efc0", a -> a.zero(0)),
        instruction("vpxord zmm31,zmm31,zmm31", "62010540efff", a -> a.zero(31)),
        instruction("vmovaps zmm6,zmm21", "62b17c4828f5", a -> a.move(6, 21)),
        instruction("vmovaps zmm30,zmm9", "62417c4828f1", a -> a.move(30, 9)),
        instruction("vaddps zmm1,zmm18,zmm27", "62916c4058cb", a -> a.add(1, 18, 27)),
        instruction("vsubps zmm17,zmm2,zmm12", "62c16c485ccc", a -> a.subtract(17, 2, 12)),
        instruction("vmulps zmm8,zmm25,zmm3", "6271344059c3", a -> a.multiply(8, 25, 3)),
        instruction("vmaxps zmm29,zmm14,zmm30", "62010c485fee", a -> a.max(29, 14, 30)),
        instruction("vfmadd231ps zmm5,zmm20,zmm11", "62d25d40b8eb", a -> a.multiplyAdd(5, 20, 11)),
        instruction(
            "vfmadd213ps zmm16,zmm1,zmm31", "62827548a8c7", a -> a.multiplyThenAdd(16, 1, 31)),
        instruction(
            "vfnmadd231ps zmm24,zmm7,zmm19", "62224548bcc3", a -> a.multiplySubtract(24, 7, 19)),
        instruction("vaddps zmm3,zmm4,[rdx+64]", "62f15c48585a01", a -> a.add(3, 4, RDX.at(64))),
        instruction(
            "vaddps zmm19,zmm28,[r10+0x12345]",
            "62c11c40589a45230100",
            a -> a.add(19, 28, R10.at(0x12345))),
        instruction("vmovups zmm31,[r9-0x2000]", "62417c48107980", a -> a.load(31, R9.at(-0x2000))),
        instruction(
            "vmovups zmm13,[rbp+0x1fc0]", "62717c48106d7f", a -> a.load(13, RBP.at(0x1fc0))),
        instruction(
            "vmovups zmm22,[r13+0x2000]", "62c17c4810b500200000", a -> a.load(22, R13.at(0x2000))),
        instruction("vmovups [rsi+128],zmm10", "62717c48115602", a -> a.store(RSI.at(128), 10)),
        instruction(
            "vmovups [r8-0x1234],zmm26", "62417c481190ccedffff", a -> a.store(R8.at(-0x1234), 26)),
        instruction("vbroadcastss zmm2,[rax+4]", "62f27d48185001", a -> a.broadcast(2, RAX.at(4))),
        instruction(
            "vbroadcastss zmm23,[r15+508]", "62c27d48187f7f", a -> a.broadcast(23, R15.at(508))),
        instruction(
            "vbroadcastss zmm15,[r11+512]",
            "62527d4818bb00020000",
            a -> a.broadcast(15, R11.at(512))),
        instruction(
            "vfmadd231ps zmm12,zmm31,[rax-512]{1to16}",
            "62720550b86080",
            a -> a.multiplyAddBroadcast(12, 31, RAX.at(-512))),
        instruction(
            "vfmadd231ps zmm18,zmm6,[r14+0x4444]{1to16}",
            "62c24d58b89644440000",
            a -> a.multiplyAddBroadcast(18, 6, R14.at(0x4444))),
        instruction("mov r9,rdi", "4989f9", a -> a.move(R9, RDI)),
        instruction("mov rax,r15", "4c89f8", a -> a.move(RAX, R15)),
        instruction("mov r11,3", "49c7c303000000", a -> a.move(R11, 3)),
        instruction("add r10,0x1000", "4981c200100000", a -> a.add(R10, 0x1000)),
        instruction("add rsi,-0x1000", "4881c600f0ffff", a -> a.add(RSI, -0x1000)),
        instruction("push rbx", "53", a -> a.push(RBX)),
        instruction("push r13", "4155", a -> a.push(R13)),
        instruction("pop rbp", "5d", a -> a.pop(RBP)),
        instruction("pop r14", "415e", a -> a.pop(R14)),
        instruction("1: dec r9; jnz 1b", "49ffc90f85f7ffffff", a -> a.repeat(R9, a.here())),
        instruction("vzeroupper; ret", "c5f877c3", Assembler::end));
  }

  private static Arguments instruction(String text, String bytes, Consumer<Assembler> writer) {
    return Arguments.of(text, bytes, writer);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("instructions")
  void instructionIsEncodedAsByTheGnuAssembler(
      String text, String bytes, Consumer<Assembler> writer) {
    Assembler assembler = new Assembler();
    writer.accept(assembler);
    assertThat(HexFormat.of().formatHex(assembler.code())).isEqualTo(bytes);
  }

  @Test
  void registersThatNeedAnotherEncodingAreNoBases() {
    assertThatThrownBy(() -> RSP.at(0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> R12.at(64)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void codeGrowsBeyondItsFirstBlock() {
    Assembler assembler = new Assembler();
    for (int i = 0; i < 10_000; i++) {
      assembler.zero(0);
    }
    assertThat(assembler.code()).hasSize(60_000);
  }
}
