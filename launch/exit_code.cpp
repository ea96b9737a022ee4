#include "launch/exit_code.hpp"

#include <fmt/format.h>

#include <new>

#include "kernels/error.hpp"

namespace tutti {

Failure failure_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const AgreedFailure& agreed) {
    return agreed.failure;
  } catch (const CapacityError& e) {  // before its base, ConfigError
    return {ExitCode::does_not_fit, e.what()};
  } catch (const ConfigError& e) {
    return {ExitCode::usage, e.what()};
  } catch (const ModelFileError& e) {
    return {ExitCode::model_file, e.what()};
  } catch (const DeviceError& e) {
    return {ExitCode::peer, e.what()};
  } catch (const CommError& e) {
    return {ExitCode::peer, e.what()};
  } catch (const std::bad_alloc&) {
    return {ExitCode::does_not_fit,
            "out of memory: use more ranks, a shorter --context or a smaller --dtype"};
  } catch (const std::exception& e) {
    return {ExitCode::failed, e.what()};
  } catch (...) {
    return {ExitCode::failed, "an unknown error"};
  }
}

std::string failure_line(std::string_view message, const Whereabouts& where) {
  if (where.size <= 1) {
    return fmt::format("tutti: {}", message);
  }
  return fmt::format("tutti: rank {} on {}: {}{}{}", where.rank, where.host, where.stage,
                     where.stage.empty() ? "" : ": ", message);
}

}  // namespace tutti
