// The skinny GEMMs of the expert's layers against the CPU.
#include <array>

#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/memory.h"
#include "both_backends.h"

// The kernel that has to run: the one for compute capability 9.0 supports only columns in multiples of 64.
const char* expected_kernel(int64_t columns) {
  return pi05::kernels::gpu().is_sm90() && columns % 64 == 0 ? "skinny_gemm_sm90" : "skinny_gemm";
}

TEST(skinny_gemm_follows_the_cpu_with_and_without_geglu) {
  Harness harness(DType::BF16);
  const pi05::Stream stream;
  const auto check_ok = [](cudaError_t result) { CHECK(result == cudaSuccess); };
  const auto half_of = [](const Matrix& m, int half) { return tensor(m.rows_from(half * m.rows / 2, m.rows / 2)); };
  for (const int64_t m : {1, 15, 17, 50, 64})
    for (const auto& [k, n] :
         {std::pair<int64_t, int64_t>{64, 64}, {96, 192}, {1024, 2560}, {4096, 1024}, {1056, 128}}) {
      const float size = 1 / std::sqrt(static_cast<float>(k));
      const Both x = harness.activations(m, k), w = harness.activations(n, k, size);
      const Both sum = harness.f32(m, n), gated = harness.activations(m, n / 2);
      harness.cpu->linear(x.cpu, tensor(w.cpu), nullptr, sum.cpu);
      harness.cpu->gated_linear(x.cpu, half_of(w.cpu, 0), half_of(w.cpu, 1), gated.cpu);
      harness.on_gpu([&] {
        check_ok(pi05::kernels::skinny_gemm_split_k(x.gpu, tensor(w.gpu), 1, sum.gpu, stream));
        check_ok(pi05::kernels::skinny_gemm_geglu(x.gpu, tensor(w.gpu), gated.gpu, stream));
      });
      CHECK(harness.ran == expected_kernel(k));
      check_ok(cudaStreamSynchronize(stream));
      harness.compare("skinny GEMM" + sizes(m, k, n), sum);
      harness.compare("skinny GEMM, gated" + sizes(m, k, n), gated);
    }
}

TEST(skinny_gemm_with_rope_on_q_and_k_follows_the_cpu) {
  const pi05::Stream stream;
  constexpr int64_t kFirst = 500, kRows = 64;
  struct Case {
    int64_t width, heads, kv_heads, dim;
  };
  for (const Case& c : {Case{1024, 8, 1, 256}, {96, 2, 1, 64}, {128, 4, 2, 128}}) {
    pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
    dims.prefix.head_dim = dims.expert.head_dim = c.dim;
    Harness harness(DType::BF16, dims);
    std::vector<float> cos_sin;
    for (int64_t position = 0; position < kFirst + kRows; position++)
      for (int64_t i = 0; i < c.dim / 2; i++) {
        const double angle =
            static_cast<double>(position) * std::pow(10000.0, -2 * static_cast<double>(i) / static_cast<double>(c.dim));
        cos_sin.push_back(static_cast<float>(std::cos(angle))), cos_sin.push_back(static_cast<float>(std::sin(angle)));
      }
    const Matrix table = harness.gpu->allocate(kFirst + kRows, c.dim, DType::F32);
    harness.gpu->upload(table, cos_sin.data());
    const int64_t q_cols = c.heads * c.dim, kv_cols = c.kv_heads * c.dim;
    for (const int64_t m : {1, 15, 17, 50, 64}) {
      const Both x = harness.activations(m, c.width);
      const Both w = harness.activations(q_cols + 2 * kv_cols, c.width, 1 / std::sqrt(static_cast<float>(c.width)));
      const Both q = harness.activations(m, q_cols), k = harness.activations(m, kv_cols),
                 v = harness.activations(m, kv_cols);
      const auto rows = [&](int64_t first, int64_t count) { return tensor(w.cpu.rows_from(first, count)); };
      harness.cpu->linear(x.cpu, rows(0, q_cols), nullptr, q.cpu);
      harness.cpu->linear(x.cpu, rows(q_cols, kv_cols), nullptr, k.cpu);
      harness.cpu->linear(x.cpu, rows(q_cols + kv_cols, kv_cols), nullptr, v.cpu);
      harness.cpu->rope(q.cpu, c.heads, kFirst), harness.cpu->rope(k.cpu, c.kv_heads, kFirst);
      harness.on_gpu([&] {
        CHECK(pi05::kernels::skinny_gemm_qkv_rope(x.gpu, tensor(w.gpu), c.heads, c.kv_heads, kFirst,
                                                  static_cast<const float2*>(table.data), q.gpu, k.gpu, v.gpu,
                                                  stream) == cudaSuccess);
      });
      CHECK(harness.ran == expected_kernel(c.width));
      CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
      const std::string what = sizes(m, c.width, q_cols);
      harness.compare("skinny GEMM, queries" + what, q), harness.compare("skinny GEMM, keys" + what, k);
      harness.compare("skinny GEMM, values" + what, v);
    }
  }
}

// (33, 384) by 192 in 4 splits has 96 columns per split, which the kernel for compute capability 9.0 does not support.
TEST(adaptive_norms_that_add_split_k_partials_follow_the_cpu) {
  Harness harness(DType::BF16);
  const pi05::Stream stream;
  const auto check_ok = [](cudaError_t result) { CHECK(result == cudaSuccess); };
  for (const auto& [m, k, n] :
       {std::array<int64_t, 3>{10, 512, 64}, {33, 384, 192}, {50, 2048, 1024}, {64, 4096, 1024}})
    for (const int64_t count : {1, 2, 4}) {
      const Both x = harness.activations(m, k), w = harness.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both modulation = harness.f32(3, 6 * n), gate = modulation.cols_from(2 * n, n);
      const Both h = harness.f32(m, n, 3), out = harness.activations(m, n);
      std::vector<int32_t> time_row;
      for (int32_t r = 0; r < m; r++) time_row.push_back(r % 3);
      const pi05::DeviceMemory times(m * 4);
      check_ok(cudaMemcpy(times.as<void>(), time_row.data(), static_cast<size_t>(m * 4), cudaMemcpyHostToDevice));
      harness.cpu->linear_gated_add(x.cpu, tensor(w.cpu), gate.cpu, time_row.data(), h.cpu);
      harness.cpu->adaptive_rms_norm(h.cpu, modulation.cpu.cols_from(3 * n, 3 * n), time_row.data(), out.cpu);

      const Matrix partials = harness.gpu->allocate(count * m, n, DType::F32);
      harness.on_gpu(
          [&] { check_ok(pi05::kernels::skinny_gemm_split_k(x.gpu, tensor(w.gpu), count, partials, stream)); });
      CHECK(harness.ran == expected_kernel(k / count));
      check_ok(pi05::kernels::adaptive_rms_norm(h.gpu, modulation.gpu.cols_from(3 * n, 3 * n), times.as<int32_t>(),
                                                out.gpu, pi05::kernels::split_k_partials(partials, count),
                                                static_cast<const float*>(gate.gpu.data), stream));
      check_ok(cudaStreamSynchronize(stream));
      const std::string what = sizes(m, k, n) + " in " + std::to_string(count) + " splits";
      harness.compare("gated residual" + what, h), harness.compare("adaptive_rms_norm of it" + what, out);
    }
}

RUN_GPU_TESTS()
