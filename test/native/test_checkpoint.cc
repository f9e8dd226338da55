// Reading checkpoints: stored types, names, shards and problems.
#include "checkpoint/checkpoint.h"

#include "check.h"
#include "checkpoint/model_file.h"
#include "checkpoint/tensor_spec.h"
#include "error.h"
#include "fixtures.h"
#include "scratch.h"

using fixtures::Case;
using fixtures::Session;
using scratch::Directory;
using scratch::Entry;
using scratch::Outcome;

namespace {

const std::string kVision = "paligemma_with_expert.paligemma.model.vision_tower.vision_model.";
const std::string kLmHead = pi05::kLmHead, kEmbedTokens = pi05::kEmbedTokens;

std::vector<float> actions_of(const std::string& directory) {
  const Session session(directory);
  Case inputs("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  return fixtures::infer(session, inputs.request());
}

void check_outcome(const Outcome& outcome, pi05_status status, const std::vector<std::string>& parts) {
  if (outcome.status != status) std::printf("  %s: %s\n", pi05_status_name(outcome.status), outcome.message.c_str());
  CHECK(outcome.status == status);
  for (const std::string& part : parts) {
    const bool found = outcome.message.find(part) != std::string::npos;
    if (!found) std::printf("  no \"%s\" in: %s\n", part.c_str(), outcome.message.c_str());
    CHECK(found);
  }
}

void check_header(const std::string& header, const std::string& data, const std::vector<std::string>& parts) {
  const Directory directory;
  directory.write("model.safetensors", scratch::framed(header, data));
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_TENSORS, parts);
}

void check_model_file(const std::string& text, const std::vector<std::string>& parts) {
  const Directory directory;
  scratch::write_model(directory, [](std::vector<Entry>&) {});
  directory.write("pi05_model.json", text);
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_TENSORS, parts);
}

uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t half) {
  const uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// fp16 for weights: no infinities, and subnormals become 0.
uint16_t to_f16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint32_t sign = bits >> 16 & 0x8000;
  if (std::abs(value) < 0x1p-14f) return static_cast<uint16_t>(sign);
  return static_cast<uint16_t>(sign | (((bits & 0x7fffffff) - 0x38000000 + 0x1000) >> 13));
}

float from_f16(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const float value = exponent ? std::ldexp(1.0f + static_cast<float>(half & 1023) / 1024.0f, exponent - 15) : 0.0f;
  return half & 0x8000 ? -value : value;
}

// The golden model rounded to 16-bit values, stored as those or as fp32 of the same values. The prefix is
// bit-identical; the skinny GEMMs of the flow sum in another order for another type.
template <typename Narrow, typename Widen>
void check_16_bit(const char* dtype, Narrow narrow, Widen widen, size_t padding) {
  const Directory narrow_directory, wide_directory;
  const auto convert = [&](bool keep_narrow) {
    return [&, keep_narrow](std::vector<Entry>& entries) {
      for (Entry& e : entries) {
        std::string bytes;
        for (size_t i = 0; i < e.bytes.size(); i += 4) {
          float value;
          std::memcpy(&value, &e.bytes[i], 4);
          const uint16_t half = narrow(value);
          const float wide = widen(half);
          if (keep_narrow)
            bytes.append(reinterpret_cast<const char*>(&half), 2);
          else
            bytes.append(reinterpret_cast<const char*>(&wide), 4);
        }
        e.bytes = bytes;
        if (keep_narrow) e.dtype = dtype;
      }
    };
  };
  scratch::write_model(narrow_directory, convert(true), "tiny-openpi", padding);
  scratch::write_model(wide_directory, convert(false));
  Case inputs("tiny-openpi/case_two_cameras_short_prompt.safetensors");
  const Session narrow_session(narrow_directory.path), wide_session(wide_directory.path);
  fixtures::Tensors actual = fixtures::infer_traced(narrow_session, inputs.request());
  fixtures::Tensors expected = fixtures::infer_traced(wide_session, inputs.request());
  for (const char* name : {"siglip_0", "siglip_1", "prefix_k_0", "prefix_v_0", "prefix_k_last", "prefix_v_last"})
    CHECK(actual.at(name) == expected.at(name));
  CHECK_LE(fixtures::relative_error(actual.at("actions"), expected.at("actions")), 2e-6);
  CHECK_LE(fixtures::relative_error(actual.at("actions"), inputs.golden.floats("actions")), 1e-2);
}

}  // namespace

TEST(weights_stored_as_bf16_compute_what_their_fp32_copies_do) { check_16_bit("BF16", to_bf16, from_bf16, 0); }
TEST(weights_stored_as_f16_compute_what_their_fp32_copies_do) { check_16_bit("F16", to_f16, from_f16, 0); }
TEST(unaligned_weights_load) { check_16_bit("BF16", to_bf16, from_bf16, 1); }

TEST(detects_the_family_and_gives_the_reason) {
  const Session openpi(fixtures::path("tiny-openpi")), lerobot(fixtures::path("tiny-lerobot"));
  CHECK(openpi.info.family == PI05_FAMILY_OPENPI && openpi.info.resize == PI05_RESIZE_PILLOW);
  CHECK(std::string(openpi.info.family_reason) == "tensor names without \"model.\" and no LeRobot config.json");
  CHECK(lerobot.info.family == PI05_FAMILY_LEROBOT && lerobot.info.resize == PI05_RESIZE_LEROBOT);
  CHECK(std::string(lerobot.info.family_reason) == "tensor names begin with \"model.\"");

  const Directory by_config, by_member;
  for (const Directory* directory : {&by_config, &by_member}) {
    scratch::write_model(*directory, [](std::vector<Entry>&) {});
    directory->write("config.json", scratch::text_of(fixtures::path("tiny-lerobot/config.json")));
  }
  std::string text = scratch::text_of(fixtures::path("tiny-openpi/pi05_model.json"));
  text.insert(1,
              R"("family": "openpi", "resize": "lerobot", "state_in_prompt": false, "rtc": {"trained_max_delay": 4},)");
  by_member.write("pi05_model.json", text);
  const Session config(by_config.path), member(by_member.path);
  CHECK(config.info.family == PI05_FAMILY_LEROBOT);
  CHECK(std::string(config.info.family_reason) == "config.json has type \"pi05\"");
  CHECK(member.info.family == PI05_FAMILY_OPENPI && member.info.resize == PI05_RESIZE_LEROBOT);
  CHECK(!member.info.state_in_prompt && member.info.rtc_trained_max_delay == 4);
  CHECK(std::string(member.info.family_reason) == "set in pi05_model.json");
}

TEST(reports_the_model_s_sizes) {
  const Session session(fixtures::path("tiny-openpi"));
  const pi05_info& info = session.info;
  CHECK(info.slots == 3 && info.action_dim == 32 && info.horizon == 10 && info.flow_steps == 10);
  CHECK(info.max_tokens == 48 && info.vocab == 512 && info.state_in_prompt && info.rtc_trained_max_delay == 0);
  CHECK(info.weight_bytes == 4 * info.parameters && info.parameters > 1'000'000);
}

TEST(a_sharded_checkpoint_computes_what_a_single_file_does) {
  const Directory directory;
  std::vector<Entry> entries = scratch::load(fixtures::path("tiny-openpi/model.safetensors"));
  std::string map;
  for (size_t i = 0; i < entries.size(); i++)
    map += (i ? ",\"" : "\"") + entries[i].name + "\":\"" + (i < 50 ? "one" : "two") + ".safetensors\"";
  directory.write("one.safetensors", scratch::safetensors({entries.begin(), entries.begin() + 50}));
  directory.write("model.safetensors.index.json", "{\"metadata\":{},\"weight_map\":{" + map + "}}");
  directory.write("pi05_model.json", scratch::text_of(fixtures::path("tiny-openpi/pi05_model.json")));
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_MISSING, {"missing: two.safetensors"});
  directory.write("two.safetensors", scratch::safetensors({entries.begin() + 50, entries.end()}));
  CHECK(actions_of(directory.path) == actions_of(fixtures::path("tiny-openpi")));
  directory.write("model.safetensors.index.json", R"({"weight_map":{"a":"../one.safetensors"}})");
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_TENSORS, {"expected a file name for a"});
}

TEST(embed_tokens_has_precedence_over_lm_head) {
  const Directory directory, only_embed;
  scratch::write_model(directory, [](std::vector<Entry>& entries) {
    Entry copy = scratch::entry(entries, kLmHead);
    copy.name = kEmbedTokens;
    entries.push_back(copy);
    std::string& lm_head = scratch::entry(entries, kLmHead).bytes;
    std::fill(lm_head.begin(), lm_head.end(), '\0');
  });
  scratch::write_model(only_embed,
                       [](std::vector<Entry>& entries) { scratch::entry(entries, kLmHead).name = kEmbedTokens; });
  const std::vector<float> expected = actions_of(fixtures::path("tiny-openpi"));
  CHECK(actions_of(directory.path) == expected);
  CHECK(actions_of(only_embed.path) == expected);
}

TEST(module_names_without_vision_model_load) {
  const Directory directory;
  scratch::write_model(directory, [](std::vector<Entry>& entries) {
    for (Entry& e : entries)
      if (e.name.compare(0, kVision.size(), kVision) == 0) e.name.erase(kVision.size() - 13, 13);
  });
  CHECK(actions_of(directory.path) == actions_of(fixtures::path("tiny-openpi")));
}

TEST(the_expert_s_lm_head_may_be_missing) {
  const Directory directory;
  scratch::write_model(directory, [](std::vector<Entry>& entries) {
    entries.erase(
        std::remove_if(entries.begin(), entries.end(),
                       [](const Entry& e) { return e.name.find("gemma_expert.lm_head") != std::string::npos; }),
        entries.end());
  });
  CHECK(scratch::open(directory.path).status == PI05_OK);
}

TEST(reports_every_wrong_tensor_at_once) {
  for (const std::string family : {"tiny-openpi", "tiny-lerobot"}) {
    const std::string prefix = family == "tiny-lerobot" ? "model." : "";
    const Directory directory;
    scratch::write_model(
        directory,
        [&](std::vector<Entry>& entries) {
          const auto drop = [&](const std::string& name) {
            entries.erase(entries.begin() + (&scratch::entry(entries, prefix + name) - entries.data()));
          };
          drop("time_mlp_in.bias");
          drop(kVision + "embeddings.position_embedding.weight");
          scratch::entry(entries, prefix + "action_in_proj.weight").shape = {32, 64};
          scratch::entry(entries, prefix + "action_out_proj.bias").dtype = "I32";
          entries.push_back({prefix + "surprise.weight", "F32", {2}, std::string(8, 'x')});
          entries.push_back({prefix + "paligemma_with_expert.gemma_expert.model.embed_tokens.weight",
                             "BF16",
                             {1, 2},
                             std::string(4, 'x')});
        },
        family);
    check_outcome(
        scratch::open(directory.path), PI05_CHECKPOINT_TENSORS,
        {"6 problems:", "\n  " + prefix + "time_mlp_in.bias: missing",
         "\n  " + prefix + kVision + "embeddings.position_embedding.weight: missing",
         "\n  " + prefix + "action_in_proj.weight: expected shape [64, 32], received [32, 64]",
         "\n  " + prefix + "action_out_proj.bias: expected F32, BF16 or F16, received I32",
         "\n  " + prefix + "surprise.weight: unknown (F32 [2])",
         "\n  " + prefix + "paligemma_with_expert.gemma_expert.model.embed_tokens.weight: unknown (BF16 [1, 2])"});
  }
}

TEST(reports_a_missing_embedding_under_both_names_and_a_duplicate_tensor) {
  const Directory missing, doubled;
  scratch::write_model(missing, [](std::vector<Entry>& entries) {
    entries.erase(entries.begin() + (&scratch::entry(entries, kLmHead) - entries.data()));
  });
  check_outcome(scratch::open(missing.path), PI05_CHECKPOINT_TENSORS,
                {kLmHead + ": missing, and so is " + kEmbedTokens});
  scratch::write_model(doubled, [](std::vector<Entry>& entries) {
    Entry copy = scratch::entry(entries, "time_mlp_in.bias");
    copy.name = "model.time_mlp_in.bias";
    entries.push_back(copy);
  });
  check_outcome(scratch::open(doubled.path), PI05_CHECKPOINT_TENSORS,
                {"model.time_mlp_in.bias: the same tensor as time_mlp_in.bias"});
}

TEST(without_a_model_file_every_tensor_of_non_standard_shape_is_reported) {
  const Directory directory;
  scratch::write_model(directory, [](std::vector<Entry>&) {});
  std::filesystem::remove(directory.path + "/pi05_model.json");
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_TENSORS,
                {"Expected the 812 tensors", "(with the standard sizes, because it has no pi05_model.json)",
                 "action_in_proj.weight: expected shape [1024, 32], received [64, 32]",
                 "encoder.layers.26.mlp.fc2.bias: missing"});
}

TEST(rejects_missing_files) {
  check_outcome(scratch::open("/nonexistent/pi05"), PI05_CHECKPOINT_MISSING,
                {"/nonexistent/pi05: No such file or directory"});
  const Directory directory;
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_MISSING, {"found neither"});
  directory.write("file", "");
  check_outcome(scratch::open(directory.path + "/file"), PI05_CHECKPOINT_MISSING, {"not a directory"});
  std::filesystem::create_directory(directory.path + "/model.safetensors");
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_MISSING, {"not a regular file"});
}

TEST(rejects_headers_that_contradict_the_file) {
  const std::string file = scratch::text_of(fixtures::path("tiny-openpi/model.safetensors"));
  const Directory directory;
  const auto check_bytes = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    directory.write("model.safetensors", bytes);
    check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_TENSORS, parts);
  };
  check_bytes("", {"only 0 bytes"});
  check_bytes("1234567", {"only 7 bytes"});
  check_bytes(file.substr(0, 1000), {"its header claims"});
  check_bytes(file.substr(0, file.size() - 1), {"it is truncated: " + std::to_string(file.size() - 1) + " of the " +
                                                std::to_string(file.size()) + " bytes"});
  check_bytes(file + "x", {"end of file: 1 bytes belong to no tensor"});
  check_bytes(std::string(8, '\xff') + "{}", {"its header claims 18446744073709551615 bytes"});

  check_header("{]", "", {"its header is not JSON"});
  check_header("[]", "", {"its header is an array"});
  check_header(R"({"a":{"dtype":"F32","shape":[1]}})", "", {"a: expected dtype, shape and two data_offsets"});
  check_header(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      "1234", {"\"a\" again"});
  check_header(
      R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]},)"
      R"("c":{"dtype":"F32","shape":[1],"data_offsets":[0,8]},"d":{"dtype":"F32","shape":[1],"data_offsets":[4,0]},)"
      R"("e":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]},"f":{"dtype":"F32","shape":[0.5],"data_offsets":[0,4]}})",
      "1234",
      {"a: expected a known dtype, received \"F31\"", "b: expected lengths",
       "c: expected 4 bytes for F32 [1], received 8", "d: expected two ascending data_offsets, received [4, 0]",
       "e: expected a shape that fits", "f: expected lengths ≥ 0 in shape, received 0.5"});
  check_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234",
               {"a: expected 8 bytes for F32 [2], received 4"});
  check_header(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      "12345678", {"b: its bytes overlap another tensor's"});
  check_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678",
               {"a: 4 bytes before it belong to no tensor"});
}

TEST(names_the_invalid_keys_of_a_model_file) {
  check_model_file("{", {"Expected JSON in", "pi05_model.json"});
  check_model_file("[]", {"received an array"});
  check_model_file("{}", {"\"pi05-model/1\" for format, received nothing"});
  check_model_file(
      R"({"format":"pi05-model/2","visoin":{},"vision":{"hidden":"144","depth":3},"prefix":3,"num_steps":0,)"
      R"("family":"pi0","resize":1,"state_in_prompt":1,"rtc":{"trained_max_delay":-1,"x":0}})",
      {"\"pi05-model/1\" for format, received \"pi05-model/2\"", "no member visoin", "vision.hidden, received \"144\"",
       "no member vision.depth", "an object for prefix, received 3",
       "from 1 to " + std::to_string(pi05_get_limits().max_flow_steps) + " for num_steps, received 0",
       "\"openpi\" or \"lerobot\" for family, received \"pi0\"", "\"pillow\" or \"lerobot\" for resize, received 1",
       "true or false for state_in_prompt, received 1", "rtc.trained_max_delay, received -1", "no member rtc.x"});
  check_model_file(R"({"format":"pi05-model/1","vision":{"heads":7},"expert":{"layers":3,"head_dim":32}})",
                   {"vision.hidden to be a multiple of vision.heads, received 1152 and 7",
                    "equal expert.layers and prefix.layers, received 3 and 18",
                    "equal expert.head_dim and prefix.head_dim, received 32 and 256"});
}

TEST(without_a_model_file_sizes_come_from_a_lerobot_config) {
  const Directory directory;
  directory.write("config.json", scratch::text_of(fixtures::path("tiny-lerobot/config.json")));
  const pi05::ModelFile model = pi05::read_model_file(directory.path);
  CHECK(model.is_lerobot_config && !model.family);
  CHECK(model.dims.horizon == 10 && model.dims.steps == 10 && model.dims.max_tokens == 48 &&
        model.dims.action_dim == 32);
  CHECK(model.dims.prefix.width == 2048 && model.dims.expert.layers == 18 && model.dims.vision.hidden == 1152);
  directory.write("config.json", R"({"type": "pi05", "chunk_size": "ten"})");
  try {
    pi05::read_model_file(directory.path);
    CHECK(!"rejected");
  } catch (const pi05::Error& error) {
    CHECK(std::string(error.what()).find("from 1 to 4096 for chunk_size, received \"ten\"") != std::string::npos);
  }
  directory.write("config.json", R"({"type": "act", "chunk_size": "ten"})");
  CHECK(!pi05::read_model_file(directory.path).is_lerobot_config);
}

TEST(without_a_model_file_horizon_and_action_dim_come_from_openpi_s_config) {
  const Directory directory;
  directory.write("config.json", R"({"action_dim": 24, "action_horizon": 15, "paligemma_variant": "gemma_2b"})");
  const pi05::ModelFile model = pi05::read_model_file(directory.path);
  CHECK(!model.is_lerobot_config && model.dims.horizon == 15 && model.dims.action_dim == 24);
  directory.write("config.json", R"({"type": "act", "action_horizon": 15})");
  CHECK(pi05::read_model_file(directory.path).dims.horizon == 0);
}

TEST(what_a_model_file_leaves_out_comes_from_config_json) {
  const Directory directory;
  directory.write("config.json", R"({"type": "pi05", "chunk_size": 25, "tokenizer_max_length": 150})");
  directory.write("pi05_model.json", R"({"format": "pi05-model/1", "max_token_len": 180})");
  const pi05::ModelFile model = pi05::read_model_file(directory.path);
  CHECK(model.dims.horizon == 25 && model.dims.max_tokens == 180 && model.has_model_file);
}

TEST(a_horizon_that_no_file_states_is_refused) {
  const Directory directory;
  scratch::write_model(directory, [](std::vector<Entry>&) {});
  std::string text = scratch::text_of(fixtures::path("tiny-openpi/pi05_model.json"));
  const size_t at = text.find("\"horizon\"");
  text.replace(text.rfind(',', at), text.find('}', at) - text.rfind(',', at), "");
  directory.write("pi05_model.json", text);
  check_outcome(scratch::open(directory.path), PI05_CHECKPOINT_AMBIGUOUS,
                {"action horizon", "pi05_model.json", R"("action": {"horizon": 15})"});
  pi05_description description = {};
  const auto ignore = [](void*, pi05_status, const char*) {};
  CHECK(pi05_inspect(directory.path.c_str(), &description, ignore, nullptr) == PI05_OK &&
        description.info.horizon == 0);
  directory.write("config.json", R"({"action_horizon": 12})");
  CHECK(Session(directory.path).info.horizon == 12);
}

TEST(the_version_of_lerobot_is_recognised_or_stated_or_refused) {
  const auto describe = [](const std::string& model_member, const std::string& config, const std::string& steps) {
    const Directory directory;
    scratch::write_model(directory, [](std::vector<Entry>&) {}, "tiny-lerobot");
    std::string text = scratch::text_of(fixtures::path("tiny-lerobot/pi05_model.json"));
    if (!model_member.empty()) directory.write("pi05_model.json", text.insert(1, model_member + ","));
    if (!config.empty()) directory.write("config.json", config);
    directory.write("policy_preprocessor.json", R"({"steps": [{}, {"registry_name": ")" + steps + R"("}]})");
    const Outcome outcome = scratch::open(directory.path);
    pi05_description description = {};
    const auto ignore = [](void*, pi05_status, const char*) {};
    CHECK(pi05_inspect(directory.path.c_str(), &description, ignore, nullptr) == PI05_OK);
    return std::pair(outcome, description.info);
  };
  const std::string old_config = R"({"type": "pi05", "max_state_dim": 24})";
  const auto [unknown, unused] = describe("", old_config, "normalizer_processor");
  check_outcome(unknown, PI05_CHECKPOINT_AMBIGUOUS,
                {"may have been padded", "24 numbers", R"("lerobot_version": "before_0.5")", R"("from_0.5")"});
  check_outcome(describe("", "", "").first, PI05_CHECKPOINT_AMBIGUOUS, {"32 numbers"});

  const auto [stated, before] = describe(R"("lerobot_version": "before_0.5")", old_config, "normalizer_processor");
  CHECK(stated.status == PI05_OK && before.padded_state == 24 && before.resize == PI05_RESIZE_LEROBOT_BEFORE_0_5);
  for (const auto& [member, config, step] : {std::tuple(R"("lerobot_version": "from_0.5")", R"({"type": "pi05"})", ""),
                                             std::tuple("", R"({"type": "pi05", "use_relative_actions": false})", ""),
                                             std::tuple("", R"({"type": "pi05"})", "relative_actions_processor")}) {
    const auto [outcome, info] = describe(member, config, step);
    CHECK(outcome.status == PI05_OK && info.padded_state == 0 && info.resize == PI05_RESIZE_LEROBOT);
  }
  // A statement is believed: the newer marks come with any file that a newer LeRobot has saved again.
  const auto [again, saved_again] =
      describe(R"("lerobot_version": "before_0.5")", R"({"type": "pi05", "use_relative_actions": false})", "");
  CHECK(again.status == PI05_OK && saved_again.padded_state == 32);
}

TEST(other_models_are_named) {
  const auto renamed = [](const std::string& from, const std::string& to, const std::string& config) {
    const Directory directory;
    scratch::write_model(directory, [&](std::vector<Entry>& entries) {
      for (Entry& e : entries)
        if (e.name.find(from) == 0) e.name.replace(0, from.size(), to);
    });
    directory.write("config.json", config);
    return scratch::open(directory.path);
  };
  for (const char* name : {"state_proj.", "action_time_mlp_in.", "model.action_time_mlp_out."}) {
    const Outcome outcome = renamed("time_mlp_in.", name, R"({"action_horizon": 50})");
    check_outcome(outcome, PI05_CHECKPOINT_TENSORS, {"a Pi0 checkpoint; this runs Pi0.5", name});
    CHECK(outcome.message.find('\n') == std::string::npos);  // and no list of tensors
  }
  check_outcome(renamed("", "", R"({"type": "pi0"})"), PI05_CHECKPOINT_TENSORS, {"a Pi0 checkpoint; this runs Pi0.5"});
  check_outcome(renamed("", "", R"({"type": "pi0_fast"})"), PI05_CHECKPOINT_TENSORS, {"a Pi0-FAST checkpoint"});
  check_outcome(renamed("", "", R"({"type": "act"})"), PI05_CHECKPOINT_TENSORS, {"another policy", "type \"act\""});
  check_outcome(renamed("time_mlp_in.", "time_mlp_in.lora_A.", "{}"), PI05_CHECKPOINT_TENSORS,
                {"LoRA adapter", "time_mlp_in.lora_A.", "merge"});
}

namespace {

void touch(const Directory& directory, const std::string& name, const std::string& text = "{}") {
  std::filesystem::create_directories(std::filesystem::path(directory.path + "/" + name).parent_path());
  directory.write(name, text);
}

void check_missing(const std::string& path, const std::vector<std::string>& parts) {
  check_outcome(scratch::open(path), PI05_CHECKPOINT_MISSING, parts);
}

}  // namespace

TEST(directories_without_weights_are_explained) {
  const std::string convert = "examples/convert_jax_model_to_pytorch.py";
  for (const char* name : {"params/_METADATA", "params/manifest.ocdbt", "_CHECKPOINT_METADATA", "_sharding"}) {
    const Directory jax;
    touch(jax, std::string("29999/") + name);
    check_missing(jax.path + "/29999", {"JAX", "Orbax", convert});
    check_missing(jax.path, {jax.path + "/29999", "JAX", convert});
  }

  const Directory lerobot;
  touch(lerobot, "checkpoints/005000/pretrained_model/model.safetensors");
  touch(lerobot, "checkpoints/005000/training_state/training_step.json");
  const std::string step = lerobot.path + "/checkpoints/005000";
  for (const std::string& path :
       {lerobot.path, lerobot.path + "/checkpoints", step, step + "/", step + "/training_state"})
    check_missing(path, {"use the directory ", step + "/pretrained_model, which has them"});
  touch(lerobot, "checkpoints/010000/pretrained_model/model.safetensors.index.json");
  check_missing(lerobot.path, {"one of the directories", step + "/pretrained_model", "/010000/pretrained_model"});

  const Directory adapter;
  touch(adapter, "lora/adapter_config.json", R"({"base_model_name_or_path": "lerobot/pi05_base"})");
  touch(adapter, "lora/adapter_model.safetensors");
  check_missing(adapter.path + "/lora", {"LoRA adapter", "merge", "lerobot/pi05_base"});
  check_missing(adapter.path, {adapter.path + "/lora", "LoRA adapter"});

  const Directory other;
  touch(other, "pytorch_model.bin");
  check_missing(other.path, {"found neither; there is pytorch_model.bin"});
}

TEST(git_lfs_pointers_are_named) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n";
  for (const std::string name : {"model.safetensors", "pi05_model.json", "config.json"}) {
    const Directory directory;
    scratch::write_model(directory, [](std::vector<Entry>&) {});
    directory.write(name, pointer);
    check_missing(directory.path, {name + ", received a Git LFS pointer", "git lfs pull"});
  }
  const Directory sharded;
  sharded.write("model.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  sharded.write("1.safetensors", pointer);
  sharded.write("2.safetensors", pointer);
  check_missing(sharded.path,
                {"1.safetensors, received a Git LFS pointer", "2.safetensors, received a Git LFS pointer"});
}

TEST(inspection_reads_only_headers_and_reports_every_problem) {
  struct Problems {
    std::vector<pi05_status> codes;
    std::string texts;
    static void add(void* user, pi05_status status, const char* text) {
      auto* problems = static_cast<Problems*>(user);
      problems->codes.push_back(status);
      problems->texts += std::string(text) + "\n";
    }
  };
  const auto inspect = [](const std::string& directory, Problems& problems) {
    pi05_description description = {};
    CHECK(pi05_inspect(directory.c_str(), &description, &Problems::add, &problems) == PI05_OK);
    return description;
  };
  Problems none;
  const pi05_description complete = inspect(fixtures::path("tiny-lerobot"), none);
  CHECK(none.codes.empty() && complete.info.family == PI05_FAMILY_LEROBOT && complete.info.horizon == 10);
  CHECK(complete.info.parameters > complete.used_parameters && complete.read_bytes < complete.info.weight_bytes);
  CHECK(complete.f32.bytes == complete.info.weight_bytes && complete.f32.tensors > 100 && complete.bf16.tensors == 0);
  CHECK(complete.prefix_width == 128 && complete.prefix_layers == 3 && complete.vision_width == 144 &&
        complete.expert_width == 64);

  const Directory directory;
  const std::string bytes = scratch::text_of(fixtures::path("tiny-lerobot/model.safetensors"));
  directory.write("model.safetensors", bytes.substr(0, bytes.size() / 2));
  directory.write("pi05_model.json", R"({"format": "pi05-model/2"})");
  Problems both;
  const pi05_description truncated = inspect(directory.path, both);
  CHECK(both.codes.size() == 2 && both.texts.find("pi05-model/2") != std::string::npos);
  CHECK(both.texts.find("truncated: " + std::to_string(bytes.size() / 2) + " of the " + std::to_string(bytes.size())) !=
        std::string::npos);
  CHECK(truncated.info.family == PI05_FAMILY_LEROBOT && truncated.f32.tensors == complete.f32.tensors);

  pi05_description unused = {};
  CHECK(pi05_inspect("/nonexistent/pi05", &unused, &Problems::add, &none) == PI05_CHECKPOINT_MISSING);
}

RUN_TESTS()
