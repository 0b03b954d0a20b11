// A libcublas.so that is not one: the first function is there, the others are not.
extern "C" __attribute__((visibility("default"))) int cublasCreate_v2(void** handle) {
  *handle = nullptr;
  return 1;
}
