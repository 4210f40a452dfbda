// Tells its version and no more, and needs cublasLt as the real one does. MAJOR is its version.
extern int cublasLtGetVersion(void);

int cublasGetProperty(int part, int* value) {
  *value = part == 0 ? MAJOR : part == 1 ? cublasLtGetVersion() : 2;
  return 0;
}
