// A kernel that ends as a broken GPU does: every call of the process fails from then on.
__global__ void trap() { __trap(); }

void lose_the_gpu() {
  trap<<<1, 1>>>();
  cudaDeviceSynchronize();
}
