#include "launch/batch_encoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "launch/prompt_encoder.hpp"

namespace tutti {

BatchEncoder::BatchEncoder(const Tokenizer& tokenizer, std::optional<ChatFormat> format,
                           std::string why_no_format, const Limits& limits)
    : tokenizer_(tokenizer),
      format_(std::move(format)),
      why_no_format_(std::move(why_no_format)),
      limits_(limits) {}

std::string BatchEncoder::circumstances() const {
  return fmt::format("{} {}", limits_.context, format_ ? format_->identity() : "");
}

void BatchEncoder::require_known(const std::string& name, TokenId id) const {
  if (id < 0 || id >= limits_.vocabulary) {
    throw RequestRefused("invalid_value", fmt::format("'{}' wants token ids below {}, found {}",
                                                      name, limits_.vocabulary, id));
  }
}

std::vector<TokenId> BatchEncoder::ids_of(const BatchRequest& request) const {
  if (request.as_ids) {
    for (const TokenId id : request.prompt_ids) {
      require_known("prompt", id);
    }
    return request.prompt_ids;
  }
  try {
    if (request.api == BatchApi::chat) {
      if (!format_) {
        throw RequestRefused("no_chat_format", why_no_format_);
      }
      return format_->encode(tokenizer_, request.messages, request.tools);
    }
    return PromptEncoder(tokenizer_).encode(request.prompt);
  } catch (const RequestRefused&) {
    throw;
  } catch (const ConfigError& error) {
    throw RequestRefused(request.api == BatchApi::chat ? "invalid_messages" : "invalid_prompt",
                         error.what());
  } catch (const ModelFileError& error) {
    // The model's template cannot be carried out for this conversation; others may go well.
    throw RequestRefused("invalid_messages", error.what());
  }
}

std::vector<TokenId> BatchEncoder::encode(BatchRequest& request) const {
  SamplingOptions& sampling = request.sampling;
  for (const LogitBias& bias : sampling.logit_bias) {
    require_known("logit_bias", bias.id);
  }
  for (const TokenId id : sampling.stop_ids) {
    require_known("stop_token_ids", id);
  }
  std::vector<TokenId> ids = ids_of(request);
  const std::int64_t room = limits_.context - std::ssize(ids);
  if (room < 1) {
    throw RequestRefused(
        "context_length_exceeded",
        fmt::format("the prompt has {} tokens, wanted at most {}: the context is {} tokens and the "
                    "answer needs at least one",
                    ids.size(), limits_.context - 1, limits_.context));
  }
  sampling.max_tokens = static_cast<int>(std::min<std::int64_t>(sampling.max_tokens, room));
  sampling.min_tokens = std::min(sampling.min_tokens, sampling.max_tokens);
  if (request.api == BatchApi::chat && !sampling.ignore_eos) {
    for (const TokenId id : format_->stop_ids(tokenizer_)) {
      sampling.stop_ids.push_back(id);
    }
  }
  return ids;
}

}  // namespace tutti
