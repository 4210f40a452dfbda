int cublasLtGetVersion(void) { return 7; }
