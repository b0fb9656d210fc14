/**
 * Every refusal has one word, the same on the page, in the API, in the logs and in the tests. The word is stable; the sentence
 * may be improved. `status` is the HTTP status it is answered with.
 */
export const refusals = {
  insufficient_credits: { status: 402, title: 'Not enough credits' },
  account_suspended: { status: 403, title: 'This account is suspended' },
  too_many_open_orders: { status: 409, title: 'Too many open orders' },
  spending_limit_reached: { status: 409, title: 'The spending limit is reached' },
  no_numbers: { status: 409, title: 'No number is free' },
  above_max_price: { status: 409, title: 'The price is above your maximum' },
  unknown_service: { status: 400, title: 'This service is not known' },
  unknown_country: { status: 400, title: 'This country is not known' },
  unknown_asset: { status: 400, title: 'This coin is not taken here' },
  cancel_too_early: { status: 409, title: 'Too early to cancel' },
  already_received: { status: 409, title: 'A code has already arrived' },
  already_closed: { status: 409, title: 'This order has ended' },
  amount_below_minimum: { status: 400, title: 'The amount is below the minimum' },
  amount_above_maximum: { status: 400, title: 'The amount is above the maximum' },
  card_limit_reached: { status: 429, title: 'Too many card payments' },
  cards_paused: { status: 503, title: 'Card payments are paused' },
  too_many_open_topups: { status: 409, title: 'Too many open top-ups' },
  email_not_proven: { status: 403, title: 'Prove your e-mail address first' },
  nothing_to_return: { status: 409, title: 'Nothing can be returned' },
  amount_above_returnable: { status: 409, title: 'The amount is above what can be returned' },
  refund_blocked_by_dispute: { status: 409, title: 'A dispute is open' },
  cards_blocked_by_dispute: { status: 409, title: 'Cards are not taken because of a dispute' },
  second_person_needed: { status: 403, title: 'A second person must agree' },
  already_decided: { status: 409, title: 'This was decided before' },
  not_credited: { status: 409, title: 'This top-up was not credited' },
  too_many_returns: { status: 409, title: 'Too many returns' },
  invalid_address: { status: 400, title: 'This address cannot be paid' },
  not_on_chain: { status: 409, title: 'Not on the chain' },
  not_halted: { status: 409, title: 'This network is not halted' },
  wrong_transaction: { status: 409, title: 'This is not the transaction' },
  invalid_amount: { status: 400, title: 'This is not an amount' },
  invalid_request: { status: 400, title: 'The request cannot be read' },
  idempotency_key_reused: { status: 409, title: 'This Idempotency-Key was used for another request' },
  too_many_keys: { status: 409, title: 'Too many API keys' },
  too_many_favourites: { status: 409, title: 'Too many favourites' },
  invalid_link: { status: 400, title: 'This link does not work' },
  username_taken: { status: 409, title: 'This username is taken' },
  password_too_common: { status: 400, title: 'This password is too easy to guess' },
  password_needed: { status: 403, title: 'Give your password' },
  not_found: { status: 404, title: 'Not found' },
  unauthenticated: { status: 401, title: 'Sign in first' },
  forbidden: { status: 403, title: 'Not allowed' },
  method_not_allowed: { status: 405, title: 'This method is not allowed here' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'This kind of content is not read here' },
  invalid_signature: { status: 400, title: 'The signature does not match' },
  rate_limited: { status: 429, title: 'Too many requests' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
  temporarily_unavailable: { status: 503, title: 'Not available for the moment' },
} as const

export type RefusalCode = keyof typeof refusals

/** The body of every failed answer, `application/problem+json` (RFC 9457). */
export type Problem = {
  /** Always "about:blank": the code below is what programs read. */
  type: 'about:blank'
  title: string
  status: number
  code: RefusalCode
  /** What happened, where the money is, and what to do next, in plain words. */
  detail: string
  /** The offending field of the request, where there is one. */
  field?: string
  /** Quoted to support; stands in the server's log. */
  request_id: string
  /** Amounts and limits that the sentence names, for programs: decimal strings or counts. */
  [extra: string]: unknown
}
