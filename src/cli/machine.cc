#include "cli/machine.h"

#include "cli/output.h"

namespace weir::cli {

std::unique_ptr<runtime::RealRuntime> command_machine() {
  runtime::RealOptions options;
  options.log.level = runtime::LogLevel::error;
  options.blocking_thread_count = 1;
  options.file_backend = runtime::FileBackend::pwritev2;
  options.file_thread_count = 1;
  auto real = runtime::make_real_runtime(options);
  if (!real) {
    tell_error(real.error().text);
    return nullptr;
  }
  return std::move(*real);
}

}  // namespace weir::cli
