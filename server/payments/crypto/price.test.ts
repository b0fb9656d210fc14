/** What three exchanges say comes to one price, or to none: their recorded answers, and the same with something wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CryptoAsset } from '../../../contract/contract.ts'
import { micros, printAmount, usd } from '../../../contract/money.ts'
import { aggregate, mayCount, type Sample } from './price.ts'
import { type RATE_SOURCES, readPrice, type Source, sources, type Tick } from './rate-sources.ts'

const sourceOf = (name: string): Source => sources.find((source) => source.name === name)!

// As the exchanges answered; figures that nothing reads are shortened.
const kraken = (pairs: Record<string, [ask: string, bid: string]>) => ({
  error: [],
  result: Object.fromEntries(
    Object.entries(pairs).map(([name, [ask, bid]]) => [
      name,
      { a: [ask, '8', '8.000'], b: [bid, '2', '2.000'], c: [ask, '0.01686188'], t: [11208, 25014], o: '27428.2' },
    ]),
  ),
})
const coinbase = {
  ask: '63212.98',
  bid: '63212.97',
  volume: '4916.9',
  trade_id: 1040406588,
  price: '63212.97',
  size: '0.0078',
  time: '2026-06-19T16:43:33.016274911Z',
  rfq_volume: '31.6',
}
const bitstamp = {
  timestamp: '1789455809',
  open: '78237',
  high: '79588',
  low: '77191',
  last: '77265',
  volume: '108.7',
  vwap: '78381',
  bid: '77239',
  ask: '77240',
  side: '1',
  open_24: '77700',
  percent_change_24: '-0.56',
  market_type: 'SPOT',
  pair: 'BTC/USD',
  market: 'BTC/USD',
}

test('the recorded answers are read to the last digit', () => {
  const [k] = sourceOf('kraken').parse(kraken({ XXBTZUSD: ['27712.10000', '27712.00000'] }), ['BTC']).ticks
  assert.deepEqual(k, {
    asset: 'BTC',
    ask: 27_712_100_000_000_000n,
    bid: 27_712_000_000_000_000n,
    sourceTime: null,
  })
  const [c] = sourceOf('coinbase').parse(coinbase, ['BTC']).ticks
  assert.equal(c!.ask, 63_212_980_000_000_000n)
  assert.equal(c!.sourceTime!.toISOString(), '2026-06-19T16:43:33.016Z')
  const [b] = sourceOf('bitstamp').parse(bitstamp, ['BTC']).ticks
  assert.equal(b!.bid, 77_239_000_000_000_000n)
  assert.equal(b!.sourceTime!.getTime(), 1789455809_000)
  const { pair: _, ...older } = bitstamp
  assert.equal(sourceOf('bitstamp').parse(older, ['BTC']).ticks.length, 1, 'newer members may be missing')
})

test('Kraken answers under other names than it was asked, and each is known', () => {
  const names: Record<CryptoAsset, string> = {
    BTC: 'XXBTZUSD',
    ETH: 'XETHZUSD',
    LTC: 'XLTCZUSD',
    USDT: 'USDTZUSD',
    USDC: 'USDCUSD',
  }
  const codes = Object.keys(names) as CryptoAsset[]
  const answer = kraken(Object.fromEntries(codes.map((code) => [names[code], ['1.0', '0.9']])))
  assert.deepEqual(sourceOf('kraken').parse(answer, codes).unread, [])
  assert.deepEqual(
    sourceOf('kraken')
      .requests(codes)
      .map(({ path }) => path),
    ['/0/public/Ticker?pair=XBTUSD,ETHUSD,LTCUSD,USDTUSD,USDCUSD'],
  )
})

test('Coinbase is not asked about USDC, which it takes for the dollar', () => {
  assert.deepEqual(sourceOf('coinbase').requests(['USDC']), [])
  assert.deepEqual(
    sourceOf('coinbase')
      .requests(['USDC', 'USDT'])
      .map(({ path }) => path),
    ['/products/USDT-USD/ticker'],
  )
})

const unread: [what: string, source: (typeof RATE_SOURCES)[number], answer: unknown, why: RegExp][] = [
  ['an error beside HTTP 200', 'kraken', { error: ['EQuery:Unknown asset pair'] }, /^error: EQuery/],
  ['no list of errors', 'kraken', { result: {} }, /no list of errors/],
  ['a renamed pair', 'kraken', kraken({ 'XXBTZUSD.d': ['1', '1'] }), /no such pair/],
  ['an empty result', 'kraken', { error: [], result: null }, /no such pair/],
  ['a price of null', 'kraken', { error: [], result: { XXBTZUSD: { a: [null], b: ['1'] } } }, /no decimal number/],
  ['no prices', 'kraken', { error: [], result: { XXBTZUSD: { a: '1', b: '1' } } }, /no such pair/],
  ['an error', 'coinbase', { message: 'NotFound' }, /^error: NotFound/],
  ['a missing member', 'coinbase', { ...coinbase, bid: undefined }, /no decimal number/],
  ['a price as a JSON number', 'coinbase', { ...coinbase, bid: 63212.97 }, /no decimal number/],
  ['not a number', 'coinbase', { ...coinbase, ask: 'NaN' }, /no decimal number/],
  ['infinity', 'coinbase', { ...coinbase, ask: 'Infinity' }, /no decimal number/],
  ['an exponent', 'coinbase', { ...coinbase, ask: '6.3e4' }, /no decimal number/],
  ['no time', 'coinbase', { ...coinbase, time: undefined }, /no time/],
  ['a time that is none', 'coinbase', { ...coinbase, time: '2026-13-45T16:43:33Z' }, /no time/],
  ['the list of all markets', 'bitstamp', [bitstamp], /no time/],
  ['another pair', 'bitstamp', { ...bitstamp, pair: 'ETH/USD' }, /another pair than asked for: ETH\/USD/],
  ['a time as a number', 'bitstamp', { ...bitstamp, timestamp: 1789455809 }, /no time/],
  ['nothing', 'bitstamp', null, /no time/],
  ['a text', 'bitstamp', '<!doctype html>', /no time/],
]
for (const [what, source, answer, why] of unread) {
  test(`${source} says ${what}: that is no price`, () => {
    const read = sourceOf(source).parse(answer, ['BTC'])
    assert.deepEqual(read.ticks, [])
    assert.match(read.unread[0]!.why, why)
  })
}

test('whatever an exchange answers, reading it neither throws nor makes a price of what is none', () => {
  fc.assert(
    fc.property(fc.constantFrom(...sources), fc.json(), (source, json) => {
      const { ticks, unread } = source.parse(JSON.parse(json), ['BTC'])
      assert.equal(ticks.length + unread.length, 1)
    }),
  )
})

test('a decimal string is read exactly, and written back the same', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n - 1n }), (fine) => {
      const digits = fine.toString().padStart(13, '0')
      assert.equal(readPrice(`${digits.slice(0, -12)}.${digits.slice(-12)}`), fine)
    }),
  )
})

const now = new Date('2026-11-23T16:00:00Z')
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)
type Said = { bid?: string; ask?: string; at?: Date | null; fetched?: Date }
function sample(middle: string, said: Said = {}): Sample {
  const tick: Tick = {
    asset: 'BTC',
    bid: readPrice(said.bid ?? middle)!,
    ask: readPrice(said.ask ?? middle)!,
    sourceTime: said.at === undefined ? now : said.at,
  }
  return { source: 'x', tick, why: null, fetchedAt: said.fetched ?? now }
}
const nothing = (why: string): Sample => ({ source: 'x', tick: null, why, fetchedAt: now })

const rounds: [what: string, samples: Sample[], price: string | null, stable?: boolean][] = [
  ['three that agree: the middle one', [sample('100'), sample('101'), sample('100.4')], '100.40'],
  ['the middle of bid and ask', [sample('', { bid: '100', ask: '101' }), sample('100.5')], '100.50'],
  ['one is down: the middle of the other two', [nothing('HTTP 503'), sample('100'), sample('100.8')], '100.40'],
  ['one is down and the other two differ by more than 1 %', [nothing('x'), sample('100'), sample('101.1')], null],
  ['two differ by exactly 1 %', [sample('100'), sample('101')], '100.50'],
  ['two are down', [nothing('x'), nothing('x'), sample('100')], null],
  ['all are down', [nothing('x'), nothing('x'), nothing('x')], null],
  ['an outlier of 20 %', [sample('100'), sample('120'), sample('100.4')], '100.20'],
  ['two outliers leave one, which is not enough', [sample('100'), sample('120'), sample('80')], null],
  ['a time of its own of 121 seconds ago', [sample('100'), sample('90', { at: ago(121) }), sample('100.4')], '100.20'],
  ['a time of its own of 120 seconds ago', [sample('100'), sample('100.2', { at: ago(120) }), sample('101')], '100.20'],
  ['a time of its own in the future', [sample('100'), sample('90', { at: ago(-6) }), sample('100.4')], '100.20'],
  ['a clock that is a little ahead', [sample('100'), sample('100.2', { at: ago(-4) }), sample('101')], '100.20'],
  ['no time of its own', [sample('100', { at: null }), sample('100.4', { at: null })], '100.20'],
  ['fetched 91 seconds ago', [sample('100', { fetched: ago(91) }), sample('100')], null],
  ['a negative price', [sample('-100'), sample('100'), sample('100.4')], '100.20'],
  ['a price of nothing', [sample('0'), sample('100')], null],
  ['bids above asks', [sample('', { bid: '101', ask: '100' }), sample('100')], null],
  ['bid and ask 2.1 % apart', [sample('', { bid: '100', ask: '102.1' }), sample('100')], null],
  ['bid and ask 2 % apart', [sample('', { bid: '99', ask: '100.98' }), sample('100')], '99.995'],
  ['a dollar that is a little more than one', [sample('1.0003'), sample('1.0001')], '1.00', true],
  ['a dollar that is a little less than one', [sample('0.9991'), sample('0.9995'), sample('0.9993')], '0.9993', true],
  ['a dollar of which one source says 0.6 % less', [sample('1'), sample('0.994'), sample('0.9998')], '0.9999', true],
  ['a dollar that is none any more', [sample('0.90'), sample('0.902')], '0.901', true],
  ['too little to be counted', [sample('0.0000001'), sample('0.0000001')], null],
]
for (const [what, samples, price, stable = false] of rounds) {
  test(`40: a round: ${what} gives ${price ?? 'no price'}`, () => {
    const found = aggregate(samples, { stable, now })
    assert.equal(found.price && printAmount(found.price), price)
    assert.equal(found.why === null, price !== null)
    assert.equal(found.samples.length, samples.length, 'what was not believed is kept, too')
    for (const one of found.samples) assert.equal(one.believed, one.why === null)
  })
}

test('whatever single source says, it cannot move the price beyond what the two others say', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100_000, max: 100_400 }),
      fc.integer({ min: 100_000, max: 100_400 }),
      fc.integer({ min: 0, max: 10_000_000 }),
      (one, other, liar) => {
        const found = aggregate(
          [one, other, liar].map((cents) => sample((cents / 100).toFixed(2))),
          { stable: false, now },
        )
        const [low, high] = [Math.min(one, other), Math.max(one, other)].map((cents) => micros(BigInt(cents) * 10_000n))
        // Its own price counts where it is close to theirs: then the middle of all moves, within the limit for outliers.
        const slack = (high! * 15n) / 1000n
        assert.ok(found.price! >= low! - slack && found.price! <= high! + slack)
      },
    ),
  )
})

const last = (price: string, seconds: number) => ({ price: usd(price), fetchedAt: ago(seconds) })
const leaps: [what: string, args: Parameters<typeof mayCount>, counts: boolean][] = [
  ['the first price of all', [usd('100'), now, null, null], true],
  ['10 % within 20 seconds', [usd('110'), now, last('100', 20), null], true],
  ['10.1 % up within 20 seconds', [usd('110.1'), now, last('100', 20), null], false],
  ['10.1 % down within 60 seconds', [usd('89.9'), now, last('100', 60), null], false],
  ['the second round that says so', [usd('112'), now, last('100', 40), usd('115')], true],
  ['a second round that says something else again', [usd('150'), now, last('100', 40), usd('115')], false],
  ['a second round that is back where it was', [usd('101'), now, last('100', 40), usd('115')], true],
  ['a leap over more than 60 seconds', [usd('115'), now, last('100', 61), null], true],
  ['a leap that was held, and is another one after 61 seconds', [usd('150'), now, last('100', 61), usd('115')], false],
  ['anything, when the last price is too old to be used', [usd('900'), now, last('100', 301), usd('115')], true],
]
for (const [what, args, counts] of leaps) {
  test(`${what} ${counts ? 'counts' : 'is held'}`, () => assert.equal(mayCount(...args), counts))
}
