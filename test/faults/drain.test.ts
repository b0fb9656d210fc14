/** A server that is told to stop says so, lets what it has begun end, and begins nothing more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import type { Order } from '../../contract/contract.ts'
import { pause } from '../../server/platform/clock.ts'
import { newId, readId } from '../../server/platform/ids.ts'
import { until } from '../until.ts'
import { startWorld } from '../world.ts'
import { fillTheShop } from './stock.ts'
import { openWireClient } from './wire-client.ts'

const ORDERS = 200
const CUSTOMERS = 5
/** Long enough that whoever asks all the time hears of it, also on a slow machine. */
const DRAIN_MS = 1_500

test('told to stop with 200 orders under way: each is answered with the truth, or was never begun', {
  timeout: 120_000,
}, async (t) => {
  const world = await startWorld({ asProcess: true, env: { DRAIN_MS: String(DRAIN_MS), ORDER_OPEN_MAX: '1000' } })
  const { hostname, port } = new URL(world.server.url)
  const client = openWireClient({ host: hostname, port: Number(port), socketsMax: 2 * ORDERS })
  // A balancer has its connection already.
  const probe = openWireClient({ host: hostname, port: Number(port), socketsMax: 1 })
  try {
    await fillTheShop(world, 3 * ORDERS)
    const customers = await Promise.all(Array.from({ length: CUSTOMERS }, () => world.customer({ credit: '1000.00' })))
    const asked = Array.from({ length: ORDERS }, (_, n) => ({ who: customers[n % CUSTOMERS]!, key: newId() }))
    const order = ({ who, key }: (typeof asked)[number]) =>
      client.ask(
        'POST',
        '/api/v1/orders',
        { authorization: `Bearer ${who.key}`, 'content-type': 'application/json', 'idempotency-key': key },
        '{"service":"telegram","country":"GB"}',
      )

    assert.equal((await probe.ask('GET', '/readyz', {})).status, 200)
    let answered = 0
    const answers = asked.map(async (each) => {
      const answer = await order(each)
      answered++
      return answer
    })
    await until(async () => answered > 0)
    const begun = performance.now()
    const stopping = world.server.stop()
    let said: string[] | undefined
    for (let open = true; open && !said; await pause(5)) {
      const { status, body } = await probe.ask('GET', '/readyz', {})
      open = status !== 0
      if (status === 503) said = (JSON.parse(body) as { missing: string[] }).missing
    }
    assert.deepEqual(said, ['The server is stopping.'], 'it says so before its port closes')
    await stopping
    const stopped = performance.now() - begun
    const outcomes = await Promise.all(answers)

    const { rows } = await world.db.database.pool.query<{ key: string; id: string }>(
      'select k.key, o.id from idempotency_keys k join orders o on o.id = k.subject',
    )
    const orderOf = new Map(rows.map(({ key, id }) => [key, id]))
    const counts = { placed: 0, sentAway: 0, neverBegun: 0 }
    for (const [n, { status, body }] of outcomes.entries()) {
      const id = orderOf.get(asked[n]!.key)
      if (status === 201) {
        assert.equal(readId('ord', (JSON.parse(body) as Order).id), id)
        counts.placed++
      } else {
        assert.ok(status === 503 || status === 0, `${status} ${body}`)
        assert.equal(id, undefined, `${status}, and an order was placed: ${body}`)
        counts[status === 503 ? 'sentAway' : 'neverBegun']++
      }
    }
    t.diagnostic(`${JSON.stringify(counts)}; ended ${Math.round(stopped)} ms after the signal`)
    assert.ok(counts.placed > 0)
    await world.audit()

    // Whoever got no order asks again under his key, and has exactly one.
    await world.server.start()
    const again = async (some: typeof asked) => {
      for (const each of some) {
        const { status, body } = await order(each)
        assert.equal(status, 201, body)
        const known = orderOf.get(each.key)
        if (known) assert.equal(readId('ord', (JSON.parse(body) as Order).id), known)
      }
    }
    await Promise.all([0, 1, 2, 3].map((part) => again(asked.filter((_, n) => n % 4 === part))))
    const { rows: all } = await world.db.database.pool.query('select count(*)::int as count from orders')
    assert.deepEqual(all, [{ count: ORDERS }])
    await world.audit()
  } finally {
    client.close()
    probe.close()
    await world.stop()
  }
})

test('a server whose job queue is gone is not ready, and is again when it is back', async () => {
  const world = await startWorld()
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  const readiness = async () => {
    const answer = await fetch(`${world.server.url}/readyz`)
    const { missing } = (await answer.json()) as { missing?: string[] }
    return { status: answer.status, missing }
  }
  try {
    assert.equal((await readiness()).status, 200)
    await owner.query('alter table pgboss.version rename to version_away')
    assert.deepEqual(await readiness(), { status: 503, missing: ['The job queue does not answer.'] })
    await owner.query('alter table pgboss.version_away rename to version')
    assert.equal((await readiness()).status, 200)
  } finally {
    await owner.end()
    await world.stop()
  }
})
