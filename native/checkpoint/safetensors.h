// Reads safetensors files through memory maps. Nothing in a header is believed before it was checked against the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pi05 {

// A whole file, read-only; unmapped when destroyed.
class MappedFile {
 public:
  // Throws Error(PI05_CHECKPOINT_MISSING) where the file cannot be read.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  const char* data_ = nullptr;
  int64_t size_ = 0;
};

struct StoredTensor {
  std::string name;
  std::string dtype;  // as in the header: "F32", "BF16", …
  std::vector<int64_t> shape;
  int64_t offset = 0;  // of its first byte, from the end of the header
  int64_t bytes = 0;
  const char* data = nullptr;  // valid while the file is mapped; any alignment; null in a file with faults
};

struct Safetensors {
  std::unique_ptr<MappedFile> file;
  std::vector<StoredTensor> tensors;  // by offset

  const StoredTensor* find(const std::string& name) const;
};

// What is wrong with the file goes into `faults`: a header that is no JSON or whose offsets overlap, leave holes or do
// not agree with type and shape (all such tensors, a line each), or a file that ends before its tensors do. What could
// be read is returned all the same. Throws Error(PI05_CHECKPOINT_MISSING).
Safetensors open_safetensors(const std::string& path, std::string& faults);

// Throws Error: PI05_CHECKPOINT_MISSING, or PI05_CHECKPOINT_TENSORS with the faults.
Safetensors open_safetensors(const std::string& path);

// "[2, 3]"
std::string to_string(const std::vector<int64_t>& shape);

}  // namespace pi05
