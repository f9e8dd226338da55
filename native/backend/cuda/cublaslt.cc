#include "backend/cuda/cublaslt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace pi05::cublaslt {
namespace {

void* open_library() {
  std::vector<std::string> directories;
  if (const char* root = std::getenv("PI05_CUBLAS_ROOT"))
    for (const char* sub : {"/", "/lib/", "/lib64/"}) directories.push_back(std::string(root) + sub);
  directories.push_back("");
  directories.push_back(PI05_CUDA_LIBRARIES "/");
  const std::string major = std::to_string(CUDART_VERSION / 1000);
  for (const std::string& directory : directories)
    for (const std::string& name : {"libcublasLt.so." + major, std::string("libcublasLt.so")})
      if (void* found = dlopen((directory + name).c_str(), RTLD_NOW | RTLD_LOCAL)) return found;
  return nullptr;
}

std::optional<Library> load() {
  void* const handle = open_library();
  if (!handle) return std::nullopt;
  Library result{};
  bool complete = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    complete = complete && function;
  };
  find(result.create, "cublasLtCreate");
  find(result.destroy, "cublasLtDestroy");
  find(result.create_descriptor, "cublasLtMatmulDescCreate");
  find(result.destroy_descriptor, "cublasLtMatmulDescDestroy");
  find(result.set_descriptor, "cublasLtMatmulDescSetAttribute");
  find(result.create_layout, "cublasLtMatrixLayoutCreate");
  find(result.destroy_layout, "cublasLtMatrixLayoutDestroy");
  find(result.set_layout, "cublasLtMatrixLayoutSetAttribute");
  find(result.create_preference, "cublasLtMatmulPreferenceCreate");
  find(result.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  find(result.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  find(result.heuristics, "cublasLtMatmulAlgoGetHeuristic");
  find(result.matmul, "cublasLtMatmul");
  if (!complete) return std::nullopt;
  return result;
}

}  // namespace

const Library* library() {
  static const std::optional<Library> loaded = load();
  return loaded ? &*loaded : nullptr;
}

}  // namespace pi05::cublaslt
