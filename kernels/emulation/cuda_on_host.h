// Compiles a kernel file for the host: g++ -x c++ -include cuda_on_host.h NAME.cu
//
// A block runs on one thread of the host; each of its CUDA threads is a fiber with a stack of its
// own, and barriers and warp operations switch fibers. So a kernel's arithmetic, its indices, its
// use of shared memory and its barriers are those of the device; timing and races are not.
//
// - Shared memory is thread-local memory of the host's thread, filled with NaN before each block.
// - The threads of a block take turns at barriers and warp operations, and run as far as they come
//   in between; blocks, too, run in order. Both go from the last to the first where a launch asks
//   for it: a kernel that lacks a barrier gives other values then, as one thread is early that was
//   late, while a kernel without races gives the same bytes.
// - A barrier or a warp operation that some threads never reach is found and reported.
// - An access to memory that is not mapped ends the launch with the address, not the process. Where
//   the compiler checks alignment, bounds and overflow (-fsanitize with traps), so do these.
// - A lane that exchanges with one that is gone, or not in the mask, gets ones in every bit.
// - A copy to shared memory that a thread begins and waits for later is there at once, or, where
//   threads take turns from the last to the first, when it is waited for, and never without that.
// - ENTRY(name, ...) makes host_NAME, which emulation::launch serves.
#pragma once

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __shared__ static thread_local
#define __constant__ static const
#define __align__(n) alignas(n)
#define warpSize 32

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}

namespace emulation {

constexpr int kMaxThreads = 1024;
constexpr int kLanes = 32;
constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kMaxStaticSharedBytes = 48 << 10;
constexpr size_t kExchangedBytes = 32;
constexpr unsigned long kPatience = 1000000;  // switches without progress that mean a deadlock

#if !defined(__x86_64__)
#error "fiber switching is written for x86-64"
#endif

struct Fiber {
  void* stack_pointer;
};

extern "C" void emulation_switch(void** from, void* to);
asm(R"(
.text
.p2align 4
.type emulation_switch,@function
emulation_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp,(%rdi)
  mov %rsi,%rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  pop %rcx
  jmp *%rcx
.size emulation_switch,.-emulation_switch
)");

inline void switch_fiber(Fiber* from, Fiber* to) {
  emulation_switch(&from->stack_pointer, to->stack_pointer);
}

inline void make_fiber(Fiber* fiber, char* stack, size_t bytes, void (*function)()) {
  void** top = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(stack + bytes) & ~uintptr_t{15});
  *--top = nullptr;  // as after a call
  *--top = reinterpret_cast<void*>(function);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber->stack_pointer = top;
}

struct Warp {
  alignas(16) unsigned char exchanged[2][kLanes][kExchangedBytes];
  unsigned given_in[2][kLanes];  // generation after that in which a lane gave its value
  unsigned arrived, live, generation;
};

/// Copies that a thread has begun and not waited for.
struct Copies {
  struct Copy {
    void* to;
    const void* from;  // null for zeros
    unsigned bytes;    // 4, 8 or 16, which addresses are multiples of
    unsigned group;
  };
  Copy* begun;
  int count, capacity;
  unsigned group;  // that the next copy belongs to
};

using Call = void (*)(void* kernel, void** arguments);

/// The block that a thread of the host runs.
struct Block {
  Fiber main, fibers[kMaxThreads];
  char* stacks;
  int threads, live, arrived, current;
  unsigned generation;
  bool backwards;
  bool done[kMaxThreads];
  dim3 index[kMaxThreads];
  Warp warps[kMaxThreads / kLanes];
  Copies copies[kMaxThreads];
  char* dynamic;
  size_t dynamic_capacity;
  void* kernel;
  void** arguments;
  Call call;
  int predicate_or, predicate_and, predicate_count;
  int result_or, result_and, result_count;
  const char* error;
  void* fault;
};

/// What a thread of the host is at. One variable, so that what else there is of thread-local memory
/// is shared memory.
struct Place {
  Block* block;
  dim3 thread_index, block_index, block_extent, grid_extent;
  bool in_kernel;
};

inline thread_local Place place;

/// Shared memory that this library's kernels declare, for the thread that asks.
struct SharedMemory {
  char* begin;
  size_t bytes;
};

static int note_shared_memory(dl_phdr_info* library, size_t, void* result) {
  const auto here = reinterpret_cast<ElfW(Addr)>(&note_shared_memory);
  const ElfW(Phdr)* thread_local_part = nullptr;
  bool is_this = false;
  for (int i = 0; i < library->dlpi_phnum; i++) {
    const ElfW(Phdr)& part = library->dlpi_phdr[i];
    if (part.p_type == PT_TLS) thread_local_part = &part;
    if (part.p_type == PT_LOAD) {
      is_this |= here - library->dlpi_addr - part.p_vaddr < part.p_memsz;
    }
  }
  if (is_this && thread_local_part != nullptr && library->dlpi_tls_data != nullptr) {
    *static_cast<SharedMemory*>(result) = {static_cast<char*>(library->dlpi_tls_data),
                                           thread_local_part->p_memsz};
  }
  return is_this;
}

/// Fills the shared memory that kernels declare with NaN, but for what the emulation itself has.
static void poison_shared_memory() {
  static thread_local SharedMemory memory;  // of this library, unlike place
  if (memory.begin == nullptr) dl_iterate_phdr(note_shared_memory, &memory);
  const SharedMemory all = memory;
  const Place kept = place;
  memset(all.begin, 0xff, all.bytes);
  place = kept;
  memory = all;
}

/// The thread, of first to end, whose turn follows that of a thread.
inline int after(const Block* b, int thread, int first, int end) {
  if (b->backwards) return thread == first ? end - 1 : thread - 1;
  return thread + 1 == end ? first : thread + 1;
}

inline void resume(int thread) {
  Block* b = place.block;
  const int from = b->current;
  b->current = thread;
  place.thread_index = b->index[thread];
  switch_fiber(&b->fibers[from], &b->fibers[thread]);
}

/// Lets the next thread that is not done run; one that waits looks for itself and passes on.
inline void pass_on() {
  Block* b = place.block;
  int t = b->current;
  do {
    t = after(b, t, 0, b->threads);
  } while (b->done[t]);
  if (t != b->current) resume(t);
}

/// As pass_on, among the threads of this warp while there are others.
inline void pass_on_in_warp() {
  Block* b = place.block;
  const int first = b->current & ~(kLanes - 1);
  const int end = std::min(first + kLanes, b->threads);
  int t = b->current;
  do {
    t = after(b, t, first, end);
  } while (b->done[t]);
  if (t != b->current) {
    resume(t);
  } else {
    pass_on();
  }
}

/// Leaves the block where it is.
[[noreturn]] inline void fail(const char* message) {
  Block* b = place.block;
  b->error = message;
  switch_fiber(&b->fibers[b->current], &b->main);
  abort();
}

inline void release_if_all_are_here(Block* b) {
  if (b->live > 0 && b->arrived == b->live) {
    b->arrived = 0;
    b->result_or = b->predicate_or;
    b->result_and = b->predicate_and;
    b->result_count = b->predicate_count;
    b->predicate_or = 0;
    b->predicate_and = 1;
    b->predicate_count = 0;
    b->generation++;
  }
}

inline void barrier() {
  Block* b = place.block;
  const unsigned generation = b->generation;
  b->arrived++;
  release_if_all_are_here(b);
  for (unsigned long waits = 0; b->generation == generation;) {
    pass_on();
    if (++waits > kPatience) fail("some threads of a block never reach __syncthreads");
  }
}

/// Waits until all lanes of mask that still run are here.
inline void warp_barrier(unsigned mask) {
  Block* b = place.block;
  Warp& warp = b->warps[b->current / kLanes];
  const unsigned generation = warp.generation;
  warp.arrived |= 1u << (b->current % kLanes);
  for (unsigned long waits = 0; warp.generation == generation;) {
    const unsigned needed = mask & warp.live;
    if ((warp.arrived & needed) == needed) {
      warp.arrived &= ~needed;
      warp.generation++;
      return;
    }
    pass_on_in_warp();
    if (++waits > kPatience) fail("some lanes of a mask never reach a warp operation");
  }
}

/// The value that lane source of this warp gave; full of ones if it gave none.
template <typename T>
inline T exchange(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= kExchangedBytes);
  Block* b = place.block;
  Warp& warp = b->warps[b->current / kLanes];
  const unsigned now = warp.generation + 1;
  const unsigned parity = now & 1;  // two buffers, so that one barrier is enough
  const int lane = b->current % kLanes;
  memcpy(warp.exchanged[parity][lane], &value, sizeof value);
  warp.given_in[parity][lane] = now;
  warp_barrier(mask);
  T result;
  source &= kLanes - 1;
  if (warp.given_in[parity][source] == now) {
    memcpy(&result, warp.exchanged[parity][source], sizeof result);
  } else {
    memset(&result, 0xff, sizeof result);
  }
  return result;
}

/// What each lane of a warp gave; until this lane exchanges again.
template <typename T>
class Given {
 public:
  Given(const Warp& warp, unsigned when, int lane) : warp_(warp), when_(when), lane_(lane) {}

  int lane() const { return lane_; }

  /// What a lane gave; full of ones if it gave nothing.
  const T& of(int lane) const {
    static const auto nothing = [] {
      alignas(T) std::array<unsigned char, sizeof(T)> ones;
      ones.fill(0xff);
      return std::bit_cast<T>(ones);
    }();
    return warp_.given_in[when_ & 1][lane] == when_
               ? *reinterpret_cast<const T*>(warp_.exchanged[when_ & 1][lane])
               : nothing;
  }

 private:
  const Warp& warp_;
  const unsigned when_;
  const int lane_;
};

/// Gives a value to all lanes of this warp and gets theirs.
template <typename T>
inline Given<T> exchange_all(const T& value) {
  Block* b = place.block;
  const Warp& warp = b->warps[b->current / kLanes];
  const unsigned now = warp.generation + 1;
  const int lane = b->current % kLanes;
  exchange(~0u, value, lane);
  return Given<T>(warp, now, lane);
}

inline void carry_out(const Copies::Copy& copy) {
  const auto addresses =
      reinterpret_cast<uintptr_t>(copy.to) | reinterpret_cast<uintptr_t>(copy.from);
  if (addresses % copy.bytes != 0) fail("a misaligned access, by a copy to shared memory");
  if (copy.from == nullptr) {
    memset(copy.to, 0, copy.bytes);
  } else {
    memcpy(copy.to, copy.from, copy.bytes);
  }
}

/// Begins a copy, or one of zeros from nowhere.
inline void begin_copy(void* to, const void* from, unsigned bytes) {
  Block* b = place.block;
  Copies& copies = b->copies[b->current];
  const Copies::Copy copy = {to, from, bytes, copies.group};
  if (!b->backwards) {
    carry_out(copy);
    return;
  }
  if (copies.count == copies.capacity) {
    copies.capacity = 2 * copies.capacity + 16;
    copies.begun = static_cast<Copies::Copy*>(
        realloc(copies.begun, copies.capacity * sizeof(Copies::Copy)));
  }
  copies.begun[copies.count++] = copy;
}

inline void end_copy_group() {
  Block* b = place.block;
  b->copies[b->current].group++;
}

/// Waits for the copies of all groups that this thread ended but for the last ones.
inline void wait_for_copies(unsigned pending) {
  Block* b = place.block;
  Copies& copies = b->copies[b->current];
  int done = 0;
  while (done < copies.count && copies.begun[done].group + pending < copies.group) {
    carry_out(copies.begun[done++]);
  }
  std::copy(copies.begun + done, copies.begun + copies.count, copies.begun);
  copies.count -= done;
}

inline void fiber_main() {
  Block* b = place.block;
  b->call(b->kernel, b->arguments);
  int t = b->current;
  b->done[t] = true;
  b->live--;
  b->warps[t / kLanes].live &= ~(1u << (t % kLanes));
  release_if_all_are_here(b);
  if (b->live == 0) {
    switch_fiber(&b->fibers[t], &b->main);
  } else {
    pass_on();
  }
  abort();  // nobody comes back to a thread that is done
}

inline Block* new_block() {
  Block* b = static_cast<Block*>(aligned_alloc(64, (sizeof(Block) + 63) / 64 * 64));
  memset(static_cast<void*>(b), 0, sizeof *b);
  b->stacks = static_cast<char*>(mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  return b;
}

/// What ends a launch: memory that is not there; and what the compiler was told to check.
constexpr int kFaults[] = {SIGSEGV, SIGILL};
inline struct sigaction previous_handlers[NSIG];

inline void on_fault(int signal, siginfo_t* info, void* context) {
  if (place.in_kernel && signal == SIGILL) {
    fail("a misaligned access, an index beyond its array, or an integer overflow");
  }
  if (place.in_kernel) {
    place.block->fault = info->si_addr;
    fail("access to memory that is not there");
  }
  struct sigaction& previous = previous_handlers[signal];
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    sigaction(signal, &previous, nullptr);
  } else {
    previous.sa_handler(signal);
  }
}

inline void catch_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;  // a fiber switch leaves the handler for good
    for (const int signal : kFaults) sigaction(signal, &action, &previous_handlers[signal]);
  });
}

struct Launch {
  dim3 grid, extent;
  size_t shared_bytes;
  Call call;
  void* kernel;
  void** arguments;
  bool backwards;
  long blocks;
  std::atomic<long> next{0};
  std::atomic<const char*> error{nullptr};
  std::atomic<void*> fault{nullptr};
};

inline void run_block(Launch& launch, long number) {
  if (!place.block) place.block = new_block();
  Block* b = place.block;
  const dim3 extent = launch.extent;
  b->threads = b->live = static_cast<int>(extent.x * extent.y * extent.z);
  b->arrived = 0;
  b->backwards = launch.backwards;
  b->predicate_or = 0;
  b->predicate_and = 1;
  b->predicate_count = 0;
  b->kernel = launch.kernel;
  b->arguments = launch.arguments;
  b->call = launch.call;
  b->error = nullptr;
  b->fault = nullptr;
  place.block_extent = extent;
  place.grid_extent = launch.grid;
  if (launch.backwards) number = launch.blocks - 1 - number;
  const long x = launch.grid.x, y = launch.grid.y;
  place.block_index = {static_cast<unsigned>(number % x),
                       static_cast<unsigned>(number / x % y),
                       static_cast<unsigned>(number / (x * y))};
  if (launch.shared_bytes > b->dynamic_capacity) {
    free(b->dynamic);
    b->dynamic_capacity = (launch.shared_bytes + 127) / 128 * 128;
    b->dynamic = static_cast<char*>(aligned_alloc(128, b->dynamic_capacity));
  }
  if (launch.shared_bytes > 0) memset(b->dynamic, 0xff, launch.shared_bytes);
  poison_shared_memory();
  for (int t = 0; t < b->threads; t++) {
    b->done[t] = false;
    b->copies[t].count = 0;
    b->copies[t].group = 0;
    b->index[t] = {t % extent.x, t / extent.x % extent.y, t / (extent.x * extent.y)};
    // stacks begin at different cache lines
    make_fiber(&b->fibers[t], b->stacks + kStackBytes * t, kStackBytes - (t % 61) * 128,
               fiber_main);
  }
  for (int w = 0; w * kLanes < b->threads; w++) {
    const int lanes = std::min(kLanes, b->threads - w * kLanes);
    b->warps[w].live = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    b->warps[w].arrived = 0;
  }
  b->current = b->backwards ? b->threads - 1 : 0;
  place.thread_index = b->index[b->current];
  place.in_kernel = true;
  switch_fiber(&b->main, &b->fibers[b->current]);
  place.in_kernel = false;
}

inline void run_blocks(Launch& launch) {
  for (long number; (number = launch.next++) < launch.blocks;) {
    run_block(launch, number);
    if (place.block->error) {
      launch.fault = place.block->fault;
      launch.error = place.block->error;
      launch.next = launch.blocks;
    }
  }
}

/// A second thread of the host that takes part in large launches.
class Helper {
 public:
  void run(Launch& launch) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!started_) {
      started_ = true;
      std::thread([this] { serve(); }).detach();
    }
    launch_ = &launch;
    changed_.notify_all();
    lock.unlock();
    run_blocks(launch);
    lock.lock();
    changed_.wait(lock, [this] { return launch_ == nullptr; });
  }

 private:
  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return launch_ != nullptr; });
      Launch* launch = launch_;
      lock.unlock();
      run_blocks(*launch);
      lock.lock();
      launch_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Launch* launch_ = nullptr;
  bool started_ = false;
};

inline std::mutex launching;
inline const char* last_error = "";
inline void* last_fault;

template <typename... A, size_t... I>
inline void call_with(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<A*>(arguments[I])...);
}

template <typename... A>
inline void call_kernel(void* kernel, void** arguments) {
  call_with(reinterpret_cast<void (*)(A...)>(kernel), arguments,
            std::index_sequence_for<A...>{});
}

/// Runs a launch to its end. Returns 0 or the driver's code: 1 for arguments it would refuse, 700
/// for what it would find while running; last_error says what it was.
template <typename... A>
inline int launch(void (*kernel)(A...), int max_threads, dim3 grid, dim3 extent,
                  unsigned shared_bytes, void** arguments, int argument_count, bool backwards) {
  static Helper* helper = new Helper;  // its thread never ends
  std::lock_guard<std::mutex> lock(launching);
  last_fault = nullptr;
  if (argument_count != static_cast<int>(sizeof...(A))) {
    last_error = "another number of arguments than the kernel has";
    return 1;
  }
  if (extent.x * extent.y * extent.z > static_cast<unsigned>(max_threads)) {
    last_error = "more threads in a block than the kernel is compiled for";
    return 1;
  }
  catch_faults();
  Launch work;
  work.grid = grid;
  work.extent = extent;
  work.shared_bytes = shared_bytes;
  work.call = &call_kernel<A...>;
  work.kernel = reinterpret_cast<void*>(kernel);
  work.arguments = arguments;
  work.backwards = backwards;
  work.blocks = static_cast<long>(grid.x) * grid.y * grid.z;
  if (work.blocks > 1) {
    helper->run(work);
  } else {
    run_blocks(work);
  }
  last_error = work.error ? work.error.load() : "";
  last_fault = work.fault;
  return work.error ? 700 : 0;
}

}  // namespace emulation

extern "C" inline __attribute__((used)) const char* emulation_error() {
  return emulation::last_error;
}
extern "C" inline __attribute__((used)) void* emulation_fault() { return emulation::last_fault; }

#define ENTRY(name, max_threads, ...)                                                            \
  static void name(__VA_ARGS__);                                                                 \
  extern "C" int host_##name(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,    \
                             unsigned bz, unsigned shared_bytes, void** arguments, int count,    \
                             int backwards) {                                                    \
    return emulation::launch(&name, max_threads, dim3{gx, gy, gz}, dim3{bx, by, bz},             \
                             shared_bytes, arguments, count, backwards != 0);                    \
  }                                                                                              \
  static void name(__VA_ARGS__)

#define DYNAMIC_SHARED(type, name) type* const name = reinterpret_cast<type*>(emulation::place.block->dynamic)

#define threadIdx emulation::place.thread_index
#define blockIdx emulation::place.block_index
#define blockDim emulation::place.block_extent
#define gridDim emulation::place.grid_extent

static inline void __syncthreads() { emulation::barrier(); }
static inline int __syncthreads_or(int predicate) {
  emulation::place.block->predicate_or |= predicate != 0;
  emulation::barrier();
  return emulation::place.block->result_or;
}
static inline int __syncthreads_and(int predicate) {
  emulation::place.block->predicate_and &= predicate != 0;
  emulation::barrier();
  return emulation::place.block->result_and;
}
static inline int __syncthreads_count(int predicate) {
  emulation::place.block->predicate_count += predicate != 0;
  emulation::barrier();
  return emulation::place.block->result_count;
}
static inline void __syncwarp(unsigned mask = ~0u) { emulation::warp_barrier(mask); }
static inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
static inline void __threadfence_block() {}
static inline unsigned atomicAdd(unsigned* address, unsigned value) {
  return std::atomic_ref<unsigned>(*address).fetch_add(value);
}
static inline unsigned long long atomicMin(unsigned long long* address, unsigned long long value) {
  std::atomic_ref<unsigned long long> least(*address);
  unsigned long long before = least.load();
  while (value < before && !least.compare_exchange_weak(before, value)) {
  }
  return before;
}

// Each rounded on its own: what hides a result keeps the compiler from fusing it with the next.
static inline float __fmul_rn(float a, float b) {
  float product = a * b;
  asm("" : "+x"(product));
  return product;
}
static inline float __fadd_rn(float a, float b) {
  float sum = a + b;
  asm("" : "+x"(sum));
  return sum;
}
static inline double __dmul_rn(double a, double b) {
  double product = a * b;
  asm("" : "+x"(product));
  return product;
}
static inline double __dadd_rn(double a, double b) {
  double sum = a + b;
  asm("" : "+x"(sum));
  return sum;
}

template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int lane = emulation::place.block->current & 31;
  return emulation::exchange(mask, value, (lane & ~(width - 1)) | (source & (width - 1)));
}
template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  const int lane = emulation::place.block->current & 31;
  const int source = lane ^ lanes;
  const bool inside = (source & ~(width - 1)) == (lane & ~(width - 1));
  return emulation::exchange(mask, value, inside ? source : lane);
}
template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = emulation::place.block->current & 31;
  const int source = lane + static_cast<int>(delta);
  const bool inside = (source & ~(width - 1)) == (lane & ~(width - 1));
  return emulation::exchange(mask, value, inside ? source : lane);
}
template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = emulation::place.block->current & 31;
  const int source = lane - static_cast<int>(delta);
  const bool inside = source >= 0 && (source & ~(width - 1)) == (lane & ~(width - 1));
  return emulation::exchange(mask, value, inside ? source : lane);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate) {
  emulation::Block* b = emulation::place.block;
  emulation::Warp& warp = b->warps[b->current / emulation::kLanes];
  const unsigned parity = (warp.generation + 1) & 1;
  const unsigned live = warp.live;
  emulation::exchange<int>(mask, predicate != 0, 0);
  unsigned result = 0;
  for (int lane = 0; lane < emulation::kLanes; lane++) {
    int given;
    memcpy(&given, warp.exchanged[parity][lane], sizeof given);
    if ((mask & live) >> lane & 1) result |= static_cast<unsigned>(given != 0) << lane;
  }
  return result;
}
static inline int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, !predicate) == 0;
}

#define __expf(x) expf(x)
#define __logf(x) logf(x)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
template <typename T>
static inline T __ldg(const T* address) {
  return *address;
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
static inline float __int_as_float(int bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline int __float_as_int(float value) {
  int bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static inline float __uint_as_float(unsigned bits) { return __int_as_float(static_cast<int>(bits)); }
static inline unsigned __float_as_uint(float value) {
  return static_cast<unsigned>(__float_as_int(value));
}
using std::max;
using std::min;
