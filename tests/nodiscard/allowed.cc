// What looking at a Result looks like; the cases of must_not_compile.txt replace the last function.
#include <memory>

#include "base/result.h"
#include "runtime/blocking.h"
#include "runtime/file.h"
#include "runtime/net.h"
#include "runtime/scope.h"
#include "runtime/submit.h"
#include "runtime/sync.h"

namespace weir {

base::Result<int> number();
base::Result<> nothing();
runtime::Task<base::Result<int>> later_number();
runtime::Task<base::Result<>> later_nothing();
runtime::Task<void> work(runtime::File& file, runtime::Reactor& other, runtime::BlockingPool& pool, runtime::Event& event);

// CASE BEGINS
runtime::Task<void> work(runtime::File& file, runtime::Reactor& other, runtime::BlockingPool& pool, runtime::Event& event) {
  if (!number()) co_return;
  (void)nothing();  // said aloud
  const auto later = co_await later_number();
  if (!later || !co_await later_nothing()) co_return;
  if (!co_await file.sync()) co_return;
  if (!co_await runtime::submit_to(other, [] { return number(); })) co_return;
  if (!co_await pool.run([] { return number(); })) co_return;
  co_await event.wait();
  co_await runtime::yield();
}
// CASE ENDS

}  // namespace weir
