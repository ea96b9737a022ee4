// GGUF files: what is read from sound ones, and how broken ones are refused.
#include "runtime/weights/gguf_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/weights/gguf_header.hpp"
#include "tests/support/gguf_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using test::GgufFile;
using test::packed;
using test::packed_as;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kF16 = 1;
constexpr std::uint32_t kQ80 = 8;
constexpr std::uint32_t kIq2Xxs = 16;

GgufHeader parse(const std::string& file) {
  return parse_gguf_header(InputBytes("m.gguf", std::as_bytes(std::span(file))));
}

std::string refusal(const std::string& file) {
  try {
    parse(file);
  } catch (const ModelFileError& error) {
    return error.what();
  }
  return "accepted";
}
std::string refusal(const GgufFile& file) {
  return refusal(file.bytes());
}

GgufFile one_tensor() {
  GgufFile file;
  file.text("general.architecture", "llama").tensor("w", kF32, {1, 2}, std::string(8, 'x'));
  return file;
}

TEST(GgufSourceTest, reads_plain_and_quantized_rows_with_the_order_of_dimensions_undone) {
  const test::ScratchFolder folder;
  GgufFile file;
  std::string block = packed(to_f16(0.5f));  // Q8_0: q = i - 16
  for (int i = 0; i < 32; ++i) {
    block += static_cast<char>(i - 16);
  }
  file.text("general.architecture", "llama").text("general.name", "Tiny");
  file.tensor("q", kQ80, {2, 32}, block + block);
  file.tensor("h", kF16, {3, 2}, packed_as(DType::f16, {1, 2, 3, 4, 5, 6}));
  const auto source = open_source(folder.write("m.gguf", file.bytes()));
  EXPECT_EQ(source->format(), "gguf");
  EXPECT_EQ(source->default_name(), "Tiny");
  ASSERT_EQ(source->tensors().size(), 2u);
  const SourceTensor& h = source->tensors()[0];
  const SourceTensor& q = source->tensors()[1];
  EXPECT_THAT(h.shape, ElementsAre(3, 2));
  EXPECT_EQ(h.dtype, DType::f16);
  EXPECT_EQ(q.dtype, std::nullopt);
  EXPECT_EQ(q.encoding, "Q8_0");
  EXPECT_EQ(q.bytes, 68u);
  std::vector<float> values(4);
  source->read_rows(h, {1, 3}, DType::f32, reinterpret_cast<std::byte*>(values.data()));
  EXPECT_THAT(values, ElementsAre(3, 4, 5, 6));
  std::string row(64, '\0');
  source->read_rows(q, {1, 2}, DType::bf16, reinterpret_cast<std::byte*>(row.data()));
  std::vector<float> wanted;
  for (int i = 0; i < 32; ++i) {
    wanted.push_back(0.5f * static_cast<float>(i - 16));
  }
  EXPECT_EQ(row, packed_as(DType::bf16, wanted));
}

TEST(GgufSourceTest, splits_metadata_into_configuration_and_tokenizer) {
  const test::ScratchFolder folder;
  GgufFile file = one_tensor();
  file.u32("llama.block_count", 7).f32("llama.rope.freq_base", 10000.0f);
  file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.chat_template", "{{ x }}");
  file.key("tokenizer.ggml.tokens", GgufFile::kArray, GgufFile::texts_value({"a", "\u0120b"}));
  const auto source = open_source(folder.write("tiny-model.gguf", file.bytes()));
  EXPECT_EQ(source->default_name(), "tiny-model");
  EXPECT_EQ(source->config(), nlohmann::json::parse(R"({"general.architecture":"llama",
      "llama.block_count":7,"llama.rope.freq_base":10000.0})"));
  EXPECT_EQ(source->tokenizer().at("chat_template"), "{{ x }}");
  EXPECT_EQ(nlohmann::json::parse(source->tokenizer().at("gguf.json")),
            nlohmann::json::parse("{\"tokenizer.ggml.model\":\"gpt2\","
                                  "\"tokenizer.chat_template\":\"{{ x }}\","
                                  "\"tokenizer.ggml.tokens\":[\"a\",\"\u0120b\"]}"));
}

TEST(GgufHeaderTest, reads_every_type_of_value_and_arrays_in_arrays) {
  GgufFile file;
  file.version = 2;
  file.key("u8", GgufFile::kU8, packed(std::uint8_t{200}));
  file.key("i8", GgufFile::kI8, packed(std::int8_t{-5}));
  file.key("u16", GgufFile::kU16, packed(std::uint16_t{60000}));
  file.key("i16", GgufFile::kI16, packed(std::int16_t{-300}));
  file.u32("u32", 4000000000u);
  file.key("i32", GgufFile::kI32, packed(std::int32_t{-7}));
  file.f32("f32", 0.5f);
  file.key("bool", GgufFile::kBool, packed(std::uint8_t{1}));
  file.text("string", "\u00fc");
  file.key("u64", GgufFile::kU64, packed(std::uint64_t{1} << 63));
  file.key("i64", GgufFile::kI64, packed(std::int64_t{-1}));
  file.key("f64", GgufFile::kF64, packed(0.1));
  const std::string inner = GgufFile::array_value(GgufFile::kU8, 2, "\1\2");
  file.key("nested", GgufFile::kArray, GgufFile::array_value(GgufFile::kArray, 2, inner + inner));
  const GgufHeader header = parse(file.bytes());
  EXPECT_EQ(header.version, 2u);
  EXPECT_EQ(header.metadata, nlohmann::json::parse(R"({"u8":200,"i8":-5,"u16":60000,"i16":-300,
      "u32":4000000000,"i32":-7,"f32":0.5,"bool":true,"string":"ü","u64":9223372036854775808,
      "i64":-1,"f64":0.1,"nested":[[1,2],[1,2]]})"));
}

TEST(GgufHeaderTest, keeps_to_the_alignment_that_the_file_names) {
  GgufFile file;
  file.alignment = 64;
  file.u32("general.alignment", 64).tensor("a", kF32, {1}, "aaaa").tensor("b", kF32, {1}, "bbbb");
  const GgufHeader header = parse(file.bytes());
  EXPECT_EQ(header.tensors[0].offset % 64, 0u);
  EXPECT_EQ(header.tensors[1].offset, header.tensors[0].offset + 64);
  EXPECT_THAT(refusal(GgufFile().u32("general.alignment", 0)), HasSubstr("general.alignment is 0"));
  EXPECT_THAT(refusal(GgufFile().u32("general.alignment", 12)), HasSubstr("multiple of 8"));
  EXPECT_THAT(refusal(GgufFile().text("general.alignment", "x")), HasSubstr("multiple of 8"));
}

TEST(GgufHeaderTest, refuses_foreign_files_versions_and_byte_orders) {
  GgufFile file = one_tensor();
  EXPECT_EQ(refusal(file), "accepted");
  file.magic = 0x12345678;
  EXPECT_THAT(refusal(file), HasSubstr("no GGUF file"));
  file = one_tensor();
  file.version = 1;
  EXPECT_THAT(refusal(file), HasSubstr("version 1; wanted 2 or 3"));
  file.version = 0x03000000;
  EXPECT_THAT(refusal(file), HasSubstr("big-endian"));
  EXPECT_THAT(refusal(std::string("GG")), HasSubstr("no GGUF file"));
}

TEST(GgufHeaderTest, refuses_a_file_that_was_cut_anywhere) {
  const std::string whole = one_tensor().bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal(whole.substr(0, size)), "accepted") << size;
  }
}

TEST(GgufHeaderTest, refuses_absurd_counts_and_lengths) {
  GgufFile file = one_tensor();
  file.extra_tensors = std::int64_t{1} << 60;
  EXPECT_THAT(refusal(file), HasSubstr("tensors, "));
  file = one_tensor();
  file.extra_keys = -2;
  EXPECT_THAT(refusal(file), HasSubstr("18446744073709551615 metadata keys"));
  EXPECT_THAT(refusal(GgufFile().key("k", GgufFile::kString, packed(~std::uint64_t{0}))),
              AllOf(HasSubstr("metadata \"k\""), HasSubstr("18446744073709551615 bytes")));
  EXPECT_THAT(refusal(GgufFile().key("k", GgufFile::kArray,
                                     GgufFile::array_value(GgufFile::kU64, 1ull << 61, ""))),
              HasSubstr("claims an array of 2305843009213693952"));
  EXPECT_THAT(refusal(GgufFile().key("k", 13, "")), HasSubstr("value type 13"));
  std::string deep = GgufFile::array_value(GgufFile::kU8, 1, "x");
  for (int i = 0; i < 20; ++i) {
    deep = GgufFile::array_value(GgufFile::kArray, 1, deep);
  }
  EXPECT_THAT(refusal(GgufFile().key("k", GgufFile::kArray, deep)), HasSubstr("nested"));
}

TEST(GgufHeaderTest, refuses_what_stands_twice) {
  EXPECT_THAT(refusal(GgufFile().u32("k", 1).u32("k", 1)), HasSubstr("\"k\" stands twice"));
  EXPECT_THAT(refusal(GgufFile().tensor("w", kF32, {1}, "aaaa").tensor("w", kF32, {1}, "bbbb")),
              HasSubstr("\"w\" stands twice"));
}

TEST(GgufHeaderTest, refuses_tensors_that_cannot_be) {
  const auto with_info = [](std::uint32_t type, const std::vector<std::uint64_t>& shape,
                            std::uint64_t offset) {
    GgufFile file;
    return refusal(file.tensor("first", kF32, {16}, std::string(64, 'x'))
                       .tensor_info("w", type, shape, offset));
  };
  EXPECT_THAT(with_info(99, {1}, 0), AllOf(HasSubstr("\"w\""), HasSubstr("unknown type 99")));
  EXPECT_THAT(with_info(kF32, {1, 1, 1, 1, 1}, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(with_info(kF32, {1ull << 40, 1ull << 40}, 0), HasSubstr("more elements than can be"));
  EXPECT_THAT(with_info(kF32, {1ull << 62}, 0), HasSubstr("more bytes than can be"));
  EXPECT_THAT(with_info(kQ80, {2, 33}, 0), HasSubstr("rows of 33 elements"));
  EXPECT_THAT(with_info(kF32, {1}, 4), HasSubstr("multiple of the alignment 32"));
  EXPECT_THAT(with_info(kF32, {1}, 64), HasSubstr("may be cut short"));
  EXPECT_THAT(with_info(kF32, {1}, ~std::uint64_t{31}), HasSubstr("may be cut short"));
  EXPECT_THAT(with_info(kF32, {1}, 32), AllOf(HasSubstr("overlaps"), HasSubstr("\"first\"")));
}

TEST(GgufHeaderTest, refuses_broken_text_in_the_tokenizer_and_mends_it_elsewhere) {
  EXPECT_THAT(refusal(GgufFile().text("tokenizer.ggml.model", "\xff")), HasSubstr("no UTF-8"));
  EXPECT_EQ(parse(GgufFile().text("general.description", "a\xff").bytes())
                .metadata.at("general.description"),
            "a\ufffd");
}

TEST(GgufSourceTest, types_that_cannot_be_read_are_refused_by_name_when_read) {
  const test::ScratchFolder folder;
  GgufFile file = one_tensor();
  file.tensor("iq", kIq2Xxs, {256}, std::string(66, 'x'));
  const auto source = open_source(folder.write("m.gguf", file.bytes()));
  const SourceTensor& iq = source->tensors()[0];
  EXPECT_FALSE(iq.readable);
  std::vector<float> values(256);
  try {
    source->read_rows(iq, {0, 1}, DType::f32, reinterpret_cast<std::byte*>(values.data()));
    FAIL();
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("m.gguf"), HasSubstr("\"iq\" is IQ2_XXS")));
  }
}

TEST(GgufSourceTest, one_part_of_a_model_is_refused) {
  const test::ScratchFolder folder;
  GgufFile file = one_tensor();
  file.key("split.count", GgufFile::kU16, packed(std::uint16_t{3}));
  const auto path = folder.write("m-00001-of-00003.gguf", file.bytes());
  EXPECT_THAT([&] { open_source(path); },
              testing::ThrowsMessage<ModelFileError>(HasSubstr("one of 3 parts")));
  EXPECT_NO_THROW(open_source(folder.write(
      "whole.gguf",
      one_tensor().key("split.count", GgufFile::kU16, packed(std::uint16_t{1})).bytes())));
}

}  // namespace
}  // namespace tutti
