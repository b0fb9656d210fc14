import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type Stripe from 'stripe'
import { asked, startWorld, type World } from '../testing.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

type Card = { number?: string; expiry?: string; cvc?: string }

async function press(url: string, fields: Record<string, string>) {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' })
  const location = answer.headers.get('location')
  return { status: answer.status, to: location && new URL(location, url).href, text: await answer.text() }
}

async function open(): Promise<Stripe.Checkout.Session & { url: string }> {
  return (await world.stripe.checkout.sessions.create(asked())) as Stripe.Checkout.Session & { url: string }
}

const type = (url: string, card: Card) =>
  press(url, { number: '4000 0000 0000 3220', expiry: '12 / 34', cvc: '123', ...card })
const read = async (url: string) => (await fetch(url)).text()

test('the page names the amount, says what it stands in for, and has a row for each kind of card', async () => {
  const { url } = await open()
  const page = await read(url)
  for (const words of [
    'Stand-in for Stripe',
    'No real money',
    'Pay $10.00',
    'Prepaid credits',
    'Refused here, on purpose',
  ])
    assert.ok(page.includes(words), words)
  for (const number of ['4000 0000 0000 3220', '4000 0000 3220 0000', '4242 4242 4242 4242', '3782 822463 10005'])
    assert.ok(page.includes(number), number)
  assert.ok(page.includes('href="http://localhost:4299/topups/top_1/cancelled"'))
})

test('a row fills in its card without JavaScript; anything else fills in nothing', async () => {
  const { url } = await open()
  const amex = await read(`${url}?card=378282246310005`)
  assert.ok(amex.includes('value="3782 822463 10005"'))
  assert.ok(amex.includes('value="1234"'))
  const forged = await read(`${url}?card=%22%3E%3Cscript%3E`)
  assert.ok(!forged.includes('<script>'))
})

test('challenge, Complete: back to the shop with the id of the session', async () => {
  const { id, url } = await open()
  const asking = await type(url, {})
  assert.equal(asking.status, 303)
  assert.match(asking.to ?? '', /\/c\/challenge\//)
  const page = await read(asking.to!)
  for (const word of ['Complete', 'Fail', 'Close the window', 'Visa ending in 3220', '$10.00'])
    assert.ok(page.includes(word), word)
  const done = await press(asking.to!, { answer: 'complete' })
  assert.equal(done.status, 303)
  assert.equal(done.to, `http://localhost:4299/topups/top_1/return?session_id=${id}`)
  const twice = await press(asking.to!, { answer: 'complete' })
  assert.equal(twice.to, `${world.sandbox.url}/c/pay/${id}`)
  assert.ok((await read(url)).includes('This payment is done'))
})

test('challenge, Fail: the same page, with the reason, and another card', async () => {
  const { url } = await open()
  const asking = await type(url, {})
  const failed = await press(asking.to!, { answer: 'fail' })
  assert.equal(failed.to, url)
  assert.ok((await read(url)).includes('The bank did not confirm that it was you.'))
  const over = await fetch(asking.to!)
  assert.equal(over.status, 410)
  const declined = await type(url, { number: '4000000000009995' })
  assert.equal(declined.to, url)
  assert.ok((await read(url)).includes('Your card has insufficient funds.'))
  const paid = await type(url, { number: '4000000032200000' })
  assert.match(paid.to ?? '', /^http:\/\/localhost:4299\//)
})

test('a card that robots like: a person is asked for first, and the card is not asked without one', async () => {
  const { url } = await open()
  const asking = await type(url, { number: '4000000000001208' })
  assert.match(asking.to ?? '', /\/c\/challenge\//)
  assert.ok((await read(asking.to!)).includes('Are you a person?'))
  const failed = await press(asking.to!, { answer: 'fail' })
  assert.equal(failed.to, url)
  assert.ok((await read(url)).includes('Your card was declined.'))
  const again = await type(url, { number: '4000000000003725' })
  const paid = await press(again.to!, { answer: 'complete' })
  assert.match(paid.to ?? '', /^http:\/\/localhost:4299\//)
})

test('challenge, Close the window: nothing is decided, and every way stays open', async () => {
  const { url } = await open()
  const asking = await type(url, {})
  const closed = await press(asking.to!, { answer: 'close' })
  const page = await read(closed.to!)
  assert.ok(page.includes('The bank is still waiting for an answer.'))
  assert.ok((await read(url)).includes('The bank is still waiting for your confirmation.'))
  const done = await press(asking.to!, { answer: 'complete' })
  assert.match(done.to ?? '', /session_id=cs_test_/)
})

test('another card ends the challenge that was left open', async () => {
  const { url } = await open()
  const first = await type(url, {})
  const second = await type(url, {})
  assert.notEqual(first.to, second.to)
  assert.equal((await press(first.to!, { answer: 'complete' })).status, 410)
  assert.match((await press(second.to!, { answer: 'complete' })).to ?? '', /^http:\/\/localhost:4299\//)
})

test('what is typed wrong is said beside its field, and the bank is not asked', async () => {
  const { id, url } = await open()
  for (const [card, words] of [
    [{ number: '4242424242424241' }, 'a digit is wrong or missing'],
    [{ number: '' }, 'The card number is missing'],
    [{ expiry: '13 / 34' }, 'Month and year as on the card'],
    [{ expiry: '01 / 24' }, 'This card has expired'],
    [{ cvc: '12' }, 'The CVC has 3 digits'],
    [{ number: '378282246310005', cvc: '123' }, 'The CVC has 4 digits'],
  ] as const) {
    const answer = await type(url, card)
    assert.equal(answer.status, 422)
    assert.ok(answer.text.includes(words), words)
    assert.ok(answer.text.includes('aria-invalid="true"'))
  }
  assert.equal((await world.stripe.checkout.sessions.retrieve(id)).payment_intent, null)
})

test('an expired session says so, on the page and in an open challenge', async () => {
  const { id, url } = await open()
  const asking = await type(url, {})
  await world.stripe.checkout.sessions.expire(id)
  assert.ok((await read(url)).includes('This payment page has closed'))
  assert.equal((await type(url, {})).to, url)
  assert.equal((await press(asking.to!, { answer: 'complete' })).to, url)
  assert.equal((await world.stripe.checkout.sessions.retrieve(id)).status, 'expired')
})

test('the page runs nothing inline and its form may lead to the shop only', async () => {
  const { url } = await open()
  const answer = await fetch(url)
  const policy = answer.headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'/)
  assert.match(policy, /form-action 'self' http:\/\/localhost:4299(;|$)/)
  const page = await answer.text()
  assert.ok(!/<script(?![^>]*src=)|<style|style=/.test(page))
  assert.equal((await fetch(`${world.sandbox.url}/c/pay/cs_test_none`)).status, 404)
})
