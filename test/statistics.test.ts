import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chance } from './random.ts'
import { likelihoodOfOneSource, smallestNoticed } from './statistics.ts'

/** As answers of a busy server: a floor, a spread of some milliseconds, and a tail of slow ones. */
function answerTimes(count: number, seed: number, more = 0): number[] {
  const random = chance(seed).next
  return Array.from({ length: count }, () => 150 + more + random() * 12 + (random() < 0.05 ? random() * 200 : 0))
}

test('what comes from one source is rarely called two', () => {
  const rounds = 400
  let alarms = 0
  for (let round = 0; round < rounds; round++) {
    if (likelihoodOfOneSource(answerTimes(300, 2 * round + 1), answerTimes(300, 2 * round + 2)) < 0.01) alarms++
  }
  assert.ok(alarms <= 12, `${alarms} of ${rounds}: about one in a hundred is expected`)
})

test('a planted difference of two milliseconds among a thousand answers each is noticed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    assert.ok(likelihoodOfOneSource(answerTimes(1000, seed), answerTimes(1000, seed + 100, 2)) < 0.0001)
  }
})

test('what another program computes of the same values', () => {
  // scipy.stats.mannwhitneyu(range(1, 21), range(11, 31), use_continuity=False, method="asymptotic"): p = 4.9195e-05
  const p = likelihoodOfOneSource(
    Array.from({ length: 20 }, (_, i) => i + 1),
    Array.from({ length: 20 }, (_, i) => i + 11),
  )
  assert.ok(Math.abs(p - 4.9195e-5) < 1e-7, String(p))
  assert.equal(likelihoodOfOneSource([5, 5, 5], [5, 5, 5]), 1)
})

test('the smallest difference that would be noticed is told', () => {
  const [a, b] = [answerTimes(1000, 7), answerTimes(1000, 8)]
  const shift = smallestNoticed(a, b, 0.01, 50)
  assert.ok(shift > 0.1 && shift < 2, String(shift))
})
