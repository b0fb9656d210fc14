import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { asked, startWorld, until, type World } from '../testing.ts'
import { spell } from './page.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

const desk = async (path = '/') => (await fetch(world.sandbox.url + path)).text()

test('the desk shows its three columns, that no money is real, and fills in a number from a link', async () => {
  const page = await desk('/?to=%2B447700900123%22%3E')
  for (const words of ['No real money', '>Phones<', '>Bank<', '>Clock<', '+2 min', '+20 min', '+7 days'])
    assert.ok(page.includes(words), words)
  assert.ok(page.includes('value="+447700900123&quot;&gt;"'))
  assert.ok(!/<script(?![^>]*src=)|<style|style=/.test(page))
})

test('payments stand on the desk with their state and a way to the customer’s page', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  assert.ok((await desk()).includes('Not paid yet'))
  await world.control('/stripe/pay', { session: session.id, card: '4242424242424242' })
  const reserved = await desk()
  assert.ok(reserved.includes('Reserved, not taken'))
  assert.ok(reserved.includes('http://localhost:4299/topups/top_1'))
  const { payment_intent } = await world.stripe.checkout.sessions.retrieve(session.id)
  await world.stripe.paymentIntents.cancel(payment_intent as string)
  assert.ok((await desk()).includes('3-D Secure: attempt_acknowledged'))
})

test('the clock is moved on the server, and the press leaves a sentence', async () => {
  world.receiver.answer = (call) =>
    call.path === '/api/sandbox/clock' ? { status: 200, body: { now: '2026-11-23T00:00:00Z' } } : undefined
  const moved = await world.control('/clock', { advance_seconds: 1_200 })
  assert.deepEqual(moved, { status: 200, body: { now: '2026-11-23T00:00:00Z' } })
  const call = world.receiver.heard.find((each) => each.path === '/api/sandbox/clock')
  assert.equal(call?.body, '{"advance_seconds":1200}')
  assert.ok((await desk()).includes('The clock moved 20 minutes ahead; what became due has run.'))

  world.receiver.answer = () => 'hang'
  const away = await world.control('/clock', { advance_seconds: 120 })
  assert.equal(away.status, 502)
  assert.ok((await desk()).includes('The clock was not moved: the server does not answer.'))
  world.receiver.answer = () => undefined
  for (const seconds of [0, -1, 1.5, 'x', 40_000_000])
    assert.equal((await world.control('/clock', { advance_seconds: seconds })).status, 400)
})

test('spans of time are spelled in their largest whole unit', () => {
  assert.equal(spell(604_800), '7 days')
  assert.equal(spell(86_400), '1 day')
  assert.equal(spell(120), '2 minutes')
  assert.equal(spell(61), '61 seconds')
})

test('a form of the desk comes back to the desk', async () => {
  const answer = await fetch(`${world.sandbox.url}/stripe/webhooks`, {
    method: 'POST',
    body: new URLSearchParams({ mode: 'late' }),
    redirect: 'manual',
  })
  assert.equal(answer.status, 303)
  assert.equal(answer.headers.get('location'), '/#bank')
  assert.ok((await desk()).includes('Webhooks come five seconds late from now on.'))
  await world.control('/stripe/webhooks', { mode: 'on' })
})

test('an open desk is told what changed, and the log keeps a hundred sentences', async () => {
  const closing = new AbortController()
  const stream = await fetch(`${world.sandbox.url}/desk/events`, { signal: closing.signal })
  let heard = ''
  const reading = (async () => {
    for await (const part of stream.body!) heard += Buffer.from(part).toString('utf8')
  })().catch(() => {})
  await until(() => heard.includes('event: parts'))
  heard = ''
  for (let round = 0; round < 55; round++) {
    await world.control('/stripe/webhooks', { mode: 'double' })
    await world.control('/stripe/webhooks', { mode: 'on' })
  }
  await until(() => heard.includes('Each webhook is sent twice from now on.'))
  closing.abort()
  await reading
})

test('the buttons of the bank say what happens later to a payment, and what became of it', async () => {
  const session = await world.stripe.checkout.sessions.create(asked(5_000))
  const { body } = await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  assert.ok((await desk()).includes('Let the hold lapse'))
  await world.stripe.paymentIntents.capture(body['payment_intent'] as string)
  const press = async (action: string, fields: Record<string, string>) => {
    const answer = await fetch(world.sandbox.url + action, {
      method: 'POST',
      body: new URLSearchParams(fields),
      redirect: 'manual',
    })
    assert.equal(answer.status, 303, await answer.text())
    return desk()
  }
  const { latest_charge: charge } = await world.stripe.paymentIntents.retrieve(body['payment_intent'] as string)
  const payment = charge as string
  assert.ok((await desk()).includes('What happens later'))
  await press('/stripe/refunds/next', { payment, outcome: 'pends' })
  assert.ok((await press('/stripe/refunds', { payment, amount: '2000' })).includes('Refund of $20.00 waits'))
  const [refund] = (await world.stripe.refunds.list({ charge: payment })).data
  assert.ok((await press(`/stripe/refunds/${refund!.id}`, { status: 'failed' })).includes('Refund of $20.00 failed'))
  assert.ok((await press('/stripe/warnings', { payment })).includes('The bank warned of fraud'))
  const asks = await press('/stripe/disputes', { payment, kind: 'inquiry' })
  assert.ok(asks.includes('Inquiry over $50.00 waits for an answer; no money moved'))
  const [dispute] = (await world.stripe.disputes.list({ charge: payment })).data
  const real = await press(`/stripe/disputes/${dispute!.id}`, { outcome: 'escalate' })
  assert.ok(real.includes('Dispute over $50.00 waits for an answer'))
  assert.ok((await press(`/stripe/disputes/${dispute!.id}`, { outcome: 'lose' })).includes('Take it up again'))
})

test('what is withheld stands on the desk until it is released', async () => {
  await world.control('/stripe/webhooks', { mode: 'withheld' })
  const session = await world.stripe.checkout.sessions.create(asked())
  await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  assert.ok((await desk()).includes('4 withheld.'))
  await world.control('/stripe/webhooks/release', {})
  assert.ok(!(await desk()).includes('withheld.'))
  await world.control('/stripe/webhooks', { mode: 'on' })
})
