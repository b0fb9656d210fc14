import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groups } from './groups.ts'

test('codes of six digits and more stand in threes, shorter ones and words as they are', () => {
  assert.deepEqual(groups('482771'), ['482', '771'])
  assert.deepEqual(groups('48277130'), ['482', '771', '30'])
  assert.deepEqual(groups('4827713'), ['482', '7713'])
  assert.deepEqual(groups('48213'), ['48213'])
  assert.deepEqual(groups('99-12-77'), ['99-12-77'])
  assert.deepEqual(groups('ABCDEF'), ['ABCDEF'])
})

test('a phone number stands apart from its dial code', () => {
  assert.deepEqual(groups('+447700900123', '+44'), ['+44', '770', '090', '0123'])
  assert.deepEqual(groups('+447700900123', '+49'), ['+447700900123'])
})
