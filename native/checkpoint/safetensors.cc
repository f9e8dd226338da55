#include "checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string_view>

#include "checkpoint/json.h"
#include "error.h"

namespace pi05 {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // bytes; the limit of the format
constexpr int64_t kMaxData = int64_t{1} << 50;

int64_t size_of(const std::string& dtype) {
  static const std::map<std::string, int64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"U16", 2}, {"I16", 2}, {"F16", 2},
      {"BF16", 2}, {"U32", 4}, {"I32", 4}, {"F32", 4},     {"U64", 8},     {"I64", 8}, {"F64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

// Reads one header entry. Returns its problem, empty if it is valid.
std::string read_entry(const Json& entry, StoredTensor& tensor) {
  const Json *dtype = entry.find("dtype"), *shape = entry.find("shape"), *offsets = entry.find("data_offsets");
  if (!dtype || !dtype->is(Json::Type::String) || !shape || !shape->is(Json::Type::Array) || !offsets ||
      !offsets->is(Json::Type::Array) || offsets->array().size() != 2 || entry.object().size() != 3)
    return "expected dtype, shape and two data_offsets";
  tensor.dtype = dtype->string();
  const int64_t element = size_of(tensor.dtype);
  if (element == 0) return "expected a known dtype, received " + dtype->brief();
  int64_t bytes = element;
  for (const Json& length : shape->array()) {
    if (!length.is_integer() || length.integer() < 0)
      return "expected lengths ≥ 0 in shape, received " + length.brief();
    tensor.shape.push_back(length.integer());
    if (__builtin_mul_overflow(bytes, length.integer(), &bytes)) return "expected a shape that fits into memory";
  }
  const Json &first = offsets->array()[0], &last = offsets->array()[1];
  if (!first.is_integer() || !last.is_integer() || first.integer() < 0 || last.integer() < first.integer() ||
      last.integer() > kMaxData)
    return "expected two ascending data_offsets, received [" + first.brief() + ", " + last.brief() + "]";
  if (last.integer() - first.integer() != bytes)
    return "expected " + std::to_string(bytes) + " bytes for " + tensor.dtype + " " + to_string(tensor.shape) +
           ", received " + std::to_string(last.integer() - first.integer());
  tensor.offset = first.integer();
  tensor.bytes = bytes;
  return "";
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status{};
  if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    const std::string reason = file >= 0 && !S_ISREG(status.st_mode) ? "not a regular file" : std::strerror(errno);
    if (file >= 0) close(file);
    throw Error(PI05_CHECKPOINT_MISSING, "Expected a readable file " + path + ", received: " + reason);
  }
  size_ = status.st_size;
  if (size_ > 0) {
    void* data = mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) {
      const std::string reason = std::strerror(errno);
      close(file);
      throw Error(PI05_CHECKPOINT_MISSING, "mmap " + path + " failed: " + reason);
    }
    data_ = static_cast<const char*>(data);
  }
  close(file);
  const std::string_view content(data_, static_cast<size_t>(size_));
  for (const std::string_view start :
       {"version https://git-lfs.github.com/spec/", "version https://hawser.github.com/"})
    if (content.substr(0, start.size()) == start) {
      munmap(const_cast<char*>(data_), static_cast<size_t>(size_));
      throw Error(PI05_CHECKPOINT_MISSING, "Expected the contents of " + path +
                                               ", received a Git LFS pointer: fetch the file itself with `git lfs "
                                               "pull`");
    }
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<char*>(data_), static_cast<size_t>(size_));
}

const StoredTensor* Safetensors::find(const std::string& name) const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const StoredTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::string to_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Safetensors open_safetensors(const std::string& path) {
  std::string problems;
  Safetensors result = open_safetensors(path, problems);
  if (!problems.empty()) throw Error(PI05_CHECKPOINT_TENSORS, problems);
  return result;
}

Safetensors open_safetensors(const std::string& path, std::string& all_problems) {
  Safetensors result;
  result.file = std::make_unique<MappedFile>(path);
  const char* bytes = result.file->data();
  const auto size = static_cast<uint64_t>(result.file->size());
  // Sets the problem of the file and returns the tensors that were read until now.
  const auto fail = [&](const std::string& what) {
    all_problems = "Expected a safetensors file, received " + path + ": " + what;
    return std::move(result);
  };

  uint64_t header_bytes = 0;
  if (size < 8) return fail("only " + std::to_string(size) + " bytes");
  for (int i = 7; i >= 0; i--) header_bytes = header_bytes << 8 | static_cast<unsigned char>(bytes[i]);
  if (header_bytes > kMaxHeader || header_bytes > size - 8)
    return fail("its header claims " + std::to_string(header_bytes) + " bytes, the file has " + std::to_string(size));
  const auto data_bytes = static_cast<int64_t>(size - 8 - header_bytes);

  Json header;
  try {
    header = Json::parse({bytes + 8, static_cast<size_t>(header_bytes)});
  } catch (const JsonError& error) {
    return fail(std::string("its header is not JSON: ") + error.what());
  }
  if (!header.is(Json::Type::Object)) return fail("its header is " + header.brief());

  std::string problems;
  const auto problem = [&](const std::string& name, const std::string& what) {
    problems += "\n  " + name + ": " + what;
  };
  for (const auto& [name, entry] : header.object()) {
    if (name == "__metadata__") continue;
    StoredTensor tensor;
    tensor.name = name;
    const std::string entry_problem = read_entry(entry, tensor);
    if (entry_problem.empty())
      result.tensors.push_back(std::move(tensor));
    else
      problem(name, entry_problem);
  }
  std::stable_sort(result.tensors.begin(), result.tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return a.offset < b.offset || (a.offset == b.offset && a.bytes < b.bytes);
  });
  if (problems.empty()) {
    int64_t end = 0;
    for (const StoredTensor& tensor : result.tensors) {
      if (tensor.offset < end) problem(tensor.name, "its bytes overlap another tensor's");
      if (tensor.offset > end)
        problem(tensor.name, std::to_string(tensor.offset - end) + " bytes before it belong to no tensor");
      end = std::max(end, tensor.offset + tensor.bytes);
    }
    if (end > data_bytes)
      return fail("it is truncated: " + std::to_string(size) + " of the " +
                  std::to_string(8 + header_bytes + static_cast<uint64_t>(end)) + " bytes that its header describes");
    if (end < data_bytes) problem("end of file", std::to_string(data_bytes - end) + " bytes belong to no tensor");
  }
  if (!problems.empty()) return fail("problems in its header:" + problems);
  for (StoredTensor& tensor : result.tensors) tensor.data = bytes + 8 + header_bytes + tensor.offset;
  return result;
}

}  // namespace pi05
