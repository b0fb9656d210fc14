/**
 * The follower's rules over random trees of blocks, without a database: a hundred thousand steps. SEED=… repeats a run, FORK_STEPS=… makes
 * it longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assetOf } from '../../server/payments/crypto/assets.ts'
import { NodeTrouble } from '../../server/payments/crypto/chain.ts'
import { chance, SEED } from '../random.ts'
import { createMemoryFollower } from './memory.ts'
import { expectTruth } from './model.ts'
import { createForkWorld } from './world.ts'

const STEPS = Number(process.env['FORK_STEPS'] ?? 100_000)
const STEPS_PER_WORLD = 100
const WATCHED = 12
const scripts = Array.from({ length: WATCHED }, (_, n) => n.toString(16).padStart(44, '0'))

test(`whatever the network does, what stands is what the best branch says, and credit is what has three confirmations on it (SEED=${SEED})`, () => {
  const done: Record<string, number> = {}
  for (let step = 0, seed = SEED; step < STEPS; step += STEPS_PER_WORLD, seed++) {
    try {
      playWorld(seed, done)
    } catch (error) {
      throw new Error(`World ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
  // It is no proof of anything unless all of this happened.
  for (const what of [
    'mined',
    'unmined',
    'conflicted',
    'replaced',
    'dropped',
    'seen',
    'credited',
    'reversed',
    'fork',
    'interrupted',
  ])
    assert.ok((done[what] ?? 0) > STEPS / 1_000, `${what} happened ${done[what] ?? 0} times`)
})

function playWorld(seed: number, done: Record<string, number>): void {
  const draw = chance(seed)
  const world = createForkWorld(draw, scripts)
  const { scripted } = world
  const follower = createMemoryFollower(scripted, new Map(scripts.map((script) => [script, script])))
  const about = { firstHeight: 0, watched: new Set(scripts), floorUnits: assetOf('BTC').floorUnits }
  const count = (what: string, times = 1) => {
    done[what] = (done[what] ?? 0) + times
  }
  let now = scripted.tip.time.getTime() + 3_600_000 * 24 * 365
  follower.turn(new Date(now))
  for (let step = 0; step < STEPS_PER_WORLD; step++) {
    now += 1_000
    count(world.act())
    if (draw.happens(0.4)) continue
    const calls = scripted.said.calls
    if (draw.happens(0.15)) {
      // The network moves, or the node fails, between two questions of a turn.
      const at = calls + draw.whole(1, 8)
      const fails = draw.happens(0.4)
      scripted.script.before = (call) => {
        if (call !== at) return
        if (fails) throw new NodeTrouble('unreachable', 'No answer')
        world.act()
      }
      follower.turn(new Date(now))
      scripted.script.before = null
      count('interrupted')
    } else if (draw.happens(0.2)) {
      follower.turn(new Date(now), draw.whole(0, 3))
      count('interrupted')
    }
    if (follower.turn(new Date(now))) expectTruth(scripted, follower.seen(), about)
    else assert.fail('A turn that nothing disturbs reads everything')
  }
  for (const { events } of follower.seen().payments) for (const { what } of events) count(what)
  count('credited', follower.ledger.credits > 0n ? 1 : 0)
  count('reversed', follower.ledger.reversals > 0n ? 1 : 0)
}
