/** For the tests beside the files: a sandbox of its own, the official SDK pointed at it, and a server that only listens. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import Stripe from 'stripe'
import { type Sandbox, startSandbox } from './sandbox.ts'
import { API_VERSION } from './stripe/events.ts'

export type Heard = { path: string; body: string; headers: IncomingMessage['headers'] }

/** A stand-in for the server: hears webhooks and SMS, answers what the test says. */
export type Receiver = {
  url: string
  heard: Heard[]
  /** What the next calls are answered with: 200 unless told otherwise; `hang` closes the connection without an answer. */
  answer: (call: Heard) => { status: number; body?: unknown } | 'hang' | undefined
  /** Takes over a call altogether, for streams. */
  handle?: (request: IncomingMessage, response: ServerResponse) => boolean
  events: () => Stripe.Event[]
  stop: () => Promise<void>
}

export async function startReceiver(): Promise<Receiver> {
  const heard: Heard[] = []
  const receiver: Receiver = {
    url: '',
    heard,
    answer: () => undefined,
    events: () => heard.filter((call) => call.path === '/webhooks/stripe').map((call) => JSON.parse(call.body)),
    stop: () => close(server),
  }
  const server = createServer(async (request, response) => {
    if (receiver.handle?.(request, response)) return
    // The phones ask for orders all the time; most tests have none.
    if (request.url?.startsWith('/api/v1/')) {
      response.writeHead(404).end()
      return
    }
    let body = ''
    for await (const part of request) body += part
    const call = { path: request.url ?? '', body, headers: request.headers }
    const said = receiver.answer(call) ?? { status: 200, body: { status: 'accepted' } }
    if (said === 'hang') {
      request.socket.destroy()
      return
    }
    heard.push(call)
    response.writeHead(said.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(said.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return receiver
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

export type World = {
  sandbox: Sandbox
  receiver: Receiver
  stripe: Stripe
  dataDir: string
  /** Milliseconds. The world's clock stands still unless it is moved by hand, so that a slow machine decides nothing. */
  pass: (milliseconds: number) => void
  /** Stops the sandbox and starts it again on the same books. */
  restart: () => Promise<void>
  control: (path: string, asked: unknown) => Promise<{ status: number; body: Record<string, unknown> }>
  read: (path: string) => Promise<Record<string, unknown>>
  stop: () => Promise<void>
}

const running = new Set<World>()
// A test that fails in the middle must not keep the others waiting for its end.
after(() => Promise.all([...running].map((world) => world.stop())))

export async function startWorld(options: { autoSmsSeconds?: number } = {}): Promise<World> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sandbox-'))
  const receiver = await startReceiver()
  let now = Date.now()
  const start = () =>
    startSandbox({
      port: 0,
      dataDir,
      serverUrl: receiver.url,
      publicUrl: 'http://localhost:4299',
      autoSmsSeconds: 0,
      clock: () => now,
      ...options,
    })
  const world: World = {
    sandbox: await start(),
    receiver,
    stripe: new Stripe('sk_test_sandbox'),
    dataDir,
    pass: (milliseconds) => {
      now += milliseconds
    },
    async restart() {
      await world.sandbox.stop()
      world.sandbox = await start()
      world.stripe = sdk(world.sandbox)
    },
    async control(path, asked) {
      const answer = await fetch(world.sandbox.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(asked),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    },
    read: async (path) => (await (await fetch(world.sandbox.url + path)).json()) as Record<string, unknown>,
    async stop() {
      if (!running.delete(world)) return
      await world.sandbox.stop()
      await receiver.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
  world.stripe = sdk(world.sandbox)
  running.add(world)
  return world
}

export function sdk(sandbox: Pick<Sandbox, 'port'>, options: Partial<Stripe.StripeConfig> = {}): Stripe {
  return new Stripe('sk_test_sandbox', {
    host: '127.0.0.1',
    port: sandbox.port,
    protocol: 'http',
    telemetry: false,
    maxNetworkRetries: 0,
    apiVersion: API_VERSION,
    ...options,
  })
}

/** What a top-up asks for. */
export function asked(amount = 1_000): Stripe.Checkout.SessionCreateParams {
  return {
    mode: 'payment',
    client_reference_id: 'top_1',
    metadata: { topup_id: 'top_1' },
    line_items: [
      { quantity: 1, price_data: { currency: 'usd', unit_amount: amount, product_data: { name: 'Prepaid credits' } } },
    ],
    allowed_payment_method_types: ['card'],
    payment_method_options: { card: { request_three_d_secure: 'any' } },
    payment_intent_data: { capture_method: 'manual', metadata: { topup_id: 'top_1', only: 'intent' } },
    adaptive_pricing: { enabled: false },
    wallet_options: { link: { display: 'never' } },
    success_url: 'http://localhost:4299/topups/top_1/return?session_id={CHECKOUT_SESSION_ID}',
    cancel_url: 'http://localhost:4299/topups/top_1/cancelled',
  }
}

/** Long enough for a machine that does other things too; a test that waits for nothing fails by it. */
const PATIENCE_MS = 30_000

/** Waits until something has become true. */
export async function until<Result>(
  look: () => Result | Promise<Result>,
): Promise<Exclude<NonNullable<Result>, false>> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (seen) return seen as Exclude<NonNullable<Result>, false>
    if (Date.now() > end) throw new Error(`Did not become true within ${PATIENCE_MS} ms: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
