// The parameters that the body of a request may hold, OpenAI's names and some that are usual beside
// them.
#pragma once

#include <nlohmann/json.hpp>

#include "launch/batch_request.hpp"

namespace tutti {

// Sets what `body` says in `request`, whose api is set. `taken` are the members that the caller
// reads. Errors: RequestRefused that names the parameter, wanted and found.
void apply_parameters(const nlohmann::json& body, std::initializer_list<std::string_view> taken,
                      BatchRequest& request);

}  // namespace tutti
