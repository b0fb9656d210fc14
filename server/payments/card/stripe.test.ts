import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { openStripe } from './stripe.ts'

const TOPUP = '01933333-0000-7000-8000-000000000001'

let server: Server
let apiUrl = ''
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {}
let requests: IncomingMessage[] = []

before(async () => {
  server = createServer((request, response) => {
    requests.push(request)
    request.resume().on('end', () => answer(request, response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => {
  server.closeAllConnections()
  server.close()
})

function capture() {
  requests = []
  return openStripe({ secretKey: 'sk_test_sandbox', apiUrl }).capture(TOPUP, 'pi_1')
}

const says =
  (status: number, error: object, headers: Record<string, string> = {}) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ error }))
  }
/** Stripe's own word against repeating at once, so that these tests need not wait for it. */
const once = { 'stripe-should-retry': 'false' }

test('a live key is never sent to another address than its own', () => {
  for (const secretKey of ['sk_live_1', 'rk_live_1']) {
    assert.throws(() => openStripe({ secretKey, apiUrl }), /STRIPE_API_URL must not be set/)
    openStripe({ secretKey, apiUrl: null })
  }
  for (const wrong of ['http://127.0.0.1:1/v1', 'ftp://127.0.0.1', 'nowhere']) {
    assert.throws(() => openStripe({ secretKey: 'sk_test_1', apiUrl: wrong }))
  }
})

test('what Stripe refuses for good is told apart from what is not known', async () => {
  for (const [status, error, expected] of [
    [400, { type: 'invalid_request_error', code: 'payment_intent_unexpected_state' }, 'refused'],
    [400, { type: 'invalid_request_error', code: 'charge_expired_for_capture' }, 'refused'],
    [400, { type: 'idempotency_error' }, 'refused'],
    [402, { type: 'card_error', code: 'card_declined' }, 'refused'],
    [404, { type: 'invalid_request_error', code: 'resource_missing' }, 'refused'],
    [401, { type: 'invalid_request_error' }, 'unknown'],
    [403, { type: 'invalid_request_error' }, 'unknown'],
    [409, { type: 'invalid_request_error', code: 'lock_timeout' }, 'unknown'],
    [409, { type: 'api_error', code: 'idempotency_key_in_use' }, 'unknown'],
    [429, { type: 'invalid_request_error', code: 'rate_limit' }, 'unknown'],
    [500, { type: 'api_error' }, 'unknown'],
    [502, { type: 'api_error' }, 'unknown'],
  ] as const) {
    answer = says(status, { message: 'no', ...error }, once)
    const outcome = await capture()
    assert.equal(outcome.ok, false)
    assert.equal(!outcome.ok && outcome.why, expected, `${status} ${JSON.stringify(error)}`)
  }
})

test('no answer, half an answer and nonsense say nothing about what happened', async () => {
  for (const broken of [
    (_: IncomingMessage, response: ServerResponse) => void response.socket!.destroy(),
    (_: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
      response.write('{"id":')
      setTimeout(() => response.socket!.destroy(), 10)
    },
    (_: IncomingMessage, response: ServerResponse) => void response.end('<html>'),
  ]) {
    answer = broken
    const outcome = await capture()
    assert.equal(!outcome.ok && outcome.why, 'unknown')
  }
})

test('each call carries the version and its durable key, and every repetition the same', async () => {
  answer = (_, response) => {
    if (requests.length < 3) return void response.socket!.destroy()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ id: 'pi_1', object: 'payment_intent', status: 'succeeded' }))
  }
  assert.equal((await capture()).ok, true)
  assert.equal(requests.length, 3)
  for (const { headers } of requests) {
    assert.equal(headers['idempotency-key'], `topup:${TOPUP}:capture`)
    assert.equal(headers['stripe-version'], '2026-10-28.endive')
    assert.equal(headers['x-stripe-client-telemetry'], undefined)
  }
})
