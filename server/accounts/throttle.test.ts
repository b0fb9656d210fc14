import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createThrottle } from './throttle.ts'

function throttle(attemptsMax: number) {
  let now = 0
  const clock = { now: () => new Date(now) }
  return {
    ...createThrottle({ attemptsMax, windowSeconds: 60, clock }),
    pass: (seconds: number) => {
      now += seconds * 1000
    },
  }
}

test('so many attempts a window, then none until it ends', () => {
  const doors = throttle(3)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => doors.attempt('192.0.2.1')),
    [true, true, true, false],
  )
  assert.equal(doors.attempt('192.0.2.2'), true, 'another address is another matter')
  doors.pass(59)
  assert.equal(doors.attempt('192.0.2.1'), false)
  doors.pass(1)
  assert.equal(doors.attempt('192.0.2.1'), true)
})

test('what succeeds does not count', () => {
  const doors = throttle(1)
  for (let i = 0; i < 5; i++) {
    assert.equal(doors.attempt('192.0.2.1'), true)
    doors.forgive('192.0.2.1')
  }
})

test('one network of IPv6 counts as one address, however it is written', () => {
  const doors = throttle(2)
  assert.equal(doors.attempt('2001:db8:0:1:a::1'), true)
  assert.equal(doors.attempt('2001:db8:0:1::2'), true)
  assert.equal(doors.attempt('2001:db8:0:1:ffff:ffff:ffff:ffff'), false)
  assert.equal(doors.attempt('2001:db8:0:2::1'), true)
  assert.equal(doors.attempt('::1'), true)
})

test('a flood of addresses takes no more memory than the list may have, and forgets the oldest', () => {
  const doors = throttle(1)
  assert.equal(doors.attempt('first'), true)
  for (let i = 0; i < 10_000; i++) doors.attempt(`198.51.${i >> 8}.${i & 255}`)
  assert.equal(doors.attempt('first'), true)
})
