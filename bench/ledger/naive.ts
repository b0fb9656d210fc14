/**
 * Plain code, written with care: one transaction per request over a pool of connections, the same tables, indexes and durability. An
 * account is locked and judged by one UPDATE with its condition, statements are prepared, and a request is four round trips.
 * `platformRows`: it also keeps a balance of the platform's account in a row, as most ledgers do.
 */
import pg from 'pg'
import { causes, platformAccounts } from '../../server/ledger/chart.ts'
import { derivedId } from '../../server/platform/ids.ts'
import { AMOUNT, PRICE, type Teller } from './callers.ts'

const CONNECTIONS = 32

export const naiveTable = `
  create table if not exists naive_platform (platform smallint primary key, debits bigint not null, credits bigint not null);
  insert into naive_platform select n, 0, 0 from generate_series(1, 10) n on conflict do nothing`

const row = `
  insert into transfers (id, account_id, number, kind, code, contra, amount, hold_id, reference,
                         available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, now(), now())`

export function openNaive(url: string, platformRows: boolean) {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    options: '-c synchronous_commit=on -c plan_cache_mode=force_generic_plan -c jit=off',
  })
  pool.on('error', () => {})

  type After = { transfer_count: string; available: string; held: string }
  const counters = 'transfer_count, credits - debits - held - frozen as available, held'

  async function once(
    work: (client: pg.PoolClient) => Promise<boolean>,
    platform: { account: number; debit: bigint; credit: bigint } | null,
  ): Promise<boolean> {
    const client = await pool.connect()
    try {
      await client.query('begin')
      const done = await work(client)
      // Last, so that the hot row is locked as shortly as can be.
      if (done && platformRows && platform)
        await client.query({
          name: 'platform',
          text: 'update naive_platform set debits = debits + $2, credits = credits + $3 where platform = $1',
          values: [platform.account, platform.debit, platform.credit],
        })
      await client.query(done ? 'commit' : 'rollback')
      client.release()
      return done
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  type Movement = {
    id: string
    account: bigint
    kind: string
    code: number
    contra: number
    amount: bigint
    hold: string | null
    reference: string
  }
  /** Changes the account where its condition holds, and writes the row. Answers whether it was so. */
  async function move(
    client: pg.PoolClient,
    change: { name: string; text: string; values: unknown[] },
    moved: Movement,
    insert = { name: 'row', text: row },
  ): Promise<boolean> {
    const { rows } = await client.query<After>(change)
    const after = rows[0]
    if (!after) return false
    const { id, account, kind, code, contra, amount, hold, reference } = moved
    const { transfer_count: number, available, held } = after
    const values = [id, account, number, kind, code, contra, amount, hold, reference, available, held]
    await client.query({ ...insert, values })
    return true
  }

  const { card_clearing, revenue } = platformAccounts
  const teller: Teller = {
    topUp: (id, account, reference) =>
      once(
        (client) =>
          move(
            client,
            {
              name: 'credit',
              text: `update ledger_accounts set credits = credits + $2, transfer_count = transfer_count + 1 where id = $1 returning ${counters}`,
              values: [account, AMOUNT],
            },
            {
              id,
              account,
              kind: 'credit',
              code: causes.topup_card,
              contra: card_clearing,
              amount: AMOUNT,
              hold: null,
              reference,
            },
          ),
        { account: card_clearing, debit: AMOUNT, credit: 0n },
      ),
    hold: (id, account, order) =>
      once(
        (client) =>
          move(
            client,
            {
              name: 'hold',
              text: `update ledger_accounts set held = held + $2, transfer_count = transfer_count + 1
                      where id = $1 and not suspended and credits - debits - held - frozen >= $2 returning ${counters}`,
              values: [account, PRICE],
            },
            {
              id,
              account,
              kind: 'hold',
              code: causes.order,
              contra: revenue,
              amount: PRICE,
              hold: null,
              reference: order,
            },
            {
              name: 'hold_row',
              text: `with open as (insert into open_holds (hold_id, account_id, kind, code, amount, expires_at, on_expiry)
                       values ($1, $2, $4, $5, $7, now() + interval '20 minutes', 'void')) ${row}`,
            },
          ),
        null,
      ),
    capture: (hold, account, order) => resolve(hold, account, order, 'capture', causes.order, PRICE),
    void: (hold, account, order) => resolve(hold, account, order, 'void', causes.order_cancelled, 0n),
  }

  function resolve(
    hold: string,
    account: bigint,
    order: string,
    kind: 'capture' | 'void',
    code: number,
    taken: bigint,
  ) {
    return once(
      (client) =>
        move(
          client,
          {
            name: 'resolve',
            text: `with ended as (delete from open_holds where hold_id = $2 and account_id = $1 returning amount)
                   update ledger_accounts set held = held - amount, debits = debits + $3, transfer_count = transfer_count + 1
                     from ended where id = $1 returning ${counters}`,
            values: [account, hold, taken],
          },
          { id: derivedId(hold, kind), account, kind, code, contra: revenue, amount: PRICE, hold, reference: order },
        ),
      taken > 0n ? { account: revenue, debit: 0n, credit: taken } : null,
    )
  }

  return { teller, close: () => pool.end() }
}
