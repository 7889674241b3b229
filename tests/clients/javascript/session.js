// A session of kafkajs, a JavaScript client with a protocol implementation of its own, against one broker:
//   node session.js data ADDRESS TOPIC    create, produce plain and with gzip, read back, seek by offset and by time
//   node session.js group ADDRESS TOPIC   two members share the partitions, one leaves, offsets are kept
// Prints "ok" and ends with 0 when everything was as it must be. NODE_PATH names the folder with kafkajs.
'use strict'
const assert = require('assert')
const { Kafka, CompressionTypes, logLevel } = require('kafkajs')

const [, , what, address, topic] = process.argv
const partitions = 3
const records = 400
const commitAfter = 150
setTimeout(() => { console.error('no end after 60 s'); process.exit(1) }, 60000).unref()

const kafka = new Kafka({ clientId: 'session', brokers: [address], logLevel: logLevel.ERROR, retry: { retries: 8 } })
const made = i => ({ key: `k${i}`, value: `value ${i}`, timestamp: String(1000000 + i * 1000), headers: { n: String(i) }, partition: i % partitions })

async function until(holds, what) {
  const end = Date.now() + 30000
  while (!holds()) {
    assert(Date.now() < end, what)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function create() {
  const admin = kafka.admin()
  await admin.connect()
  assert(await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 3, configEntries: [{ name: 'retention.ms', value: '-1' }] }] }))
  await admin.disconnect()
}

async function produce() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (const [from, to, compression] of [[0, records / 2, CompressionTypes.None], [records / 2, records, CompressionTypes.GZIP]]) {
    await producer.send({ topic, acks: -1, compression, messages: Array.from({ length: to - from }, (_, i) => made(from + i)) })
  }
  await producer.disconnect()
}

// A member that keeps what it read and which partitions it holds.
async function join(groupId, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 300, rebalanceTimeout: 10000, maxWaitTimeInMs: 100 })
  const member = { consumer, held: [], rows: [] }
  consumer.on(consumer.events.GROUP_JOIN, e => { member.held = e.payload.memberAssignment[topic] || [] })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      if (options.stopAt && member.rows.length >= options.stopAt) return
      member.rows.push({ partition, offset: Number(message.offset), key: message.key.toString(), value: message.value.toString(), timestamp: message.timestamp, n: message.headers.n.toString() })
    }
  })
  return member
}

async function data() {
  await create()
  await produce()
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  assert.strictEqual(ends.reduce((sum, row) => sum + Number(row.high), 0), records)
  const middle = await admin.fetchTopicOffsetsByTimestamp(topic, 1000000 + 200 * 1000)
  for (const row of middle) assert.strictEqual(Number(row.offset), row.partition < 200 % partitions ? Math.floor(200 / 3) + 1 : Math.ceil((200 - row.partition) / 3), `by time, partition ${row.partition}`)
  await admin.disconnect()

  const member = await join(`${topic}-data`)
  await until(() => member.rows.length >= records, 'all records')
  const seen = new Map(member.rows.map(row => [row.key, row]))
  assert.strictEqual(member.rows.length, records)
  for (let i = 0; i < records; i++) {
    const row = seen.get(`k${i}`)
    assert.deepStrictEqual(row, { partition: i % partitions, offset: Math.floor(i / partitions), key: `k${i}`, value: `value ${i}`, timestamp: made(i).timestamp, n: String(i) })
  }
  member.rows = []
  member.consumer.seek({ topic, partition: 1, offset: '100' })
  await until(() => member.rows.some(row => row.partition === 1), 'records after the seek')
  assert.strictEqual(member.rows.find(row => row.partition === 1).offset, 100)
  await member.consumer.disconnect()
}

async function group() {
  await create()
  await produce()
  const groupId = `${topic}-group`
  const first = await join(groupId)
  await until(() => first.held.length === partitions, 'the first member gets all partitions')
  const second = await join(groupId)
  await until(() => second.held.length > 0 && first.held.length + second.held.length === partitions, 'the second member gets its share')
  await second.consumer.disconnect()
  await until(() => first.held.length === partitions, 'the first member takes over')
  await first.consumer.disconnect()

  const kept = `${topic}-commit`
  const one = await join(kept, { stopAt: commitAfter })
  await until(() => one.rows.length >= commitAfter, 'the first part')
  const next = new Map()
  for (const row of one.rows) next.set(row.partition, row.offset + 1)
  await one.consumer.commitOffsets([...next].map(([partition, offset]) => ({ topic, partition, offset: String(offset) })))
  await one.consumer.disconnect()
  const two = await join(kept)
  await until(() => one.rows.length + two.rows.length >= records, 'the rest')
  const keys = new Set([...one.rows, ...two.rows].map(row => row.key))
  assert.strictEqual(keys.size, records)
  assert.strictEqual(one.rows.length + two.rows.length, records)
  await two.consumer.disconnect()

  const admin = kafka.admin()
  await admin.connect()
  for (const g of (await admin.describeGroups([groupId, kept])).groups) assert.strictEqual(g.state, 'Empty', g.groupId)
  const committed = await admin.fetchOffsets({ groupId: kept, topics: [topic] })
  for (const row of committed[0].partitions) assert.strictEqual(Number(row.offset), next.has(row.partition) ? next.get(row.partition) : -1)
  await admin.deleteGroups([groupId])
  await admin.disconnect()
}

({ data, group })[what]().then(() => { console.log('ok'); process.exit(0) }, error => { console.error(error); process.exit(1) })
