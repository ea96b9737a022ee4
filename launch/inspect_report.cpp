#include "launch/inspect_report.hpp"

#include <fmt/format.h>

#include <memory>

#include "kernels/error.hpp"
#include "launch/build_info.hpp"
#include "launch/identity_banner.hpp"
#include "launch/progress.hpp"
#include "runtime/text/chat_format.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti {
namespace {

using nlohmann::json;

std::string shape_text(const TensorInfo& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.shape, ", "));
}

std::string row(const std::string& name, const std::string& value) {
  return fmt::format("{:<14} {}\n", name, value);
}

std::string scalar_text(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::string chat_format_of(const ModelFile& file) {
  try {
    return ChatFormat::detect(file.tokenizer()).name();
  } catch (const Error& error) {
    return fmt::format("none ({})", error.what());
  }
}

std::string tokenizer_kind_of(const ModelFile& file) {
  try {
    const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(file.tokenizer());
    return fmt::format("{}, {} tokens", tokenizer->kind(), tokenizer->vocabulary_size());
  } catch (const Error& error) {
    return fmt::format("not usable ({})", error.what());
  }
}

json inspect_json(const ModelFile& file, bool tensors) {
  const ModelIdentity& identity = file.identity();
  json object = {{"file", file.path().string()},
                 {"format_version", identity.format_version},
                 {"name", identity.name},
                 {"source", identity.source},
                 {"created_by", identity.created_by},
                 {"fingerprint", identity.fingerprint},
                 {"parameters", identity.parameters},
                 {"weight_bytes", identity.weight_bytes},
                 {"dtype", identity.dtype},
                 {"tutti", version()},
                 {"tensor_count", file.tensors().size()},
                 {"config", file.config()},
                 {"tokenizer", tokenizer_kind_of(file)},
                 {"chat_format", chat_format_of(file)}};
  for (const auto& [name, text] : file.tokenizer()) {
    object["tokenizer_files"][name] = text.size();
  }
  if (tensors) {
    for (const TensorInfo& tensor : file.tensors()) {
      object["tensors"].push_back({{"name", tensor.name},
                                   {"dtype", name_of(tensor.dtype)},
                                   {"shape", tensor.shape},
                                   {"bytes", tensor.bytes()},
                                   {"sha256", tensor.sha256},
                                   {"source_name", tensor.source_name}});
    }
  }
  return object;
}

std::string inspect_text(const ModelFile& file, bool tensors) {
  const ModelIdentity& identity = file.identity();
  std::string text;
  text += row("file", file.path().string());
  text += row("name", identity.name);
  text += row("fingerprint", identity.fingerprint);
  text += row("parameters",
              fmt::format("{} ({})", human_count(identity.parameters), identity.parameters));
  text += row("weights", fmt::format("{} in {} tensors, {}", human_bytes(identity.weight_bytes),
                                     file.tensors().size(), identity.dtype));
  text += row("tokenizer", tokenizer_kind_of(file));
  text += row("chat format", chat_format_of(file));
  text += row("imported from", identity.source);
  text += row("created by",
              fmt::format("{}, format version {}", identity.created_by, identity.format_version));
  text += "\nconfiguration\n";
  for (const auto& [name, value] : file.config().items()) {
    text += fmt::format("  {:<22} {}\n", name, scalar_text(value));
  }
  if (tensors) {
    text += "\ntensors\n";
    for (const TensorInfo& tensor : file.tensors()) {
      text +=
          fmt::format("  {:<32} {:<5} {:<16} {:>10}  {}\n", tensor.name, name_of(tensor.dtype),
                      shape_text(tensor), human_bytes(tensor.bytes()), tensor.sha256.substr(0, 12));
    }
  }
  return text;
}

std::string findings_text(const std::vector<VerifyFinding>& findings) {
  std::string text;
  for (const VerifyFinding& finding : findings) {
    text += fmt::format("{}{} differs: wanted {}, found {}", text.empty() ? "" : "\n  ",
                        finding.what, finding.wanted, finding.found);
  }
  return text;
}

}  // namespace tutti
