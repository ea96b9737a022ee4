#include "launch/statistics.hpp"

#include <gtest/gtest.h>

#include "launch/bench_ceilings.hpp"
#include "launch/identity_banner.hpp"

namespace tutti {
namespace {

TEST(Statistics, PercentilesByNearestRank) {
  std::vector<double> values;
  for (int i = 200; i >= 1; --i) {
    values.push_back(i);
  }
  const Summary summary = summarize(values);
  EXPECT_DOUBLE_EQ(summary.mean, 100.5);
  EXPECT_DOUBLE_EQ(summary.p50, 100);
  EXPECT_DOUBLE_EQ(summary.p99, 198);
  EXPECT_DOUBLE_EQ(summary.least, 1);
  EXPECT_DOUBLE_EQ(summary.most, 200);
}

TEST(Statistics, OfNothingIsZero) {
  EXPECT_EQ(summarize({}).mean, 0);
  EXPECT_EQ(summarize({}).spread(), 0);
  EXPECT_DOUBLE_EQ(summarize({9, 11}).spread(), 0.2);
}

TEST(ReadBandwidth, IsMeasuredOnAnyNumberOfThreads) {
  EXPECT_GT(read_bandwidth(1, 1 << 20), 0);
  EXPECT_GT(read_bandwidth(3, 1 << 20), 0);
}

TEST(Banner, SaysWhatWasLoaded) {
  const std::string banner = identity_banner({.model = {.name = "SmolLM2",
                                                        .source = {},
                                                        .created_by = {},
                                                        .fingerprint = "0123456789abcdef0123",
                                                        .format_version = 1,
                                                        .parameters = 134515008,
                                                        .weight_bytes = 0,
                                                        .dtype = "bf16"},
                                              .architecture = "llama",
                                              .ranks = 2,
                                              .nodes = 1,
                                              .backend = "host, mpi",
                                              .threads_least = 1,
                                              .threads_most = 2,
                                              .bytes_least = 100000000,
                                              .bytes_most = 169000000,
                                              .imbalance = 0.031,
                                              .kv_pages = 12,
                                              .kv_tokens = 192,
                                              .kv_bytes = 1000,
                                              .load_seconds = 0.5,
                                              .load_bytes = 269000000});
  EXPECT_EQ(banner,
            "loaded   SmolLM2: llama, 134.5 M parameters, bf16, fingerprint 0123456789ab\n"
            "on       2 ranks on 1 node, host, mpi, 1 to 2 threads per rank\n"
            "weights  100.0 MB to 169.0 MB per rank, imbalance 3.1 %, read in 0.5s at 0.54 GB/s\n"
            "KV cache 192 tokens in 12 pages, 1.0 kB per rank at most\n");
}

}  // namespace
}  // namespace tutti
