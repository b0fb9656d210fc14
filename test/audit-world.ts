/**
 * Books with a bit of everything, and what a bug or a hand with the power of the owner could do to them. Each damage says which checks
 * of the audit find it: these, and no others.
 */
import assert from 'node:assert/strict'
import pg from 'pg'
import { usd } from '../contract/money.ts'
import type { HoldCause } from '../server/ledger/chart.ts'
import { bookHouseEntry } from '../server/ledger/house.ts'
import { type Command, createLedger } from '../server/ledger/ledger.ts'
import { createOrders } from '../server/orders/orders.ts'
import { createAnnounce } from '../server/platform/announce.ts'
import { derivedId, newId, readId } from '../server/platform/ids.ts'
import { openLog } from '../server/platform/log.ts'
import { freshDatabase } from './database.ts'

const log = openLog({ level: 'silent' })

/** The checks of the audit, by what it calls them. */
const checks = {
  counters: "an account's counters are the sums of its transfers",
  owed: 'what is owed is exactly what clawbacks took beyond what was there',
  numbers: 'running numbers go 1, 2, 3 … without a gap',
  times: 'rows are recorded in the order of their numbers',
  after: 'each row says what was there after it',
  resolves: 'a capture or a void resolves one hold of the same account, whole',
  twice: 'no hold is resolved twice',
  open: 'the open holds are the holds that nothing resolved',
  counted: "an account's count of open holds is right for each cause",
  platform: "a platform account's total is the sum of what moved it",
  zero: 'everything together is zero',
  order: "an order's hold stands as the order does: waiting, captured by its code, or given back",
  hold: 'a hold for an order has its order',
  code: 'a price was taken exactly when a code was accepted before the end',
  number: 'a number is with one live order at most, and knows it',
  message: 'a message is shown to the customer of its order, and its inbox row is the evidence',
  topup: 'a top-up was credited once, exactly when it says so, with its amount',
  gone: 'what went back of a top-up is what its refunds say, and no more than it credited',
  refund: "a refund's money stands as the refund does: held, taken, or given back",
  claims:
    'what banks froze and took of a top-up is what its disputes and warnings say, and no more than was left of it',
  ways: 'orders, card top-ups and refunds to the card move money in their own ways only, against their own platform account',
}

export type AuditWorld = Awaited<ReturnType<typeof openAuditWorld>>
/** `found`: by which checks; `names`: what the first row of a check says. */
export type Damage = { does: string; found: string[]; names?: Record<string, Record<string, unknown>> }

export async function openAuditWorld() {
  const TOPUP = newId()
  const DISPUTED = newId()
  const WARNED = newId()
  const REFUSED = newId()
  const db = await freshDatabase()
  const owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  const ledger = createLedger({ database: db.database, log })
  const orders = createOrders({
    database: db.database,
    ledger,
    announce: createAnnounce(),
    log,
    settings: { lifetimeSeconds: 1200, cancelAfterSeconds: 0, restSeconds: 0, openMax: 20 },
  })
  await owner.query(`
    insert into services (code, name, sender_pattern) values ('telegram', 'Telegram', '^telegram$');
    insert into countries (code, name, dial_code) values ('GB', 'United Kingdom', '+44');
    insert into prices (service, country, price, valid_from) values ('telegram', 'GB', 1200000, now());
    insert into numbers (phone_number, country) select '+4477009000' || n, 'GB' from generate_series(10, 19) n;
    insert into offers (number_id, service, country) select id, 'telegram', 'GB' from numbers;
    select ledger_open(1), ledger_open(2), ledger_open(7), ledger_open(8);`)
  await owner.query(
    `insert into topups (id, account_id, amount, status, session_call, payment_intent_id, charge_id, created_at, expires_at, credited_at)
     values ($1, 1, 10000000, 'credited', '{}', 'pi', 'ch', now(), now(), now())`,
    [TOPUP],
  )
  await owner.query(
    `insert into topups (id, account_id, amount, status, reason, session_call, created_at, expires_at, ended_at)
     values ($1, 1, 10000000, 'refused', 'declined', '{}', now(), now(), now())`,
    [REFUSED],
  )
  const credit = { id: derivedId(TOPUP, 'credit'), kind: 'credit', accountId: 1n, reference: TOPUP } as const
  await ledger.submit({ ...credit, code: 'topup_card', contra: 'card_clearing', amount: usd('10.00') })
  const charged = await place()
  const cancelled = await place()
  const waiting = await place()
  const { phone_number: to } = (await orders.get(1n, charged))!
  const sms = { source: 'generic', externalId: newId(), to, from: 'Telegram', text: 'Telegram code 48213' }
  assert.equal(await orders.accept({ ...sms, body: JSON.stringify(sms) }), 'charged')
  assert.ok((await orders.cancel({ accountId: 1n, orderId: cancelled, idempotencyKey: null })).ok)

  // Account 2 has known all other kinds of movement: he owes something, and two claims against him are open.
  const moves = async (commands: Record<string, unknown>[]) => {
    const all = commands.map((command) => ({ id: newId(), accountId: 2n, reference: newId(), ...command }) as Command)
    for (const command of all) assert.equal((await ledger.submit(command)).result, 'ok')
    return all.map(({ id }) => id)
  }
  const claim = (kind: 'hold' | 'clawback_hold', code: HoldCause, amount: string) =>
    ({
      kind,
      code,
      contra: code === 'dispute' ? 'disputes' : 'refunds',
      amount: usd(amount),
      expiresAt: new Date('2100-01-01'),
      onExpiry: 'alarm',
    }) as const
  const [, , partly, won, lost] = await moves([
    { kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('9.00') },
    { kind: 'debit', code: 'adjustment', contra: 'goodwill', amount: usd('1.00') },
    claim('hold', 'topup_refund', '2.00'),
    claim('clawback_hold', 'dispute', '3.00'),
    claim('clawback_hold', 'dispute', '2.50'),
  ])
  const [, , , , elsewhere] = await moves([
    { kind: 'capture', code: 'topup_refund', contra: 'refunds', holdId: partly!, amount: usd('0.50') },
    { kind: 'void', code: 'dispute', contra: 'disputes', holdId: won! },
    { kind: 'capture', code: 'dispute', contra: 'disputes', holdId: lost! },
    { kind: 'clawback_debit', code: 'reversal', contra: 'disputes', amount: usd('4.00') },
    claim('hold', 'topup_refund', '0.75'),
    claim('clawback_hold', 'dispute', '1.25'),
    claim('clawback_hold', 'dispute', '2.00'),
  ])

  // Account 7 has known nothing; account 8 several things at one moment.
  const gift = { kind: 'credit', accountId: 8n, code: 'gift', contra: 'goodwill', amount: usd('0.25') } as const
  const atOnce = Array.from({ length: 4 }, () => ({ ...gift, id: newId(), reference: newId() }))
  for (const { result } of await ledger.submitGroup(atOnce)) assert.equal(result, 'ok')

  // Of the top-up of account 4 something was sent, something came back, something is on its way, and something went without us.
  const RETURNED = newId()
  const [sent, cameBack, held, theirs] = [newId(), newId(), newId(), newId()]
  await owner.query('select ledger_open(4)')
  await owner.query(
    `insert into topups (id, account_id, amount, status, session_call, payment_intent_id, charge_id, created_at, expires_at, credited_at)
     values ($1, 4, 10000000, 'credited', '{}', 'pi4', 'ch4', now(), now(), now())`,
    [RETURNED],
  )
  await owner.query(
    `insert into topup_refunds (id, topup_id, account_id, amount, origin, status, reason, booked, refund_call, external_id,
                                requested_at, succeeded_at, ended_at)
     values ($2, $1, 4, 4000000, 'you', 'succeeded', null, 4000000, '{}', 're1', now(), now(), now()),
            ($3, $1, 4, 2000000, 'you', 'failed', 'card_closed', 2000000, '{}', 're2', now(), now(), now()),
            ($4, $1, 4, 1000000, 'you', 'pending', null, 1000000, '{}', 're3', now(), null, null),
            ($5, $1, 4, 500000, 'card_company', 'succeeded', null, 500000, null, 're4', now(), now(), now())`,
    [RETURNED, sent, cameBack, held, theirs],
  )
  const back = { accountId: 4n, reference: RETURNED, code: 'topup_refund', contra: 'refunds' } as const
  const deadline = { expiresAt: new Date('2100-01-01'), onExpiry: 'alarm' } as const
  const onItsWay = (id: string, amount: string) =>
    ({ ...back, ...deadline, id: derivedId(id, 'hold'), kind: 'hold', amount: usd(amount) }) as const
  const taken = (id: string) => ({ ...back, id: newId(), kind: 'capture', holdId: derivedId(id, 'hold') }) as const
  const paid = { accountId: 4n, reference: RETURNED, code: 'topup_card', contra: 'card_clearing' } as const
  for (const command of [
    { ...paid, id: newId(), kind: 'credit', amount: usd('10.00') },
    onItsWay(sent, '4.00'),
    taken(sent),
    onItsWay(cameBack, '2.00'),
    taken(cameBack),
    { ...back, id: derivedId(cameBack, 'failed'), kind: 'credit', amount: usd('2.00') },
    onItsWay(held, '1.00'),
    { ...back, id: newId(), kind: 'clawback_debit', code: 'reversal', amount: usd('0.50') },
  ] satisfies Command[])
    assert.equal((await ledger.submit(command)).result, 'ok')
  const fee = { debit: 'card_fees', credit: 'card_clearing', amount: usd('0.59'), code: 'fee' } as const
  assert.equal(await bookHouseEntry(owner, { ...fee, id: newId(), reference: newId() }), 'ok')

  const { rows: waits } = await owner.query('select hold_id from orders where id = $1', [waiting])
  const waitingHold = waits[0].hold_id

  const damages: Record<string, Damage> = {
    'an amount is changed': {
      does: 'update transfers set amount = amount + 1 where number = 1',
      found: [checks.counters, checks.after, checks.platform, checks.topup],
    },
    'an amount is changed, and every figure with it': {
      does: `
      update transfers set amount = amount + 1 where number = 1;
      update transfers set available_after = available_after + 1;
      update ledger_accounts set credits = credits + 1 where id = 1;
      update platform_deltas set debits = debits + 1 where platform = 1`,
      found: [checks.counters, checks.after, checks.platform, checks.zero, checks.topup],
    },
    'the last transfer is deleted': {
      does: 'delete from transfers where number = (select max(number) from transfers)',
      found: [checks.counters, checks.open],
    },
    'a sum of deltas is changed': {
      does: 'select ledger_compact(1000); update platform_sums set debits = debits + 1 where platform = 1',
      found: [checks.platform, checks.zero],
    },
    'a sum of deltas is dropped': {
      does: 'select ledger_compact(1000); delete from platform_sums where platform = 3',
      found: [checks.platform, checks.zero],
    },
    'deltas are summed up and kept': {
      does: 'create temp table kept on commit drop as table platform_deltas; select ledger_compact(1000); insert into platform_deltas table kept',
      found: [checks.platform, checks.zero],
    },
    'a delta is dropped': {
      does: 'delete from platform_deltas where platform = 3',
      found: [checks.platform, checks.zero],
      names: { [checks.platform]: { platform: 3, code: 1, entries: null } },
    },
    'two rows change places': {
      does: `
      drop index transfers_history;
      update transfers set number = 5 - number where number in (2, 3) and account_id = 1`,
      found: [checks.times, checks.after],
    },
    'a hold is resolved twice': {
      does: `
      drop index transfers_resolves;
      insert into transfers
      select gen_random_uuid(), nextval('transfer_seq'), account_id, 99, kind, code, contra, amount, returned, hold_id, reference,
             available_after, held_after, frozen_after, owed_after, happened_at, recorded_at
        from transfers where kind = 'capture' and account_id = 1`,
      found: [checks.counters, checks.numbers, checks.times, checks.after, checks.twice, checks.platform],
    },
    'an open hold is forgotten': {
      does: 'delete from open_holds',
      found: [checks.open, checks.counted],
      names: {
        [checks.open]: { hold: waitingHold, open_amount: null },
        [checks.counted]: { account: '1', code: 1, counted: 1, open: '0' },
      },
    },
    'everybody is gone, and what he moved at the platform stays': {
      does: 'delete from transfers; delete from ledger_accounts; delete from open_holds',
      found: [checks.platform, checks.zero, checks.order, checks.topup, checks.gone, checks.refund],
    },
    'a hold was made by somebody else': {
      does: 'update transfers set account_id = 9, number = 1 where account_id = 2 and number = 3',
      found: [checks.counters, checks.numbers, checks.after, checks.resolves],
    },
    'a hold whose price was taken was given back': {
      does: `update transfers set kind = 'void' where kind = 'capture' and account_id = 1`,
      found: [checks.counters, checks.after, checks.platform, checks.order, checks.ways],
    },
    'less than the price was taken': {
      does: `update transfers set amount = amount - 10000, returned = 10000 where kind = 'capture' and account_id = 1`,
      found: [checks.counters, checks.after, checks.platform, checks.order],
    },
    'less than the price of an order that is finished was taken': {
      does: `
      update orders set status = 'finished', ended_at = expires_at where id = '${charged}';
      update numbers set order_id = null where order_id = '${charged}';
      update transfers set amount = amount - 10000, returned = 10000 where kind = 'capture' and account_id = 1`,
      found: [checks.counters, checks.after, checks.platform, checks.order],
    },
    'an account disappears with all its rows': {
      does: `
      delete from transfers; delete from ledger_accounts where id = 1; delete from open_holds; delete from platform_deltas`,
      found: [
        checks.counters,
        checks.counted,
        checks.platform,
        checks.zero,
        checks.order,
        checks.topup,
        checks.gone,
        checks.refund,
      ],
    },
    'a top-up is credited twice': { does: movement('credit', 1, 1, 30, TOPUP), found: [checks.topup] },
    'a top-up is credited to somebody else, too': { does: movement('credit', 2, 1, 30, TOPUP), found: [checks.topup] },
    'a top-up nobody paid is credited': { does: movement('credit', 2, 1, 30, newId()), found: [checks.topup] },
    'a refused top-up is credited': { does: movement('credit', 1, 1, 30, REFUSED), found: [checks.topup] },
    'a credited top-up says that it is not': {
      does: `update topups set status = 'expired', credited_at = null, ended_at = now()`,
      found: [checks.topup],
    },
    'a top-up is credited against another account of the platform': {
      does: `
      update transfers set contra = 3 where number = 1; update platform_deltas set platform = 3 where platform = 1`,
      found: [checks.platform, checks.ways],
    },
    'an order is charged once more, beside its hold': {
      does: movement('debit', 1, 3, 1, charged),
      found: [checks.ways],
    },
    'a price is earned by another account of the platform': {
      does: `
      update transfers set contra = 5 where kind = 'capture'; update platform_deltas set platform = 5 where platform = 3`,
      found: [checks.platform, checks.ways],
    },
    'a capture names another cause': {
      does: `update transfers set reference = '${waiting}' where kind = 'capture' and reference = '${charged}'`,
      found: [checks.order],
    },
    'a release is called something else': {
      does: `update transfers set code = 42 where kind = 'void'`,
      found: [checks.ways],
    },
    'an order is given to somebody else': {
      does: `update orders set account_id = 2 where id = '${charged}'`,
      found: [checks.order, checks.message],
    },
    'an order costs more than was held': {
      does: `update orders set price = price + 10000 where id = '${waiting}'`,
      found: [checks.order],
    },
    'an order whose money is held is deleted': {
      does: `delete from orders where id = '${waiting}'`,
      found: [checks.hold, checks.number],
    },
    'an order that ended is deleted': { does: `delete from orders where id = '${cancelled}'`, found: [checks.hold] },
    'a code was never there': { does: 'delete from messages', found: [checks.code] },
    'a code came too late': { does: 'update messages set late = true', found: [checks.code] },
    'a code came at another time than the order says': {
      does: `update orders set received_at = given_at - interval '1 day' where id = '${charged}'`,
      found: [checks.code],
    },
    'a message is shown to somebody else': { does: 'update messages set account_id = 2', found: [checks.message] },
    'the evidence of a message is gone': {
      does: 'alter table messages drop constraint messages_inbox_id_fkey; delete from inbox',
      found: [checks.message],
    },
    'a message had been sent to another number': {
      does: `update inbox set subject = '+447700900019'`,
      found: [checks.message],
    },
    'a number is free while its order waits': {
      does: `update numbers set order_id = null where order_id = '${waiting}'`,
      found: [checks.number],
    },
    'a number is kept by an order that ended': {
      does: `update numbers set order_id = '${cancelled}' where last_order_id = '${cancelled}'`,
      found: [checks.number],
    },
    'a figure of an account is raised, and what it owes with it': {
      does: `
      update ledger_accounts set frozen = frozen + 1, owed = owed + 1 where id = 2`,
      found: [checks.counters],
    },
    'a debt is forgotten': {
      does: `
      alter table ledger_accounts drop constraint owed_is_exact, drop constraint nothing_spent_twice;
      update ledger_accounts set owed = 0 where id = 2`,
      found: [checks.owed],
    },
    'a debt is made up': {
      does: `
      alter table ledger_accounts drop constraint owed_is_exact;
      update ledger_accounts set owed = 1 where id = 1`,
      found: [checks.owed],
    },
    'a counter is below zero, and another makes up for it': {
      does: `
      alter table ledger_accounts drop constraint no_negative_counter;
      update ledger_accounts set credits = credits - 100000000, debits = debits - 100000000 where id = 1`,
      found: [checks.counters, checks.owed],
    },
    'nothing is counted, but all is there': {
      does: `update ledger_accounts set transfer_count = transfer_count + 1 where id = 2`,
      found: [checks.counters],
    },
    'the time of the last transfer is another one, so that the next ones are recorded at a wrong one': {
      does: `update ledger_accounts set last_at = last_at + interval '1 day' where id = 2`,
      found: [checks.counters],
    },
    'a transfer of nobody': {
      does: `update transfers set account_id = 3 where account_id = 2`,
      found: [checks.counters, checks.open],
    },
    'somebody who is not there was given something': {
      does: `insert into transfers (id, account_id, number, kind, code, contra, amount, reference, available_after, held_after, frozen_after,
                                    owed_after, happened_at, recorded_at)
             values (gen_random_uuid(), 99, 1, 'credit', 41, 6, 1, gen_random_uuid(), 1, 0, 0, 0, house_now(), house_now());
             insert into platform_deltas values (6, 41, 1, 0, 1)`,
      found: [checks.counters, checks.zero],
      names: { [checks.counters]: { account: '99', credits: null, credits_derived: '1' } },
    },
    'a row says more available': {
      does: `update transfers set available_after = available_after + 1 where account_id = 1 and number = 2`,
      found: [checks.after],
    },
    'a row says more held': {
      does: `update transfers set held_after = held_after + 1 where account_id = 1 and number = 2`,
      found: [checks.after],
    },
    'a row says more frozen': {
      does: `update transfers set frozen_after = frozen_after + 1 where account_id = 2 and number = 4`,
      found: [checks.after],
    },
    'a row says more owed': {
      does: `update transfers set owed_after = owed_after + 1 where account_id = 2 and number = 9`,
      found: [checks.after],
    },
    'the numbers of an account begin with another': {
      does: `update transfers set number = number + 1000 where account_id = 2`,
      found: [checks.numbers],
    },
    'a row was recorded before the one before it': {
      does: `
      update transfers set recorded_at = recorded_at - interval '1 day' where account_id = 1 and number = 3`,
      found: [checks.times],
    },
    'the rest of a capture is another one': {
      does: `update transfers set returned = returned + 1 where kind = 'capture' and account_id = 2`,
      found: [checks.resolves],
    },
    'a void gives back what nobody held': {
      does: `update transfers set hold_id = gen_random_uuid() where kind = 'void' and account_id = 2`,
      found: [checks.counters, checks.after, checks.resolves, checks.open],
    },
    "a void names another one's hold": {
      does: `
      update transfers set hold_id = (select hold_id from open_holds where account_id = 2 and amount = 750000)
       where kind = 'void' and account_id = 1`,
      found: [checks.counters, checks.after, checks.resolves, checks.open, checks.order, checks.ways],
    },
    'a void names a credit': {
      does: `
      update transfers set hold_id = (select id from transfers where account_id = 2 and number = 1) where kind = 'void' and account_id = 2`,
      found: [checks.counters, checks.after, checks.resolves, checks.open],
    },
    'a hold comes after its capture': {
      does: `
      update transfers set number = 100 where account_id = 2 and number = 5`,
      found: [checks.numbers, checks.times, checks.after, checks.resolves],
    },
    'an open hold has another amount': {
      does: `update open_holds set amount = amount + 1 where amount = 750000`,
      found: [checks.open],
    },
    'an open hold has another cause': {
      does: `update open_holds set code = 3 where amount = 750000`,
      found: [checks.open, checks.counted],
    },
    'an open hold is of another kind': {
      does: `update open_holds set kind = 'clawback_hold' where amount = 750000`,
      found: [checks.open],
    },
    'the counts of open holds are other ones': {
      does: `update ledger_accounts set open_orders = open_orders + 1, open_topup_refunds = open_topup_refunds + 1 where id = 2`,
      found: [checks.counted],
    },
    "an open hold is somebody else's": {
      does: `update open_holds set account_id = 1 where amount = 750000`,
      found: [checks.open, checks.counted],
    },
    'a hold is open that nobody made': {
      does: `insert into open_holds values (gen_random_uuid(), 2, 2, 1, house_now() + interval '1 day', 'void', 'hold')`,
      found: [checks.open, checks.counted],
    },
    'a claim is open that was won': {
      does: `
      insert into open_holds select id, account_id, code, amount, house_now() + interval '1 day', 'alarm', kind from transfers
       where account_id = 2 and number = 4`,
      found: [checks.open, checks.counted],
    },
    'the count of open holds is another one': {
      does: `update ledger_accounts set open_disputes = open_disputes - 1 where id = 2`,
      found: [checks.counted],
    },
    'a total has more credits': {
      does: `update platform_deltas set credits = credits + 1 where platform = 3 and code = 1`,
      found: [checks.platform, checks.zero],
    },
    'a total has another number of entries': {
      does: `update platform_deltas set entries = entries + 1 where platform = 3 and code = 1`,
      found: [checks.platform],
    },
    'a total of nothing': { does: `insert into platform_sums values (9, 62, 0, 0, 0)`, found: [checks.platform] },
    'a total stands under another cause': {
      does: `update platform_deltas set code = 41 where platform = 3 and code = 1`,
      found: [checks.platform],
    },
    'a total stands under another account': {
      does: `select ledger_compact(1000); update platform_sums set platform = 10 where platform = 6 and code = 41`,
      found: [checks.platform],
    },
    'a movement of the house is deleted': { does: `delete from house_entries`, found: [checks.platform] },
    'both totals of a movement are raised': {
      does: `
      update platform_deltas set debits = debits + 1, credits = credits + 1 where platform = 3 and code = 1`,
      found: [checks.platform],
    },
    'an order says it waits, and was charged': {
      does: `update orders set status = 'waiting', received_at = null, ended_at = null where id = '${charged}'`,
      found: [checks.order, checks.code],
    },
    'an order says it has its code, and waits': {
      does: `update orders set status = 'received', received_at = given_at where id = '${waiting}'`,
      found: [checks.order, checks.code],
    },
    'an order says it expired, and waits': {
      does: `update orders set status = 'expired', ended_at = given_at where id = '${waiting}'`,
      found: [checks.order, checks.number],
    },
    'an order says it was given back, and was charged': {
      does: `
      update orders set status = 'cancelled', received_at = null, ended_at = given_at where id = '${charged}'`,
      found: [checks.order, checks.code, checks.number],
    },
    'an order names the hold of nobody': {
      does: `update orders set hold_id = gen_random_uuid() where id = '${waiting}'`,
      found: [checks.order, checks.hold],
    },
    'the hold of an order is for something else': {
      does: `
      update transfers set reference = gen_random_uuid() where kind = 'hold' and reference = '${waiting}'`,
      found: [checks.order],
    },
    'a code came when the time was over': {
      does: `update orders set expires_at = received_at where id = '${charged}'`,
      found: [checks.code],
    },
    'a message came at another time than its inbox row says': {
      does: `update inbox set received_at = received_at - interval '1 second'`,
      found: [checks.message],
    },
    'a top-up is of another amount': {
      does: `update topups set amount = amount + 1000000 where id = '${TOPUP}'`,
      found: [checks.topup],
    },
    'a top-up is credited as a gift': {
      does: `update transfers set code = 41 where code = 30; update platform_deltas set code = 41 where code = 30; update platform_sums set code = 41 where code = 30`,
      found: [checks.topup],
    },
    'a top-up is debited': {
      does: `
      update transfers set code = 30, contra = 1 where account_id = 2 and number = 2;
      update platform_deltas set code = 30, platform = 1 where platform = 6 and code = 42`,
      found: [checks.ways],
    },
    'a release is of no order': {
      does: `
      update transfers set code = 20 where kind = 'void' and account_id = 2`,
      found: [checks.ways],
    },
    'a release of an order is one of a dispute': {
      does: `update transfers set code = 3 where kind = 'void' and account_id = 1`,
      found: [checks.ways],
    },
    'a price was taken by a release': {
      does: `update transfers set code = 21 where kind = 'capture' and account_id = 1`,
      found: [checks.platform, checks.ways],
    },
    'a hold of an order stands against another account of the platform': {
      does: `
      update transfers set contra = 4 where kind = 'hold' and reference = '${waiting}'`,
      found: [checks.ways],
    },
    'a refund is forgotten': { does: `delete from topup_refunds where id = '${sent}'`, found: [checks.gone] },
    'a refund is made up': {
      does: `insert into topup_refunds (id, topup_id, account_id, amount, origin, booked, refund_call, requested_at)
             values (gen_random_uuid(), '${TOPUP}', 1, 10000, 'you', 10000, '{}', now())`,
      found: [checks.gone, checks.refund],
      names: { [checks.gone]: { topup: TOPUP, refunds: '10000', gone: '0' } },
    },
    'money went back, and no refund says so': {
      does: movement('debit', 1, 4, 2, TOPUP),
      found: [checks.gone, checks.ways],
      names: { [checks.gone]: { topup: TOPUP, refunds: '0', gone: '1200000' } },
    },
    'money went back of nothing that there is': {
      does: movement('debit', 1, 4, 2, newId()),
      found: [checks.ways],
    },
    'a refund is of another amount': {
      does: `update topup_refunds set amount = amount + 10000, booked = booked + 10000 where id = '${held}'`,
      found: [checks.gone, checks.refund],
    },
    'a refund says that it was sent, and its money is held': {
      does: `update topup_refunds set status = 'succeeded', succeeded_at = now(), ended_at = now() where id = '${held}'`,
      found: [checks.refund],
    },
    'a refund says that it is on its way, and its money is gone': {
      does: `update topup_refunds set status = 'pending', succeeded_at = null, ended_at = null where id = '${sent}'`,
      found: [checks.refund],
    },
    'a refund failed, and its money is held': {
      does: `update topup_refunds set status = 'failed', reason = 'declined', ended_at = now() where id = '${held}'`,
      found: [checks.gone, checks.refund],
    },
    'a refund came back, and its money did not': {
      does: `update topup_refunds set status = 'failed', reason = 'declined' where id = '${sent}'`,
      found: [checks.gone, checks.refund],
    },
    'what went back without us was taken in another measure': {
      does: `update topup_refunds set booked = booked - 10000 where id = '${theirs}'`,
      found: [checks.gone],
    },
    'more went back than was credited': {
      does: `update topups set amount = 4000000 where id = '${RETURNED}'; update transfers set amount = 4000000 where reference = '${RETURNED}' and code = 30;
             ${dispute('released', 0, null, null, { of: RETURNED, account: 4 })}`,
      found: [checks.counters, checks.after, checks.platform, checks.gone],
    },
    'a dispute names as its own what is held for something else': {
      does: dispute('frozen', 750_000, elsewhere!),
      found: [checks.claims],
    },
    'credits are frozen for a dispute that nobody knows': {
      does: frozenOf(DISPUTED, 2_000_000),
      found: [checks.claims],
    },
    'a dispute names another hold than the one that is open': {
      does: `${frozenOf(DISPUTED, 2_000_000)}; ${dispute('frozen', 2_000_000, newId())}`,
      found: [checks.claims],
      names: { [checks.claims]: { topup: TOPUP } },
    },
    'a bank took more than ever came': {
      does: `${takenOf(TOPUP, 1, 10_000_000)}; ${takenOf(TOPUP, 1, 10_000)}`,
      found: [checks.claims],
    },
    'a dispute says that it took, and nothing is gone': {
      does: dispute('taken', 1_000_000, null),
      found: [checks.claims],
      names: {
        [checks.claims]: { topup: TOPUP, taken: '1000000', taken_derived: '0', frozen: '0', frozen_derived: '0' },
      },
    },
    'a dispute says that it froze, and nothing is frozen': {
      does: dispute('frozen', 1_000_000, newId()),
      found: [checks.claims],
    },
    'a bank took more than was left of a top-up after its refunds': {
      does: `${takenOf(RETURNED, 4, 4_510_000)}`,
      found: [checks.claims],
    },
    'a dispute says that less is frozen than is': {
      does: `${frozenOf(DISPUTED, 2_000_000)}; ${dispute('frozen', 1_990_000, DISPUTED)}`,
      found: [checks.claims],
    },
    'credits are taken for a dispute that nobody knows': {
      does: movement('debit', 1, 5, 3, TOPUP),
      found: [checks.claims],
      names: {
        [checks.claims]: { topup: TOPUP, taken: '0', taken_derived: '1200000', frozen: '0', frozen_derived: '0' },
      },
    },
    'a warning keeps what is not frozen': {
      does: `insert into fraud_warnings (id, external_id, topup_id, account_id, fraud_type, actionable, status, frozen, hold_id, opened_at)
             values (gen_random_uuid(), 'issfr', '${TOPUP}', 1, 'misc', true, 'open', 1000000, gen_random_uuid(), now())`,
      found: [checks.claims],
    },
    'a refund is taken beside its hold': {
      does: movement('debit', 4, 4, 2, RETURNED),
      found: [checks.gone, checks.ways],
    },
    'a refund goes to another account of the platform': {
      does: `update transfers set contra = 5 where kind = 'capture' and code = 2;
             update platform_deltas set platform = 5 where code = 2 and debits + credits > 0`,
      found: [checks.platform, checks.ways],
    },
    'a movement of the house is changed': {
      does: `
      select ledger_book(gen_random_uuid(), 8::smallint, 1::smallint, 5, 61::smallint, gen_random_uuid(), null);
      update house_entries set amount = 6`,
      found: [checks.platform],
    },
  }

  /** What looks strange, and is right. */
  const right: Record<string, string> = {
    'an order that has its code is finished': `
      update orders set status = 'finished', ended_at = expires_at where id = '${charged}';
      update numbers set order_id = null where order_id = '${charged}'`,
    'a message without a code': `
      with came as (
        insert into inbox (source, external_id, subject, body, received_at, handled_at)
        select 'sms:generic', 'no code', phone_number, '{}', house_now(), house_now() from orders where id = '${waiting}'
        returning id, received_at)
      insert into messages (id, inbox_id, order_id, account_id, sender, text, code, late, received_at)
      select gen_random_uuid(), id, '${waiting}', 1, 'Telegram', 'Hello', null, false, received_at from came`,
    'an order expired': `update transfers set code = 21 where kind = 'void' and account_id = 1`,
    'the ledger gave back what an order had forgotten': `update transfers set code = 22 where kind = 'void' and account_id = 1`,
    'a bank took a top-up back, which is no refund': movement('clawback_debit', 1, 5, 43, TOPUP),
    'banks took a top-up in two disputes, and gave back some of it': `
      ${takenOf(TOPUP, 1, 1_000_000)}; ${takenOf(TOPUP, 1, 500_000)};
      ${movement('debit', 1, 5, 3, TOPUP, { amount: 200_000 })};
      ${movement('credit', 1, 5, 3, TOPUP, { amount: 200_000 })}`,
    'a bank took all that was left of a top-up after its refunds': takenOf(RETURNED, 4, 4_500_000),
    'a bank took all of a top-up': takenOf(TOPUP, 1, 10_000_000),
    'banks froze a top-up in two disputes': `
      ${frozenOf(DISPUTED, 2_000_000)}; ${dispute('frozen', 2_000_000, DISPUTED)};
      ${frozenOf(WARNED, 500_000)}; ${dispute('frozen', 500_000, WARNED)}`,
    'banks took as much of a top-up in one dispute as in another': `
      ${takenOf(TOPUP, 1, 500_000)}; ${takenOf(TOPUP, 1, 500_000)}`,
    'a warning keeps what is frozen': `
      ${frozenOf(WARNED, 500_000)};
      insert into fraud_warnings (id, external_id, topup_id, account_id, fraud_type, actionable, status, frozen, hold_id, opened_at)
      values (gen_random_uuid(), 'issfr', '${TOPUP}', 1, 'misc', true, 'open', 500000, '${WARNED}', now())`,
    'all of a top-up went back': `
      insert into topup_refunds (id, topup_id, account_id, amount, origin, status, booked, external_id, requested_at, succeeded_at, ended_at)
      values (gen_random_uuid(), '${TOPUP}', 1, 10000000, 'card_company', 'succeeded', 10000000, 're5', now(), now(), now());
      ${movement('clawback_debit', 1, 4, 43, TOPUP, { amount: 10_000_000 })}`,
    'a refund that was made without us came back': `
      update topup_refunds set status = 'failed', reason = 'card_closed', succeeded_at = null where id = '${theirs}';
      ${movement('credit', 4, 4, 2, RETURNED, { id: `derived_id('${theirs}', 'failed')`, amount: 500_000 })}`,
    'a refund that was made without us failed, and had moved nothing': `
      insert into topup_refunds (id, topup_id, account_id, amount, origin, status, reason, booked, external_id, requested_at, ended_at)
      values (gen_random_uuid(), '${TOPUP}', 1, 10000, 'card_company', 'failed', 'declined', 0, 're6', now(), now())`,
  }

  const delays: Record<string, string> = {
    'an order waits beyond its end': `update orders set expires_at = house_now() - interval '16 minutes' where id = '${waiting}'`,
    'a hold is open beyond its deadline': `update open_holds set expires_at = house_now() - interval '21 minutes' where amount = 750000`,
    'a message was never decided': `insert into inbox (source, external_id, subject, body, received_at) values ('sms:generic', 'x', '+447700900010', '{}', house_now() - interval '16 minutes')`,
    'nobody looks at a payment': `update topups set next_look_at = now() - interval '16 minutes' where id = '${REFUSED}'`,
    'nobody looks at a dispute': dispute('released', 0, null, 16),
    'nobody looks at a warning': `insert into fraud_warnings (id, external_id, topup_id, account_id, fraud_type, actionable, status, opened_at, next_look_at)
       values (gen_random_uuid(), 'issfr', '${TOPUP}', 1, 'misc', true, 'open', now(), now() - interval '16 minutes')`,
    'nobody looks at a refund': `update topup_refunds set next_look_at = now() - interval '16 minutes' where id = '${held}'`,
    'an order that has its code is not finished': `
      update inbox set received_at = received_at - interval '1 hour';
      update messages set received_at = received_at - interval '1 hour';
      update orders set received_at = received_at - interval '1 hour', expires_at = house_now() - interval '16 minutes' where id = '${charged}'`,
    'rows are not sealed': `update transfers set recorded_at = house_now() - interval '61 minutes' where account_id = 1 and number = 1`,
    'movements of the house are not sealed': `update house_entries set recorded_at = house_now() - interval '61 minutes'`,
    'a letter is not sent': `insert into mail_outbox (id, to_address, subject, body_text, body_html, can_switch_off, next_attempt_at)
       values (gen_random_uuid(), 'ana@example.com', 's', 't', 'h', true, now() - interval '16 minutes')`,
  }

  /** What is late, to the very moment at which somebody would be called. */
  const inTime: Record<string, string> = {
    'an order': `update orders set expires_at = house_now() - interval '15 minutes' where id = '${waiting}'`,
    'a hold': `update open_holds set expires_at = house_now() - interval '20 minutes'`,
    'a message': `insert into inbox (source, external_id, subject, body, received_at) values ('sms:generic', 'x', '+447700900010', '{}', house_now() - interval '15 minutes')`,
    'an event that was set aside, of which a person was told': `insert into inbox (source, external_id, subject, body, received_at, set_aside_at) values ('stripe', 'x', 'pi_x', '{}', house_now() - interval '1 day', house_now() - interval '1 day')`,
    'an event about what nobody here knows': `insert into inbox (source, external_id, subject, body, received_at, outcome) values ('stripe', 'x', 'pi_x', '{}', house_now() - interval '1 day', 'unknown_object')`,
    'a message that was decided long ago': `insert into inbox (source, external_id, subject, body, received_at, handled_at) values ('sms:generic', 'x', '+447700900010', '{}', house_now() - interval '1 day', house_now() - interval '1 day')`,
    'a seal': `update transfers set recorded_at = house_now() - interval '1 hour'`,
    'rows that were sealed, by more than one seal, up to the last one': `
      update transfers set recorded_at = recorded_at - interval '1 day';
      update house_entries set recorded_at = recorded_at - interval '1 day';
      do $$ begin
        while ledger_seal(greatest((select max(seq) from transfers), (select max(seq) from house_entries)), '{}', 10) = 'sealed' loop
        end loop;
      end $$`,
    'a look at a payment': `update topups set next_look_at = now() - interval '15 minutes' where id = '${REFUSED}'`,
    'a look at a dispute': dispute('released', 0, null, 15),
    'a look at a warning': `insert into fraud_warnings (id, external_id, topup_id, account_id, fraud_type, actionable, status, opened_at, next_look_at)
       values (gen_random_uuid(), 'issfr', '${TOPUP}', 1, 'misc', true, 'open', now(), now() - interval '15 minutes')`,
    'a look at a refund': `update topup_refunds set next_look_at = now() - interval '15 minutes'`,
    'a letter': `insert into mail_outbox (id, to_address, subject, body_text, body_html, can_switch_off, next_attempt_at)
      values (gen_random_uuid(), 'ana@example.com', 's', 't', 'h', true, now() - interval '15 minutes')`,
  }

  return {
    db,
    owner,
    ledger,
    /** An order of account 1 that waits. */
    waiting,
    damages,
    right,
    delays,
    inTime,
    insideTheTransaction,
    inside,
    async close(): Promise<void> {
      await orders.close()
      await ledger.close()
      await owner.end()
      await db.close()
    },
  }

  /** Does the damage, looks, and takes it back. */
  async function inside<Result>(
    does: string,
    look: (connect: () => Promise<pg.PoolClient>) => Promise<Result>,
  ): Promise<Result> {
    await owner.query('begin')
    try {
      await owner.query(does)
      return await look(insideTheTransaction)
    } finally {
      await owner.query('rollback')
    }
  }

  /** What a bank took of a top-up: the dispute's row, and the movement. */
  function takenOf(of: string, account: number, amount: number): string {
    return `${dispute('taken', amount, null, null, { of, account })};
            ${movement('clawback_debit', account, 5, 3, of, { amount })}`
  }

  /** What a bank freezes of account 1's top-up, as a movement only. */
  function frozenOf(hold: string, amount: number): string {
    return `select ledger_apply(array['${hold}']::uuid[], array['clawback_hold']::transfer_kind[], array[1]::bigint[], array[5]::smallint[],
      array[${amount}]::bigint[], array[null]::uuid[], array[3]::smallint[], array['${TOPUP}']::uuid[], array[null]::timestamptz[],
      array['2100-01-01']::timestamptz[], array['alarm'], array[null]::int[], array[null]::int[])`
  }

  /** A dispute of account 1's top-up, or of another one, as a row only. */
  function dispute(
    state: string,
    covered: number,
    hold: string | null,
    lateMinutes: number | null = null,
    { of, account } = { of: TOPUP, account: 1 },
  ): string {
    return `insert into disputes (id, external_id, topup_id, account_id, kind, stripe_status, amount, reason, charge_refundable, state,
                                  covered, hold_id, opened_at, closed_at, next_look_at)
            values (gen_random_uuid(), gen_random_uuid()::text, '${of}', ${account}, 'dispute', 'lost', 10000000, 'fraudulent', false, '${state}', ${covered},
                    ${hold ? `'${hold}'` : 'null'}, now(), ${state === 'frozen' ? 'null' : 'now()'},
                    ${lateMinutes === null ? 'null' : `now() - interval '${lateMinutes} minutes'`})`
  }

  async function place(): Promise<string> {
    const placed = await orders.place({
      accountId: 1n,
      service: 'telegram',
      country: 'GB',
      maxPrice: null,
      idempotencyKey: null,
      key: null,
    })
    assert.ok(placed.ok)
    return readId('ord', placed.order.id)!
  }

  /** The audit's own transaction is this one, which sees the damage. */
  async function insideTheTransaction(): Promise<pg.PoolClient> {
    const query = (text: string) => (/^(begin|rollback)/.test(text) ? { rows: [] } : owner.query(text))
    return { query, release() {} } as unknown as pg.PoolClient
  }
}

/** One movement more, by the ledger's own function: its sums stay right. */
function movement(
  kind: 'credit' | 'debit' | 'clawback_debit',
  account: number,
  contra: number,
  code: number,
  reference: string,
  more: { id?: string; amount?: number } = {},
): string {
  const amount = more.amount ?? (code === 30 ? 10_000_000 : 1_200_000)
  return `select ledger_apply(array[${more.id ?? 'gen_random_uuid()'}], array['${kind}']::transfer_kind[], array[${account}]::bigint[],
    array[${contra}]::smallint[], array[${amount}]::bigint[], array[null]::uuid[], array[${code}]::smallint[],
    array['${reference}']::uuid[], array[null]::timestamptz[], array[null]::timestamptz[], array[null]::text[], array[null]::int[],
    array[null]::int[])`
}
