import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Overloaded } from './batch.ts'
import { openLog } from './log.ts'

function listen() {
  const lines: Record<string, unknown>[] = []
  const log = openLog({ level: 'info', to: { write: (line) => void lines.push(JSON.parse(line)) } })
  return { log, lines }
}

test('trouble of the database that everybody has is written a few times, not for each of them', () => {
  const { log, lines } = listen()
  const away = Object.assign(new Error('no room'), { code: '53100' })
  for (let n = 0; n < 1_000; n++) {
    log.error({ err: away }, 'A request could not be answered')
    log
      .child({ of: 'another room' })
      .warn({ err: new Overloaded('later', { cause: away }) }, 'An order could not be ended')
  }
  assert.equal(lines.filter(({ msg }) => msg === 'A request could not be answered').length, 3)
  assert.equal(lines.filter(({ msg }) => msg === 'An order could not be ended').length, 3)
})

test('how many were left out is said by the first line after a while', (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const { log, lines } = listen()
  const away = Object.assign(new Error('no room'), { code: '25006' })
  for (let n = 0; n < 25; n++) log.error({ err: away }, 'A tick failed')
  now = 60_000
  log.error({ err: away }, 'A tick failed')
  assert.equal(lines.length, 4)
  assert.equal(lines.at(-1)!['left_out'], 22)
})

test('what is the matter with one thing only is written each time', () => {
  const { log, lines } = listen()
  for (let n = 0; n < 100; n++) {
    log.error({ err: new Error('a bug') }, 'A request failed')
    log.error({ order: n }, 'Alarm')
  }
  assert.equal(lines.length, 200)
})
