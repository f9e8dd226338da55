// Reads safetensors files through memory maps. Headers are untrusted: every value is checked against the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pi05 {

// A read-only memory map of a file.
class MappedFile {
 public:
  // Throws Error(PI05_CHECKPOINT_MISSING) if the file cannot be read, or is a Git LFS pointer to its contents.
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
  int64_t offset = 0;  // bytes from the end of the header
  int64_t bytes = 0;
  const char* data = nullptr;  // valid while the file is mapped; not aligned; null in a file with problems
};

struct Safetensors {
  std::unique_ptr<MappedFile> file;
  std::vector<StoredTensor> tensors;  // sorted by offset

  const StoredTensor* find(const std::string& name) const;
};

// Opens a file and returns the tensors that could be read. `problems`: out, empty for a valid file; otherwise one
// sentence, followed by one line per tensor: a header that is not JSON, offsets that overlap, leave gaps or contradict
// type and shape, a truncated file. Throws Error(PI05_CHECKPOINT_MISSING).
Safetensors open_safetensors(const std::string& path, std::string& problems);

// Throws Error: PI05_CHECKPOINT_MISSING, or PI05_CHECKPOINT_TENSORS with the problems.
Safetensors open_safetensors(const std::string& path);

// "[2, 3]"
std::string to_string(const std::vector<int64_t>& shape);

}  // namespace pi05
