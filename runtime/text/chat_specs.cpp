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

constexpr ChatSpec kLlama2Row = {
    .name = "llama-2",
    .bos = "",
    .system_place = SystemPlace::in_first_user,
    .trim = Trim::merged,
    .alternating = true,
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
// taken.
constexpr ChatSpec kMistralRow = {
    .name = "mistral",
    .bos = "{bos}",
    .system_place = SystemPlace::in_first_user,
    .trim = Trim::none,
    .alternating = true,
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

constexpr ChatSpec kGemmaRow = {
    .name = "gemma",
    .bos = "{bos}",
    .system_place = SystemPlace::in_first_user,
    .trim = Trim::users,
    .alternating = true,
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

constexpr ChatSpec kZephyrRow = {
    .name = "zephyr",
    .bos = "",
    .system_place = SystemPlace::turn,
    .trim = Trim::none,
    .alternating = false,
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

constexpr ChatSpec kPhi3Row = {
    .name = "phi-3",
    .bos = "",
    .system_place = SystemPlace::turn,
    .trim = Trim::none,
    .alternating = false,
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

constexpr std::array kSpecs = {
    kChatMlRow, kLlama2Row, kLlama3Row, kMistralRow, kGemmaRow, kZephyrRow, kPhi3Row,
};

}  // namespace

std::span<const ChatSpec> chat_specs() {
  return kSpecs;
}

}  // namespace tutti
