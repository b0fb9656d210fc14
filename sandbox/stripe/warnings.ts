/** Early fraud warnings: a bank says that a card was used by somebody else, before anybody disputes anything. */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import type { Bank } from './bank.ts'
import type { FraudType } from './cards.ts'
import { write } from './events.ts'
import { ofSession, put, rewrite, sessionOf } from './records.ts'

type Warning = Stripe.Radar.EarlyFraudWarning

export function warn(bank: Bank, charge: Stripe.Charge, fraudType: FraudType): Warning {
  const session = sessionOf(bank.books, charge.id)!
  const warning: Warning = {
    id: `issfr_1${randomLetters(23)}`,
    object: 'radar.early_fraud_warning',
    actionable: !charge.refunded && !charge.disputed,
    charge: charge.id,
    created: seconds(bank.clock),
    fraud_type: fraudType,
    livemode: false,
    payment_intent: charge.payment_intent as string,
  }
  put(bank.books, warning, { session })
  write(bank, session, 'radar.early_fraud_warning.created', warning, null)
  return warning
}

/** A dispute has come, or everything was given back: there is nothing left to act upon. */
export function overtakeWarnings(bank: Bank, charge: Stripe.Charge): void {
  const session = sessionOf(bank.books, charge.id)!
  for (const warning of warningsOf(bank, charge)) {
    if (!warning.actionable) continue
    warning.actionable = false
    rewrite(bank.books, warning)
    write(bank, session, 'radar.early_fraud_warning.updated', warning, null, { actionable: true })
  }
}

export function warningsOf(bank: Bank, charge: Stripe.Charge): Warning[] {
  const session = sessionOf(bank.books, charge.id)!
  return ofSession(bank.books, 'radar.early_fraud_warning', session).filter((each) => each.charge === charge.id)
}
