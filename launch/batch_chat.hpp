// The words of a chat request: OpenAI's messages and tools, as a model's template takes them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "launch/batch_request.hpp"

namespace tutti {

// Sets `request`'s api, messages and tools from a `body` that has messages. `line` is the text that
// the body came from, itself (`plain`) or as its member "body": templates write tools with their
// members in the order in which they came, which `body` has lost. `system` is put before a
// conversation that brings no system's words. Errors: RequestRefused.
void read_chat(const nlohmann::json& body, std::string_view line, bool plain,
               const std::string& system, BatchRequest& request);

}  // namespace tutti
