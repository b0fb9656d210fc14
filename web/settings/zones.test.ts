import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zoneOptions } from './zones.ts'

const noon = Date.parse('2026-11-23T12:00:00Z')

test('every zone is offered once, with its own time, and UTC is among them', () => {
  const options = zoneOptions(noon, 'Europe/Berlin')
  assert.equal(new Set(options.map((option) => option.value)).size, options.length)
  const of = (value: string) => options.find((option) => option.value === value)
  assert.deepEqual(of('Europe/Berlin')?.note, '13:00')
  assert.deepEqual(of('UTC')?.note, '12:00')
  assert.equal(of('America/New_York')?.text, 'America/New York')
  assert.ok(options.length > 300)
})

test('the zone of the account stays in the list under the name that it has', () => {
  assert.ok(zoneOptions(noon, 'US/Pacific').some((option) => option.value === 'US/Pacific'))
  assert.ok(zoneOptions(noon, 'Mars/Olympus').every((option) => option.value !== 'Mars/Olympus'))
})
