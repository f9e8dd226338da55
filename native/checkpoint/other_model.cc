#include "checkpoint/other_model.h"

namespace pi05 {
namespace {

// The first tensor whose name contains one of the parts; empty where there is none.
std::string tensor_with(const std::vector<Safetensors>& files, const std::vector<const char*>& parts) {
  for (const Safetensors& file : files)
    for (const StoredTensor& tensor : file.tensors)
      for (const char* part : parts)
        if (tensor.name.find(part) != std::string::npos) return tensor.name;
  return "";
}

}  // namespace

std::string other_model(const std::string& config_type, const std::vector<Safetensors>& files) {
  const std::string adapter = tensor_with(files, {"lora_A", "lora_B", "lora_embedding_A", ".base_layer."});
  if (!adapter.empty())
    return "weights with a LoRA adapter that is not merged (tensor " + adapter +
           "): merge it into its base model first (merge_and_unload of PEFT)";

  std::string reasons;
  const auto add = [&](const std::string& reason) { reasons += (reasons.empty() ? "" : " and ") + reason; };
  const bool other_type = !config_type.empty() && config_type != "pi05";
  if (other_type) add("config.json has type \"" + config_type + "\"");
  // Pi0 has a state token, and its time goes in together with the actions.
  const std::string pi0 = tensor_with(files, {"state_proj.", "action_time_mlp_in.", "action_time_mlp_out."});
  if (!pi0.empty()) add("there is a tensor " + pi0);
  if (reasons.empty()) return "";
  const bool fast = config_type == "pi0_fast" || config_type == "pi0fast";
  const std::string name = fast                                   ? "a Pi0-FAST checkpoint"
                           : config_type == "pi0" || !pi0.empty() ? "a Pi0 checkpoint"
                                                                  : "a checkpoint of another policy";
  return name + "; this runs Pi0.5 (" + reasons + ")";
}

}  // namespace pi05
