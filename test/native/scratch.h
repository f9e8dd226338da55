// Modified checkpoints: a temporary directory, and tensors that a test changes and writes to it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "fixtures.h"

namespace scratch {

// A temporary directory, removed with its contents.
class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pi05-test-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no scratch directory");
    path = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary) << bytes;
  }

  std::string path;
};

struct Entry {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

inline std::vector<Entry> load(const std::string& path) {
  const pi05::Safetensors file = pi05::open_safetensors(path);
  std::vector<Entry> entries;
  for (const pi05::StoredTensor& tensor : file.tensors)
    entries.push_back(
        {tensor.name, tensor.dtype, tensor.shape, std::string(tensor.data, static_cast<size_t>(tensor.bytes))});
  return entries;
}

inline Entry& entry(std::vector<Entry>& entries, const std::string& name) {
  for (Entry& e : entries)
    if (e.name == name) return e;
  throw std::runtime_error("no tensor " + name);
}

inline std::string framed(const std::string& header, const std::string& data) {
  std::string bytes;
  for (size_t i = 0; i < 8; i++) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

// `padding` spaces after the header change the alignment of the data.
inline std::string safetensors(const std::vector<Entry>& entries, size_t padding = 0) {
  std::string header = "{", data;
  for (const Entry& e : entries) {
    header += (header.size() > 1 ? ",\"" : "\"") + e.name + "\":{\"dtype\":\"" + e.dtype +
              "\",\"shape\":" + pi05::to_string(e.shape) + ",\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + e.bytes.size()) + "]}";
    data += e.bytes;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8 + padding, ' ');
  return framed(header, data);
}

inline std::string text_of(const std::string& path) {
  const pi05::MappedFile file(path);
  return std::string(file.data(), static_cast<size_t>(file.size()));
}

// Writes the golden model, with its tensors changed by `change`.
inline void write_model(const Directory& directory, const std::function<void(std::vector<Entry>&)>& change,
                        const std::string& family = "tiny-openpi", size_t padding = 0) {
  std::vector<Entry> entries = load(fixtures::path(family + "/model.safetensors"));
  change(entries);
  directory.write("model.safetensors", safetensors(entries, padding));
  directory.write("pi05_model.json", text_of(fixtures::path(family + "/pi05_model.json")));
}

struct Outcome {
  pi05_status status;
  std::string message;
};

inline Outcome open(const std::string& directory) {
  const pi05_options options{directory.c_str(), PI05_BACKEND_CPU, 1, 0, PI05_PRECISION_BF16};
  pi05_session* session = nullptr;
  const pi05_status status = pi05_open(&options, &session);
  const Outcome outcome{status, pi05_last_error()};
  pi05_close(session);
  return outcome;
}

}  // namespace scratch
