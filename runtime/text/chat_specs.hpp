// The chat formats as data: what stands around a turn of each role, and which stored templates say
// just that. chat_format.cpp reads these rows; nothing else knows a format.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tutti {

enum class SystemPlace : std::uint8_t {
  turn,           // a turn of its own, anywhere
  in_first_user,  // only as the first message; becomes a part of the first user turn
  refused,
};

enum class Trim : std::uint8_t {
  none,
  each,    // every content by itself
  users,   // user and assistant contents; the system prompt is left as it is
  merged,  // user turns after the system prompt was put in
};

// In the texts "{bos}" and "{eos}" stand for the model's own tokens. All views are literals.
struct ChatSpec {
  std::string_view name;  // rows of one name differ in details of the models' versions
  std::string_view bos;   // "{bos}" where the prompt opens with one
  SystemPlace system_place;
  Trim trim;
  bool alternating;        // user, assistant, user, … is enforced
  bool skip_empty_system;  // a system turn without text is left out
  std::string_view system_prefix, system_suffix;
  std::string_view user_prefix, user_suffix;
  std::string_view assistant_prefix, assistant_suffix;
  std::string_view generation;                // where the assistant is to speak
  std::span<const std::string_view> control;  // tokens that the vocabulary must have
  // Special in some vocabularies of the format, plain text in others.
  std::span<const std::string_view> maybe_control;
  std::span<const std::string_view> stops;  // end an answer besides the tokenizer's own
};

struct KnownTemplate {
  std::uint64_t digest;  // of canonical_template()
  std::size_t spec;      // index into chat_specs()
};

// The first row of a name is the one that by_name() means.
std::span<const ChatSpec> chat_specs();
std::span<const KnownTemplate> known_templates();

}  // namespace tutti
