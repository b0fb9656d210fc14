/** The gate's whole table. A value that a later version of the SDK knows does not compile until it has its row here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type Stripe from 'stripe'
import type { TopupReason } from '../../../contract/contract.ts'
import { type CardEvidence, judge } from './gate.ts'

type Secure = Stripe.Charge.PaymentMethodDetails.Card.ThreeDSecure
type WalletType = Stripe.Charge.PaymentMethodDetails.Card.Wallet.Type
/** The values that the SDK names, without its "and any other string". */
type Known<Value> = Value extends string ? (string extends Value ? never : Value) : never

const results: Record<Known<Secure['result']>, 'taken' | TopupReason> = {
  authenticated: 'taken',
  attempt_acknowledged: 'bank_does_not_verify',
  exempted: 'not_verified',
  data_share_only: 'not_verified',
  not_supported: 'card_without_3ds',
  failed: 'verification_failed',
  processing_error: 'bank_unavailable',
}
const exemptions: Record<Known<Secure['exemption_indicator']>, boolean> = { none: false, low_risk: true }
const wallets: Record<Known<WalletType>, true> = {
  amex_express_checkout: true,
  apple_pay: true,
  google_pay: true,
  link: true,
  masterpass: true,
  samsung_pay: true,
  visa_checkout: true,
}

for (const [result, expected] of Object.entries(results)) {
  test(`${result} is ${expected}`, () => {
    assert.equal(said({ result }), expected)
    assert.equal(said({ result, exemption: 'none' }), expected)
    assert.equal(alarms({ result }), false)
  })
}

test('a card that was not asked at all has no 3-D Secure', () => {
  assert.equal(said({ secure: null }), 'card_without_3ds')
})

test('an exemption moves the liability back to us, so it is refused even where the bank authenticated', () => {
  for (const [exemption, moves] of Object.entries(exemptions)) {
    assert.equal(said({ result: 'authenticated', exemption }), moves ? 'not_verified' : 'taken')
    assert.equal(said({ result: 'attempt_acknowledged', exemption }, true), moves ? 'not_verified' : 'taken')
  }
})

test('a wallet is taken only when the bank authenticated its card', () => {
  for (const wallet of [...Object.keys(wallets), 'wallet_of_tomorrow']) {
    assert.equal(said({ secure: null, wallet }), 'wallet_without_3ds', wallet)
    assert.equal(said({ result: 'authenticated', wallet }), 'taken', wallet)
    for (const acceptAttempted of [false, true]) {
      for (const result of Object.keys(results).filter((each) => each !== 'authenticated')) {
        assert.equal(said({ result, wallet }, acceptAttempted), 'wallet_without_3ds', `${wallet} ${result}`)
      }
    }
  }
})

test('the owner may accept attempts; nothing else changes by that', () => {
  for (const [result, expected] of Object.entries(results)) {
    assert.equal(said({ result }, true), result === 'attempt_acknowledged' ? 'taken' : expected)
  }
  assert.equal(said({ secure: null }, true), 'card_without_3ds')
})

test('what nobody has heard of is refused, and somebody has to look', () => {
  for (const acceptAttempted of [false, true]) {
    for (const seen of [
      { result: 'result_of_tomorrow' },
      { result: '' },
      { result: null },
      { result: 'authenticated', exemption: 'exemption_of_tomorrow' },
      { result: 'authenticated', exemption: '' },
    ]) {
      assert.equal(said(seen, acceptAttempted), 'not_verified', JSON.stringify(seen))
      assert.equal(alarms(seen), true, JSON.stringify(seen))
    }
  }
  assert.deepEqual(judge(null), { take: false, reason: 'not_verified', unheardOf: true })
})

type Seen = { result?: string | null; exemption?: string | null; secure?: null; wallet?: string }

function evidence(seen: Seen): CardEvidence {
  return {
    three_d_secure:
      seen.secure === null ? null : { result: seen.result ?? null, exemption_indicator: seen.exemption ?? null },
    wallet: seen.wallet === undefined ? null : { type: seen.wallet },
  }
}

function said(seen: Seen, acceptAttempted?: boolean): 'taken' | TopupReason {
  const verdict = judge(evidence(seen), acceptAttempted === undefined ? {} : { acceptAttempted })
  return verdict.take ? 'taken' : verdict.reason
}

function alarms(seen: Seen): boolean {
  const verdict = judge(evidence(seen))
  return !verdict.take && verdict.unheardOf
}
