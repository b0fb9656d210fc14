/** What each status of a dispute means, value by value, and what all disputes of a payment take together, whatever is thrown at it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type Stripe from 'stripe'
import { micros, type Usd } from '../../../contract/money.ts'
import { newId } from '../../platform/ids.ts'
import { type DisputeState, standingOf } from '../dispute.ts'
import { type Claim, cover } from './cover.ts'

/** The values that the SDK names, without its "and any other string": one that a later version knows does not compile until it has a row. */
type Known<Value> = Value extends string ? (string extends Value ? never : Value) : never

const table: Record<Known<Stripe.Dispute['status']>, [DisputeState, 'inquiry' | 'dispute']> = {
  needs_response: ['frozen', 'dispute'],
  under_review: ['frozen', 'dispute'],
  won: ['released', 'dispute'],
  lost: ['taken', 'dispute'],
  prevented: ['released', 'dispute'],
  warning_needs_response: ['frozen', 'inquiry'],
  warning_under_review: ['frozen', 'inquiry'],
  warning_closed: ['released', 'inquiry'],
  appeal_needs_response: ['frozen', 'dispute'],
  appeal_under_review: ['frozen', 'dispute'],
}

for (const [status, [state, kind]] of Object.entries(table)) {
  test(`${status}: the credits are ${state}`, () => {
    assert.deepEqual(standingOf({ status, balance_transactions: [] }), { state, kind, unheardOf: false })
  })
}

test('a status that does not exist yet keeps them frozen, and calls somebody', () => {
  assert.deepEqual(standingOf({ status: 'arbitrated', balance_transactions: [] }), {
    state: 'frozen',
    kind: 'dispute',
    unheardOf: true,
  })
})

test('prevented: what the bank paid back itself is gone, by the word of the case, and by the money where the word is new', () => {
  const prevented = (caseType: string | null, amounts: number[]) =>
    standingOf({
      status: 'prevented',
      balance_transactions: amounts.map((amount) => ({ amount })),
      ...(caseType === null ? {} : { payment_method_details: { card: { case_type: caseType } } }),
    }).state
  assert.deepEqual(
    [
      prevented('block', []),
      prevented('resolution', []),
      prevented('resolution', [-1000]),
      prevented('chargeback', [-1000]),
      prevented('chargeback', [-1000, 1000]),
      prevented(null, []),
      prevented('a_new_word', [-1000]),
    ],
    ['released', 'taken', 'taken', 'taken', 'released', 'released', 'taken'],
  )
})

test('twice the same is nothing; together never more than is left; taken comes before open, and open before nothing', () => {
  const topup = { id: newId(), accountId: 1n }
  const until = new Date('2100-01-01')
  const ids = [newId(), newId(), newId()]
  const anyWord = fc.record({
    which: fc.nat(2),
    becomes: fc.constantFrom<DisputeState>('frozen', 'released', 'taken'),
    amount: fc.bigInt({ min: 0n, max: 15n }),
  })
  fc.assert(
    fc.property(fc.array(anyWord, { maxLength: 12 }), fc.bigInt({ min: 0n, max: 12n }), (words, left) => {
      // A ledger of one account: what is frozen by which hold, and what is gone.
      const holds = new Map<string, bigint>()
      let gone = 0n
      const claims = new Map<string, Claim>()
      for (const { which, becomes, amount } of words) {
        const id = ids[which]!
        const before = claims.get(id) ?? { id, now: null, round: 0, holdId: null }
        const claim: Claim = { ...before, becomes, amount: amount as Usd, outcome: becomes === 'frozen' ? null : 'won' }
        claims.set(id, claim)
        const { commands, covered } = cover(topup, [...claims.values()], micros(left), until)
        for (const command of commands) {
          if (command.kind === 'clawback_hold') holds.set(command.id, command.amount)
          else if (command.kind === 'void') assert.ok(holds.delete(command.holdId), 'only what is open is voided')
          else if (command.kind === 'capture') {
            assert.ok(command.amount! <= holds.get(command.holdId)!)
            holds.delete(command.holdId)
            gone += command.amount!
          } else if (command.kind === 'credit') gone -= command.amount
          else assert.fail(command.kind)
        }
        for (const share of covered) {
          const one = claims.get(share.id)!
          claims.set(share.id, {
            ...one,
            now: { state: one.becomes, covered: share.covered },
            round: share.round,
            holdId: share.holdId,
          })
        }
        const all = [...claims.values()]
        const sum = (state: DisputeState) =>
          all.filter((one) => one.becomes === state).reduce((total, one) => total + one.now!.covered, 0n)
        const wanted = (state: DisputeState) =>
          all.filter((one) => one.becomes === state).reduce((total, one) => total + one.amount, 0n)
        const least = (a: bigint, b: bigint) => (a < b ? a : b)
        assert.equal(gone, sum('taken'), 'what is gone is what the claims say')
        assert.equal(
          [...holds.values()].reduce((total, held) => total + held, 0n),
          sum('frozen'),
        )
        assert.equal(sum('taken'), least(left, wanted('taken')), 'the bank has what it took, as far as it is there')
        assert.equal(sum('frozen'), least(left - sum('taken'), wanted('frozen')))
        assert.equal(sum('released'), 0n)
        assert.deepEqual(cover(topup, all, micros(left), until).commands, [], 'told again, nothing moves')
      }
    }),
    { numRuns: 2_000 },
  )
})
