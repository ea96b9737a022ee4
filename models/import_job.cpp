// From a source's own names and configuration to the canonical ones.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/error.hpp"
#include "models/config_reader.hpp"
#include "models/family.hpp"
#include "models/import_rules.hpp"
#include "models/registry.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti {
namespace {

using nlohmann::json;

std::string known_architectures() {
  std::vector<std::string> names;
  for (const Family* family : families()) {
    names.insert(names.end(), family->hf_architectures.begin(), family->hf_architectures.end());
    if (!family->gguf_architecture.empty()) {
      names.push_back(fmt::format("{} (GGUF)", family->gguf_architecture));
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

// What the source calls its architecture.
std::string architecture_of(const TensorSource& source) {
  const json& config = source.config();
  if (source.format() == "gguf") {
    return ConfigReader(config, "GGUF metadata").text("general.architecture", "");
  }
  const auto names = config.find("architectures");
  if (names == config.end() || !names->is_array() || names->empty() ||
      !names->front().is_string()) {
    throw ModelFileError("config.json: field 'architectures' is missing or names none");
  }
  return names->front().get<std::string>();
}

// Whether a GGUF file's model is a mixture of experts: Mixtral's files say "llama".
bool is_mixture(const TensorSource& source, const std::string& architecture) {
  return ConfigReader(source.config(), "GGUF metadata", architecture + ".")
             .integer("expert_count", 0) > 0;
}

const Family& family_of(const TensorSource& source) {
  const std::string wanted = architecture_of(source);
  const bool gguf = source.format() == "gguf";
  const bool mixture = gguf && is_mixture(source, wanted);
  for (const Family* family : families()) {
    const auto hf = family->hf_architectures;
    const bool known = gguf ? family->gguf_architecture == wanted && family->gguf_mixture == mixture
                            : std::find(hf.begin(), hf.end(), wanted) != hf.end();
    if (known) {
      return *family;
    }
  }
  throw ModelFileError(
      fmt::format("architecture '{}' is not known; known are {}", wanted, known_architectures()));
}

DType stored_dtype(const SourceTensor& tensor, std::optional<DType> wanted) {
  const DType own = tensor.dtype.value_or(DType::bf16);
  if (tensor.shape.size() == 1 && own == DType::f32) {
    return own;  // norms are a few kilobytes; rounding them gains nothing
  }
  return wanted.value_or(own);
}

class JobBuilder {
 public:
  JobBuilder(const TensorSource& source, const Family& family, const DecoderSpec& spec,
             std::optional<DType> dtype)
      : source_(source),
        family_(family),
        spec_(spec),
        dtype_(dtype),
        gguf_(source.format() == "gguf") {
    for (const SourceTensor& tensor : source.tensors()) {
      by_name_[tensor.name] = &tensor;
    }
  }

  std::vector<ImportTensor> tensors() {
    for (const TensorRule& rule : family_.tensors) {
      const bool per_layer = rule.name.find("{}") != std::string_view::npos;
      for (std::int64_t layer = 0; layer < (per_layer ? spec_.layers : 1); ++layer) {
        add(rule, layer);
      }
    }
    refuse_unread();
    give_routers_the_type_of_the_embedding();
    return std::move(tensors_);
  }

 private:
  void add(const TensorRule& rule, std::int64_t layer) {
    if (!has_tensor(rule, spec_)) {
      return;
    }
    const std::string name = fmt::format(fmt::runtime(rule.name), layer);
    const std::vector<std::int64_t> shape = weight_shape(name, spec_);
    for (std::int64_t expert = 0; expert < (is_of_experts(name) ? spec_.experts : 1); ++expert) {
      const auto named = [&](std::string_view pattern) {
        return fmt::format(fmt::runtime(pattern), layer, expert);
      };
      const std::string source_name = name_in_source(
          named(gguf_ ? rule.gguf : rule.hf), named(gguf_ ? rule.gguf_other : rule.hf_other));
      add(rule, name, source_name, shape, expert);
      if (spec_.has_bias(name)) {
        const std::size_t stem = source_name.rfind(".weight");
        add(rule, name + ".bias", source_name.substr(0, stem) + ".bias", {shape[0]});
      }
    }
  }

  // The first that the source has: the name, the same without the model's own prefix (the files
  // of a bare model lack it), the other name; else the name.
  std::string name_in_source(const std::string& name, const std::string& other) const {
    const std::size_t dot = name.find('.');
    for (const std::string& tried : {name, gguf_ ? name : name.substr(dot + 1), other}) {
      if (by_name_.contains(tried)) {
        return tried;
      }
    }
    return name;
  }

  void add(const TensorRule& rule, const std::string& name, const std::string& source_name,
           const std::vector<std::int64_t>& shape, std::int64_t expert = 0) {
    const auto found = by_name_.find(source_name);
    if (found == by_name_.end()) {
      throw ModelFileError(fmt::format("the source lacks tensor '{}' (for {})", source_name, name));
    }
    const SourceTensor* const tensor = found->second;
    const Part part = gguf_ ? rule.gguf_part : rule.hf_part;
    const bool in_out = !gguf_ && rule.hf_in_out && shape.size() == 2;
    std::vector<std::int64_t> wanted = source_shape(shape, part, spec_);
    if (in_out) {
      std::reverse(wanted.begin(), wanted.end());
    }
    ImportTensor result{.name = name, .source_name = source_name};
    if (gguf_ && is_of_experts(name) && tensor->shape.size() != 2) {  // all experts' in one tensor
      result.read_as = {spec_.experts * wanted[0], wanted[1]};
      result.source_rows = {expert * wanted[0], (expert + 1) * wanted[0]};
      wanted.insert(wanted.begin(), spec_.experts);
    } else if (gguf_ && wanted.size() == 2 && wanted[0] == 1 && tensor->shape.size() == 1) {
      // as older converters wrote it, without the 1
      result.read_as = wanted;
      wanted.erase(wanted.begin());
    }
    if (tensor->shape != wanted) {
      throw ModelFileError(fmt::format("tensor '{}' is [{}], the configuration wants [{}]",
                                       source_name, fmt::join(tensor->shape, ", "),
                                       fmt::join(wanted, ", ")));
    }
    read_.insert(source_name);
    const bool plus_one = !gguf_ && rule.hf_plus_one;
    result.dtype = plus_one ? DType::f32 : stored_dtype(*tensor, dtype_);
    result.transpose = (rule.row_parallel && shape.size() == 2) != in_out;
    result.interleaved_heads = interleaved_heads(rule);
    result.pick = pick_of(part, !gguf_ && family_.hf_fused_by_group, spec_);
    result.add = plus_one ? 1.0f : 0.0f;
    tensors_.push_back(std::move(result));
  }

  // GGUF files hold routers as f32, whatever they were: they become what the matrices beside them
  // are, since one product wants one type.
  void give_routers_the_type_of_the_embedding() {
    for (ImportTensor& tensor : tensors_) {
      if (gguf_ && tensor.name.ends_with(".router")) {
        tensor.dtype = tensors_.front().dtype;
      }
    }
  }

  int interleaved_heads(const TensorRule& rule) const {
    if (!gguf_ || !family_.gguf_interleaved) {
      return 0;
    }
    const std::int64_t heads = rule.name.ends_with(".q")   ? spec_.q_heads
                               : rule.name.ends_with(".k") ? spec_.kv_heads
                                                           : 0;
    return static_cast<int>(heads);
  }

  // A tensor that nobody reads may be a bias that would change the answers.
  void refuse_unread() const {
    static const std::set<std::string, std::less<>> kHarmless{
        "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight",
        "lm_head.weight"};
    for (const SourceTensor& tensor : source_.tensors()) {
      if (!read_.contains(tensor.name) && !kHarmless.contains(tensor.name) && !is_buffer(tensor)) {
        throw ModelFileError(
            fmt::format("the source holds tensor '{}', for which family {} has no use: its answers "
                        "would differ",
                        tensor.name, family_.name));
      }
    }
  }

  // Rotary frequencies and causal masks, which older files hold beside the weights.
  static bool is_buffer(const SourceTensor& tensor) {
    const std::string_view name = tensor.name;
    const bool mask = name.ends_with(".attn.bias") || name.ends_with(".attention.bias");
    return name.ends_with("rotary_emb.inv_freq") || name.ends_with(".masked_bias") ||
           (mask && tensor.shape.size() == 4);
  }

  const TensorSource& source_;
  const Family& family_;
  const DecoderSpec& spec_;
  std::optional<DType> dtype_;
  bool gguf_;
  std::map<std::string_view, const SourceTensor*> by_name_;
  std::vector<ImportTensor> tensors_;
  std::set<std::string, std::less<>> read_;
};

void check_vocabulary(const TokenizerAssets& assets, const DecoderSpec& spec) {
  if (assets.empty()) {
    return;
  }
  const std::int64_t found = make_tokenizer(assets)->vocabulary_size();
  if (found > spec.vocabulary) {
    throw ModelFileError(fmt::format(
        "the tokenizer has {} ids, the configuration has a vocabulary of {}: they do not belong "
        "together",
        found, spec.vocabulary));
  }
}

}  // namespace

DecoderSpec spec_of(const TensorSource& source) {
  const Family& family = family_of(source);
  if (source.format() != "gguf") {
    ConfigReader(source.config(), "config.json").only("quantization_config", nullptr);
  }
  DecoderSpec spec = source.format() == "gguf" ? family.from_gguf(source.config(), source)
                                               : family.from_hf(source.config(), source);
  spec.architecture = family.name;
  DecoderSpec::from_json(spec.to_json());  // refuses what no model file may say
  return spec;
}

ImportJob make_import_job(const TensorSource& source, const std::string& path,
                          std::optional<DType> dtype) {
  const DecoderSpec spec = spec_of(source);
  check_vocabulary(source.tokenizer(), spec);
  return {.name = source.default_name(),
          .source = path,
          .config = spec.to_json(),
          .original_config = source.config().dump(2),
          .tokenizer = source.tokenizer(),
          .tensors = JobBuilder(source, family_of(source), spec, dtype).tensors()};
}

}  // namespace tutti
