/**
 * What the real Stripe does not have: the bank's own books in one answer, payments without a browser, and faults on demand.
 * JSON without a login; the desk's buttons post the same as forms.
 */
import { Hono } from 'hono'
import { type Bindings, problem, readAsked } from '../web.ts'
import { refusedPress, whole, word, wrong } from './asking.ts'
import { type Answered, answerChallenge, type Bank, pay, type Shown } from './bank.ts'
import { looksLikeCard } from './cards.ts'
import { settleDue } from './due.ts'
import { COUNT_MAX, DELAY_MILLISECONDS_MAX, type Faults, failures, isFailure, operations } from './faults.ts'
import { ownBooks } from './report.ts'

export function controls(bank: Bank, faults: Faults): Hono<Bindings> {
  const app = new Hono<Bindings>()

  app.get('/books', (c) => {
    settleDue(bank)
    return c.json(ownBooks(bank))
  })

  app.get('/answers', (c) => c.json(faults.state()))

  app.post('/answers', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    try {
      const count = whole(asked, 'count', 1, COUNT_MAX) ?? 1
      const milliseconds = whole(asked, 'delay_ms', 0, DELAY_MILLISECONDS_MAX) ?? 1_000
      const status = whole(asked, 'status', 400, 599) ?? 500
      if (!isFailure(status)) wrong('status', `one of ${failures.join(', ')}`)
      const executed = asked['executed'] === true
      const next = (field: string) =>
        asked[field] === undefined ? undefined : (word(asked, field, operations) ?? null)
      const [drop, delay, fail] = [next('drop_next'), next('delay_next'), next('fail_next')]
      if (drop !== undefined) faults.dropNext(drop, count)
      if (delay !== undefined) faults.delayNext(delay, count, milliseconds)
      if (fail !== undefined) faults.failNext(fail, count, { status, executed })
      return c.json(faults.state())
    } catch (error) {
      return refusedPress(c, error)
    }
  })

  app.post('/pay', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const { session, challenge = 'complete' } = asked
    const number = typeof asked['card'] === 'string' ? asked['card'].replace(/[\s-]/g, '') : ''
    if (typeof session !== 'string')
      return problem(c, 400, 'invalid_request', 'session is the id of a session.', 'session')
    if (!looksLikeCard(number))
      return problem(c, 400, 'invalid_request', 'card is a card number with a right check digit.', 'card')
    if (challenge !== 'complete' && challenge !== 'fail' && challenge !== 'close')
      return problem(c, 400, 'invalid_request', 'challenge is complete, fail or close.', 'challenge')
    const shown = readShown(asked['shows'])
    if (!shown)
      return problem(
        c,
        400,
        'invalid_request',
        'shows may have three_d_secure (a word, or null), exemption (low_risk, none) and wallet (apple_pay, google_pay, link).',
        'shows',
      )
    const year = new Date(bank.clock()).getUTCFullYear() + 4
    settleDue(bank)
    const paid = pay(bank, session, { number, expMonth: 12, expYear: year }, shown)
    if (!paid) return problem(c, 404, 'not_found', `There is no session ${session}.`, 'session')
    if (paid.outcome !== 'challenge' || challenge === 'close') return c.json(told(bank, session, paid))
    return c.json(told(bank, session, answerChallenge(bank, paid.challenge, challenge)!))
  })

  app.all('*', (c) => problem(c, 404, 'not_found', `There is no ${c.req.method} ${c.req.path}.`))
  return app
}

function readShown(asked: unknown): Shown | null {
  if (asked === undefined) return {}
  if (typeof asked !== 'object' || asked === null) return null
  const { three_d_secure: threeDSecure, exemption, wallet, ...unknown } = asked as Record<string, unknown>
  if (Object.keys(unknown).length > 0) return null
  if (threeDSecure !== undefined && threeDSecure !== null && typeof threeDSecure !== 'string') return null
  if (exemption !== undefined && exemption !== 'low_risk' && exemption !== 'none') return null
  if (wallet !== undefined && wallet !== 'apple_pay' && wallet !== 'google_pay' && wallet !== 'link') return null
  return { threeDSecure, exemption, wallet }
}

/** Where the browser would stand now, and why. */
function told(bank: Bank, session: string, paid: Answered) {
  const page = `${bank.url()}/c/pay/${session}`
  switch (paid.outcome) {
    case 'authorized':
      return { outcome: 'authorized', redirect_to: paid.redirectTo, payment_intent: paid.intent }
    case 'challenge':
      return {
        outcome: 'challenge_open',
        // The window is closed: the browser is nowhere.
        redirect_to: null,
        challenge_url: `${bank.url()}/c/challenge/${paid.challenge}`,
        payment_intent: paid.intent,
      }
    case 'challenge_failed':
      return { outcome: 'challenge_failed', redirect_to: page, payment_intent: paid.intent }
    case 'declined':
      return {
        outcome: 'declined',
        redirect_to: page,
        code: paid.code,
        decline_code: paid.declineCode ?? null,
        message: paid.message,
        payment_intent: paid.intent,
      }
    case 'closed':
      return {
        outcome: paid.session.status === 'complete' ? 'already_complete' : 'expired',
        redirect_to:
          paid.session.status === 'complete'
            ? (paid.session.success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', session)
            : page,
        payment_intent: paid.session.payment_intent,
      }
  }
}
