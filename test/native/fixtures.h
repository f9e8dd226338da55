// Golden data, and sessions and inferences through the C ABI.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "pi05/pi05.h"

namespace fixtures {

inline std::string path(const std::string& name) { return std::string(PI05_FIXTURES) + "/" + name; }

inline pi05::Json read_json(const std::string& name) {
  const pi05::MappedFile file(path(name));
  return pi05::Json::parse({file.data(), static_cast<size_t>(file.size())});
}

// A file of golden tensors.
class Golden {
 public:
  explicit Golden(const std::string& name) : file_(pi05::open_safetensors(path(name))) {}

  bool has(const std::string& name) const { return file_.find(name); }
  const std::vector<int64_t>& shape(const std::string& name) const { return tensor(name).shape; }

  template <typename Value>
  std::vector<Value> values(const std::string& name) const {
    const pi05::StoredTensor& stored = tensor(name);
    std::vector<Value> result(static_cast<size_t>(stored.bytes) / sizeof(Value));
    std::memcpy(result.data(), stored.data, static_cast<size_t>(stored.bytes));
    return result;
  }
  std::vector<float> floats(const std::string& name) const { return values<float>(name); }

 private:
  const pi05::StoredTensor& tensor(const std::string& name) const {
    const pi05::StoredTensor* found = file_.find(name);
    if (!found) throw std::runtime_error("no golden tensor " + name);
    return *found;
  }
  pi05::Safetensors file_;
};

// Largest absolute error divided by the largest absolute value; infinite if the sizes differ or a value is NaN.
inline double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size() || expected.empty()) return INFINITY;
  double error = 0, largest = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    const double difference = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
    if (!(difference <= error)) error = std::isnan(difference) ? INFINITY : difference;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return error / largest;
}

inline void require_ok(pi05_status status) {
  if (status != PI05_OK) throw std::runtime_error(std::string(pi05_status_name(status)) + ": " + pi05_last_error());
}

class Session {
 public:
  explicit Session(const std::string& directory, int threads = 1, pi05_backend backend = PI05_BACKEND_CPU,
                   pi05_precision precision = PI05_PRECISION_BF16) {
    const pi05_options options{directory.c_str(), backend, threads, 0, precision};
    require_ok(pi05_open(&options, &session_));
    require_ok(pi05_get_info(session_, &info));
  }
  ~Session() { pi05_close(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  pi05_session* get() const { return session_; }
  pi05_info info{};

 private:
  pi05_session* session_ = nullptr;
};

// The request borrows all arguments.
inline pi05_request request_of(const std::vector<pi05_image>& images, const std::vector<int32_t>& tokens,
                               const std::vector<float>& noise) {
  pi05_request request{};
  request.images = images.data();
  request.tokens = tokens.data();
  request.token_count = static_cast<int32_t>(tokens.size());
  request.noise = noise.data();
  return request;
}

// The inputs of one golden case. A test may change them before it calls request().
struct Case {
  explicit Case(const std::string& name) : golden(name) {
    mask = golden.values<int32_t>("image_mask");
    tokens = golden.values<int32_t>("tokens");
    noise = golden.floats("noise");
    for (size_t slot = 0; slot < mask.size(); slot++)
      pixels.push_back(golden.values<uint8_t>("image_" + std::to_string(slot)));
  }

  // The request borrows from the case.
  pi05_request request() {
    images.clear();
    for (size_t slot = 0; slot < mask.size(); slot++)
      images.push_back(
          {mask[slot] ? pixels[slot].data() : nullptr, 224, 224, 224 * 3, PI05_PIXELS_RGB8, 224 * 224 * 3});
    return request_of(images, tokens, noise);
  }

  Golden golden;
  std::vector<int32_t> mask, tokens;
  std::vector<float> noise;
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<pi05_image> images;
};

using Tensors = std::map<std::string, std::vector<float>>;

inline std::vector<float> infer(const Session& session, const pi05_request& request) {
  std::vector<float> actions(static_cast<size_t>(session.info.horizon * session.info.action_dim));
  require_ok(pi05_infer(session.get(), &request, actions.data()));
  return actions;
}

// All intermediate tensors by name, and the actions.
inline Tensors infer_traced(const Session& session, pi05_request request) {
  Tensors tensors;
  request.trace_user = &tensors;
  request.trace = [](void* user, const char* name, const float* data, const int64_t* shape, int32_t rank) {
    int64_t count = 1;
    for (int32_t i = 0; i < rank; i++) count *= shape[i];
    (*static_cast<Tensors*>(user))[name].assign(data, data + count);
  };
  tensors["actions"] = infer(session, request);
  return tensors;
}

}  // namespace fixtures
