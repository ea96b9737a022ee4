#include "launch/stop_signals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(StopSignals, AreAnErrorAtTheNextCheck) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const StopSignals signals;
    EXPECT_NO_THROW(StopSignals::check());
    std::raise(signal);
    EXPECT_THAT([] { StopSignals::check(); },
                ThrowsMessage<Error>(HasSubstr("stopped by signal " + std::to_string(signal))));
  }
}

TEST(StopSignals, WhatWasIgnoredStaysIgnored) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    const StopSignals signals;
    std::raise(SIGHUP);
    EXPECT_NO_THROW(StopSignals::check());
  }
  EXPECT_EQ(std::signal(SIGHUP, before), SIG_IGN);
}

}  // namespace
}  // namespace tutti
