/** What a payment is worth: the table of crypto.md's section 4 about value, row by row, and what holds whatever comes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { micros, printAmount, type Usd, usd } from '../../../contract/money.ts'
import { assets } from './assets.ts'
import { isInTime, isWhole, lockedUnitsOf, type Quoted, type Valued, valuePayment } from './value.ts'

const SEED = Number(process.env['SEED'] ?? 20261123)
const EXPIRES = new Date('2026-11-23T12:15:00Z')
const minutes = (n: number) => new Date(EXPIRES.getTime() + n * 60_000)

/** $20.00 of BTC at $80,000.00: 25,000 satoshi, exactly. */
const quote: Quoted = {
  asset: 'BTC',
  units: 25_000n,
  price: usd('80000.00'),
  amount: usd('20.00'),
  expiresAt: EXPIRES,
}
const btc = { decimals: 8, floorUnits: 546n }

/** Payments of so many satoshi, one after the other; `late`: after the rate had ended. Said as the customer reads it. */
function comes(...payments: { units: bigint; late?: true; asset?: string; price?: Usd | null }[]): string {
  let lockedBefore = 0n
  return payments
    .map(({ units, late, asset = 'BTC', price = usd('100000.00') }) => {
      const it = { asset, units, inTime: !late }
      const valued = valuePayment(it, { quote, lockedBefore, price, ...btc })
      if (valued === null) return 'waits for a rate'
      if (valued.worth > 0n) lockedBefore += lockedUnitsOf(it, quote, lockedBefore)
      return `${printAmount(valued.worth)} (${valued.parts.map((part) => `${part.basis} ${part.units} = ${printAmount(part.value)}`).join(', ')})`
    })
    .join('; ')
}

for (const [what, said, expected] of [
  ['exactly what was asked for', comes({ units: 25_000n }), '20.00 (locked 25000 = 20.00)'],
  ['1 sat under: treated as exact', comes({ units: 24_999n }), '20.00 (locked 24999 = 20.00)'],
  ['0.5 % under: treated as exact', comes({ units: 24_875n }), '20.00 (locked 24875 = 20.00)'],
  ['a satoshi more than that under: what it is', comes({ units: 24_874n }), '19.90 (locked 24874 = 19.8992)'],
  ['30 % under, in time: the locked rate', comes({ units: 17_500n }), '14.00 (locked 17500 = 14.00)'],
  ['over by 5 %: all at the locked rate', comes({ units: 26_250n }), '21.00 (locked 26250 = 21.00)'],
  [
    'over by 300 %: the locked rate up to 110 %, the surplus at the rate of its block',
    comes({ units: 100_000n }),
    '94.50 (locked 27500 = 22.00, surplus 72500 = 72.50)',
  ],
  [
    'two payments, 60 + 40 %',
    comes({ units: 15_000n }, { units: 10_000n }),
    '12.00 (locked 15000 = 12.00); 8.00 (locked 10000 = 8.00)',
  ],
  [
    'two payments, 60 + 39.9 %: exact together',
    comes({ units: 15_000n }, { units: 9_975n }),
    '12.00 (locked 15000 = 12.00); 8.00 (locked 9975 = 8.00)',
  ],
  [
    'a second payment of all of it in time: what is left of 110 % at the locked rate',
    comes({ units: 25_000n }, { units: 25_000n }),
    '20.00 (locked 25000 = 20.00); 24.50 (locked 2500 = 2.00, surplus 22500 = 22.50)',
  ],
  ['$4.80 after an exchange’s fee: credited', comes({ units: 6_000n }), '4.80 (locked 6000 = 4.80)'],
  ['$0.50: credited', comes({ units: 625n }), '0.50 (locked 625 = 0.50)'],
  ['just below $0.50: dust', comes({ units: 624n }), '0.00 (locked 624 = 0.4992)'],
  [
    'below the floor of the coin: dust, whatever its price',
    comes({ units: 545n, late: true, price: usd('900000.00') }),
    '0.00 (late 545 = 4.905)',
  ],
  [
    'dust does not use up the locked rate',
    comes({ units: 600n }, { units: 27_500n }),
    '0.00 (locked 600 = 0.48); 22.00 (locked 27500 = 22.00)',
  ],
  [
    'late, the rate moved −8 %',
    comes({ units: 25_000n, late: true, price: usd('73600.00') }),
    '18.40 (late 25000 = 18.40)',
  ],
  [
    'late, the rate moved +8 %',
    comes({ units: 25_000n, late: true, price: usd('86400.00') }),
    '21.60 (late 25000 = 21.60)',
  ],
  [
    'late, and no rate of that moment: wait, never guess',
    comes({ units: 25_000n, late: true, price: null }),
    'waits for a rate',
  ],
  ['in time up to 110 % needs no rate', comes({ units: 27_500n, price: null }), '22.00 (locked 27500 = 22.00)'],
  ['more than that, and no rate: wait', comes({ units: 27_501n, price: null }), 'waits for a rate'],
  [
    'another asset: its own rate',
    comes({ units: 25_000n, asset: 'LTC', price: usd('8000.00') }),
    '2.00 (other_asset 25000 = 2.00)',
  ],
  ['a fraction of a cent: rounded up', comes({ units: 12_501n }), '10.01 (locked 12501 = 10.0008)'],
] as const) {
  test(`worth: ${what}`, () => assert.equal(said, expected))
}

test('the tolerance is $0.50 at most', () => {
  const large = { ...quote, units: 1_250_000n, amount: usd('1000.00') }
  assert.equal(isWhole(1_250_000n - 625n, large, 8), true)
  assert.equal(isWhole(1_250_000n - 626n, large, 8), false)
})

for (const [what, seen, block, expected] of [
  ['in a block in time', -5, -1, true],
  ['in a block at the very end', 0, 0, true],
  ['seen in the pool before expiry, mined 3 h later', -1, 180, true],
  ['seen before expiry, mined 24 h after it was seen', -1, 24 * 60 - 1, true],
  ['seen before expiry, mined a minute later than that', -1, 24 * 60, false],
  ['first seen after expiry', 1, 10, false],
  ['we were away, and its block was in time', 120, -1, true],
  ['its block’s clock is two hours ahead, and we saw it in time', -1, 119, true],
] as const) {
  test(`in time: ${what}`, () =>
    assert.equal(isInTime({ firstSeenAt: minutes(seen), blockTime: minutes(block) }, EXPIRES), expected))
}

// ── Whatever comes ───────────────────────────────────────────────────────────────────────────────────────────────────

const anyAsset = fc.constantFrom(...assets)
const anyCents = fc.bigInt({ min: 500n, max: 100_000n }).map((cents) => micros(cents * 10_000n))
const anyPrice = fc.bigInt({ min: 10_000n, max: 200_000_000_000n }).map(micros)

/** A quote as the house makes it: units rounded up to the digits that it asks for. No coin is so dear that $5 of it are below its floor. */
const anyQuote = fc
  .tuple(anyAsset, anyCents, anyPrice)
  .map(([asset, amount, price]) => {
    const step = 10n ** BigInt(asset.decimals - asset.quoteDecimals)
    const asked = (amount * 10n ** BigInt(asset.quoteDecimals) + price - 1n) / price
    return { asset, quote: { asset: asset.code, units: asked * step, price, amount, expiresAt: EXPIRES } }
  })
  .filter((of) => of.quote.units >= of.asset.floorUnits)
/** As parts of what was asked for, in thousandths of a percent, some of them late. */
const anyPayments = fc.array(fc.record({ share: fc.bigInt({ min: 1n, max: 400_000n }), late: fc.boolean() }), {
  minLength: 1,
  maxLength: 6,
})

function all(
  { asset, quote }: { asset: (typeof assets)[number]; quote: Quoted },
  payments: readonly { units: bigint; late: boolean }[],
  price: Usd,
): { valued: Valued; units: bigint }[] {
  let lockedBefore = 0n
  return payments.map(({ units, late }) => {
    const it = { asset: asset.code, units, inTime: !late }
    const valued = valuePayment(it, {
      quote,
      lockedBefore,
      price,
      decimals: asset.decimals,
      floorUnits: asset.floorUnits,
    })!
    if (valued.worth > 0n) lockedBefore += lockedUnitsOf(it, quote, lockedBefore)
    return { valued, units }
  })
}

const settings = { seed: SEED, numRuns: 2_000 }
const unitsOf = (quoted: Quoted, share: bigint) => (quoted.units * share) / 100_000n + 1n

test('the exact quoted units give exactly the quoted dollars, although they were rounded up', () => {
  fc.assert(
    fc.property(anyQuote, anyPrice, (of, price) => {
      const [one] = all(of, [{ units: of.quote.units, late: false }], price)
      assert.equal(one!.valued.worth, of.quote.amount)
      assert.equal(one!.valued.value, of.quote.amount)
    }),
    settings,
  )
})

test('the parts are the whole, the rounding is less than a cent, and no more than 110 % has the locked rate', () => {
  fc.assert(
    fc.property(anyQuote, anyPayments, anyPrice, (of, shares, price) => {
      const payments = shares.map(({ share, late }) => ({ units: unitsOf(of.quote, share), late }))
      const valued = all(of, payments, price)
      let locked = 0n
      for (const { valued: one, units } of valued) {
        assert.equal(
          one.parts.reduce((sum, part) => sum + part.units, 0n),
          units,
        )
        assert.equal(
          one.parts.reduce((sum, part) => sum + part.value, 0n),
          one.value,
        )
        assert.equal(one.worth % 10_000n, 0n)
        if (one.worth === 0n) {
          assert.ok(one.value < usd('0.50') || units < of.asset.floorUnits)
          continue
        }
        assert.ok(one.worth >= one.value && one.worth - one.value < 10_000n)
        locked += one.parts.filter(({ basis }) => basis === 'locked').reduce((sum, part) => sum + part.units, 0n)
      }
      assert.ok(locked * 100n <= of.quote.units * 110n)
    }),
    settings,
  )
})

test('more units are never worth less', () => {
  fc.assert(
    fc.property(
      anyQuote,
      fc.bigInt({ min: 1n, max: 400_000n }),
      fc.bigInt({ min: 0n, max: 1_000n }),
      fc.boolean(),
      anyPrice,
      (of, share, more, late, price) => {
        const units = unitsOf(of.quote, share)
        const [less] = all(of, [{ units, late }], price)
        const [most] = all(of, [{ units: units + more, late }], price)
        assert.ok(most!.valued.value >= less!.valued.value)
        assert.ok(most!.valued.worth >= less!.valued.worth)
      },
    ),
    settings,
  )
})

test('payments in time, one after the other, are worth what one payment of all would be', () => {
  fc.assert(
    fc.property(anyQuote, anyPayments, (of, shares) => {
      const payments = shares.map(({ share }) => ({ units: unitsOf(of.quote, share / 6n + 5_000n), late: false }))
      const whole = payments.reduce((sum, { units }) => sum + units, 0n)
      const apart = all(of, payments, of.quote.price)
      if (apart.some(({ valued }) => valued.worth === 0n)) return
      const [once] = all(of, [{ units: whole, late: false }], of.quote.price)
      const sum = apart.reduce((total, { valued }) => total + valued.value, 0n)
      // Each part is rounded down by less than a micro-dollar.
      assert.ok(once!.valued.value - sum <= BigInt(apart.length) && sum - once!.valued.value <= BigInt(apart.length))
    }),
    settings,
  )
})
