package org.unetrpp.backend.cpu;

import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;

/** What the spatial branch of {@link AttentionTraining} multiplies the tokens of a chunk with. */
final class SpatialMaps {
  private final AttentionCall call;

  /** Keys with temperature and the norms of the queries in them, (B, C, P). */
  private final Buffer keys;

  /** Vp, (B, C, P). */
  private final Buffer values;

  SpatialMaps(AttentionCall call, AttentionMaps[] maps) {
    this.call = call;
    long perItem = (long) call.channels * call.projected;
    keys = call.allocate(call.batch * perItem);
    values = call.allocate(call.batch * perItem);
    for (int item = 0; item < call.batch; item++) {
      maps[item].logitKeys().store(Values.of(keys), item * perItem, call.projected);
      maps[item].values().store(Values.of(values), item * perItem, call.projected);
    }
  }

  private long ofHead(Buffer matrices, int task, int head) {
    int row = call.item(task) * call.channels + head * call.d;
    return AttentionCall.at(matrices, (long) row * call.projected);
  }

  /** Keys of a task's head, (d, P). */
  Operand keys(int task, int head) {
    return Operand.plain(ofHead(keys, task, head), call.projected);
  }

  /** The same transposed. */
  Operand keysTransposed(int task, int head) {
    return Operand.transposed(ofHead(keys, task, head), call.projected);
  }

  /** Projected values of a task's head, (d, P). */
  Operand values(int task, int head) {
    return Operand.plain(ofHead(values, task, head), call.projected);
  }

  /** The queries of a task's tokens, (T, C). */
  void queries(int task, long normalized, long queries) {
    call.product(
        call.count(task),
        call.channels,
        call.channels,
        Operand.plain(normalized, call.channels),
        Operand.transposed(call.p.qkvv().address(), call.channels),
        queries,
        call.channels,
        false);
  }

  /** Columns of one head within (T, C). */
  long ofHead(long rows, int head) {
    return rows + (long) head * call.d * Float.BYTES;
  }

  /** The map of a task's head before dropout, (T, P). */
  void attend(int task, int head, Worker worker, long queries, long map) {
    call.product(
        call.count(task),
        call.projected,
        call.d,
        Operand.plain(ofHead(queries, head), call.channels),
        keys(task, head),
        map,
        call.projected,
        false);
    call.softmax(task, worker, map);
  }
}
