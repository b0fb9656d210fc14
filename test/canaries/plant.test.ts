/** How bugs are planted. That each of them still can be is asked by the canaries themselves, and here once more, in a moment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plant, readCanaries, readCanary } from './plant.ts'

const head = 'Bug: it is wrong\nFrom: somewhere\nFound by: streams\n'
const patch = (lines: string) => readCanary('it', `${head}\n--- a.sql\n@@\n${lines}\n`)

test('every canary applies to the code as it stands', () => {
  const canaries = readCanaries()
  assert.ok(canaries.length > 0)
  for (const canary of canaries) assert.ok(plant(canary).size > 0)
})

test('a place is found by its words, however they are spaced, and nothing else changes', () => {
  const planted = plant(patch(' if a\n-  and b then\n+  or b then'), () => 'x;\nif   a\n      and b then y;\n')
  assert.deepEqual([...planted], [['a.sql', 'x;\nif a\n  or b then y;\n']])
})

test('a place that is gone, or there twice, is said loudly', () => {
  assert.throws(() => plant(patch('-a\n+b'), () => 'c'), /it no longer applies, write it anew: a\.sql has nowhere\na/)
  assert.throws(() => plant(patch('-a\n+b'), () => 'a a'), /more than once/)
})

test('a patch that says too little is none', () => {
  assert.throws(() => readCanary('it', head), /it changes nothing/)
  assert.throws(() => readCanary('it', 'Bug: x\n--- a.sql\n@@\n-a\n+b'), /its head has no "From:"/)
  assert.throws(() => readCanary('it', `${head}Fond of: x\n--- a.sql\n@@\n-a\n+b`), /cannot be read: Fond of: x/)
})
