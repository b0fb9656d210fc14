/**
 * A test that never failed proves little. Each bug here was one of somebody's ledger; it is planted in a copy of the functions, with
 * the constraints out of the way that would stop it, and the streams must find it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SEED } from '../random.ts'
import { openOracle } from './oracle.ts'

const STREAMS_MAX = 12
const COMMANDS_PER_STREAM = 120
const NOTHING_SPENT_TWICE = 'alter table ledger_accounts drop constraint nothing_spent_twice'

type Bug = {
  /** Replaced in apply.sql. */
  plant: [right: string, wrong: string][]
  /** Constraints that would stop it. */
  without?: string
  /** Only where several meet. */
  connections?: number
}

const bugs: Record<string, Bug> = {
  'what is held is still available': {
    plant: [
      [
        'free := a_credits[j] - a_debits[j] - a_held[j] - a_frozen[j];   -- signed',
        'free := a_credits[j] - a_debits[j] - a_frozen[j]; -- signed',
      ],
    ],
    without: NOTHING_SPENT_TWICE,
  },
  'a hold ends as often as one likes': {
    plant: [
      ['r.hold_id = c.hold and r.account_id = c.account', 'false'],
      ['if resolved_by[x_hold_key[i]] > 0 then', 'if false then'],
    ],
    without: `drop index transfers_resolves; alter table ledger_accounts drop constraint no_negative_counter`,
  },
  'what a capture does to the platform is lost': {
    plant: [
      [`c.kind in ('credit', 'debit', 'capture', 'clawback_debit')`, `c.kind in ('credit', 'debit', 'clawback_debit')`],
    ],
  },
  'a repetition with another amount passes': {
    plant: [[`case when t.amount <> c.amount then 'amount' end,`, 'null,']],
  },
  'a refused group leaves its first command': {
    plant: [[`if g_failed or (g_ok > 0 and g_exists > 0) then`, 'if g_ok > 0 and g_exists > 0 then']],
  },
  'the rest of a part that was captured does not return': {
    plant: [
      [
        `if hold_kind = 'hold' then a_held[j] := a_held[j] - hold_amount;`,
        `if hold_kind = 'hold' then a_held[j] := a_held[j] - x_amount[i];`,
      ],
    ],
  },
  'a suspended customer may hold': { plant: [['if a_suspended[j] then', 'if false then']] },
  'open holds are counted one too late': {
    plant: [['a_open[slot] >= p_open_max[i]', 'a_open[slot] > p_open_max[i]']],
  },
  'nobody locks': {
    plant: [['order by id for no key update) locked', 'order by id) locked']],
    without: `drop index transfers_history; ${NOTHING_SPENT_TWICE}`,
    connections: 4,
  },
}

const apply = readFileSync(join(import.meta.dirname, '../../server/ledger/apply.sql'), 'utf8')

for (const [what, bug] of Object.entries(bugs)) {
  test(`planted: ${what}`, async (t) => {
    let sql = apply
    for (const [right, wrong] of bug.plant) {
      assert.ok(sql.split(right).length === 2, `apply.sql was rewritten: plant this bug where it stands now: ${right}`)
      sql = sql.replace(right, () => wrong)
    }
    const oracle = await openOracle({
      ledgers: bug.connections ?? 1,
      lanes: 1,
      prepare: `${bug.without ?? ''}; ${sql}`,
    })
    try {
      let found: string | null = null
      let streams = 0
      for (; streams < STREAMS_MAX && found === null; streams++)
        found = (await oracle.play(SEED + streams, COMMANDS_PER_STREAM)).difference
      assert.ok(found !== null, `${streams} streams from SEED=${SEED} on did not find it`)
      t.diagnostic(`found in stream ${streams}: ${found.replace(/, to \{.*/, '')}`)
    } finally {
      await oracle.close()
    }
  })
}
