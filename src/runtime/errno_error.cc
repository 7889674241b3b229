#include "runtime/errno_error.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace weir::runtime {
namespace {

base::ErrorKind kind_of(int error_number) {
  switch (error_number) {
    case ENOENT: return base::ErrorKind::not_found;
    case EEXIST:
    case ENOTEMPTY: return base::ErrorKind::exists;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS: return base::ErrorKind::exhausted;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EFBIG:
    case EXDEV:
    case EACCES:
    case EPERM:
    case EROFS:
    case EADDRINUSE:
    case EADDRNOTAVAIL: return base::ErrorKind::invalid;
    case EAGAIN:
    case EINTR:
    case EBUSY: return base::ErrorKind::retry;
    default: return base::ErrorKind::io;
  }
}

}  // namespace

base::Error errno_error(int error_number, std::string_view what) {
  return base::Error{.kind = kind_of(error_number),
                     .text = fmt::format("{}: {}", what, std::generic_category().message(error_number))};
}

}  // namespace weir::runtime
