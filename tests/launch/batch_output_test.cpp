#include "launch/batch_output.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using Known = BatchOutput::Known;

const BatchModel kModel = {.name = "m", .fingerprint = "f00d"};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string record(const std::string& id, std::uint64_t hash, const std::string& text = "answer",
                   const BatchModel& model = kModel) {
  BatchRequest request;
  request.custom_id = id;
  const std::vector<BatchSample> samples = {
      {.text = text, .tokens = 2, .finish = FinishReason::stop}};
  return answer_record(model, request, hash, 3, samples, {}, 1);
}

RecordMark mark(const std::string& id, std::uint64_t hash) {
  return {.custom_id = id, .id = hash_of_id(id), .request = hash};
}

// custom_ids of the output, each of which must stand there once.
std::set<std::string> ids_of(const fs::path& path) {
  std::ifstream file(path);
  std::set<std::string> ids;
  for (std::string line; std::getline(file, line);) {
    EXPECT_TRUE(ids.insert(nlohmann::json::parse(line)["custom_id"]).second) << line;
  }
  return ids;
}

class BatchOutputTest : public testing::Test {
 protected:
  BatchOutputOptions options(ExistingOutput existing = ExistingOutput::resume) const {
    return {.path = path().string(), .existing = existing, .flush = {}, .fingerprint = "f00d"};
  }
  fs::path path() const { return folder_.path() / "out.jsonl"; }
  void write(const std::string& bytes) const { folder_.write("out.jsonl", bytes); }

  test::ScratchFolder folder_;
};

TEST_F(BatchOutputTest, AppendsWholeRecordsAndReleasesItsLock) {
  {
    BatchOutput output(options());
    output.append(mark("a", 1), record("a", 1));
    output.append(mark("b", 2), record("b", 2));
    EXPECT_EQ(read_file(path()), "");
    output.write_out();
    EXPECT_EQ(read_file(path()), record("a", 1) + record("b", 2));
    EXPECT_TRUE(fs::exists(path().string() + ".lock"));
    output.append(mark("c", 3), record("c", 3));
    output.finish();
  }
  EXPECT_EQ(ids_of(path()), (std::set<std::string>{"a", "b", "c"}));
  EXPECT_FALSE(fs::exists(path().string() + ".lock"));
}

TEST_F(BatchOutputTest, WhatWasAppendedIsKeptWhereTheRunFails) {
  {
    BatchOutput output(options());
    output.append(mark("a", 1), record("a", 1));
  }
  EXPECT_EQ(read_file(path()), record("a", 1));
}

TEST_F(BatchOutputTest, KnowsWhatAnEarlierRunAnswered) {
  write(record("a", 1) + record("b", 2));
  const BatchOutput output(options());
  EXPECT_EQ(output.found().records, 2U);
  EXPECT_EQ(output.known(hash_of_id("a"), 1), Known::same);
  EXPECT_EQ(output.known(hash_of_id("a"), 2), Known::changed);
  EXPECT_EQ(output.known(hash_of_id("c"), 1), Known::no);
}

TEST_F(BatchOutputTest, AnotherModelsAnswersDoNotCount) {
  write(record("a", 1, "x", {.name = "n", .fingerprint = "beef"}));
  {
    BatchOutput output(options());
    EXPECT_EQ(output.found().other_model, 1U);
    EXPECT_EQ(output.known(hash_of_id("a"), 1), Known::changed);
    output.append(mark("a", 1), record("a", 1, "new"));
    output.finish();
  }
  EXPECT_EQ(read_file(path()), record("a", 1, "new"));
}

TEST_F(BatchOutputTest, ATornLastLineIsCutAtEveryByte) {
  const std::string whole = record("a", 1) + record("b", 2);
  const std::string last = record("c", 3);
  for (std::size_t bytes = 0; bytes < last.size(); ++bytes) {
    write(whole + last.substr(0, bytes));
    BatchOutput output(options());
    EXPECT_EQ(output.found().torn_bytes, bytes);
    EXPECT_EQ(output.found().records, 2U);
    EXPECT_EQ(output.known(hash_of_id("c"), 3), Known::no);
    output.append(mark("c", 3), last);
    output.finish();
    ASSERT_EQ(read_file(path()), whole + last) << bytes;
  }
}

TEST_F(BatchOutputTest, ATornFirstLineIsCutAtEveryByte) {
  const std::string first = record("a", 1);
  for (std::size_t bytes = 0; bytes < first.size(); ++bytes) {
    write(first.substr(0, bytes));
    const BatchOutput output(options());
    EXPECT_EQ(output.found().torn_bytes, bytes);
    ASSERT_EQ(read_file(path()), "") << bytes;
  }
}

TEST_F(BatchOutputTest, ATailOfZerosIsCut) {
  write(record("a", 1) + std::string(4096, '\0'));
  const BatchOutput output(options());
  EXPECT_EQ(output.found().torn_bytes, 4096U);
  EXPECT_EQ(read_file(path()), record("a", 1));
}

TEST_F(BatchOutputTest, ADamagedLineInBetweenIsDropped) {
  const std::string damaged = record("b", 2).substr(0, 40) + std::string(20, '\0') + "\n";
  write(record("a", 1) + damaged + record("c", 3));
  const BatchOutput output(options());
  EXPECT_EQ(output.found().damaged, 1U);
  EXPECT_EQ(output.known(hash_of_id("b"), 2), Known::no);
  EXPECT_EQ(read_file(path()), record("a", 1) + record("c", 3));
}

TEST_F(BatchOutputTest, AForeignFileIsRefusedAndLeftAsItIs) {
  const std::string notes = "my notes\n";
  const std::vector<std::string> foreign = {notes,
                                            "my notes",
                                            "{\"custom_id\": \"a\"}\n",
                                            "\n",
                                            record("a", 1) + notes,
                                            record("a", 1) + "my notes",
                                            record("a", 1) + notes + record("b", 2),
                                            notes + record("a", 1)};
  for (const std::string& text : foreign) {
    write(text);
    try {
      const BatchOutput output(options());
      FAIL() << text;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("is no record of tutti batch"), std::string::npos);
    }
    EXPECT_EQ(read_file(path()), text);
    EXPECT_FALSE(fs::exists(path().string() + ".lock"));
  }
}

TEST_F(BatchOutputTest, AChangedRequestsOldRecordIsDroppedAtTheEnd) {
  write(record("a", 1, "old") + record("b", 2));
  {
    BatchOutput output(options());
    output.append(mark("a", 9), record("a", 9, "new"));
    output.write_out();
    EXPECT_EQ(read_file(path()), record("a", 1, "old") + record("b", 2) + record("a", 9, "new"));
    output.finish();
  }
  EXPECT_EQ(read_file(path()), record("b", 2) + record("a", 9, "new"));
}

TEST_F(BatchOutputTest, ACrashBeforeThatLeavesTheLastRecordToCount) {
  write(record("a", 1, "old") + record("b", 2) + record("a", 9, "new"));
  const BatchOutput output(options());
  EXPECT_EQ(output.found().superseded, 1U);
  EXPECT_EQ(output.known(hash_of_id("a"), 9), Known::same);
  EXPECT_EQ(read_file(path()), record("b", 2) + record("a", 9, "new"));
}

TEST_F(BatchOutputTest, GoesOnAfterDroppingAtTheStart) {
  write(record("a", 1, "old") + record("a", 9, "new"));
  {
    BatchOutput output(options());
    output.append(mark("b", 2), record("b", 2));
    output.finish();
  }
  EXPECT_EQ(read_file(path()), record("a", 9, "new") + record("b", 2));
}

TEST_F(BatchOutputTest, NoResumeRefusesAnOutputThatExists) {
  write(record("a", 1));
  EXPECT_THROW(BatchOutput(options(ExistingOutput::refuse)), ConfigError);
  EXPECT_EQ(read_file(path()), record("a", 1));
  fs::remove(path());
  EXPECT_NO_THROW(BatchOutput(options(ExistingOutput::refuse)));
}

TEST_F(BatchOutputTest, OverwriteReplacesEvenAForeignFile) {
  write("my notes\n");
  {
    BatchOutput output(options(ExistingOutput::replace));
    output.append(mark("a", 1), record("a", 1));
    output.finish();
  }
  EXPECT_EQ(read_file(path()), record("a", 1));
}

TEST_F(BatchOutputTest, TwoRunsOnOneOutputAreRefused) {
  BatchOutputOptions quick = options();
  quick.lock.look = std::chrono::milliseconds(1);
  const BatchOutput first(quick);
  try {
    const BatchOutput second(quick);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("in use by process"), std::string::npos)
        << error.what();
  }
}

TEST_F(BatchOutputTest, AFolderThatIsNotThereIsSaid) {
  BatchOutputOptions nowhere = options();
  nowhere.path = (folder_.path() / "nowhere" / "out.jsonl").string();
  try {
    const BatchOutput output(nowhere);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("No such file or directory"), std::string::npos);
  }
  BatchOutputOptions a_folder = options();
  a_folder.path = folder_.path().string();
  EXPECT_THROW(BatchOutput{a_folder}, ConfigError);
}

TEST_F(BatchOutputTest, AFullDiskLeavesWholeRecordsAndARunThatGoesOn) {
  std::signal(SIGXFSZ, SIG_IGN);  // as main does
  const std::string one = record("a", 1);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  {
    BatchOutput output(options());
    output.append(mark("a", 1), one);
    output.write_out();
    // Lock files are longer than what is left here.
    const rlimit limit = {.rlim_cur = one.size() + 10, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    output.append(mark("b", 2), record("b", 2));
    try {
      output.write_out();
      ADD_FAILURE() << "wanted an error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("cannot write"), std::string::npos) << error.what();
    }
    setrlimit(RLIMIT_FSIZE, &before);
  }
  EXPECT_EQ(read_file(path()), one);
  const BatchOutput again(options());
  EXPECT_EQ(again.found().records, 1U);
  EXPECT_EQ(again.found().torn_bytes, 0U);
}

TEST_F(BatchOutputTest, WritesThroughALink) {
  write(record("a", 1, "old"));
  const fs::path link = folder_.path() / "link.jsonl";
  fs::create_symlink(path(), link);
  BatchOutputOptions linked = options();
  linked.path = link.string();
  {
    BatchOutput output(linked);
    output.append(mark("a", 2), record("a", 2));
    output.finish();
  }
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_file(path()), record("a", 2));
}

}  // namespace
}  // namespace tutti
