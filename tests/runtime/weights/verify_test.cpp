#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "runtime/weights/model_file.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti {
namespace {

std::vector<std::string> names(const std::vector<VerifyFinding>& findings) {
  std::vector<std::string> names;
  for (const VerifyFinding& finding : findings) {
    EXPECT_NE(finding.wanted, finding.found);
    names.push_back(finding.what);
  }
  return names;
}

TEST(Verify, AGoodFileHasNoFindingsAndEveryByteIsCounted) {
  const test::ScratchFolder folder;
  test::write_model(folder / "m.h5", test::blocks_contents());
  const ModelFile file(folder / "m.h5", {.check = false});
  for (int threads : {1, 4}) {
    std::atomic<std::uint64_t> bytes = 0;
    EXPECT_TRUE(verify(file, threads, [&](std::uint64_t n) { bytes += n; }).empty());
    EXPECT_EQ(bytes, file.identity().weight_bytes);
  }
  EXPECT_TRUE(verify(file, 2, nullptr).empty());
}

TEST(Verify, NamesTheTensorThatDiffersAndNoOther) {
  const test::ScratchFolder folder;
  const auto path = folder / "m.h5";
  test::write_model(path, test::small_contents());
  test::flip_tensor_byte(path, "layers.0.mlp.up", 16000);
  const ModelFile file(path, {.check = false});
  EXPECT_THAT(names(verify(file, 3, nullptr)), testing::ElementsAre("layers.0.mlp.up"));
}

TEST(Verify, NamesEntriesOfConfigAndTokenizer) {
  const test::ScratchFolder folder;
  const auto path = folder / "m.h5";
  test::write_model(path, test::small_contents());
  std::string image = test::slurp(path);
  image[test::place_of(image, "{\"a\": 1}") + 6] = '2';
  image[test::place_of(image, "\"hidden_size\": 8") + 15] = '9';
  test::spill(path, image);
  EXPECT_THAT(names(verify(ModelFile(path, {.check = false}), 1, nullptr)),
              testing::ElementsAre("config/original", "tokenizer/tokenizer.json"));
  image[test::place_of(image, "\"layers\":2") + 9] = '3';
  test::spill(path, image);
  EXPECT_THAT(names(verify(ModelFile(path, {.check = false}), 1, nullptr)),
              testing::ElementsAre("config/canonical.json", "config/original",
                                   "tokenizer/tokenizer.json", "fingerprint"));
}

}  // namespace
}  // namespace tutti
