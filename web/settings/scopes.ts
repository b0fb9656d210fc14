import type { KeyScope } from '../../contract/contract.ts'

/** The scopes of an API key in the words of a customer, in the order in which they are offered. */
export const scopeWords: Record<KeyScope, { short: string; label: string; hint: string }> = {
  read: {
    short: 'read',
    label: 'Read',
    hint: 'Balance, Billing History, orders with their codes, top-ups, live updates.',
  },
  order: {
    short: 'order',
    label: 'Order numbers',
    hint: 'Orders and cancels. It spends your credits, at most its daily cap.',
  },
  topup: {
    short: 'top up',
    label: 'Start top-ups',
    hint: 'Opens payment pages. It cannot pay by itself: the card is typed in by a person.',
  },
}

export const scopes = Object.keys(scopeWords) as KeyScope[]
