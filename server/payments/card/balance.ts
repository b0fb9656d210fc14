/**
 * The movements of our balance at the card company, read page by page into a table of ours, and for each of them whose it is.
 *
 * Reading goes on where it stopped, whoever stopped it. Entries appear late there, so each pass begins some days before the end of the
 * last one; an entry that is known is not written again, for none ever changes.
 */
import { micros } from '../../../contract/money.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { readId } from '../../platform/ids.ts'
import { bringBack } from './bring-back.ts'
import { type Answer, type BalanceTransaction, type CardCompany, type Charge, KEY_REFUSED } from './stripe.ts'

/** How far back each pass reads again. Unit: days. */
const OVERLAP_DAYS = 7
/** A million entries; what is left is read by the next run. */
const PAGES_MAX = 10_000
/** Whose they are is asked for so many in one go. */
const UNKNOWN_PER_GO = 200

/** What a movement is about, by the card company's reporting category. Others (reserves, transfers …) concern no top-up of ours. */
export const categories = {
  charge: ['charge'],
  refund: ['refund', 'refund_failure'],
  dispute: ['dispute', 'dispute_reversal'],
  fee: ['fee'],
  payout: ['payout', 'payout_reversal'],
} as const

/** The card company cannot be read at the moment. The message is a sentence for whoever asked. */
export class CannotRead extends Error {}

export function createBalance(settings: {
  database: Database
  card: CardCompany
  installation: () => Promise<string>
}) {
  const { database, card } = settings

  /**
   * Reads what is new, up to now. `onPage`: how many entries each page had; called after the page is stored. False: there is more than
   * one run reads, and the next one goes on.
   */
  async function read(onPage: (entries: number) => Promise<void>): Promise<boolean> {
    let pass = await beginPass()
    for (let page = 0; page < PAGES_MAX; page++) {
      const answer = await card.listBalance(pass)
      if (!answer.ok && answer.code === 'resource_missing' && pass.after !== null) {
        // The entry at which the last run stopped is not there (any more): the pass begins anew.
        await database.pool.query(`update reconciliation_reads set pass_after = null where rail = 'card'`)
        pass = { ...pass, after: null }
        continue
      }
      if (!answer.ok) throw cannotRead(answer)
      const { entries, more } = answer.value
      await store(entries, more ? entries.at(-1)!.id : null, pass.until)
      await onPage(entries.length)
      if (more) pass = { ...pass, after: entries.at(-1)!.id }
      // A pass that was cut short ends where it was to end then; what came since is another one.
      else if (pass.resumed) pass = await beginPass()
      else return true
    }
    return false
  }

  /** The pass that was cut short, or a new one that ends now. */
  async function beginPass(): Promise<{ from: Date; until: Date; after: string | null; resumed: boolean }> {
    await database.pool.query(
      `insert into reconciliation_reads (rail, read_until) select 'card', created_at from installation on conflict do nothing`,
    )
    const { rows } = await database.pool.query<{ from: Date; until: Date; after: string | null; resumed: boolean }>(
      `update reconciliation_reads
          set pass_until = case when pass_after is null then date_trunc('second', now()) + interval '1 second' else pass_until end
        where rail = 'card'
       returning read_until - make_interval(days => $1) as from, pass_until as until, pass_after as after,
                 pass_after is not null as resumed`,
      [OVERLAP_DAYS],
    )
    return rows[0]!
  }

  /** `after`: the entry that the next page follows; null: this was the last page of its pass. */
  async function store(entries: BalanceTransaction[], after: string | null, until: Date): Promise<void> {
    const column = (of: (entry: BalanceTransaction) => string | number | null) => entries.map(of)
    await database.transaction(async (tx) => {
      await tx.query(
        `insert into balance_transactions
                (id, type, reporting_category, currency, amount, fee, net, source, created, available_on)
         select id, type, category, currency, amount, fee, net, source, to_timestamp(created), to_timestamp(available_on)
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
                       $9::bigint[], $10::bigint[]) e(id, type, category, currency, amount, fee, net, source, created, available_on)
          order by id
             on conflict (id) do nothing`,
        [
          column(({ id }) => id),
          column(({ type }) => type),
          column(({ reporting_category }) => reporting_category),
          column(({ currency }) => currency),
          column(({ amount }) => amount),
          column(({ fee }) => fee),
          column(({ net }) => net),
          column(({ source }) => idOf(source)),
          column(({ created }) => created),
          column(({ available_on }) => available_on),
        ],
      )
      await tx.query(
        `update reconciliation_reads
            set pass_after = $1,
                pass_until = case when $1::text is null then null else pass_until end,
                read_until = case when $1::text is null then greatest(read_until, $2) else read_until end
          where rail = 'card'`,
        [after, until],
      )
    })
  }

  /** Finds out whose the entries are of which nobody knows it yet; `step` is called after each, and may end it. */
  async function findOwners(step: () => Promise<void>): Promise<void> {
    await sortOut(database.pool)
    for (let after = ''; ; ) {
      const { rows } = await database.pool.query<Unknown>(
        `select id, reporting_category as category, source
           from balance_transactions
          where owner is null
            and id > $1
          order by id
          limit $2`,
        [after, UNKNOWN_PER_GO],
      )
      for (const entry of rows) {
        await findOwner(entry)
        await step()
      }
      if (rows.length < UNKNOWN_PER_GO) return
      after = rows.at(-1)!.id
    }
  }

  async function findOwner(entry: Unknown): Promise<void> {
    if (entry.source === null) return own(entry.id, 'foreign', null)
    const chargeId = await chargeBehind(entry.category, entry.source)
    if (chargeId === null) return
    const charge = await readingOf(card.readCharge(chargeId))
    if (!charge) return
    const reference = topupOf(charge, await settings.installation())
    if (reference === null) return own(entry.id, 'foreign', null)
    const sessionOf = (paymentIntentId: string) => readingOf(card.findSession(paymentIntentId))
    if (await bringBack(database, charge, reference, sessionOf)) return own(entry.id, 'ours', reference)
    // It bears our mark, and nobody here knows it: named, until somebody does.
    await database.pool.query('update balance_transactions set reference = $2 where id = $1', [entry.id, reference])
  }

  /** The charge that an entry is about in the end. Null: there is none, or it cannot be had. */
  async function chargeBehind(category: string, source: string): Promise<string | null> {
    if (is(category, 'charge')) return source
    const about = is(category, 'refund') ? card.readRefund(source) : card.readDispute(source)
    return idOf((await readingOf<{ charge: string | { id: string } | null }>(about))?.charge)
  }

  async function own(id: string, owner: 'ours' | 'foreign', reference: string | null): Promise<void> {
    await database.pool.query('update balance_transactions set owner = $2, reference = $3 where id = $1', [
      id,
      owner,
      reference,
    ])
  }

  return { read, findOwners }
}

type Unknown = { id: string; category: string; source: string | null }

/** What can be told without asking anybody. */
async function sortOut(db: Queryable): Promise<void> {
  await db.query(
    `update balance_transactions b
        set owner = 'ours', reference = t.id
       from topups t
      where b.owner is null
        and b.reporting_category = any ($1)
        and t.charge_id = b.source`,
    [categories.charge],
  )
  await db.query(
    `update balance_transactions b
        set owner = 'ours', reference = r.topup_id
       from topup_refunds r
      where b.owner is null
        and b.reporting_category = any ($1)
        and r.external_id = b.source`,
    [categories.refund],
  )
  await db.query(
    `update balance_transactions b
        set owner = 'ours', reference = d.topup_id
       from disputes d
      where b.owner is null
        and b.reporting_category = any ($1)
        and d.external_id = b.source`,
    [categories.dispute],
  )
  await db.query(
    `update balance_transactions
        set owner = case when reporting_category = any ($1) then 'house' else 'foreign' end
      where owner is null
        and reporting_category <> all ($2)`,
    [
      [...categories.fee, ...categories.payout],
      [...categories.charge, ...categories.refund, ...categories.dispute],
    ],
  )
}

function is(category: string, kind: keyof typeof categories): boolean {
  return (categories[kind] as readonly string[]).includes(category)
}

/** The top-up that a charge says it belongs to, by the mark that we put on its payment. Null: it bears none, or another installation's. */
function topupOf(charge: Charge, installation: string): string | null {
  const intent = typeof charge.payment_intent === 'string' ? null : charge.payment_intent
  const mark = { ...intent?.metadata, ...charge.metadata }
  if (mark['topup_id'] === undefined || (mark['installation'] ?? installation) !== installation) return null
  return readId('top', mark['topup_id'])
}

/** Cents, or what else its currency counts; compared only where that is cents. */
export function microsOfCents(cents: string | number | bigint) {
  return micros(BigInt(cents) * 10_000n)
}

/** Null: the card company has no such object. */
async function readingOf<Value>(asked: Promise<Answer<Value>>): Promise<Value | null> {
  const answer = await asked
  if (answer.ok) return answer.value
  if (answer.why === 'refused') return null
  throw cannotRead(answer)
}

function cannotRead(answer: { code: string; message: string }): CannotRead {
  return new CannotRead(
    answer.code === KEY_REFUSED
      ? 'Stripe does not accept our key for reading the balance: give it the powers that docs/operating/cards.md lists.'
      : `Stripe could not be read (${answer.message}). Nothing was changed; what was read is kept, and the next run goes on there.`,
  )
}

function idOf(object: string | { id: string } | null | undefined): string | null {
  return typeof object === 'string' ? object : (object?.id ?? null)
}
