import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { until } from '../../test/until.ts'
import { startWorld, type World } from '../../test/world.ts'

const TOKEN = 'a-token-of-a-test-world-0123'
let world: World
before(async () => {
  world = await startWorld({ env: { METRICS_TOKEN: TOKEN } })
})
after(() => world.stop())

async function figures(headers: Record<string, string> = {}): Promise<{ status: number; text: string; type: string }> {
  const answer = await fetch(`${world.server.url}/metrics`, { headers })
  return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') ?? '' }
}

/** The value of one line, as `name{label="value"}` names it. */
function figure(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  assert.ok(line, `There is no ${name} in\n${text.slice(0, 4_000)}`)
  return Number(line.slice(name.length))
}

test('the figures say what happened: requests by their pattern, refusals by their word, batches, totals, and nothing overdue', async () => {
  const ana = await world.customer({ name: 'ana', credit: '5.00' })
  const order = await ana.order()
  await ana.orderNow(order.id)
  assert.equal((await ana.post('/orders', { service: 'telegram', country: 'XX' })).status, 400)
  assert.equal((await ana.get('/nowhere/at/all')).status, 404)
  // An answer is read before its request has left the turnstile behind it.
  const inside = 'mobilesms_requests_inside{turnstile="requests"}'
  await until(async () => figure((await figures()).text, inside) === 0)
  const { status, text, type } = await figures()
  assert.equal(status, 200)
  assert.match(type, /^text\/plain/)

  assert.equal(figure(text, 'mobilesms_request_seconds_count{method="POST",route="/api/v1/orders",status="201"}'), 1)
  assert.equal(figure(text, 'mobilesms_request_seconds_count{method="GET",route="/api/v1/orders/:id",status="200"}'), 1)
  assert.equal(figure(text, 'mobilesms_refusals_total{word="unknown_country"}'), 1)
  assert.ok(figure(text, 'mobilesms_batch_items_count{batcher="orders.place"}') >= 1)
  assert.equal(figure(text, 'mobilesms_batch_queue_items{batcher="orders.place"}'), 0)
  assert.equal(figure(text, 'mobilesms_requests_shed_total{turnstile="requests"}'), 0)
  assert.ok(figure(text, 'mobilesms_pool_connections{pool="house",what="open"}') > 0)

  assert.equal(figure(text, 'mobilesms_platform_total_usd{account="goodwill",cause="gift"}'), -5)
  assert.equal(figure(text, 'mobilesms_customers_total_usd{figure="owned"}'), 5)
  assert.ok(figure(text, 'mobilesms_customers_total_usd{figure="held"}') > 0)
  assert.equal(figure(text, 'mobilesms_ledger_difference_usd'), 0)
  assert.equal(figure(text, 'mobilesms_open_holds{cause="order"}'), 1)
  assert.equal(figure(text, 'mobilesms_open_orders{status="waiting"}'), 1)
  for (const name of ['overdue_holds', 'overdue_orders', 'undecided_message_oldest_seconds'])
    assert.equal(figure(text, `mobilesms_${name}`), 0)
  assert.equal(figure(text, 'mobilesms_mail_letters{state="given_up"}'), 0)
  assert.ok(figure(text, 'mobilesms_platform_deltas_rows') >= 0)
  assert.ok(figure(text, 'mobilesms_unsealed_seqs') >= 0)
  assert.match(text, /^nodejs_eventloop_lag_seconds /m)
  assert.match(text, /^process_resident_memory_bytes /m)
  assert.doesNotMatch(text, /mobilesms_house_read_failures_total\{/, 'every figure could be read')
  // An address that nobody declared is no figure of its own, and no id is one.
  assert.doesNotMatch(text, /nowhere|ord_/)
})

test('whoever looks again at once is shown what the database said a moment ago', async () => {
  const first = await figures()
  const second = await figures()
  const readAt = (text: string) => figure(text, 'mobilesms_house_read_seconds')
  assert.equal(readAt(first.text), readAt(second.text))
})

test('programs of this machine and who has the token may look; to everybody else there is nothing', async () => {
  assert.equal((await figures()).status, 200)
  assert.equal((await figures({ authorization: `Bearer ${TOKEN}` })).status, 200)
  // Through a proxy on this machine: it speaks for somebody else.
  const forwarded = { 'x-forwarded-for': '127.0.0.1' }
  for (const headers of [
    forwarded,
    { forwarded: 'for=127.0.0.1' },
    { ...forwarded, authorization: 'Bearer wrong' },
    { ...forwarded, authorization: TOKEN },
  ]) {
    const answer = await figures(headers)
    assert.equal(answer.status, 404)
    assert.equal(JSON.parse(answer.text).code, 'not_found')
  }
  assert.equal((await figures({ ...forwarded, authorization: `Bearer ${TOKEN}` })).status, 200)
})

test('methods of the caller’s own making are one figure', async () => {
  for (const method of ['BREW', 'PROPFIND']) {
    await new Promise((resolve) =>
      request(`${world.server.url}/api/v1/me`, { method }, (answer) => answer.resume().on('end', resolve))
        .on('error', resolve)
        .end(),
    )
  }
  assert.doesNotMatch((await figures()).text, /BREW|PROPFIND/)
})
