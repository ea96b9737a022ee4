// The chat formats that are known by name, as data: what stands around a turn of each role.
// chat_format.cpp reads these rows; nothing else knows a format.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tutti {

enum class SystemPlace : std::uint8_t {
  turn,           // a turn of its own, anywhere
  in_first_user,  // only as the first message; becomes a part of the first user turn
};

enum class Trim : std::uint8_t {
  none,
  each,    // every content by itself
  users,   // user and assistant contents; the system prompt is left as it is
  merged,  // user turns after the system prompt was put in
};

// In the texts "{bos}" and "{eos}" stand for the model's own tokens. All views are literals.
struct ChatSpec {
  std::string_view name;
  std::string_view bos;  // "{bos}" where the prompt opens with one
  SystemPlace system_place;
  Trim trim;
  bool alternating;  // user, assistant, user, … is enforced
  std::string_view system_prefix, system_suffix;
  std::string_view user_prefix, user_suffix;
  std::string_view assistant_prefix, assistant_suffix;
  std::string_view generation;                // where the assistant is to speak
  std::span<const std::string_view> control;  // tokens that the vocabulary must have
  // Special in some vocabularies of the format, plain text in others.
  std::span<const std::string_view> maybe_control;
  std::span<const std::string_view> stops;  // end an answer besides the tokenizer's own
};

std::span<const ChatSpec> chat_specs();

}  // namespace tutti
