#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "models/registry.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A source that is nothing but names, shapes and a configuration.
class NamedSource final : public TensorSource {
 public:
  NamedSource(std::string format, json config) : format_(std::move(format)), config_(config) {}

  void add(const std::string& name, std::vector<std::int64_t> shape,
           std::optional<DType> dtype = DType::bf16) {
    tensors_.push_back({.name = name, .encoding = "", .dtype = dtype, .shape = std::move(shape)});
  }
  void set_tokenizer(TokenizerAssets assets) { tokenizer_ = std::move(assets); }
  void set_config(const std::string& field, const json& value) { config_[field] = value; }
  void drop(const std::string& name) {
    std::erase_if(tensors_, [&](const SourceTensor& t) { return t.name == name; });
  }
  const std::vector<SourceTensor>& tensors() const override { return tensors_; }
  const json& config() const override { return config_; }
  const TokenizerAssets& tokenizer() const override { return tokenizer_; }
  std::string format() const override { return format_; }
  std::string default_name() const override { return "named"; }
  void read_rows(const SourceTensor&, Range rows, DType, std::byte* dst) const override {
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      reinterpret_cast<float*>(dst)[i - rows.begin] = static_cast<float>(i + 1);
    }
  }

 private:
  std::string format_;
  json config_;
  std::vector<SourceTensor> tensors_;
  TokenizerAssets tokenizer_;
};

json hf_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_act", "silu"},
          {"num_hidden_layers", 1},
          {"hidden_size", 16},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"intermediate_size", 24},
          {"vocab_size", 32},
          {"max_position_embeddings", 64},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0}};
}

NamedSource hf_source(const json& config) {
  NamedSource source("safetensors", config);
  const std::string layer = "model.layers.0.";
  source.add("model.embed_tokens.weight", {32, 16});
  source.add("lm_head.weight", {32, 16});
  source.add("model.norm.weight", {16});
  source.add(layer + "input_layernorm.weight", {16});
  source.add(layer + "post_attention_layernorm.weight", {16});
  source.add(layer + "self_attn.q_proj.weight", {16, 16});
  source.add(layer + "self_attn.k_proj.weight", {8, 16});
  source.add(layer + "self_attn.v_proj.weight", {8, 16});
  source.add(layer + "self_attn.o_proj.weight", {16, 16});
  source.add(layer + "mlp.gate_proj.weight", {24, 16});
  source.add(layer + "mlp.up_proj.weight", {24, 16});
  source.add(layer + "mlp.down_proj.weight", {16, 24});
  return source;
}

NamedSource gguf_source() {
  NamedSource source("gguf", {{"general.architecture", "llama"},
                              {"llama.block_count", 1},
                              {"llama.embedding_length", 16},
                              {"llama.attention.head_count", 4},
                              {"llama.attention.head_count_kv", 2},
                              {"llama.feed_forward_length", 24},
                              {"llama.context_length", 64},
                              {"llama.attention.layer_norm_rms_epsilon", 1e-5}});
  source.add("token_embd.weight", {32, 16}, std::nullopt);
  source.add("output_norm.weight", {16}, DType::f32);
  source.add("rope_freqs.weight", {2}, DType::f32);
  for (const auto& [name, shape] :
       std::map<std::string, std::vector<std::int64_t>>{{"attn_norm", {16}},
                                                        {"ffn_norm", {16}},
                                                        {"attn_q", {16, 16}},
                                                        {"attn_k", {8, 16}},
                                                        {"attn_v", {8, 16}},
                                                        {"attn_output", {16, 16}},
                                                        {"ffn_gate", {24, 16}},
                                                        {"ffn_up", {24, 16}},
                                                        {"ffn_down", {16, 24}}}) {
    source.add("blk.0." + name + ".weight", shape, std::nullopt);
  }
  return source;
}

void expect_refusal(const json& config, const std::string& text) {
  EXPECT_THAT([&] { make_import_job(hf_source(config), "x", {}); },
              ThrowsMessage<ModelFileError>(HasSubstr(text)));
}

TEST(ImportJob, MapsAFolderToCanonicalNames) {
  const ImportJob job = make_import_job(hf_source(hf_config()), "x", {});
  std::map<std::string, ImportTensor> tensors;
  for (const ImportTensor& tensor : job.tensors) {
    tensors[tensor.name] = tensor;
  }
  ASSERT_EQ(tensors.size(), 12u);
  EXPECT_TRUE(tensors.at("layers.0.attention.o").transpose);
  EXPECT_TRUE(tensors.at("layers.0.mlp.down").transpose);
  EXPECT_FALSE(tensors.at("layers.0.mlp.up").transpose);
  EXPECT_EQ(tensors.at("layers.0.attention.q").source_name,
            "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(tensors.at("layers.0.attention.q").interleaved_heads, 0);
  EXPECT_EQ(tensors.at("head").dtype, DType::bf16);
  EXPECT_EQ(DecoderSpec::from_json(job.config).head_dim, 4);
}

TEST(ImportJob, ConvertsMatricesWhenAskedAndKeepsF32Norms) {
  NamedSource source = hf_source(hf_config());
  source.drop("model.norm.weight");
  source.add("model.norm.weight", {16}, DType::f32);
  for (const ImportTensor& tensor : make_import_job(source, "x", DType::f16).tensors) {
    EXPECT_EQ(tensor.dtype, tensor.name == "final_norm" ? DType::f32 : DType::f16) << tensor.name;
  }
}

TEST(ImportJob, ReadsBothSpellingsOfRotaryScaling) {
  json old_style = hf_config();
  old_style["rope_theta"] = 500000.0;
  old_style["rope_scaling"] = {{"rope_type", "llama3"},
                               {"factor", 8.0},
                               {"low_freq_factor", 1.0},
                               {"high_freq_factor", 4.0},
                               {"original_max_position_embeddings", 8192}};
  json new_style = hf_config();
  new_style.erase("rope_theta");
  new_style["rope_parameters"] = old_style["rope_scaling"];
  new_style["rope_parameters"]["rope_theta"] = 500000.0;
  const json expected = make_import_job(hf_source(old_style), "x", {}).config;
  EXPECT_EQ(make_import_job(hf_source(new_style), "x", {}).config, expected);
  EXPECT_EQ(expected["rope_scaling"]["kind"], "llama3");
}

TEST(ImportJob, RefusesWhatWouldChangeTheAnswers) {
  const std::vector<std::pair<json, std::string>> cases{
      {{{"hidden_act", "gelu"}}, "hidden_act"},
      {{{"attention_bias", true}}, "self_attn.q_proj.bias"},
      {{{"attention_scores_bias", true}}, "'attention_scores_bias' (true) is not understood"},
      {{{"mlp_bias", true}}, "mlp_bias"},
      {{{"rope_scaling", {{"rope_type", "ntk"}, {"factor", 2.0}}}}, "rope type 'ntk'"},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}, {"mscale", 1.0}}}}, "mscale"},
      {{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"slope", 1}}}}, "slope"},
      {{{"partial_rotary_factor", 0.3}}, "rotary_dim"},
      {{{"quantization_config", {{"bits", 4}}}}, "quantization_config"},
      {{{"architectures", {"MambaForCausalLM"}}}, "known are LlamaForCausalLM"},
      {{{"hidden_size", "16"}}, "hidden_size"},
      {{{"vocab_size", 33}}, "the configuration wants [33, 16]"},
      {{{"num_hidden_layers", 2}}, "lacks tensor 'model.layers.1."},
  };
  for (const auto& [change, text] : cases) {
    json config = hf_config();
    config.update(change);
    expect_refusal(config, text);
  }
}

TEST(ImportJob, RefusesATensorThatTheFamilyHasNoUseFor) {
  NamedSource source = hf_source(hf_config());
  source.add("model.layers.0.self_attn.q_proj.bias", {16});
  EXPECT_THAT([&] { make_import_job(source, "x", {}); },
              ThrowsMessage<ModelFileError>(HasSubstr("q_proj.bias")));
}

TEST(ImportJob, RefusesATokenizerThatKnowsMoreIdsThanTheModel) {
  json vocabulary;
  for (int id = 0; id < 33; ++id) {
    vocabulary["t" + std::to_string(id)] = id;
  }
  NamedSource source = hf_source(hf_config());
  source.set_tokenizer(
      {{"tokenizer.json",
        json{{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}}}}
            .dump()}});
  EXPECT_THAT([&] { make_import_job(source, "x", {}); },
              ThrowsMessage<ModelFileError>(HasSubstr("the tokenizer has 33 ids, the configuration "
                                                      "has a vocabulary of 32")));
}

TEST(ImportJob, UndoesTheInterleavedRotaryOrderOfGguf) {
  const NamedSource source = gguf_source();
  const ImportJob job = make_import_job(source, "x", {});
  const DecoderSpec spec = DecoderSpec::from_json(job.config);
  EXPECT_TRUE(spec.tied_head);
  EXPECT_EQ(spec.rope_scaling.kind, "factors");
  EXPECT_EQ(spec.rope_scaling.factors, (std::vector<double>{1, 2}));
  for (const ImportTensor& tensor : job.tensors) {
    const int heads = tensor.name.ends_with(".q") ? 4 : tensor.name.ends_with(".k") ? 2 : 0;
    EXPECT_EQ(tensor.interleaved_heads, heads) << tensor.name;
    EXPECT_EQ(tensor.dtype, tensor.name == "final_norm" ? DType::f32 : DType::bf16) << tensor.name;
  }
}

// Room for as many numbers as there are rows was once filled with all of a matrix.
TEST(ImportJob, RefusesRotaryFactorsOfAnotherShape) {
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{3}, {2, 1000}, {}}) {
    NamedSource source = gguf_source();
    source.drop("rope_freqs.weight");
    source.add("rope_freqs.weight", shape, DType::f32);
    EXPECT_THAT([&] { make_import_job(source, "x", {}); },
                ThrowsMessage<ModelFileError>(HasSubstr("rope_freqs.weight")));
  }
}

TEST(ImportJob, RefusesTwoRotaryScalingsAtOnce) {
  NamedSource source = gguf_source();
  source.set_config("llama.rope.scaling.type", "linear");
  source.set_config("llama.rope.scaling.factor", 4.0);
  EXPECT_THAT([&] { make_import_job(source, "x", {}); },
              ThrowsMessage<ModelFileError>(HasSubstr("rope.scaling.type")));
}

json mixture_config() {
  json config = hf_config();
  config["architectures"] = {"Qwen3MoeForCausalLM"};
  config["head_dim"] = 4;
  config["num_experts"] = 2;
  config["num_experts_per_tok"] = 1;
  config["moe_intermediate_size"] = 6;
  config["norm_topk_prob"] = true;
  return config;
}

NamedSource mixture_source(const json& config) {
  NamedSource source = hf_source(config);
  const std::string mlp = "model.layers.0.mlp.";
  for (const char* matrix : {"gate_proj", "up_proj", "down_proj"}) {
    source.drop(mlp + matrix + ".weight");
  }
  source.add(mlp + "gate.weight", {2, 16});
  for (const char* expert : {"experts.0.", "experts.1."}) {
    source.add(mlp + expert + "gate_proj.weight", {6, 16});
    source.add(mlp + expert + "up_proj.weight", {6, 16});
    source.add(mlp + expert + "down_proj.weight", {16, 6});
  }
  source.add("model.layers.0.self_attn.q_norm.weight", {4});
  source.add("model.layers.0.self_attn.k_norm.weight", {4});
  return source;
}

TEST(ImportJob, PutsExpertsBelowEachOther) {
  const ImportJob job = make_import_job(mixture_source(mixture_config()), "x", {});
  std::vector<std::string> downs;
  for (const ImportTensor& tensor : job.tensors) {
    if (tensor.name == "layers.0.experts.down") {
      EXPECT_TRUE(tensor.transpose);
      downs.push_back(tensor.source_name);
    }
  }
  EXPECT_EQ(downs, (std::vector<std::string>{"model.layers.0.mlp.experts.0.down_proj.weight",
                                             "model.layers.0.mlp.experts.1.down_proj.weight"}));
  const DecoderSpec spec = DecoderSpec::from_json(job.config);
  EXPECT_EQ(spec.experts, 2);
  EXPECT_EQ(spec.experts_per_token, 1);
  EXPECT_EQ(spec.ffn, 6);
  EXPECT_TRUE(spec.renormalise_experts);
}

TEST(ImportJob, RefusesAMixtureThatLacksAnExpertOrHasOtherLayers) {
  NamedSource source = mixture_source(mixture_config());
  source.drop("model.layers.0.mlp.experts.1.up_proj.weight");
  EXPECT_THAT([&] { make_import_job(source, "x", {}); },
              ThrowsMessage<ModelFileError>(
                  HasSubstr("lacks tensor 'model.layers.0.mlp.experts.1.up_proj.weight'")));
  for (const auto& [field, value] : std::map<std::string, json>{{"decoder_sparse_step", 2},
                                                                {"mlp_only_layers", {0}},
                                                                {"num_local_experts", 3},
                                                                {"n_group", 4}}) {
    json config = mixture_config();
    config[field] = value;
    EXPECT_THAT([&] { make_import_job(mixture_source(config), "x", {}); },
                ThrowsMessage<ModelFileError>(HasSubstr("'" + field + "'")));
  }
  json config = mixture_config();
  config["num_experts_per_tok"] = 3;
  EXPECT_THAT([&] { make_import_job(mixture_source(config), "x", {}); },
              ThrowsMessage<ModelFileError>(HasSubstr("3 of 2 experts a token")));
}

// Mixtral's GGUF files say "llama" and hold all experts of a layer in one tensor.
TEST(ImportJob, MapsAMixtureOfGguf) {
  NamedSource source = gguf_source();
  source.set_config("llama.expert_count", 3);
  source.set_config("llama.expert_used_count", 2);
  for (const char* matrix : {"ffn_gate", "ffn_up", "ffn_down"}) {
    source.drop(fmt::format("blk.0.{}.weight", matrix));
  }
  source.add("blk.0.ffn_gate_inp.weight", {3, 16}, DType::f32);
  source.add("blk.0.ffn_gate_exps.weight", {3, 24, 16}, std::nullopt);
  source.add("blk.0.ffn_up_exps.weight", {3, 24, 16}, std::nullopt);
  source.add("blk.0.ffn_down_exps.weight", {3, 16, 24}, std::nullopt);
  const ImportJob job = make_import_job(source, "x", {});
  EXPECT_EQ(job.config.at("architecture"), "mixtral");
  std::int64_t seen = 0;
  for (const ImportTensor& tensor : job.tensors) {
    if (tensor.name == "layers.0.experts.down") {
      EXPECT_EQ(tensor.read_as, (std::vector<std::int64_t>{48, 24}));
      EXPECT_EQ(tensor.source_rows, (Range{16 * seen, 16 * seen + 16}));
      EXPECT_TRUE(tensor.transpose);
      ++seen;
    } else if (tensor.name == "layers.0.experts.router") {
      EXPECT_EQ(tensor.dtype, DType::bf16);  // as the experts: one product wants one type
    } else if (tensor.name == "layers.0.attention.q") {
      EXPECT_EQ(tensor.interleaved_heads, 4);
    }
  }
  EXPECT_EQ(seen, 3);
}

// As the first files of Mixtral did, which many still have.
TEST(ImportJob, TakesExpertsOfGgufOneByOne) {
  NamedSource source = gguf_source();
  source.set_config("llama.expert_count", 3);
  source.set_config("llama.expert_used_count", 2);
  source.add("blk.0.ffn_gate_inp.weight", {3, 16}, DType::f32);
  for (const char* matrix : {"ffn_gate", "ffn_up", "ffn_down"}) {
    source.drop(fmt::format("blk.0.{}.weight", matrix));
    for (int expert = 0; expert < 3; ++expert) {
      const bool down = matrix == std::string_view("ffn_down");
      source.add(fmt::format("blk.0.{}.{}.weight", matrix, expert),
                 down ? std::vector<std::int64_t>{16, 24} : std::vector<std::int64_t>{24, 16},
                 std::nullopt);
    }
  }
  std::vector<std::string> downs;
  for (const ImportTensor& tensor : make_import_job(source, "x", {}).tensors) {
    if (tensor.name == "layers.0.experts.down") {
      EXPECT_TRUE(tensor.read_as.empty());
      EXPECT_TRUE(tensor.transpose);
      downs.push_back(tensor.source_name);
    }
  }
  EXPECT_THAT(downs, ::testing::ElementsAre("blk.0.ffn_down.0.weight", "blk.0.ffn_down.1.weight",
                                            "blk.0.ffn_down.2.weight"));
  source.drop("blk.0.ffn_up.1.weight");
  EXPECT_THAT([&] { make_import_job(source, "x", {}); },
              ThrowsMessage<ModelFileError>(HasSubstr("ffn_up")));
}

// Older converters wrote the one row of the shared MLP's router as a vector.
TEST(ImportJob, TakesARouterOfOneRowAsAMatrixAndAsAVector) {
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{1, 16}, {16}}) {
    NamedSource source = gguf_source();
    json config{{"general.architecture", "qwen2moe"},
                {"qwen2moe.expert_count", 3},
                {"qwen2moe.expert_used_count", 2},
                {"qwen2moe.expert_feed_forward_length", 24},
                {"qwen2moe.expert_shared_feed_forward_length", 24}};
    for (const auto& [key, value] : source.config().items()) {
      if (key.starts_with("llama.")) {
        config["qwen2moe." + key.substr(6)] = value;
      }
    }
    NamedSource mixture("gguf", config);
    for (const SourceTensor& tensor : source.tensors()) {
      const std::size_t stem = tensor.name.rfind(".weight");
      const bool of_mlp = tensor.name.find("ffn_") != std::string::npos && tensor.shape.size() == 2;
      mixture.add(of_mlp ? tensor.name.substr(0, stem) + "_shexp.weight" : tensor.name,
                  tensor.shape, tensor.dtype);
      if (of_mlp) {
        mixture.add(tensor.name.substr(0, stem) + "_exps.weight",
                    {3, tensor.shape[0], tensor.shape[1]}, tensor.dtype);
      }
    }
    mixture.add("blk.0.ffn_gate_inp.weight", {3, 16}, DType::f32);
    mixture.add("blk.0.ffn_gate_inp_shexp.weight", shape, DType::f32);
    const ImportJob job = make_import_job(mixture, "x", {});
    EXPECT_TRUE(std::any_of(job.tensors.begin(), job.tensors.end(), [](const ImportTensor& tensor) {
      return tensor.name == "layers.0.shared.router";
    }));
  }
}

}  // namespace
}  // namespace tutti
