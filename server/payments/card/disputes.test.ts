/** Every way that a dispute can take, by what the bank says in the end. The figures are what the customer sees. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { usd } from '../../../contract/money.ts'
import { type CreditedTopup, type DisputeWorld, type Said, startDisputeWorld } from '../../../test/dispute-world.ts'
import { until } from '../../../test/until.ts'
import { newId } from '../../platform/ids.ts'
import { disputesOf } from '../dispute.ts'
import { listDisputes } from '../dispute-list.ts'

let world: DisputeWorld
before(async () => {
  world = await startDisputeWorld()
})
after(() => world.stop())
afterEach(async () => {
  await world.audit()
  assert.deepEqual(world.alarms.splice(0), [])
})

const all = 'available 10.00'
const frozen = 'frozen 10.00'
const gone = 'nothing'
const open: Said = { status: 'needs_response' }
const inReview: Said = { status: 'under_review' }
const inquiry: Said = { status: 'warning_needs_response', caseType: 'inquiry' }
const inquiryInReview: Said = { status: 'warning_under_review', caseType: 'inquiry' }
const inquiryClosed: Said = { status: 'warning_closed', caseType: 'inquiry' }
const won: Said = { status: 'won' }
const lost: Said = { status: 'lost', withdrawn: '10.00' }
const prevented: Said = { status: 'prevented', caseType: 'block' }
const paidBackByTheBank: Said = { status: 'prevented', caseType: 'resolution', withdrawn: '10.00' }
const appeal: Said = { status: 'appeal_needs_response' }
const appealInReview: Said = { status: 'appeal_under_review' }

/** What a customer of $10.00 who spent nothing has after each word of the bank. */
const ways: Record<string, [Said, string][]> = {
  'a dispute is opened: the disputed credits are frozen': [[open, frozen]],
  'a dispute is opened for a part: that part is frozen': [[{ ...open, amount: '4.00' }, 'available 6.00, frozen 4.00']],
  'a dispute is answered and decided for us: the credits return': [
    [open, frozen],
    [inReview, frozen],
    [won, all],
  ],
  'a dispute is lost: the credits are gone': [
    [open, frozen],
    [inReview, frozen],
    [lost, gone],
  ],
  'a dispute for a part is lost: that part is gone': [
    [{ ...open, amount: '4.00' }, 'available 6.00, frozen 4.00'],
    [{ ...lost, amount: '4.00' }, 'available 6.00'],
  ],
  'an inquiry freezes what the bank may take tomorrow': [[inquiry, frozen]],
  'an inquiry is answered and closed: the credits return': [
    [inquiry, frozen],
    [inquiryInReview, frozen],
    [inquiryClosed, all],
  ],
  'an inquiry becomes a dispute: the same credits stay frozen': [
    [inquiry, frozen],
    [open, frozen],
    [lost, gone],
  ],
  'a closed inquiry becomes a dispute: they are frozen again': [
    [inquiryClosed, all],
    [open, frozen],
  ],
  'a dispute is prevented before money moves: nothing is gone': [
    [open, frozen],
    [prevented, all],
  ],
  'a prevented dispute of which nobody had heard: nothing is gone': [[prevented, all]],
  'the bank pays back at once (RDR): the credits go, as in a refund': [[paidBackByTheBank, gone]],
  'the bank pays back at once, in a way with a new word: what Stripe took tells': [
    [{ status: 'prevented', caseType: 'chargeback', withdrawn: '10.00' }, gone],
  ],
  'won, then an appeal: frozen again, and lost in the end': [
    [open, frozen],
    [won, all],
    [appeal, frozen],
    [appealInReview, frozen],
    [lost, gone],
  ],
  'won, then an appeal that is won: the credits return again': [
    [won, all],
    [appealInReview, frozen],
    [won, all],
  ],
  'lost, then our appeal: the credits are there again, frozen, and return when it is won': [
    [open, frozen],
    [lost, gone],
    [appeal, frozen],
    [won, all],
  ],
  'lost, and won by an appeal of which nobody had heard': [
    [lost, gone],
    [won, all],
  ],
  'closed before created: frozen and lost in one pass': [
    [lost, gone],
    [lost, gone],
  ],
  'won before created: nothing is left frozen': [
    [won, all],
    [won, all],
  ],
  'the disputed amount grows and shrinks: so does what is frozen': [
    [{ ...open, amount: '4.00' }, 'available 6.00, frozen 4.00'],
    [{ ...open, amount: '7.00' }, 'available 3.00, frozen 7.00'],
    [{ ...inReview, amount: '2.50' }, 'available 7.50, frozen 2.50'],
    [won, all],
  ],
  'the bank takes less than it had disputed: the rest returns': [
    [open, frozen],
    [{ ...lost, amount: '3.00' }, 'available 7.00'],
  ],
  'the bank takes more than it had disputed: all of that is gone': [
    [{ ...open, amount: '3.00' }, 'available 7.00, frozen 3.00'],
    [lost, gone],
  ],
  'the bank disputes more than was paid: no more than that is frozen': [[{ ...open, amount: '12.00' }, frozen]],
}
for (const [way, steps] of Object.entries(ways)) {
  test(way, async () => {
    const topup = await world.credited()
    let id: string | undefined
    for (const [said, figures] of steps) {
      id = world.says(topup, said, id)
      assert.equal(await world.disputes.learn(topup.id, id), 'done')
      assert.equal(await world.figures(topup.accountId), figures, said.status)
      // Told once more, nothing moves.
      const before = await movements(topup)
      await world.disputes.learn(topup.id, id)
      assert.equal(await movements(topup), before, `${said.status}, told again`)
    }
  })
}

/** Answers how many rows it was about. */
async function asOwner(sql: string, values: unknown[] = []): Promise<number | null> {
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  try {
    return (await owner.query(sql, values)).rowCount
  } finally {
    await owner.end()
  }
}

async function movements(topup: CreditedTopup): Promise<number> {
  const { rows } = await world.db.database.pool.query<{ n: number }>(
    'select count(*)::int as n from transfers where account_id = $1',
    [topup.accountId.toString()],
  )
  return rows[0]!.n
}

test('what was spent before the dispute is owed, said so, and gone from the debt when the dispute is won', async () => {
  const topup = await world.credited()
  assert.ok(await world.spends(topup.accountId, '8.00'))
  const id = world.says(topup, open)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'frozen 10.00, owed 8.00')
  assert.equal((await world.row(id))['shortfall'], '8000000')
  assert.ok(!(await world.spends(topup.accountId, '0.01')), 'who owes cannot spend')
  world.says(topup, won, id)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'available 2.00')
})

test('a dispute that is lost after the credits were spent leaves what is owed, and what comes in pays it first', async () => {
  const topup = await world.credited()
  await world.spends(topup.accountId, '8.00')
  const id = world.says(topup, open)
  await world.disputes.learn(topup.id, id)
  world.says(topup, lost, id)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'owed 8.00')
  await world.credited('5.00', topup.accountId)
  assert.equal(await world.figures(topup.accountId), 'owed 3.00')
})

test('what several disputes of one customer say is owed is together what he owes, and the oldest is paid first', async () => {
  const older = await world.credited()
  const younger = await world.credited('10.00', older.accountId)
  assert.ok(await world.spends(older.accountId, '18.00'))
  for (const topup of [older, younger]) {
    const id = world.says(topup, open)
    await world.disputes.learn(topup.id, id)
    world.says(topup, lost, id)
    await world.disputes.learn(topup.id, id)
  }
  const owed = async () => {
    const told = await disputesOf(world.db.database.pool, [older.id, younger.id])
    return [older, younger].map(({ id }) => told.get(id)![0]!.owed)
  }
  assert.equal(await world.figures(older.accountId), 'owed 18.00')
  assert.deepEqual(await owed(), ['8.00', '10.00'])
  await world.credited('5.00', older.accountId)
  assert.equal(await world.figures(older.accountId), 'owed 13.00')
  assert.deepEqual(await owed(), ['3.00', '10.00'])
  const staff = await listDisputes(world.db.database.pool, { status: null, limit: 2, before: null })
  assert.deepEqual(
    staff.items.map((item) => item.owed),
    ['10.00', '3.00'],
  )
  await world.credited('5.00', older.accountId)
  assert.deepEqual(await owed(), ['0.00', '8.00'])
})

test('a dispute of which the bank tells nothing any more alarms once, and again after an hour; told again and lost again, at once', async () => {
  const topup = await world.credited()
  const id = world.says(topup, open)
  await world.disputes.learn(topup.id, id)
  const asks = () => assert.rejects(world.disputes.learn(topup.id, id), /could not be read/)
  const alarms = () => world.alarms.splice(0)
  const told = ['Alarm: Stripe does not tell what it told before of a dispute']

  world.forgets(id)
  await asks()
  assert.deepEqual(alarms(), told)
  await asks()
  await asks()
  assert.deepEqual(alarms(), [], 'somebody knows')
  await world.db.database.pool.query(
    `update disputes set alarmed_at = alarmed_at - interval '1 hour' where external_id = $1`,
    [id],
  )
  await Promise.all([asks(), asks()])
  assert.deepEqual(alarms(), told, 'one of two at once')
  world.says(topup, open, id)
  await world.disputes.learn(topup.id, id)
  world.forgets(id)
  await asks()
  assert.deepEqual(alarms(), told)
  // What is not known is no reason to let go.
  assert.equal(await world.figures(topup.accountId), frozen)
  world.bank.silent = true
  await asks()
  world.bank.silent = false
  assert.deepEqual(alarms(), [])
})

test('an appeal freezes again, also when the credits were spent meanwhile', async () => {
  const topup = await world.credited()
  const id = world.says(topup, won)
  await world.disputes.learn(topup.id, id)
  await world.spends(topup.accountId, '10.00')
  world.says(topup, appeal, id)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'frozen 10.00, owed 10.00')
  assert.deepEqual([(await world.row(id))['round'], (await world.row(id))['shortfall']], [2, '10000000'])
})

test('other top-ups are untouched: no more is frozen than this one credited', async () => {
  const topup = await world.credited('10.00')
  await world.credited('25.00', topup.accountId)
  const id = world.says(topup, { ...open, amount: '30.00' })
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'available 25.00, frozen 10.00')
})

test('several disputes about one payment never take more than it was, whichever comes first', async () => {
  const topup = await world.credited()
  const first = world.says(topup, { ...open, amount: '6.00' })
  const second = world.says(topup, { ...open, amount: '7.00' })
  for (const id of [second, first]) await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), frozen)
  // One is lost: that is gone. The other waits for what is left.
  world.says(topup, { ...lost, amount: '7.00' }, second)
  await world.disputes.learn(topup.id, second)
  assert.equal(await world.figures(topup.accountId), 'frozen 3.00')
  // The other is won: what it held back is available.
  world.says(topup, { ...won, amount: '6.00' }, first)
  await world.disputes.learn(topup.id, first)
  assert.equal(await world.figures(topup.accountId), 'available 3.00')
})

test('a dispute that is won makes room for the other one, which had found nothing left', async () => {
  const topup = await world.credited()
  const first = world.says(topup, open)
  await world.disputes.learn(topup.id, first)
  const second = world.says(topup, open)
  await world.disputes.learn(topup.id, second)
  assert.equal(await world.figures(topup.accountId), frozen)
  world.says(topup, won, first)
  await world.disputes.learn(topup.id, first)
  assert.equal(await world.figures(topup.accountId), frozen)
  world.says(topup, lost, second)
  await world.disputes.learn(topup.id, second)
  assert.equal(await world.figures(topup.accountId), gone)
})

test('the same news twenty times at once moves the money once', async () => {
  const topup = await world.credited()
  const id = world.says(topup, open)
  const rooms = [world.disputes, world.room(), world.room()]
  const settled = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => rooms[index % 3]!.learn(topup.id, id)),
  )
  assert.ok(settled.some(({ status }) => status === 'fulfilled'))
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), frozen)
  assert.equal((await world.row(id))['round'], 1)
})

test('an old answer that arrives after a newer one changes nothing', async () => {
  const topup = await world.credited()
  const id = world.says(topup, open)
  let overtake = true
  world.bank.beforeAnswer = async () => {
    if (!overtake) return
    overtake = false
    // While this answer is on its way, the bank decides, and somebody else hears of it.
    world.says(topup, lost, id)
    await world.disputes.learn(topup.id, id)
  }
  await world.disputes.learn(topup.id, id)
  world.bank.beforeAnswer = async () => {}
  assert.equal(await world.figures(topup.accountId), gone)
  assert.equal((await world.row(id))['stripe_status'], 'lost')
})

test('a bank that does not answer is asked again, and nothing is decided meanwhile', async () => {
  const topup = await world.credited()
  const id = world.says(topup, open)
  world.bank.silent = true
  await assert.rejects(world.disputes.learn(topup.id, id), /could not be read/)
  assert.equal(await world.figures(topup.accountId), all)
  world.bank.silent = false
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), frozen)
})

test('a dispute about another payment is not ours, and one that nobody knows is none', async () => {
  const topup = await world.credited()
  const other = await world.credited()
  const id = world.says(other, open)
  assert.equal(await world.disputes.learn(topup.id, id), 'not_ours')
  assert.equal(await world.disputes.learn(topup.id, 'dp_nothing'), 'not_ours')
  assert.equal(await world.figures(topup.accountId), all)
})

test('a status that this version does not know keeps the credits frozen, and somebody is called', async () => {
  const topup = await world.credited()
  const id = world.says(topup, { status: 'on_the_moon' as Said['status'] })
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), frozen)
  assert.deepEqual(world.alarms.splice(0), [
    'Alarm: A dispute has a status that this version does not know; its credits stay frozen',
  ])
  world.says(topup, won, id)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), all)
})

test('a dispute in another currency freezes all of the payment, and somebody is called', async () => {
  const topup = await world.credited()
  const id = world.says(topup, { ...open, amount: '1.00', currency: 'eur' })
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), frozen)
  assert.match(world.alarms.splice(0).join(), /another currency/)
  world.says(topup, won, id)
  await world.disputes.learn(topup.id, id)
})

test('without any webhook the sweeper finds the dispute, follows it, and notices that it was reopened', async () => {
  const topup = await world.credited()
  const id = world.says(topup, open)
  await world.timePasses()
  await world.disputes.sweep()
  assert.equal(await world.figures(topup.accountId), frozen)
  for (const [said, figures] of [
    [won, all],
    [appeal, frozen],
    [lost, gone],
  ] as const) {
    world.says(topup, said, id)
    await world.timePasses()
    await Promise.all([world.disputes.sweep(), world.room().sweep()])
    assert.equal(await world.figures(topup.accountId), figures, said.status)
  }
})

test('an early warning of fraud keeps what is unspent, and nobody owes anything for it', async () => {
  const topup = await world.credited()
  await world.spends(topup.accountId, '8.00')
  const id = world.warns(topup)
  assert.equal(await world.disputes.learnWarning(topup.id, id), 'done')
  assert.equal(await world.figures(topup.accountId), 'frozen 2.00')
  await world.disputes.learnWarning(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'frozen 2.00')
  // Credits that come from elsewhere are not touched.
  await world.credited('5.00', topup.accountId)
  await world.disputes.learnWarning(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'available 5.00, frozen 2.00')
  world.warns(topup, false, id)
  await world.disputes.learnWarning(topup.id, id)
  assert.equal(await world.figures(topup.accountId), 'available 7.00')
})

test('a warning that needs no action freezes nothing', async () => {
  const topup = await world.credited()
  await world.disputes.learnWarning(topup.id, world.warns(topup, false))
  assert.equal(await world.figures(topup.accountId), all)
})

test('a dispute after a warning takes its place: the same credits stay frozen, once', async () => {
  const topup = await world.credited()
  const warning = world.warns(topup)
  await world.disputes.learnWarning(topup.id, warning)
  const id = world.says(topup, open)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), frozen)
  world.warns(topup, false, warning)
  await world.disputes.learnWarning(topup.id, warning)
  assert.equal(await world.figures(topup.accountId), frozen)
  world.says(topup, won, id)
  await world.disputes.learn(topup.id, id)
  assert.equal(await world.figures(topup.accountId), all)
})

test('a warning beside spending at the same moment never makes a debt', async () => {
  for (let round = 0; round < 5; round++) {
    const topup = await world.credited()
    const id = world.warns(topup)
    await Promise.all([
      world.disputes.learnWarning(topup.id, id),
      ...Array.from({ length: 5 }, () => world.spends(topup.accountId, '3.00')),
    ])
    const balance = (await world.ledger.balance(world.db.database.pool, topup.accountId))!
    assert.equal(balance.owed, 0n)
  }
})

test('a warning that comes in the middle of spending waits for its end, and keeps what is left', async () => {
  const topup = await world.credited()
  const id = world.warns(topup)
  let learning: Promise<unknown> | undefined
  await world.db.database.transaction(async (tx) => {
    const spending = { id: newId(), accountId: topup.accountId, reference: newId(), amount: usd('8.00') }
    await world.ledger.apply(tx, [{ ...spending, kind: 'debit', code: 'adjustment', contra: 'goodwill' }])
    learning = world.disputes.learnWarning(topup.id, id)
    await until(async () => {
      const waiting = await asOwner(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return waiting === 1
    })
  })
  await learning
  assert.equal(await world.figures(topup.accountId), 'frozen 2.00')
})

test('while the bank decides, each look moves the deadline of the freeze on', async () => {
  const topup = await world.credited()
  const id = world.says(topup, open)
  await world.disputes.learn(topup.id, id)
  const { hold_id: hold } = await world.row(id)
  await asOwner('update open_holds set expires_at = house_now() where hold_id = $1', [hold])
  await world.disputes.learn(topup.id, id)
  const later = `select from open_holds where hold_id = $1 and expires_at > house_now() + interval '179 days'`
  assert.equal(await asOwner(later, [hold]), 1)
})

test('a dispute of the list that cannot be dealt with yet keeps nobody from hearing of the others', async () => {
  const elder = await world.credited()
  world.says(elder, open)
  const younger = await world.credited()
  const id = world.says(younger, open)
  const { pool } = world.db.database
  await pool.query(`update topups set status = 'confirming', credited_at = null where id = $1`, [younger.id])
  await world.timePasses()
  await world.disputes.sweep()
  assert.equal(await world.figures(elder.accountId), frozen)
  assert.equal(await world.figures(younger.accountId), all)
  // The list is not done with, so it is read again soon.
  await pool.query(`update topups set status = 'credited', credited_at = house_now() where id = $1`, [younger.id])
  await world.timePasses()
  await world.disputes.sweep()
  assert.equal((await world.row(id))['state'], 'frozen')
})

const anyStatus = fc.constantFrom<Said>(
  ...[open, inReview, inquiry, inquiryInReview, inquiryClosed, won, lost, prevented, paidBackByTheBank, appeal],
)
const anyAmount = fc.integer({ min: 0, max: 1200 }).map((cents) => (cents / 100).toFixed(2))
const anyStep = fc.oneof(
  fc.record({
    does: fc.constant('says' as const),
    dispute: fc.nat(2),
    said: anyStatus,
    amount: anyAmount,
    heard: fc.boolean(),
  }),
  fc.record({ does: fc.constant('spends' as const), amount: anyAmount.filter((amount) => amount !== '0.00') }),
  fc.record({ does: fc.constant('warns' as const), actionable: fc.boolean() }),
  fc.record({ does: fc.constant('sweeps' as const) }),
)

test('whatever banks say, in whatever order it is heard: nothing below zero, no more than was paid, and the last word decides', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 15 }), async (steps) => {
      const topup = await world.credited()
      const last = new Map<string, Said>()
      let spent = 0n
      let warning: string | undefined
      for (const step of steps) {
        if (step.does === 'says') {
          const id = `dp_${topup.id}_${step.dispute}`
          last.set(id, { ...step.said, amount: step.amount })
          world.says(topup, last.get(id)!, id)
          if (step.heard) await world.disputes.learn(topup.id, id)
        } else if (step.does === 'spends') {
          if (await world.spends(topup.accountId, step.amount))
            spent += BigInt(Math.round(Number(step.amount) * 100)) * 10_000n
        } else if (step.does === 'warns') {
          warning = world.warns(topup, step.actionable, warning)
          await world.disputes.learnWarning(topup.id, warning)
        } else {
          await world.timePasses(topup)
          await world.disputes.sweep()
        }
        const balance = (await world.ledger.balance(world.db.database.pool, topup.accountId))!
        assert.ok([balance.available, balance.frozen, balance.owed].every((figure) => figure >= 0n))
        assert.ok(balance.frozen <= topup.amount, 'no more is frozen than was paid')
      }
      for (const id of last.keys()) await world.disputes.learn(topup.id, id)
      if (warning) await world.disputes.learnWarning(topup.id, warning)

      // From the last words alone, without the way to them.
      const amounts = (states: (said: Said) => boolean) =>
        [...last.values()]
          .filter(states)
          .reduce((sum, { amount }) => sum + BigInt(Math.round(Number(amount) * 100)) * 10_000n, 0n)
      const least = (a: bigint, b: bigint) => (a < b ? a : b)
      const taken = least(
        10_000_000n,
        amounts((said) => said.status === 'lost' || said === paidBackByTheBank || said.caseType === 'resolution'),
      )
      const kept = least(
        10_000_000n - taken,
        amounts((said) => /needs_response|under_review/.test(said.status)),
      )
      const balance = (await world.ledger.balance(world.db.database.pool, topup.accountId))!
      const signed = 10_000_000n - spent - taken - balance.frozen
      assert.equal(balance.available - balance.owed, signed)
      const { rows } = await world.db.database.pool.query<{ frozen: string }>(
        'select coalesce(sum(frozen), 0) as frozen from fraud_warnings where topup_id = $1',
        [topup.id],
      )
      assert.equal(balance.frozen, kept + BigInt(rows[0]!.frozen), 'frozen is what the last words say')
      await world.audit()
    }),
    { numRuns: 25 },
  )
})
