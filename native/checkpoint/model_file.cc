#include "checkpoint/model_file.h"

#include <unistd.h>

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "error.h"

namespace pi05 {
namespace {

constexpr const char* kFormat = "pi05-model/1";

// Reads members of JSON objects and collects their problems.
class MemberReader {
 public:
  std::string problems;  // one per line

  void problem(const std::string& text) { problems += "\n  " + text; }

  void integer(const std::string& key, const Json& value, int64_t least, int64_t most, int64_t& out) {
    if (!value.is_integer() || value.integer() < least || value.integer() > most)
      problem("expected an integer from " + std::to_string(least) + " to " + std::to_string(most) + " for " + key +
              ", received " + value.brief());
    else
      out = value.integer();
  }

  using Handler = std::function<void(const std::string& key, const Json& value)>;

  void object(const std::string& key, const Json& value, const std::map<std::string, Handler>& members) {
    if (!value.is(Json::Type::Object)) return problem("expected an object for " + key + ", received " + value.brief());
    for (const auto& [name, member] : value.object()) {
      const std::string path = key.empty() ? name : key + "." + name;
      const auto handler = members.find(name);
      if (handler != members.end())
        handler->second(path, member);
      else
        problem("expected no member " + path + " (allowed: " + names(members) + ")");
    }
  }

  Handler size(int64_t& out, int64_t most = 1 << 20) {
    return [this, &out, most](const std::string& key, const Json& value) { integer(key, value, 1, most, out); };
  }

  template <typename Value>
  Handler choice(std::vector<std::pair<std::string, Value>> choices, std::optional<Value>& out) {
    return [this, choices, &out](const std::string& key, const Json& value) {
      std::string allowed;
      for (const auto& [name, chosen] : choices) {
        if (value.is(Json::Type::String) && value.string() == name) out = chosen;
        allowed += (allowed.empty() ? "\"" : " or \"") + name + "\"";
      }
      if (!out) problem("expected " + allowed + " for " + key + ", received " + value.brief());
    };
  }

 private:
  static std::string names(const std::map<std::string, Handler>& members) {
    std::string text;
    for (const auto& member : members) text += (text.empty() ? "" : ", ") + member.first;
    return text;
  }
};

std::optional<Json> read_json(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return std::nullopt;
  const MappedFile file(path);
  try {
    return Json::parse({file.data(), static_cast<size_t>(file.size())});
  } catch (const JsonError& error) {
    throw Error(PI05_CHECKPOINT_TENSORS, "Expected JSON in " + path + ": " + error.what());
  }
}

void read_model_json(MemberReader& reader, const Json& json, ModelFile& model) {
  Dimensions& d = model.dims;
  const auto format = [&](const std::string& key, const Json& value) {
    if (!value.is(Json::Type::String) || value.string() != kFormat)
      reader.problem("expected \"" + std::string(kFormat) + "\" for " + key + ", received " + value.brief());
  };
  reader.object(
      "", json,
      {
          {"format", format},
          {"vision",
           [&](const std::string& key, const Json& value) {
             reader.object(key, value,
                           {{"hidden", reader.size(d.vision.hidden)},
                            {"layers", reader.size(d.vision.layers, 1000)},
                            {"mlp", reader.size(d.vision.mlp)},
                            {"heads", reader.size(d.vision.heads)},
                            {"image_size", reader.size(d.vision.image_size, 4096)},
                            {"patch", reader.size(d.vision.patch, 4096)}});
           }},
          {"prefix",
           [&](const std::string& key, const Json& value) {
             reader.object(key, value,
                           {{"width", reader.size(d.prefix.width)},
                            {"layers", reader.size(d.prefix.layers, 1000)},
                            {"mlp", reader.size(d.prefix.mlp)},
                            {"heads", reader.size(d.prefix.heads, 1024)},
                            {"kv_heads", reader.size(d.prefix.kv_heads, 1024)},
                            {"head_dim", reader.size(d.prefix.head_dim, 4096)},
                            {"vocab", reader.size(d.prefix.vocab, 1 << 24)}});
           }},
          {"expert",
           [&](const std::string& key, const Json& value) {
             reader.object(key, value,
                           {{"width", reader.size(d.expert.width)},
                            {"layers", reader.size(d.expert.layers, 1000)},
                            {"mlp", reader.size(d.expert.mlp)},
                            {"heads", reader.size(d.expert.heads, 1024)},
                            {"kv_heads", reader.size(d.expert.kv_heads, 1024)},
                            {"head_dim", reader.size(d.expert.head_dim, 4096)}});
           }},
          {"action",
           [&](const std::string& key, const Json& value) {
             reader.object(key, value,
                           {{"dim", reader.size(d.action_dim, 4096)}, {"horizon", reader.size(d.horizon, 4096)}});
           }},
          {"num_steps", reader.size(d.steps, kMaxSteps)},
          {"max_token_len", reader.size(d.max_tokens, 1 << 14)},
          {"family", reader.choice<pi05_family>({{"openpi", PI05_FAMILY_OPENPI}, {"lerobot", PI05_FAMILY_LEROBOT}},
                                                model.family)},
          {"resize", reader.choice<pi05_resize>({{"pillow", PI05_RESIZE_PILLOW}, {"lerobot", PI05_RESIZE_LEROBOT}},
                                                model.resize)},
          {"lerobot_version", reader.choice<LerobotVersion>(
                                  {{"before_0.5", LerobotVersion::Before_0_5}, {"from_0.5", LerobotVersion::From_0_5}},
                                  model.lerobot_version)},
          {"state_in_prompt",
           [&](const std::string& key, const Json& value) {
             if (value.is(Json::Type::Boolean))
               model.state_in_prompt = value.boolean();
             else
               reader.problem("expected true or false for " + key + ", received " + value.brief());
           }},
          {"rtc",
           [&](const std::string& key, const Json& value) {
             reader.object(key, value, {{"trained_max_delay", [&](const std::string& path, const Json& delay) {
                                           reader.integer(path, delay, 0, 4096, model.rtc_trained_max_delay);
                                         }}});
           }},
      });
  if (json.is(Json::Type::Object) && !json.find("format"))
    reader.problem("expected \"" + std::string(kFormat) + "\" for format, received nothing");
}

// LeRobot's config.json. Its other members are ignored.
void read_lerobot(MemberReader& reader, const Json& json, ModelFile& model) {
  const auto read_member = [&](const char* key, int64_t least, int64_t most, int64_t& out) {
    if (const Json* value = json.find(key)) reader.integer(key, *value, least, most, out);
  };
  read_member("chunk_size", 1, 4096, model.dims.horizon);
  read_member("max_action_dim", 1, 4096, model.dims.action_dim);
  read_member("max_state_dim", 1, 4096, model.max_state_dim);
  read_member("num_inference_steps", 1, kMaxSteps, model.dims.steps);
  read_member("tokenizer_max_length", 1, 1 << 14, model.dims.max_tokens);
  read_member("rtc_training_max_delay", 0, 4096, model.rtc_trained_max_delay);
}

// Whether a file of LeRobot's processors has one of the steps that came with 0.5.1.
bool has_relative_actions(const std::string& path) {
  std::optional<Json> processor;
  try {
    processor = read_json(path);
  } catch (const Error&) {
    return false;  // a damaged file is reported where the statistics are read
  }
  const Json* steps = processor ? processor->find("steps") : nullptr;
  if (!steps || !steps->is(Json::Type::Array)) return false;
  for (const Json& step : steps->array()) {
    const Json* name = step.find("registry_name");
    if (!name || !name->is(Json::Type::String)) continue;
    if (name->string() == "relative_actions_processor" || name->string() == "absolute_actions_processor") return true;
  }
  return false;
}

// Whether the files have what LeRobot writes since 0.5.1. A checkpoint of 0.5.0 has none of it.
bool is_from_lerobot_0_5(const std::string& directory, const std::optional<Json>& config) {
  return (config && config->find("use_relative_actions")) ||
         has_relative_actions(directory + "/policy_preprocessor.json") ||
         has_relative_actions(directory + "/policy_postprocessor.json");
}

// The config.json of openpi's converter.
void read_openpi(MemberReader& reader, const Json& json, ModelFile& model) {
  if (const Json* value = json.find("action_horizon"))
    reader.integer("action_horizon", *value, 1, 4096, model.dims.horizon);
  if (const Json* value = json.find("action_dim")) reader.integer("action_dim", *value, 1, 4096, model.dims.action_dim);
}

void check_sizes(MemberReader& reader, const ModelFile& model) {
  const Dimensions& d = model.dims;
  const auto expect = [&](bool holds, const std::string& what) {
    if (!holds) reader.problem("expected " + what);
  };
  const auto received_both = [](int64_t a, int64_t b) {
    return ", received " + std::to_string(a) + " and " + std::to_string(b);
  };
  expect(d.vision.hidden % d.vision.heads == 0,
         "vision.hidden to be a multiple of vision.heads" + received_both(d.vision.hidden, d.vision.heads));
  expect(d.vision.image_size % d.vision.patch == 0,
         "vision.image_size to be a multiple of vision.patch" + received_both(d.vision.image_size, d.vision.patch));
  expect(d.prefix.heads % d.prefix.kv_heads == 0,
         "prefix.heads to be a multiple of prefix.kv_heads" + received_both(d.prefix.heads, d.prefix.kv_heads));
  expect(d.expert.heads % d.expert.kv_heads == 0,
         "expert.heads to be a multiple of expert.kv_heads" + received_both(d.expert.heads, d.expert.kv_heads));
  expect(d.prefix.head_dim % 2 == 0, "an even prefix.head_dim, received " + std::to_string(d.prefix.head_dim));
  expect(d.expert.width % 2 == 0, "an even expert.width, received " + std::to_string(d.expert.width));
  expect(d.expert.layers == d.prefix.layers,
         "equal expert.layers and prefix.layers" + received_both(d.expert.layers, d.prefix.layers));
  expect(d.expert.kv_heads == d.prefix.kv_heads,
         "equal expert.kv_heads and prefix.kv_heads" + received_both(d.expert.kv_heads, d.prefix.kv_heads));
  expect(d.expert.head_dim == d.prefix.head_dim,
         "equal expert.head_dim and prefix.head_dim" + received_both(d.expert.head_dim, d.prefix.head_dim));
  expect(d.horizon == 0 || model.rtc_trained_max_delay <= d.horizon,
         "rtc.trained_max_delay of at most the horizon" + received_both(model.rtc_trained_max_delay, d.horizon));
}

}  // namespace

ModelFile read_model_file(const std::string& directory) {
  ModelFile model;
  model.dims.horizon = 0;
  std::string path = directory + "/config.json";
  MemberReader reader;
  const auto throw_problems = [&] {
    if (!reader.problems.empty())
      throw Error(PI05_CHECKPOINT_TENSORS,
                  "Expected a Pi0.5 model in " + path + ", received problems:" + reader.problems);
  };
  const std::optional<Json> config = read_json(path);
  if (config) {
    const Json* type = config->find("type");
    if (type && type->is(Json::Type::String)) model.config_type = type->string();
    model.is_lerobot_config = model.config_type == "pi05";
    if (model.is_lerobot_config)
      read_lerobot(reader, *config, model);
    else if (!type)
      read_openpi(reader, *config, model);
    throw_problems();
  }
  if (const std::optional<Json> model_json = read_json(directory + "/pi05_model.json")) {
    path = directory + "/pi05_model.json";
    model.has_model_file = true;
    read_model_json(reader, *model_json, model);
  }
  if (reader.problems.empty()) check_sizes(reader, model);
  throw_problems();
  if (!model.lerobot_version && is_from_lerobot_0_5(directory, config))
    model.lerobot_version = LerobotVersion::From_0_5;
  return model;
}

std::string model_file_text(const Dimensions& d) {
  const auto object = [](const std::vector<std::pair<const char*, int64_t>>& members) {
    std::string text;
    for (const auto& [key, value] : members)
      text += (text.empty() ? "{ \"" : ", \"") + std::string(key) + "\": " + std::to_string(value);
    return text + " }";
  };
  return std::string("{\n  \"format\": \"") + kFormat + "\",\n  \"vision\": " +
         object({{"hidden", d.vision.hidden},
                 {"layers", d.vision.layers},
                 {"mlp", d.vision.mlp},
                 {"heads", d.vision.heads},
                 {"image_size", d.vision.image_size},
                 {"patch", d.vision.patch}}) +
         ",\n  \"prefix\": " +
         object({{"width", d.prefix.width},
                 {"layers", d.prefix.layers},
                 {"mlp", d.prefix.mlp},
                 {"heads", d.prefix.heads},
                 {"kv_heads", d.prefix.kv_heads},
                 {"head_dim", d.prefix.head_dim},
                 {"vocab", d.prefix.vocab}}) +
         ",\n  \"expert\": " +
         object({{"width", d.expert.width},
                 {"layers", d.expert.layers},
                 {"mlp", d.expert.mlp},
                 {"heads", d.expert.heads},
                 {"kv_heads", d.expert.kv_heads},
                 {"head_dim", d.expert.head_dim}}) +
         ",\n  \"action\": " + object({{"dim", d.action_dim}, {"horizon", d.horizon}}) +
         ",\n  \"num_steps\": " + std::to_string(d.steps) + ",\n  \"max_token_len\": " + std::to_string(d.max_tokens) +
         "\n}\n";
}

}  // namespace pi05
