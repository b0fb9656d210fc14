import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Refusal } from '../api.ts'
import { problemsOf } from './problems.ts'

const fields = ['username', 'accepted'] as const
const refusal = (field: string | null): Refusal => ({
  code: 'invalid_request',
  title: 'T',
  detail: 'What happened.',
  field,
  requestId: null,
})

test('a refusal about a field stands beside it, and in the summary with its place', () => {
  assert.deepEqual(problemsOf({}, refusal('username'), fields), {
    beside: { username: 'What happened.' },
    all: [{ field: 'username', text: 'What happened.' }],
  })
  assert.deepEqual(problemsOf({}, refusal('accepted.terms'), fields).all, [
    { field: 'accepted', text: 'What happened.' },
  ])
})

test('a refusal about nothing on the form stands above it alone', () => {
  assert.deepEqual(problemsOf({}, refusal(null), fields), {
    beside: {},
    all: [{ field: null, text: 'What happened.' }],
  })
  assert.deepEqual(problemsOf({}, refusal('token'), fields).all, [{ field: null, text: 'What happened.' }])
})

test('what is missing is listed in the order of the form', () => {
  assert.deepEqual(problemsOf({ accepted: 'B', username: 'A' }, null, fields).all, [
    { field: 'username', text: 'A' },
    { field: 'accepted', text: 'B' },
  ])
})
