#include "checkpoint/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "checkpoint/directory.h"
#include "checkpoint/json.h"
#include "checkpoint/model_file.h"
#include "checkpoint/other_model.h"
#include "checkpoint/tensor_spec.h"
#include "error.h"

namespace pi05 {
namespace {

constexpr const char* kLeRobotPrefix = "model.";

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

// The openpi name of a stored tensor: without LeRobot's prefix, and with the module level "vision_model." that newer
// versions of transformers omit.
std::string openpi_name(std::string name) {
  if (starts_with(name, kLeRobotPrefix)) name.erase(0, std::strlen(kLeRobotPrefix));
  const std::string tower = "vision_tower.", level = "vision_model.";
  const size_t found = name.find(tower);
  if (found == std::string::npos) return name;
  const size_t after_tower = found + tower.size();
  if (name.compare(after_tower, level.size(), level) != 0) name.insert(after_tower, level);
  return name;
}

void check_directory(const std::string& directory) {
  struct stat status{};
  const bool found = stat(directory.c_str(), &status) == 0;
  if (!found || !S_ISDIR(status.st_mode))
    throw Error(PI05_CHECKPOINT_MISSING,
                "Expected a checkpoint directory, received " + directory +
                    (found ? ": not a directory, but a file in it" : std::string(": ") + std::strerror(errno)));
}

std::vector<std::string> weight_files(const std::string& directory) {
  const std::string single = directory + "/model.safetensors", index = single + ".index.json";
  if (access(single.c_str(), F_OK) == 0) return {single};
  if (access(index.c_str(), F_OK) != 0)
    throw Error(PI05_CHECKPOINT_MISSING, "Expected model.safetensors or model.safetensors.index.json in " + directory +
                                             ", found neither" + missing_weights_explanation(directory));

  const MappedFile file(index);
  std::set<std::string> names;
  try {
    const Json json = Json::parse({file.data(), static_cast<size_t>(file.size())});
    const Json* weight_map = json.find("weight_map");
    if (!weight_map || !weight_map->is(Json::Type::Object)) throw JsonError("expected an object weight_map");
    for (const auto& [tensor, shard] : weight_map->object()) {
      if (!shard.is(Json::Type::String) || shard.string().find('/') != std::string::npos)
        throw JsonError("expected a file name for " + tensor + ", received " + shard.brief());
      names.insert(shard.string());
    }
  } catch (const JsonError& error) {
    throw Error(PI05_CHECKPOINT_TENSORS, "Expected a shard index in " + index + ": " + error.what());
  }
  std::vector<std::string> paths;
  std::string missing;
  for (const std::string& name : names) {
    paths.push_back(directory + "/" + name);
    if (access(paths.back().c_str(), F_OK) != 0) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (!missing.empty())
    throw Error(PI05_CHECKPOINT_MISSING, "Expected the " + std::to_string(paths.size()) + " shards that " + index +
                                             " names, missing: " + missing);
  return paths;
}

// The weights have the same shapes for every horizon, so it has to be stated.
std::string unknown_horizon(const std::string& directory) {
  return "Expected the action horizon (steps per chunk) that the checkpoint was trained with, received nothing in " +
         directory +
         ": state it in its pi05_model.json, for example {\"format\": \"pi05-model/1\", \"action\": {\"horizon\": 15}} "
         "for openpi's pi05_droid";
}

std::string unknown_lerobot(const std::string& directory, int64_t max_state_dim) {
  return "Expected the version of LeRobot that the checkpoint was trained with, received nothing that tells it in " +
         directory + ": up to 0.4.4 the state in the prompt may have been padded with zeros to " +
         std::to_string(max_state_dim) +
         " numbers and borders of images were -3, since 0.5.0 neither. State it in pi05_model.json as "
         "\"lerobot_version\": "
         "\"before_0.5\" (padded) or \"from_0.5\" (not padded), next to \"format\": \"pi05-model/1\"";
}

// Identifies the files and their versions: device, inode, size, modification time.
std::string source_of(const std::vector<std::string>& paths) {
  std::string source;
  for (const std::string& path : paths) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) return "";
    for (const auto value : {static_cast<int64_t>(status.st_dev), static_cast<int64_t>(status.st_ino),
                             static_cast<int64_t>(status.st_size), static_cast<int64_t>(status.st_mtim.tv_sec),
                             static_cast<int64_t>(status.st_mtim.tv_nsec)})
      source += std::to_string(value) + " ";
  }
  return source;
}

bool read_dtype(const std::string& name, DType& dtype) {
  for (const DType known : {DType::F32, DType::BF16, DType::F16})
    if (name == name_of(known)) {
      dtype = known;
      return true;
    }
  return false;
}

// Runs a step and adds the error it throws to `problems`.
template <typename Step>
void collect(std::vector<Problem>& problems, Step step) {
  try {
    step();
  } catch (const Error& error) {
    problems.push_back({error.status(), error.what()});
  }
}

// Stored tensors by openpi name.
using TensorIndex = std::map<std::string, const StoredTensor*>;

TensorIndex index_tensors(const std::vector<Safetensors>& files, std::vector<std::string>& problems) {
  TensorIndex index;
  for (const Safetensors& file : files)
    for (const StoredTensor& tensor : file.tensors) {
      const auto [entry, added] = index.emplace(openpi_name(tensor.name), &tensor);
      if (!added) problems.push_back(tensor.name + ": the same tensor as " + entry->second->name);
    }
  return index;
}

// kLmHead may be stored as kEmbedTokens, which has precedence.
const StoredTensor* find_tensor(const TensorIndex& index, const TensorSpec& spec) {
  auto found = spec.name == kLmHead ? index.find(kEmbedTokens) : index.end();
  if (found == index.end()) found = index.find(spec.name);
  return found == index.end() ? nullptr : found->second;
}

bool has_lerobot_names(const std::vector<Safetensors>& files) {
  for (const Safetensors& file : files)
    for (const StoredTensor& tensor : file.tensors)
      if (starts_with(tensor.name, kLeRobotPrefix)) return true;
  return false;
}

void detect_family(Checkpoint& checkpoint, const ModelFile& model, bool lerobot_names) {
  checkpoint.family = lerobot_names || model.is_lerobot_config ? PI05_FAMILY_LEROBOT : PI05_FAMILY_OPENPI;
  checkpoint.family_reason = lerobot_names             ? "tensor names begin with \"model.\""
                             : model.is_lerobot_config ? "config.json has type \"pi05\""
                                                       : "tensor names without \"model.\" and no LeRobot config.json";
  if (model.family) {
    checkpoint.family = *model.family;
    checkpoint.family_reason = "set in pi05_model.json";
  }
  const bool lerobot = checkpoint.family == PI05_FAMILY_LEROBOT;
  checkpoint.resize = model.resize.value_or(lerobot ? PI05_RESIZE_LEROBOT : PI05_RESIZE_PILLOW);
  if (!lerobot || model.lerobot_version != LerobotVersion::Before_0_5) return;
  if (checkpoint.resize == PI05_RESIZE_LEROBOT) checkpoint.resize = PI05_RESIZE_LEROBOT_BEFORE_0_5;
  checkpoint.padded_state = model.max_state_dim;
}

// Checks a stored tensor against its specification, and sets the tensor of Weights if inference uses it.
void bind_tensor(Checkpoint& checkpoint, const TensorSpec& spec, const StoredTensor& stored, bool load,
                 std::vector<std::string>& problems) {
  const int64_t values = stored.bytes / (stored.dtype == "F32" ? 4 : 2);
  checkpoint.parameters += values;
  DType dtype = DType::F32;
  if (spec.name == kExpertLmHead) return;
  if (!read_dtype(stored.dtype, dtype))
    problems.push_back(stored.name + ": expected F32, BF16 or F16, received " + stored.dtype);
  if (stored.shape != spec.shape)
    problems.push_back(stored.name + ": expected shape " + to_string(spec.shape) + ", received " +
                       to_string(stored.shape));
  if (!spec.tensor) return;
  checkpoint.used_parameters += values;
  if (spec.name != kLmHead) checkpoint.read_bytes += stored.bytes;
  *spec.tensor = {stored.data, dtype, spec.shape.size() == 1 ? 1 : spec.shape[0],
                  spec.shape.size() == 1 ? spec.shape[0] : 1};
  for (size_t i = 1; i < spec.shape.size(); i++) spec.tensor->cols *= spec.shape[i];
  if (load && problems.empty() &&
      reinterpret_cast<uintptr_t>(stored.data) % static_cast<uintptr_t>(bytes_of(dtype)) != 0) {
    checkpoint.aligned.emplace_back(new char[static_cast<size_t>(stored.bytes)]);
    std::memcpy(checkpoint.aligned.back().get(), stored.data, static_cast<size_t>(stored.bytes));
    spec.tensor->data = checkpoint.aligned.back().get();
  }
}

// `load`: unaligned tensors are copied, so that the weights can be used.
Checkpoint read_checkpoint(const std::string& directory, bool load, std::vector<Problem>& all_problems) {
  check_directory(directory);
  Checkpoint checkpoint;
  std::vector<std::string> paths;
  ModelFile model;
  model.dims.horizon = 0;
  collect(all_problems, [&] { paths = weight_files(directory); });
  collect(all_problems, [&] { model = read_model_file(directory); });
  for (const std::string& path : paths)
    collect(all_problems, [&] {
      std::string problems;
      checkpoint.files.push_back(open_safetensors(path, problems));
      if (!problems.empty()) all_problems.push_back({PI05_CHECKPOINT_TENSORS, problems});
    });
  const std::string other = other_model(model.config_type, checkpoint.files);
  if (!other.empty())
    all_problems.push_back(
        {PI05_CHECKPOINT_TENSORS, "Expected a Pi0.5 checkpoint in " + directory + ", received " + other});
  const bool intact = all_problems.empty();
  checkpoint.dims = model.dims;
  checkpoint.state_in_prompt = model.state_in_prompt;
  checkpoint.rtc_trained_max_delay = model.rtc_trained_max_delay;
  for (const Safetensors& file : checkpoint.files)
    for (const StoredTensor& tensor : file.tensors) checkpoint.weight_bytes += tensor.bytes;
  checkpoint.weights.source = source_of(paths);
  const bool lerobot_names = has_lerobot_names(checkpoint.files);
  detect_family(checkpoint, model, lerobot_names);

  std::vector<std::string> problems;
  const TensorIndex index = index_tensors(checkpoint.files, problems);
  const std::vector<TensorSpec> specs = tensor_specs(checkpoint.dims, checkpoint.weights);
  const std::string prefix = lerobot_names ? kLeRobotPrefix : "";
  std::set<std::string> known = {kEmbedTokens};
  size_t found_count = 0;
  for (const TensorSpec& spec : specs) {
    known.insert(spec.name);
    if (const StoredTensor* tensor = find_tensor(index, spec)) {
      found_count++;
      bind_tensor(checkpoint, spec, *tensor, load && intact, problems);
    } else if (spec.name != kExpertLmHead) {
      problems.push_back(prefix + spec.name + ": missing" +
                         (spec.name == kLmHead ? ", and so is " + prefix + kEmbedTokens : ""));
    }
  }
  for (const auto& [name, tensor] : index)
    if (!known.count(name))
      problems.push_back(tensor->name + ": unknown (" + tensor->dtype + " " + to_string(tensor->shape) + ")");

  // Tensors missing from a damaged file, or from another model, are not reported in addition to that.
  if (intact && !problems.empty()) {
    std::string text = "Expected the " + std::to_string(specs.size()) + " tensors of a Pi0.5 checkpoint in " +
                       directory +
                       (model.has_model_file ? "" : " (with the standard sizes, because it has no pi05_model.json)") +
                       ", received " + std::to_string(found_count) + " of them and " + std::to_string(problems.size()) +
                       (problems.size() == 1 ? " problem:" : " problems:");
    for (const std::string& problem : problems) text += "\n  " + problem;
    all_problems.push_back({PI05_CHECKPOINT_TENSORS, text});
  }
  if (intact && model.dims.horizon == 0)
    all_problems.push_back({PI05_CHECKPOINT_AMBIGUOUS, unknown_horizon(directory)});
  if (intact && checkpoint.family == PI05_FAMILY_LEROBOT && !model.lerobot_version)
    all_problems.push_back({PI05_CHECKPOINT_AMBIGUOUS, unknown_lerobot(directory, model.max_state_dim)});
  return checkpoint;
}

}  // namespace

Checkpoint open_checkpoint(const std::string& directory) {
  std::vector<Problem> problems;
  Checkpoint checkpoint = read_checkpoint(directory, true, problems);
  if (problems.empty()) return checkpoint;
  std::string text;
  for (const Problem& problem : problems) text += (text.empty() ? "" : "\n") + problem.text;
  throw Error(problems.front().status, text);
}

Checkpoint inspect_checkpoint(const std::string& directory, std::vector<Problem>& problems) {
  return read_checkpoint(directory, false, problems);
}

}  // namespace pi05
