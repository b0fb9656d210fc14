/**
 * What coins cost in the world outside: Kraken, Coinbase Exchange and Bitstamp, each in its own shape, and the controls that make them
 * fail as the real ones do. `POST /rates/price {asset, price}` moves the market; `POST /rates/source {source, does}` spoils a source.
 */
import { Hono } from 'hono'
import type { Clock } from '../clock.ts'
import { type Bindings, NO_ANSWER, problem, readAsked } from '../web.ts'

const SOURCES = ['kraken', 'coinbase', 'bitstamp'] as const
type Source = (typeof SOURCES)[number]

/**
 * `ok`; `down`: it cuts the connection; `error`: HTTP 503; `html`: a page instead of an answer, with 200; `stale`: its own clock stands an
 * hour back (Kraken says no time: there it is an error); `absurd`: a negative price; `outlier`: a fifth above the others; `unlisted`: it
 * does not know Litecoin any more; `renamed`: the pair has another name.
 */
const DOES = ['ok', 'down', 'error', 'html', 'stale', 'absurd', 'outlier', 'unlisted', 'renamed'] as const
type Does = (typeof DOES)[number]

const CODES = ['BTC', 'LTC', 'ETH', 'USDT', 'USDC'] as const
type Code = (typeof CODES)[number]

/** In units of 10^-6 dollars, where the market begins. */
const BEGINS: Readonly<Record<Code, bigint>> = {
  BTC: 64_000_000_000n,
  LTC: 80_000_000n,
  ETH: 3_200_000_000n,
  USDT: 1_000_100n,
  USDC: 999_900n,
}
/** No two exchanges say quite the same. Unit: millionths of the price. */
const APART: Readonly<Record<Source, bigint>> = { kraken: 0n, coinbase: 300n, bitstamp: -300n }
const HALF_SPREAD_MILLIONTHS = 100n
const AN_HOUR_MS = 3_600_000

const krakenPairs: Readonly<Record<Code, readonly [asked: string, answered: string]>> = {
  BTC: ['XBTUSD', 'XXBTZUSD'],
  LTC: ['LTCUSD', 'XLTCZUSD'],
  ETH: ['ETHUSD', 'XETHZUSD'],
  USDT: ['USDTUSD', 'USDTZUSD'],
  USDC: ['USDCUSD', 'USDCUSD'],
}

export type RatesOfTheWorld = { routes: Hono<Bindings> }

export function openRates(world: { clock: Clock; note: (sentence: string) => void }): RatesOfTheWorld {
  const { clock, note } = world
  const market = new Map<Code, bigint>(CODES.map((code) => [code, BEGINS[code]]))
  const does = new Map<Source, Does>(SOURCES.map((source) => [source, 'ok']))
  const routes = new Hono<Bindings>()

  for (const source of SOURCES) {
    routes.use(`/${source}/*`, async (c, next) => {
      switch (does.get(source)) {
        case 'down':
          c.env.outgoing.socket?.destroy()
          return NO_ANSWER
        case 'error':
          return c.json({ error: 'service unavailable' }, 503)
        case 'html':
          return c.html('<!doctype html><title>Just a moment…</title>')
        default:
          return next()
      }
    })
  }

  routes.get('/kraken/0/public/Ticker', (c) => {
    const state = does.get('kraken')
    const failed = (error: string) => c.json({ error: [error] })
    if (state === 'stale') return failed('EService:Unavailable')
    const asked = (c.req.query('pair') ?? '').split(',')
    const codes = asked.map((pair) => CODES.find((code) => krakenPairs[code].includes(pair)))
    if (codes.includes(undefined) || (state === 'unlisted' && codes.includes('LTC')))
      return failed('EQuery:Unknown asset pair')
    const result = Object.fromEntries(
      codes.map((code) => {
        const { bid, ask, last } = quote('kraken', code!)
        const name = krakenPairs[code!][1]
        return [
          state === 'renamed' ? `${name}.d` : name,
          {
            a: [print(ask, 5), '8', '8.000'],
            b: [print(bid, 5), '2', '2.000'],
            c: [print(last, 5), '0.01686188'],
            v: ['1205.38', '3011.90'],
            p: [print(last, 5), print(last, 5)],
            t: [11208, 25014],
            l: [print(bid, 5), print(bid, 5)],
            h: [print(ask, 5), print(ask, 5)],
            o: print(last, 5),
          },
        ]
      }),
    )
    return c.json({ error: [], result })
  })

  routes.get('/coinbase/products/:product/ticker', (c) => {
    const state = does.get('coinbase')
    const code = CODES.find((one) => `${one}-USD` === c.req.param('product'))
    // As the real one: USDC is the dollar there.
    if (!code || code === 'USDC' || (code === 'LTC' && state === 'unlisted') || state === 'renamed')
      return c.json({ message: 'NotFound' }, 404)
    const { bid, ask, last } = quote('coinbase', code)
    return c.json({
      ask: print(ask, 2, code),
      bid: print(bid, 2, code),
      volume: '4916.95',
      trade_id: 1040406588,
      price: print(last, 2, code),
      size: '0.0078',
      // In nanoseconds, as it does.
      time: new Date(timeOf(state)).toISOString().replace('Z', '274911Z'),
      rfq_volume: '31.6',
    })
  })

  routes.get('/bitstamp/api/v2/ticker/:pair/', (c) => {
    const state = does.get('bitstamp')
    const code = CODES.find((one) => `${one.toLowerCase()}usd` === c.req.param('pair'))
    if (!code || (code === 'LTC' && state === 'unlisted')) return c.json({ code: 'market.not_found' }, 404)
    const { bid, ask, last } = quote('bitstamp', code)
    return c.json({
      timestamp: String(Math.floor(timeOf(state) / 1000)),
      open: print(last, 2, code),
      high: print(ask, 2, code),
      low: print(bid, 2, code),
      last: print(last, 2, code),
      volume: '108.7',
      vwap: print(last, 2, code),
      bid: print(bid, 2, code),
      ask: print(ask, 2, code),
      side: '1',
      open_24: print(last, 2, code),
      percent_change_24: '-0.56',
      market_type: 'SPOT',
      pair: state === 'renamed' ? 'XXX/USD' : `${code}/USD`,
      market: `${code}/USD`,
    })
  })

  routes.get('/', (c) => c.json(view()))

  routes.post('/price', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const code = CODES.find((one) => one === asked['asset'])
    if (!code) return problem(c, 400, 'invalid_request', `Name a coin: ${CODES.join(', ')}.`, 'asset')
    const price = typeof asked['price'] === 'string' ? /^(\d{1,9})(?:\.(\d{1,6}))?$/.exec(asked['price']) : null
    const micros = price ? BigInt(price[1]! + (price[2] ?? '').padEnd(6, '0')) : 0n
    if (micros === 0n) return problem(c, 400, 'invalid_request', 'Say a price in dollars, such as "64000.00".', 'price')
    market.set(code, micros)
    note(`One ${code} costs $${asked['price']} on every exchange now.`)
    return c.json(view())
  })

  routes.post('/source', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const source = SOURCES.find((one) => one === asked['source'])
    if (!source) return problem(c, 400, 'invalid_request', `Name a source: ${SOURCES.join(', ')}.`, 'source')
    const now = DOES.find((one) => one === asked['does'])
    if (!now) return problem(c, 400, 'invalid_request', `Say what it does: ${DOES.join(', ')}.`, 'does')
    does.set(source, now)
    note(`The price source ${source} does this from now on: ${now}.`)
    return c.json(view())
  })

  function view() {
    return {
      prices: Object.fromEntries(CODES.map((code) => [code, print(market.get(code)!, 6)])),
      sources: Object.fromEntries(does),
    }
  }

  function quote(source: Source, code: Code): { bid: bigint; ask: bigint; last: bigint } {
    const state = does.get(source)
    const middle = market.get(code)!
    const own = middle + (middle * APART[source]) / 1_000_000n
    const last = state === 'absurd' ? -own : state === 'outlier' ? (own * 12n) / 10n : own
    const half = (middle * HALF_SPREAD_MILLIONTHS) / 1_000_000n
    return { bid: last - half, ask: last + half, last }
  }

  function timeOf(state: Does | undefined): number {
    return state === 'stale' ? clock() - AN_HOUR_MS : clock()
  }

  return { routes }
}

/** Micro-dollars with so many decimals; coins that cost about a dollar need all of theirs. */
function print(micros: bigint, decimals: number, code?: Code): string {
  const shown = code === 'USDT' || code === 'USDC' ? 6 : decimals
  const absolute = micros < 0n ? -micros : micros
  const fraction = (absolute % 1_000_000n).toString().padStart(6, '0').slice(0, shown)
  return `${micros < 0n ? '-' : ''}${absolute / 1_000_000n}.${fraction}`
}
