import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freshKeys } from './fresh.ts'

test('a row that comes in above what was read is fresh; older pages and other filters are not', () => {
  assert.deepEqual([...freshKeys(['b', 'a'], ['c', 'b', 'a'])], ['c'])
  assert.deepEqual([...freshKeys(['b', 'a'], ['b', 'a', 'older'])], [])
  assert.deepEqual([...freshKeys(['b', 'a'], ['x', 'y'])], [])
  assert.deepEqual([...freshKeys(null, ['a'])], [])
})
