#include "checkpoint/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "checkpoint/json.h"
#include "checkpoint/model_file.h"
#include "checkpoint/table.h"
#include "error.h"

namespace pi05 {
namespace {

constexpr const char* kLeRobotPrefix = "model.";

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

// openpi's name of a stored tensor: without LeRobot's prefix, with the module level that newer transformers drop.
std::string openpi_name(std::string name) {
  if (starts_with(name, kLeRobotPrefix)) name.erase(0, std::strlen(kLeRobotPrefix));
  const std::string tower = "vision_tower.", level = "vision_model.";
  const size_t at = name.find(tower);
  if (at != std::string::npos && name.compare(at + tower.size(), level.size(), level) != 0)
    name.insert(at + tower.size(), level);
  return name;
}

void check_directory(const std::string& directory) {
  struct stat status{};
  const bool found = stat(directory.c_str(), &status) == 0;
  if (!found || !S_ISDIR(status.st_mode))
    throw Error(PI05_CHECKPOINT_MISSING, "Expected a checkpoint directory, received " + directory +
                                             (found ? ": not a directory" : std::string(": ") + std::strerror(errno)));
}

std::vector<std::string> weight_files(const std::string& directory) {
  const std::string single = directory + "/model.safetensors", index = single + ".index.json";
  if (access(single.c_str(), F_OK) == 0) return {single};
  if (access(index.c_str(), F_OK) != 0)
    throw Error(PI05_CHECKPOINT_MISSING,
                "Expected model.safetensors or model.safetensors.index.json in " + directory + ", found neither");

  const MappedFile file(index);
  std::set<std::string> names;
  try {
    const Json json = Json::parse({file.data(), static_cast<size_t>(file.size())});
    const Json* map = json.find("weight_map");
    if (!map || !map->is(Json::Type::Object)) throw JsonError("expected an object weight_map");
    for (const auto& [tensor, shard] : map->object()) {
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

// Which files these are, and in which state.
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

// What a step throws becomes a fault.
template <typename Step>
void note(std::vector<Fault>& faults, Step step) {
  try {
    step();
  } catch (const Error& error) {
    faults.push_back({error.status(), error.what()});
  }
}

// `load`: tensors at odd addresses are copied, so that the weights can be used.
Checkpoint read_checkpoint(const std::string& directory, bool load, std::vector<Fault>& all_faults) {
  check_directory(directory);
  Checkpoint checkpoint;
  std::vector<std::string> paths;
  ModelFile model;
  note(all_faults, [&] { paths = weight_files(directory); });
  note(all_faults, [&] { model = read_model_file(directory); });
  for (const std::string& path : paths)
    note(all_faults, [&] {
      std::string faults;
      checkpoint.files.push_back(open_safetensors(path, faults));
      if (!faults.empty()) all_faults.push_back({PI05_CHECKPOINT_TENSORS, faults});
    });
  // Where files are damaged, that is what is wrong, not every tensor that is not found in them.
  const bool whole = all_faults.empty();
  checkpoint.dims = model.dims;
  checkpoint.state_in_prompt = model.state_in_prompt;
  checkpoint.rtc_trained_max_delay = model.rtc_trained_max_delay;

  std::vector<std::string> faults;
  std::map<std::string, const StoredTensor*> stored;
  int64_t prefixed = 0;
  for (const Safetensors& file : checkpoint.files)
    for (const StoredTensor& tensor : file.tensors) {
      prefixed += starts_with(tensor.name, kLeRobotPrefix);
      checkpoint.weight_bytes += tensor.bytes;
      const auto [place, added] = stored.emplace(openpi_name(tensor.name), &tensor);
      if (!added) faults.push_back(tensor.name + ": the same tensor as " + place->second->name);
    }

  checkpoint.family = prefixed > 0 || model.is_lerobot_config ? PI05_FAMILY_LEROBOT : PI05_FAMILY_OPENPI;
  checkpoint.family_reason = prefixed > 0              ? "tensor names begin with \"model.\""
                             : model.is_lerobot_config ? "config.json has type \"pi05\""
                                                       : "tensor names without \"model.\" and no LeRobot config.json";
  if (model.family) {
    checkpoint.family = *model.family;
    checkpoint.family_reason = "pi05_model.json says so";
  }
  checkpoint.resize =
      model.resize.value_or(checkpoint.family == PI05_FAMILY_LEROBOT ? PI05_RESIZE_LEROBOT : PI05_RESIZE_PILLOW);

  const std::vector<TensorSpec> table = tensor_table(checkpoint.dims, checkpoint.weights);
  const std::string prefix = prefixed > 0 ? kLeRobotPrefix : "";
  const auto stored_as = [&](const TensorSpec& spec) {
    const bool embedding = spec.name == kLmHead;
    auto found = embedding ? stored.find(kEmbedTokens) : stored.end();
    if (found == stored.end()) found = stored.find(spec.name);
    return found;
  };
  size_t found_count = 0;
  for (const TensorSpec& spec : table) {
    const auto found = stored_as(spec);
    if (found == stored.end()) {
      if (spec.name != kExpertLmHead)
        faults.push_back(prefix + spec.name + ": missing" +
                         (spec.name == kLmHead ? ", and so is " + prefix + kEmbedTokens : ""));
      continue;
    }
    const StoredTensor& tensor = *found->second;
    found_count++;
    const int64_t values = tensor.bytes / (tensor.dtype == "F32" ? 4 : 2);
    checkpoint.parameters += values;
    DType dtype = DType::F32;
    if (spec.name == kExpertLmHead) continue;
    if (!read_dtype(tensor.dtype, dtype))
      faults.push_back(tensor.name + ": expected F32, BF16 or F16, received " + tensor.dtype);
    if (tensor.shape != spec.shape)
      faults.push_back(tensor.name + ": expected shape " + to_string(spec.shape) + ", received " +
                       to_string(tensor.shape));
    if (!spec.into) continue;
    checkpoint.used_parameters += values;
    if (spec.name != kLmHead) checkpoint.read_bytes += tensor.bytes;
    *spec.into = {tensor.data, dtype, spec.shape.size() == 1 ? 1 : spec.shape[0],
                  spec.shape.size() == 1 ? spec.shape[0] : 1};
    for (size_t i = 1; i < spec.shape.size(); i++) spec.into->cols *= spec.shape[i];
    if (load && whole && faults.empty() &&
        reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(bytes_of(dtype)) != 0) {
      checkpoint.aligned.emplace_back(new char[static_cast<size_t>(tensor.bytes)]);
      std::memcpy(checkpoint.aligned.back().get(), tensor.data, static_cast<size_t>(tensor.bytes));
      spec.into->data = checkpoint.aligned.back().get();
    }
  }

  std::set<std::string> known = {kEmbedTokens};
  for (const TensorSpec& spec : table) known.insert(spec.name);
  for (const auto& [name, tensor] : stored)
    if (!known.count(name))
      faults.push_back(tensor->name + ": unknown (" + tensor->dtype + " " + to_string(tensor->shape) + ")");

  if (whole && !faults.empty()) {
    std::string text = "Expected the " + std::to_string(table.size()) + " tensors of a Pi0.5 checkpoint in " +
                       directory + (model.is_own ? "" : " (of the standard sizes: it has no pi05_model.json)") +
                       ", received " + std::to_string(found_count) + " of them and " + std::to_string(faults.size()) +
                       (faults.size() == 1 ? " fault:" : " faults:");
    for (const std::string& fault : faults) text += "\n  " + fault;
    all_faults.push_back({PI05_CHECKPOINT_TENSORS, text});
  }
  checkpoint.weights.source = source_of(paths);
  return checkpoint;
}

}  // namespace

Checkpoint open_checkpoint(const std::string& directory) {
  std::vector<Fault> faults;
  Checkpoint checkpoint = read_checkpoint(directory, true, faults);
  if (faults.empty()) return checkpoint;
  std::string text;
  for (const Fault& fault : faults) text += (text.empty() ? "" : "\n") + fault.text;
  throw Error(faults.front().status, text);
}

Checkpoint survey_checkpoint(const std::string& directory, std::vector<Fault>& faults) {
  return read_checkpoint(directory, false, faults);
}

}  // namespace pi05
