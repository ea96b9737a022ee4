// --expect: which model is meant, by the beginning of its fingerprint. Of every command that opens
// a model, because a stale file under the right name is the wrong model.
#pragma once

#include <string>

#include "launch/options.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {

OptionSpec expect_option();

// What --expect gave, "" where it did not. Errors: UsageError where that is no fingerprint's
// beginning.
std::string expected_fingerprint(const ParsedOptions& parsed);

// `where`: the file, `what` it is, for the message. Errors: ModelFileError, naming what was found.
void require_expected(const std::string& where, const std::string& fingerprint,
                      const std::string& what, const std::string& expected);
void require_expected(const std::string& where, const ModelIdentity& identity,
                      const std::string& expected);

}  // namespace tutti
