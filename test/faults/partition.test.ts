/**
 * The wire between server and database is cut again and again while customers order: before a call, after its commit, all connections at
 * once. Nobody is told an untruth: the same key is one order, and what nobody could be told is found out by asking again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Order } from '../../contract/contract.ts'
import { pause } from '../../server/platform/clock.ts'
import { newId, readId } from '../../server/platform/ids.ts'
import { chance, SEED } from '../random.ts'
import { until } from '../until.ts'
import { openWire } from '../wire.ts'
import { type Customer, startWorld } from '../world.ts'
import { fillTheShop } from './stock.ts'

const CUSTOMERS = 4
const ORDERS_EACH = 15
const CUT_EVERY_MS = { from: 40, to: 250 }
const PATIENCE_MS = 60_000

test('a wire that is cut again and again loses no order and makes none twice', { timeout: 150_000 }, async (t) => {
  const luck = chance(SEED)
  let between!: Awaited<ReturnType<typeof openWire>>
  const world = await startWorld({
    asProcess: true,
    env: { ORDER_OPEN_MAX: '1000', LOG_LEVEL: 'fatal' },
    databaseUrl: async (url) => {
      between = await openWire(url)
      return between.url
    },
  })
  const answers: Record<string, number> = {}
  const orderOf = new Map<string, string>()
  let over = false

  /** As a careful program does it: the same question under the same key, until there is an answer. */
  async function order(who: Customer): Promise<void> {
    const key = newId()
    const end = performance.now() + PATIENCE_MS
    for (;;) {
      const answer = await who
        .post<Order & { code?: string }>('/orders', { service: 'telegram', country: 'GB' }, { 'idempotency-key': key })
        .catch(() => null)
      const word = answer === null ? 'none' : String(answer.status)
      answers[word] = (answers[word] ?? 0) + 1
      if (answer?.status === 201) {
        orderOf.set(key, readId('ord', answer.body.id)!)
        return
      }
      assert.ok(answer === null || answer.status === 503, JSON.stringify(answer?.body))
      assert.ok(performance.now() < end, 'there was no order')
      await pause(50)
    }
  }

  try {
    await fillTheShop(world, 2 * CUSTOMERS * ORDERS_EACH)
    const customers = await Promise.all(Array.from({ length: CUSTOMERS }, () => world.customer({ credit: '500.00' })))
    let cuts = 0
    const cutting = (async () => {
      while (!over) {
        const how = luck.oneOf(['cut_before', 'cut_after', 'cut_after', 'all'] as const)
        if (how === 'all') between.cutAll()
        else between.nextCall(how)
        cuts++
        await pause(luck.whole(CUT_EVERY_MS.from, CUT_EVERY_MS.to))
      }
    })()
    try {
      await Promise.all(
        customers.map(async (who) => {
          for (let n = 0; n < ORDERS_EACH; n++) await order(who)
        }),
      )
    } finally {
      over = true
      await cutting
      between.nextCall('carry')
    }
    t.diagnostic(`seed ${SEED}: ${cuts} cuts, answers ${JSON.stringify(answers)}`)

    const { rows } = await world.db.database.pool.query<{ key: string; id: string }>(
      'select k.key, o.id from orders o left join idempotency_keys k on k.subject = o.id',
    )
    assert.deepEqual(new Map(rows.map(({ key, id }) => [key, id])), orderOf)
    assert.equal(rows.length, CUSTOMERS * ORDERS_EACH)
    await until(async () => (await fetch(`${world.server.url}/readyz`)).status === 200)
    await world.audit()
  } finally {
    over = true
    await world.stop()
    await between.close()
  }
})
