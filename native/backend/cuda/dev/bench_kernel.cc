// Times single kernels at the model's shapes, with operands that are not in the L2 cache, and compares each once with
// its CPU twin. See OPTIMIZATION_LOG.md. One long file, because it is one short function per kernel.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/gemm.h"
#include "backend/cuda/kernels/expert.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/launch_log.h"
#include "backend/cuda/memory.h"
#include "both_backends.h"
#include "fp8_operands.h"

namespace {

using pi05::check;
using pi05::LaunchLog;
constexpr const char* kUsage = R"(Usage: bench_kernel [options]

  --kernel NAME[,NAME…]  siglip_gemm, geglu_gemm, fp8, attention, skinny_gemm, expert, cublaslt, norm (all)
  --cameras N            for SigLIP and the length of the prefix (2)
  --tokens N             prompt tokens, for the length of the prefix (60)
  --rows N               action rows (15)
  --repeats N            measurements; the median is printed (20)
  --check 0              leave out the comparison with the CPU

One line per shape: microseconds, TFLOP/s, TB/s of weights and activations, the error relative to the largest value,
and the kernel that ran.
)";

struct Options {
  std::vector<std::string> kernel;
  int64_t cameras = 2, tokens = 60, rows = 15, repeats = 20, check = 1;

  bool wants(const char* name) const {
    return kernel.empty() || std::find(kernel.begin(), kernel.end(), name) != kernel.end();
  }
  int64_t prefix() const { return cameras * 256 + tokens; }
};

// One kernel at one shape. `launch(set)` enqueues it with one of `sets` copies of its operands.
struct Case {
  std::string name;
  double flops, bytes;  // of one launch
  int64_t sets;
  std::function<void(int64_t set, cudaStream_t)> launch;
  std::function<void()> on_cpu;
  std::vector<std::pair<Both, double>> outputs;  // of set 0, and the tolerance of their relative error
};

// So many copies of operands of `bytes` that none is still in L2 when it is used again.
int64_t sets_for(double bytes) {
  int l2 = 0;
  check(cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, 0), "cudaDeviceGetAttribute");
  return std::clamp<int64_t>(static_cast<int64_t>(3.0 * l2 / bytes) + 1, 2, 64);
}

class KernelBench {
 public:
  explicit KernelBench(const Options& options) : options_(options) {
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }

  bool failed() const { return failed_; }

  void measure(Harness& harness, const Case& c) {
    LaunchLog log;
    c.launch(0, stream_);
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    const std::string kernel = log.names();
    std::string error = "      -";
    if (options_.check) {
      c.on_cpu();
      double worst = 0;
      for (const auto& [both, tolerance] : c.outputs) {
        std::vector<float> expected(static_cast<size_t>(both.cpu.rows * both.cpu.cols)), actual(expected.size());
        harness.cpu->download(both.cpu, expected.data());
        harness.gpu->download(both.gpu, actual.data());
        const double difference = fixtures::relative_error(actual, expected);
        worst = std::max(worst, difference);
        failed_ = failed_ || !(difference <= tolerance);
      }
      char text[16];
      std::snprintf(text, sizeof text, "%.1e", worst);
      error = text;
    }
    const double us = microseconds(c);
    std::printf("%-46s %9.2f us %7.1f TFLOP/s %6.2f TB/s  error %s  [%s]\n", c.name.c_str(), us, c.flops / us / 1e6,
                c.bytes / us / 1e6, error.c_str(), kernel.c_str());
    std::fflush(stdout);
  }

 private:
  // Median over the repeats of a graph that launches every set once, as the model's graph launches one layer after
  // another.
  double microseconds(const Case& c) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    for (int64_t set = 0; set < c.sets; set++) c.launch(set, stream_);
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    cudaGraphDestroy(graph);
    std::vector<float> times;
    for (int64_t i = 0; i < options_.repeats + 3; i++) {
      check(cudaEventRecord(begin_, stream_), "cudaEventRecord");
      check(cudaGraphLaunch(executable, stream_), "cudaGraphLaunch");
      check(cudaEventRecord(end_, stream_), "cudaEventRecord");
      check(cudaEventSynchronize(end_), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
      if (i >= 3) times.push_back(milliseconds * 1e3f / static_cast<float>(c.sets));
    }
    cudaGraphExecDestroy(executable);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  const Options options_;
  const pi05::Stream stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  bool failed_ = false;
};

// `count` copies of a matrix on the GPU; the first is the matrix.
std::vector<Matrix> copies(Harness& harness, const Matrix& matrix, int64_t count) {
  std::vector<Matrix> all{matrix};
  while (static_cast<int64_t>(all.size()) < count) {
    all.push_back(harness.gpu->allocate(matrix.rows, matrix.cols, matrix.dtype));
    harness.gpu->copy(matrix, all.back());
  }
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return all;
}

double size_of(const Matrix& m) { return static_cast<double>(m.rows * m.cols * pi05::bytes_of(m.dtype)); }
float scale_of(int64_t columns) { return 1 / std::sqrt(static_cast<float>(columns)); }

// Several copies of the operands of a product: x (m, k) and weight (n, k).
struct Operands {
  Operands(Harness& harness, DType type, int64_t m, int64_t k, int64_t n)
      : x(harness.make(m, k, type)), weight(harness.make(n, k, type, scale_of(k))) {
    flops = 2.0 * static_cast<double>(m * k * n);
    bytes = size_of(x.gpu) + size_of(weight.gpu);
    sets = sets_for(bytes);
    xs = copies(harness, x.gpu, sets), weights = copies(harness, weight.gpu, sets);
  }
  Tensor weight_of(int64_t set) const { return tensor(weights[static_cast<size_t>(set)]); }
  const Matrix& x_of(int64_t set) const { return xs[static_cast<size_t>(set)]; }

  Both x, weight;
  double flops, bytes;
  int64_t sets;
  std::vector<Matrix> xs, weights;
};

// Adds the partial products of a split-K kernel on the CPU, as the next norm does in the model, into product.gpu.
void sum_partials(Harness& harness, const Matrix& partials, int64_t splits, const Both& product) {
  std::vector<float> parts(static_cast<size_t>(partials.rows * partials.cols));
  harness.gpu->download(partials, parts.data());
  const size_t values = parts.size() / static_cast<size_t>(splits);
  for (size_t i = values; i < parts.size(); i++) parts[i % values] += parts[i];
  harness.gpu->upload(product.gpu, parts.data());
}

void bench_siglip(KernelBench& bench, const Options& options) {
  const int64_t m = 256 * options.cameras;
  struct Shape {
    const char* name;
    int64_t k, n;
    bool gelu;
  };
  for (const Shape& s : {Shape{"qkv", 1152, 3456, false}, Shape{"fc1 + GELU", 1152, 4304, true}}) {
    Harness harness(DType::BF16);
    const Operands operands(harness, DType::F16, m, s.k, s.n);
    if (!kernels::siglip_gemm_supported(operands.x.gpu, tensor(operands.weight.gpu))) {
      std::printf("siglip_gemm %s%s: not supported here\n", s.name, sizes(m, s.k, s.n).c_str());
      continue;
    }
    const Both bias = harness.make(1, s.n, DType::F16), out = harness.make(m, s.n, DType::F16);
    const Tensor weight = tensor(operands.weight.cpu), added = tensor(bias.cpu);
    bench.measure(harness, {std::string("siglip_gemm ") + s.name + sizes(m, s.k, s.n),
                            operands.flops,
                            operands.bytes + size_of(out.gpu),
                            operands.sets,
                            [&](int64_t set, cudaStream_t stream) {
                              check(kernels::siglip_gemm(operands.x_of(set), operands.weight_of(set), bias.gpu.data,
                                                         s.gelu, out.gpu, stream),
                                    "kernel siglip_gemm");
                            },
                            [&] {
                              if (s.gelu)
                                harness.cpu->linear_gelu(operands.x.cpu, weight, &added, out.cpu);
                              else
                                harness.cpu->linear(operands.x.cpu, weight, &added, out.cpu);
                            },
                            {{out, kF16}}});
  }
  for (const Shape& s : {Shape{"out", 1152, 1152, false}, Shape{"fc2", 4304, 1152, false}}) {
    Harness harness(DType::BF16);
    const Operands operands(harness, DType::F16, m, s.k, s.n);
    const int64_t splits = kernels::siglip_gemm_splits(operands.x.gpu, tensor(operands.weight.gpu));
    if (splits == 0) {
      std::printf("siglip_gemm %s%s: not supported here\n", s.name, sizes(m, s.k, s.n).c_str());
      continue;
    }
    const Matrix partials = harness.gpu->allocate(splits * m, s.n, DType::F32);
    const Both sum = harness.f32(m, s.n);
    bench.measure(
        harness,
        {std::string("siglip_gemm ") + s.name + sizes(m, s.k, s.n) + " in " + std::to_string(splits) + " splits",
         operands.flops,
         operands.bytes + size_of(partials),
         operands.sets,
         [&](int64_t set, cudaStream_t stream) {
           check(kernels::siglip_gemm_split_k(operands.x_of(set), operands.weight_of(set), partials, stream),
                 "kernel siglip_gemm_split_k");
         },
         [&] {
           harness.cpu->linear(operands.x.cpu, tensor(operands.weight.cpu), nullptr, sum.cpu);
           sum_partials(harness, partials, splits, sum);
         },
         {{sum, 2e-5}}});
  }
}

void bench_geglu(KernelBench& bench, const Options& options) {
  const int64_t m = options.prefix(), k = 2048, n = 16384;
  Harness harness(DType::BF16);
  const Operands operands(harness, DType::BF16, m, k, 2 * n);
  const Both out = harness.activations(m, n);
  if (!kernels::geglu_gemm_supported(operands.x.gpu, tensor(operands.weight.gpu), out.gpu)) {
    std::printf("geglu_gemm%s: not supported here\n", sizes(m, k, 2 * n).c_str());
    return;
  }
  const auto reference = [&] {  // the CPU operation takes gate and up as two matrices
    const auto [gate, up] = split_interleaved(harness, operands.weight.cpu);
    harness.cpu->gated_linear(operands.x.cpu, tensor(gate), tensor(up), out.cpu);
  };
  bench.measure(harness, {"geglu_gemm" + sizes(m, k, 2 * n),
                          operands.flops,
                          operands.bytes + size_of(out.gpu),
                          operands.sets,
                          [&](int64_t set, cudaStream_t stream) {
                            check(kernels::geglu_gemm(operands.x_of(set), operands.weight_of(set), out.gpu, stream),
                                  "kernel geglu_gemm");
                          },
                          reference,
                          {{out, 2 * kBf16}}});
}

// Copies of an operand as e4m3; the first is the operand.
std::vector<kernels::Fp8Matrix> copies(Harness& harness, const kernels::Fp8Matrix& matrix, int64_t count) {
  std::vector<kernels::Fp8Matrix> all{matrix};
  const Matrix& from = matrix.values;
  while (static_cast<int64_t>(all.size()) < count) {
    const kernels::Fp8Matrix to = allocate_fp8(harness, from.rows, from.cols);
    check(cudaMemcpy(to.values.data, from.data, static_cast<size_t>(from.rows * from.stride), cudaMemcpyDeviceToDevice),
          "cudaMemcpy");
    check(cudaMemcpy(to.scale, matrix.scale, static_cast<size_t>(from.rows) * 4, cudaMemcpyDeviceToDevice),
          "cudaMemcpy");
    all.push_back(to);
  }
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return all;
}

// The prefix's products of e4m3 operands, and what quantises their operands. Tolerances: of the rounding to e4m3.
void bench_fp8(KernelBench& bench, const Options& options) {
  if (!kernels::fp8_gemm_supported()) {
    std::printf("fp8: not supported here\n");
    return;
  }
  constexpr double kE4M3 = 6e-2;
  const int64_t m = options.prefix();
  struct Shape {
    const char* name;
    int64_t k, n;
    enum { Plain, SplitK, Gated } kind;
  };
  for (const Shape& s : {Shape{"qkv", 2048, 2560, Shape::Plain}, Shape{"out", 2048, 2048, Shape::SplitK},
                         Shape{"gate and up", 2048, 32768, Shape::Gated}, Shape{"down", 16384, 2048, Shape::SplitK}}) {
    Harness harness(DType::BF16);
    const Both xs = harness.make(m, s.k, DType::BF16), ws = harness.make(s.n, s.k, DType::BF16, scale_of(s.k));
    const Fp8Operand x(harness, xs), weight(harness, ws);
    const double bytes = size_of(x.gpu.values) + size_of(weight.gpu.values);
    const int64_t sets = sets_for(bytes),
                  splits = s.kind == Shape::SplitK ? kernels::fp8_gemm_splits(x.gpu, tensor(weight.gpu)) : 1;
    const auto x_sets = copies(harness, x.gpu, sets), weights = copies(harness, weight.gpu, sets);
    const Matrix partials = harness.gpu->allocate(splits * m, s.n, DType::F32);
    const Both out =
        harness.make(m, s.kind == Shape::Gated ? s.n / 2 : s.n, s.kind == Shape::SplitK ? DType::F32 : DType::BF16);
    bench.measure(harness, {std::string("fp8 ") + s.name + sizes(m, s.k, s.n) +
                                (splits > 1 ? " in " + std::to_string(splits) + " splits" : ""),
                            2.0 * static_cast<double>(m * s.k * s.n),
                            bytes + size_of(s.kind == Shape::SplitK ? partials : out.gpu),
                            sets,
                            [&](int64_t set, cudaStream_t stream) {
                              const auto i = static_cast<size_t>(set);
                              check(s.kind == Shape::Plain
                                        ? kernels::fp8_gemm(x_sets[i], tensor(weights[i]), out.gpu, stream)
                                    : s.kind == Shape::Gated
                                        ? kernels::geglu_gemm(x_sets[i], tensor(weights[i]), out.gpu, stream)
                                        : kernels::fp8_gemm_split_k(x_sets[i], tensor(weights[i]), partials, stream),
                                    "kernel fp8");
                            },
                            [&] {
                              if (s.kind == Shape::Gated) {
                                const auto [gate, up] = split_interleaved(harness, weight.exact);
                                harness.cpu->gated_linear(x.exact, tensor(gate), tensor(up), out.cpu);
                              } else {
                                harness.cpu->linear(x.exact, tensor(weight.exact), nullptr, out.cpu);
                                if (s.kind == Shape::SplitK) sum_partials(harness, partials, splits, out);
                              }
                            },
                            {{out, kE4M3}}});
  }
  for (const int64_t cols : {2048, 16384}) {
    Harness harness(DType::BF16);
    const Both from = harness.make(m, cols, DType::BF16);
    const kernels::Fp8Matrix to = allocate_fp8(harness, m, cols);
    bench.measure(harness, {"quantize_rows (" + std::to_string(m) + ", " + std::to_string(cols) + "), warm",
                            0,
                            1.5 * size_of(from.gpu),
                            17,
                            [&](int64_t, cudaStream_t stream) {
                              check(kernels::quantize_rows(from.gpu, to, {}, stream), "kernel quantize_rows");
                            },
                            [] {},
                            {}});
  }
}

void bench_attention(KernelBench& bench, const Options& options) {
  struct Shape {
    const char* name;
    DType type;
    int64_t queries, keys;
    pi05::AttentionShape shape;
  };
  const int64_t prefix = options.prefix(), rows = options.rows;
  for (const Shape& s : {Shape{"SigLIP", DType::F16, 256, 256, {options.cameras, 16, 16, 72}},
                         Shape{"prefix", DType::BF16, prefix, prefix, {1, 8, 1, 256}},
                         Shape{"expert", DType::BF16, rows, prefix + rows, {1, 8, 1, 256}}}) {
    Harness harness(DType::BF16);
    const int64_t b = s.shape.batch, width = s.shape.heads * s.shape.head_dim;
    const int64_t kv_width = s.shape.kv_heads * s.shape.head_dim;
    const Both q = harness.make(b * s.queries, width, s.type, 2), k = harness.make(b * s.keys, kv_width, s.type);
    const Both v = harness.make(b * s.keys, kv_width, s.type), out = harness.make(b * s.queries, width, s.type);
    const double bytes = size_of(q.gpu) + size_of(k.gpu) + size_of(v.gpu);
    const int64_t sets = sets_for(bytes);
    const std::vector<Matrix> qs = copies(harness, q.gpu, sets), ks = copies(harness, k.gpu, sets),
                              vs = copies(harness, v.gpu, sets);
    const pi05::DeviceMemory workspace(16 << 20);
    const double flops = 4.0 * static_cast<double>(b * s.queries * s.keys * width);
    bench.measure(harness, {std::string("attention ") + s.name + " " + std::to_string(b) + " x " +
                                std::to_string(s.queries) + " on " + std::to_string(s.keys),
                            flops,
                            bytes + size_of(out.gpu),
                            sets,
                            [&](int64_t set, cudaStream_t stream) {
                              const auto i = static_cast<size_t>(set);
                              check(kernels::attention(qs[i], ks[i], vs[i], s.shape, out.gpu, workspace.as<void>(),
                                                       workspace.bytes(), stream),
                                    "kernel attention");
                            },
                            [&] { harness.cpu->attention(q.cpu, k.cpu, v.cpu, s.shape, out.cpu); },
                            {{out, 2 * harness.tolerance(s.type)}}});
  }
}

void bench_skinny(KernelBench& bench, const Options& options) {
  const int64_t m = options.rows, width = 1024, mlp = 4096, heads = 8, dim = 256;
  {
    Harness harness(DType::BF16);
    const Operands operands(harness, DType::BF16, m, width, (heads + 2) * dim);
    const Both q = harness.activations(m, heads * dim), k = harness.activations(m, dim),
               v = harness.activations(m, dim);
    std::vector<float> table;  // position 0: no rotation
    for (int64_t i = 0; i < m * dim / 2; i++) table.push_back(1), table.push_back(0);
    const Matrix cos_sin = harness.gpu->allocate(m, dim, DType::F32);
    harness.gpu->upload(cos_sin, table.data());
    const auto rows_of = [&](int64_t first, int64_t count) {
      return tensor(operands.weight.cpu.rows_from(first, count));
    };
    bench.measure(harness, {"skinny_gemm qkv + RoPE" + sizes(m, width, (heads + 2) * dim),
                            operands.flops,
                            operands.bytes,
                            operands.sets,
                            [&](int64_t set, cudaStream_t stream) {
                              check(kernels::skinny_gemm_qkv_rope(operands.x_of(set), operands.weight_of(set), heads, 1,
                                                                  0, static_cast<const float2*>(cos_sin.data), q.gpu,
                                                                  k.gpu, v.gpu, stream),
                                    "kernel skinny_gemm_qkv_rope");
                            },
                            [&] {
                              harness.cpu->linear(operands.x.cpu, rows_of(0, heads * dim), nullptr, q.cpu);
                              harness.cpu->linear(operands.x.cpu, rows_of(heads * dim, dim), nullptr, k.cpu);
                              harness.cpu->linear(operands.x.cpu, rows_of((heads + 1) * dim, dim), nullptr, v.cpu);
                            },
                            {{q, kBf16}, {k, kBf16}, {v, kBf16}}});
  }
  {
    Harness harness(DType::BF16);
    const Operands operands(harness, DType::BF16, m, width, 2 * mlp);
    const Both out = harness.activations(m, mlp);
    const Tensor gate = tensor(operands.weight.cpu.rows_from(0, mlp)),
                 up = tensor(operands.weight.cpu.rows_from(mlp, mlp));
    bench.measure(harness,
                  {"skinny_gemm GEGLU" + sizes(m, width, 2 * mlp),
                   operands.flops,
                   operands.bytes,
                   operands.sets,
                   [&](int64_t set, cudaStream_t stream) {
                     check(kernels::skinny_gemm_geglu(operands.x_of(set), operands.weight_of(set), out.gpu, stream),
                           "kernel skinny_gemm_geglu");
                   },
                   [&] { harness.cpu->gated_linear(operands.x.cpu, gate, up, out.cpu); },
                   {{out, 2 * kBf16}}});
  }
  for (const auto& [name, k] : {std::pair<const char*, int64_t>{"out", heads * dim}, {"down", mlp}}) {
    Harness harness(DType::BF16);
    const Operands operands(harness, DType::BF16, m, k, width);
    constexpr int64_t kSplits = 4;
    const Matrix partials = harness.gpu->allocate(kSplits * m, width, DType::F32);
    const Both sum = harness.f32(m, width);
    bench.measure(harness, {std::string("skinny_gemm ") + name + sizes(m, k, width) + " in 4 splits",
                            operands.flops,
                            operands.bytes,
                            operands.sets,
                            [&](int64_t set, cudaStream_t stream) {
                              check(kernels::skinny_gemm_split_k(operands.x_of(set), operands.weight_of(set), kSplits,
                                                                 partials, stream),
                                    "kernel skinny_gemm_split_k");
                            },
                            [&] {
                              harness.cpu->linear(operands.x.cpu, tensor(operands.weight.cpu), nullptr, sum.cpu);
                              sum_partials(harness, partials, kSplits, sum);
                            },
                            {{sum, 2e-5}}});
  }
}

// cuBLASLt at the shapes for which the model uses it, and at some for which the backend has kernels.
void bench_cublaslt(KernelBench& bench, const Options& options) {
  const int64_t prefix = options.prefix(), images = 256 * options.cameras;
  struct Shape {
    const char* name;
    DType type;
    int64_t m, k, n;
  };
  for (const Shape& s :
       {Shape{"prefix qkv", DType::BF16, prefix, 2048, 2560}, Shape{"prefix out", DType::BF16, prefix, 2048, 2048},
        Shape{"prefix gate and up", DType::BF16, prefix, 2048, 32768},
        Shape{"prefix down", DType::BF16, prefix, 16384, 2048}, Shape{"SigLIP qkv", DType::F16, images, 1152, 3456},
        Shape{"SigLIP fc2", DType::F16, images, 4304, 1152}}) {
    Harness harness(DType::BF16);
    pi05::Gemm gemm;
    const Operands operands(harness, s.type, s.m, s.k, s.n);
    const Both out = harness.make(s.m, s.n, s.type);
    bench.measure(harness, {std::string("cublaslt ") + s.name + sizes(s.m, s.k, s.n),
                            operands.flops,
                            operands.bytes + size_of(out.gpu),
                            operands.sets,
                            [&](int64_t set, cudaStream_t stream) {
                              gemm.run(operands.x_of(set), operands.weight_of(set), {}, out.gpu, stream);
                            },
                            [&] { harness.cpu->linear(operands.x.cpu, tensor(operands.weight.cpu), nullptr, out.cpu); },
                            {{out, harness.tolerance(s.type)}}});
  }
}

void bench_norm(KernelBench& bench, const Options& options) {
  for (const auto& [name, type, rows, width] :
       {std::tuple<const char*, DType, int64_t, int64_t>{"layer_norm", DType::F16, 256 * options.cameras, 1152},
        {"rms_norm", DType::BF16, options.prefix(), 2048}}) {
    const bool layer = type == DType::F16;
    Harness harness(DType::BF16);
    const Both x = harness.f32(rows, width, 3), scale = harness.f32(1, width), shift = harness.f32(1, width);
    const Both out = harness.make(rows, width, type);
    const double bytes = size_of(x.gpu);
    const int64_t sets = sets_for(bytes);
    const std::vector<Matrix> xs = copies(harness, x.gpu, sets);
    bench.measure(harness,
                  {std::string(name) + " (" + std::to_string(rows) + ", " + std::to_string(width) + ")",
                   0,
                   bytes + size_of(out.gpu),
                   sets,
                   [&](int64_t set, cudaStream_t stream) {
                     const Matrix& from = xs[static_cast<size_t>(set)];
                     if (layer)
                       check(kernels::layer_norm(from, {tensor(scale.gpu), tensor(shift.gpu)}, out.gpu, {}, stream),
                             "kernel layer_norm");
                     else
                       check(kernels::rms_norm(from, tensor(scale.gpu), out.gpu, {}, stream), "kernel rms_norm");
                   },
                   [&] {
                     if (layer)
                       harness.cpu->layer_norm(x.cpu, {tensor(scale.cpu), tensor(shift.cpu)}, out.cpu);
                     else
                       harness.cpu->rms_norm(x.cpu, tensor(scale.cpu), out.cpu);
                   },
                   {{out, harness.tolerance(type)}}});
  }
}

// The standard expert with random weights, a random KV cache of the prefix and a random modulation table.
void bench_expert(KernelBench& bench, const Options& options) {
  pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
  dims.expert = pi05::Dimensions::Expert();
  dims.prefix.layers = dims.expert.layers, dims.prefix.heads = dims.expert.heads;
  dims.prefix.kv_heads = dims.expert.kv_heads, dims.prefix.head_dim = dims.expert.head_dim;
  dims.action_dim = 32, dims.horizon = options.rows, dims.slots = 3, dims.max_tokens = 200;
  dims.vision.image_size = 224, dims.vision.patch = 14;
  if (!kernels::expert_flow_supported(dims)) {
    std::printf("expert: not supported here, or for %lld rows\n", static_cast<long long>(options.rows));
    return;
  }
  Harness harness(DType::BF16, dims);
  const auto& e = dims.expert;
  const int64_t steps = 10, rows = options.rows, prefix = options.prefix(), capacity = dims.max_prefix() + rows;
  const int64_t qkv_rows = (e.heads + 2) * e.head_dim, q_cols = e.heads * e.head_dim;
  const pi05::DeviceMemory packed(kernels::expert_weight_bytes(e.layers)), exchange(kernels::expert_exchange_bytes());
  pi05::Weights weights;
  double weight_bytes = 0, layer_flops = 0;
  for (int64_t i = 0; i < e.layers; i++) {
    const Both qkv = harness.make(qkv_rows, e.width, DType::BF16, scale_of(e.width)),
               out = harness.make(e.width, q_cols, DType::BF16, scale_of(q_cols)),
               gate_up = harness.make(2 * e.mlp, e.width, DType::BF16, scale_of(e.width)),
               down = harness.make(e.width, e.mlp, DType::BF16, scale_of(e.mlp));
    check(kernels::pack_expert(i, tensor(qkv.gpu), tensor(out.gpu), tensor(gate_up.gpu), tensor(down.gpu),
                               packed.as<void>(), nullptr),
          "kernel pack_expert");
    const auto part = [](const Both& both, int64_t first, int64_t count) {
      return tensor(both.cpu.rows_from(first, count));
    };
    pi05::ExpertLayer layer;
    layer.q = part(qkv, 0, q_cols), layer.k = part(qkv, q_cols, e.head_dim);
    layer.v = part(qkv, q_cols + e.head_dim, e.head_dim), layer.o = tensor(out.cpu);
    layer.gate = part(gate_up, 0, e.mlp), layer.up = part(gate_up, e.mlp, e.mlp), layer.down = tensor(down.cpu);
    weights.expert.push_back(layer);
    const double bytes = size_of(qkv.gpu) + size_of(out.gpu) + size_of(gate_up.gpu) + size_of(down.gpu);
    weight_bytes += bytes, layer_flops += bytes * static_cast<double>(rows);  // 2 per weight of 2 bytes and row
  }
  const Both action_in = harness.f32(e.width, 32, 0.2f), action_in_bias = harness.f32(1, e.width, 0.1f),
             action_out = harness.f32(32, e.width, scale_of(e.width)), action_out_bias = harness.f32(1, 32, 0.1f);
  weights.action_in = {tensor(action_in.cpu), tensor(action_in_bias.cpu)};
  weights.action_out = {tensor(action_out.cpu), tensor(action_out_bias.cpu)};
  const Both k = harness.make(e.layers * capacity, e.head_dim, DType::BF16),
             v = harness.make(e.layers * capacity, e.head_dim, DType::BF16);
  const Both modulation = harness.f32(steps + 1, dims.modulation_width(), 0.3f);
  const Both x = harness.f32(rows, 32), velocities = harness.f32(steps * rows, 32), noise = harness.f32(rows, 32);

  std::vector<float> zeros(static_cast<size_t>(std::max(rows * 32, steps))), times, values(zeros.size());
  std::vector<int32_t> time_row;
  for (int64_t s = 0; s < steps; s++) {
    times.push_back(1 - static_cast<float>(s) / static_cast<float>(steps));
    for (int64_t r = 0; r < rows; r++) time_row.push_back(static_cast<int32_t>(s));
  }
  harness.cpu->download(noise.cpu, values.data());
  pi05::Inputs host;
  host.noise = values.data(), host.times = times.data(), host.time_row = time_row.data();
  host.prev_chunk = host.prefix_weights = host.frozen_mask = host.guidance_weights = zeros.data();
  const pi05::DeviceMemory device_zeros(static_cast<int64_t>(zeros.size()) * 4), device_times(steps * 4);
  check(cudaMemcpy(device_times.as<void>(), times.data(), times.size() * 4, cudaMemcpyHostToDevice),
        "cudaMemcpy (times)");
  pi05::Inputs device;
  device.noise = static_cast<const float*>(noise.gpu.data), device.times = device_times.as<float>();
  device.prev_chunk = device.prefix_weights = device.frozen_mask = device.guidance_weights = device_zeros.as<float>();
  const auto floats = [](const Both& both) { return static_cast<const float*>(both.gpu.data); };
  const kernels::ExpertFlow flow{packed.as<void>(),
                                 exchange.as<void>(),
                                 e.layers,
                                 steps,
                                 prefix,
                                 false,
                                 floats(action_in),
                                 floats(action_in_bias),
                                 floats(action_out),
                                 floats(action_out_bias)};
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  const auto step_count = static_cast<double>(steps);
  bench.measure(harness,
                {"expert, 10 steps of 18 layers, " + std::to_string(rows) + " rows on " + std::to_string(prefix),
                 step_count * layer_flops,
                 step_count * weight_bytes,
                 1,
                 [&](int64_t, cudaStream_t stream) {
                   check(kernels::expert_flow(flow, device, {k.gpu, v.gpu, capacity}, modulation.gpu, x.gpu,
                                              velocities.gpu, stream),
                         "kernel expert_flow");
                 },
                 [&] {
                   harness.cpu->load(weights);
                   harness.cpu->reserve();
                   harness.cpu->flow(host, steps, prefix, {k.cpu, v.cpu, capacity}, modulation.cpu, x.cpu,
                                     velocities.cpu);
                 },
                 {{x, 2e-2}, {velocities, 2e-2}}});
}

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; i += 2) {
    const std::string name = arguments[i];
    if (i + 1 == count) return false;
    const std::pair<const char*, int64_t*> numbers[] = {{"--cameras", &options.cameras},
                                                        {"--tokens", &options.tokens},
                                                        {"--rows", &options.rows},
                                                        {"--repeats", &options.repeats},
                                                        {"--check", &options.check}};
    bool known = name == "--kernel";
    if (known) {
      std::istringstream list(arguments[i + 1]);
      for (std::string kernel; std::getline(list, kernel, ',');) options.kernel.push_back(kernel);
    }
    for (const auto& [option, value] : numbers)
      if (name == option) *value = std::atoll(arguments[i + 1]), known = true;
    if (!known) return false;
  }
  const std::vector<std::string> names{"siglip_gemm", "geglu_gemm", "fp8",      "attention",
                                       "skinny_gemm", "expert",     "cublaslt", "norm"};
  return options.cameras >= 1 && options.cameras <= 3 && options.tokens >= 1 && options.tokens <= 200 &&
         options.rows >= 1 && options.rows <= kernels::kMaxSkinnyRows && options.repeats >= 1 &&
         std::all_of(options.kernel.begin(), options.kernel.end(), [&](const std::string& kernel) {
           return std::find(names.begin(), names.end(), kernel) != names.end();
         });
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (const auto reason = pi05::cuda_unavailable_reason()) {
    std::fprintf(stderr, "%s\n", reason->what());
    return 1;
  }
  try {
    KernelBench bench(options);
    const std::pair<const char*, void (*)(KernelBench&, const Options&)> all[] = {
        {"siglip_gemm", bench_siglip},  {"geglu_gemm", bench_geglu},   {"fp8", bench_fp8},
        {"attention", bench_attention}, {"skinny_gemm", bench_skinny}, {"expert", bench_expert},
        {"cublaslt", bench_cublaslt},   {"norm", bench_norm}};
    std::printf("%s\n", pi05::cuda_device_name().c_str());
    for (const auto& [name, run] : all)
      if (options.wants(name)) run(bench, options);
    if (bench.failed()) std::printf("FAILED: an error above its tolerance\n");
    return bench.failed() ? 1 : 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_kernel: %s\n", error.what());
    return 1;
  }
}
