import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurnstile } from './admission.ts'
import { pause } from './clock.ts'

const stays = () => false
const turnstile = (more: Partial<Parameters<typeof createTurnstile>[0]> = {}) =>
  createTurnstile({ name: 'test', insideMax: 2, waitingMax: 3, patienceMs: 200, hurryMs: 20, ...more })

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
  await pause(patienceMs + 100)
  const first = to.enter(stays)
  await pause(20)
  const second = to.enter(stays)
  to.leave()
  assert.equal(await first, true)
  to.leave()
  assert.equal(await second, true)
})

test('a burst that nobody follows is served to its end, however long that takes', async () => {
  const to = turnstile({ insideMax: 1, waitingMax: 100, patienceMs: 20, hurryMs: 5 })
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const isIn = await to.enter(stays)
      if (!isIn) return false
      await pause(5)
      to.leave()
      return true
    }),
  )
  assert.deepEqual(new Set(outcomes), new Set([true]))
})

test('nobody waits for ever, also while nobody leaves', async () => {
  const to = turnstile()
  assert.equal(to.enter(stays), true)
  assert.equal(to.enter(stays), true)
  assert.equal(await to.enter(stays), false)
  const next = to.enter(stays)
  to.leave()
  assert.equal(await next, true)
})

test('while the line does not end nobody waits long; when it has ended, one may wait again', async () => {
  const to = turnstile({ insideMax: 1, waitingMax: 1_000, patienceMs: 300, hurryMs: 20 })
  let over = false
  // More come than can be served: one every 2 ms, and each takes 10.
  const waits: { since: number; waited: number; isIn: boolean }[] = []
  const begun = performance.now()
  const coming = (async () => {
    const all: Promise<void>[] = []
    while (!over) {
      const since = performance.now()
      all.push(
        (async () => {
          const isIn = await to.enter(stays)
          waits.push({ since: since - begun, waited: performance.now() - since, isIn })
          if (!isIn) return
          await pause(10)
          to.leave()
        })(),
      )
      await pause(2)
    }
    await Promise.all(all)
  })()
  await pause(1_000)
  over = true
  await coming
  const later = waits.filter(({ since, isIn }) => since > 500 && isIn)
  assert.ok(later.length > 10)
  const median = later.map(({ waited }) => waited).sort((a, b) => a - b)[later.length >> 1]!
  assert.ok(median < 200, `the median of those let in waited ${median} ms`)
  assert.ok(waits.some(({ isIn }) => !isIn))
  assert.equal(to.enter(stays), true)
  const burst = to.enter(stays)
  await pause(50)
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
