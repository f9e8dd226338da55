#include "checkpoint/tensor_spec.h"

namespace pi05 {
namespace {

const std::string kRoot = "paligemma_with_expert.";
const std::string kVision = kRoot + "paligemma.model.vision_tower.vision_model.";
const std::string kPrefix = kRoot + "paligemma.model.language_model.";
const std::string kExpert = kRoot + "gemma_expert.model.";

}  // namespace

std::vector<TensorSpec> tensor_specs(const Dimensions& d, Weights& w) {
  std::vector<TensorSpec> specs;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, Role role, DType stored, Tensor* tensor) {
    specs.push_back({name, std::move(shape), role, stored, tensor});
  };
  const auto affine = [&](const std::string& name, std::vector<int64_t> shape, Role role, DType stored, Affine& pair) {
    const int64_t out = shape[0];
    add(name + ".weight", std::move(shape), role, stored, &pair.weight);
    add(name + ".bias", {out}, role, stored, &pair.bias);
  };
  const DType full = DType::F32, half = DType::BF16;

  const int64_t hidden = d.vision.hidden;
  affine(kVision + "embeddings.patch_embedding", {hidden, 3, d.vision.patch, d.vision.patch}, Role::Patch, full,
         w.patch);
  add(kVision + "embeddings.position_embedding.weight", {d.vision.patches(), hidden}, Role::Position, full,
      &w.position);
  w.vision.assign(static_cast<size_t>(d.vision.layers), {});
  for (size_t i = 0; i < w.vision.size(); i++) {
    const std::string name = kVision + "encoder.layers." + std::to_string(i) + ".";
    VisionLayer& layer = w.vision[i];
    affine(name + "layer_norm1", {hidden}, Role::LayerNorm, full, layer.norm1);
    affine(name + "layer_norm2", {hidden}, Role::LayerNorm, full, layer.norm2);
    affine(name + "self_attn.q_proj", {hidden, hidden}, Role::QueryKey, half, layer.q);
    affine(name + "self_attn.k_proj", {hidden, hidden}, Role::QueryKey, half, layer.k);
    affine(name + "self_attn.v_proj", {hidden, hidden}, Role::Linear, half, layer.v);
    affine(name + "self_attn.out_proj", {hidden, hidden}, Role::Linear, half, layer.out);
    affine(name + "mlp.fc1", {d.vision.mlp, hidden}, Role::Gate, half, layer.fc1);
    affine(name + "mlp.fc2", {hidden, d.vision.mlp}, Role::Linear, half, layer.fc2);
  }
  affine(kVision + "post_layernorm", {hidden}, Role::LayerNorm, full, w.vision_norm);

  const int64_t width = d.prefix.width, q = d.prefix.heads * d.prefix.head_dim;
  const int64_t kv = d.prefix.kv_heads * d.prefix.head_dim;
  affine(kRoot + "paligemma.model.multi_modal_projector.linear", {width, hidden}, Role::Projector, half, w.projector);
  w.prefix.assign(static_cast<size_t>(d.prefix.layers), {});
  for (size_t i = 0; i < w.prefix.size(); i++) {
    const std::string name = kPrefix + "layers." + std::to_string(i) + ".";
    PrefixLayer& layer = w.prefix[i];
    add(name + "self_attn.q_proj.weight", {q, width}, Role::QueryKey, half, &layer.q);
    add(name + "self_attn.k_proj.weight", {kv, width}, Role::QueryKey, half, &layer.k);
    add(name + "self_attn.v_proj.weight", {kv, width}, Role::Linear, half, &layer.v);
    add(name + "self_attn.o_proj.weight", {width, q}, Role::Linear, half, &layer.o);
    add(name + "mlp.gate_proj.weight", {d.prefix.mlp, width}, Role::Gate, half, &layer.gate);
    add(name + "mlp.up_proj.weight", {d.prefix.mlp, width}, Role::Gate, half, &layer.up);
    add(name + "mlp.down_proj.weight", {width, d.prefix.mlp}, Role::Linear, half, &layer.down);
    add(name + "input_layernorm.weight", {width}, Role::RmsNorm, full, &layer.input_norm);
    add(name + "post_attention_layernorm.weight", {width}, Role::RmsNorm, full, &layer.post_norm);
  }
  add(kPrefix + "norm.weight", {width}, Role::RmsNorm, full, nullptr);
  add(kLmHead, {d.prefix.vocab, width}, Role::Embedding, half, &w.embedding);

  const int64_t expert = d.expert.width, expert_q = d.expert.heads * d.expert.head_dim;
  w.expert.assign(static_cast<size_t>(d.expert.layers), {});
  for (size_t i = 0; i < w.expert.size(); i++) {
    const std::string name = kExpert + "layers." + std::to_string(i) + ".";
    ExpertLayer& layer = w.expert[i];
    add(name + "self_attn.q_proj.weight", {expert_q, expert}, Role::QueryKey, half, &layer.q);
    add(name + "self_attn.k_proj.weight", {kv, expert}, Role::QueryKey, half, &layer.k);
    add(name + "self_attn.v_proj.weight", {kv, expert}, Role::Linear, half, &layer.v);
    add(name + "self_attn.o_proj.weight", {expert, expert_q}, Role::Linear, half, &layer.o);
    add(name + "mlp.gate_proj.weight", {d.expert.mlp, expert}, Role::Gate, half, &layer.gate);
    add(name + "mlp.up_proj.weight", {d.expert.mlp, expert}, Role::Gate, half, &layer.up);
    add(name + "mlp.down_proj.weight", {expert, d.expert.mlp}, Role::Linear, half, &layer.down);
    affine(name + "input_layernorm.dense", {3 * expert, expert}, Role::Adaptive, full, layer.input_norm);
    affine(name + "post_attention_layernorm.dense", {3 * expert, expert}, Role::Adaptive, full, layer.post_norm);
  }
  affine(kExpert + "norm.dense", {3 * expert, expert}, Role::Adaptive, full, w.final_norm);

  affine("action_in_proj", {expert, d.action_dim}, Role::Linear, full, w.action_in);
  affine("action_out_proj", {d.action_dim, expert}, Role::Linear, full, w.action_out);
  affine("time_mlp_in", {expert, expert}, Role::Time, full, w.time_in);
  affine("time_mlp_out", {expert, expert}, Role::Time, full, w.time_out);
  add(kExpertLmHead, {d.prefix.vocab, expert}, Role::Embedding, half, nullptr);
  return specs;
}

}  // namespace pi05
