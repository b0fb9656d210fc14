/**
 * A thousand requests a second more than the server can serve, for ten seconds. It serves as many as ever, in time; it sends the
 * others away with 503 and the time to come back, takes no more memory, lets every SMS in, and is itself again afterwards.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import type { Order } from '../../contract/contract.ts'
import { pause } from '../../server/platform/clock.ts'
import { newId } from '../../server/platform/ids.ts'
import { chance, SEED } from '../random.ts'
import { type Customer, signSms, startWorld, type World } from '../world.ts'
import { lookAtTheMachine } from './machine.ts'
import { fillTheShop } from './stock.ts'
import { NO_SOCKET, openWireClient, type WireAnswer } from './wire-client.ts'

const CUSTOMERS = 8
const CREDIT = '50000.00'
const NUMBERS = 10_000
const AT_ONCE = 48
const CAPACITY_MS = 3_000
const BEYOND_PER_SECOND = 1_000
/** A machine that serves few because it is busy with other things is not asked for many times what it can. */
const BEYOND_TIMES_MAX = 4
const OVERLOAD_MS = 10_000
const STEP_MS = 10
const SMS_EVERY_MS = 100
const LOOK_EVERY_MS = 1_000
/** Ours, so that the test itself stays small. */
const SOCKETS_READY = 500
const SOCKETS_MAX = 2_000
const REQUESTS_MAX = 100_000
const NORMAL_AGAIN_MS = 5_000
/** The promise. On a machine that is slow already without load, what it then takes is the measure. */
const ACCEPTED_P99_MS_MAX = 1_000
const TIMES_UNLOADED_MAX = 10
const TIMES_FULL_MAX = 3
const ROUNDS_MAX = 3
/** Of the machine's processors; a round that fails beside more than this is not the server's failure. */
const OTHERS_SHARE_MAX = 0.2
/** More than any turnstile has places. */
const SLOW_SENDERS = 80
/** Node grows its heap before it cleans; that it grows with every request would be something else. */
const MEMORY_TIMES_MAX = 3

type Seen = WireAnswer
type Crowd = ReturnType<typeof createCrowd>

const KNOWN_REFUSALS = new Set(['no_numbers', 'too_many_open_orders', 'already_closed', 'insufficient_credits'])

test('a thousand requests a second beyond capacity are sent away, and the others are served in time', {
  timeout: 120_000,
}, async (t) => {
  const world = await startWorld({
    asProcess: true,
    env: {
      ORDER_OPEN_MAX: '10000',
      ORDER_CANCEL_AFTER_SECONDS: '0',
      NUMBER_REST_SECONDS: '0',
      LOG_LEVEL: 'error',
    },
  })
  const { hostname, port } = new URL(world.server.url)
  const client = openWireClient({ host: hostname, port: Number(port), socketsMax: SOCKETS_MAX })
  // The phone network has connections of its own.
  const network = openWireClient({ host: hostname, port: Number(port), socketsMax: SOCKETS_MAX })
  try {
    await fillTheShop(world, NUMBERS)
    const customers = await Promise.all(
      Array.from({ length: CUSTOMERS }, (_, n) => world.customer({ name: `customer${n}`, credit: CREDIT })),
    )
    const crowd = createCrowd(client, network, customers)

    const alone: Seen[] = []
    for (let n = 0; n < 200; n++) alone.push(await crowd.ask())
    const unloadedP99 = percentile(alone, 0.99)

    // Node takes on one new connection a turn of its loop: customers' browsers and proxies have theirs already.
    const greetings = await Promise.all(Array.from({ length: SOCKETS_READY }, () => client.ask('GET', '/healthz', {})))
    assert.ok(greetings.every(({ status }) => status === 200))
    const waiting = await customers[0]!.order()
    const memoryBefore = await memoryBytes(world)

    for (let round = 1; ; round++) {
      const machine = await lookAtTheMachine(world)
      const capacity = await capacityOf(crowd)
      const { seen, delivered, perSecond, memoryMost } = await overload(world, crowd, waiting, capacity.perSecond)
      const away = seen.filter(({ status }) => status === 503)
      // Being sent away asks nothing of anybody but the machine: how long that takes tells how busy it is with other things.
      const promisedMs = Math.max(
        ACCEPTED_P99_MS_MAX,
        TIMES_UNLOADED_MAX * unloadedP99,
        TIMES_FULL_MAX * Math.max(capacity.p99, percentile(away, 0.99)),
      )
      const normalMs = await normalAgain(crowd, promisedMs)
      const shareOfOthers = await machine.shareOfOthers()
      const accepted = seen.filter(({ status }) => status !== 503)
      const acceptedP99 = percentile(accepted, 0.99)
      const figures = {
        unloadedP99Ms: unloadedP99,
        capacityPerSecond: capacity.perSecond,
        capacityP99Ms: capacity.p99,
        sentPerSecond: perSecond,
        acceptedPerSecond: (perSecond * accepted.length) / seen.length,
        acceptedP50Ms: percentile(accepted, 0.5),
        acceptedP99Ms: acceptedP99,
        awayP99Ms: percentile(away, 0.99),
        smsP99Ms: percentile(delivered, 0.99),
        memoryBeforeMb: memoryBefore / 1e6,
        memoryMostMb: memoryMost / 1e6,
        normalAfterMs: normalMs,
        percentOfTheMachineForOthers: 100 * shareOfOthers,
      }
      t.diagnostic(
        `seed ${SEED}, round ${round}: ${JSON.stringify(figures, (_, value) => (typeof value === 'number' ? Math.round(value) : value))}`,
      )

      for (const answer of seen) expectKnown(answer)
      const letIn = delivered.filter(({ status }) => status === 200).length
      assert.ok(memoryMost < MEMORY_TIMES_MAX * memoryBefore, `memory grew from ${memoryBefore} to ${memoryMost} bytes`)
      await world.audit()
      // What else the machine does makes answers late and never early, so the best of the rounds is nearest to the truth.
      if (away.length > 0 && letIn === delivered.length && acceptedP99 <= promisedMs && normalMs !== null) break
      if (round < ROUNDS_MAX) continue
      if (shareOfOthers > OTHERS_SHARE_MAX) {
        t.diagnostic('the machine was busy with other things: how soon the others are served was not seen')
        break
      }
      assert.ok(away.length > 0, 'there was no overload')
      assert.equal(letIn, delivered.length, 'every SMS was let in')
      assert.fail(`of those served, one in a hundred waited ${acceptedP99} ms; normal after ${normalMs} ms`)
    }
  } catch (error) {
    t.diagnostic(`seed ${SEED}; the server said at last:\n${world.server.said().slice(-4_000)}`)
    throw error
  } finally {
    client.close()
    network.close()
    await world.stop()
  }
})

test('whoever sends his body slowly keeps nobody else waiting', async () => {
  const world = await startWorld()
  const { hostname, port } = new URL(world.server.url)
  const slow: Socket[] = []
  try {
    const ana = await world.customer({ name: 'ana', credit: '5.00' })
    for (const path of ['/api/v1/orders', '/api/auth/sign-in/username', '/api/v1/topups']) {
      for (let n = 0; n < SLOW_SENDERS; n++) {
        const socket = connect(Number(port), hostname).on('error', () => {})
        await once(socket, 'connect')
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ana.key}\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{`,
        )
        slow.push(socket)
      }
    }
    const order = await ana.order()
    assert.equal((await ana.orderNow(order.id)).status, 'waiting')
    assert.equal((await world.signIn(ana)).cookie !== '', true)
    assert.equal((await ana.startTopup()).status, 'awaiting_payment')
  } finally {
    for (const socket of slow) socket.destroy()
    await world.stop()
  }
})

/** So many requests a second beyond capacity, whether they are answered or not, and an SMS now and then. */
async function overload(world: World, crowd: Crowd, waiting: Order, capacityPerSecond: number) {
  const rate = capacityPerSecond + Math.min(BEYOND_PER_SECOND, BEYOND_TIMES_MAX * capacityPerSecond)
  const seen: Seen[] = []
  const messages: Promise<Seen>[] = []
  const looks: Promise<number>[] = []
  const underWay = new Set<Promise<unknown>>()
  const begun = performance.now()
  let sent = 0
  for (let now = 0; now < OVERLOAD_MS; now = performance.now() - begun) {
    for (const due = Math.min((now * rate) / 1000, REQUESTS_MAX); sent < due; sent++) {
      const asked: Promise<unknown> = crowd
        .ask()
        // One that this test had no socket for was not asked.
        .then((answer) => answer.body !== NO_SOCKET && seen.push(answer))
        .finally(() => underWay.delete(asked))
      underWay.add(asked)
    }
    if (now >= messages.length * SMS_EVERY_MS) messages.push(crowd.sendSms(waiting))
    if (now >= looks.length * LOOK_EVERY_MS) looks.push(memoryBytes(world))
    await pause(STEP_MS)
  }
  const perSecond = sent / ((performance.now() - begun) / 1000)
  await Promise.all(underWay)
  return {
    seen,
    delivered: await Promise.all(messages),
    perSecond,
    memoryMost: Math.max(...(await Promise.all(looks))),
  }
}

/** After how long it is itself again: one request after the other is served, each as if nothing had been. Null: too late. */
async function normalAgain(crowd: Crowd, promisedMs: number): Promise<number | null> {
  const begun = performance.now()
  while (performance.now() - begun < NORMAL_AGAIN_MS) {
    const after: Seen[] = []
    for (let n = 0; n < 20; n++) after.push(await crowd.ask())
    if (after.every(({ status, ms }) => status !== 503 && ms <= promisedMs)) return performance.now() - begun
  }
  return null
}

/** Served, refused for a reason of its own, or sent away with everything that belongs to it. */
function expectKnown({ status, headers, body }: Seen): void {
  assert.notEqual(status, 0, `an answer was lost: ${body}`)
  if (status < 300) return
  assert.match(headers, /\r\ncontent-type: application\/problem\+json/)
  const { code } = JSON.parse(body) as { code: string }
  if (status === 503) {
    assert.equal(code, 'temporarily_unavailable')
    assert.match(headers, /\r\nretry-after: ([1-9]|[12]\d|30)(\r\n|$)/)
  } else assert.ok(KNOWN_REFUSALS.has(code), `${status} ${code}`)
}

type WireClient = ReturnType<typeof openWireClient>

/** What customers do, mixed: four in ten change something. */
function createCrowd(client: WireClient, network: WireClient, customers: Customer[]) {
  const luck = chance(SEED)
  const open = new Map<Customer, string[]>(customers.map((who) => [who, []]))

  async function ask(): Promise<Seen> {
    const who = luck.oneOf(customers)
    const authorization = `Bearer ${who.key}`
    const what = luck.whole(1, 10)
    const post = (path: string, body: object) =>
      client.ask(
        'POST',
        path,
        { authorization, 'content-type': 'application/json', 'idempotency-key': newId() },
        JSON.stringify(body),
      )
    if (what <= 2) {
      const placed = await post('/api/v1/orders', { service: 'telegram', country: 'GB' })
      if (placed.status === 201) open.get(who)!.push((JSON.parse(placed.body) as Order).id)
      return placed
    }
    const id = what <= 4 ? open.get(who)!.shift() : undefined
    if (id) return post(`/api/v1/orders/${id}/cancel`, {})
    const paths = ['/api/v1/balance', '/api/v1/orders?limit=10', '/api/v1/billing/history?limit=10', '/api/v1/services']
    return client.ask('GET', luck.oneOf(paths), { authorization })
  }

  return {
    ask,
    sendSms(order: Order): Promise<Seen> {
      const id = newId()
      const body = JSON.stringify({ id, to: order.phone_number, from: 'Telegram', text: `Hello ${id}` })
      return network.ask(
        'POST',
        '/webhooks/sms/generic',
        { 'content-type': 'application/json', 'x-signature': signSms(body) },
        body,
      )
    },
  }
}

/** What it serves when everybody waits for his answer before he asks again. */
async function capacityOf(crowd: Crowd): Promise<{ perSecond: number; p99: number }> {
  const seen: Seen[] = []
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (performance.now() - begun < CAPACITY_MS) seen.push(await crowd.ask())
    }),
  )
  assert.deepEqual(
    seen.filter(({ status }) => status === 503),
    [],
    'this is not overload yet',
  )
  return { perSecond: seen.length / ((performance.now() - begun) / 1000), p99: percentile(seen, 0.99) }
}

async function memoryBytes(world: World): Promise<number> {
  const text = await (await fetch(`${world.server.url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)![1])
}

/** Unit: milliseconds. */
function percentile(seen: Seen[], share: number): number {
  const sorted = seen.map(({ ms }) => ms).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
