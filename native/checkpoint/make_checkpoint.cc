#include "checkpoint/make_checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "checkpoint/model_file.h"
#include "checkpoint/tensor_spec.h"
#include "error.h"

namespace pi05 {
namespace {

constexpr int64_t kBlock = 1 << 20;  // values that a thread generates and writes at a time; a multiple of 4

struct Normal {
  float mean;
  float deviation;
};

// The distributions of the test fixtures.
Normal weight_distribution(Role role, double fan_in) {
  const auto scaled = [fan_in](double gain) { return Normal{0, static_cast<float>(gain / std::sqrt(fan_in))}; };
  switch (role) {
    case Role::Linear:
    case Role::Embedding:
      return scaled(1.0);
    case Role::QueryKey:
      return scaled(1.3);
    case Role::Gate:
      return scaled(1.2);
    case Role::Projector:
      return scaled(0.8);
    case Role::Patch:
      return scaled(0.7);
    case Role::Position:
      return {0, 0.4f};
    case Role::LayerNorm:
      return {1, 0.22f};
    case Role::RmsNorm:
      return {0, 0.25f};
    case Role::Adaptive:
      return scaled(0.64);
    case Role::Time:
      return scaled(1.5);
  }
  return {};
}

// `part`: 0 scale, 1 shift, 2 gate of an adaptive norm.
Normal bias_distribution(Role role, int64_t part) {
  switch (role) {
    case Role::Adaptive:
      return part == 2 ? Normal{0.35f, 0.4f} : Normal{0, 0.2f};
    case Role::LayerNorm:
      return {0, 0.2f};
    case Role::Time:
      return {0, 0.3f};
    default:
      return {0, 0.15f};
  }
}

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t key_of(uint64_t seed, std::string_view name) {
  uint64_t key = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : name) key = (key ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix(key ^ mix(seed + 0x9e3779b97f4a7c15u));
}

// Quantiles of the standard normal distribution at (i + 1/2) / 65536, by bisection of erfc, exact to float.
const std::vector<float>& quantiles() {
  static const std::vector<float> table = [] {
    std::vector<float> values(1 << 16);
    double low = -5;
    for (size_t i = 0; i < values.size() / 2; i++) {
      const double target = (static_cast<double>(i) + 0.5) / static_cast<double>(values.size());
      double high = 0;
      for (int k = 0; k < 45; k++) {
        const double middle = 0.5 * (low + high);
        if (0.5 * std::erfc(-middle * std::sqrt(0.5)) < target)
          low = middle;
        else
          high = middle;
      }
      values[i] = static_cast<float>(low);
      values[values.size() - 1 - i] = -values[i];
    }
    return values;
  }();
  return table;
}

uint16_t to_bf16(float value) {  // rounds to nearest even; for finite values
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Generates `count` values of a tensor from the index `first` on, a multiple of 4. Calls store(i, value) for each.
template <typename Store>
void draw(uint64_t key, int64_t first, int64_t count, Normal normal, Store store) {
  const float* table = quantiles().data();
  for (int64_t i = 0; i < count; i += 4) {
    const uint64_t bits = mix(key + static_cast<uint64_t>(first + i) * 0x9e3779b97f4a7c15u);
    for (int64_t lane = 0; lane < std::min<int64_t>(4, count - i); lane++)
      store(i + lane, normal.mean + normal.deviation * table[bits >> (16 * lane) & 0xffff]);
  }
}

// Consecutive values of a tensor.
struct Block {
  const TensorSpec* spec;
  int64_t first, count;  // values
  int64_t offset;        // bytes from the beginning of the file
};

bool is_bias(const TensorSpec& spec) {
  return spec.name.size() > 5 && spec.name.compare(spec.name.size() - 5, 5, ".bias") == 0;
}

void fill(const Block& block, uint64_t seed, char* to) {
  const TensorSpec& spec = *block.spec;
  const uint64_t key = key_of(seed, spec.name);
  int64_t fan_in = 1;
  for (size_t i = 1; i < spec.shape.size(); i++) fan_in *= spec.shape[i];
  const auto store = [&](int64_t index, float value) {
    if (spec.stored == DType::F32) {
      std::memcpy(to + 4 * index, &value, 4);
    } else {
      const uint16_t half = to_bf16(value);
      std::memcpy(to + 2 * index, &half, 2);
    }
  };
  if (!is_bias(spec))
    return draw(key, block.first, block.count, weight_distribution(spec.role, static_cast<double>(fan_in)), store);
  draw(key, block.first, block.count, {0, 1}, [&](int64_t index, float value) {
    const Normal normal = bias_distribution(spec.role, 3 * (block.first + index) / spec.shape[0]);
    store(index, normal.mean + normal.deviation * value);
  });
}

std::string header_of(const std::vector<TensorSpec>& specs) {
  std::string text = "{\"__metadata__\":{\"format\":\"pt\"}";
  int64_t offset = 0;
  for (const TensorSpec& spec : specs) {
    int64_t bytes = bytes_of(spec.stored);
    std::string shape;
    for (const int64_t length : spec.shape) {
      bytes *= length;
      shape += (shape.empty() ? "" : ",") + std::to_string(length);
    }
    text += ",\"" + spec.name + "\":{\"dtype\":\"" + name_of(spec.stored) + "\",\"shape\":[" + shape +
            "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + bytes) + "]}";
    offset += bytes;
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

class OutputFile {
 public:
  explicit OutputFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {
    file_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file_ < 0) fail();
  }
  ~OutputFile() {
    if (file_ >= 0) close(file_);
    if (!finished_) unlink(partial_.c_str());
  }

  void write(const char* data, int64_t size, int64_t offset) const {
    while (size > 0) {
      const ssize_t written = pwrite(file_, data, static_cast<size_t>(size), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail();
      data += written, offset += written, size -= written;
    }
  }

  void finish() {
    const int closed = close(file_);
    file_ = -1;
    if (closed != 0 || rename(partial_.c_str(), path_.c_str()) != 0) fail();
    finished_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(PI05_CHECKPOINT_MISSING, "write " + path_ + " failed: " + std::strerror(errno));
  }

  std::string path_, partial_;
  int file_ = -1;
  bool finished_ = false;
};

}  // namespace

Dimensions dimensions_of(pi05_size size) {
  Dimensions d;
  d.horizon = 15;
  if (size == PI05_SIZE_FULL) return d;
  d.vision.patch = 14;
  d.prefix.vocab = 512;
  if (size == PI05_SIZE_TINY) {
    d.vision.hidden = 144, d.vision.layers = 3, d.vision.mlp = 300, d.vision.heads = 2;
    d.prefix.width = 128, d.prefix.layers = 3, d.prefix.mlp = 320, d.prefix.heads = 4, d.prefix.head_dim = 32;
    d.expert.width = 64, d.expert.layers = 3, d.expert.mlp = 160, d.expert.heads = 4, d.expert.head_dim = 32;
  } else {
    d.vision.hidden = 128, d.vision.layers = 4, d.vision.mlp = 384, d.vision.heads = 2;
    d.prefix.width = 192, d.prefix.layers = 4, d.prefix.mlp = 512, d.prefix.heads = 4, d.prefix.head_dim = 32;
    d.expert.width = 96, d.expert.layers = 4, d.expert.mlp = 256, d.expert.heads = 4, d.expert.head_dim = 32;
  }
  return d;
}

void make_checkpoint(const std::string& directory, const Dimensions& dimensions, uint64_t seed) {
  Weights unused;
  const std::vector<TensorSpec> specs = tensor_specs(dimensions, unused);
  const std::string header = header_of(specs);
  std::vector<Block> blocks;
  int64_t offset = static_cast<int64_t>(8 + header.size());
  for (const TensorSpec& spec : specs) {
    int64_t values = 1;
    for (const int64_t length : spec.shape) values *= length;
    for (int64_t first = 0; first < values; first += kBlock)
      blocks.push_back({&spec, first, std::min(kBlock, values - first), offset + first * bytes_of(spec.stored)});
    offset += values * bytes_of(spec.stored);
  }

  OutputFile file(directory + "/model.safetensors");
  std::array<char, 8> length{};
  for (size_t i = 0; i < 8; i++) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  file.write(length.data(), 8, 0);
  file.write(header.data(), static_cast<int64_t>(header.size()), 8);

  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> errors(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (std::exception_ptr& error : errors)
    threads.emplace_back([&] {
      try {
        std::vector<char> buffer(4 * kBlock);
        for (size_t i = next++; i < blocks.size(); i = next++) {
          fill(blocks[i], seed, buffer.data());
          file.write(buffer.data(), blocks[i].count * bytes_of(blocks[i].spec->stored), blocks[i].offset);
        }
      } catch (...) {
        error = std::current_exception();
        next = blocks.size();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  file.finish();

  OutputFile model(directory + "/pi05_model.json");
  const std::string text = model_file_text(dimensions);
  model.write(text.data(), static_cast<int64_t>(text.size()), 0);
  model.finish();
}

}  // namespace pi05
