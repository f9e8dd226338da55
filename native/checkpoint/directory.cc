#include "checkpoint/directory.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "error.h"

namespace pi05 {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 5;
constexpr size_t kMaxDirectories = 2000;
constexpr size_t kMaxShown = 4;

enum class Content { Weights, Orbax, Adapter };

bool has(const fs::path& directory, const char* name) {
  std::error_code error;
  return fs::exists(directory / name, error);
}

// Orbax writes these into the directory of a PyTree, which is `params` for openpi.
bool is_orbax_tree(const fs::path& directory) {
  for (const char* name : {"_METADATA", "_CHECKPOINT_METADATA", "_sharding", "manifest.ocdbt", "ocdbt.process_0"})
    if (has(directory, name)) return true;
  return false;
}

std::optional<Content> content_of(const fs::path& directory) {
  if (has(directory, "model.safetensors") || has(directory, "model.safetensors.index.json")) return Content::Weights;
  if (is_orbax_tree(directory) || is_orbax_tree(directory / "params")) return Content::Orbax;
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"})
    if (has(directory, name)) return Content::Adapter;
  return std::nullopt;
}

std::string explanation(Content content, const fs::path& directory) {
  if (content == Content::Weights) return "it has them";
  if (content == Content::Orbax)
    return "it is a checkpoint of JAX training (Orbax): convert it with openpi's "
           "examples/convert_jax_model_to_pytorch.py";
  std::string base;
  try {
    const MappedFile file((directory / "adapter_config.json").string());
    const Json* name = nullptr;
    const Json json = Json::parse({file.data(), static_cast<size_t>(file.size())});
    if ((name = json.find("base_model_name_or_path")) && name->is(Json::Type::String)) base = " " + name->string();
  } catch (const std::exception&) {
    // The name of the base model is not needed.
  }
  return "it is a LoRA adapter (adapter_model.safetensors), not a complete model: merge it into its base model" + base +
         " (merge_and_unload of PEFT) and save the result";
}

using Found = std::pair<fs::path, Content>;

// The nearest directories below with something to name, breadth first.
std::vector<Found> search_below(const fs::path& directory) {
  std::vector<Found> found;
  std::deque<std::pair<fs::path, int>> queue = {{directory, 0}};
  for (size_t visited = 0; !queue.empty() && visited < kMaxDirectories; visited++) {
    const auto [path, depth] = queue.front();
    queue.pop_front();
    const std::optional<Content> content = depth == 0 ? std::nullopt : content_of(path);
    if (content) found.emplace_back(path, *content);
    if (content || depth == kMaxDepth) continue;
    std::vector<fs::path> children;
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      const bool hidden = entry->path().filename().string().front() == '.';
      if (!hidden && !entry->is_symlink(error) && entry->is_directory(error)) children.push_back(entry->path());
    }
    std::sort(children.begin(), children.end());
    for (fs::path& child : children) queue.emplace_back(std::move(child), depth + 1);
  }
  return found;
}

std::vector<Found> search_above(const fs::path& directory) {
  std::error_code error;
  const fs::path parent = fs::absolute(directory / "", error).lexically_normal().parent_path().parent_path();
  for (const fs::path& path : {parent, parent / "pretrained_model"})
    if (const std::optional<Content> content = content_of(path)) return {{path, *content}};
  return {};
}

// Files that look like weights in another format.
std::string other_weights(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string extension = entry->path().extension().string();
    for (const char* known : {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".npz", ".msgpack"})
      if (extension == known && entry->path().filename().string().rfind("policy_", 0) != 0)
        names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMaxShown); i++) text += (i ? ", " : "; there is ") + names[i];
  return text;
}

}  // namespace

std::string missing_weights_explanation(const std::string& directory) {
  if (const std::optional<Content> content = content_of(directory)) return ": " + explanation(*content, directory);
  std::vector<Found> found = search_below(directory);
  if (found.empty()) found = search_above(directory);
  if (found.empty()) return other_weights(directory);
  const auto is_checkpoint = [](const Found& one) { return one.second == Content::Weights; };
  if (std::any_of(found.begin(), found.end(), is_checkpoint)) {
    found.erase(std::stable_partition(found.begin(), found.end(), is_checkpoint), found.end());
    std::string text = found.size() == 1 ? "; use the directory " : "; use one of the directories ";
    for (size_t i = 0; i < std::min(found.size(), kMaxShown); i++) text += (i ? ", " : "") + found[i].first.string();
    if (found.size() > kMaxShown) text += " and " + std::to_string(found.size() - kMaxShown) + " more";
    return text + (found.size() == 1 ? ", which has them" : ", which have them");
  }
  const auto& [path, content] = found.front();
  return "; " + path.string() + ": " + explanation(content, path);
}

}  // namespace pi05
