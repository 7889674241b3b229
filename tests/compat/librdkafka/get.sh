#!/bin/bash
# Builds librdkafka's own tests from Debian's source package and prints the folder that holds test-runner (last line of stdout).
# The system's apt configuration is not touched: the source index of the archive that serves this machine's binaries is read into
# build/librdkafka. Built once; costs about three minutes of two cores.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../../.."
top=$PWD
dir=$PWD/build/librdkafka
mkdir -p "$dir"
exec 9> "$dir.lock"
flock 9
# Its name changes with what is built, so that an older build is made anew.
complete=$dir/complete-2
if [ ! -e "$complete" ]; then
  rm -rf "$dir"; mkdir -p "$dir/lists/partial" "$dir/archives/partial"
  cd "$dir"
  # The archive's main suite: security and updates suites carry no librdkafka of their own.
  apt-get indextargets --format 'deb-src $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | grep -E ' (bookworm|stable) main$' | sort -u > sources.list
  [ -s sources.list ] || { echo "get.sh: no Debian 12 archive among this machine's package sources" >&2; exit 1; }
  apt=(-o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$dir/lists"
    -o Dir::Cache="$dir" -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3)
  apt-get "${apt[@]}" -qq update >&2
  apt-get "${apt[@]}" -qq source librdkafka >&2
  rm -rf lists archives pkgcache.bin srcpkgcache.bin
  cd librdkafka-*/
  { CC="ccache gcc" CXX="ccache g++" ./configure --disable-curl --disable-gssapi && make -j"$(nproc)" libs && make -j"$(nproc)" -C tests build; } > "$dir/build.log" 2>&1 ||
    { tail -40 "$dir/build.log" >&2; exit 1; }
  # Without it 0053, 0101 and 0110 are built empty.
  grep -q '^#define WITH_RAPIDJSON 1' config.h || { echo "get.sh: rapidjson-dev is not installed" >&2; exit 1; }
  # What the tests call of Kafka's own tools.
  mkdir -p "$dir/kafka/bin"
  jars=$("$top/tests/compat/get_kafka.sh" broker | tail -1)
  tool() { printf '#!/bin/bash\nexec java -Xmx256m -XX:+UseSerialGC -cp "%s/*" %s "$@"\n' "$jars" "$2" > "$dir/kafka/bin/$1.sh"; }
  tool kafka-topics org.apache.kafka.tools.TopicCommand
  tool kafka-acls org.apache.kafka.tools.AclCommand
  tool kafka-run-class ""
  chmod +x "$dir"/kafka/bin/*.sh
  touch "$complete"
fi
cd "$dir"
echo "$(echo "$PWD"/librdkafka-*/tests)"
