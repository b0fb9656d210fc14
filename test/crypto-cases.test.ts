/**
 * What can happen to a payment on a chain, case by case, and where it is tried: each case has a test whose name begins with its number.
 * `WRITE_TABLE=1 npm test -- test/crypto-cases` writes docs/crypto-cases.md, which is otherwise compared.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const FILE = join(root, 'docs/crypto-cases.md')
const FOLDERS = ['server/payments/crypto', 'test']

const cases: Record<number, string> = {
  1: 'A reorganisation of one block, and the payment is mined again: counted anew, credited once',
  2: 'A reorganisation of two blocks, and the payment is double-spent: no credit, the customer hears of it',
  3: 'A reorganisation of four blocks below a credit, mined again: the credit stays',
  4: 'A reorganisation of four blocks, and a credited payment is gone: taken back, what is not covered is owed',
  5: 'The chain is rewritten deeper than the 200 blocks that are kept: the network halts, a person looks',
  6: 'Another branch of the same height, or a shorter chain: seen by the hashes',
  7: 'A reorganisation between two questions to the node: asked anew, nothing written',
  8: 'The node is away for two hours, and the payment was in time: the time of its block decides',
  9: 'The node is behind: no new top-ups on this network, and everybody is told',
  10: 'The node lies, or is of another network, or two nodes disagree: nothing is credited, somebody is called',
  11: 'The node breaks off, limits, fails, or answers a part: asked again, a block is whole or not there',
  12: 'The process is killed between a block and its credit: the next turn comes to the same end',
  13: 'Two followers: one works, the other waits',
  14: 'The same log twice, or all blocks read again: no second credit',
  15: 'Mined again with another number of its log: the same payment',
  16: 'A token that keeps a fee: credited is what reached our address',
  17: 'A token that lies about what was moved: ignored',
  18: 'Another coin than was asked for: credited as what it is, at its own rate',
  19: 'A token that we do not know: looked up by its transaction',
  20: 'A failed transaction: no payment',
  21: 'Ether that a contract sends: credited from the trace; what is taken back inside is not',
  22: 'One unit short: as if exact',
  23: '30 % short: credited, and the rest can be sent',
  24: '5 % or 300 % too much: all of it is credited, above 110 % at the rate of its block',
  25: 'Two payments, 60 and 40 %: each by itself',
  26: 'Less than the smallest top-up after an exchange’s fee: credited',
  27: 'Less than $0.50: written down, not credited, nobody is told',
  28: 'Seen in time, mined three hours later: the rate that was held',
  29: 'Sent after the rate had ended: the rate of its block',
  30: 'A payment a year later: credited; to a suspended account a person looks',
  31: 'Replaced by one that pays the same, less, or nothing: only blocks count',
  32: 'Forgotten by the network before a block: waits again, nothing is negative',
  33: 'Two top-ups with their addresses exchanged: each follows its address',
  34: 'An old address is paid again: credited to the same customer',
  35: '50 top-ups at once: no address twice, none left out',
  36: 'A thousand top-ups that nobody pays: all are watched, ten open ones a customer',
  37: 'A private key, a mistyped one, one of another network, another key later: refused, or a new row',
  38: 'Newly mined coins: after 100 confirmations',
  39: 'One transaction, several outputs: a payment each',
  40: 'Exchanges down, lying, stale, negative, or a dollar coin that is none: no price, or the last one for five minutes',
  41: 'The clock of a block is off: what we saw before counts',
  42: 'More confirmations are asked for while one waits: those of its quote',
  43: 'The ledger cannot be written: tried again, somebody is called after five minutes',
  44: 'Sent on another network: not seen here, and the customer is told what to do',
}

test('each case of a payment on a chain has a test that begins with its number, and docs/crypto-cases.md says where', () => {
  const places = new Map(Object.keys(cases).map((number) => [Number(number), new Set<string>()]))
  for (const file of testFiles())
    for (const number of numbersIn(readFileSync(file, 'utf8'))) places.get(number)?.add(relative(root, file))
  for (const [number, files] of places)
    assert.ok(files.size > 0, `no test begins with "${number}: " (${cases[number]})`)
  const table = tableOf(places)
  if (process.env['WRITE_TABLE']) writeFileSync(FILE, table)
  assert.equal(readFileSync(FILE, 'utf8'), table, 'docs/crypto-cases.md is old: write it with WRITE_TABLE=1')
})

function testFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join(root, folder, name)),
  ).sort()
}

/** Of names such as `17 and 19: …`, `12, 14: …` and `1 to 4: …`. */
function numbersIn(text: string): number[] {
  return [...text.matchAll(/\btest\(\s*['"`](\d+(?:(?:, | and | to )\d+)*): /g)].flatMap(([, named = '']) =>
    named.split(/, | and /).flatMap((part) => {
      const [from = 0, to = from] = part.split(' to ').map(Number)
      return Array.from({ length: to - from + 1 }, (_, index) => from + index)
    }),
  )
}

function tableOf(places: ReadonlyMap<number, ReadonlySet<string>>): string {
  const rows = [...places].map(
    ([number, files]) =>
      `| ${number} | ${cases[number]} | ${[...files].map((file) => `[${nameOf(file)}](../${file})`).join(', ')} |`,
  )
  return `# What can happen to a payment on a chain

Every case, what comes of it, and where it is tried: in these files the names of its tests begin with its number. Written by
\`WRITE_TABLE=1 npm test -- test/crypto-cases\`, which otherwise compares.

| | case | tried in |
| --- | --- | --- |
${rows.join('\n')}
`
}

function nameOf(file: string): string {
  return file.replace(/^.*\//, '').replace('.test.ts', '')
}
