// Every operation of the CUDA backend against its CPU twin.
#include <array>
#include <cmath>

#include "backend/cuda/gemm.h"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "both_backends.h"

using pi05::Affine;

TEST(linear_follows_the_cpu_in_all_variants) {
  const int64_t shapes[][3] = {{1, 64, 160},  {15, 1024, 2560}, {33, 300, 144},
                               {10, 160, 64}, {512, 588, 1152}, {281, 128, 192}};
  for (const DType type : kTypes)
    for (const auto& [m, k, n] : shapes) {
      Harness harness(type);
      const float size = 1 / std::sqrt(static_cast<float>(k));
      const Both x = harness.activations(m, k), weight = harness.activations(n, k, size),
                 up = harness.activations(n, k, size);
      const Both bias = harness.activations(1, n), long_bias = harness.f32(1, n);
      const Both out = harness.activations(m, n), act = harness.activations(m, n), gated = harness.activations(m, n);
      const Both plain = harness.f32(m, n), sum = harness.f32(m, n);
      on_both(harness, [&](auto& ops, auto operand) {
        const Tensor w = tensor(operand(weight)), b = tensor(operand(bias)), lb = tensor(operand(long_bias));
        ops.linear(operand(x), w, &b, operand(out));
        ops.linear(operand(x), w, nullptr, operand(plain));
        ops.linear_gelu(operand(x), w, &b, operand(act));
        ops.gated_linear(operand(x), w, tensor(operand(up)), operand(gated));
        ops.linear_add(operand(x), w, &lb, operand(sum));
      });
      harness.compare("linear" + sizes(m, k, n), out);
      harness.compare("linear into fp32" + sizes(m, k, n), plain);
      harness.compare("linear_gelu" + sizes(m, k, n), act);
      harness.compare("gated_linear" + sizes(m, k, n), gated, 2 * harness.tolerance(gated.gpu.dtype));
      harness.compare("linear_add" + sizes(m, k, n), sum);
    }
}

// Gate and up in one matrix, interleaved by 8 rows: one kernel for both on compute capability 9.0.
TEST(gated_linear_with_interleaved_weights_follows_the_cpu) {
  const int64_t shapes[][3] = {{1, 2048, 128},   {63, 64, 96},     {276, 320, 1024}, {300, 72, 40},    {512, 128, 264},
                               {572, 512, 2048}, {576, 64, 136},   {577, 192, 256},  {968, 128, 1032}, {316, 64, 16384},
                               {456, 64, 16384}, {528, 64, 16384}, {550, 64, 16384}, {499, 64, 16384}};
  using pi05::kernels::kInterleave;
  for (const DType type : kTypes)
    for (const auto& [m, k, n] : shapes) {
      Harness harness(type);
      const Both x = harness.activations(m, k),
                 gate_up = harness.activations(2 * n, k, 2 / std::sqrt(static_cast<float>(k)));
      const Both extended = harness.activations(m + 1, n), sentinel = harness.activations(1, n);
      std::vector<float> values(static_cast<size_t>(2 * n * k)), halves[2];
      harness.cpu->download(gate_up.cpu, values.data());
      for (int64_t row = 0; row < 2 * n; row++)
        halves[row / kInterleave % 2].insert(halves[row / kInterleave % 2].end(), values.begin() + row * k,
                                             values.begin() + (row + 1) * k);
      Matrix gate = harness.cpu->allocate(n, k, DType::F32), up = harness.cpu->allocate(n, k, DType::F32);
      harness.cpu->upload(gate, halves[0].data()), harness.cpu->upload(up, halves[1].data());
      const Matrix out = extended.cpu.rows_from(0, m), last = extended.gpu.rows_from(m, 1);
      harness.cpu->gated_linear(x.cpu, tensor(gate), tensor(up), out);
      harness.gpu->copy(sentinel.gpu, last);
      const Tensor both{gate_up.gpu.data, gate_up.gpu.dtype, n, gate_up.gpu.stride};
      harness.on_gpu([&] { harness.gpu->gated_linear(x.gpu, both, both, extended.gpu.rows_from(0, m)); });
      if (type == DType::BF16 && pi05::kernels::gpu().is_sm90()) CHECK(harness.ran == "geglu_gemm");
      harness.compare("gated_linear, interleaved" + sizes(m, k, n), {out, extended.gpu.rows_from(0, m)},
                      2 * harness.tolerance(harness.type));
      harness.compare("the row after is untouched", {sentinel.cpu, last}, 0);
    }
}

TEST(linear_of_bf16_rows_with_fp32_weights_follows_the_cpu) {
  Harness harness(DType::BF16);
  const Both x = harness.activations(15, 1024), weight = harness.f32(32, 1024, 0.03f), bias = harness.f32(1, 32);
  const Both out = harness.f32(15, 32);
  on_both(harness, [&](auto& ops, auto operand) {
    const Tensor b = tensor(operand(bias));
    ops.linear(operand(x), tensor(operand(weight)), &b, operand(out));
  });
  harness.compare("linear" + sizes(15, 1024, 32), out);
}

// Calls run(time_row) with inputs in which only time_row is not zero: r % 3 for action row r.
template <typename Run>
void run_with_time_rows(pi05::Ops& ops, Run run) {
  const auto rows = static_cast<size_t>(ops.dims.horizon);
  const std::vector<float> zeros(rows * static_cast<size_t>(ops.dims.action_dim));
  std::vector<int32_t> time_row(rows);
  for (size_t i = 0; i < rows; i++) time_row[i] = static_cast<int32_t>(i % 3);
  pi05::Shape shape;
  shape.tokens = shape.steps = 1;
  pi05::Inputs inputs;
  inputs.tokens = inputs.time_row = time_row.data();
  inputs.noise = inputs.prev_chunk = inputs.prefix_weights = inputs.frozen_mask = inputs.guidance_weights =
      inputs.times = zeros.data();
  const pi05::Inputs& in = ops.upload(shape, inputs);
  ops.run(shape, [&] { run(in.time_row); });
}

// Each action row has a modulation row, chosen by an index in the backend's memory. On the GPU the norm that follows
// adds the gated residual.
TEST(adaptive_norms_and_gated_residuals_follow_the_cpu) {
  for (const DType type : kTypes) {
    Harness harness(type);
    const int64_t rows = harness.cpu->dims.horizon, width = 64;
    const Both x = harness.f32(rows, width, 3), modulation = harness.f32(3, 6 * width),
               stream = harness.f32(rows, width);
    const Both norm = harness.activations(rows, width), weight = harness.activations(width, width, 0.12f);
    const Both next = harness.activations(rows, width), gate = modulation.cols_from(2 * width, width);
    const Both next_modulation = modulation.cols_from(3 * width, 3 * width);
    run_with_time_rows(*harness.cpu, [&](const int32_t* time_row) {
      harness.cpu->adaptive_rms_norm(x.cpu, modulation.cpu, time_row, norm.cpu);
      harness.cpu->linear_gated_add(norm.cpu, tensor(weight.cpu), gate.cpu, time_row, stream.cpu);
      harness.cpu->adaptive_rms_norm(stream.cpu, next_modulation.cpu, time_row, next.cpu);
    });
    harness.on_gpu([&] {
      run_with_time_rows(*harness.gpu, [&](const int32_t* time_row) {
        harness.gpu->adaptive_rms_norm(x.gpu, modulation.gpu, time_row, norm.gpu);
        const auto pending = harness.gpu->gated_residual(norm.gpu, tensor(weight.gpu), gate.gpu);
        harness.gpu->adaptive_rms_norm(stream.gpu, next_modulation.gpu, time_row, next.gpu, pending);
      });
    });
    harness.compare("adaptive_rms_norm", norm);
    harness.compare("gated residual", stream, 2 * harness.tolerance(norm.gpu.dtype));
    harness.compare("adaptive_rms_norm of it", next, 4 * harness.tolerance(norm.gpu.dtype));
  }
}

// A captured graph contains the addresses of its scratch memory.
TEST(graphs_are_captured_again_when_scratch_memory_grows) {
  Harness harness(DType::BF16);
  // More rows than the skinny GEMMs support, because those need no scratch memory.
  const Both x = harness.activations(70, 64), gate = harness.activations(96, 64, 0.2f),
             up = harness.activations(96, 64, 0.2f), out = harness.activations(70, 96);
  const Both large_x = harness.activations(512, 64), large = harness.activations(4096, 64, 0.2f),
             large_up = harness.activations(4096, 64, 0.2f);
  const Matrix large_out = harness.gpu->allocate(512, 4096, DType::BF16);
  const auto run = [&] {
    harness.on_gpu([&] {
      run_with_time_rows(*harness.gpu, [&](const int32_t*) {
        harness.gpu->gated_linear(x.gpu, tensor(gate.gpu), tensor(up.gpu), out.gpu);
      });
    });
    return harness.ran;
  };
  CHECK(run() == "cublaslt");
  CHECK(run().empty());  // launched without a new capture
  harness.gpu->gated_linear(large_x.gpu, tensor(large.gpu), tensor(large_up.gpu), large_out);
  CHECK(run() == "cublaslt");
  harness.cpu->gated_linear(x.cpu, tensor(gate.cpu), tensor(up.cpu), out.cpu);
  harness.compare("gated_linear after it", out, 2 * kBf16);
}

TEST(layer_norm_and_rms_norm_follow_the_cpu) {
  for (const DType type : kTypes)
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{10, 64}, {33, 144}, {512, 1152}, {300, 2048}}) {
      Harness harness(type);
      const Both x = harness.f32(rows, width, 3), weight = harness.f32(1, width), bias = harness.f32(1, width);
      const Both layer = harness.activations(rows, width), rms = harness.activations(rows, width);
      on_both(harness, [&](auto& ops, auto operand) {
        ops.layer_norm(operand(x), {tensor(operand(weight)), tensor(operand(bias))}, operand(layer));
        ops.rms_norm(operand(x), tensor(operand(weight)), operand(rms));
      });
      harness.compare("layer_norm" + sizes(rows, width, 1), layer);
      harness.compare("rms_norm" + sizes(rows, width, 1), rms);
    }
}

TEST(norms_that_add_split_k_partials_follow_the_cpu) {
  Harness harness(DType::BF16);
  const pi05::Stream stream;
  pi05::Gemm gemm;
  const auto check_ok = [](cudaError_t result) { CHECK(result == cudaSuccess); };
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{33, 192, 144}, {276, 384, 2048}, {572, 1152, 1152}})
    for (const int64_t count : {1, 2, 3, 4}) {
      const Both x = harness.activations(m, k), w = harness.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both bias = harness.f32(1, n), scale = harness.f32(1, n), shift = harness.f32(1, n);
      const Both rms = harness.f32(m, n, 3), layer = harness.f32(m, n, 3);
      const Both rms_out = harness.activations(m, n), layer_out = harness.activations(m, n);
      const Tensor cpu_bias = tensor(bias.cpu);
      harness.cpu->linear_add(x.cpu, tensor(w.cpu), nullptr, rms.cpu);
      harness.cpu->rms_norm(rms.cpu, tensor(scale.cpu), rms_out.cpu);
      harness.cpu->linear_add(x.cpu, tensor(w.cpu), &cpu_bias, layer.cpu);
      harness.cpu->layer_norm(layer.cpu, {tensor(scale.cpu), tensor(shift.cpu)}, layer_out.cpu);

      const Matrix partials = harness.gpu->allocate(count * m, n, DType::F32);
      gemm.run_split_k(x.gpu, tensor(w.gpu), count, partials, stream);
      const auto added = [&](const void* with) { return pi05::kernels::split_k_partials(partials, count, with); };
      check_ok(pi05::kernels::rms_norm(rms.gpu, tensor(scale.gpu), rms_out.gpu, added(nullptr), stream));
      const Affine affine{tensor(scale.gpu), tensor(shift.gpu)};
      check_ok(pi05::kernels::layer_norm(layer.gpu, affine, layer_out.gpu, added(bias.gpu.data), stream));
      check_ok(cudaStreamSynchronize(stream));
      const std::string what = sizes(m, k, n) + " in " + std::to_string(count) + " splits";
      harness.compare("sum" + what, rms), harness.compare("rms_norm of a sum" + what, rms_out);
      harness.compare("sum with bias" + what, layer), harness.compare("layer_norm of a sum" + what, layer_out);
    }
}

// SigLIP's products on compute capability 9.0, where all thread blocks run in one wave: SigLIP's sizes with one, two
// and three cameras, and others.
TEST(siglip_gemm_follows_the_cpu_in_all_variants) {
  namespace kernels = pi05::kernels;
  const pi05::Stream stream;
  const bool sm90 = kernels::gpu().is_sm90(), full_gpu = sm90 && kernels::gpu().multiprocessors >= 132;
  const auto check_ok = [](cudaError_t result) { CHECK(result == cudaSuccess); };
  const int64_t in_one[][3] = {{256, 192, 3456}, {512, 192, 3456}, {768, 192, 3456}, {256, 192, 4304},
                               {512, 192, 4304}, {768, 192, 4304}, {512, 1152, 72},  {1, 64, 160},
                               {63, 588, 1160},  {129, 1096, 264}, {700, 40, 2000}};
  const int64_t split[][3] = {{256, 4304, 1152}, {512, 4304, 1152}, {768, 1152, 1152}, {1, 64, 160},
                              {63, 588, 264},    {300, 2056, 1160}, {513, 2120, 136},  {129, 2048, 72}};
  for (const DType type : {DType::BF16, DType::F16}) {
    for (const auto& [m, k, n] : in_one) {
      Harness harness(type);
      const Both x = harness.activations(m, k), w = harness.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both bias = harness.activations(1, n), sentinel = harness.activations(1, n);
      const Tensor weight = tensor(w.cpu), added = tensor(bias.cpu);
      const bool supported = kernels::siglip_gemm_supported(x.gpu, tensor(w.gpu));
      CHECK(supported ? sm90 : !full_gpu);
      for (const bool gelu : {false, true}) {
        if (!supported) continue;
        const Matrix out = harness.cpu->allocate(m, n, DType::F32), extended = harness.gpu->allocate(m + 1, n, type);
        gelu ? harness.cpu->linear_gelu(x.cpu, weight, &added, out) : harness.cpu->linear(x.cpu, weight, &added, out);
        harness.gpu->copy(sentinel.gpu, extended);
        check_ok(cudaDeviceSynchronize());
        const Matrix rows = extended.rows_from(0, m);
        harness.on_gpu(
            [&] { check_ok(kernels::siglip_gemm(x.gpu, tensor(w.gpu), bias.gpu.data, gelu, rows, stream)); });
        CHECK(harness.ran == "siglip_gemm");
        check_ok(cudaStreamSynchronize(stream));
        harness.compare((gelu ? "siglip_gemm and GELU" : "siglip_gemm") + sizes(m, k, n), {out, rows});
        harness.compare("the row after is untouched", {sentinel.cpu, extended.rows_from(m, 1)}, 0);
      }
    }
    for (const auto& [m, k, n] : split) {
      Harness harness(type);
      const Both x = harness.activations(m, k), w = harness.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both bias = harness.f32(1, n), scale = harness.f32(1, n), shift = harness.f32(1, n);
      const Both sum = harness.f32(m, n, 3), out = harness.activations(m, n), sentinel = harness.f32(1, n);
      const int64_t count = kernels::siglip_gemm_splits(x.gpu, tensor(w.gpu));
      CHECK(count == 0 ? !full_gpu : sm90 && count == (k > 2048 ? 3 : 1));
      if (count == 0) continue;
      const Tensor added = tensor(bias.cpu);
      harness.cpu->linear_add(x.cpu, tensor(w.cpu), &added, sum.cpu);
      harness.cpu->layer_norm(sum.cpu, {tensor(scale.cpu), tensor(shift.cpu)}, out.cpu);
      const Matrix extended = harness.gpu->allocate(count * m + 1, n, DType::F32),
                   partials = extended.rows_from(0, count * m);
      harness.gpu->copy(sentinel.gpu, extended);
      check_ok(cudaDeviceSynchronize());
      harness.on_gpu([&] { check_ok(kernels::siglip_gemm_split_k(x.gpu, tensor(w.gpu), partials, stream)); });
      CHECK(harness.ran == "siglip_gemm");
      check_ok(kernels::layer_norm(sum.gpu, {tensor(scale.gpu), tensor(shift.gpu)}, out.gpu,
                                   kernels::split_k_partials(partials, count, bias.gpu.data), stream));
      check_ok(cudaStreamSynchronize(stream));
      const std::string what = sizes(m, k, n) + " in " + std::to_string(count) + " splits";
      harness.compare("siglip_gemm, sum" + what, sum),
          harness.compare("siglip_gemm, layer_norm of the sum" + what, out);
      harness.compare("the row after is untouched", {sentinel.cpu, extended.rows_from(count * m, 1)}, 0);
    }
    Harness harness(type);
    const Both x = harness.activations(768, 2056), wide = harness.activations(1152, 2056);
    CHECK(kernels::siglip_gemm_splits(x.gpu, tensor(wide.gpu)) == 0);  // more than one wave
  }
}

TEST(rope_split_rotates_q_and_k_and_copies_v) {
  for (const DType type : kTypes) {
    pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
    for (const int64_t head_dim : {32, 256}) {
      constexpr int64_t kRows = 200, kHeads = 3, kFirst = 500;
      dims.prefix.head_dim = dims.expert.head_dim = head_dim;
      Harness harness(type, dims);
      const Both qkv = harness.activations(kRows, (kHeads + 2) * head_dim), q = qkv.cols_from(0, kHeads * head_dim);
      const Both k = harness.activations(kRows, head_dim), v = harness.activations(kRows, head_dim);
      harness.cpu->copy(qkv.cpu.cols_from(kHeads * head_dim, head_dim), k.cpu);
      harness.cpu->copy(qkv.cpu.cols_from((kHeads + 1) * head_dim, head_dim), v.cpu);
      harness.cpu->rope(q.cpu, kHeads, kFirst), harness.cpu->rope(k.cpu, 1, kFirst);
      harness.on_gpu([&] { harness.gpu->rope_split(qkv.gpu, kHeads, 1, kFirst, k.gpu, v.gpu); });
      const std::string what = sizes(kRows, kHeads, head_dim);
      harness.compare("rope_split, q" + what, q), harness.compare("rope_split, k" + what, k);
      harness.compare("rope_split, v" + what, v, 0);
    }
  }
}

TEST(attention_follows_the_cpu_at_all_head_sizes) {
  struct Case {
    int64_t queries, keys;
    pi05::AttentionShape shape;
  };
  const Case cases[] = {
      {256, 256, {2, 2, 2, 72}},  {256, 256, {3, 16, 16, 72}}, {15, 591, {1, 8, 1, 256}},  {50, 1018, {1, 8, 1, 256}},
      {576, 576, {1, 8, 1, 256}}, {968, 968, {1, 8, 1, 256}},  {10, 287, {1, 4, 1, 32}},   {277, 277, {1, 4, 1, 32}},
      {100, 65, {1, 4, 2, 64}},   {64, 64, {2, 2, 1, 128}},    {1, 1, {1, 8, 1, 256}},     {70, 33, {1, 2, 2, 256}},
      {63, 63, {1, 8, 1, 256}},   {65, 65, {1, 8, 1, 256}},    {317, 317, {1, 8, 1, 256}}, {572, 572, {1, 8, 1, 256}},
      {641, 641, {1, 8, 1, 256}}, {70, 129, {2, 6, 2, 256}},   {9, 1100, {1, 8, 1, 256}},  {33, 100, {2, 4, 2, 72}},
      {200, 255, {2, 3, 3, 80}},  {40, 300, {1, 2, 2, 80}},
  };
  for (const DType type : kTypes)
    for (const Case& c : cases) {
      Harness harness(type);
      const int64_t b = c.shape.batch, width = c.shape.heads * c.shape.head_dim;
      const int64_t kv_width = c.shape.kv_heads * c.shape.head_dim;
      // q as in the model: columns of a wider matrix.
      const Both all = harness.activations(b * c.queries, width + 8, 2), q = all.cols_from(8, width);
      const Both k = harness.activations(b * c.keys, kv_width), v = harness.activations(b * c.keys, kv_width);
      const Both out = harness.activations(b * c.queries, width);
      on_both(harness, [&](auto& ops, auto operand) {
        ops.attention(operand(q), operand(k), operand(v), c.shape, operand(out));
      });
      const bool sm90 = pi05::kernels::gpu().is_sm90() && pi05::kernels::gpu().multiprocessors >= 132 &&
                        pi05::kernels::attention_sm90_supported(k.gpu, c.shape);
      CHECK(harness.ran == (type == DType::F32 ? "attention_f32" : sm90 ? "attention_sm90" : "attention"));
      harness.compare("attention of " + std::to_string(b) + " x " + std::to_string(c.queries) + " on " +
                          std::to_string(c.keys) + ", " + std::to_string(c.shape.heads) + " heads of " +
                          std::to_string(c.shape.head_dim),
                      out, 2 * harness.tolerance(out.gpu.dtype));
    }
}

TEST(start_and_euler_steps_follow_the_cpu_with_guidance_and_frozen_rows) {
  Harness harness(DType::BF16);
  const int64_t rows = harness.cpu->dims.horizon, cols = harness.cpu->dims.action_dim, steps = 10;
  const auto values = [](int64_t count, float first, float step) {
    std::vector<float> result;
    for (int64_t i = 0; i < count; i++) result.push_back(first + step * static_cast<float>(i * 37 % count));
    return result;
  };
  const std::vector<float> noise = values(rows * cols, -1, 0.004f), prev_chunk = values(rows * cols, 1, -0.005f),
                           prefix_weights = values(rows, 0, 0.06f), guidance_weights = values(steps, 0.5f, 0.3f),
                           times = values(steps, 0.1f, 0.09f);
  std::vector<float> frozen_mask(static_cast<size_t>(rows));
  frozen_mask[0] = frozen_mask[2] = 1;
  const std::vector<int32_t> integers(static_cast<size_t>(rows * steps));
  const Both x = harness.f32(rows, cols), velocity = harness.f32(rows, cols);
  on_both(harness, [&](auto& ops, auto operand) {
    pi05::Shape shape;
    shape.tokens = 1, shape.steps = steps;
    pi05::Inputs inputs;
    inputs.tokens = inputs.time_row = integers.data();
    inputs.noise = noise.data(), inputs.prev_chunk = prev_chunk.data(), inputs.times = times.data();
    inputs.prefix_weights = prefix_weights.data(), inputs.guidance_weights = guidance_weights.data();
    inputs.frozen_mask = frozen_mask.data();
    const pi05::Inputs& in = ops.upload(shape, inputs);
    ops.run(shape, [&] {
      ops.start(in, operand(x));
      ops.euler_step(in, 3, steps, operand(velocity), operand(x));
      ops.euler_step(in, 7, steps, operand(velocity), operand(x));
    });
  });
  harness.compare("euler_step, velocity", velocity);
  harness.compare("euler_step, x", x);
}

TEST(embed_is_the_scaled_row_of_the_table) {
  const std::vector<int32_t> tokens = {0, 299, 7, 7, 150, 1, 298, 42, 0, 13};
  const pi05::DeviceMemory device_tokens(static_cast<int64_t>(tokens.size() * sizeof(int32_t)));
  CHECK(cudaMemcpy(device_tokens.as<void>(), tokens.data(), tokens.size() * sizeof(int32_t), cudaMemcpyHostToDevice) ==
        cudaSuccess);
  for (const DType type : kTypes) {
    Harness harness(type);
    const Both table = harness.activations(300, 64), out = harness.f32(static_cast<int64_t>(tokens.size()), 64);
    std::vector<float> expected;
    for (const int32_t token : tokens) {
      const float* const from = static_cast<const float*>(table.cpu.data) + token * table.cpu.stride;
      for (int64_t column = 0; column < table.cpu.cols; column++) expected.push_back(from[column] * 8.0f);
    }
    harness.cpu->upload(out.cpu, expected.data());
    harness.on_gpu([&] {
      CHECK(pi05::kernels::embed(device_tokens.as<int32_t>(), tensor(table.gpu), 8.0f, out.gpu, nullptr) ==
            cudaSuccess);
      CHECK(cudaDeviceSynchronize() == cudaSuccess);
    });
    harness.compare("embed", out, kF32);
  }
}

TEST(copy_and_silu_follow_the_cpu) {
  for (const DType type : kTypes) {
    Harness harness(type);
    const Both one = harness.f32(3, 33), many = harness.f32(9, 33), x = harness.f32(5, 70, 4);
    on_both(harness, [&](auto& ops, auto operand) {
      ops.copy(operand(one), operand(many));
      ops.silu(operand(x));
    });
    harness.compare("copy, repeated", many, 0);
    harness.compare("silu", x);
  }
}

RUN_GPU_TESTS()
