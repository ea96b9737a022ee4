// From a source to a model file and back: values, order, failures.
#include "runtime/weights/import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "kernels/error.hpp"
#include "runtime/weights/model_file.hpp"
#include "runtime/weights/rearrange.hpp"
#include "tests/support/gguf_file.hpp"
#include "tests/support/safetensors_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using test::GgufFile;
using test::packed_as;
using test::SafetensorsFile;
using test::ScratchFolder;
using testing::AllOf;
using testing::HasSubstr;

// Whole numbers below 2^8, exact in every type, different in neighbouring places.
std::vector<float> numbers(std::int64_t rows, std::int64_t columns) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    values.push_back(static_cast<float>((i * 7 + i / columns) % 251));
  }
  return values;
}

std::string bytes_of(const ModelFile& file, const std::string& name) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr) {
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }
  std::string bytes(tensor->bytes(), '\0');
  file.read_rows(*tensor, {0, tensor->rows()}, {},
                 [&](std::int64_t first, std::span<const std::byte> rows) {
                   std::memcpy(bytes.data() + static_cast<std::size_t>(first) * tensor->row_bytes(),
                               rows.data(), rows.size());
                 });
  return bytes;
}

ImportJob job_of(const ScratchFolder& folder, std::vector<ImportTensor> tensors) {
  return {.name = "tiny",
          .source = folder.path().string(),
          .config = {{"layers", 1}},
          .original_config = "{}",
          .tokenizer = {{"tokenizer.json", "{\"x\":1}"}},
          .tensors = std::move(tensors)};
}

std::size_t entries_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

class ImportTest : public testing::Test {
 protected:
  // A folder with one matrix "w" [rows, columns] and a vector "n" [columns], both f32.
  std::unique_ptr<TensorSource> source(std::int64_t rows, std::int64_t columns) {
    in_.write("config.json", "{}");
    in_.write("model.safetensors",
              SafetensorsFile()
                  .add("w", "F32", {rows, columns}, packed_as(DType::f32, numbers(rows, columns)))
                  .add("n", "F32", {columns}, packed_as(DType::f32, numbers(1, columns)))
                  .add("i", "I64", {1}, std::string(8, '\0'))
                  .text());
    return open_source(in_.path());
  }

  std::string refusal(const TensorSource& from, const std::vector<ImportTensor>& tensors) {
    try {
      import_model(from, job_of(in_, tensors), out(), {});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path out() const { return out_.path() / "m.h5"; }

  ScratchFolder in_;
  ScratchFolder out_;
};

TEST_F(ImportTest, keeps_bytes_where_nothing_is_to_change) {
  const auto from = source(1000, 3000);  // more than one block
  const ImportReport report = import_model(
      *from, job_of(in_, {{"w.stored", "w", DType::f32}, {"n.stored", "n", DType::f32}}), out(),
      {});
  EXPECT_EQ(report.bytes, 4u * (1000 * 3000 + 3000));
  const ModelFile file(out());
  EXPECT_EQ(file.identity().fingerprint, report.fingerprint);
  EXPECT_EQ(file.identity().name, "tiny");
  EXPECT_EQ(file.tokenizer().at("tokenizer.json"), "{\"x\":1}");
  EXPECT_EQ(bytes_of(file, "w.stored"), packed_as(DType::f32, numbers(1000, 3000)));
  EXPECT_EQ(bytes_of(file, "n.stored"), packed_as(DType::f32, numbers(1, 3000)));
  EXPECT_EQ(file.find("w.stored")->source_name, "w");
  EXPECT_TRUE(verify(file, 1, [](std::uint64_t) {}).empty());
  EXPECT_EQ(entries_in(out_.path()), 1u);
}

TEST_F(ImportTest, transposes_and_changes_the_type) {
  constexpr std::int64_t kRows = 700;  // no multiple of a tile, more than one block
  constexpr std::int64_t kColumns = 1999;
  const auto from = source(kRows, kColumns);
  const std::vector<float> values = numbers(kRows, kColumns);
  std::vector<float> wanted;
  for (std::int64_t c = 0; c < kColumns; ++c) {
    for (std::int64_t r = 0; r < kRows; ++r) {
      wanted.push_back(values[static_cast<std::size_t>(r * kColumns + c)]);
    }
  }
  for (DType dtype : {DType::f32, DType::bf16}) {
    import_model(*from, job_of(in_, {{"t", "w", dtype, true}}), out(), {.overwrite = true});
    const ModelFile file(out());
    EXPECT_EQ(file.find("t")->shape, (std::vector<std::int64_t>{kColumns, kRows}));
    EXPECT_EQ(bytes_of(file, "t"), packed_as(dtype, wanted)) << name_of(dtype);
  }
}

// As experts lie in safetensors: one tensor each.
TEST_F(ImportTest, stores_what_has_one_name_below_each_other) {
  constexpr std::int64_t kRows = 9, kColumns = 40;
  const auto from = source(kRows, kColumns);
  import_model(*from,
               job_of(in_, {{"twice", "w", DType::f32},
                            {"twice", "w", DType::f32},
                            {"turned", "w", DType::bf16, true},
                            {"turned", "w", DType::bf16, true},
                            {"alone", "n", DType::f32}}),
               out(), {});
  const ModelFile file(out());
  ASSERT_EQ(file.tensors().size(), 3u);
  const std::string once = packed_as(DType::f32, numbers(kRows, kColumns));
  EXPECT_EQ(file.find("twice")->shape, (std::vector<std::int64_t>{2 * kRows, kColumns}));
  EXPECT_EQ(bytes_of(file, "twice"), once + once);
  EXPECT_EQ(file.find("turned")->shape, (std::vector<std::int64_t>{2 * kColumns, kRows}));
  const std::string turned = bytes_of(file, "turned");
  EXPECT_EQ(turned.substr(0, turned.size() / 2), turned.substr(turned.size() / 2));
}

// As experts lie in GGUF files: three dimensions, each matrix turned by itself.
TEST_F(ImportTest, reads_a_tensor_with_other_dimensions_and_takes_some_rows) {
  const auto from = source(6, 8);  // two experts of [6, 4], as [12, 4]
  const std::vector<float> values = numbers(6, 8);
  const auto expert = [](std::int64_t e, bool transpose) {
    return ImportTensor{.name = transpose ? "turned" : "plain",
                        .source_name = "w",
                        .dtype = DType::f32,
                        .transpose = transpose,
                        .read_as = {12, 4},
                        .source_rows = {6 * e, 6 * e + 6}};
  };
  import_model(*from,
               job_of(in_, {expert(1, false), expert(0, false), expert(0, true), expert(1, true)}),
               out(), {});
  std::vector<float> plain(values.begin() + 24, values.end());
  plain.insert(plain.end(), values.begin(), values.begin() + 24);
  std::vector<float> turned;
  for (std::size_t e = 0; e < 2; ++e) {
    for (std::size_t c = 0; c < 4; ++c) {
      for (std::size_t r = 0; r < 6; ++r) {
        turned.push_back(values[(6 * e + r) * 4 + c]);
      }
    }
  }
  const ModelFile file(out());
  EXPECT_EQ(file.find("plain")->shape, (std::vector<std::int64_t>{12, 4}));
  EXPECT_EQ(bytes_of(file, "plain"), packed_as(DType::f32, plain));
  EXPECT_EQ(file.find("turned")->shape, (std::vector<std::int64_t>{8, 6}));
  EXPECT_EQ(bytes_of(file, "turned"), packed_as(DType::f32, turned));
}

TEST_F(ImportTest, refuses_what_does_not_lie_together) {
  const auto from = source(6, 8);
  EXPECT_THAT(refusal(*from, {{"x", "w", DType::f32}, {"x", "w", DType::bf16}}),
              AllOf(HasSubstr("becomes bf16 8 wide"), HasSubstr("above it is f32 8 wide")));
  EXPECT_THAT(refusal(*from, {{"x", "w", DType::f32}, {"x", "w", DType::f32, true}}),
              HasSubstr("becomes f32 6 wide"));
  EXPECT_THAT(refusal(*from, {{.name = "x", .source_name = "w", .read_as = {5, 8}}}),
              HasSubstr("is [6, 8], which cannot be read as [5, 8]"));
  EXPECT_THAT(refusal(*from, {{.name = "x", .source_name = "w", .source_rows = {4, 7}}}),
              HasSubstr("wanted rows 4..7"));
}

TEST_F(ImportTest, puts_rotary_pairs_half_a_head_apart) {
  constexpr int kHeads = 30;
  constexpr std::int64_t kHead = 10;
  constexpr std::int64_t kColumns = 5000;  // heads do not fill blocks evenly
  const auto from = source(kHeads * kHead, kColumns);
  const std::vector<float> values = numbers(kHeads * kHead, kColumns);
  std::vector<float> wanted;
  for (std::int64_t head = 0; head < kHeads; ++head) {
    for (std::int64_t row : {0, 2, 4, 6, 8, 1, 3, 5, 7, 9}) {
      const auto begin = values.begin() + (head * kHead + row) * kColumns;
      wanted.insert(wanted.end(), begin, begin + kColumns);
    }
  }
  import_model(*from, job_of(in_, {{"q", "w", DType::f16, false, kHeads}}), out(), {});
  EXPECT_EQ(bytes_of(ModelFile(out()), "q"), packed_as(DType::f16, wanted));
}

TEST_F(ImportTest, splits_the_rows_of_a_bias_too) {
  const auto from = source(2, 12);
  import_model(*from, job_of(in_, {{"b", "n", DType::f32, false, 2}}), out(), {});
  const std::vector<float> n = numbers(1, 12);
  EXPECT_EQ(bytes_of(ModelFile(out()), "b"),
            packed_as(DType::f32,
                      {n[0], n[2], n[4], n[1], n[3], n[5], n[6], n[8], n[10], n[7], n[9], n[11]}));
}

TEST_F(ImportTest, dequantises_and_gives_the_same_file_for_any_number_of_threads) {
  GgufFile file;
  const std::string block = test::packed(to_f16(2.0f)) + test::packed(to_f16(-1.0f)) +
                            std::string(16, '\x21');  // Q4_1: 2 * q - 1, q = 1 and 2
  std::vector<ImportTensor> tensors;
  for (int i = 0; i < 20; ++i) {
    const std::string name = fmt::format("t{}", i);
    file.tensor(name, 3, {8, 32}, block + block + block + block + block + block + block + block);
    tensors.push_back({name, name, DType::bf16, i % 2 == 0});
  }
  const auto from = open_source(in_.write("m.gguf", file.bytes()));
  const ImportJob job = job_of(in_, tensors);
  const ImportReport one = import_model(*from, job, out(), {.threads = 1});
  const ImportReport many = import_model(*from, job, out(), {.threads = 5, .overwrite = true});
  EXPECT_EQ(one.fingerprint, many.fingerprint);
  const ModelFile model(out());
  std::vector<float> row(16, 1.0f);
  row.insert(row.end(), 16, 3.0f);
  EXPECT_EQ(bytes_of(model, "t1").substr(0, 64), packed_as(DType::bf16, row));
  EXPECT_EQ(bytes_of(model, "t2").substr(0, 16), packed_as(DType::bf16, std::vector<float>(8, 1)));
}

TEST_F(ImportTest, reports_progress_up_to_the_whole) {
  const auto from = source(1000, 3000);
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  std::atomic<int> inside = 0;
  bool alone = true;
  import_model(
      *from,
      job_of(in_, {{"a", "w", DType::f32}, {"b", "w", DType::f32, true}, {"c", "n", DType::f32}}),
      out(), {.threads = 3, .on_progress = [&](std::uint64_t done, std::uint64_t all) {
                alone = alone && ++inside == 1;
                EXPECT_GT(done, last);
                last = done;
                total = all;
                --inside;
              }});
  EXPECT_TRUE(alone);
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 4u * (2 * 1000 * 3000 + 3000));
}

TEST_F(ImportTest, names_what_the_source_lacks_or_has_otherwise) {
  const auto from = source(6, 4);
  EXPECT_THAT(refusal(*from, {{"x", "missing", DType::f32}}),
              AllOf(HasSubstr("\"missing\" (for x) is missing"), HasSubstr(in_.path().string())));
  EXPECT_THAT(refusal(*from, {{"x", "n", DType::f32, true}}), HasSubstr("wanted two dimensions"));
  EXPECT_THAT(refusal(*from, {{"x", "i", DType::f32}}), HasSubstr("stored as I64"));
  EXPECT_THAT(refusal(*from, {{"x", "w", DType::f32, false, 2}}),
              HasSubstr("2 heads of even size"));
  EXPECT_EQ(entries_in(out_.path()), 0u);
}

TEST_F(ImportTest, leaves_an_existing_output_alone_unless_told) {
  const auto from = source(6, 4);
  out_.write("m.h5", "precious");
  EXPECT_THROW(import_model(*from, job_of(in_, {{"x", "w", DType::f32}}), out(), {}), ConfigError);
  EXPECT_EQ(std::filesystem::file_size(out()), 8u);
  EXPECT_EQ(entries_in(out_.path()), 1u);
  import_model(*from, job_of(in_, {{"x", "w", DType::f32}}), out(), {.overwrite = true});
  EXPECT_EQ(ModelFile(out()).tensors().size(), 1u);
}

TEST_F(ImportTest, leaves_nothing_behind_when_the_source_shrinks_meanwhile) {
  const auto from = source(1000, 3000);
  std::filesystem::resize_file(in_.path() / "model.safetensors", 5'000'000);
  for (int threads : {1, 4}) {
    const ImportJob job = job_of(
        in_, {{"a", "w", DType::f32}, {"b", "w", DType::f32, true}, {"c", "w", DType::bf16}});
    EXPECT_THROW(import_model(*from, job, out(), {.threads = threads}), ModelFileError);
    EXPECT_EQ(entries_in(out_.path()), 0u);
  }
}

TEST_F(ImportTest, leaves_nothing_behind_when_the_progress_callback_throws) {
  const auto from = source(6, 4);
  const ImportOptions options{
      .threads = 2, .on_progress = [](std::uint64_t, std::uint64_t) { throw ConfigError("stop"); }};
  EXPECT_THROW(import_model(*from, job_of(in_, {{"x", "w", DType::f32}}), out(), options),
               ConfigError);
  EXPECT_EQ(entries_in(out_.path()), 0u);
}

}  // namespace
}  // namespace tutti
