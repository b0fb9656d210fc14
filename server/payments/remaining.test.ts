import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { micros, printAmount, type Usd, usd } from '../../contract/money.ts'
import { returnables } from './remaining.ts'

const rule = (available: string, ...newestFirst: string[]) =>
  [
    ...returnables(
      usd(available),
      newestFirst.map((left, i) => ({ id: String(i), left: usd(left) })),
    ).values(),
  ]
    .map(printAmount)
    .join(', ')

for (const [what, available, newestFirst, payable] of [
  ['nothing was spent: all of it', '10.00', ['10.00'], '10.00'],
  ['a part was spent: the rest', '8.80', ['10.00'], '8.80'],
  ['all was spent: nothing', '0.00', ['10.00'], '0.00'],
  ['a gift is there, and nothing was spent: the top-up, not the gift', '15.00', ['10.00'], '10.00'],
  ['a gift of 5.00 is there, and 3.00 was spent: of the gift first, so all of the top-up', '12.00', ['10.00'], '10.00'],
  ['a gift of 5.00 is there, and 7.00 was spent: the gift, then 2.00 of the top-up', '8.00', ['10.00'], '8.00'],
  ['two top-ups, 4.00 spent: of the older one', '26.00', ['20.00', '10.00'], '20.00, 6.00'],
  ['two top-ups, 10.00 spent: the older one is gone', '20.00', ['20.00', '10.00'], '20.00, 0.00'],
  ['two top-ups, 12.00 spent: the older one, and a bit of the newer', '18.00', ['20.00', '10.00'], '18.00, 0.00'],
  ['a part of the newer one went back: the older one is as before', '11.00', ['5.00', '10.00'], '5.00, 6.00'],
  ['all of the newer one went back: the older one is as before', '6.00', ['0.00', '10.00'], '0.00, 6.00'],
  ['half a cent is left over: whole cents only', '9.995', ['10.00'], '9.99'],
  ['half a cent in the older one', '24.005', ['20.00', '10.00'], '20.00, 4.00'],
  ['less than a cent', '0.0099', ['10.00'], '0.00'],
  ['no top-up at all', '3.00', [], ''],
] as const) {
  test(`what can be paid back: ${what}`, () => assert.equal(rule(available, ...newestFirst), payable))
}

const cents = fc.bigInt({ min: 0n, max: 100_000n }).map((n) => micros(n * 10_000n))
const someMicros = fc.bigInt({ min: 0n, max: 2_000_000_000n }).map(micros)
const topups = fc.array(cents, { maxLength: 8 }).map((lefts) => lefts.map((left, i) => ({ id: `${i}`, left })))
const sum = (amounts: Iterable<Usd>) => [...amounts].reduce((a, b) => a + b, 0n)

test('together never more than what is available without the gifts, each never more than is left of it, in whole cents', () => {
  fc.assert(
    fc.property(topups, someMicros, someMicros, (newestFirst, gifts, spent) => {
      const cameIn = sum(newestFirst.map(({ left }) => left)) + gifts
      const available = micros(cameIn > spent ? cameIn - spent : 0n)
      const unspentGifts = gifts > spent ? gifts - spent : 0n
      const payable = returnables(available, newestFirst)
      assert.ok(sum(payable.values()) <= available - unspentGifts)
      for (const { id, left } of newestFirst) {
        const amount = payable.get(id)!
        assert.ok(amount >= 0n && amount <= left && amount % 10_000n === 0n)
      }
      // And as the rule is written: min(left, available − unspent gifts − payable of newer ones), not below zero.
      let newer = 0n
      for (const { id, left } of newestFirst) {
        const rest = available - unspentGifts - newer
        const most = rest < left ? rest : left
        assert.equal(payable.get(id), most < 0n ? 0n : most - (most % 10_000n))
        newer += payable.get(id)!
      }
    }),
  )
})

test('what goes back of one lowers what can go back of it by exactly that, and of no other', () => {
  fc.assert(
    fc.property(
      topups,
      someMicros,
      fc.nat(),
      fc.bigInt({ min: 0n, max: 1_000n }),
      (newestFirst, available, which, part) => {
        if (newestFirst.length === 0) return
        const before = returnables(available, newestFirst)
        const { id } = newestFirst[which % newestFirst.length]!
        const payable = before.get(id)!
        const amount = (((payable / 10_000n) * part) / 1_000n) * 10_000n
        const after = returnables(
          micros(available - amount),
          newestFirst.map((each) => (each.id === id ? { id, left: micros(each.left - amount) } : each)),
        )
        for (const each of newestFirst) {
          assert.equal(after.get(each.id), before.get(each.id)! - (each.id === id ? amount : 0n))
        }
      },
    ),
  )
})

test('what is spent lowers what can go back by no more than that, the oldest first', () => {
  fc.assert(
    fc.property(topups, cents, cents, (newestFirst, available, price) => {
      if (price > available) return
      const before = returnables(available, newestFirst)
      const after = returnables(micros(available - price), newestFirst)
      assert.ok(sum(before.values()) - sum(after.values()) <= price)
      const lowered = newestFirst.map(({ id }) => after.get(id)! < before.get(id)!)
      const newest = lowered.indexOf(true)
      // Everything older than one that was spent from is spent.
      if (newest >= 0) for (const { id } of newestFirst.slice(newest + 1)) assert.equal(after.get(id), 0n)
    }),
  )
})
