#include "models/config_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {

using nlohmann::json;

ConfigReader::ConfigReader(const json& object, std::string where)
    : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) {
    throw ModelFileError(
        fmt::format("{}: wanted a JSON object, found {}", where_, object.type_name()));
  }
}

bool ConfigReader::has(const std::string& field) const {
  const auto found = object_->find(field);
  return found != object_->end() && !found->is_null();
}

const json& ConfigReader::at(const std::string& field) const {
  if (!has(field)) {
    throw ModelFileError(fmt::format("{}: field '{}' is missing", where_, field));
  }
  return *object_->find(field);
}

void ConfigReader::refuse(const std::string& field, const std::string& wanted) const {
  throw ModelFileError(
      fmt::format("{}: field '{}' is {}, wanted {}", where_, field, at(field).dump(), wanted));
}

std::int64_t ConfigReader::integer(const std::string& field) const {
  const json& value = at(field);
  if (!value.is_number_integer()) {
    refuse(field, "a whole number");
  }
  return value.get<std::int64_t>();
}

std::int64_t ConfigReader::integer(const std::string& field, std::int64_t fallback) const {
  return has(field) ? integer(field) : fallback;
}

double ConfigReader::number(const std::string& field) const {
  const json& value = at(field);
  if (!value.is_number()) {
    refuse(field, "a number");
  }
  return value.get<double>();
}

double ConfigReader::number(const std::string& field, double fallback) const {
  return has(field) ? number(field) : fallback;
}

bool ConfigReader::boolean(const std::string& field, bool fallback) const {
  if (has(field) && !at(field).is_boolean()) {
    refuse(field, "true or false");
  }
  return has(field) ? at(field).get<bool>() : fallback;
}

std::string ConfigReader::text(const std::string& field, const std::string& fallback) const {
  if (has(field) && !at(field).is_string()) {
    refuse(field, "a string");
  }
  return has(field) ? at(field).get<std::string>() : fallback;
}

ConfigReader ConfigReader::object(const std::string& field) const {
  return {at(field), where_ + "." + field};
}

void ConfigReader::only(const std::string& field, const json& understood) const {
  if (has(field) && at(field) != understood) {
    refuse(field, understood.dump() + ", the only value that this family is known to use");
  }
}

void read_hf_rotary(const ConfigReader& config, double default_theta, DecoderSpec& spec) {
  const bool joined = config.has("rope_parameters");
  const std::string field = joined ? "rope_parameters" : "rope_scaling";
  spec.rope_theta = config.number("rope_theta", default_theta);
  if (!config.has(field)) {
    return;
  }
  const ConfigReader rotary = config.object(field);
  spec.rope_theta = rotary.number("rope_theta", spec.rope_theta);
  const std::string kind = rotary.text("rope_type", rotary.text("type", "default"));
  RopeScaling& scaling = spec.rope_scaling;
  if (kind == "default") {
    return;
  }
  if (kind != "linear" && kind != "llama3") {
    throw ModelFileError(fmt::format(
        "config.json: {}: rope type '{}' is not known; known are default, linear, llama3", field,
        kind));
  }
  scaling.kind = kind;
  scaling.factor = rotary.number("factor");
  if (kind == "llama3") {
    scaling.low_freq_factor = rotary.number("low_freq_factor");
    scaling.high_freq_factor = rotary.number("high_freq_factor");
    scaling.original_context = rotary.number("original_max_position_embeddings");
  }
}

void read_gguf_rotary(const ConfigReader& metadata, const std::string& prefix,
                      const TensorSource& source, DecoderSpec& spec) {
  spec.rope_theta = metadata.number(prefix + "rope.freq_base", 10000);
  metadata.only(prefix + "rope.dimension_count", spec.head_dim);
  const std::string kind = metadata.text(prefix + "rope.scaling.type", "none");
  if (kind == "linear") {
    spec.rope_scaling.kind = kind;
    spec.rope_scaling.factor = metadata.number(prefix + "rope.scaling.factor");
  } else if (kind != "none") {
    throw ModelFileError(
        fmt::format("{}rope.scaling.type is '{}'; known are none, linear", prefix, kind));
  }
  if (const SourceTensor* factors = find_tensor(source, "rope_freqs.weight")) {
    if (factors->shape != std::vector{spec.head_dim / 2}) {
      throw ModelFileError(fmt::format("tensor 'rope_freqs.weight' is [{}], heads of {} want [{}]",
                                       fmt::join(factors->shape, ", "), spec.head_dim,
                                       spec.head_dim / 2));
    }
    if (kind != "none") {
      throw ModelFileError(
          fmt::format("{}rope.scaling.type is '{}' and there is a tensor 'rope_freqs.weight' too; "
                      "known is one of them",
                      prefix, kind));
    }
    std::vector<float> values(static_cast<std::size_t>(factors->rows()));
    source.read_rows(*factors, {0, factors->rows()}, DType::f32,
                     reinterpret_cast<std::byte*>(values.data()));
    spec.rope_scaling.kind = "factors";
    spec.rope_scaling.factors.assign(values.begin(), values.end());
  }
}

const SourceTensor* find_tensor(const TensorSource& source, std::string_view name) {
  const auto& tensors = source.tensors();
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [name](const SourceTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

}  // namespace tutti
