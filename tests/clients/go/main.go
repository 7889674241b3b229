// A session of franz-go, a Go client with a protocol implementation of its own, against one broker:
//
//	session data ADDRESS TOPIC    create, produce in every codec, read back, seek by offset and by time
//	session group ADDRESS TOPIC   two members share the partitions, one leaves, offsets are kept
//
// Prints "ok" and ends with 0 when everything was as it must be.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions  = 3
	records     = 600
	deadline    = 60 * time.Second
	commitAfter = 200
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func must(good bool, format string, args ...any) {
	if !good {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
		os.Exit(1)
	}
}

func client(address string, options ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, options...)...)
	check(err, "client")
	return c
}

func create(ctx context.Context, address, topic string) {
	c := client(address)
	defer c.Close()
	answer, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 3, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, topic)
	check(err, "create")
	check(answer.Err, "create")
}

// Record i has key and value by its number and a timestamp of its own.
func made(topic string, i int) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(fmt.Sprintf("k%d", i)), Value: []byte(fmt.Sprintf("value %d", i)),
		Timestamp: time.UnixMilli(1_000_000 + int64(i)*1000), Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(fmt.Sprint(i))}}}
}

func produce(ctx context.Context, address, topic string, from, to int, codec kgo.CompressionCodec) {
	c := client(address, kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(kgo.AllISRAcks()))
	defer c.Close()
	batch := []*kgo.Record{}
	for i := from; i < to; i++ {
		batch = append(batch, made(topic, i))
	}
	check(c.ProduceSync(ctx, batch...).FirstErr(), "produce")
}

func data(ctx context.Context, address, topic string) {
	create(ctx, address, topic)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	step := records / len(codecs)
	for i, codec := range codecs {
		produce(ctx, address, topic, i*step, (i+1)*step, codec)
	}
	c := client(address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]*kgo.Record{}
	next := map[int32]int64{}
	for len(seen) < records {
		fetches := c.PollFetches(ctx)
		check(fetches.Err(), "fetch")
		fetches.EachRecord(func(r *kgo.Record) {
			must(r.Offset == next[r.Partition], "partition %d: offset %d after %d", r.Partition, r.Offset, next[r.Partition])
			next[r.Partition]++
			must(seen[string(r.Key)] == nil, "%s twice", r.Key)
			seen[string(r.Key)] = r
		})
	}
	c.Close()
	for i := 0; i < records; i++ {
		want, got := made(topic, i), seen[fmt.Sprintf("k%d", i)]
		must(got != nil && string(got.Value) == string(want.Value) && got.Timestamp.Equal(want.Timestamp) && string(got.Headers[0].Value) == fmt.Sprint(i), "record %d is %v", i, got)
	}
	// Seek: by offset into the middle of a batch, and by time.
	for partition := int32(0); partition < partitions; partition++ {
		at := next[partition] / 2
		c = client(address, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(at)}}))
		first := c.PollRecords(ctx, 1).Records()[0]
		must(first.Offset == at, "seek to %d gave %d", at, first.Offset)
		c.Close()
		c = client(address, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AfterMilli(first.Timestamp.UnixMilli())}}))
		again := c.PollRecords(ctx, 1).Records()[0]
		must(!again.Timestamp.Before(first.Timestamp) && again.Offset <= at, "by time %v: offset %d of %v", first.Timestamp, again.Offset, again.Timestamp)
		c.Close()
	}
	admin := client(address)
	ends, err := kadm.NewClient(admin).ListEndOffsets(ctx, topic)
	check(err, "end offsets")
	ends.Each(func(o kadm.ListedOffset) { must(o.Offset == next[o.Partition], "end of %d: %d", o.Partition, o.Offset) })
	admin.Close()
}

// A member counts the partitions that it holds.
type member struct {
	*kgo.Client
	held map[int32]bool
}

func join(address, topic, group string) *member {
	m := &member{held: map[int32]bool{}}
	set := func(have bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			for _, p := range changed[topic] {
				if have {
					m.held[p] = true
				} else {
					delete(m.held, p)
				}
			}
		}
	}
	m.Client = client(address, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(set(true)), kgo.OnPartitionsRevoked(set(false)), kgo.OnPartitionsLost(set(false)))
	return m
}

func (m *member) poll(ctx context.Context) []*kgo.Record {
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	got := m.PollRecords(short, 50).Records()
	m.AllowRebalance()
	return got
}

func group(ctx context.Context, address, topic string) {
	create(ctx, address, topic)
	produce(ctx, address, topic, 0, records, kgo.NoCompression())
	name := topic + "-group"
	first := join(address, topic, name)
	for len(first.held) < partitions {
		first.poll(ctx)
		check(ctx.Err(), "the first member gets all partitions")
	}
	second := join(address, topic, name)
	for len(second.held) == 0 || len(first.held)+len(second.held) != partitions {
		first.poll(ctx)
		second.poll(ctx)
		check(ctx.Err(), "the second member gets its share")
	}
	second.Close()
	for len(first.held) < partitions {
		first.poll(ctx)
		check(ctx.Err(), "the first member takes over")
	}
	first.Close()

	// Read a part, commit it, and go on from there in a new member: nothing twice, nothing missed.
	seen := map[string]int{}
	one := join(address, topic, name+"-commit")
	for len(seen) < commitAfter {
		got := one.poll(ctx)
		for _, r := range got {
			seen[string(r.Key)]++
		}
		check(one.CommitRecords(ctx, got...), "commit")
		check(ctx.Err(), "the first part")
	}
	one.Close()
	two := join(address, topic, name+"-commit")
	for len(seen) < records {
		for _, r := range two.poll(ctx) {
			seen[string(r.Key)]++
		}
		check(ctx.Err(), "the rest")
	}
	two.Close()
	for key, times := range seen {
		must(times == 1, "%s was read %d times", key, times)
	}
	c := client(address)
	groups, err := kadm.NewClient(c).DescribeGroups(ctx, name, name+"-commit")
	check(err, "describe")
	names := groups.Names()
	sort.Strings(names)
	for _, g := range groups.Sorted() {
		must(g.Err == nil && g.State == "Empty", "group %s: %s %v", g.Group, g.State, g.Err)
	}
	c.Close()
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	map[string]func(context.Context, string, string){"data": data, "group": group}[os.Args[1]](ctx, os.Args[2], os.Args[3])
	fmt.Println("ok")
}
