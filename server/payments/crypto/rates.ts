/** What coins cost: asked of three exchanges, stored when enough of them agree, and told from what was stored. */
import type { CryptoAsset } from '../../../contract/contract.ts'
import { displayAmount, micros, printAmount, type Usd } from '../../../contract/money.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import { assetOf } from './assets.ts'
import { aggregate, type Known, mayCount, REUSED_SECONDS_MAX, type Sample, STABLE_MIN } from './price.ts'
import { type RateSource, type Source, sources } from './rate-sources.ts'

const TIMEOUT_MS = 5_000
/** Kraken says 600 bytes of a pair. */
const ANSWER_BYTES_MAX = 256 * 1024
/** Exchanges turn away programs that do not say who they are. */
const USER_AGENT = 'MobileSMS'
/** With a price as young as this, nobody is asked again: another process has just done so. Unit: seconds. */
const YOUNG_SECONDS = 15
/** A price that is younger than this is the present one; an older one is said to be the last that is known. Unit: seconds. */
const PRESENT_SECONDS = 90
/** From before its time: a payment is valued by a price that is this much older at most. Unit: seconds of house time. */
const BEFORE_SECONDS_MAX = 300
const KEPT_DAYS = 90
const FORGOTTEN_AT_ONCE_MAX = 5_000
const FORGET_EVERY_MS = 3_600_000

export type Rates = ReturnType<typeof createRates>
export type Price = { rateId: bigint; price: Usd }
export type PriceNow =
  /** `reused`: there is no present one, and this is the last that is known, 5 minutes old at most. */
  (Price & { ok: true; reused: boolean }) | { ok: false; refused: 'rate_unavailable'; detail: string }

export function createRates(dependencies: {
  database: Database
  clock: WireClock
  log: Pick<Log, 'warn' | 'info'>
  settings: {
    /** Those that are offered; nobody is asked about others. */
    assets: readonly CryptoAsset[]
    /** Where a sandbox has its sources; null: the real ones. */
    urls: Readonly<Record<RateSource, string>> | null
  }
}) {
  const { database, clock, log, settings } = dependencies
  /** Leapt, and waits for a second round. */
  const held = new Map<CryptoAsset, Usd>()
  /** What was last said of each coin in the log: only news is written there. */
  const said = new Map<CryptoAsset, string>()
  let forgotAt = Number.NEGATIVE_INFINITY

  /** One round: asks what is due, and stores each price that counts. Safe in several processes at once; a price more does no harm. */
  async function tick(signal: AbortSignal): Promise<void> {
    if (settings.assets.length === 0) return
    const due = await dueAssets()
    if (due.length === 0 || signal.aborted) return
    const samples = await fetchAll(due, signal)
    if (signal.aborted) return
    for (const asset of due) await decide(asset, samples.get(asset) ?? [])
    if (clock.now().getTime() - forgotAt > FORGET_EVERY_MS) {
      forgotAt = clock.now().getTime()
      await forget()
    }
  }

  /** Young by both clocks: after a leap of house time, what happens then needs a price from then. */
  async function dueAssets(): Promise<CryptoAsset[]> {
    const { rows } = await database.pool.query<{ asset: CryptoAsset }>(
      `select a.asset
         from unnest($1::text[]) a (asset)
        where not exists (select from crypto_rates r
                           where r.asset = a.asset
                             and r.at > house_now() - make_interval(secs => $3)
                             and r.fetched_at > $2::timestamptz - make_interval(secs => $3))`,
      [settings.assets, clock.now(), YOUNG_SECONDS],
    )
    return rows.map(({ asset }) => asset)
  }

  async function decide(asset: CryptoAsset, samples: readonly Sample[]): Promise<void> {
    const now = clock.now()
    const found = aggregate(samples, { stable: assetOf(asset).stable, now })
    if (found.price === null) return tell(asset, `no price of ${asset}: ${found.why}`)
    const last = await lastOf(asset)
    const known: Known | null = last && { price: last.price, fetchedAt: last.fetchedAt }
    if (!mayCount(found.price, now, known, held.get(asset) ?? null)) {
      held.set(asset, found.price)
      return tell(asset, `the price of ${asset} leapt, and waits for a second round`)
    }
    held.delete(asset)
    await database.pool.query(
      `insert into crypto_rates (asset, price, sources, samples, at, fetched_at) values ($1, $2, $3, $4, house_now(), $5)`,
      [asset, found.price, found.agreed, JSON.stringify(found.samples), now],
    )
    tell(asset, null)
  }

  function tell(asset: CryptoAsset, trouble: string | null): void {
    const before = said.get(asset)
    if (trouble === (before ?? null)) return
    if (trouble === null) {
      said.delete(asset)
      log.info({ asset }, 'There is a price again')
    } else {
      said.set(asset, trouble)
      log.warn({ asset, why: trouble }, 'A coin has no present price')
    }
  }

  async function lastOf(asset: CryptoAsset): Promise<(Price & { fetchedAt: Date }) | null> {
    const { rows } = await database.pool.query<{ id: string; price: string; fetched_at: Date }>(
      'select id, price, fetched_at from crypto_rates where asset = $1 order by at desc, id desc limit 1',
      [asset],
    )
    const row = rows[0]
    return row ? { rateId: BigInt(row.id), price: micros(row.price), fetchedAt: row.fetched_at } : null
  }

  /** For a new top-up. Refused: no price within 5 minutes, or a coin that is meant to be a dollar and is not. */
  async function priceNow(asset: CryptoAsset): Promise<PriceNow> {
    const refuse = (detail: string): PriceNow => ({ ok: false, refused: 'rate_unavailable', detail })
    const last = await lastOf(asset)
    const ageSeconds = last ? (clock.now().getTime() - last.fetchedAt.getTime()) / 1000 : Number.POSITIVE_INFINITY
    if (last === null || ageSeconds > REUSED_SECONDS_MAX)
      return refuse(`The exchanges that we ask do not agree on a present price of ${asset}, or do not answer.`)
    if (assetOf(asset).stable && last.price < STABLE_MIN)
      return refuse(
        `${asset} costs ${displayAmount(printAmount(last.price))} at the moment, and below ${displayAmount(printAmount(STABLE_MIN))} we do not take it as a dollar.`,
      )
    return { ok: true, rateId: last.rateId, price: last.price, reused: ageSeconds > PRESENT_SECONDS }
  }

  /** What nothing rests on is forgotten after 90 days. Bounded; the rest with the next one. */
  async function forget(): Promise<void> {
    await database.pool.query(
      `delete from crypto_rates
        where id in (select r.id from crypto_rates r
                      where r.at < house_now() - make_interval(days => $1)
                        and not exists (select from crypto_quotes q where q.rate_id = r.id)
                      limit $2)`,
      [KEPT_DAYS, FORGOTTEN_AT_ONCE_MAX],
    )
  }

  async function fetchAll(assets: readonly CryptoAsset[], signal: AbortSignal): Promise<Map<CryptoAsset, Sample[]>> {
    const found = new Map<CryptoAsset, Sample[]>(assets.map((asset) => [asset, []]))
    const rounds = await Promise.all(sources.map((source) => fetchOf(source, assets, signal)))
    for (const { asset, sample } of rounds.flat()) found.get(asset)!.push(sample)
    return found
  }

  type Found = { asset: CryptoAsset; sample: Sample }

  async function fetchOf(source: Source, assets: readonly CryptoAsset[], signal: AbortSignal): Promise<Found[]> {
    const asked = await Promise.all(source.requests(assets).map((request) => ask(source, request, signal)))
    const kept = asked.filter(
      ({ found, answered }) => !(source.splits && answered && found.length > 1 && isBarren(found)),
    )
    const alone = asked.filter((one) => !kept.includes(one)).flatMap(({ found }) => found.map(({ asset }) => asset))
    const again = await Promise.all(
      alone.flatMap((asset) => source.requests([asset])).map((request) => ask(source, request, signal)),
    )
    return [...kept, ...again].flatMap(({ found }) => found)
  }

  function isBarren(found: readonly Found[]): boolean {
    return found.every(({ sample }) => sample.tick === null)
  }

  /** Never throws: what went wrong is the sample. `answered`: with something that may be read. */
  async function ask(
    source: Source,
    request: { path: string; assets: CryptoAsset[] },
    signal: AbortSignal,
  ): Promise<{ answered: boolean; found: Found[] }> {
    const sampleOf = (asset: CryptoAsset, tick: Sample['tick'], why: string | null): Found => ({
      asset,
      sample: { source: source.name, tick, why, fetchedAt: clock.now() },
    })
    let answer: unknown
    try {
      answer = await fetchJson(`${settings.urls?.[source.name] ?? source.origin}${request.path}`, signal)
    } catch (error) {
      return { answered: false, found: request.assets.map((asset) => sampleOf(asset, null, reasonOf(error))) }
    }
    const { ticks, unread } = source.parse(answer, request.assets)
    const found = [
      ...ticks.map((tick) => sampleOf(tick.asset, tick, null)),
      ...unread.map(({ asset, why }) => sampleOf(asset, null, why)),
    ]
    return { answered: true, found }
  }

  return { tick, priceNow }
}

/**
 * The price by which something is valued that happened at `at` (house time): the last one before it that is 5 minutes old at most, else the
 * first one after it. Null: there is none yet; wait.
 */
export async function priceAt(db: Queryable, asset: CryptoAsset, at: Date): Promise<Price | null> {
  const { rows } = await db.query<{ id: string; price: string }>(
    `(select id, price, 1 as turn from crypto_rates
       where asset = $1 and at <= $2 and at >= $2::timestamptz - make_interval(secs => $3)
       order by at desc, id desc limit 1)
     union all
     (select id, price, 2 from crypto_rates where asset = $1 and at > $2 order by at, id limit 1)
      order by turn limit 1`,
    [asset, at, BEFORE_SECONDS_MAX],
  )
  const row = rows[0]
  return row ? { rateId: BigInt(row.id), price: micros(row.price) } : null
}

async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(url, {
    headers: { 'user-agent': USER_AGENT, accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  })
  if (response.status >= 400) {
    await response.body?.cancel()
    throw new Unusable(`HTTP ${response.status}`)
  }
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.byteLength
    if (bytes > ANSWER_BYTES_MAX) throw new Unusable(`an answer of more than ${ANSWER_BYTES_MAX} bytes`)
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    throw new Unusable('an answer that is not JSON')
  }
}

class Unusable extends Error {}

function reasonOf(error: unknown): string {
  if (error instanceof Unusable) return error.message
  const { name, cause } = error as { name?: string; cause?: { code?: string } }
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} seconds`
  return `not reached${cause?.code ? ` (${cause.code})` : ''}`
}
