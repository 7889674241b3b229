#!/bin/bash
# Fetches Apache Kafka's jars from Maven Central and prints the directory that holds them (last line of stdout).
# Usage: get_kafka.sh [clients|coordinators|broker|connect]
#   clients (default): kafka-clients and what its JSON converters need
#   coordinators: the same and the group and transaction coordinators, for their record formats
#   broker: everything to run a broker, the tools and the bundled test drivers
#   connect: Kafka Connect with the file connectors, and MirrorMaker 2
# Fails when they are neither here already nor to be had: tests must not be skipped for want of their yardstick.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
what=${1:-clients}
version=4.4.0
[ "$what" != broker ] && [ "$what" != connect ] || version=4.3.1
jackson=2.19.0
dir=$PWD/build/kafka/$what-$version

artifact() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
kafka() { artifact org.apache.kafka "$1" "$version"; }
dependencies() {
  case $what in
    clients)
      kafka kafka-clients
      artifact com.fasterxml.jackson.core jackson-databind $jackson
      artifact org.slf4j slf4j-nop 1.7.36 ;;
    coordinators)
      for module in kafka-clients kafka-group-coordinator kafka-transaction-coordinator; do kafka $module; done
      artifact com.fasterxml.jackson.core jackson-databind $jackson
      artifact org.slf4j slf4j-nop 1.7.36 ;;
    broker)
      for module in kafka_2.13 kafka-tools kafka-streams trogdor; do kafka $module; done
      for module in log4j-slf4j-impl log4j-core log4j-1.2-api; do artifact org.apache.logging.log4j $module 2.25.1; done
      artifact com.fasterxml.jackson.dataformat jackson-dataformat-yaml $jackson ;;
    connect)
      for module in connect-runtime connect-file connect-mirror; do kafka $module; done
      for module in log4j-slf4j-impl log4j-core; do artifact org.apache.logging.log4j $module 2.25.1; done ;;
    *) echo "get_kafka.sh: '$what' is none of clients, coordinators, broker, connect" >&2; exit 2 ;;
  esac
}

mkdir -p build/kafka
exec 9> "build/kafka/$what.lock"
flock 9
if [ ! -e "$dir/complete" ]; then
  rm -rf "$dir"; mkdir -p "$dir/jars"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>weir</groupId><artifactId>yardstick</artifactId><version>1</version><dependencies>'
    dependencies
    echo '</dependencies></project>'
  } > "$dir/pom.xml"
  # A connection that stalls is given up after a minute, not after Maven's half hour; what has come stays for the next try.
  for try in 1 2 3; do
    timeout -k 5 240 mvn -q -B -Dmaven.wagon.http.readTimeout=60000 -Dmaven.wagon.rto=60000 -Daether.connector.requestTimeout=60000 \
      -f "$dir/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/jars" >&2 && break
    [ $try -lt 3 ]
  done
  touch "$dir/complete"
fi
echo "$dir/jars"
