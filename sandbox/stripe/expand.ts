/** `expand[]`: replaces an id by its object, along the path asked for. */
import type { Books } from '../books.ts'
import { StripeRefusal } from './errors.ts'
import { find, findAny, type Kind, ofSession, sessionOf } from './records.ts'

type Plain = { [name: string]: unknown }

const DEPTH_MAX = 4

/** Which fields of an object lead to another. Null: expandable at Stripe, always null here. */
const leads: Record<string, Record<string, Kind | 'any' | null>> = {
  'checkout.session': { payment_intent: 'payment_intent', customer: null, invoice: null, setup_intent: null },
  payment_intent: { latest_charge: 'charge', payment_method: 'payment_method', customer: null, review: null },
  charge: {
    payment_intent: 'payment_intent',
    balance_transaction: 'balance_transaction',
    customer: null,
    review: null,
  },
  balance_transaction: { source: 'any' },
  refund: {
    charge: 'charge',
    payment_intent: 'payment_intent',
    payment_method: 'payment_method',
    balance_transaction: 'balance_transaction',
    failure_balance_transaction: 'balance_transaction',
    customer: null,
  },
  dispute: { charge: 'charge', payment_intent: 'payment_intent' },
  'radar.early_fraud_warning': { charge: 'charge', payment_intent: 'payment_intent' },
}

export function expanded(books: Books, object: object, paths: string[]): Plain {
  const copy = structuredClone(object) as Plain
  for (const path of paths) {
    const steps = path.split('.')
    if (steps.length > DEPTH_MAX)
      throw new StripeRefusal(400, `You cannot expand more than ${DEPTH_MAX} levels of a property. Property: ${path}`)
    expand(books, copy, steps, path)
  }
  return copy
}

function expand(books: Books, object: Plain, steps: string[], path: string): void {
  const [step, ...rest] = steps
  if (!step) return
  if (object['object'] === 'list' && step === 'data') {
    for (const item of object['data'] as Plain[]) expand(books, item, rest, path)
    return
  }
  const session = object['object'] === 'checkout.session'
  if (session && step === 'line_items') {
    const id = object['id'] as string
    object['line_items'] ??= list(ofSession(books, 'item', id), false, `/v1/checkout/sessions/${id}/line_items`)
    return
  }
  if (object['object'] === 'charge' && step === 'refunds') {
    const id = object['id'] as string
    const refunds = ofSession(books, 'refund', sessionOf(books, id)!).filter((each) => each.charge === id)
    object['refunds'] ??= list(refunds.reverse(), false, `/v1/charges/${id}/refunds`)
    expand(books, object['refunds'] as Plain, rest, path)
    return
  }
  const kinds = leads[object['object'] as string]
  if (!kinds || !Object.hasOwn(kinds, step)) throw new StripeRefusal(400, `This property cannot be expanded (${path}).`)
  const kind = kinds[step]
  const held = object[step]
  if (kind && typeof held === 'string') object[step] = kind === 'any' ? findAny(books, held) : find(books, kind, held)
  const there = object[step]
  if (there && typeof there === 'object') expand(books, there as Plain, rest, path)
}

export function list(data: object[], hasMore: boolean, url: string): Plain {
  return { object: 'list', data, has_more: hasMore, url }
}
