/**
 * Streams of commands through the ledger, one seed after the other, over one connection, two and four. The first that differs from
 * the model fails, and says how to see it again.
 *
 *   ORACLE_RUNS=200 SEED=7 npm test -- test/ledger/streams
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { chance, SEED } from '../random.ts'
import { ACCOUNTS, type Oracle, openOracle, untilItPasses } from './oracle.ts'

/** Streams for each way to be connected. */
const RUNS = Number(process.env['ORACLE_RUNS'] ?? 10)
const COMMANDS_PER_STREAM = 250
/** Longer than a lane waits for a row. */
const KEPT_SECONDS = 0.4

const everyWord = [
  'account_not_found',
  'account_suspended',
  'already_captured',
  'already_voided',
  'exceeds_hold',
  'exists',
  'exists_with_different_fields',
  'group_refused',
  'hold_not_found',
  'insufficient_credits',
  'malformed_command',
  'ok',
  'too_many_open_holds',
]

const ways = {
  'over one connection, every answer and all books are what the model says': { ledgers: 1, lanes: 1 },
  'over two connections that meet at the same customers, whoever comes first is answered as the model says': {
    ledgers: 2,
    lanes: 1,
  },
  'over four connections that meet at the same customers, too': { ledgers: 4, lanes: 1 },
  'over the four lanes of one batcher, too': { ledgers: 1, lanes: 4 },
}

for (const [promise, way] of Object.entries(ways)) {
  test(promise, async (t) => {
    const oracle = await openOracle(way)
    try {
      const words = await playAll(oracle, RUNS, t)
      // Or this would have proved little.
      if (RUNS >= 10) assert.deepEqual(words, everyWord)
    } finally {
      await oracle.close()
    }
  })
}

test('while somebody keeps the row of one customer after another, and batches are split and set aside, too', async (t) => {
  const oracle = await openOracle({ ledgers: 2, lanes: 2 })
  let over = false
  let kept = 0
  const keeping = (async () => {
    const luck = chance(SEED)
    while (!over) {
      const keep = [luck.whole(0, ACCOUNTS - 1), KEPT_SECONDS]
      await untilItPasses(() =>
        oracle.owner.query(
          `with kept as materialized (
           select id from ledger_accounts where id = (select max(id) - $1 from ledger_accounts) for no key update)
         select pg_sleep($2) from kept`,
          keep,
        ),
      )
      kept++
    }
  })()
  try {
    await playAll(oracle, Math.ceil(RUNS / 6), t)
    t.diagnostic(`a row was kept for ${KEPT_SECONDS} s ${kept} times`)
  } finally {
    over = true
    await keeping
    await oracle.close()
  }
})

/** Answers the words that were said, sorted. */
async function playAll(oracle: Oracle, runs: number, t: TestContext): Promise<string[]> {
  const begun = performance.now()
  const words = new Map<string, number>()
  let transactions = 0
  for (let run = 0; run < runs; run++) {
    const played = await oracle.play(SEED + run, COMMANDS_PER_STREAM)
    assert.equal(played.difference, null, `again: SEED=${SEED + run} ORACLE_RUNS=1`)
    for (const { word } of played.answers) {
      const plain = word.split(':')[0]!
      words.set(plain, (words.get(plain) ?? 0) + 1)
    }
    transactions += played.transactions
  }
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const said = [...words].map(([word, count]) => `${word} ${count}`).join(', ')
  t.diagnostic(`seeds ${SEED} to ${SEED + runs - 1}, ${transactions} transactions, ${seconds} s: ${said}`)
  assert.deepEqual(await auditLedger(oracle.db.database.pool, 'ledger'), [])
  return [...words.keys()].sort()
}
