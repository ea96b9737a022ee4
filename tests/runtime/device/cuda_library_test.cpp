#include "runtime/device/cuda_library.hpp"

#include <gmock/gmock.h>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// This program has no RUNPATH to the library, as a program of a build without CUDA.
TEST(CudaLibrary, WhereItIsMissingTheErrorNamesItAndTheLoadersReason) {
  EXPECT_THAT([] { CudaLibrary::open(); },
              ThrowsMessage<DeviceError>(
                  AllOf(HasSubstr("libtutti_cuda.so"), HasSubstr("cannot open shared object"))));
}

}  // namespace
}  // namespace tutti
