/**
 * What the customer sees of the bank: the payment page and the challenge page. Plain forms; the script only saves a reload
 * when a test card is filled in.
 */
import { type Context, Hono } from 'hono'
import { html } from 'hono/html'
import type Stripe from 'stripe'
import { type Html, layout } from '../layout.ts'
import { dollars } from '../money.ts'
import { type Bindings, pageHeaders, problem, readBody } from '../web.ts'
import { answerChallenge, type Bank, pay } from './bank.ts'
import { brandOf, grouped, looksLikeCard, rows, testCard } from './cards.ts'
import { settleDue } from './due.ts'
import { find, findChallenge, ofSession } from './records.ts'

const FORM_BYTES_MAX = 4 * 1024

type Entry = { number: string; expiry: string; cvc: string }
type Trouble = Partial<Record<keyof Entry, string>>

export function checkoutPages(bank: Bank): Hono<Bindings> {
  const { books } = bank
  const app = new Hono<Bindings>()

  app.get('/pay/:session', (c) => {
    settleDue(bank)
    const session = find(books, 'checkout.session', c.req.param('session'))
    if (!session) return notHere(c)
    if (session.status !== 'open') return closed(c, session)
    const row = rows.find((each) => each.number === c.req.query('card'))
    const entry = row ? filledIn(row.number, bank) : { number: '', expiry: '', cvc: '' }
    return paymentPage(c, session, entry, {})
  })

  app.post('/pay/:session', async (c) => {
    const body = await readBody(c, FORM_BYTES_MAX)
    if (body === null) return problem(c, 413, 'too_large', 'A card form is shorter than this.')
    const form = new URLSearchParams(body)
    const entry: Entry = {
      number: (form.get('number') ?? '').replace(/\D/g, '').slice(0, 19),
      expiry: (form.get('expiry') ?? '').slice(0, 12),
      cvc: (form.get('cvc') ?? '').trim().slice(0, 4),
    }
    settleDue(bank)
    const session = find(books, 'checkout.session', c.req.param('session'))
    if (!session) return notHere(c)
    if (session.status !== 'open') return c.redirect(`/c/pay/${session.id}`, 303)
    const { trouble, typed } = check(entry, bank)
    if (!typed) return paymentPage(c, session, entry, trouble, 422)
    const paid = pay(bank, session.id, typed)!
    switch (paid.outcome) {
      case 'authorized':
        return c.redirect(paid.redirectTo, 303)
      case 'challenge':
        return c.redirect(`/c/challenge/${paid.challenge}`, 303)
      // The page tells what happened from the books, also after a reload.
      case 'declined':
      case 'closed':
        return c.redirect(`/c/pay/${session.id}`, 303)
    }
  })

  app.get('/challenge/:id', (c) => {
    const standing = pending(c.req.param('id'))
    if (!standing) return overtaken(c)
    const { session, method, captcha } = standing
    return captcha ? captchaPage(c, session, c.req.param('id')) : challengePage(c, session, method, c.req.param('id'))
  })

  app.post('/challenge/:id', async (c) => {
    const body = await readBody(c, FORM_BYTES_MAX)
    const answer = new URLSearchParams(body ?? '').get('answer')
    const id = c.req.param('id')
    if (answer === 'close') return c.redirect(`/c/challenge/${id}/closed`, 303)
    if (answer !== 'complete' && answer !== 'fail')
      return problem(c, 400, 'invalid_request', 'answer is complete, fail or close.', 'answer')
    settleDue(bank)
    const answered = answerChallenge(bank, id, answer)
    if (!answered) return overtaken(c)
    switch (answered.outcome) {
      case 'authorized':
        return c.redirect(answered.redirectTo, 303)
      case 'closed':
        return c.redirect(`/c/pay/${answered.session.id}`, 303)
      case 'challenge_failed':
      case 'challenge':
      case 'declined':
        return c.redirect(`/c/pay/${findChallenge(books, id)!.session}`, 303)
    }
  })

  app.get('/challenge/:id/closed', (c) => {
    const standing = pending(c.req.param('id'))
    if (!standing) return overtaken(c)
    const { session } = standing
    return page(
      c,
      session,
      'You closed the bank’s window',
      html`
        <h1>You closed the bank’s window</h1>
        <p class="lead">The bank is still waiting for an answer. Until there is one, nothing is taken.</p>
        <p>With a real bank this window would now be gone. From here you can:</p>
        <ul class="ways">
          <li><a href="/c/challenge/${c.req.param('id')}">Open the bank’s window again</a></li>
          <li><a href="/c/pay/${session.id}">Use another card</a></li>
          ${session.cancel_url ? html`<li><a href="${session.cancel_url}">Back to ${bank.shopName} without paying</a></li>` : ''}
        </ul>`,
    )
  })

  app.all('*', (c) => notHere(c))
  return app

  function pending(id: string) {
    settleDue(bank)
    const challenge = findChallenge(books, id)
    const session = challenge && find(books, 'checkout.session', challenge.session)
    const method = challenge && find(books, 'payment_method', challenge.method)
    if (!session || !method || session.status !== 'open') return undefined
    const intent = find(books, 'payment_intent', session.payment_intent as string)
    if (intent?.status !== 'requires_action' || intent.payment_method !== method.id) return undefined
    return { session, method, captcha: testCard(challenge?.number ?? '')?.captcha ?? false }
  }

  function paymentPage(
    c: Context<Bindings>,
    session: Stripe.Checkout.Session,
    entry: Entry,
    trouble: Trouble,
    status: 200 | 422 = 200,
  ) {
    const amount = dollars(session.amount_total ?? 0)
    const intent = session.payment_intent ? find(books, 'payment_intent', session.payment_intent as string) : undefined
    const invalid = (name: keyof Entry) =>
      trouble[name] ? html` aria-invalid="true" aria-describedby="${name}-trouble"` : html``
    const troubleOf = (name: keyof Entry) =>
      trouble[name] ? html`<p class="trouble" id="${name}-trouble">${trouble[name]}</p>` : ''
    const first = Object.keys(trouble)[0]
    return page(
      c,
      session,
      `Pay ${amount}`,
      html`
        ${session.cancel_url ? html`<p class="back"><a href="${session.cancel_url}">Back to ${bank.shopName}</a></p>` : ''}
        <h1>Pay ${amount}</h1>
        ${lines(session)}
        ${Object.keys(trouble).length === 0 ? lastTrouble(intent) : ''}
        <form method="post" action="/c/pay/${session.id}" novalidate>
          <div class="field wide">
            <label for="number">Card number</label>
            <input id="number" name="number" inputmode="numeric" autocomplete="off" spellcheck="false" maxlength="23"
              placeholder="1234 1234 1234 1234" value="${grouped(entry.number)}"${invalid('number')}${first === 'number' ? html` autofocus` : ''}>
            ${troubleOf('number')}
          </div>
          <section class="fill" aria-labelledby="fill-head">
            <h2 id="fill-head">Fill in a test card</h2>
            <ul>
              ${rows.map(
                (row) => html`<li><button form="fill" name="card" value="${row.number}">
                  <span class="number">${grouped(row.number)}</span>
                  <span class="does">${row.does}</span>
                  <span class="note">${row.note}</span>
                </button></li>`,
              )}
            </ul>
            <p class="said" role="status" id="said"></p>
          </section>
          <div class="pair">
            <div class="field">
              <label for="expiry">Expiry</label>
              <input id="expiry" name="expiry" inputmode="numeric" autocomplete="off" maxlength="9" placeholder="MM / YY"
                value="${entry.expiry}"${invalid('expiry')}${first === 'expiry' ? html` autofocus` : ''}>
              ${troubleOf('expiry')}
            </div>
            <div class="field">
              <label for="cvc">CVC</label>
              <input id="cvc" name="cvc" inputmode="numeric" autocomplete="off" maxlength="4" placeholder="123"
                value="${entry.cvc}"${invalid('cvc')}${first === 'cvc' ? html` autofocus` : ''}>
              ${troubleOf('cvc')}
            </div>
          </div>
          <button class="primary" id="pay">Pay ${amount}</button>
        </form>
        <form id="fill" method="get" action="/c/pay/${session.id}"></form>
        <p class="small">Type no real card here: only test numbers work, and nothing is charged. This page closes
          ${whenCloses(session.expires_at * 1_000 - bank.clock())}.</p>`,
      status,
    )
  }

  function lines(session: Stripe.Checkout.Session): Html {
    const items = ofSession(books, 'item', session.id)
    return html`<dl class="slip">
      ${items.map((item) => html`<div><dt>${item.description ?? ''}</dt><dd>${dollars(item.amount_total)}</dd></div>`)}
      <div><dt>To</dt><dd class="plain">${bank.shopName}</dd></div>
    </dl>`
  }

  function challengePage(
    c: Context<Bindings>,
    session: Stripe.Checkout.Session,
    method: Stripe.PaymentMethod,
    id: string,
  ) {
    return page(
      c,
      session,
      'Confirm the payment',
      html`
        <p class="bank">Stand-in for your bank</p>
        <h1>Confirm this payment?</h1>
        <dl class="slip">
          <div><dt>Amount</dt><dd>${dollars(session.amount_total ?? 0)}</dd></div>
          <div><dt>To</dt><dd class="plain">${bank.shopName}</dd></div>
          <div><dt>Card</dt><dd class="plain">${brandName(method.card?.brand)} ending in ${method.card?.last4 ?? ''}</dd></div>
        </dl>
        <p>A real bank asks here for its app or a code by SMS (3-D Secure). Answer for it:</p>
        <form method="post" action="/c/challenge/${id}" class="answers">
          <div class="answer"><button class="primary" name="answer" value="complete">Complete</button>
            <p>The bank confirms that it is you.</p></div>
          <div class="answer"><button name="answer" value="fail">Fail</button>
            <p>It does not, and no money moves.</p></div>
          <div class="answer"><button name="answer" value="close">Close the window</button>
            <p>No answer at all, as when somebody walks away.</p></div>
        </form>`,
    )
  }

  function captchaPage(c: Context<Bindings>, session: Stripe.Checkout.Session, id: string) {
    return page(
      c,
      session,
      'Are you a person?',
      html`
        <p class="bank">Stand-in for Stripe’s question to robots</p>
        <h1>Are you a person?</h1>
        <dl class="slip">
          <div><dt>Amount</dt><dd>${dollars(session.amount_total ?? 0)}</dd></div>
          <div><dt>To</dt><dd class="plain">${bank.shopName}</dd></div>
        </dl>
        <p>Stripe shows pictures here when a payment looks as if nobody were there. Answer for it:</p>
        <form method="post" action="/c/challenge/${id}" class="answers">
          <div class="answer"><button class="primary" name="answer" value="complete">I am a person</button>
            <p>The card is asked.</p></div>
          <div class="answer"><button name="answer" value="fail">Fail</button>
            <p>The card is not asked, and no money moves.</p></div>
          <div class="answer"><button name="answer" value="close">Close the window</button>
            <p>No answer at all, as when somebody walks away.</p></div>
        </form>`,
    )
  }

  function closed(c: Context<Bindings>, session: Stripe.Checkout.Session) {
    if (session.status === 'complete') {
      const back = (session.success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', session.id)
      return page(
        c,
        session,
        'This payment is done',
        html`<h1>This payment is done</h1>
          <p class="lead">The bank answered; nothing more can be paid on this page.</p>
          ${lines(session)}
          <p><a href="${back}">Back to ${bank.shopName}</a></p>`,
      )
    }
    return page(
      c,
      session,
      'This payment page has closed',
      html`<h1>This payment page has closed</h1>
        <p class="lead">It was open too long, or ${bank.shopName} closed it. No money was taken.</p>
        ${lines(session)}
        ${session.cancel_url ? html`<p><a href="${session.cancel_url}">Back to ${bank.shopName}</a></p>` : ''}`,
    )
  }
}

function page(
  c: Context<Bindings>,
  session: Stripe.Checkout.Session,
  title: string,
  main: Html,
  status: 200 | 422 = 200,
) {
  pageHeaders(c, { formTargets: formTargets(session) })
  return c.html(
    layout({
      title: `${title} · Stand-in for Stripe`,
      name: 'Stand-in for Stripe',
      sheet: 'checkout.css',
      script: 'checkout.js',
      main,
    }),
    status,
  )
}

function overtaken(c: Context<Bindings>) {
  pageHeaders(c)
  return c.html(
    layout({
      title: 'This confirmation is over · Stand-in for Stripe',
      name: 'Stand-in for Stripe',
      sheet: 'checkout.css',
      script: 'checkout.js',
      main: html`<h1>This confirmation is over</h1>
        <p class="lead">It was answered, another card was tried since, or the payment page has closed.</p>
        <p>Go back to the page that you came from; it says where the payment stands.</p>`,
    }),
    410,
  )
}

function notHere(c: Context<Bindings>) {
  pageHeaders(c)
  return c.html(
    layout({
      title: 'No such page · Stand-in for Stripe',
      name: 'Stand-in for Stripe',
      sheet: 'checkout.css',
      script: 'checkout.js',
      main: html`<h1>No such page</h1>
        <p class="lead">There is no payment at this address. Start again where you wanted to pay.</p>`,
    }),
    404,
  )
}

/** What went wrong with the card before: told from the payment intent, so a reload says the same. */
function lastTrouble(intent: Stripe.PaymentIntent | undefined): Html {
  const error = intent?.last_payment_error
  if (intent?.status === 'requires_action')
    return html`<div class="notice waiting" role="status"><p>The bank is still waiting for your confirmation.
      <a href="${intent.next_action?.redirect_to_url?.url ?? ''}">Open the bank’s window again</a>, or pay with another card.</p></div>`
  if (!error) return html``
  const last4 = error.payment_method?.card?.last4
  const what =
    error.code === 'payment_intent_authentication_failure'
      ? 'The bank did not confirm that it was you.'
      : (error.message ?? 'Your card was declined.')
  return html`<div class="notice refused" role="alert">
    <p><strong>${what}</strong> No money was taken.</p>
    <p>${last4 ? `That was the card ending in ${last4}. ` : ''}Another card can be used on this page.</p>
  </div>`
}

function check(
  entry: Entry,
  bank: Bank,
): { trouble: Trouble; typed?: { number: string; expMonth: number; expYear: number } } {
  const trouble: Trouble = {}
  if (entry.number === '') trouble.number = 'The card number is missing.'
  else if (!looksLikeCard(entry.number)) trouble.number = 'This is no card number: a digit is wrong or missing.'
  const match = /^\s*(\d{1,2})\s*\/?\s*(?:20)?(\d{2})\s*$/.exec(entry.expiry)
  const month = Number(match?.[1])
  const year = 2000 + Number(match?.[2])
  const today = new Date(bank.clock())
  if (!match || month < 1 || month > 12) trouble.expiry = 'Month and year as on the card, for example 12 / 34.'
  else if (year * 12 + month < today.getUTCFullYear() * 12 + today.getUTCMonth() + 1)
    trouble.expiry = 'This card has expired.'
  const digits = brandOf(entry.number) === 'amex' ? 4 : 3
  if (!new RegExp(`^\\d{${digits}}$`).test(entry.cvc)) trouble.cvc = `The CVC has ${digits} digits.`
  if (Object.keys(trouble).length > 0) return { trouble }
  return { trouble, typed: { number: entry.number, expMonth: month, expYear: year } }
}

function filledIn(number: string, bank: Bank): Entry {
  const year = (new Date(bank.clock()).getUTCFullYear() + 4) % 100
  return { number, expiry: `12 / ${year}`, cvc: brandOf(number) === 'amex' ? '1234' : '123' }
}

/** Browsers hold a form's redirect to the page's own rule, so the shop's origin must be allowed. */
function formTargets(session: Stripe.Checkout.Session): string[] {
  const origin = URL.parse(session.success_url ?? '')?.origin
  return origin ? [origin] : []
}

function brandName(brand: string | undefined): string {
  const names: Record<string, string> = { visa: 'Visa', mastercard: 'Mastercard', amex: 'American Express' }
  return names[brand ?? ''] ?? 'Card'
}

function whenCloses(milliseconds: number): string {
  const minutes = Math.max(1, Math.round(milliseconds / 60_000))
  return minutes < 90 ? `in ${minutes} minute${minutes === 1 ? '' : 's'}` : `in ${Math.round(minutes / 60)} hours`
}
