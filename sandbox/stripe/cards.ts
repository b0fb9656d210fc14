/**
 * Stripe's official test numbers and what the bank behind each of them does. A number that is not in this table is no test
 * number and is declined, as in Stripe's own test mode: nobody should type a real card here.
 */

/** How the card answers when 3-D Secure is asked for. */
export type Verification =
  /** Enrolled; the bank shows its page. */
  | 'challenge'
  /** Enrolled; the bank agrees without a page. */
  | 'frictionless'
  /** The network knows 3-D Secure, the card is not enrolled: `attempt_acknowledged`. */
  | 'not_enrolled'
  /** The card cannot do it at all: `three_d_secure: null`. */
  | 'unsupported'
  /** The attempt errs and the payment goes on without it. */
  | 'error'
  /** The look-up errs and the bank insists: declined without a page. */
  | 'error_declined'

export type Decline = {
  /** `code` of Stripe's error. */
  code: 'card_declined' | 'expired_card' | 'incorrect_cvc' | 'processing_error'
  decline_code?: string
  message: string
  /** Radar stopped it; the bank was never asked. */
  blocked?: true
}

/** Why a refund did not arrive, in Stripe's words. */
export const failureReasons = [
  'lost_or_stolen_card',
  'expired_or_canceled_card',
  'charge_for_pending_refund_disputed',
  'insufficient_funds',
  'declined',
  'merchant_request',
  'unknown',
] as const
export type FailureReason = (typeof failureReasons)[number]

export const refundOutcomes = [
  'succeeds',
  /** Pending, and succeeds later. */
  'pends',
  'pends_then_fails',
  /** At once: the answer says so. */
  'fails',
  /** Succeeds, and turns out later to have failed. */
  'fails_later',
  /** Refused: the shop's balance does not cover it. */
  'balance_insufficient',
] as const
export type RefundPlan = {
  outcome: (typeof refundOutcomes)[number]
  afterSeconds?: number
  failureReason?: FailureReason
}

/** What a cardholder may say, in Stripe's words. */
export const disputeReasons = [
  'fraudulent',
  'product_not_received',
  'product_unacceptable',
  'duplicate',
  'subscription_canceled',
  'credit_not_processed',
  'unrecognized',
  'general',
  'noncompliant',
] as const
export type DisputeReason = (typeof disputeReasons)[number]

export const disputeKinds = [
  'dispute',
  /** The bank only asks; no money moves. */
  'inquiry',
  /** Stopped before it came about, by what the bank was told of the payment; no money moves. */
  'prevented',
  /** Settled before it came about by giving the money back (Visa's RDR, Ethoca): no fee. */
  'prevented_refunded',
] as const
export type DisputeKind = (typeof disputeKinds)[number]

export const fraudTypes = [
  'card_never_received',
  'fraudulent_card_application',
  'made_with_counterfeit_card',
  'made_with_lost_card',
  'made_with_stolen_card',
  'misc',
  'unauthorized_use_of_card',
] as const
export type FraudType = (typeof fraudTypes)[number]

/** `share` of the charge in hundredths; the whole where it is not said. */
export type DisputePlan = { kind: DisputeKind; reason: DisputeReason; share?: number; compellingEvidence?: true }

export type TestCard = {
  number: string
  verification: Verification
  /** The bank insists on 3-D Secure even where the shop only asks for it `automatic`ally. */
  insists?: true
  decline?: Decline
  brand: string
  country: string
  funding: 'credit' | 'debit' | 'prepaid'
  cvcCheck: 'pass' | 'fail'
  postcodeFails?: true
  riskLevel: 'normal' | 'elevated' | 'highest'
  /** The money is available at once instead of in two days. */
  availableAtOnce?: true
  /** Stripe first asks whether a person is there. */
  captcha?: true
  /** What becomes of a refund to it. */
  refund?: RefundPlan
  /** What the cardholder does when the money was taken. */
  disputes?: DisputePlan[]
  /** The bank says that the card was used by somebody else, before anybody disputes anything. */
  warning?: FraudType
}

const DECLINED = 'Your card was declined.'
const declines = {
  generic: { code: 'card_declined', decline_code: 'generic_decline', message: DECLINED },
  insufficient: {
    code: 'card_declined',
    decline_code: 'insufficient_funds',
    message: 'Your card has insufficient funds.',
  },
  lost: { code: 'card_declined', decline_code: 'lost_card', message: DECLINED },
  stolen: { code: 'card_declined', decline_code: 'stolen_card', message: DECLINED },
  velocity: {
    code: 'card_declined',
    decline_code: 'card_velocity_exceeded',
    message: 'Your card was declined for making repeated attempts too frequently or exceeding its amount limit.',
  },
  expired: { code: 'expired_card', message: 'Your card has expired.' },
  cvc: { code: 'incorrect_cvc', message: "Your card's security code is incorrect." },
  processing: {
    code: 'processing_error',
    message: 'An error occurred while processing your card. Try again in a little bit.',
  },
  blocked: { code: 'card_declined', decline_code: 'fraudulent', message: DECLINED, blocked: true },
} as const satisfies Record<string, Decline>

const table = new Map<string, TestCard>()

function add(verification: Verification, numbers: string[], more: Partial<TestCard> = {}): void {
  for (const number of numbers) {
    table.set(number, {
      number,
      verification,
      brand: brandOf(number),
      country: 'US',
      funding: 'credit',
      cvcCheck: 'pass',
      riskLevel: 'normal',
      ...more,
    })
  }
}

// 3-D Secure cards.
add('challenge', ['4000000000003220'], { insists: true, country: 'IE' })
add('challenge', ['4000008400000027', '4000002760003184', '4000002500003155', '4000003800000446'], { insists: true })
add('challenge', ['4000000000003055'])
add('challenge', ['4000008400001629'], { insists: true, decline: declines.generic })
add('challenge', ['4000008260003178'], { insists: true, decline: declines.insufficient })
// Challenges of the banks' mobile libraries; ordinary in a browser.
add('challenge', ['4000582600000094', '4000582600000045', '4000582600000102', '4000582600000110'], { insists: true })
add('frictionless', ['4000000032200000'], { insists: true })
add('error_declined', ['4000008400001280'], { insists: true, decline: declines.generic })
add('error', ['4000000000003097'])
add('unsupported', ['378282246310005'])

// Declines.
add('not_enrolled', ['4000000000000002', '4000000000000341'], { decline: declines.generic })
add('not_enrolled', ['4000000000009995'], { decline: declines.insufficient })
add('not_enrolled', ['4000000000009987'], { decline: declines.lost })
add('not_enrolled', ['4000000000009979'], { decline: declines.stolen })
add('not_enrolled', ['4000000000000069'], { decline: declines.expired })
add('not_enrolled', ['4000000000000127'], { decline: declines.cvc, cvcCheck: 'fail' })
add('not_enrolled', ['4000000000000119'], { decline: declines.processing })
add('not_enrolled', ['4000000000006975'], { decline: declines.velocity })
add('not_enrolled', ['4100000000000019', '4000000000004954'], { decline: declines.blocked, riskLevel: 'highest' })
add('not_enrolled', ['4000000000009235'], { riskLevel: 'elevated' })
add('not_enrolled', ['4000000000000101'], { cvcCheck: 'fail' })
add('not_enrolled', ['4000000000000036'], { postcodeFails: true })

// Any other test card "might still trigger 3DS, but we return attempt_acknowledged" (Stripe's testing page).
add('not_enrolled', [
  ...['4242424242424242', '5555555555554444', '2223003122003222', '6011111111111117', '3056930009020004'],
  ...['3566002020360505', '6200000000000005', '4000008405600003'],
])
// Cards that are disputed later: under 3-D Secure they are no different at the time of payment.
const fraudulent: DisputePlan = { kind: 'dispute', reason: 'fraudulent' }
add('not_enrolled', ['4000000000000259'], { disputes: [fraudulent] })
add('not_enrolled', ['4000000000002685'], { disputes: [{ kind: 'dispute', reason: 'product_not_received' }] })
add('not_enrolled', ['4000000000001976'], { disputes: [{ kind: 'inquiry', reason: 'fraudulent' }] })
add('not_enrolled', ['4000000000005423'], { warning: 'unauthorized_use_of_card' })
add('not_enrolled', ['4000000404000079'], {
  disputes: [
    { ...fraudulent, share: 50 },
    { ...fraudulent, share: 50 },
  ],
})
add('not_enrolled', ['4000000404000038'], { disputes: [{ ...fraudulent, compellingEvidence: true }] })
add('not_enrolled', ['4000000404004816', '5105000300000018'], {
  disputes: [{ kind: 'prevented_refunded', reason: 'fraudulent' }],
})
add('not_enrolled', ['4000000404005649'], { disputes: [{ kind: 'prevented', reason: 'fraudulent' }] })
// Cards that a refund does not reach at once, or not at all.
add('not_enrolled', ['4000000000007726'], { refund: { outcome: 'pends' } })
add('not_enrolled', ['4000000000005126'], { refund: { outcome: 'fails_later' } })
add('not_enrolled', ['4000000000001208', '4000000000003725'], { captcha: true })
add('not_enrolled', ['4000056655665556', '5200828282828210'], { funding: 'debit' })
add('not_enrolled', ['5105105105105100'], { funding: 'prepaid' })
add('not_enrolled', ['4000000000000077'], { availableAtOnce: true })
add('not_enrolled', ['4000003720000278'], { availableAtOnce: true, country: 'IE' })

export const nonTestCard: Decline = {
  code: 'card_declined',
  decline_code: 'test_mode_live_card',
  message: 'Your card was declined. Your request was in test mode, but used a non test card.',
}

export function testCard(number: string): TestCard | undefined {
  return table.get(number)
}

export function brandOf(number: string): string {
  if (/^4/.test(number)) return 'visa'
  if (/^(5[1-5]|2[2-7])/.test(number)) return 'mastercard'
  if (/^3[47]/.test(number)) return 'amex'
  if (/^(6011|65)/.test(number)) return 'discover'
  if (/^3[068]/.test(number)) return 'diners'
  if (/^35/.test(number)) return 'jcb'
  if (/^62/.test(number)) return 'unionpay'
  return 'unknown'
}

/** The check digit that every card number carries (Luhn). */
export function looksLikeCard(number: string): boolean {
  if (!/^\d{13,19}$/.test(number)) return false
  let sum = 0
  for (const [place, digit] of [...number].reverse().entries()) {
    const doubled = Number(digit) * (place % 2 === 1 ? 2 : 1)
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** 4242 4242 4242 4242; American Express prints 4-6-5. */
export function grouped(number: string): string {
  const groups =
    brandOf(number) === 'amex' ? /^(\d{1,4})(\d{1,6})?(\d{1,5})?/.exec(number)?.slice(1) : number.match(/\d{1,4}/g)
  return (groups ?? []).filter(Boolean).join(' ')
}

/** The rows under the card field. Without them everyone types 4242 and believes the product broken. */
export const rows = [
  { number: '4000000000003220', does: 'Confirms', note: 'The bank asks; you press Complete or Fail' },
  { number: '4000000032200000', does: 'Confirms by itself', note: 'Verified without a question' },
  { number: '4242424242424242', does: 'Not enrolled', note: 'Refused here, on purpose' },
  { number: '378282246310005', does: 'No 3-D Secure', note: 'The card cannot confirm; refused' },
  { number: '4000000000000002', does: 'Declined', note: 'The bank says no' },
  { number: '4000000000009995', does: 'Insufficient funds', note: 'The bank says no, and why' },
] as const
