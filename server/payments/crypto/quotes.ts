/**
 * The start of a top-up by crypto: how much of which coin to send, to which address, at a rate that is held for 15 minutes. The address is
 * watched for ever, and what arrives there is credited whenever it does.
 */
import type pg from 'pg'
import type { CryptoAsset } from '../../../contract/contract.ts'
import type { Usd } from '../../../contract/money.ts'
import { Refusal, type Refused } from '../../platform/answer.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { newId } from '../../platform/ids.ts'
import { type Asset, assetsOn, type ChainName, networkOf, printUnits } from './assets.ts'
import type { ChainState } from './health.ts'
import type { Keys } from './keys.ts'
import type { Price, Rates } from './rates.ts'

/** How long the rate is held. Unit: seconds of house time. Source: what the field does (crypto.md, 1.1). */
export const QUOTE_SECONDS = 15 * 60
/** Quotes of one customer whose rate is held and for which nothing has been seen. Each takes an address for ever. */
const OPEN_QUOTES_MAX = 10
/** A key for a lock that lasts one transaction: one customer's quotes are counted one at a time. */
const LOCK_OF_ACCOUNT = 7_203_031

export type Quoted = { ok: true; topupId: string } | { ok: false; refused: Refused }
/** Whether a chain can be trusted with new payments; `detail` is for people. */
export type SaysOfChain = (db: Queryable, chain: ChainName) => Promise<Pick<ChainState, 'state' | 'detail'>>
type ChainSays = Awaited<ReturnType<SaysOfChain>>

export type Quotes = ReturnType<typeof createQuotes>

export function createQuotes(dependencies: {
  database: Database
  clock: WireClock
  keys: Keys
  rates: Pick<Rates, 'priceNow'>
  chainState: SaysOfChain
  /** The networks that have nodes and a key. */
  networks: readonly ChainName[]
  isSuspended: (db: Queryable, accountId: bigint) => Promise<boolean>
}) {
  const { database, clock, keys, rates, chainState } = dependencies
  const offered = assetsOn(dependencies.networks)

  /**
   * Promises a rate for `amount`, which is within the house's limits. With an idempotency key, a repetition answers with the same top-up,
   * whatever became of it; a key binds to the first success.
   */
  async function start(request: {
    accountId: bigint
    asset: Asset
    amount: Usd
    idempotencyKey: string | null
  }): Promise<Quoted> {
    const { accountId, asset, amount, idempotencyKey } = request
    const fingerprint = `topup crypto ${asset.code} ${amount}`
    // Whoever repeats what was promised is answered, whatever the chain and the exchanges are doing meanwhile.
    if (idempotencyKey !== null) {
      const known = await subjectOf(database.pool, accountId, idempotencyKey)
      if (known) return known.fingerprint === fingerprint ? { ok: true, topupId: known.subject } : reused()
    }
    if (await dependencies.isSuspended(database.pool, accountId)) return refuse(suspended())
    const chain = await chainState(database.pool, asset.chain)
    if (chain.state !== 'works') return refuse(sick(asset, chain))
    const now = await rates.priceNow(asset.code)
    if (!now.ok) return refuse(noRate(asset, now.detail))
    try {
      return await database.transaction((tx) =>
        promise(tx, { accountId, asset, amount, price: now, idempotencyKey, fingerprint }),
      )
    } catch (error) {
      // Thrown, so that the key is not bound either.
      if (error instanceof Refusal) return refuse(error.refused)
      throw error
    }
  }

  /** All of it in one transaction: the key, the top-up, the address and the promise are there together, or none of them is. */
  async function promise(
    tx: pg.PoolClient,
    what: {
      accountId: bigint
      asset: Asset
      amount: Usd
      price: Price
      idempotencyKey: string | null
      fingerprint: string
    },
  ): Promise<Quoted> {
    const { accountId, asset, amount, price, idempotencyKey, fingerprint } = what
    const topupId = newId(clock.now())
    if (idempotencyKey !== null) {
      const { rowCount } = await tx.query(
        'insert into idempotency_keys (account_id, key, fingerprint, subject) values ($1, $2, $3, $4) on conflict do nothing',
        [accountId, idempotencyKey, fingerprint, topupId],
      )
      if (rowCount === 0) {
        const known = (await subjectOf(tx, accountId, idempotencyKey))!
        return known.fingerprint === fingerprint ? { ok: true, topupId: known.subject } : reused()
      }
    }
    await tx.query('select pg_advisory_xact_lock($1, hashint8($2))', [LOCK_OF_ACCOUNT, accountId])
    const { rows } = await tx.query<{ open: number }>(
      `select count(*)::int as open from topups
        where account_id = $1 and method = 'crypto' and status = 'awaiting_payment' and expires_at > house_now()`,
      [accountId],
    )
    if (rows[0]!.open >= OPEN_QUOTES_MAX) throw new Refusal(tooMany(rows[0]!.open))
    await tx.query(
      `insert into topups (id, account_id, method, amount, created_at, expires_at)
       values ($1, $2, 'crypto', $3, house_now(), house_now() + make_interval(secs => $4))`,
      [topupId, accountId, amount, QUOTE_SECONDS],
    )
    const given = await keys.give(tx, { family: networkOf(asset.chain).family, accountId, topupId })
    if (!given) throw new Refusal(withoutKey(asset))
    await tx.query(
      `insert into crypto_quotes (topup_id, asset, chain, address_id, units, rate_id, price, confirmations_required)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        topupId,
        asset.code,
        asset.chain,
        given.addressId,
        unitsFor(amount, price.price, asset),
        price.rateId,
        price.price,
        asset.confirmations,
      ],
    )
    return { ok: true, topupId }
  }

  return {
    start,
    /** What can be paid with at all; whether it can at this moment, `start` says. */
    offered: offered as readonly Asset[],
    /** The coin that a request names. Refused: none, or one that is not taken here. */
    readAsset: (asset: unknown) => readAsset(asset, offered),
  }
}

/**
 * How much to send, in the smallest unit: what the amount costs, rounded up to the digits that we ask for, so that whoever sends exactly
 * this is credited with all of it. `price`: of one whole coin.
 */
export function unitsFor(amount: Usd, price: Usd, asset: Pick<Asset, 'decimals' | 'quoteDecimals'>): bigint {
  const asked = (amount * 10n ** BigInt(asset.quoteDecimals) + price - 1n) / price
  return asked * 10n ** BigInt(asset.decimals - asset.quoteDecimals)
}

/**
 * What wallets read from the picture. Bitcoin and Litecoin: address and amount (BIP-21). Ethereum and its tokens: the address alone, because
 * wallets differ in what they make of anything more, and have sent tokens to the token's contract.
 */
export function uriOf(asset: Asset, address: string, units: bigint): string {
  const network = networkOf(asset.chain)
  return network.kind === 'utxo' ? `${network.name}:${address}?amount=${printUnits(units, asset.decimals)}` : address
}

async function subjectOf(
  db: Queryable,
  accountId: bigint,
  key: string,
): Promise<{ fingerprint: string; subject: string } | null> {
  const { rows } = await db.query<{ fingerprint: string; subject: string }>(
    'select fingerprint, subject from idempotency_keys where account_id = $1 and key = $2',
    [accountId, key],
  )
  return rows[0] ?? null
}

function readAsset(
  sent: unknown,
  offered: readonly Asset[],
): { ok: true; asset: Asset } | { ok: false; refused: Refused } {
  const codes: readonly CryptoAsset[] = offered.map((asset) => asset.code)
  const field = 'asset'
  if (codes.length === 0)
    return refuse({
      code: 'unknown_asset',
      detail: 'No coin is taken here. Pay by card ("method" is "card"); nothing was begun.',
      field,
    })
  const next = `"asset" is one of ${codes.join(', ')} (GET /api/v1/crypto says how each is doing). Nothing was begun.`
  if (typeof sent !== 'string')
    return refuse({ code: 'invalid_request', detail: `Say which coin you will send, in quotes: ${next}`, field })
  const asset = offered.find((one) => one.code === sent)
  if (asset) return { ok: true, asset }
  const shown = /^[\w.-]{1,16}$/.test(sent) ? `The coin "${sent}" is not taken here` : 'This coin is not taken here'
  return refuse({ code: 'unknown_asset', detail: `${shown}: ${next}`, field })
}

function refuse(refused: Refused): { ok: false; refused: Refused } {
  return { ok: false, refused }
}

function reused() {
  return refuse({
    code: 'idempotency_key_reused',
    detail: 'This Idempotency-Key belongs to another request. Send a new key for a new top-up; nothing was begun.',
    field: 'Idempotency-Key',
  })
}

function suspended(): Refused {
  return {
    code: 'account_suspended',
    detail:
      'This account is suspended, so no top-up can be begun. Your balance is kept; our support says why, and what to do.',
  }
}

function sick(asset: Asset, chain: ChainSays): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `${asset.code} cannot be taken at the moment. ${chain.detail} What was sent before is credited when the network is read again. Choose another coin or a card, or try again in a few minutes; nothing was begun.`,
    field: 'asset',
    retryAfterSeconds: 60,
  }
}

function noRate(asset: Asset, detail: string): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `There is no rate for ${asset.code} at the moment. ${detail} Top-ups that were begun keep their rate. Choose another coin or a card, or try again in a minute; nothing was begun.`,
    field: 'asset',
    retryAfterSeconds: 30,
  }
}

function withoutKey(asset: Asset): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `${asset.code} cannot be taken at the moment: our addresses for it are being changed. Choose another coin or a card, or try again in a minute; nothing was begun.`,
    field: 'asset',
  }
}

function tooMany(open: number): Refused {
  return {
    code: 'too_many_open_topups',
    detail: `You have ${open} open top-ups by crypto, and may have ${OPEN_QUOTES_MAX}. Pay one of them, or wait until its 15 minutes are over; nothing was begun.`,
    extra: { open, max_open: OPEN_QUOTES_MAX },
  }
}
