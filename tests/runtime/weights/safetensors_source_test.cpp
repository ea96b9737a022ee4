// Hugging Face folders: what is read from sound ones, and how broken ones are refused.
#include "runtime/weights/safetensors_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/weights/safetensors_header.hpp"
#include "tests/support/safetensors_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using test::packed_as;
using test::SafetensorsFile;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};

SafetensorsFile two_tensors() {
  SafetensorsFile file;
  file.add("b", "BF16", {3, 2}, packed_as(DType::bf16, kSix));
  file.add("a", "F32", {6}, packed_as(DType::f32, kSix));
  return file;
}

std::vector<float> rows_of(const TensorSource& source, const std::string& name, Range rows) {
  for (const SourceTensor& tensor : source.tensors()) {
    if (tensor.name == name) {
      std::vector<float> values(static_cast<std::size_t>(rows.size() * tensor.row_elements()));
      source.read_rows(tensor, rows, DType::f32, reinterpret_cast<std::byte*>(values.data()));
      return values;
    }
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

std::string refusal(const std::string& file) {
  const InputBytes input("m.safetensors", std::as_bytes(std::span(file)));
  try {
    parse_safetensors_header(input);
  } catch (const ModelFileError& error) {
    return error.what();
  }
  return "accepted";
}

std::string refusal_of_folder(const test::ScratchFolder& folder) {
  try {
    open_source(folder.path());
  } catch (const ModelFileError& error) {
    return error.what();
  }
  return "accepted";
}

// One tensor entry, as JSON, over `bytes` bytes of data.
std::string with_entry(const std::string& entry, std::size_t bytes) {
  return SafetensorsFile::from_parts("{\"w\":" + entry + "}", std::string(bytes, 'x'));
}

TEST(SafetensorsSourceTest, reads_rows_as_any_type_from_a_single_file) {
  const test::ScratchFolder folder;
  folder.write("config.json", R"({"model_type":"llama"})");
  folder.write("model.safetensors", two_tensors().text());
  const auto source = open_source(folder.path());
  EXPECT_EQ(source->format(), "safetensors");
  EXPECT_EQ(source->default_name(), folder.path().filename().string());
  EXPECT_EQ(source->config().at("model_type"), "llama");
  ASSERT_EQ(source->tensors().size(), 2u);
  const SourceTensor& a = source->tensors()[0];
  const SourceTensor& b = source->tensors()[1];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.encoding, "F32");
  EXPECT_EQ(a.bytes, 24u);
  EXPECT_EQ(b.dtype, DType::bf16);
  EXPECT_THAT(b.shape, ElementsAre(3, 2));
  EXPECT_THAT(rows_of(*source, "b", {1, 3}), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(rows_of(*source, "a", {2, 5}), ElementsAre(3, 4, 5));
  std::string halves(12, '\0');
  source->read_rows(a, {0, 6}, DType::f16, reinterpret_cast<std::byte*>(halves.data()));
  EXPECT_EQ(halves, packed_as(DType::f16, kSix));
  EXPECT_THROW(rows_of(*source, "a", {2, 7}), ModelFileError);
}

TEST(SafetensorsSourceTest, follows_the_index_and_ignores_other_files) {
  const test::ScratchFolder folder;
  folder.write("config.json", "{}");
  folder.write("part-1.safetensors", SafetensorsFile().add("a", "F32", {1}, "aaaa").text());
  folder.write("part-2.safetensors", SafetensorsFile().add("b", "F32", {1}, "bbbb").text());
  folder.write("consolidated.safetensors", "not even a safetensors file");
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"a":"part-1.safetensors","b":"part-2.safetensors"}})");
  const auto source = open_source(folder.path());
  ASSERT_EQ(source->tensors().size(), 2u);
  EXPECT_EQ(source->tensors()[1].name, "b");
}

TEST(SafetensorsSourceTest, takes_all_files_where_there_is_no_index) {
  const test::ScratchFolder folder;
  folder.write("config.json", "{}");
  folder.write("x.safetensors", SafetensorsFile().add("a", "F32", {1}, "aaaa").text());
  folder.write("y.safetensors", SafetensorsFile().add("b", "F32", {1}, "bbbb").text());
  EXPECT_EQ(open_source(folder.path())->tensors().size(), 2u);
  folder.write("z.safetensors", SafetensorsFile().add("b", "F32", {1}, "bbbb").text());
  EXPECT_THAT(refusal_of_folder(folder), AllOf(HasSubstr("\"b\""), HasSubstr("also in")));
}

TEST(SafetensorsSourceTest, collects_the_tokenizer_and_prefers_the_template_file) {
  const test::ScratchFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", two_tensors().text());
  folder.write("tokenizer.json", "{}");
  folder.write("tokenizer.model", std::string("\0\1", 2));
  folder.write("tokenizer_config.json", R"({"chat_template":"old"})");
  TokenizerAssets assets = open_source(folder.path())->tokenizer();
  EXPECT_EQ(assets.at("tokenizer.model"), std::string("\0\1", 2));
  EXPECT_EQ(assets.at("chat_template"), "old");
  EXPECT_EQ(assets.count("generation_config.json"), 0u);
  folder.write(
      "tokenizer_config.json",
      R"({"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]})");
  EXPECT_EQ(open_source(folder.path())->tokenizer().at("chat_template"), "d");
  folder.write("chat_template.jinja", "new");
  EXPECT_EQ(open_source(folder.path())->tokenizer().at("chat_template"), "new");
}

TEST(SafetensorsSourceTest, names_a_snapshot_of_the_cache_by_its_model) {
  const test::ScratchFolder scratch;
  const auto folder = scratch.path() / "models--org--tiny" / "snapshots" / "0123abcd";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << "{}";
  std::ofstream(folder / "model.safetensors") << two_tensors().text();
  EXPECT_EQ(open_source(folder)->default_name(), "org/tiny");
}

TEST(SafetensorsSourceTest, types_that_cannot_be_read_matter_only_when_read) {
  const test::ScratchFolder folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", SafetensorsFile()
                                        .add("ids", "I64", {2}, std::string(16, '\0'))
                                        .add("wide", "F64", {1}, std::string(8, '\0'))
                                        .add("new", "F3_X", {5}, std::string(7, '\0'))
                                        .add("w", "F32", {1}, "wwww")
                                        .text());
  const auto source = open_source(folder.path());
  for (const SourceTensor& tensor : source->tensors()) {
    EXPECT_EQ(tensor.readable, tensor.name == "w");
    EXPECT_EQ(tensor.dtype.has_value(), tensor.name == "w");
  }
  try {
    rows_of(*source, "wide", {0, 1});
    FAIL();
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("model.safetensors"), HasSubstr("\"wide\" is F64")));
  }
}

TEST(SafetensorsSourceTest, refuses_folders_that_lack_something) {
  const test::ScratchFolder folder;
  EXPECT_THAT(refusal_of_folder(folder), HasSubstr("found none"));
  folder.write("pytorch_model.bin", "");
  EXPECT_THAT(refusal_of_folder(folder), HasSubstr("pytorch_model.bin: convert it"));
  folder.write("model.safetensors", two_tensors().text());
  EXPECT_THAT(refusal_of_folder(folder), HasSubstr("config.json"));
  folder.write("config.json", "{");
  EXPECT_THAT(refusal_of_folder(folder), AllOf(HasSubstr("config.json"), HasSubstr("JSON")));
  EXPECT_THROW(open_source(folder.path() / "missing"), ModelFileError);
  EXPECT_THROW(open_source(folder.path() / "model.safetensors"), ModelFileError);
}

TEST(SafetensorsSourceTest, refuses_an_index_that_does_not_fit_the_files) {
  const test::ScratchFolder folder;
  folder.write("config.json", "{}");
  folder.write("p.safetensors", SafetensorsFile().add("a", "F32", {1}, "aaaa").text());
  const auto with_index = [&](const std::string& text) {
    folder.write("model.safetensors.index.json", text);
    return refusal_of_folder(folder);
  };
  EXPECT_THAT(with_index("[]"), HasSubstr("weight_map"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":"q.safetensors"}})"),
              AllOf(HasSubstr("q.safetensors"), HasSubstr("\"a\""), HasSubstr("not there")));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":"../p.safetensors"}})"), HasSubstr("beside it"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":".."}})"), HasSubstr("beside it"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":7}})"), HasSubstr("beside it"));
  EXPECT_THAT(with_index(R"({"weight_map":{"b":"p.safetensors"}})"),
              AllOf(HasSubstr("\"b\""), HasSubstr("nowhere")));
}

TEST(SafetensorsHeaderTest, skips_metadata_and_takes_padding_scalars_and_empty_tensors) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
      R"("e":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]}}    )";
  const std::string file = SafetensorsFile::from_parts(header, "xxxx");
  const InputBytes input("m", std::as_bytes(std::span(file)));
  const auto entries = parse_safetensors_header(input);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "s");
  EXPECT_EQ(entries[0].offset, 8 + header.size());
  EXPECT_TRUE(entries[0].shape.empty());
  EXPECT_EQ(entries[1].bytes, 0u);
}

TEST(SafetensorsHeaderTest, refuses_lengths_and_text_that_cannot_be) {
  EXPECT_THAT(refusal(""), HasSubstr("too few"));
  EXPECT_THAT(refusal(test::packed(~std::uint64_t{0}) + "{}"), HasSubstr("18446744073709551615"));
  EXPECT_THAT(refusal(test::packed(std::uint64_t{3}) + "{}"), HasSubstr("cut short"));
  EXPECT_THAT(refusal(test::packed(std::uint64_t{0}) + "{}"), HasSubstr("does not start"));
  EXPECT_THAT(refusal(SafetensorsFile::from_parts(" {}", "")), HasSubstr("does not start"));
  EXPECT_THAT(refusal(SafetensorsFile::from_parts("{\"a\":", "")), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(SafetensorsFile::from_parts("{\"a\":[[[[1]]]]}", "")), HasSubstr("deeper"));
}

TEST(SafetensorsHeaderTest, refuses_entries_that_are_not_as_the_format_has_them) {
  EXPECT_THAT(refusal(with_entry("7", 0)), HasSubstr("\"w\": wanted an object"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","data_offsets":[0,4]})", 4)),
              HasSubstr("\"shape\" to be an array"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4)),
              HasSubstr("unsigned"));
  EXPECT_THAT(refusal(with_entry(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", 4)),
              HasSubstr("unsigned"));
  EXPECT_THAT(
      refusal(SafetensorsFile().add("w", "F32", {1}, "aaaa").add("w", "F32", {1}, "bbbb").text()),
      HasSubstr("\"w\" stands twice"));
}

TEST(SafetensorsHeaderTest, refuses_offsets_and_shapes_that_do_not_fit) {
  const auto entry = [](const std::string& shape, const std::string& offsets, std::size_t bytes) {
    return refusal(with_entry(
        R"({"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}", bytes));
  };
  EXPECT_EQ(entry("1", "0,4", 4), "accepted");
  EXPECT_THAT(entry("1", "0,4", 3), HasSubstr("not a range within the 3 bytes"));
  EXPECT_THAT(entry("1", "4,0", 4), HasSubstr("[4, 0]"));
  EXPECT_THAT(entry("1", "0", 4), HasSubstr("[0]"));
  EXPECT_THAT(entry("2", "0,4", 4), HasSubstr("wants 8 bytes, its offsets span 4"));
  EXPECT_THAT(entry("4294967296,4294967296", "0,4", 4), HasSubstr("more elements than can be"));
  EXPECT_THAT(entry("0,4294967296,4294967296", "0,0", 0), HasSubstr("more elements than can be"));
  EXPECT_THAT(entry("1", "0,4", 5), HasSubstr("wanted no bytes behind them"));
  EXPECT_THAT(entry("1", "1,5", 5), HasSubstr("leaves a gap after the header"));
}

TEST(SafetensorsHeaderTest, refuses_tensors_that_overlap) {
  const std::string file =
      SafetensorsFile::from_parts(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                  R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
                                  "1234567");
  EXPECT_THAT(refusal(file), AllOf(HasSubstr("\"b\""), HasSubstr("overlaps a")));
}

}  // namespace
}  // namespace tutti
