/** One price out of what several sources said; nothing stale or absurd has a part in it. Pure. */
import { micros, type Usd } from '../../../contract/money.ts'
import { FINE_PER_MICRO, type FinePrice, type Tick } from './rate-sources.ts'

// Source of the numbers: crypto.md, 3.1.
const SPREAD_PERCENT_MAX = 2n
const OWN_TIME_SECONDS_MAX = 120
/** Clocks differ; what is further ahead is wrong. Unit: seconds. */
const AHEAD_SECONDS_MAX = 5
const FETCHED_SECONDS_MAX = 90
const SOURCES_MIN = 2
const PAIR_PERMILLE_MAX = 10n
const OUTLIER_PERMILLE_MAX = 15n
const OUTLIER_OF_STABLE_PERMILLE_MAX = 5n
const JUMP_PERCENT_MAX = 10n
const JUMP_SECONDS = 60
/** The last price that was accepted is used for so long when there is no newer one. Unit: seconds. */
export const REUSED_SECONDS_MAX = 300
/** Nobody is asked to pay more for a coin that is meant to be a dollar, and below this no top-up is begun with it. */
const DOLLAR = micros(1_000_000n)
export const STABLE_MIN = micros(970_000n)

export type Sample = {
  source: string
  /** Null: nothing that can be read came; `why` says what. */
  tick: Tick | null
  why: string | null
  fetchedAt: Date
}

/** A sample as it is stored with the price: what was said, and whether it was believed. */
export type Judged = {
  source: string
  bid: string | null
  ask: string | null
  source_time: string | null
  fetched_at: string
  believed: boolean
  why: string | null
}

export type Aggregate = { price: Usd | null; agreed: number; samples: Judged[]; why: string | null }

/** What the samples of one coin come to. `price` null: too few, or they do not agree; `why` says so. */
export function aggregate(samples: readonly Sample[], options: { stable: boolean; now: Date }): Aggregate {
  const { stable, now } = options
  const judged = samples.map((sample) => ({ sample, why: sample.tick === null ? sample.why : whyNot(sample, now) }))
  const valid = judged.filter(({ why }) => why === null)
  const middles = valid.map(({ sample }) => middleOf(sample.tick!))
  let why: string | null = null
  let used = valid
  if (valid.length < SOURCES_MIN) why = `${valid.length} of ${samples.length} sources can be believed`
  else if (valid.length === 2 && differs(middles[0]!, middles[1]!, PAIR_PERMILLE_MAX))
    why = 'the two sources that can be believed differ by more than 1 %'
  else if (valid.length > 2) {
    const middle = medianOf(middles)
    const limit = stable ? OUTLIER_OF_STABLE_PERMILLE_MAX : OUTLIER_PERMILLE_MAX
    used = valid.filter(({ sample }) => !differs(middle, middleOf(sample.tick!), limit))
    for (const one of valid) if (!used.includes(one)) one.why = 'too far from the others'
    if (used.length < SOURCES_MIN) why = 'the sources differ too much'
  }
  const price = why === null ? priceOf(medianOf(used.map(({ sample }) => middleOf(sample.tick!))), stable) : null
  if (why === null && price === null) why = 'the price is too small to be counted'
  return {
    price,
    agreed: price === null ? 0 : used.length,
    samples: judged.map(({ sample, why: doubt }) => ({
      source: sample.source,
      bid: sample.tick && printFine(sample.tick.bid),
      ask: sample.tick && printFine(sample.tick.ask),
      source_time: sample.tick?.sourceTime?.toISOString() ?? null,
      fetched_at: sample.fetchedAt.toISOString(),
      believed: doubt === null,
      why: doubt,
    })),
    why,
  }
}

/** Why one source is not believed; null: nothing speaks against it. */
function whyNot({ tick, fetchedAt }: Sample, now: Date): string | null {
  const { bid, ask, sourceTime } = tick!
  if (bid <= 0n || ask <= 0n) return 'a price that is not above zero'
  if (bid > ask) return 'bids above asks'
  if ((ask - bid) * 100n > SPREAD_PERCENT_MAX * bid) return 'bid and ask are too far apart'
  const age = (time: Date) => (now.getTime() - time.getTime()) / 1000
  if (age(fetchedAt) > FETCHED_SECONDS_MAX) return 'fetched too long ago'
  if (sourceTime === null) return null
  if (age(sourceTime) > OWN_TIME_SECONDS_MAX) return 'too old by its own clock'
  if (age(sourceTime) < -AHEAD_SECONDS_MAX) return 'from the future by its own clock'
  return null
}

/** The price that was accepted last, and one that waits to be confirmed. */
export type Known = { price: Usd; fetchedAt: Date }

/**
 * Whether a new price counts at once. One that leaps by more than 10 % within 60 seconds is held until a second round says the same
 * (within 10 %), or until the last one is too old to be used anyway.
 */
export function mayCount(price: Usd, now: Date, last: Known | null, held: Usd | null): boolean {
  if (last === null) return true
  const ageSeconds = (now.getTime() - last.fetchedAt.getTime()) / 1000
  if (ageSeconds > REUSED_SECONDS_MAX || !leaps(last.price, price)) return true
  if (held !== null) return !leaps(held, price)
  return ageSeconds > JUMP_SECONDS
}

function leaps(from: Usd, to: Usd): boolean {
  const by = from > to ? from - to : to - from
  return by * 100n > from * JUMP_PERCENT_MAX
}

function differs(from: FinePrice, to: FinePrice, permille: bigint): boolean {
  const by = from > to ? from - to : to - from
  const least = from < to ? from : to
  return by * 1000n > least * permille
}

function middleOf({ bid, ask }: Tick): FinePrice {
  return (bid + ask) / 2n
}

function medianOf(prices: readonly FinePrice[]): FinePrice {
  const sorted = [...prices].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2n
}

/** To the nearest micro-dollar. Null: nothing is left of it. */
function priceOf(fine: FinePrice, stable: boolean): Usd | null {
  const price = micros((fine + FINE_PER_MICRO / 2n) / FINE_PER_MICRO)
  if (price <= 0n) return null
  return stable && price > DOLLAR ? DOLLAR : price
}

function printFine(price: FinePrice): string {
  const digits = (price < 0n ? -price : price).toString().padStart(13, '0')
  return `${price < 0n ? '-' : ''}${digits.slice(0, -12)}.${digits.slice(-12).replace(/0+$/, '') || '0'}`
}
