/**
 * The follower and what is credited, over random trees of blocks, against PostgreSQL: two thousand steps. SEED=… repeats a run,
 * FORK_DATABASE_STEPS=… makes it longer.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { assetOf } from '../../server/payments/crypto/assets.ts'
import { NodeTrouble } from '../../server/payments/crypto/chain.ts'
import { chance, SEED } from '../random.ts'
import { type ForkHouse, openForkHouse } from './house.ts'
import { expectTruth } from './model.ts'
import { createForkWorld } from './world.ts'

const STEPS = Number(process.env['FORK_DATABASE_STEPS'] ?? 2_000)
const WATCHED = 12

let house: ForkHouse
before(async () => {
  house = await openForkHouse()
})
after(() => house?.close())

test(`whatever the network does, the books are what has three confirmations on the best branch, less what was reversed (SEED=${SEED})`, async () => {
  const draw = chance(SEED)
  const scripts: string[] = []
  for (let n = 0; n < WATCHED; n++) scripts.push(await house.address())
  const world = createForkWorld(draw, scripts)
  const { scripted } = world
  const about = { firstHeight: 0, watched: new Set(scripts), floorUnits: assetOf('BTC').floorUnits }
  const follower = house.follower(scripted)
  await follower.tick()
  for (let step = 0; step < STEPS; step++) {
    world.act()
    if (draw.happens(0.85)) continue
    if (draw.happens(0.2)) {
      // The network moves, or the node fails, between two questions of a turn.
      const at = scripted.said.calls + draw.whole(1, 10)
      const fails = draw.happens(0.4)
      scripted.script.before = (call) => {
        if (call !== at) return
        if (fails) throw new NodeTrouble('unreachable', 'No answer')
        world.act()
      }
      await follower.tick()
      scripted.script.before = null
    }
    await follower.tick()
    try {
      expectTruth(scripted, await house.seen(), about)
    } catch (error) {
      throw new Error(`Step ${step}, SEED=${SEED}: ${(error as Error).message}`, { cause: error })
    }
  }
  assert.deepEqual(await auditLedger(house.db.database), [])
  const { rows } = await house.owner.query<{ what: string; times: number }>(
    'select what, count(*)::int as times from crypto_payment_events group by what',
  )
  const times = new Map(rows.map((row) => [row.what, row.times]))
  // It is no proof of anything unless all of this happened. What is replaced in the pool is mostly seen by its block first.
  for (const what of ['seen', 'mined', 'unmined', 'conflicted', 'replaced', 'dropped', 'credited', 'reversed'])
    assert.ok(
      (times.get(what) ?? 0) >= (what === 'replaced' ? 2 : STEPS / 200),
      `${what} happened ${times.get(what) ?? 0} times`,
    )
})
