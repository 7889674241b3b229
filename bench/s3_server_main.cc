// A small S3 server in a process of its own, for benchmarks: what a broker's uploads cost without the price of a real server's disks.
//   weir_s3_server [--packed] [CERTIFICATE.pem KEY.pem]
// Listens on a free port of 127.0.0.1, prints "endpoint=URL" and ends at SIGTERM. Objects are kept in memory, with --packed compressed:
// records that repeat one another then take a fiftieth. Signatures and checksums are checked as AWS checks them; bucket and keys are
// those of FakeS3Options. Unsigned, GET /-/counts tells what was asked for so far and PUT /-/get-bandwidth/N limits the bytes a second
// of all answers to GETs (0: no limit).
#include <cstdio>
#include <string_view>

#include "runtime/real.h"
#include "runtime/sync.h"
#include "store/testing/fake_s3.h"

namespace {

using weir::runtime::Task;

Task<int> serve(weir::runtime::RealRuntime* machine, weir::runtime::Event* ended, bool packed,
                std::optional<weir::runtime::TlsServerOptions> tls) {
  weir::store::testing::FakeS3 server(machine->doors().network, {.packed = packed, .control = true});
  const char* scheme = tls ? "https" : "http";
  const auto started = co_await server.start(std::move(tls));
  if (!started) {
    std::fputs((started.error().text + "\n").c_str(), stderr);
    co_return 1;
  }
  std::printf("endpoint=%s://127.0.0.1:%u\n", scheme, static_cast<unsigned>(server.address().port));
  std::fflush(stdout);
  co_await ended->wait();
  co_await server.stop();
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool packed = argc > 1 && std::string_view(argv[1]) == "--packed";
  if (packed) {
    --argc;
    ++argv;
  }
  if (argc != 1 && argc != 3) {
    std::fputs("usage: weir_s3_server [--packed] [CERTIFICATE.pem KEY.pem]\n", stderr);
    return 2;
  }
  std::optional<weir::runtime::TlsServerOptions> tls;
  if (argc == 3) tls = weir::runtime::TlsServerOptions{.certificate_chain_file = argv[1], .private_key_file = argv[2]};
  auto machine = weir::runtime::make_real_runtime({.shard_count = 1});
  if (!machine) {
    std::fputs((machine.error().text + "\n").c_str(), stderr);
    return 1;
  }
  weir::runtime::RealRuntime* real = machine->get();
  weir::runtime::Event ended;
  real->on_terminate([&ended](int) { ended.set(); });
  return real->run([real, &ended, packed, &tls] { return serve(real, &ended, packed, std::move(tls)); });
}
