#include "runtime/text/chat_specs.hpp"

#include <array>

namespace tutti {
namespace {

using Names = std::string_view;

constexpr std::array<Names, 2> kChatMl = {"<|im_start|>", "<|im_end|>"};
constexpr std::array<Names, 1> kChatMlStop = {"<|im_end|>"};
constexpr std::array<Names, 3> kLlama3 = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
constexpr std::array<Names, 2> kLlama3Stop = {"<|eot_id|>", "<|end_of_text|>"};
constexpr std::array<Names, 2> kInst = {"[INST]", "[/INST]"};
constexpr std::array<Names, 2> kGemma = {"<start_of_turn>", "<end_of_turn>"};
constexpr std::array<Names, 1> kGemmaStop = {"<end_of_turn>"};
constexpr std::array<Names, 3> kRoles = {"<|system|>", "<|user|>", "<|assistant|>"};
constexpr std::array<Names, 4> kPhi3 = {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};
constexpr std::array<Names, 1> kPhi3Stop = {"<|end|>"};

enum Row : std::size_t {
  chatml,
  llama_2,
  llama_3,
  mistral,
  mistral_v02,
  mistral_v01,
  gemma,
  gemma_2,
  zephyr,
  phi_3,
  phi_35,
  row_count,
};

constexpr ChatSpec kLlama2Row = {
    .name = "llama-2",
    .bos = "",
    .system_place = SystemPlace::in_first_user,
    .trim = Trim::merged,
    .alternating = true,
    .skip_empty_system = false,
    .system_prefix = "<<SYS>>\n",
    .system_suffix = "\n<</SYS>>\n\n",
    .user_prefix = "{bos}[INST] ",
    .user_suffix = " [/INST]",
    .assistant_prefix = " ",
    .assistant_suffix = " {eos}",
    .generation = "",
    .control = {},
    .maybe_control = kInst,
    .stops = {},
};

constexpr ChatSpec kChatMlRow = {
    .name = "chatml",
    .bos = "",
    .system_place = SystemPlace::turn,
    .trim = Trim::none,
    .alternating = false,
    .skip_empty_system = false,
    .system_prefix = "<|im_start|>system\n",
    .system_suffix = "<|im_end|>\n",
    .user_prefix = "<|im_start|>user\n",
    .user_suffix = "<|im_end|>\n",
    .assistant_prefix = "<|im_start|>assistant\n",
    .assistant_suffix = "<|im_end|>\n",
    .generation = "<|im_start|>assistant\n",
    .control = kChatMl,
    .maybe_control = {},
    .stops = kChatMlStop,
};

constexpr ChatSpec kLlama3Row = {
    .name = "llama-3",
    .bos = "{bos}",
    .system_place = SystemPlace::turn,
    .trim = Trim::each,
    .alternating = false,
    .skip_empty_system = false,
    .system_prefix = "<|start_header_id|>system<|end_header_id|>\n\n",
    .system_suffix = "<|eot_id|>",
    .user_prefix = "<|start_header_id|>user<|end_header_id|>\n\n",
    .user_suffix = "<|eot_id|>",
    .assistant_prefix = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .assistant_suffix = "<|eot_id|>",
    .generation = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .control = kLlama3,
    .maybe_control = {},
    .stops = kLlama3Stop,
};

// Mistral-7B-Instruct v0.1 to v0.2 and Mixtral as their templates stand since a system prompt is
// taken; the rows after it are the older templates.
constexpr ChatSpec kMistralRow = {
    .name = "mistral",
    .bos = "{bos}",
    .system_place = SystemPlace::in_first_user,
    .trim = Trim::none,
    .alternating = true,
    .skip_empty_system = false,
    .system_prefix = "",
    .system_suffix = "\n\n",
    .user_prefix = " [INST] ",
    .user_suffix = " [/INST]",
    .assistant_prefix = " ",
    .assistant_suffix = "{eos}",
    .generation = "",
    .control = {},
    .maybe_control = kInst,
    .stops = {},
};

constexpr ChatSpec old_mistral(std::string_view assistant_suffix) {
  ChatSpec row = kMistralRow;
  row.system_place = SystemPlace::refused;
  row.system_suffix = "";
  row.user_prefix = "[INST] ";
  row.assistant_prefix = "";
  row.assistant_suffix = assistant_suffix;
  return row;
}

constexpr ChatSpec gemma_row(SystemPlace system_place) {
  return {
      .name = "gemma",
      .bos = "{bos}",
      .system_place = system_place,
      .trim = Trim::users,
      .alternating = true,
      .skip_empty_system = false,
      .system_prefix = "",
      .system_suffix = "\n\n",
      .user_prefix = "<start_of_turn>user\n",
      .user_suffix = "<end_of_turn>\n",
      .assistant_prefix = "<start_of_turn>model\n",
      .assistant_suffix = "<end_of_turn>\n",
      .generation = "<start_of_turn>model\n",
      .control = kGemma,
      .maybe_control = {},
      .stops = kGemmaStop,
  };
}

constexpr ChatSpec kZephyrRow = {
    .name = "zephyr",
    .bos = "",
    .system_place = SystemPlace::turn,
    .trim = Trim::none,
    .alternating = false,
    .skip_empty_system = false,
    .system_prefix = "<|system|>\n",
    .system_suffix = "{eos}\n",
    .user_prefix = "<|user|>\n",
    .user_suffix = "{eos}\n",
    .assistant_prefix = "<|assistant|>\n",
    .assistant_suffix = "{eos}\n",
    .generation = "<|assistant|>\n",
    .control = {},
    .maybe_control = kRoles,
    .stops = {},
};

constexpr ChatSpec phi3_row(bool skip_empty_system) {
  return {
      .name = "phi-3",
      .bos = "",
      .system_place = SystemPlace::turn,
      .trim = Trim::none,
      .alternating = false,
      .skip_empty_system = skip_empty_system,
      .system_prefix = "<|system|>\n",
      .system_suffix = "<|end|>\n",
      .user_prefix = "<|user|>\n",
      .user_suffix = "<|end|>\n",
      .assistant_prefix = "<|assistant|>\n",
      .assistant_suffix = "<|end|>\n",
      .generation = "<|assistant|>\n",
      .control = kPhi3,
      .maybe_control = {},
      .stops = kPhi3Stop,
  };
}

constexpr std::array<ChatSpec, row_count> kSpecs = {
    kChatMlRow,
    kLlama2Row,
    kLlama3Row,
    kMistralRow,
    old_mistral("{eos}"),
    old_mistral("{eos} "),
    gemma_row(SystemPlace::in_first_user),
    gemma_row(SystemPlace::refused),
    kZephyrRow,
    phi3_row(false),
    phi3_row(true),
};

// tests/golden/chat holds a text of each; a test renders all of them.
constexpr std::array kKnown = {
    KnownTemplate{0x2fe73ff387c9c2c5, chatml},       // OpenHermes, Hermes 2, plain ChatML
    KnownTemplate{0xe8ae7b3114b72c07, chatml},       // SmolLM2-Instruct, Qwen2-Instruct
    KnownTemplate{0xa2fb3c4ac1a1fd26, chatml},       // Qwen1.5-Chat
    KnownTemplate{0x2608bb346319fcad, chatml},       // Qwen2.5-Instruct
    KnownTemplate{0xb09f2d0bec6a3a83, llama_2},      // Llama-2-chat
    KnownTemplate{0x7eacc88d5c368c69, llama_3},      // Llama-3-Instruct
    KnownTemplate{0x50e006c6edad2067, llama_3},      // the same before its first correction
    KnownTemplate{0x56c4e87d773d7fe4, mistral},      // Mistral-7B-Instruct, with a system prompt
    KnownTemplate{0xb19a868fffa85ae9, mistral_v02},  // Mistral-7B-Instruct v0.2, as it came out
    KnownTemplate{0x09e38aa8e6f1063f, mistral_v01},  // Mistral-7B-Instruct v0.1, as it came out
    KnownTemplate{0xcae510c3ac36442c, gemma},        // Gemma 3
    KnownTemplate{0x96f5545a5ad58c2f, gemma_2},      // Gemma 1 and 2
    KnownTemplate{0x4a7f96df5b314b70, zephyr},       // Zephyr-7B-beta, TinyLlama-Chat
    KnownTemplate{0x813230b9aeb6826b, phi_3},        // Phi-3-mini
    KnownTemplate{0x03b57922037cd12c, phi_35},       // Phi-3.5-mini
};

}  // namespace

std::span<const ChatSpec> chat_specs() {
  return kSpecs;
}
std::span<const KnownTemplate> known_templates() {
  return kKnown;
}

}  // namespace tutti
