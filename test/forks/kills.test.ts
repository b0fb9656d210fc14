/** The process may die between any two statements of a block, or of a credit, and two may follow at once: the end is the same. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type pg from 'pg'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { assetOf } from '../../server/payments/crypto/assets.ts'
import { type Database, openDatabase } from '../../server/platform/db.ts'
import { chance, SEED } from '../random.ts'
import { createScriptedChain, type ScriptedTx } from '../scripted-chain.ts'
import { until } from '../until.ts'
import { type ForkHouse, openForkHouse } from './house.ts'
import { expectTruth } from './model.ts'
import { createForkWorld } from './world.ts'

const STATEMENTS_MAX = 1_000
/** Of the statements of a turn every eighth, from one on that the seed says; KILL_EVERY=1 takes each. */
const EVERY = Number(process.env['KILL_EVERY'] ?? 8)
const floorUnits = assetOf('BTC').floorUnits

let house: ForkHouse
beforeEach(async () => {
  house = await openForkHouse()
})
afterEach(() => house?.close())

test('12: killed before any statement of a block, of its undoing, of a credit or a reversal: the next turn comes to the same end', async () => {
  const script = await house.address()
  const scripted = createScriptedChain()
  const about = { firstHeight: 0, watched: new Set([script]), floorUnits }
  await house.follower(scripted).tick()
  let made = 0
  const pay = (): ScriptedTx => {
    const txid = (++made).toString(16).padStart(64, '0')
    return { txid, spends: [`coin:${made}`], pays: [{ script, units: 10_000n }] }
  }
  let died = true
  for (let at = 1 + (SEED % EVERY); died; at += EVERY) {
    assert.ok(at < STATEMENTS_MAX, 'A turn has an end')
    // One is credited; one is credited and taken back by a conflict, one is mined again, one waits.
    const [kept, lost, again, waits] = [pay(), pay(), pay(), pay()]
    scripted.mine([kept, lost])
    for (let n = 0; n < 2; n++) scripted.mine()
    scripted.mine([again])
    await house.follower(scripted).tick()
    scripted.reorganise(4, [[kept, again, { ...lost, txid: `${lost.txid.slice(1)}f`, pays: [] }], [], []], 5)
    scripted.wait([waits])
    const dying = kill(house.db.database, at)
    await house
      .follower(scripted, { database: dying.database, decide: house.creditsOver(dying.database).decide })
      .tick()
      .catch((error: unknown) => assert.ok(error instanceof Killed, String(error)))
    died = dying.died()
    // The lock of a connection that broke is let go in a moment.
    await until(async () => {
      await house.follower(scripted).tick()
      return (await house.seen()).tip.hash === scripted.tip.hash
    })
    await house.follower(scripted).tick()
    try {
      expectTruth(scripted, await house.seen(), about)
    } catch (error) {
      throw new Error(`Killed before statement ${at}: ${(error as Error).message}`, { cause: error })
    }
  }
  assert.ok((made / 4) * EVERY > 80, 'A turn has more statements than that')
  assert.deepEqual(await auditLedger(house.db.database), [])
})

test(`13: three followers at once, each with connections of its own, are as one (SEED=${SEED})`, async () => {
  const draw = chance(SEED)
  const scripts: string[] = []
  for (let n = 0; n < 6; n++) scripts.push(await house.address())
  const { scripted, act } = createForkWorld(draw, scripts)
  const others = [0, 1].map(() =>
    openDatabase({ url: house.db.url, role: 'mobilesms_app', connectionsMax: 4, onIdleError: () => {} }),
  )
  try {
    const followers = [
      house.follower(scripted),
      ...others.map((database) => house.follower(scripted, { database, decide: house.creditsOver(database).decide })),
    ]
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 4; n++) act()
      await Promise.all(followers.map((follower) => follower.tick()))
      // Whoever came second idled; it may have been the one who would have seen the last of it.
      await followers[round % 3]!.tick()
      expectTruth(scripted, await house.seen(), { firstHeight: 0, watched: new Set(scripts), floorUnits })
    }
  } finally {
    for (const database of others) await database.close()
  }
  assert.deepEqual(await auditLedger(house.db.database), [])
})

class Killed extends Error {}

/** As the process that dies before its statement `at`: nothing of it goes on, and its connections break. */
function kill(database: Database, at: number): { database: Database; died: () => boolean } {
  let statements = 0
  const isDead = () => statements >= at
  function next(): void {
    if (isDead() || ++statements >= at) {
      statements = at
      throw new Killed(`Killed before statement ${at}`)
    }
  }
  function mortal<T extends object>(it: T): T {
    return new Proxy(it, {
      get(target, name) {
        if (name === 'query')
          return async (...args: unknown[]) => {
            next()
            return (target as unknown as pg.Pool).query(...(args as [string]))
          }
        if (name === 'release') return () => (target as unknown as pg.PoolClient).release(isDead())
        const value = Reflect.get(target, name) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
  const connect = async () => mortal(await database.connect())
  return {
    died: isDead,
    database: {
      ...database,
      pool: mortal(database.pool),
      connect,
      async transaction(work) {
        const client = await connect()
        try {
          await client.query('begin')
          const result = await work(client)
          await client.query('commit')
          return result
        } catch (error) {
          if (!isDead()) await client.query('rollback')
          throw error
        } finally {
          client.release()
        }
      },
    },
  }
}
