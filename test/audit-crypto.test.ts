/**
 * The auditor on payments on chains: each damage is done alone, in a transaction that is rolled back, and the audit must name what was
 * done, by the checks that are about it.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { usd } from '../contract/money.ts'
import { auditLedger, type Difference, findOverdue } from '../server/ledger/audit/audit.ts'
import type { Command } from '../server/ledger/ledger.ts'
import { derivedId, newId } from '../server/platform/ids.ts'
import { type CryptoWorld, startCryptoWorld } from './crypto-world.ts'

const checks = {
  rounds: 'each round of a payment on a chain has its credit, and its reversal exactly when it was taken back',
  payment: 'what was credited and taken back of crypto has its payment and its round',
  arrived: 'a top-up by crypto has what its payments credited, less what was taken back',
  once: 'a top-up was credited once, exactly when it says so, with its amount',
  parts: 'a payment on a chain is worth its parts, rounded up to the cent, or is dust',
  rounding: 'rounding has the residues of what was credited on chains',
  block: 'a payment in a block stands in one that stands',
  ways: 'top-ups by crypto move money in their own ways only, against their own platform account',
  back: 'what went back of a top-up is what its refunds say, and no more than it credited',
  returns: 'money that goes back by a chain stands as its refund does: held, taken, or given back',
  platform: "a platform account's total is the sum of what moved it",
  sealed: 'every row is as it was when it was sealed',
  deep: 'a payment that is deep enough is credited within five minutes',
  gone: 'a credited payment that is gone is taken back within five minutes',
}

let world: CryptoWorld
let owner: pg.Client
/** Credited with a residue, and one more of the same top-up; dust; taken back; taken back and credited anew; on its way. */
const ids = { credited: '', dust: '', reversed: '', again: '', coming: '' }
let topup = ''
/** The top-up of what is on its way. */
let comingTo = ''
/** What is to go back by a chain: it went, it went and came back, it is asked for, and nobody agreed. */
const returns = { sent: newId(), cameBack: newId(), asked: newId(), alike: newId(), declined: newId() }
let returned = ''
let account = 0n
const MORE = newId()

before(async () => {
  world = await startCryptoWorld()
  owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  const ana = await world.customer()
  const [one, two, three] = [await ana.starts(), await ana.starts(), await ana.starts('LTC')]
  const [four, six] = [await ana.starts(), await ana.starts()]
  await world.pays(one, { units: 12_501n })
  // More than was asked for: two parts, each at its own rate.
  await world.pays(one, { units: 30_003n })
  await world.pays(two, { units: 600n })
  // A millionth of a dollar above a whole cent: no residue is larger.
  await world.pays(three, { units: 20_000_001n })
  await world.pays(six)
  await world.blocks(3)
  const [spent] = await world.paymentsOf(three)
  world.chains.litecoin.rewind(3, { drop: true })
  await world.blocks(6)
  world.chains.litecoin.mineAgain({
    txid: String(spent!['txid']),
    spends: spent!['spends'] as string[],
    pays: { script: await world.scriptOf(three), units: 20_000_001n },
  })
  await world.blocks(3)
  const five = await ana.starts('ETH')
  await world.pays(five)
  await world.blocks(3)
  world.chains.ethereum.rewind(3, { drop: true })
  await world.blocks(6)
  await world.pays(four)
  await world.blocks(1)
  const idOf = async (of: typeof one) => String((await world.paymentsOf(of))[0]!['id'])
  Object.assign(ids, {
    credited: await idOf(one),
    dust: await idOf(two),
    again: await idOf(three),
    coming: await idOf(four),
    reversed: await idOf(five),
  })
  topup = String((await world.row(one))['id'])
  comingTo = String((await world.row(four))['id'])
  returned = String((await world.row(six))['id'])
  account = ana.accountId
  await sendBack()
})
after(async () => {
  await owner.end()
  await world.stop()
})

/** Of $20.00 that came and $5.00 that staff added, $18.00 went, $4.00 went and came back, twice $1.75 is asked for, and $1.00 was not agreed to. */
async function sendBack(): Promise<void> {
  await owner.query(
    `insert into crypto_refunds (id, topup_id, account_id, amount, asset, chain, address, script, status, requested_at, approved_by,
                                 approved_at, transaction_id, ordinal, price_seq, sent_by, sent_at, confirmations_required, block_hash,
                                 height, captured_at, succeeded_at, ended_at)
     select r.id, $1, $2, r.amount, 'BTC', 'bitcoin', 'bcrt1', '\\x00', r.status, now(), sent, sent_at, 'tx' || sent, r.amount * sent, sent, sent,
            sent_at, 3, 'block' || done, done, sent_at, case when done > 0 then now() end, case when r.status <> 'requested' then now() end
       from (values ($3::uuid, 18000000, 'succeeded', 1, 1), ($4, 4000000, 'failed', 1, null), ($5, 1750000, 'requested', null, null), ($7, 1750000, 'requested', null, null),
                    ($6, 1000000, 'declined', null, null)) r (id, amount, status, sent, done),
            lateral (select case when sent > 0 then now() end as sent_at) s`,
    [returned, account, returns.sent, returns.cameBack, returns.asked, returns.declined, returns.alike],
  )
  const back = { accountId: account, reference: returned, code: 'topup_refund', contra: 'refunds' } as const
  const hold = (id: string, amount: string) =>
    ({
      ...back,
      id: derivedId(id, 'hold'),
      kind: 'hold',
      amount: usd(amount),
      expiresAt: new Date('2100-01-01'),
      onExpiry: 'alarm',
    }) as const
  const ends = (kind: 'capture' | 'void', id: string) =>
    ({ ...back, id: newId(), kind, holdId: derivedId(id, 'hold') }) as const
  const { sent, cameBack, asked, alike, declined } = returns
  for (const command of [
    { ...back, id: newId(), kind: 'credit', code: 'adjustment', contra: 'goodwill', amount: usd('5.00') },
    hold(cameBack, '4.00'),
    ends('capture', cameBack),
    { ...back, id: derivedId(cameBack, 'failed'), kind: 'credit', amount: usd('4.00') },
    hold(declined, '1.00'),
    ends('void', declined),
    hold(sent, '18.00'),
    ends('capture', sent),
    hold(asked, '1.75'),
    hold(alike, '1.75'),
  ] satisfies Command[])
    assert.equal((await world.ledger.submit(command)).result, 'ok')
}

async function inside(does: string): Promise<{ differences: Difference[]; overdue: Difference[] }> {
  const connect = async () =>
    ({
      query: (text: string) => (/^(begin|rollback)/.test(text) ? { rows: [] } : owner.query(text)),
      release() {},
    }) as unknown as pg.PoolClient
  await owner.query('begin')
  try {
    await owner.query(does)
    return { differences: await auditLedger({ connect }), overdue: await findOverdue({ connect }) }
  } finally {
    await owner.query('rollback')
  }
}

/** One movement more, by the ledger's own function: its sums stay right. */
const movement = (kind: string, code: number, contra: number) =>
  `select ledger_apply(array[gen_random_uuid()], array['${kind}']::transfer_kind[], array[1]::bigint[], array[${contra}]::smallint[],
     array[1000000]::bigint[], array[null]::uuid[], array[${code}]::smallint[], array['${topup}']::uuid[], array[null]::timestamptz[],
     array[null]::timestamptz[], array[null]::text[], array[null]::int[], array[null]::int[])`

test('what payments on chains did differs nowhere: credited, dust, taken back, credited anew, on their way', async () => {
  const { rows } = await owner.query(
    `select round, credited_at is not null as credited, reversed_at is not null as reversed, worth, worth - value as residue,
            jsonb_array_length(parts) as parts
       from crypto_payments order by id`,
  )
  assert.ok(rows.some(({ round, reversed }) => round === 2 && !reversed))
  assert.ok(rows.some(({ reversed }) => reversed))
  assert.ok(rows.some(({ worth }) => worth === '0'))
  assert.ok(rows.some(({ parts }) => parts === 2))
  assert.ok(rows.some(({ residue, round }) => residue === '9999' && round === 2))
  await world.booksAgree()
})

test('each damage is found, by the checks that are about it', async () => {
  const damages: Record<string, [does: string, found: string[], says?: Record<string, unknown>]> = {
    'a payment is credited twice': [movement('credit', 31, 2), [checks.payment, checks.arrived]],
    'a payment is taken back that stands': [movement('clawback_debit', 43, 2), [checks.payment, checks.arrived]],
    'a payment says that it was not credited': [
      `update crypto_payments set round = 0, credited_at = null where id = '${ids.credited}'`,
      [checks.payment, checks.arrived, checks.rounding],
    ],
    'the only payment of a top-up says that it was not credited': [
      `update crypto_payments set round = 0, credited_at = null where id = '${ids.again}'`,
      [checks.payment, checks.arrived, checks.rounding],
    ],
    'a payment says that it was credited': [
      `update crypto_payments set round = 1, credited_at = now() where id = '${ids.coming}'`,
      [checks.rounds, checks.arrived],
    ],
    'a payment that was taken back says that it stands': [
      `update crypto_payments set reversed_at = null where id = '${ids.reversed}'`,
      [checks.rounds, checks.arrived],
    ],
    'a round is forgotten': [
      `update crypto_payments set round = 1 where id = '${ids.again}'`,
      [checks.rounds, checks.payment],
    ],
    'a payment was credited at another time than it says': [
      `update crypto_payments set credited_at = credited_at - interval '1 second' where id = '${ids.credited}'`,
      [checks.rounds],
    ],
    'a payment was taken back at another time than it says': [
      `update crypto_payments set reversed_at = reversed_at - interval '1 second' where id = '${ids.reversed}'`,
      [checks.rounds],
    ],
    'a payment and its top-up say that it was credited, and the ledger does not': [
      `update crypto_payments set round = 1, credited_at = now() where id = '${ids.coming}';
       update topups t set arrived = p.worth, credited_at = now() from crypto_payments p where p.id = '${ids.coming}' and t.id = p.topup_id`,
      [checks.rounds, checks.arrived],
      { of_payments: '20000000', moved: '0' },
    ],
    'a payment is worth more than was credited': [
      `update crypto_payments set worth = worth + 10000 where id = '${ids.credited}'`,
      [checks.rounds, checks.arrived, checks.parts, checks.rounding],
    ],
    'a payment that is on its way is rounded up by more than a cent': [
      `update crypto_payments set worth = worth + 10000 where id = '${ids.coming}'`,
      [checks.parts],
    ],
    'a payment that is on its way is rounded up by a whole cent': [
      `update crypto_payments set value = worth - 10000, parts = jsonb_set(parts, '{0,value}', to_jsonb((worth - 10000)::text))
        where id = '${ids.coming}'`,
      [checks.parts],
    ],
    'a payment has other units than its parts': [
      `update crypto_payments set units = units + 1 where id = '${ids.coming}'`,
      [checks.parts],
    ],
    'dust has another value than its parts': [
      `update crypto_payments set value = value + 1 where id = '${ids.dust}'`,
      [checks.parts],
    ],
    'a top-up says that more arrived': [
      `update topups set arrived = arrived + 10000 where id = '${topup}'`,
      [checks.arrived],
    ],
    'a top-up that came by a chain says that it is by card': [
      `update topups set method = 'card', session_call = '{}', arrived = 0, status = 'credited', reason = null, ended_at = null,
                         payment_intent_id = 'pi', charge_id = 'ch'
        where id = '${topup}'`,
      [checks.once],
    ],
    'a top-up to which nothing came says that it did': [
      `update topups set arrived = 10000, credited_at = now() where id = '${comingTo}'`,
      [checks.arrived],
      { of_payments: '0', moved: '0' },
    ],
    'a credited top-up does not know when': [
      `update topups set credited_at = null where id = '${topup}'`,
      [checks.arrived],
    ],
    'a residue was never booked': [
      `delete from house_entries where code = 63`,
      [checks.platform, checks.rounding, checks.sealed],
    ],
    'a residue is booked of nothing': [
      `select ledger_book(gen_random_uuid(), 10::smallint, 2::smallint, 1, 63::smallint, '${MORE}', null)`,
      [checks.rounding],
      { topup: MORE, booked: '1' },
    ],
    'a residue is booked between other accounts': [
      `select ledger_book(gen_random_uuid(), 9::smallint, 2::smallint, 1, 63::smallint, '${MORE}', null)`,
      [checks.rounding],
      { topup: MORE, booked: '-1' },
    ],
    'the block of a payment is another one': [
      `update chain_blocks b set hash = 'another' from crypto_payments p where p.id = '${ids.coming}' and (b.chain, b.height) = (p.chain, p.height)`,
      [checks.block],
    ],
    'the block of a payment is gone': [
      `delete from chain_blocks b using crypto_payments p where p.id = '${ids.coming}' and (b.chain, b.height) = (p.chain, p.height)`,
      [checks.block],
    ],
    'a payment is credited against another account of the platform': [
      movement('credit', 31, 1),
      [checks.payment, checks.arrived, checks.ways],
    ],
    'a return is forgotten': [`delete from crypto_refunds where id = '${returns.asked}'`, [checks.back]],
    'a return is made up': [
      `insert into crypto_refunds (id, topup_id, account_id, amount, asset, chain, address, script, requested_at, confirmations_required)
       values (gen_random_uuid(), '${returned}', ${account}, 10000, 'BTC', 'bitcoin', 'bcrt1', '\\x00', now(), 3)`,
      [checks.back, checks.returns],
    ],
    'a return is of another amount': [
      `update crypto_refunds set amount = amount + 10000 where id = '${returns.asked}'`,
      [checks.back, checks.returns],
    ],
    'a return says that it was confirmed, and its money is held': [
      `update crypto_refunds set captured_at = now() where id = '${returns.asked}'`,
      [checks.returns],
    ],
    'a return that was declined is asked for again, and its money is not held': [
      `update crypto_refunds set status = 'requested', ended_at = null where id = '${returns.declined}'`,
      [checks.back, checks.returns],
    ],
    'a return that was given up says that it never was on its way': [
      `update crypto_refunds set captured_at = null where id = '${returns.cameBack}'`,
      [checks.returns],
    ],
    'a return that was given up says that it arrived': [
      `update crypto_refunds set status = 'succeeded', succeeded_at = now(), block_hash = 'block', height = 2 where id = '${returns.cameBack}'`,
      [checks.back, checks.returns],
    ],
    'a return is of another top-up': [
      `update crypto_refunds set topup_id = '${topup}' where id = '${returns.asked}'`,
      [checks.back, checks.returns],
    ],
    'more goes back of a top-up than came': [
      `insert into crypto_refunds (id, topup_id, account_id, amount, asset, chain, address, script, requested_at, confirmations_required)
       values ('${MORE}', '${returned}', ${account}, 4000000, 'BTC', 'bitcoin', 'bcrt1', '\\x00', now(), 3);
       select ledger_apply(array[derived_id('${MORE}', 'hold')], array['hold']::transfer_kind[], array[${account}]::bigint[], array[4]::smallint[],
         array[4000000]::bigint[], array[null]::uuid[], array[2]::smallint[], array['${returned}']::uuid[], array[null]::timestamptz[],
         array['2100-01-01']::timestamptz[], array['alarm']::text[], array[null]::int[], array[null]::int[])`,
      [checks.back],
    ],
    'crypto is taken back by a plain debit': [movement('debit', 43, 2), [checks.payment, checks.arrived, checks.ways]],
  }
  for (const [damage, [does, found, says]] of Object.entries(damages)) {
    const { differences } = await inside(does)
    assert.deepEqual([...new Set(differences.map(({ check }) => check))].sort(), [...found].sort(), damage)
    // The last check that is about it says what it saw.
    if (says) assert.partialDeepStrictEqual(differences.find(({ check }) => check === found.at(-1))!.row, says, damage)
  }
})

test('what is of another kind is no payment, and what is between the same accounts for another cause is no residue', async () => {
  for (const right of [
    movement('credit', 42, 2),
    `select ledger_book(gen_random_uuid(), 10::smallint, 2::smallint, 100, 61::smallint, '${topup}', null)`,
  ])
    assert.deepEqual((await inside(right)).differences, [], right)
})

/** Three blocks more on every chain. */
const deep = `update chain_cursors set height = height + 3;
  insert into chain_blocks select c.chain, c.height - n, 'x' || n, 'p', house_now() from chain_cursors c, generate_series(0, 2) n
    on conflict do nothing`
const older = (minutes: number) => `update chain_blocks set time = house_now() - interval '${minutes} minutes'`

test('what should have been credited, or taken back, for five minutes is overdue; a minute ago it is not', async () => {
  const gone = `update crypto_payments set block_hash = null, height = null, block_time = null, unmined_at_height = height
                 where id = '${ids.credited}'`
  /** Up to the payment's block, or how far from it, a second node agrees. */
  const agreed = (blocks: number) => `
    update chain_cursors c set agreed_height = p.height + ${blocks} from crypto_payments p
     where p.id = '${ids.coming}' and c.chain = p.chain`
  /** Not worth anything yet, with a rate of so long before its block: the first that counts for it is of five minutes before. */
  const rateBefore = (minutes: number) => `
    update crypto_payments set parts = null, value = null, worth = null, valued_at = null where id = '${ids.coming}';
    update crypto_rates r set at = p.block_time - interval '${minutes} minutes' from crypto_payments p
     where p.id = '${ids.coming}' and r.asset = p.asset`
  for (const [minutes, does, found] of [
    [6, deep, [checks.deep]],
    [5, deep, []],
    [1, deep, []],
    [6, `${deep}; ${agreed(0)}`, [checks.deep]],
    [6, `${deep}; ${agreed(-1)}`, []],
    [6, `${deep}; ${rateBefore(5)}`, [checks.deep]],
    [6, gone, [checks.gone]],
    [5, gone, []],
    [1, gone, []],
  ] as const) {
    const { overdue } = await inside(`${does}; ${older(minutes)}`)
    assert.deepEqual([...new Set(overdue.map(({ check }) => check))], found, `${does} ${minutes}`)
  }

  // What counts is one block's time: the one with which it was deep, or gone, enough.
  const only = (height: string, id: string, is: '=' | '<>') => `
    update chain_blocks b set time = house_now() - case when b.height ${is} ${height} and b.chain = p.chain then interval '6 minutes' else interval '0' end
      from crypto_payments p where p.id = '${id}'`
  for (const [does, height, id, check] of [
    [deep, 'p.height + 2', ids.coming, checks.deep],
    [gone, 'p.unmined_at_height + 3', ids.credited, checks.gone],
  ] as const) {
    assert.deepEqual(
      (await inside(`${does}; ${only(height, id, '=')}`)).overdue.map((found) => found.check),
      [check],
    )
    assert.deepEqual((await inside(`${does}; ${only(height, id, '<>')}`)).overdue, [])
  }
})

test("what waits for a person, or for a rate, or is nobody's, waits rightly", async () => {
  const late = `${deep}; ${older(6)}`
  for (const waits of [
    `update crypto_payments set review = 'account_suspended' where id = '${ids.coming}'`,
    `update crypto_payments set parts = null, value = null, worth = null, valued_at = null where id = '${ids.coming}';
     update crypto_rates set at = at - interval '1 day' where asset = 'BTC'`,
    `update crypto_payments set account_id = null, topup_id = null where id = '${ids.coming}'`,
  ])
    assert.deepEqual(await inside(`${late}; ${waits}`), { differences: [], overdue: [] }, waits)
})
