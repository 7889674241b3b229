//! A session of two Rust clients against one broker: rskafka, which has its own protocol code and no groups, and rdkafka (librdkafka).
//!
//!   session data ADDRESS TOPIC     rskafka: create, produce in three codecs, read back, seek by offset, offsets, delete records
//!   session group ADDRESS TOPIC    rdkafka: two members share the partitions, one leaves, offsets are kept
//!
//! Prints "ok" and ends with 0 when everything was as it must be.

use chrono::{TimeZone, Utc};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rskafka::client::partition::{Compression, OffsetAt, UnknownTopicHandling};
use rskafka::client::ClientBuilder;
use rskafka::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 300;
const COMMIT_AFTER: usize = 100;
const WAIT: Duration = Duration::from_secs(40);

fn made(i: i64) -> Record {
    Record {
        key: Some(format!("k{i}").into_bytes()),
        value: Some(format!("value {i}").into_bytes()),
        headers: BTreeMap::from([("n".to_owned(), i.to_string().into_bytes())]),
        timestamp: Utc.timestamp_millis_opt(1_000_000 + i * 1000).unwrap(),
    }
}

/// Record i lies in partition i % PARTITIONS.
async fn fill(address: &str, topic: &str) -> rskafka::client::Client {
    let client = ClientBuilder::new(vec![address.to_owned()]).build().await.expect("client");
    client.controller_client().expect("controller").create_topic(topic, PARTITIONS, 3, 10_000).await.expect("create");
    let codecs = [Compression::NoCompression, Compression::Gzip, Compression::Snappy];
    for p in 0..PARTITIONS {
        let partition = client.partition_client(topic, p, UnknownTopicHandling::Retry).await.expect("partition");
        for (part, codec) in codecs.iter().enumerate() {
            let per = RECORDS / codecs.len() as i64;
            let first = part as i64 * per;
            let records: Vec<Record> = (first..first + per).filter(|i| i % i64::from(PARTITIONS) == i64::from(p)).map(made).collect();
            let offsets = partition.produce(records, *codec).await.expect("produce");
            assert_eq!(offsets[0], (first + i64::from(PARTITIONS - 1 - p)) / i64::from(PARTITIONS));
        }
    }
    client
}

async fn data(address: &str, topic: &str) {
    let client = fill(address, topic).await;
    let per_partition = RECORDS / i64::from(PARTITIONS);
    for p in 0..PARTITIONS {
        let partition = client.partition_client(topic, p, UnknownTopicHandling::Error).await.expect("partition");
        assert_eq!(partition.get_offset(OffsetAt::Earliest).await.expect("earliest"), 0);
        assert_eq!(partition.get_offset(OffsetAt::Latest).await.expect("latest"), per_partition);
        let mut at = 0;
        while at < per_partition {
            let (rows, high_watermark) = partition.fetch_records(at, 1..1_000_000, 1_000).await.expect("fetch");
            assert_eq!(high_watermark, per_partition);
            assert!(!rows.is_empty());
            for row in rows {
                assert_eq!(row.offset, at);
                assert_eq!(row.record, made(at * i64::from(PARTITIONS) + i64::from(p)));
                at += 1;
            }
        }
        let (rows, _) = partition.fetch_records(per_partition / 2, 1..1_000, 1_000).await.expect("fetch from the middle");
        assert_eq!(rows[0].offset, per_partition / 2);
        assert!(partition.fetch_records(per_partition + 5, 1..1_000, 100).await.is_err(), "beyond the end");
    }
    let topics = client.list_topics().await.expect("list");
    assert_eq!(topics.iter().find(|t| t.name == topic).expect("topic").partitions.len(), PARTITIONS as usize);
}

fn member(address: &str, topic: &str, group: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "300")
        .create()
        .expect("consumer");
    consumer.subscribe(&[topic]).expect("subscribe");
    consumer
}

fn held(consumer: &BaseConsumer) -> BTreeSet<i32> {
    consumer.assignment().expect("assignment").elements().iter().map(|e| e.partition()).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
    }
}

fn poll(consumer: &BaseConsumer, seen: &mut BTreeMap<String, u32>) {
    if let Some(message) = consumer.poll(Duration::from_millis(50)) {
        let message = message.expect("message");
        *seen.entry(String::from_utf8(message.key().expect("key").to_vec()).expect("text")).or_default() += 1;
    }
}

async fn group(address: &str, topic: &str) {
    fill(address, topic).await;
    let name = format!("{topic}-group");
    let (mut ignored, all) = (BTreeMap::new(), PARTITIONS as usize);
    let first = member(address, topic, &name);
    until("the first member gets all partitions", || {
        poll(&first, &mut ignored);
        held(&first).len() == all
    });
    let second = member(address, topic, &name);
    until("the second member gets its share", || {
        poll(&first, &mut ignored);
        poll(&second, &mut ignored);
        let (a, b) = (held(&first), held(&second));
        !b.is_empty() && a.is_disjoint(&b) && a.len() + b.len() == all
    });
    drop(second);
    until("the first member takes over", || {
        poll(&first, &mut ignored);
        held(&first).len() == all
    });
    drop(first);

    let kept = format!("{topic}-commit");
    let mut seen = BTreeMap::new();
    let one = member(address, topic, &kept);
    until("the first part", || {
        poll(&one, &mut seen);
        seen.len() >= COMMIT_AFTER
    });
    one.commit_consumer_state(CommitMode::Sync).expect("commit");
    drop(one);
    let two = member(address, topic, &kept);
    until("the rest", || {
        poll(&two, &mut seen);
        seen.len() as i64 == RECORDS
    });
    assert!(seen.values().all(|&times| times == 1), "a record was read twice");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments[1].as_str() {
        "data" => data(&arguments[2], &arguments[3]).await,
        "group" => group(&arguments[2], &arguments[3]).await,
        other => panic!("no session {other}"),
    }
    println!("ok");
}
