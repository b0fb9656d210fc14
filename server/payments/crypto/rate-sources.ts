/**
 * What coins cost, as three exchanges say it: where each is asked, and how its answer is read. Pure: JSON in, ticks out. Prices are read
 * from their decimal strings, never through a floating number.
 */
import type { CryptoAsset } from '../../../contract/contract.ts'

/** In the order of RATE_URLS. */
export const RATE_SOURCES = ['kraken', 'coinbase', 'bitstamp'] as const
export type RateSource = (typeof RATE_SOURCES)[number]

/** 10^12 to a dollar, so that the middle of bid and ask is exact. */
export type FinePrice = bigint
export const FINE_PER_MICRO = 1_000_000n
const FINE_DECIMALS = 12

/** What one source said of one coin. */
export type Tick = {
  asset: CryptoAsset
  bid: FinePrice
  ask: FinePrice
  /** By the source's own clock; null: it does not say. */
  sourceTime: Date | null
}

/** What cannot be used, in a few words. */
export type Unread = { asset: CryptoAsset; why: string }

type Read = { ticks: Tick[]; unread: Unread[] }

export type Source = {
  name: RateSource
  /** The host of the real one; a sandbox has a prefix of its own. */
  origin: string
  /** What is not listed here, it does not trade against dollars. */
  pairs: Readonly<Partial<Record<CryptoAsset, string>>>
  /** The requests for these coins: each a path, and the coins that its answer tells of. */
  requests: (assets: readonly CryptoAsset[]) => { path: string; assets: CryptoAsset[] }[]
  /** True: an answer that was refused as a whole is asked for again coin by coin; one delisted pair must not cost the others. */
  splits: boolean
  /** Never throws: what is not in the expected shape is told, not guessed. */
  parse: (answer: unknown, assets: readonly CryptoAsset[]) => Read
}

/** The names under which Kraken answers, which are not those by which it is asked. Source: its Ticker and AssetPairs. */
const krakenResults: Readonly<Partial<Record<CryptoAsset, string>>> = {
  BTC: 'XXBTZUSD',
  LTC: 'XLTCZUSD',
  ETH: 'XETHZUSD',
  USDT: 'USDTZUSD',
  USDC: 'USDCUSD',
}

const kraken: Source = {
  name: 'kraken',
  origin: 'https://api.kraken.com',
  pairs: { BTC: 'XBTUSD', LTC: 'LTCUSD', ETH: 'ETHUSD', USDT: 'USDTUSD', USDC: 'USDCUSD' },
  requests: (assets) => {
    const wanted = traded(kraken, assets)
    const path = `/0/public/Ticker?pair=${wanted.map((asset) => kraken.pairs[asset]).join(',')}`
    return wanted.length === 0 ? [] : [{ path, assets: wanted }]
  },
  splits: true,
  parse: (answer, assets) => {
    const { error, result } = membersOf(answer)
    if (!Array.isArray(error)) return none(assets, 'no list of errors in the answer')
    if (error.length > 0) return none(assets, `error: ${short(error.join(', '))}`)
    const results = membersOf(result)
    return each(assets, (asset) => {
      const { a, b } = membersOf(results[krakenResults[asset] ?? ''])
      if (!Array.isArray(a) || !Array.isArray(b)) return 'no such pair in the answer'
      return tickOf(asset, b[0], a[0], null)
    })
  },
}

const coinbase: Source = {
  name: 'coinbase',
  origin: 'https://api.exchange.coinbase.com',
  // It trades USDC as if it were the dollar, so it has no price for it.
  pairs: { BTC: 'BTC-USD', LTC: 'LTC-USD', ETH: 'ETH-USD', USDT: 'USDT-USD' },
  requests: (assets) =>
    traded(coinbase, assets).map((asset) => ({ path: `/products/${coinbase.pairs[asset]}/ticker`, assets: [asset] })),
  splits: false,
  parse: (answer, assets) =>
    each(assets, (asset) => {
      const { bid, ask, time, message } = membersOf(answer)
      if (typeof message === 'string') return `error: ${short(message)}`
      const sourceTime = timeOf(time)
      return sourceTime === null ? 'no time in the answer' : tickOf(asset, bid, ask, sourceTime)
    }),
}

const bitstamp: Source = {
  name: 'bitstamp',
  origin: 'https://www.bitstamp.net',
  pairs: { BTC: 'btcusd', LTC: 'ltcusd', ETH: 'ethusd', USDT: 'usdtusd', USDC: 'usdcusd' },
  requests: (assets) =>
    traded(bitstamp, assets).map((asset) => ({ path: `/api/v2/ticker/${bitstamp.pairs[asset]}/`, assets: [asset] })),
  splits: false,
  parse: (answer, assets) =>
    each(assets, (asset) => {
      const { bid, ask, timestamp, pair } = membersOf(answer)
      // It says since a while which pair it tells of, as `BTC/USD`.
      if (typeof pair === 'string' && pair.replace(/[^a-z]/gi, '').toLowerCase() !== bitstamp.pairs[asset])
        return `another pair than asked for: ${short(pair)}`
      if (typeof timestamp !== 'string' || !/^\d{9,11}$/.test(timestamp)) return 'no time in the answer'
      return tickOf(asset, bid, ask, new Date(Number(timestamp) * 1000))
    }),
}

export const sources: readonly Source[] = [kraken, coinbase, bitstamp]

function traded(source: Source, assets: readonly CryptoAsset[]): CryptoAsset[] {
  return assets.filter((asset) => source.pairs[asset] !== undefined)
}

function each(assets: readonly CryptoAsset[], read: (asset: CryptoAsset) => Tick | string): Read {
  const found: Read = { ticks: [], unread: [] }
  for (const asset of assets) {
    const tick = read(asset)
    if (typeof tick === 'string') found.unread.push({ asset, why: tick })
    else found.ticks.push(tick)
  }
  return found
}

function none(assets: readonly CryptoAsset[], why: string): Read {
  return { ticks: [], unread: assets.map((asset) => ({ asset, why })) }
}

function tickOf(asset: CryptoAsset, bid: unknown, ask: unknown, sourceTime: Date | null): Tick | string {
  const [low, high] = [readPrice(bid), readPrice(ask)]
  if (low === null || high === null) return 'a price that is no decimal number'
  return { asset, bid: low, ask: high, sourceTime }
}

/** A decimal string, at most twelve digits on each side counted. Null: anything else, a JSON number included: it may have been rounded. */
export function readPrice(text: unknown): FinePrice | null {
  if (typeof text !== 'string') return null
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,30}))?$/.exec(text)
  if (!match) return null
  const value = BigInt(match[2]! + (match[3] ?? '').slice(0, FINE_DECIMALS).padEnd(FINE_DECIMALS, '0'))
  return match[1] ? -value : value
}

/** RFC 3339 with as many decimals as somebody likes. */
function timeOf(text: unknown): Date | null {
  if (typeof text !== 'string') return null
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,3})?\d*(Z|[+-]\d\d:\d\d)$/.exec(text)
  const time = match ? new Date(`${match[1]}${match[2] ?? ''}${match[3]}`) : null
  return time === null || Number.isNaN(time.getTime()) ? null : time
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
