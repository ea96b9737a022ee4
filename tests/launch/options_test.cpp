#include "launch/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "launch/escapes.hpp"
#include "launch/generate_options.hpp"
#include "launch/suggest.hpp"

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommandSpec spec() {
  return {.name = "play",
          .summary = "for tests",
          .synopsis = "FILE [options]",
          .text = "Text.",
          .groups = {{.title = "All",
                      .options = {{.name = "count",
                                   .short_name = 'n',
                                   .value = "N",
                                   .help = "how many",
                                   .fallback = "3"},
                                  {.name = "word",
                                   .value = "TEXT",
                                   .help = "words",
                                   .fallback = {},
                                   .repeatable = true},
                                  {.name = "heat", .value = "T", .help = "a number"},
                                  {.name = "loud", .value = "", .help = "a flag"}}}},
          .operands = {"FILE"},
          .examples = {"tutti play f"}};
}

ParsedOptions parse(const std::vector<std::string>& arguments) {
  return parse_options(spec(), arguments);
}

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    const ParsedOptions parsed = parse(arguments);
    parsed.integer("count", 1, 10);
    if (parsed.given("heat")) {
      parsed.real("heat", 0, 2);
    }
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Options, GiveValuesFlagsFallbacksAndOperands) {
  const ParsedOptions parsed = parse({"a.h5", "--word", "x", "--loud", "--word=y z", "-n", "7"});
  EXPECT_EQ(parsed.text("FILE"), "a.h5");
  EXPECT_EQ(parsed.integer("count", 1, 10), 7);
  EXPECT_THAT(parsed.texts("word"), ElementsAre("x", "y z"));
  EXPECT_TRUE(parsed.flag("loud"));
  EXPECT_FALSE(parsed.given("heat"));
  EXPECT_EQ(parse({"f"}).integer("count", 1, 10), 3);
  EXPECT_FALSE(parse({"f"}).given("count"));
}

TEST(Options, TakeTextThatBeginsWithADash) {
  EXPECT_THAT(parse({"f", "--word", "- a list"}).texts("word"), ElementsAre("- a list"));
  EXPECT_THAT(parse({"f", "--word=--loud"}).texts("word"), ElementsAre("--loud"));
  EXPECT_THAT(parse({"f", "--word", "-5"}).texts("word"), ElementsAre("-5"));
}

TEST(Options, TakeEmptyText) {
  EXPECT_THAT(parse({"f", "--word", ""}).texts("word"), ElementsAre(""));
  EXPECT_THAT(parse({"f", "--word=", "--loud"}).texts("word"), ElementsAre(""));
}

TEST(Options, UnknownOneSuggestsTheNearest) {
  EXPECT_THAT(refusal({"f", "--cuont", "3"}), HasSubstr("did you mean '--count'?"));
  EXPECT_THAT(refusal({"f", "--wrod=x"}), HasSubstr("'--wrod' is no option of 'tutti play'"));
  EXPECT_THAT(refusal({"f", "--zzzzzz"}), testing::Not(HasSubstr("did you mean")));
}

TEST(Options, AbbreviationIsNotGuessed) {
  EXPECT_THAT(refusal({"f", "--cou", "3"}), HasSubstr("did you mean '--count'?"));
}

TEST(Options, MissingValueIsNotTakenFromTheNextOption) {
  EXPECT_THAT(refusal({"f", "--word", "--loud"}), HasSubstr("--word wants a value"));
  EXPECT_THAT(refusal({"f", "--word"}), HasSubstr("got none"));
}

TEST(Options, RangesNameWantedAndFound) {
  EXPECT_THAT(refusal({"f", "--count", "11"}),
              HasSubstr("--count wants a whole number from 1 to 10, found '11'"));
  EXPECT_THAT(refusal({"f", "--count", "2x"}), HasSubstr("found '2x'"));
  EXPECT_THAT(refusal({"f", "--count", "99999999999999999999"}), HasSubstr("found '999"));
  EXPECT_THAT(refusal({"f", "--heat", "nan"}), HasSubstr("found 'nan'"));
  EXPECT_THAT(refusal({"f", "--heat", "-1"}), HasSubstr("from 0 to 2, found '-1'"));
  EXPECT_EQ(refusal({"f", "--heat", "0.5"}), "accepted");
}

TEST(Options, OperandsAreCounted) {
  EXPECT_THAT(refusal({}), HasSubstr("wants FILE"));
  EXPECT_THAT(refusal({"f", "g"}), HasSubstr("does not know what to do with 'g'"));
}

TEST(Options, SingleValueGivenTwiceIsRefused) {
  EXPECT_THAT(refusal({"f", "--heat", "1", "--heat", "2"}), HasSubstr("given 2 times"));
}

TEST(Options, HelpWinsOverEverythingElse) {
  EXPECT_TRUE(parse({"--nonsense", "--help"}).help());
  EXPECT_TRUE(parse({"-h"}).help());
}

TEST(Options, HelpNamesOptionsFallbacksAndExamples) {
  const std::string help = help_of(spec());
  for (const char* part : {"--count", "(=3)", "--word", "--help", "Examples:", "tutti play f"}) {
    EXPECT_THAT(help, HasSubstr(part));
  }
}

TEST(Options, ChoiceSuggests) {
  const std::vector<std::string> known = {"auto", "lines"};
  try {
    parse({"f", "--word", "line"}).choice("word", known);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "--word wants one of auto, lines, found 'line', did you mean 'lines'?");
  }
}

TEST(Suggest, DistanceCountsSwapsOnce) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("promt", "prompt"), 1u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Suggest, NearestIsEmptyWhenNothingIsNear) {
  const std::vector<std::string> known = {"generate", "import", "inspect"};
  EXPECT_EQ(nearest("genrate", known), "generate");
  EXPECT_EQ(nearest("gen", known), "generate");
  EXPECT_EQ(nearest("xyz", known), "");
}

TEST(Escapes, BecomeCharacters) {
  EXPECT_EQ(unescape("stop", "a\\n\\t\\\\\\x41b"), "a\n\t\\Ab");
  EXPECT_EQ(unescape("stop", "plain"), "plain");
  EXPECT_EQ(unescape("stop", "\\0").size(), 1u);
}

TEST(Escapes, UnknownOnesAreRefused) {
  EXPECT_THROW(unescape("stop", "\\q"), UsageError);
  EXPECT_THROW(unescape("stop", "end\\"), UsageError);
  EXPECT_THROW(unescape("stop", "\\x4"), UsageError);
}

GenerateOptions generate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "m.h5");
  return generate_options(parse_options(generate_spec(), arguments));
}

TEST(GenerateOptions, AreGreedyAndPlainUnlessToldOtherwise) {
  const GenerateOptions options = generate({"--prompt", "a"});
  EXPECT_EQ(options.sampling.temperature, 0);
  EXPECT_EQ(options.chat, ChatMode::automatic);
  EXPECT_FALSE(options.sampling.logprobs.has_value());
}

TEST(GenerateOptions, SystemAndFormatImplyChat) {
  EXPECT_EQ(generate({"--system", "be brief"}).chat, ChatMode::on);
  EXPECT_EQ(generate({"--chat-format", "chatml"}).chat, ChatMode::on);
  EXPECT_THROW(generate({"--system", "x", "--no-chat"}), UsageError);
  EXPECT_THROW(generate({"--chat", "--no-chat"}), UsageError);
}

TEST(GenerateOptions, KeepPromptsInOrderAndUnescapeStops) {
  const GenerateOptions options = generate({"-p", "1", "-p", "2", "--stop", "\\n\\n"});
  EXPECT_THAT(options.prompts, ElementsAre("1", "2"));
  EXPECT_THAT(options.sampling.stop, ElementsAre("\n\n"));
}

TEST(GenerateOptions, TakePenaltiesAndBiases) {
  const SamplingOptions rules =
      generate({"--presence-penalty=-1.5", "--frequency-penalty", "0.25", "--min-tokens", "7",
                "--logit-bias", "17:-2.5,90:-inf", "--logit-bias", "3:4"})
          .sampling;
  EXPECT_EQ(rules.presence_penalty, -1.5);
  EXPECT_EQ(rules.frequency_penalty, 0.25);
  EXPECT_EQ(rules.min_tokens, 7);
  EXPECT_THAT(rules.logit_bias,
              ElementsAre(LogitBias{17, -2.5F},
                          LogitBias{90, -std::numeric_limits<float>::infinity()}, LogitBias{3, 4}));
  for (const char* wrong : {"", "3", "3:", ":4", "3:4,", "3:4;5:6", "-3:4", "3:x", "3:inf", "3:nan",
                            "3: 4", "3:4 ", "99999999999:1"}) {
    EXPECT_THROW(generate({"--logit-bias", wrong}), UsageError) << wrong;
  }
}

TEST(ParsedOptions, CommonTextLeavesOutWhatRanksMayDifferIn) {
  CommandSpec mine = spec();
  mine.groups[0].options.push_back({.name = "own", .value = "N", .help = "", .may_differ = true});
  const auto text = [&](const std::vector<std::string>& arguments) {
    return parse_options(mine, arguments).common_text();
  };
  EXPECT_EQ(text({"a", "--word", "x", "--own", "1"}), "play --word=x");
  EXPECT_EQ(text({"--own=2", "--word=x", "b"}), "play --word=x");
  EXPECT_EQ(text({"b", "--loud", "-n", "4"}), "play --count=4 --loud");
  EXPECT_EQ(text({"--help"}), "play --help");
}

TEST(GenerateOptions, RefuseWhatCannotBe) {
  EXPECT_THROW(generate({"--stop", ""}), UsageError);
  EXPECT_THROW(generate({"--logprobs", "3"}), UsageError);
  EXPECT_THROW(generate({"--max-tokens", "0"}), UsageError);
  EXPECT_THROW(generate({"--top-p", "0"}), UsageError);
  EXPECT_THROW(generate({"--expect", "xyz"}), UsageError);
  EXPECT_THROW(generate({"--interactive", "--prompt", "x"}), UsageError);
  EXPECT_THROW(generate({"--progress", "fancy"}), UsageError);
}

}  // namespace
}  // namespace tutti
