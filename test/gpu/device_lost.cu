// A kernel after which every CUDA call of the process fails, as after a hardware error.
__global__ void trap() { __trap(); }

void lose_the_gpu() {
  trap<<<1, 1>>>();
  cudaDeviceSynchronize();
}
