// Kernels whose stack can be sized, and cannot (resources.test.ts).

__device__ __noinline__ int inner(const int* from, int n) {
  int copies[128], sum = 0;
  for (int i = 0; i < 128; ++i) copies[i] = from[i & 63] * n;
  for (int i = 0; i < n; ++i) sum += copies[from[i & 63] & 127];
  return sum;
}

__global__ void chain(int* data) {
  int copies[64];
  for (int i = 0; i < 64; ++i) copies[i] = data[i + 1];
  data[0] = inner(copies, data[1]) + inner(copies, data[2]) + copies[data[3] & 63];
}

__device__ __noinline__ int around(int* data, int n) {
  int copies[8];
  for (int i = 0; i < 8; ++i) copies[i] = data[i] + n;
  return n < 2 ? copies[n & 7] : around(copies, n - 1) + around(copies, n - 2);
}

__global__ void circle(int* data) { data[0] = around(data + 1, data[9]); }

__device__ __noinline__ int first(int* data, int n) { return data[n] + 1; }
__device__ __noinline__ int second(int* data, int n) { return data[n] + 2; }
using Function = int (*)(int*, int);
__device__ Function functions[2] = {first, second};

__global__ void pointers(int* data) { data[0] = functions[data[1] & 1](data, data[2]); }
