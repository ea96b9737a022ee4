// Strict reading of a source's configuration: what is missing, not understood or would change the
// arithmetic is named, never guessed.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "models/decoder_spec.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

// Fields of one JSON object. null counts as missing. Copies share what was read. Errors:
// ModelFileError.
class ConfigReader {
 public:
  // `prefix` stands before every field: "llama." in a GGUF file's metadata.
  ConfigReader(const nlohmann::json& object, std::string where, std::string prefix = "");

  bool has(const std::string& field) const;
  bool has_array(const std::string& field) const;
  std::int64_t integer(const std::string& field) const;
  std::int64_t integer(const std::string& field, std::int64_t fallback) const;
  double number(const std::string& field) const;
  double number(const std::string& field, double fallback) const;
  std::vector<double> numbers(const std::string& field) const;
  bool boolean(const std::string& field, bool fallback) const;
  std::string text(const std::string& field, const std::string& fallback) const;
  // An array of strings; empty where it is missing.
  std::vector<std::string> texts(const std::string& field) const;
  ConfigReader object(const std::string& field) const;

  // Refuses the source unless the field is missing or has the only value that is understood.
  void only(const std::string& field, const nlohmann::json& understood) const;
  [[noreturn]] void refuse(const std::string& field, const std::string& wanted) const;
  // These fields have no effect on what is computed.
  void ignore(std::initializer_list<const char*> fields) const;
  // What `other`, a reader of the same fields, asked for counts as asked for here too.
  void share(const ConfigReader& other) const {
    asked_->insert(other.asked_->begin(), other.asked_->end());
  }
  // Refuses the source where it has a field, of those with the prefix, that nobody asked for and
  // that is not known to be without effect.
  void finish() const;

 private:
  const nlohmann::json& at(const std::string& field) const;

  const nlohmann::json* object_;
  std::string where_;
  std::string prefix_;
  std::shared_ptr<std::set<std::string>> asked_;
};

// The source's tensor of that name, or null.
const SourceTensor* find_tensor(const TensorSource& source, std::string_view name);

}  // namespace tutti
