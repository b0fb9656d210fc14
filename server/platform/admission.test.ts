import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurnstile } from './admission.ts'

const stays = () => false

/** A turnstile, and its time, which passes only as the test says: a slow machine changes nothing. */
function turnstile(more: Partial<Parameters<typeof createTurnstile>[0]> = {}) {
  let now = 0
  const to = createTurnstile({
    name: 'test',
    insideMax: 2,
    waitingMax: 3,
    patienceMs: 200,
    hurryMs: 20,
    clock: () => now,
    ...more,
  })
  return {
    ...to,
    now: () => now,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
  }
}

test('as many as it takes are let in at once; the next ones wait their turn, in order', async () => {
  const to = turnstile({ patienceMs: 10_000 })
  assert.equal(to.enter(stays), true)
  assert.equal(to.enter(stays), true)
  const order: number[] = []
  const waiting = [1, 2, 3].map(async (n) => {
    assert.equal(await to.enter(stays), true)
    order.push(n)
    to.leave()
  })
  assert.deepEqual(order, [])
  to.leave()
  await Promise.all(waiting)
  assert.deepEqual(order, [1, 2, 3])
})

test('beyond the line one is sent away at once, and told when to come back', async () => {
  const to = turnstile({ patienceMs: 10_000 })
  assert.equal(to.enter(stays), true)
  assert.equal(to.enter(stays), true)
  const waiting = [1, 2, 3].map(() => to.enter(stays))
  assert.equal(to.enter(stays), false)
  assert.ok(to.retryAfterSeconds() >= 1 && to.retryAfterSeconds() <= 30)
  for (const each of waiting) {
    to.leave()
    assert.equal(await each, true)
  }
})

test('a line that begins while those inside are slow is a burst, too: it has only just begun', async () => {
  const patienceMs = 300
  const to = turnstile({ insideMax: 1, patienceMs, hurryMs: 5 })
  assert.equal(to.enter(stays), true)
  // Nobody came and nobody left for longer than a burst may take.
  to.pass(patienceMs + 100)
  const first = to.enter(stays)
  to.pass(20)
  const second = to.enter(stays)
  to.leave()
  assert.equal(await first, true)
  to.leave()
  assert.equal(await second, true)
})

test('a burst that nobody follows is served to its end, however long that takes', async () => {
  const to = turnstile({ insideMax: 1, waitingMax: 100, patienceMs: 20, hurryMs: 5 })
  const outcomes = Promise.all(Array.from({ length: 30 }, async () => to.enter(stays)))
  for (let served = 0; served < 29; served++) {
    to.pass(5)
    to.leave()
  }
  assert.deepEqual(new Set(await outcomes), new Set([true]))
})

test('nobody waits for ever, also while nobody leaves', async () => {
  const to = turnstile()
  assert.equal(to.enter(stays), true)
  assert.equal(to.enter(stays), true)
  const first = to.enter(stays)
  to.pass(5_001)
  assert.equal(await first, false)
  const next = to.enter(stays)
  to.leave()
  assert.equal(await next, true)
})

test('while the line does not end nobody waits long; when it has ended, one may wait again', async () => {
  const to = turnstile({ insideMax: 1, waitingMax: 1_000, patienceMs: 300, hurryMs: 20 })
  // More come than can be served: one every 2 ms, and each takes 10.
  const waits: { since: number; waited: number; isIn: boolean }[] = []
  const leaveAt: number[] = []
  const coming: Promise<void>[] = []
  while (to.now() < 1_000 || leaveAt.length > 0) {
    if (to.now() < 1_000 && to.now() % 2 === 0) {
      const since = to.now()
      const entering = to.enter(stays)
      coming.push(
        (async () => {
          const isIn = await entering
          waits.push({ since, waited: to.now() - since, isIn })
          if (isIn) leaveAt.push(to.now() + 10)
        })(),
      )
    }
    // Whoever was told something has heard it.
    await new Promise((resolve) => setImmediate(resolve))
    to.pass(1)
    while (leaveAt.length > 0 && leaveAt[0]! <= to.now()) {
      leaveAt.shift()
      to.leave()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(coming)
  const later = waits.filter(({ since, isIn }) => since > 500 && isIn)
  assert.ok(later.length > 10)
  const median = later.map(({ waited }) => waited).sort((a, b) => a - b)[later.length >> 1]!
  assert.ok(median < 200, `the median of those let in waited ${median} ms`)
  assert.ok(waits.some(({ isIn }) => !isIn))
  assert.equal(to.enter(stays), true)
  const burst = to.enter(stays)
  to.pass(50)
  to.leave()
  assert.equal(await burst, true, 'longer than the hurry, and let in')
})

test('who has hung up while he waited takes nobody’s place', async () => {
  const to = turnstile()
  assert.equal(to.enter(stays), true)
  assert.equal(to.enter(stays), true)
  const gone = to.enter(() => true)
  const next = to.enter(stays)
  to.leave()
  assert.equal(await gone, false)
  assert.equal(await next, true)
})
