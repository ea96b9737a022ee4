#include "runtime/weights/digest.hpp"

#include <gtest/gtest.h>

#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti {
namespace {

TEST(Sha256, EqualsThePublishedVectors) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, IsTheSameInPieces) {
  const std::string text(100000, 'x');
  Sha256 sha;
  for (std::size_t at = 0; at < text.size(); at += 777) {
    sha.update(std::string_view(text).substr(at, 777));
  }
  EXPECT_EQ(sha.finish(), sha256_hex(text));
}

TEST(Xxh3, EqualsTheReferenceForNothing) {
  EXPECT_EQ(xxh3({}), 0x2d06800538d394c2u);  // XXH3_64bits("", 0), xxHash's sanity checks
  EXPECT_EQ(xxh3_128({}), (Hash128{.low = 0x6001c324468d497fu, .high = 0x99aa06d3014798d8u}));
}

TEST(Xxh3, IsTheSameInPiecesAndBeginsAnew) {
  const test::Bytes bytes = test::noise(1000000, 3);
  Xxh3 hash;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t at = 0; at < bytes.size(); at += 333) {
      hash.update(std::span(bytes).subspan(at, std::min<std::size_t>(333, bytes.size() - at)));
    }
    EXPECT_EQ(hash.finish(), xxh3(bytes));
  }
}

}  // namespace
}  // namespace tutti
