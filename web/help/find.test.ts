import assert from 'node:assert/strict'
import { test } from 'node:test'
import { articles } from './articles.ts'
import { findArticles } from './find.ts'

const found = (typed: string) => findArticles(articles, typed).map(({ slug }) => slug)

test('articles with the words in their title come first', () => {
  assert.equal(found('late')[0], 'late-codes')
  assert.equal(found('API key')[0], 'api-keys')
})

test('words in the text are found, too, in any order and without capitals', () => {
  assert.ok(found('wallet').includes('card-refused'))
  assert.ok(found('BANK confirm').includes('paying-by-card'))
  assert.deepEqual(found('wallet cancel'), [])
})

test('nothing typed finds nothing, and so does what stands nowhere', () => {
  assert.deepEqual(found('  '), [])
  assert.deepEqual(found('zeppelin'), [])
})
