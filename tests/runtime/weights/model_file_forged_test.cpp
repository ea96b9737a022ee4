// Files that are sound HDF5 but not what the format says, and layouts that HDF5 alone can read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <cstdlib>

#include "kernels/error.hpp"
#include "runtime/weights/hdf5_types.hpp"
#include "runtime/weights/model_catalog.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/runtime/weights/forged_model.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class ForgedModel : public testing::Test {
 protected:
  // The message of the refusal, or "" where it opens.
  std::string refusal(const test::Forgery& forgery) {
    forgery.write(folder_ / "m.h5");
    try {
      const ModelFile file(folder_ / "m.h5", {.check = false});
    } catch (const ModelFileError& error) {
      return error.what();
    }
    return "";
  }
  test::ScratchFolder folder_;
};

TEST_F(ForgedModel, TheUnchangedOneOpens) {
  EXPECT_EQ(refusal({}), "");
}

TEST_F(ForgedModel, AWrongFingerprintIsRefusedUnlessUnchecked) {
  test::Forgery().write(folder_ / "m.h5");
  EXPECT_THAT([&] { ModelFile{folder_ / "m.h5"}; },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("fingerprint"), HasSubstr("bbbb"))));
}

TEST_F(ForgedModel, AForeignHdf5FileIsRefused) {
  EXPECT_THAT(refusal({.missing = "/@format"}),
              AllOf(HasSubstr("m.h5"), HasSubstr("not a model file"), HasSubstr("tutti-model")));
  EXPECT_THAT(refusal({.format = "keras"}), AllOf(HasSubstr("tutti-model"), HasSubstr("keras")));
}

TEST_F(ForgedModel, AnotherVersionIsRefusedWithBothNumbers) {
  EXPECT_THAT(refusal({.version = 2}), AllOf(HasSubstr("wanted 1"), HasSubstr("found 2")));
}

TEST_F(ForgedModel, EveryMissingPieceIsNamed) {
  for (const char* piece : {"config", "tokenizer", "weights", "blocks", "config/canonical.json",
                            "config/original", "blocks/w"}) {
    EXPECT_THAT(refusal({.missing = piece}), AllOf(HasSubstr("m.h5"), HasSubstr(piece))) << piece;
  }
  for (const char* piece :
       {"/@format_version", "/@name", "/@source", "/@created_by", "/@fingerprint",
        "weights/w@dtype", "weights/w@sha256", "weights/w@source_name", "blocks/w@block_rows"}) {
    const std::string_view name = piece;
    const std::size_t at = name.find('@');
    EXPECT_THAT(refusal({.missing = piece}),
                AllOf(HasSubstr("m.h5"), HasSubstr(std::string(name.substr(0, at))),
                      HasSubstr(std::string(name.substr(at + 1)))))
        << piece;
  }
}

TEST_F(ForgedModel, AFileThatWasNeverFinishedIsRefused) {
  EXPECT_THAT(refusal({.fingerprint = std::string(64, '0')}), HasSubstr("never finished"));
  EXPECT_THAT(refusal({.sha256 = std::string(64, '0')}), HasSubstr("never finished"));
}

TEST_F(ForgedModel, DigestsThatAreNoneAreRefused) {
  EXPECT_THAT(refusal({.sha256 = "abc"}), AllOf(HasSubstr("weights/w"), HasSubstr("hex")));
  EXPECT_THAT(refusal({.fingerprint = std::string(64, 'X')}), HasSubstr("hex"));
}

TEST_F(ForgedModel, TypesAndShapesThatDisagreeAreRefused) {
  EXPECT_THAT(refusal({.dtype = "f16"}),
              AllOf(HasSubstr("weights/w"), HasSubstr("f16"), HasSubstr("bf16")));
  EXPECT_THAT(refusal({.dtype = "f64"}), HasSubstr("f64"));
  EXPECT_THAT(refusal({.stored = DType::f32}), HasSubstr("f32"));
  EXPECT_THAT(refusal({.shape = {2, 2, 3}, .block_rows = 2}), HasSubstr("[2, 2, 3]"));
  EXPECT_THAT(refusal({.block_rows = 0}), AllOf(HasSubstr("block_rows"), HasSubstr("1..4")));
  EXPECT_THAT(refusal({.block_rows = 5}), HasSubstr("block_rows"));
  EXPECT_THAT(refusal({.block_rows = ~std::uint64_t{0}}), HasSubstr("block_rows"));
  EXPECT_THAT(refusal({.blocks = 2}), AllOf(HasSubstr("blocks/w"), HasSubstr("wanted [1]")));
}

TEST_F(ForgedModel, AConfigThatIsNoObjectIsRefused) {
  for (const char* config : {"", "[]", "{", "7", "{\"a\": 1} x"}) {
    EXPECT_THAT(refusal({.config = config}),
                AllOf(HasSubstr("config/canonical.json"), HasSubstr("JSON")));
  }
}

TEST_F(ForgedModel, AbsurdSizesAreRefused) {
  test::Forgery().write(folder_ / "m.h5");
  const Hdf5Scope scope;
  const auto replace = [&](std::vector<hsize_t> extents, const char* name, bool chunked) {
    const std::filesystem::path path = folder_ / "m.h5";
    const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    H5Ldelete(file.get(), name, H5P_DEFAULT);
    const Hdf5Handle space(
        H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose);
    const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    if (chunked) {
      const std::vector<hsize_t> chunk(extents.size(), 16);
      H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
    }
    const Hdf5Handle type = hdf5_type(DType::bf16);
    ASSERT_TRUE(Hdf5Handle(H5Dcreate2(file.get(), name, type.get(), space.get(), H5P_DEFAULT,
                                      creation.get(), H5P_DEFAULT),
                           H5Dclose)
                    .valid());
  };
  for (bool chunked : {false, true}) {
    replace({hsize_t{1} << 31, 1 << 20}, "weights/w", chunked);
    EXPECT_THAT([&] { ModelFile{folder_ / "m.h5"}; },
                ThrowsMessage<ModelFileError>(AllOf(HasSubstr("weights/w"), HasSubstr("wants"))));
    replace({hsize_t{1} << 40, hsize_t{1} << 40}, "weights/w", true);
    EXPECT_THAT([&] { ModelFile{folder_ / "m.h5"}; },
                ThrowsMessage<ModelFileError>(AllOf(HasSubstr("weights/w"), HasSubstr("absurd"))));
  }
}

TEST_F(ForgedModel, DataInOtherFilesAreRefused) {
  test::Forgery().write(folder_ / "m.h5");
  const std::filesystem::path path = folder_ / "m.h5";
  const Hdf5Scope scope;
  {
    const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    H5Lcreate_external("other.h5", "/x", file.get(), "tokenizer/x", H5P_DEFAULT, H5P_DEFAULT);
  }
  EXPECT_THAT([&] { ModelFile{path}; },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("tokenizer/x"), HasSubstr("link"))));
  {
    const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    H5Ldelete(file.get(), "tokenizer/x", H5P_DEFAULT);
    const hsize_t size = 10;
    const Hdf5Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
    const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_external(creation.get(), "/etc/hostname", 0, 10);
    const Hdf5Handle dataset(H5Dcreate2(file.get(), "tokenizer/x", H5T_STD_U8LE, space.get(),
                                        H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                             H5Dclose);
  }
  EXPECT_THAT([&] { ModelFile{path}; },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("tokenizer/x"), HasSubstr("outside"))));
}

// Moves a tensor's data into compressed chunks, as h5repack would.
void compress(const std::filesystem::path& path, const std::string& name) {
  const Hdf5Scope scope;
  test::Bytes bytes;
  std::vector<hsize_t> extents;
  const ModelFile before(path);
  bytes = test::read(before, name);
  extents.assign(before.find(name)->shape.begin(), before.find(name)->shape.end());
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  const std::string old = "weights/" + name;
  const Hdf5Handle space(
      H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose);
  const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const std::vector<hsize_t> chunk{100, 64};
  ASSERT_GE(H5Pset_chunk(creation.get(), 2, chunk.data()), 0);
  ASSERT_GE(H5Pset_deflate(creation.get(), 1), 0);
  const Hdf5Handle type = hdf5_type(before.find(name)->dtype);
  const Hdf5Handle dataset(H5Dcreate2(file.get(), "new", type.get(), space.get(), H5P_DEFAULT,
                                      creation.get(), H5P_DEFAULT),
                           H5Dclose);
  ASSERT_GE(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), 0);
  const Hdf5Handle from(H5Dopen2(file.get(), old.c_str(), H5P_DEFAULT), H5Dclose);
  for (const char* attribute : {"dtype", "sha256", "source_name"}) {
    const Hdf5Handle source(H5Aopen(from.get(), attribute, H5P_DEFAULT), H5Aclose);
    const Hdf5Handle text(H5Aget_type(source.get()), H5Tclose);
    std::string value(H5Tget_size(text.get()), ' ');
    H5Aread(source.get(), text.get(), value.data());
    const Hdf5Handle scalar(H5Screate(H5S_SCALAR), H5Sclose);
    const Hdf5Handle copy(
        H5Acreate2(dataset.get(), attribute, text.get(), scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
    ASSERT_GE(H5Awrite(copy.get(), text.get(), value.data()), 0);
  }
  ASSERT_GE(H5Ldelete(file.get(), old.c_str(), H5P_DEFAULT), 0);
  ASSERT_GE(H5Lmove(file.get(), "new", file.get(), old.c_str(), H5P_DEFAULT, H5P_DEFAULT), 0);
}

TEST(ModelFileFallback, CompressedChunksReadTheSameAsPlainBytes) {
  const test::ScratchFolder folder;
  const auto path = folder / "m.h5";
  test::write_model(path, test::blocks_contents());
  compress(path, "big");
  const ModelFile file(path);
  const TensorInfo& big = *file.find("big");
  ASSERT_FALSE(file.catalog()
                   .storage[static_cast<std::size_t>(&big - file.tensors().data())]
                   .offset.has_value());
  const test::Bytes all = test::tensor_bytes(big, 1);
  for (const Range rows : {Range{0, 5000}, Range{2047, 2049}, Range{99, 4321}}) {
    for (const ReadOptions& options : {ReadOptions{true, 3}, ReadOptions{false, 1}}) {
      const auto begin = all.begin() + rows.begin * 2048;
      EXPECT_EQ(test::read(file, big, rows, options),
                test::Bytes(begin, begin + rows.size() * 2048));
    }
  }
  EXPECT_TRUE(verify(file, 2, nullptr).empty());
}

TEST(ModelFileFallback, ARepackedFileIsTheSameModel) {
  if (std::system("h5repack --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "h5repack is not installed";
  }
  const test::ScratchFolder folder;
  const std::string fingerprint = test::write_model(folder / "m.h5", test::small_contents());
  const std::string command = "h5repack --low=1 --high=1 " + (folder / "m.h5").string() + " " +
                              (folder / "new.h5").string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  const ModelFile file(folder / "new.h5");
  EXPECT_EQ(file.identity().fingerprint, fingerprint);
  EXPECT_TRUE(verify(file, 1, nullptr).empty());
}

}  // namespace
}  // namespace tutti
