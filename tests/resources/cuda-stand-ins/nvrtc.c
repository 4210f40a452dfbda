// A compiler whose images are the architecture and the text. MAJOR is its version.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Program {
  char* text;
  int headers;
  char image[1 << 16];
  char log[256];
};

int nvrtcVersion(int* major, int* minor) {
  *major = MAJOR;
  *minor = 4;
  return 0;
}

const char* nvrtcGetErrorString(int result) {
  return result == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_OTHER";
}

int nvrtcGetNumSupportedArchs(int* count) {
  *count = 3;
  return 0;
}

int nvrtcGetSupportedArchs(int* architectures) {
  architectures[0] = 75;
  architectures[1] = 80;
  architectures[2] = 90;
  return 0;
}

int nvrtcCreateProgram(struct Program** result, const char* text, const char* name, int headers,
                       const char* const* header_texts, const char* const* header_names) {
  struct Program* program = calloc(1, sizeof *program);
  program->text = strdup(text);
  for (int i = 0; i < headers; i++) {
    if (strstr(text, header_names[i]) != NULL && header_texts[i][0] != 0) program->headers++;
  }
  *result = program;
  return 0;
}

int nvrtcDestroyProgram(struct Program** program) {
  free((*program)->text);
  free(*program);
  *program = NULL;
  return 0;
}

int nvrtcCompileProgram(struct Program* program, int count, const char* const* options) {
  const char* architecture = "none";
  int standard = 0;
  for (int i = 0; i < count; i++) {
    if (strncmp(options[i], "--gpu-architecture=", 19) == 0) architecture = options[i] + 19;
    standard |= strcmp(options[i], "-std=c++17") == 0;
  }
  if (strstr(program->text, "#error") != NULL || !standard) {
    snprintf(program->log, sizeof program->log, "vector.cu(3): error: the text says so\n");
    return 6;
  }
  fprintf(stderr, "stand-in: compiled for %s with %d headers\n", architecture, program->headers);
  snprintf(program->image, sizeof program->image, "IMAGE %s\n%s", architecture, program->text);
  return 0;
}

int nvrtcGetProgramLogSize(struct Program* program, size_t* bytes) {
  *bytes = strlen(program->log) + 1;
  return 0;
}

int nvrtcGetProgramLog(struct Program* program, char* log) {
  strcpy(log, program->log);
  return 0;
}

int nvrtcGetCUBINSize(struct Program* program, size_t* bytes) {
  *bytes = strlen(program->image);
  return 0;
}

int nvrtcGetCUBIN(struct Program* program, char* image) {
  memcpy(image, program->image, strlen(program->image));
  return 0;
}
