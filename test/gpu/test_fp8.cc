// The e4m3 kernels: quantisation against its definition; products against fp32 products of the same quantised operands,
// to within the rounding of sums, and of the original operands, to within the rounding of e4m3.
#include "fp8_operands.h"

#include <tuple>

namespace {

// A tensor core adds e4m3 products with about 14 bits, so a sum's error grows with the number of columns: 2.7e-3 for
// 2048, 4.6e-3 for 8192 (measured on an H200, relative to the largest sum).
constexpr double kSums = 6e-3;
// Rounding to e4m3 changes a value by up to 1/16 of it. The errors of a product's terms are independent: relative to
// the largest of many sums of random terms they stay below that (4.4e-2 measured). Twice that for the product of two
// sums.
constexpr double kE4M3 = 6e-2;

bool available() {
  if (kernels::fp8_gemm_supported()) return true;
  std::printf("  not run: this GPU does not support the e4m3 kernels\n");
  return false;
}

// Each value within half a step of e4m3, each row with its scale.
void check_quantized(const std::vector<float>& exact, const Fp8Download& actual, int64_t cols, double tolerance) {
  for (size_t row = 0; row < actual.scale.size(); row++) {
    const float* const values = &exact[row * static_cast<size_t>(cols)];
    double largest = 0;
    for (int64_t c = 0; c < cols; c++) largest = std::max(largest, std::abs(double{values[c]}));
    const double scale = double{actual.scale[row]};
    bool good = std::abs(scale - largest / 448) <= (1e-6 + tolerance) * largest / 448;
    for (int64_t c = 0; c < cols; c++) {
      const double value = double{values[c]},
                   error = std::abs(
                       double{actual.values[row * static_cast<size_t>(cols) + static_cast<size_t>(c)]} * scale - value);
      good = good && error <= std::max(std::abs(value) / 16, scale / 1024) * 1.0001 + tolerance * largest + 1e-30;
    }
    CHECK(good);
    if (!good) return;
  }
}

}  // namespace

TEST(rows_are_rounded_to_the_nearest_e4m3_with_their_own_scale) {
  for (const DType type : kTypes)
    for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 16}, {7, 2048}, {70, 4304}, {5, 16384}}) {
      Harness harness(DType::BF16);
      const Both from = harness.make(rows, cols, type);
      std::vector<float> values(static_cast<size_t>(rows * cols));
      harness.cpu->download(from.cpu, values.data());
      if (rows > 4) {  // a row of zeros, one with a large value, one of tiny values
        const auto at = [&](int64_t row) { return values.begin() + row * cols; };
        std::fill(at(1), at(2), 0.0f);
        *at(2) = 1000;
        if (type != DType::F16) std::for_each(at(3), at(4), [](float& value) { value *= 0x1p-14f; });
        for (float& value : values)
          if (type != DType::F32) value = rounded(value, type);
        harness.cpu->upload(from.cpu, values.data());
        harness.gpu->upload(from.gpu, values.data());
      }
      const kernels::Fp8Matrix to = allocate_fp8(harness, rows, cols);
      CHECK(kernels::quantize_rows(from.gpu, to, {}, nullptr) == cudaSuccess);
      check_quantized(values, download(to), cols, 0);
    }
}

TEST(a_nan_is_not_hidden) {
  Harness harness(DType::BF16);
  const Both from = harness.f32(2, 64);
  std::vector<float> values(128, 1.0f);
  values[70] = NAN;
  harness.gpu->upload(from.gpu, values.data());
  const kernels::Fp8Matrix to = allocate_fp8(harness, 2, 64);
  CHECK(kernels::quantize_rows(from.gpu, to, {}, nullptr) == cudaSuccess);
  const Fp8Download actual = download(to);
  CHECK(actual.values[0] * actual.scale[0] == 1.0f);
  CHECK(std::isnan(actual.values[70] * actual.scale[1]));
}

TEST(two_matrices_are_interleaved_by_groups_of_rows) {
  Harness harness(DType::BF16);
  const int64_t rows = 48, cols = 32, group = kernels::kInterleave;
  const Both a = harness.f32(rows, cols), b = harness.f32(rows, cols, 3);
  const kernels::Fp8Matrix to = allocate_fp8(harness, 2 * rows, cols);
  for (const int64_t first : {0, 20})  // in two calls
    for (const int64_t part : {0, 1}) {
      const Matrix from = (part ? b : a).gpu.rows_from(first, first ? rows - first : 20);
      CHECK(kernels::quantize_rows(from, to, {first, group, part}, nullptr) == cudaSuccess);
    }
  std::vector<float> parts[2], expected;
  for (const auto& [from, values] : {std::pair{&a, &parts[0]}, std::pair{&b, &parts[1]}}) {
    values->resize(static_cast<size_t>(rows * cols));
    harness.cpu->download(from->cpu, values->data());
  }
  for (int64_t row = 0; row < 2 * rows; row++) {
    const std::vector<float>& part = parts[row / group % 2];
    const auto from = part.begin() + (row / (2 * group) * group + row % group) * cols;
    expected.insert(expected.end(), from, from + cols);
  }
  check_quantized(expected, download(to), cols, 0);
}

TEST(rms_norm_quantises_its_rows) {
  for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{1, 64}, {37, 128}, {572, 2048}})
    for (const int64_t splits : {0, 1, 2, 4}) {
      Harness harness(DType::BF16);
      const Both x = harness.f32(rows, width, 3), weight = harness.f32(1, width), parts = harness.f32(4 * rows, width);
      const Matrix norm = harness.cpu->allocate(rows, width, DType::F32);
      std::vector<float> sum(static_cast<size_t>(rows * width)), part(sum.size());
      harness.cpu->download(x.cpu, sum.data());
      for (int64_t i = 0; i < splits; i++) {
        harness.cpu->download(parts.cpu.rows_from(i * rows, rows), part.data());
        for (size_t j = 0; j < sum.size(); j++) sum[j] += part[j];
      }
      harness.cpu->upload(x.cpu, sum.data());
      harness.cpu->rms_norm(x.cpu, tensor(weight.cpu), norm);
      const kernels::Fp8Matrix to = allocate_fp8(harness, rows, width);
      const auto partials = kernels::split_k_partials(parts.gpu.rows_from(0, std::max<int64_t>(splits, 1) * rows),
                                                      std::max<int64_t>(splits, 1));
      CHECK(kernels::rms_norm(x.gpu, tensor(weight.gpu), to, splits ? partials : kernels::SplitKPartials(), nullptr) ==
            cudaSuccess);
      std::vector<float> expected(sum.size());
      harness.cpu->download(norm, expected.data());
      check_quantized(expected, download(to), width, 1e-5);
      harness.compare("the stream with its partials", x, kF32);
    }
}

// x and weight with channels of 100 times the others, as trained models have them.
void add_outliers(Harness& harness, const Both& x, const Both& weight) {
  std::vector<float> xs(static_cast<size_t>(x.cpu.rows * x.cpu.cols)),
      weights(static_cast<size_t>(weight.cpu.rows * weight.cpu.cols));
  harness.cpu->download(x.cpu, xs.data()), harness.cpu->download(weight.cpu, weights.data());
  for (int64_t row = 0; row < x.cpu.rows; row += 3) xs[static_cast<size_t>(row * x.cpu.cols + 5)] *= 128;
  for (int64_t row = 0; row < weight.cpu.rows; row++) {
    float* const values = &weights[static_cast<size_t>(row * weight.cpu.cols)];
    values[9] *= 128;
    if (row % 16 == 1)
      for (int64_t c = 0; c < weight.cpu.cols; c++) values[c] *= 128;
  }
  for (const auto& [both, values] : {std::pair{&x, &xs}, std::pair{&weight, &weights}})
    harness.cpu->upload(both->cpu, values->data()), harness.gpu->upload(both->gpu, values->data());
}

// `run` fills out.gpu with x · weightᵀ.
template <typename Run>
void compare_product(Harness& harness, const std::string& what, const Fp8Operand& x, const Fp8Operand& weight,
                     const Both& out, double rounding, Run run) {
  harness.cpu->linear(x.quantized, tensor(weight.quantized), nullptr, out.cpu);
  harness.on_gpu(run);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  harness.compare(what + ", quantised operands", out, rounding);
  harness.cpu->linear(x.exact, tensor(weight.exact), nullptr, out.cpu);
  harness.compare(what + ", exact operands", out, kE4M3);
}

const std::tuple<int64_t, int64_t, int64_t> kShapes[] = {
    {1, 16, 8},        {1, 2048, 128},    {63, 64, 96},      {100, 336, 264},   {577, 192, 512}, {544, 2048, 2560},
    {572, 2048, 2560}, {572, 2048, 2048}, {864, 2048, 2560}, {968, 2048, 2048}, {572, 2048, 512}};

TEST(products_follow_fp32) {
  if (!available()) return;
  for (const auto& [m, k, n] : kShapes)
    for (const bool outliers : {false, true}) {
      Harness harness(DType::BF16);
      const Both xs = harness.activations(m, k), ws = harness.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
      if (outliers) add_outliers(harness, xs, ws);
      const Fp8Operand x(harness, xs), weight(harness, ws);
      const Both extended = harness.activations(m + 1, n), sentinel = harness.activations(1, n);
      const Matrix last = extended.gpu.rows_from(m, 1);
      harness.gpu->copy(sentinel.gpu, last);
      const Both out{extended.cpu.rows_from(0, m), extended.gpu.rows_from(0, m)};
      compare_product(harness, std::string("fp8_gemm") + (outliers ? ", outliers" : "") + sizes(m, k, n), x, weight,
                      out, kBf16 + kSums,
                      [&] { CHECK(kernels::fp8_gemm(x.gpu, tensor(weight.gpu), out.gpu, nullptr) == cudaSuccess); });
      CHECK(harness.ran == "fp8_gemm");
      harness.compare("the row after is untouched", {sentinel.cpu, last}, 0);
    }
}

TEST(split_products_follow_fp32) {
  if (!available()) return;
  std::vector<std::tuple<int64_t, int64_t, int64_t>> shapes(std::begin(kShapes), std::end(kShapes));
  for (const int64_t m : {276, 544, 572, 712, 864}) shapes.push_back({m, 16384, 2048});
  for (const auto& [m, k, n] : shapes) {
    Harness harness(DType::BF16);
    const Both xs = harness.activations(m, k), ws = harness.activations(n, k, 1 / std::sqrt(static_cast<float>(k)));
    const Fp8Operand x(harness, xs), weight(harness, ws);
    const int64_t splits = kernels::fp8_gemm_splits(x.gpu, tensor(weight.gpu)), values = m * n;
    CHECK(splits >= 1 && splits <= 4);
    const Both partials = harness.f32(splits * m + 1, n), sentinel = harness.f32(1, n), out = harness.f32(m, n);
    const Matrix last = partials.gpu.rows_from(splits * m, 1);
    harness.gpu->copy(sentinel.gpu, last);
    compare_product(
        harness, "fp8_gemm in " + std::to_string(splits) + " splits" + sizes(m, k, n), x, weight, out, kSums, [&] {
          CHECK(kernels::fp8_gemm_split_k(x.gpu, tensor(weight.gpu), partials.gpu.rows_from(0, splits * m), nullptr) ==
                cudaSuccess);
          CHECK(cudaDeviceSynchronize() == cudaSuccess);
          std::vector<float> parts(static_cast<size_t>(splits * values));
          harness.gpu->download(partials.gpu.rows_from(0, splits * m), parts.data());
          for (size_t i = static_cast<size_t>(values); i < parts.size(); i++)
            parts[i % static_cast<size_t>(values)] += parts[i];
          harness.gpu->upload(out.gpu, parts.data());
        });
    harness.compare("the row after is untouched", {sentinel.cpu, last}, 0);
  }
}

TEST(gate_and_up_follow_fp32) {
  if (!available()) return;
  for (const auto& [m, k, n] : {std::tuple<int64_t, int64_t, int64_t>{1, 2048, 128},
                                {63, 64, 96},
                                {100, 336, 264},
                                {276, 320, 1024},
                                {544, 2048, 2048},
                                {572, 2048, 16384},
                                {577, 192, 256},
                                {640, 128, 16384},
                                {864, 128, 16384},
                                {968, 128, 1032}}) {
    Harness harness(DType::BF16);
    const Both xs = harness.activations(m, k), ws = harness.activations(2 * n, k, 2 / std::sqrt(static_cast<float>(k)));
    const Fp8Operand x(harness, xs), weight(harness, ws);
    const Both extended = harness.activations(m + 1, n), sentinel = harness.activations(1, n);
    const Matrix last = extended.gpu.rows_from(m, 1);
    harness.gpu->copy(sentinel.gpu, last);
    const Both out{extended.cpu.rows_from(0, m), extended.gpu.rows_from(0, m)};
    harness.on_gpu([&] { CHECK(kernels::geglu_gemm(x.gpu, tensor(weight.gpu), out.gpu, nullptr) == cudaSuccess); });
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(harness.ran == "geglu_gemm_fp8");
    const auto reference = [&](const Matrix& values, const Matrix& weights) {
      const auto [gate, up] = split_interleaved(harness, weights);
      harness.cpu->gated_linear(values, tensor(gate), tensor(up), out.cpu);
    };
    reference(x.quantized, weight.quantized);
    harness.compare("geglu_gemm_fp8" + sizes(m, k, n) + ", quantised operands", out, 2 * kBf16);
    reference(x.exact, weight.exact);
    harness.compare("geglu_gemm_fp8" + sizes(m, k, n) + ", exact operands", out, 2 * kE4M3);
    harness.compare("the row after is untouched", {sentinel.cpu, last}, 0);
  }
}

TEST(every_launch_gives_the_same_bits) {
  if (!available()) return;
  Harness harness(DType::BF16);
  const int64_t m = 572, k = 2048, n = 4096;
  const Fp8Operand x(harness, harness.activations(m, k)), weight(harness, harness.activations(n, k, 0.02f));
  const int64_t splits = kernels::fp8_gemm_splits(x.gpu, tensor(weight.gpu));
  const Matrix product = harness.gpu->allocate(m, n, DType::BF16), gated = harness.gpu->allocate(m, n / 2, DType::BF16),
               partials = harness.gpu->allocate(splits * m, n, DType::F32);
  std::vector<float> first[3];
  for (int i = 0; i < 20; i++) {
    CHECK(kernels::fp8_gemm(x.gpu, tensor(weight.gpu), product, nullptr) == cudaSuccess);
    CHECK(kernels::geglu_gemm(x.gpu, tensor(weight.gpu), gated, nullptr) == cudaSuccess);
    CHECK(kernels::fp8_gemm_split_k(x.gpu, tensor(weight.gpu), partials, nullptr) == cudaSuccess);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    int index = 0;
    for (const Matrix& matrix : {product, gated, partials}) {
      std::vector<float> values(static_cast<size_t>(matrix.rows * matrix.cols));
      harness.gpu->download(matrix, values.data());
      std::vector<float>& expected = first[index++];
      if (i == 0) expected = values;
      CHECK(values == expected);
    }
  }
}

RUN_GPU_TESTS()
