import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayKey, momentWords, readOut, untilWords } from './times.ts'

test('a countdown says whole minutes, and from two minutes on the seconds too', () => {
  assert.equal(untilWords(20 * 60_000), '20 minutes left')
  assert.equal(untilWords(12 * 60_000 + 59_000), '12 minutes left')
  assert.equal(untilWords(119_000), '1 minute 59 seconds left')
  assert.equal(untilWords(61_000), '1 minute 1 second left')
  assert.equal(untilWords(60_000), '1 minute left')
  assert.equal(untilWords(400), '1 second left')
  assert.equal(untilWords(0), 'time is up')
  assert.equal(untilWords(-5_000), 'time is up')
})

test('a countdown is read out at five minutes and at one minute only', () => {
  assert.equal(readOut(301_000), '')
  assert.equal(readOut(300_000), '5 minutes left')
  assert.equal(readOut(289_000), '')
  assert.equal(readOut(59_000), '1 minute left')
  assert.equal(readOut(20_000), '')
})

test('a time that is not of today says its day, in the zone of the reader', () => {
  const now = Date.parse('2026-11-22T23:30:00Z')
  assert.equal(momentWords('2026-11-22T14:02:41Z', 'UTC', now, 'seconds'), '14:02:41')
  assert.equal(momentWords('2026-11-21T14:02:41Z', 'UTC', now, 'minutes'), '21 Nov, 14:02')
  assert.equal(momentWords('2026-11-22T14:02:41Z', 'Asia/Tokyo', now, 'seconds'), '22 Nov, 23:02:41')
})

test('movements are grouped by the day of the zone, not of UTC', () => {
  assert.equal(dayKey('2026-11-22T23:30:00Z', 'Europe/Berlin'), '2026-11-23')
  assert.equal(dayKey('2026-11-22T02:30:00Z', 'America/Los_Angeles'), '2026-11-21')
})
