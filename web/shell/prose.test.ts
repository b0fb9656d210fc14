import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policies, type Section } from '../../contract/policies.ts'
import { policyVersions } from '../../contract/policy-versions.ts'
import { articles } from '../help/articles.ts'
import { pieces, plainWords } from './prose.ts'

const names = { brand: 'B', seller: 'S', address: 'A' }

test('a sentence is taken apart into words, links and the address of support', () => {
  assert.deepEqual(pieces('{brand} of {seller}: see [the terms](/terms#use) or write to {support}.', names), [
    { kind: 'words', text: 'B of S: see ' },
    { kind: 'link', text: 'the terms', href: '/terms#use' },
    { kind: 'words', text: ' or write to ' },
    { kind: 'support' },
    { kind: 'words', text: '.' },
  ])
  assert.equal(plainWords('See [the terms](/terms) or {support}'), 'See the terms or support')
})

test('each policy is in force in the version that people accept', () => {
  assert.deepEqual(
    Object.fromEntries(policies.map((policy) => [policy.name, policy.versions[0].version])),
    policyVersions,
  )
  for (const { versions } of policies) {
    const days = versions.map(({ version }) => version)
    assert.deepEqual(days, [...new Set(days)].sort().reverse(), 'newest first, each once')
  }
})

const texts: { name: string; short: string; sections: Section[] }[] = [
  ...policies.flatMap(({ path, versions }) => versions.map((each) => ({ name: `${path} ${each.version}`, ...each }))),
  ...articles.map((article) => ({ name: `/help/${article.slug}`, ...article })),
]
const anchors = new Set([
  ...policies.flatMap(({ path, versions }) => [path, ...versions[0].sections.map(({ id }) => `${path}#${id}`)]),
  ...articles.map(({ slug }) => `/help/${slug}`),
])
const pages = [
  '/',
  '/numbers',
  '/top-up',
  '/billing',
  '/settings',
  '/status',
  '/help',
  '/password/forgotten',
  '/api/docs',
]

for (const { name, short, sections } of texts) {
  test(`${name}: its names are known and its links lead somewhere`, () => {
    const ids = sections.map(({ id }) => id)
    assert.deepEqual(ids, [...new Set(ids)], 'each section has an anchor of its own')
    const found = [short, ...sections.flatMap(({ passages }) => passages.flat())].flatMap((text) => pieces(text, names))
    for (const piece of found) {
      if (piece.kind === 'words') assert.doesNotMatch(piece.text, /[{}[\]]/)
      if (piece.kind === 'link')
        assert.ok(
          anchors.has(piece.href) || pages.includes(piece.href) || piece.href.startsWith('https://'),
          `${piece.href} is nowhere`,
        )
    }
  })
}

test('each help article has an address of its own', () => {
  const slugs = articles.map(({ slug }) => slug)
  assert.deepEqual(slugs, [...new Set(slugs)])
  assert.ok(slugs.every((slug) => /^[a-z-]+$/.test(slug)))
})
