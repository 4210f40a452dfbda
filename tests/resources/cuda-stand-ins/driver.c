// A driver with one device that keeps its memory on the host.
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kNoDevice = 100,
  kInvalidContext = 201,
  kNoBinary = 209,
  kNotFound = 500,
  kIllegalAddress = 700
};

static long setting(const char* name, long fallback) {
  const char* value = getenv(name);
  return value == NULL ? fallback : atol(value);
}

// ---- start and device

static int initialized;
static int retained;
static int error_of_device;
static __thread void* current;
static char context[1];

int cuInit(unsigned flags) {
  const int result = (int)setting("STAND_IN_INIT", kSuccess);
  initialized = result == kSuccess;
  return flags != 0 ? kInvalidValue : result;
}

int cuDriverGetVersion(int* version) {
  *version = (int)setting("STAND_IN_DRIVER_VERSION", 13000);
  return kSuccess;
}

int cuGetErrorName(int error, const char** name) {
  switch (error) {
    case kInvalidValue: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case kOutOfMemory: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case kNoBinary: *name = "CUDA_ERROR_NO_BINARY_FOR_GPU"; break;
    case kIllegalAddress: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    default: *name = "CUDA_ERROR_OTHER"; break;
  }
  return kSuccess;
}

int cuGetErrorString(int error, const char** text) {
  switch (error) {
    case kInvalidValue: *text = "invalid argument"; break;
    case kNoBinary: *text = "no kernel image is available for execution on the device"; break;
    case kIllegalAddress: *text = "an illegal memory access was encountered"; break;
    default: *text = "some other error"; break;
  }
  return kSuccess;
}

int cuDeviceGetCount(int* count) {
  if (!initialized) return kNotInitialized;
  *count = 1;
  return kSuccess;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? kSuccess : 101;
}

int cuDeviceGetName(char* name, int bytes, int device) {
  snprintf(name, (size_t)bytes, "stand-in device");
  return kSuccess;
}

int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = (size_t)setting("STAND_IN_MEMORY", 1 << 30);
  return kSuccess;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  const int capability = (int)setting("STAND_IN_CAPABILITY", 90);
  switch (attribute) {
    case 16: *value = 132; return kSuccess;
    case 75: *value = capability / 10; return kSuccess;
    case 76: *value = capability % 10; return kSuccess;
    case 97: *value = 232448; return kSuccess;
    default: return kInvalidValue;
  }
}

int cuDevicePrimaryCtxRetain(void** result, int device) {
  retained++;
  *result = context;
  return kSuccess;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
  retained--;
  if (retained == 0) fprintf(stderr, "stand-in: context released\n");
  return retained < 0 ? kInvalidContext : kSuccess;
}

int cuCtxSetCurrent(void* value) {
  current = value;
  return kSuccess;
}

// What every call finds that needs a context and a healthy device.
static int state(void) {
  if (current != context || retained == 0) return kInvalidContext;
  return error_of_device;
}

// ---- memory

static size_t used;
static int blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void block_freed(void) {
  blocks--;
  if (blocks == 0) fprintf(stderr, "stand-in: all memory freed\n");
}

int cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
  if (state() != kSuccess) return state();
  if (bytes == 0) return kInvalidValue;
  pthread_mutex_lock(&lock);
  size_t total;
  cuDeviceTotalMem_v2(&total, 0);
  const int fits = bytes <= total - used;
  if (fits) {
    size_t* block = malloc(bytes + 256);
    *block = bytes;
    used += bytes;
    blocks++;
    *address = (unsigned long long)(block + 32);
  }
  pthread_mutex_unlock(&lock);
  return fits ? kSuccess : kOutOfMemory;
}

int cuMemFree_v2(unsigned long long address) {
  if (state() != kSuccess) return state();
  pthread_mutex_lock(&lock);
  size_t* block = (size_t*)address - 32;
  used -= *block;
  free(block);
  block_freed();
  pthread_mutex_unlock(&lock);
  return kSuccess;
}

int cuMemGetInfo_v2(size_t* available, size_t* total) {
  if (state() != kSuccess) return state();
  cuDeviceTotalMem_v2(total, 0);
  *available = *total - used;
  return kSuccess;
}

int cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
  if (state() != kSuccess) return state();
  *address = malloc(bytes);
  memset(*address, 0x5A, bytes);
  pthread_mutex_lock(&lock);
  blocks++;
  pthread_mutex_unlock(&lock);
  return kSuccess;
}

int cuMemFreeHost(void* address) {
  free(address);
  pthread_mutex_lock(&lock);
  block_freed();
  pthread_mutex_unlock(&lock);
  return kSuccess;
}

// ---- work: done at once, or recorded

enum { kMostWork = 64 };

struct Work {
  int kind;
  unsigned long long to;
  unsigned long long from;
  size_t bytes;
  float factor;
  int value;
};

struct Recording {
  int count;
  struct Work work[kMostWork];
};

struct Stream {
  struct Recording* recording;
};

enum { kCopy, kFill, kSaxpy, kFault };

static void run(const struct Work* work) {
  switch (work->kind) {
    case kCopy:
      memcpy((void*)work->to, (const void*)work->from, work->bytes);
      break;
    case kFill:
      memset((void*)work->to, work->value, work->bytes);
      break;
    case kSaxpy:
      for (size_t i = 0; i < work->bytes; i++) {
        ((float*)work->to)[i] += work->factor * ((const float*)work->from)[i];
      }
      break;
    case kFault:
      error_of_device = kIllegalAddress;
      break;
  }
}

static int queue(struct Stream* stream, struct Work work) {
  if (state() != kSuccess) return state();
  if (stream->recording == NULL) {
    run(&work);
  } else if (stream->recording->count < kMostWork) {
    stream->recording->work[stream->recording->count++] = work;
  }
  return kSuccess;
}

static int copy(unsigned long long to, unsigned long long from, size_t bytes,
                struct Stream* stream) {
  const struct Work work = {.kind = kCopy, .to = to, .from = from, .bytes = bytes};
  return queue(stream, work);
}

int cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t bytes, void* stream) {
  return copy(to, (unsigned long long)from, bytes, stream);
}

int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t bytes, void* stream) {
  return copy((unsigned long long)to, from, bytes, stream);
}

int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t bytes,
                         void* stream) {
  return copy(to, from, bytes, stream);
}

int cuMemsetD8Async(unsigned long long to, unsigned char value, size_t bytes, void* stream) {
  const struct Work work = {.kind = kFill, .to = to, .value = value, .bytes = bytes};
  return queue(stream, work);
}

int cuStreamCreate(void** stream, unsigned flags) {
  if (state() != kSuccess) return state();
  *stream = calloc(1, sizeof(struct Stream));
  return flags == 1 ? kSuccess : kInvalidValue;
}

int cuStreamDestroy_v2(void* stream) {
  if (state() != kSuccess) return state();
  free(stream);
  return kSuccess;
}

int cuStreamSynchronize(void* stream) { return state(); }

// ---- events

static float now;

int cuEventCreate(void** event, unsigned flags) {
  *event = calloc(1, sizeof(float));
  return state();
}

int cuEventDestroy_v2(void* event) {
  free(event);
  return state();
}

int cuEventRecord(void* event, void* stream) {
  now += 1.5f;
  *(float*)event = now;
  return state();
}

int cuEventSynchronize(void* event) { return state(); }

int cuEventElapsedTime(float* millis, void* first, void* second) {
  *millis = *(float*)second - *(float*)first;
  return state();
}

int cuStreamWaitEvent(void* stream, void* event, unsigned flags) { return state(); }

// ---- kernels

struct Function {
  int kind;
  int shared;
};

int cuModuleLoadData(void** module, const void* image) {
  if (state() != kSuccess) return state();
  char expected[32];
  snprintf(expected, sizeof expected, "IMAGE sm_%ld\n", setting("STAND_IN_CAPABILITY", 90));
  if (strncmp(image, expected, strlen(expected)) != 0) return kNoBinary;
  fprintf(stderr, "stand-in: image loaded\n");
  *module = calloc(1, 1);
  return kSuccess;
}

int cuModuleUnload(void* module) {
  free(module);
  fprintf(stderr, "stand-in: image unloaded\n");
  return kSuccess;
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
  if (state() != kSuccess) return state();
  const int is_saxpy = strcmp(name, "saxpy_f32") == 0;
  if (!is_saxpy && strcmp(name, "fault_f32") != 0) return kNotFound;
  struct Function* found = calloc(1, sizeof *found);
  found->kind = is_saxpy ? kSaxpy : kFault;
  found->shared = 48 * 1024 - 1024;
  *function = found;
  return kSuccess;
}

int cuFuncGetAttribute(int* value, int attribute, void* function) {
  *value = 1024;  // static shared memory
  return attribute == 1 ? state() : kInvalidValue;
}

int cuFuncSetAttribute(void* function, int attribute, int value) {
  if (attribute != 8 || value > 232448 - 1024) return kInvalidValue;
  fprintf(stderr, "stand-in: %d bytes of shared memory allowed\n", value);
  ((struct Function*)function)->shared = value;
  return state();
}

int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                   void* stream, void** arguments, void** extra) {
  const struct Function* launched = function;
  if (extra != NULL || shared > (unsigned)launched->shared) return kInvalidValue;
  struct Work work = {.kind = launched->kind};
  if (launched->kind == kSaxpy) {  // (x, y, long n, int threads, float a), all of them checked
    const long n = *(long*)arguments[2];
    if (*(int*)arguments[3] != (int)(grid_x * block_x) ||
        grid_y * grid_z * block_y * block_z != 1) {
      return kInvalidValue;
    }
    work.from = *(unsigned long long*)arguments[0];
    work.to = *(unsigned long long*)arguments[1];
    work.bytes = (size_t)n;
    work.factor = *(float*)arguments[4];
  }
  return queue(stream, work);
}

// ---- graphs

int cuStreamBeginCapture_v2(void* stream, int mode) {
  if (mode != 1) return kInvalidValue;
  ((struct Stream*)stream)->recording = calloc(1, sizeof(struct Recording));
  return state();
}

int cuStreamEndCapture(void* stream, void** graph) {
  *graph = ((struct Stream*)stream)->recording;
  ((struct Stream*)stream)->recording = NULL;
  return state();
}

int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long flags) {
  *executable = malloc(sizeof(struct Recording));
  memcpy(*executable, graph, sizeof(struct Recording));
  return state();
}

int cuGraphDestroy(void* graph) {
  free(graph);
  return kSuccess;
}

int cuGraphExecDestroy(void* executable) {
  free(executable);
  return state();
}

int cuGraphLaunch(void* executable, void* stream) {
  const struct Recording* recording = executable;
  for (int i = 0; i < recording->count; i++) {
    const int result = queue(stream, recording->work[i]);
    if (result != kSuccess) return result;
  }
  return state();
}
