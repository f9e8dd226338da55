// Every primitive on the GPU against its twin on the CPU.
#include <array>
#include <cmath>

#include "backend/cuda/gemm.h"
#include "backend/cuda/kernels/gpu.h"
#include "backend/cuda/kernels/kernels.h"
#include "both_backends.h"

using pi05::Affine;

TEST(products) {
  const int64_t shapes[][3] = {{1, 64, 160},  {15, 1024, 2560}, {33, 300, 144},
                               {10, 160, 64}, {512, 588, 1152}, {281, 128, 192}};
  for (const DType type : kTypes)
    for (const auto& [m, k, n] : shapes) {
      Bench bench(type);
      const float size = 1 / std::sqrt(static_cast<float>(k));
      const Both x = bench.activations(m, k), weight = bench.activations(n, k, size),
                 up = bench.activations(n, k, size);
      const Both bias = bench.activations(1, n), long_bias = bench.exact(1, n);
      const Both out = bench.activations(m, n), act = bench.activations(m, n), gated = bench.activations(m, n);
      const Both plain = bench.exact(m, n), sum = bench.exact(m, n);
      on_both(bench, [&](pi05::Ops& ops, auto own) {
        const Tensor w = tensor(own(weight)), b = tensor(own(bias)), lb = tensor(own(long_bias));
        ops.linear(own(x), w, &b, own(out));
        ops.linear(own(x), w, nullptr, own(plain));
        ops.linear_gelu(own(x), w, &b, own(act));
        ops.gated_linear(own(x), w, tensor(own(up)), own(gated));
        ops.linear_add(own(x), w, &lb, own(sum));
      });
      bench.compare("linear" + sizes(m, k, n), out);
      bench.compare("linear into fp32" + sizes(m, k, n), plain);
      bench.compare("linear_gelu" + sizes(m, k, n), act);
      bench.compare("gated_linear" + sizes(m, k, n), gated, 2 * bench.tolerance(gated.gpu.dtype));
      bench.compare("linear_add" + sizes(m, k, n), sum);
    }
}

// Gate and up in one matrix, 8 rows of each in turn: one kernel for both on some GPUs.
TEST(gated_products_by_turns) {
  const int64_t shapes[][3] = {{1, 2048, 128},   {63, 64, 96},     {276, 320, 1024}, {300, 72, 40},    {512, 128, 264},
                               {572, 512, 2048}, {576, 64, 136},   {577, 192, 256},  {968, 128, 1032}, {316, 64, 16384},
                               {456, 64, 16384}, {528, 64, 16384}, {550, 64, 16384}, {499, 64, 16384}};
  constexpr int64_t kInterleave = 8;
  for (const DType type : kTypes)
    for (const auto& [m, k, n] : shapes) {
      Bench bench(type);
      const Both x = bench.activations(m, k), turns = bench.activations(2 * n, k, 2 / std::sqrt(static_cast<float>(k)));
      const Both above = bench.activations(m + 1, n), below = bench.activations(1, n);
      std::vector<float> values(static_cast<size_t>(2 * n * k)), parts[2];
      bench.cpu->download(turns.cpu, values.data());
      for (int64_t row = 0; row < 2 * n; row++)
        parts[row / kInterleave % 2].insert(parts[row / kInterleave % 2].end(), values.begin() + row * k,
                                            values.begin() + (row + 1) * k);
      Matrix gate = bench.cpu->allocate(n, k, DType::F32), up = bench.cpu->allocate(n, k, DType::F32);
      bench.cpu->upload(gate, parts[0].data()), bench.cpu->upload(up, parts[1].data());
      const Matrix out = above.cpu.rows_from(0, m), last = above.gpu.rows_from(m, 1);
      bench.cpu->gated_linear(x.cpu, tensor(gate), tensor(up), out);
      bench.gpu->copy(below.gpu, last);
      const Tensor both{turns.gpu.data, turns.gpu.dtype, n, turns.gpu.stride};
      bench.gpu->gated_linear(x.gpu, both, both, above.gpu.rows_from(0, m));
      bench.compare("gated_linear by turns" + sizes(m, k, n), {out, above.gpu.rows_from(0, m)},
                    2 * bench.tolerance(bench.type));
      bench.compare("the row after", {below.cpu, last}, 0);
    }
}

TEST(products_of_bf16_rows_with_fp32_weights) {
  Bench bench(DType::BF16);
  const Both x = bench.activations(15, 1024), weight = bench.exact(32, 1024, 0.03f), bias = bench.exact(1, 32);
  const Both out = bench.exact(15, 32);
  on_both(bench, [&](pi05::Ops& ops, auto own) {
    const Tensor b = tensor(own(bias));
    ops.linear(own(x), tensor(own(weight)), &b, own(out));
  });
  bench.compare("linear" + sizes(15, 1024, 32), out);
}

// Rows of a modulation table, by an index that lies where the backend keeps its inputs.
TEST(modulated) {
  for (const DType type : kTypes) {
    Bench bench(type);
    const int64_t rows = bench.cpu->dims.horizon, width = 64;
    const Both x = bench.exact(rows, width, 3), modulation = bench.exact(3, 6 * width),
               stream = bench.exact(rows, width);
    const Both norm = bench.activations(rows, width), weight = bench.activations(width, width, 0.12f);
    on_both(bench, [&](pi05::Ops& ops, auto own) {
      const std::vector<float> zeros(static_cast<size_t>(rows * ops.dims.action_dim));
      std::vector<int32_t> time_row(static_cast<size_t>(rows));
      for (size_t i = 0; i < time_row.size(); i++) time_row[i] = static_cast<int32_t>(i % 3);
      pi05::Shape shape;
      shape.tokens = shape.steps = 1;
      pi05::Inputs inputs;
      inputs.tokens = inputs.time_row = time_row.data();
      inputs.noise = inputs.prev_chunk = inputs.prefix_weights = inputs.frozen_mask = inputs.guidance_weights =
          inputs.times = zeros.data();
      const pi05::Inputs& in = ops.upload(shape, inputs);
      ops.run(shape, [&] {
        ops.adaptive_rms_norm(own(x), own(modulation), in.time_row, own(norm));
        ops.linear_gated_add(own(norm), tensor(own(weight)), own(modulation).cols_from(2 * width, width), in.time_row,
                             own(stream));
      });
    });
    bench.compare("adaptive_rms_norm", norm);
    bench.compare("linear_gated_add", stream, 2 * bench.tolerance(norm.gpu.dtype));
  }
}

TEST(norms) {
  for (const DType type : kTypes)
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{10, 64}, {33, 144}, {512, 1152}, {300, 2048}}) {
      Bench bench(type);
      const Both x = bench.exact(rows, width, 3), weight = bench.exact(1, width), bias = bench.exact(1, width);
      const Both layer = bench.activations(rows, width), rms = bench.activations(rows, width);
      on_both(bench, [&](pi05::Ops& ops, auto own) {
        ops.layer_norm(own(x), {tensor(own(weight)), tensor(own(bias))}, own(layer));
        ops.rms_norm(own(x), tensor(own(weight)), own(rms));
      });
      bench.compare("layer_norm" + sizes(rows, width, 1), layer);
      bench.compare("rms_norm" + sizes(rows, width, 1), rms);
    }
}

TEST(norms_that_add_a_product_in_parts) {
  Bench bench(DType::BF16);
  const pi05::Stream stream;
  pi05::Gemm gemm;
  const auto good = [](cudaError_t result) { CHECK(result == cudaSuccess); };
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{33, 192, 144}, {276, 384, 2048}, {572, 1152, 1152}})
    for (const int64_t count : {1, 2, 3, 4}) {
      const Both x = bench.activations(m, k), w = bench.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both bias = bench.exact(1, n), scale = bench.exact(1, n), shift = bench.exact(1, n);
      const Both rms = bench.exact(m, n, 3), layer = bench.exact(m, n, 3);
      const Both rms_out = bench.activations(m, n), layer_out = bench.activations(m, n);
      const Tensor cpu_bias = tensor(bias.cpu);
      bench.cpu->linear_add(x.cpu, tensor(w.cpu), nullptr, rms.cpu);
      bench.cpu->rms_norm(rms.cpu, tensor(scale.cpu), rms_out.cpu);
      bench.cpu->linear_add(x.cpu, tensor(w.cpu), &cpu_bias, layer.cpu);
      bench.cpu->layer_norm(layer.cpu, {tensor(scale.cpu), tensor(shift.cpu)}, layer_out.cpu);

      const Matrix parts = bench.gpu->allocate(count * m, n, DType::F32);
      gemm.run_split_k(x.gpu, tensor(w.gpu), count, parts, stream);
      const auto added = [&](const void* with) { return pi05::kernels::split_k_partials(parts, count, with); };
      good(pi05::kernels::rms_norm(rms.gpu, tensor(scale.gpu), rms_out.gpu, added(nullptr), stream));
      const Affine affine{tensor(scale.gpu), tensor(shift.gpu)};
      good(pi05::kernels::layer_norm(layer.gpu, affine, layer_out.gpu, added(bias.gpu.data), stream));
      good(cudaStreamSynchronize(stream));
      const std::string what = sizes(m, k, n) + " in " + std::to_string(count);
      bench.compare("sum" + what, rms), bench.compare("rms_norm of a sum" + what, rms_out);
      bench.compare("sum with bias" + what, layer), bench.compare("layer_norm of a sum" + what, layer_out);
    }
}

// Some GPUs have a kernel for as many rows and columns as their multiprocessors take at once: by SigLIP's sizes with
// one, two and three cameras, and others.
TEST(products_in_one_round) {
  namespace kernels = pi05::kernels;
  const pi05::Stream stream;
  const bool hopper = kernels::gpu().is_hopper(), whole_gpu = hopper && kernels::gpu().multiprocessors >= 132;
  const auto good = [](cudaError_t result) { CHECK(result == cudaSuccess); };
  const int64_t whole[][3] = {{256, 192, 3456}, {512, 192, 3456}, {768, 192, 3456}, {256, 192, 4304},
                              {512, 192, 4304}, {768, 192, 4304}, {512, 1152, 72},  {1, 64, 160},
                              {63, 588, 1160},  {129, 1096, 264}, {700, 40, 2000}};
  const int64_t parted[][3] = {{256, 4304, 1152}, {512, 4304, 1152}, {768, 1152, 1152}, {1, 64, 160},
                               {63, 588, 264},    {300, 2056, 1160}, {513, 2120, 136},  {129, 2048, 72}};
  for (const DType type : {DType::BF16, DType::F16}) {
    for (const auto& [m, k, n] : whole) {
      Bench bench(type);
      const Both x = bench.activations(m, k), w = bench.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both bias = bench.activations(1, n), below = bench.activations(1, n);
      const Tensor weight = tensor(w.cpu), added = tensor(bias.cpu);
      const bool here = kernels::siglip_gemm_supported(x.gpu, tensor(w.gpu));
      CHECK(here ? hopper : !whole_gpu);
      for (const bool gelu : {false, true}) {
        if (!here) continue;
        const Matrix out = bench.cpu->allocate(m, n, DType::F32), above = bench.gpu->allocate(m + 1, n, type);
        gelu ? bench.cpu->linear_gelu(x.cpu, weight, &added, out) : bench.cpu->linear(x.cpu, weight, &added, out);
        bench.gpu->copy(below.gpu, above);
        good(cudaDeviceSynchronize());
        const Matrix rows = above.rows_from(0, m);
        good(kernels::siglip_gemm(x.gpu, tensor(w.gpu), bias.gpu.data, gelu, rows, stream));
        good(cudaStreamSynchronize(stream));
        bench.compare((gelu ? "a round and GELU" : "a round") + sizes(m, k, n), {out, rows});
        bench.compare("the row after", {below.cpu, above.rows_from(m, 1)}, 0);
      }
    }
    for (const auto& [m, k, n] : parted) {
      Bench bench(type);
      const Both x = bench.activations(m, k), w = bench.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      const Both bias = bench.exact(1, n), scale = bench.exact(1, n), shift = bench.exact(1, n);
      const Both sum = bench.exact(m, n, 3), out = bench.activations(m, n), below = bench.exact(1, n);
      const int64_t count = kernels::siglip_gemm_splits(x.gpu, tensor(w.gpu));
      CHECK(count == 0 ? !whole_gpu : hopper && count == (k > 2048 ? 3 : 1));
      if (count == 0) continue;
      const Tensor added = tensor(bias.cpu);
      bench.cpu->linear_add(x.cpu, tensor(w.cpu), &added, sum.cpu);
      bench.cpu->layer_norm(sum.cpu, {tensor(scale.cpu), tensor(shift.cpu)}, out.cpu);
      const Matrix above = bench.gpu->allocate(count * m + 1, n, DType::F32), parts = above.rows_from(0, count * m);
      bench.gpu->copy(below.gpu, above);
      good(cudaDeviceSynchronize());
      good(kernels::siglip_gemm_split_k(x.gpu, tensor(w.gpu), parts, stream));
      good(kernels::layer_norm(sum.gpu, {tensor(scale.gpu), tensor(shift.gpu)}, out.gpu,
                               kernels::split_k_partials(parts, count, bias.gpu.data), stream));
      good(cudaStreamSynchronize(stream));
      const std::string what = sizes(m, k, n) + " in " + std::to_string(count);
      bench.compare("a round's sum" + what, sum), bench.compare("its layer_norm" + what, out);
      bench.compare("the row after", {below.cpu, above.rows_from(count * m, 1)}, 0);
    }
    Bench bench(type);
    const Both x = bench.activations(768, 2056), wide = bench.activations(1152, 2056);
    CHECK(kernels::siglip_gemm_splits(x.gpu, tensor(wide.gpu)) == 0);  // more than a round
  }
}

TEST(rotations) {
  for (const DType type : kTypes) {
    pi05::Dimensions dims = pi05::dimensions_of(PI05_SIZE_TINY);
    for (const int64_t head_dim : {32, 256}) {
      dims.prefix.head_dim = dims.expert.head_dim = head_dim;
      Bench bench(type, dims);
      const Both x = bench.activations(200, 3 * head_dim);
      on_both(bench, [&](pi05::Ops& ops, auto own) { ops.rope(own(x), 3, 500); });
      bench.compare("rope" + sizes(200, 3, head_dim), x);
    }
  }
}

TEST(attentions) {
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
      Bench bench(type);
      const int64_t b = c.shape.batch, width = c.shape.heads * c.shape.head_dim;
      const int64_t kv_width = c.shape.kv_heads * c.shape.head_dim;
      // Operands as they lie in practice: columns of one wider matrix.
      const Both all = bench.activations(b * c.queries, width + 8, 2), q = all.cols_from(8, width);
      const Both k = bench.activations(b * c.keys, kv_width), v = bench.activations(b * c.keys, kv_width);
      const Both out = bench.activations(b * c.queries, width);
      on_both(bench, [&](pi05::Ops& ops, auto own) { ops.attention(own(q), own(k), own(v), c.shape, own(out)); });
      bench.compare("attention of " + std::to_string(b) + " x " + std::to_string(c.queries) + " on " +
                        std::to_string(c.keys) + ", " + std::to_string(c.shape.heads) + " heads of " +
                        std::to_string(c.shape.head_dim),
                    out, 2 * bench.tolerance(out.gpu.dtype));
    }
}

TEST(conversions) {
  for (const DType type : kTypes) {
    Bench bench(type);
    const Both one = bench.exact(3, 33), many = bench.exact(9, 33), x = bench.exact(5, 70, 4);
    on_both(bench, [&](pi05::Ops& ops, auto own) {
      ops.copy(own(one), own(many));
      ops.silu(own(x));
    });
    bench.compare("copy, repeated", many, 0);
    bench.compare("silu", x);
  }
}

RUN_GPU_TESTS()
