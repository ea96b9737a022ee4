#include "launch/expected_model.hpp"

#include <fmt/format.h>

#include "launch/identity_banner.hpp"

namespace tutti {

OptionSpec expect_option() {
  return {.name = "expect",
          .value = "FINGERPRINT",
          .help = "Refuse any model whose fingerprint does not begin so (exit code 3)"};
}

std::string expected_fingerprint(const ParsedOptions& parsed) {
  if (!parsed.given("expect")) {
    return {};
  }
  const std::string& text = parsed.text("expect");
  if (text.empty() || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw UsageError(fmt::format(
        "--expect wants the beginning of a fingerprint in lower-case hex digits, found '{}'",
        text));
  }
  return text;
}

void require_expected(const std::string& where, const std::string& fingerprint,
                      const std::string& what, const std::string& expected) {
  if (!fingerprint.starts_with(expected)) {
    throw ModelFileError(
        fmt::format("{}: --expect wants a fingerprint that begins with {}, found {} ({})", where,
                    expected, fingerprint, what));
  }
}

void require_expected(const std::string& where, const ModelIdentity& identity,
                      const std::string& expected) {
  require_expected(where, identity.fingerprint,
                   fmt::format("{}, {} parameters, {}", identity.name,
                               human_count(identity.parameters), identity.dtype),
                   expected);
}

}  // namespace tutti
