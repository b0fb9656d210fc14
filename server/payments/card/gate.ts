/**
 * The gate: may this authorised payment be taken? Asking for 3-D Secure does not make it happen (where it is not available, the
 * card company goes on without it), so the answer stands here and nowhere else. A pure function.
 *
 * The values are open: one that we do not know is refused, and somebody has to look.
 */
import type Stripe from 'stripe'
import type { TopupReason } from '../../../contract/contract.ts'

/** What the gate reads of a charge's `payment_method_details.card`. */
export type CardEvidence = {
  three_d_secure: Pick<Stripe.Charge.PaymentMethodDetails.Card.ThreeDSecure, 'result' | 'exemption_indicator'> | null
  wallet: Pick<Stripe.Charge.PaymentMethodDetails.Card.Wallet, 'type'> | null
}

export type Verdict =
  | { take: true }
  /** `unheardOf`: a value that this version does not know; an operator should look. */
  | { take: false; reason: TopupReason; unheardOf: boolean }

/**
 * `acceptAttempted`: also take `attempt_acknowledged` (the bank does not verify, yet the liability is its own). An owner's choice.
 */
export function judge(card: CardEvidence | null, { acceptAttempted = false } = {}): Verdict {
  // Not a card payment at all.
  if (!card) return refuse('not_verified', true)

  const { three_d_secure: secure, wallet } = card
  const authenticated = secure?.result === 'authenticated'
  // A wallet skips the confirmation; that the same card would do it when typed in is what helps the customer.
  if (wallet && !authenticated) return refuse('wallet_without_3ds')
  if (!secure) return refuse('card_without_3ds')

  // An exemption moves the liability back to us, whatever the result says.
  const exemption = secure.exemption_indicator
  const exempted = exemption !== null && exemption !== undefined && exemption !== 'none'

  switch (secure.result) {
    case 'authenticated':
      return exempted ? refuse('not_verified', exemption !== 'low_risk') : { take: true }
    case 'attempt_acknowledged':
      if (!acceptAttempted) return refuse('bank_does_not_verify')
      return exempted ? refuse('not_verified', exemption !== 'low_risk') : { take: true }
    case 'exempted':
    case 'data_share_only':
      return refuse('not_verified')
    case 'not_supported':
      return refuse('card_without_3ds')
    case 'failed':
      return refuse('verification_failed')
    case 'processing_error':
      return refuse('bank_unavailable')
    default:
      return refuse('not_verified', true)
  }
}

function refuse(reason: TopupReason, unheardOf = false): Verdict {
  return { take: false, reason, unheardOf }
}
