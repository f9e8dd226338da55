// pi05_gemm_bench [--threads N] [--simd NAME] [--rounds N] [--cpu-time] [LIBRARY]
//
// GFLOP/s of the CPU backend's gemm_nt on the model's shapes, weights in bf16. With LIBRARY, a shared object with
// cblas_sgemm, it also measures the same product in fp32 by that library, in alternating rounds, and the ratio: the
// median over rounds of library time / our time. Set the library to the same number of threads, and its idle threads
// not to spin: OPENBLAS_NUM_THREADS=2 OPENBLAS_THREAD_TIMEOUT=4, or MKL_NUM_THREADS=2 KMP_BLOCKTIME=0. On a shared
// machine, --threads 1 --cpu-time with one library thread compares processor time.
#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/simd.h"

namespace {

struct Shape {
  const char* name;
  int64_t m, k, n;
};

constexpr Shape kShapes[] = {
    {"SigLIP qkv", 512, 1152, 3456},   {"SigLIP out", 512, 1152, 1152},
    {"SigLIP fc1", 512, 1152, 4304},   {"SigLIP fc2", 512, 4304, 1152},
    {"prefix qkv", 572, 2048, 2560},   {"prefix o", 572, 2048, 2048},
    {"prefix gate", 572, 2048, 16384}, {"prefix down", 572, 16384, 2048},
    {"expert qkv", 15, 1024, 2560},    {"expert o", 15, 2048, 1024},
    {"expert gate", 15, 1024, 4096},   {"expert down", 15, 4096, 1024},
    {"expert H 50", 50, 1024, 4096},   {"time", 1, 1024, 1024},
    {"adaRMS", 10, 1024, 3072},        {"odd", 1, 30, 37},
};

// C = A · Bᵀ, row-major, with the integer width that the library was built with.
class Library {
 public:
  explicit Library(const char* path) {
    void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) fail(dlerror());
    for (const char* name : {"cblas_sgemm64_", "scipy_cblas_sgemm64_"})
      if (void* symbol = dlsym(handle, name)) wide_ = reinterpret_cast<Sgemm<int64_t>>(symbol);
    for (const char* name : {"cblas_sgemm", "scipy_cblas_sgemm"})
      if (void* symbol = dlsym(handle, name)) narrow_ = reinterpret_cast<Sgemm<int>>(symbol);
    if (!wide_ && !narrow_) fail("Expected a library with cblas_sgemm, received one without it");
  }

  void multiply(const Shape& s, const float* a, const float* b, float* c) const {
    if (wide_)
      call(wide_, s, a, b, c);
    else
      call(narrow_, s, a, b, c);
  }

 private:
  template <typename Int>
  using Sgemm = void (*)(int, int, int, Int, Int, Int, float, const float*, Int, const float*, Int, float, float*, Int);

  template <typename Int>
  static void call(Sgemm<Int> sgemm, const Shape& s, const float* a, const float* b, float* c) {
    constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;
    const Int m = static_cast<Int>(s.m), n = static_cast<Int>(s.n), k = static_cast<Int>(s.k);
    sgemm(kRowMajor, kNoTranspose, kTranspose, m, n, k, 1, a, k, b, k, 0, c, n);
  }

  [[noreturn]] static void fail(const char* reason) {
    std::fprintf(stderr, "%s\n", reason);
    std::exit(2);
  }

  Sgemm<int64_t> wide_ = nullptr;
  Sgemm<int> narrow_ = nullptr;
};

double now(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

clockid_t g_clock = CLOCK_MONOTONIC;

template <typename Body>
double seconds(const Body& body, int64_t repeats) {
  const double start = now(g_clock);
  for (int64_t i = 0; i < repeats; i++) body(i);
  return (now(g_clock) - start) / static_cast<double>(repeats);
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

void measure(const Shape& s, int rounds, pi05::ThreadPool& pool, const Library* library) {
  using std::size_t;
  // Weights in rotation, so that skinny products load theirs from memory, as in the model, and not from a cache.
  const int64_t copies = std::clamp<int64_t>((int64_t{96} << 20) / (s.n * s.k * 2), 1, 16);
  const int64_t weights = s.n * s.k;
  std::vector<float> a(static_cast<size_t>(s.m * s.k)), b32(static_cast<size_t>(weights * copies));
  std::vector<uint16_t> b16(b32.size());
  std::vector<float> c(static_cast<size_t>(s.m * s.n)), expected(c.size());
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (float& x : a) x = uniform(random);
  for (size_t i = 0; i < b16.size(); i++) {
    uint32_t bits;
    const float value = uniform(random);
    std::memcpy(&bits, &value, 4);
    b16[i] = static_cast<uint16_t>(bits >> 16);
    bits = uint32_t{b16[i]} << 16;
    std::memcpy(&b32[i], &bits, 4);
  }
  const auto ours = [&](int64_t i) {
    pi05::gemm_nt(pool, a.data(), s.k, s.m, s.k, &b16[static_cast<size_t>(i % copies * weights)], pi05::DType::BF16,
                  s.k, s.n, nullptr, c.data(), s.n);
  };
  const auto theirs = [&](int64_t i) {
    library->multiply(s, a.data(), &b32[static_cast<size_t>(i % copies * weights)], expected.data());
  };
  const double flops = 2.0 * static_cast<double>(s.m * s.n * s.k);
  ours(0);
  if (library) theirs(0);
  const int64_t repeats = std::max<int64_t>(copies, static_cast<int64_t>(0.03 * 150e9 / flops));
  std::vector<double> our_times, their_times, ratios;
  for (int round = 0; round < rounds; round++) {
    our_times.push_back(seconds(ours, repeats));
    if (!library) continue;
    their_times.push_back(seconds(theirs, repeats));
    ratios.push_back(their_times.back() / our_times.back());
  }
  const double best = *std::min_element(our_times.begin(), our_times.end());
  std::printf("%-12s %4ld %6ld %6ld  ours %9.3f ms %6.1f GFLOP/s (best %6.1f) %5.1f GB/s", s.name, long(s.m), long(s.k),
              long(s.n), median(our_times) * 1e3, flops / median(our_times) / 1e9, flops / best / 1e9,
              static_cast<double>(weights) * 2 / median(our_times) / 1e9);
  if (library) {
    std::printf("  library %6.1f GFLOP/s (best %6.1f)  ratio %.2f", flops / median(their_times) / 1e9,
                flops / *std::min_element(their_times.begin(), their_times.end()) / 1e9, median(ratios));
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 0, rounds = 9;
  const char* path = nullptr;
  for (int i = 1; i < argc; i++) {
    const std::string argument = argv[i];
    if (argument == "--threads" && i + 1 < argc) {
      threads = std::atoi(argv[++i]);
    } else if (argument == "--rounds" && i + 1 < argc) {
      rounds = std::max(1, std::atoi(argv[++i]));
    } else if (argument == "--cpu-time") {
      g_clock = CLOCK_PROCESS_CPUTIME_ID;
    } else if (argument == "--simd" && i + 1 < argc) {
      const std::string name = argv[++i];
      for (const pi05::Simd* level : pi05::simd_supported())
        if (name == level->name) pi05::simd_use(*level);
      if (name != pi05::simd().name)
        return std::fprintf(stderr, "Expected an instruction set of this processor for --simd, received %s\n",
                            name.c_str()),
               2;
    } else if (argument[0] != '-') {
      path = argv[i];
    } else {
      return std::fprintf(stderr, "Expected an option or a library, received %s\n", argv[i]), 2;
    }
  }
  const Library* library = path ? new Library(path) : nullptr;
  pi05::ThreadPool pool(threads, false);
  std::printf("%s, %d threads, %d rounds\n", pi05::simd().name, pool.size(), rounds);
  for (const Shape& shape : kShapes) measure(shape, rounds, pool, library);
  delete library;
}
