// Lines of a batch, parsed as the seventh of an input.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "launch/batch_request.hpp"

namespace tutti {

inline ParsedLine parse(const std::string& line, const BatchDefaults& defaults = {}) {
  return parse_batch_line(line, 7, defaults);
}

inline BatchRequest accepted(const std::string& line, const BatchDefaults& defaults = {}) {
  const ParsedLine parsed = parse(line, defaults);
  EXPECT_FALSE(parsed.refusal) << line << ": " << parsed.refusal->message;
  return parsed.request;
}

struct BadLine {
  const char* line;
  const char* code;
  const char* says;
};

inline void expect_refused(const BadLine& bad) {
  const ParsedLine parsed = parse(bad.line);
  ASSERT_TRUE(parsed.refusal) << bad.line;
  EXPECT_EQ(parsed.refusal->code, bad.code) << parsed.refusal->message;
  EXPECT_NE(parsed.refusal->message.find(bad.says), std::string::npos) << parsed.refusal->message;
}

}  // namespace tutti
