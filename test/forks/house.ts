/** The real follower and the real credits over a scripted network: their tables, in the words of the model. */
import pg from 'pg'
import { micros, type Usd, usd } from '../../contract/money.ts'
import { platformAccounts } from '../../server/ledger/chart.ts'
import { createLedger } from '../../server/ledger/ledger.ts'
import { assets, networkOf } from '../../server/payments/crypto/assets.ts'
import type { Payment } from '../../server/payments/crypto/branch.ts'
import { createCredits } from '../../server/payments/crypto/credits.ts'
import { PAYMENT_COLUMNS, readPayment } from '../../server/payments/crypto/facts.ts'
import { createFollower, type FollowerSettings } from '../../server/payments/crypto/follower.ts'
import type { Database } from '../../server/platform/db.ts'
import { newId } from '../../server/platform/ids.ts'
import { type Log, openLog } from '../../server/platform/log.ts'
import { freshDatabase } from '../database.ts'
import type { ScriptedChain } from '../scripted-chain.ts'
import type { Seen } from './model.ts'

export const network = networkOf('bitcoin')
/** At this price ten thousand satoshi are six dollars and some, and nothing comes to whole cents. */
export const PRICE = usd('62345.678901')
const QUOTE_SECONDS = 900

export type ForkHouse = Awaited<ReturnType<typeof openForkHouse>>

export async function openForkHouse() {
  const db = await freshDatabase()
  const alarms: string[] = []
  const log = openLog({ level: 'silent' })
  log.error = ((_: unknown, sentence: string) => alarms.push(sentence)) as unknown as Log['error']
  const owner = new pg.Client(db.url)
  await owner.connect()
  const ledger = createLedger({ database: db.database, log })
  const silence = async () => {}
  let given = 0
  await owner.query(
    `insert into crypto_keys (family, descriptor, active, created_at) values ('btc', 'wpkh(test)', true, house_now())`,
  )
  await owner.query(
    `insert into crypto_rates (asset, price, sources, samples, at) values ('BTC', $1, 3, '[]', house_now())`,
    [PRICE],
  )

  const creditsOver = (database: Database) =>
    createCredits({
      database,
      ledger,
      announce: { publish: () => {}, subscribe: () => () => {} },
      log,
      priceAt: async () => ({ price: PRICE }),
      letters: { credited: silence, reversed: silence, late: silence, gone: silence },
    })
  const credits = creditsOver(db.database)

  function follower(scripted: ScriptedChain, more: Partial<FollowerSettings> = {}) {
    return createFollower({
      database: db.database,
      chain: scripted.chain,
      network,
      assets: assets.filter((asset) => asset.chain === network.name),
      environment: 'test',
      announce: { publish: () => {} },
      log,
      decide: credits.decide,
      ...more,
    })
  }

  /** What the ledger says of payments on chains. */
  async function booked(): Promise<Seen['booked']> {
    const { rows } = await owner.query<{ credited: string; rounding: string }>(
      `select (select coalesce(sum(case kind when 'credit' then amount else -amount end), 0)
                 from transfers where contra = $1) as credited,
              (select coalesce(sum(case when debit = $2 then amount else -amount end), 0)
                 from house_entries where $2 in (debit, credit)) as rounding`,
      [platformAccounts.crypto_clearing, platformAccounts.rounding],
    )
    return { credited: BigInt(rows[0]!.credited), rounding: BigInt(rows[0]!.rounding) }
  }

  return {
    db,
    booked,
    owner,
    ledger,
    alarms,
    follower,
    creditsOver,

    /** An address of a customer who has a quote for ten thousand satoshi; its script. */
    async address(): Promise<string> {
      const index = given++
      const script = index.toString(16).padStart(44, '0')
      const topupId = newId()
      const accountId = BigInt(1000 + index)
      await ledger.open(db.database.pool, accountId)
      await owner.query(
        `insert into topups (id, account_id, amount, method, session_call, created_at, expires_at)
         values ($1, $2, 6230000, 'crypto', null, house_now(), house_now() + make_interval(secs => $3))`,
        [topupId, accountId, QUOTE_SECONDS],
      )
      await owner.query(
        `with address as (
           insert into crypto_addresses (key_id, index, family, script, address, account_id, topup_id, given_at)
           select id, $1::int, 'btc', decode($2, 'hex'), 'address ' || $1::text, $3, $4, house_now() from crypto_keys
           returning id
         )
         insert into crypto_quotes (topup_id, asset, chain, address_id, units, rate_id, price, confirmations_required)
         select $4, 'BTC', 'bitcoin', a.id, 10000, r.id, r.price, 3 from address a, crypto_rates r`,
        [index, script, accountId, topupId],
      )
      return script
    },

    async seen(): Promise<Seen> {
      const { rows: cursors } = await owner.query('select height, hash from chain_cursors')
      const { rows: blocks } = await owner.query('select height, hash from chain_blocks order by height')
      const { rows: payments } = await owner.query(
        `select ${PAYMENT_COLUMNS}, value, worth, credited_at is not null and reversed_at is null as is_credited,
                confirmations_required,
                (select json_agg(json_build_object('what', e.what, 'height', e.height) order by e.seq)
                   from crypto_payment_events e where e.payment_id = crypto_payments.id) as events
           from crypto_payments`,
      )
      const heightOf = (row: { height: string; hash: string }) => ({ height: Number(row.height), hash: row.hash })
      return {
        tip: heightOf(cursors[0]),
        blocks: blocks.map(heightOf),
        payments: payments.map((row) => ({
          ...(readPayment(row) satisfies Payment),
          events: row.events,
          value: moneyOf(row.value),
          worth: moneyOf(row.worth),
          isCredited: row.is_credited,
          confirmationsRequired: row.confirmations_required,
        })),
        booked: await booked(),
      }
    },

    async close(): Promise<void> {
      await owner.end()
      await ledger.close()
      await db.close()
    },
  }
}

function moneyOf(text: string | null): Usd | null {
  return text === null ? null : micros(text)
}
