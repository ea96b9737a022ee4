// Which ids begin, end and pad a text: gathered from every file that may say so.
#pragma once

#include "runtime/text/json_access.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

// The files beside the vocabulary, parsed; null where the assets have none.
struct SideFiles {
  Json tokenizer_config, special_tokens_map, generation_config;
  // Errors: ModelFileError, for a file that is not JSON.
  static SideFiles from_assets(const TokenizerAssets& assets);
};

// Completes `special` (what the vocabulary's own description says). Names win in this order:
// tokenizer_config.json, special_tokens_map.json, the description. eos is a union, the tokenizer's
// own first, then all of generation_config.json's; where that has none, the control tokens by which
// the known chat formats end a turn ("<|eot_id|>", "<|im_end|>", …) are taken too. add_bos_token
// and add_eos_token of tokenizer_config.json overrule the description.
SpecialIds complete_special_ids(SpecialIds special, const SideFiles& files,
                                const Tokenizer& tokenizer);

}  // namespace tutti::text
