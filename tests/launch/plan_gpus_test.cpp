#include "launch/plan_gpus.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "kernels/error.hpp"
#include "launch/options.hpp"
#include "tests/launch/plan_support.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <typename E, typename F>
std::string message_of(const F& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(PlanGpus, EveryKindOfTheFileIsComplete) {
  for (const GpuKind& kind : test::known_kinds()) {
    EXPECT_TRUE(kind.constants.known()) << kind.name;
    EXPECT_FALSE(kind.source.empty()) << kind.name;
    EXPECT_EQ(kind.memory_bytes == 0, kind.host) << kind.name;
  }
}

TEST(PlanGpus, AreFoundByNameAliasAndAsDriversCallThem) {
  EXPECT_EQ(test::kind("a100-40").name, "a100-40");
  EXPECT_EQ(test::kind("H100").name, "h100-80");
  EXPECT_EQ(test::kind("NVIDIA H200").name, "h200");
  EXPECT_EQ(test::kind("a100_80GB").name, "a100-80");
  EXPECT_EQ(test::kind("cpu").name, "host");
}

TEST(PlanGpus, AnUnknownKindSuggestsTheNearest) {
  EXPECT_THAT(message_of<UsageError>([] { test::kind("h20"); }),
              AllOf(HasSubstr("did you mean 'h200'?"), HasSubstr("a100-40, "),
                    HasSubstr("--device-memory")));
  EXPECT_THAT(message_of<UsageError>([] { test::kind(""); }), HasSubstr("'' is no kind"));
}

TEST(PlanGpus, MemoryIsReadWithItsUnit) {
  EXPECT_EQ(parse_memory("40GiB"), 40ull << 30);
  EXPECT_EQ(parse_memory("40g"), 40ull << 30);
  EXPECT_EQ(parse_memory("80 GB"), 80'000'000'000ull);
  EXPECT_EQ(parse_memory("1.5TiB"), 3ull << 39);
  EXPECT_EQ(parse_memory("24576M"), 24ull << 30);
  EXPECT_EQ(parse_memory("42949672960"), 40ull << 30);
}

TEST(PlanGpus, MemoryThatIsNoneIsRefused) {
  for (const char* text : {"", "lots", "-40GiB", "0", "40XB", "40GiB more", "nan", "inf", "1e99G",
                           "40", "1000000TiB", "GiB", "0x40GiB"}) {
    EXPECT_THAT(message_of<UsageError>([&] { parse_memory(text); }),
                HasSubstr(std::string("found '") + text + "'"))
        << text;
  }
}

std::string load_text(const std::string& text) {
  const test::ScratchFolder folder;
  const std::filesystem::path file = folder.path() / "gpus.json";
  std::ofstream(file) << text;
  return message_of<ModelFileError>([&] { load_gpus(file); });
}

TEST(PlanGpus, AFileWithAFaultIsNamedWithTheKind) {
  const std::string good =
      R"({"name": "x", "title": "X", "memory_gib": 8, "link": "pcie", "source": "s",)"
      R"( "constants": {"read_gbs": 1, "tflops": 1}})";
  EXPECT_EQ(load_text("{\"kinds\": [" + good + "]}"), "nothing was thrown");
  EXPECT_THAT(load_text("{"), HasSubstr("gpus.json"));
  EXPECT_THAT(load_text("{\"kinds\": []}"), HasSubstr("found none"));
  EXPECT_THAT(load_text("{\"kinds\": [" + good + ", " + good + "]}"), HasSubstr("there twice"));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    return load_text("{\"kinds\": [" + bad + "]}");
  };
  EXPECT_THAT(with("\"pcie\"", "\"string\""), AllOf(HasSubstr("x: "), HasSubstr("'link'")));
  EXPECT_THAT(with("8", "-8"), HasSubstr("memory_gib"));
  EXPECT_THAT(with("\"tflops\"", "\"flops\""), HasSubstr("'flops' is no constant"));
  EXPECT_THAT(with(", \"tflops\": 1", ""), HasSubstr("lack read_gbs or tflops"));
  EXPECT_THAT(with("\"title\": \"X\", ", ""), HasSubstr("title"));
}

TEST(PlanGpus, AMissingFileIsNamed) {
  EXPECT_THAT(message_of<ModelFileError>([] { load_gpus("nowhere/gpus.json"); }),
              HasSubstr("nowhere/gpus.json"));
}

}  // namespace
}  // namespace tutti
