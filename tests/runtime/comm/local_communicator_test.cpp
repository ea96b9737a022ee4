// A group of one changes nothing, on the host and with what only looks like a device.
#include "runtime/comm/local_communicator.hpp"

#include <gmock/gmock.h>

#include <vector>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LocalCommunicator, ASumOfOneIsWhatItWas) {
  LocalCommunicator comm;
  std::vector<float> x = {1, 2, 3};
  comm.all_reduce_sum({}, {x.data(), DType::f32, Place::host, {1, 3}});
  EXPECT_THAT(x, ElementsAre(1, 2, 3));
  // Nothing is touched: no device is needed.
  const Exec device{.place = Place::cuda};
  comm.all_reduce_sum(device, {nullptr, DType::bf16, Place::cuda, {4, 4096}});
  EXPECT_EQ(comm.size(), 1);
}

TEST(LocalCommunicator, GathersByCopyingOnTheHostAndInPlaceOnADevice) {
  LocalCommunicator comm;
  const std::vector<std::int64_t> columns = {3};
  std::vector<float> local = {1, 2, 3};
  std::vector<float> y(3);
  comm.all_gather_columns({}, {local.data(), DType::f32, Place::host, {1, 3}}, columns,
                          {y.data(), DType::f32, Place::host, {1, 3}});
  EXPECT_THAT(y, ElementsAre(1, 2, 3));
  const Exec device{.place = Place::cuda};
  const TensorView there(local.data(), DType::f32, Place::cuda, {1, 3});
  comm.all_gather_columns(device, there, columns, there);
  const TensorView elsewhere(y.data(), DType::f32, Place::cuda, {1, 3});
  EXPECT_THROW(comm.all_gather_columns(device, there, columns, elsewhere), CommError);
}

TEST(LocalCommunicator, ArgumentsAreCheckedAllTheSame) {
  LocalCommunicator comm;
  float x = 0;
  try {
    comm.all_reduce_sum({.place = Place::cuda}, {&x, DType::f32, Place::host, {1, 1}});
    FAIL() << "no error";
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(), HasSubstr("one rank: all_reduce_sum #1 on rank 0 of 1: wants x in "
                                        "f32, f16 or bf16 on a device, found f32 [1, 1] on the "
                                        "host"));
  }
}

}  // namespace
}  // namespace tutti
