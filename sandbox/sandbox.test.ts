import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freePort } from '../test/ports.ts'
import { startSandbox } from './sandbox.ts'
import { readSettings } from './settings.ts'
import { asked, sdk, startWorld, until } from './testing.ts'

const folders: string[] = []
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sandbox-'))
  folders.push(path)
  return path
}
after(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true })
})

/** The program itself, as the launcher starts it. */
async function program(environment: Record<string, string>) {
  const child = fork(join(import.meta.dirname, 'main.ts'), {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      SANDBOX_AUTO_SMS_SECONDS: '0',
      SANDBOX_SMTP_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let errors = ''
  child.stderr?.on('data', (part) => {
    errors += part
  })
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? ''))
  })
  return { child, ended, errors: () => errors }
}

test('an answered capture survives kill -9 of the bank, and its key still gets the same answer', async () => {
  const environment = {
    SANDBOX_PORT: String(await freePort()),
    DATA_DIR: folder(),
    SERVER_URL: 'http://127.0.0.1:9',
  }
  const url = `http://127.0.0.1:${environment.SANDBOX_PORT}`
  const alive = () =>
    until(() =>
      fetch(`${url}/healthz`)
        .then((answer) => answer.ok)
        .catch(() => false),
    )
  const stripe = sdk({ port: Number(environment.SANDBOX_PORT) })
  const intents: string[] = []
  for (let round = 0; round < 3; round++) {
    const { child, ended } = await program(environment)
    await alive()
    for (const intent of intents) {
      const kept = await stripe.paymentIntents.capture(intent, {}, { idempotencyKey: `capture ${intent}` })
      assert.equal(kept.status, 'succeeded')
      assert.equal(kept.lastResponse.headers['idempotent-replayed'], 'true')
    }
    const session = await stripe.checkout.sessions.create(asked())
    const answer = await fetch(`${url}/stripe/pay`, {
      method: 'POST',
      body: JSON.stringify({ session: session.id, card: '4000000032200000' }),
    })
    const { payment_intent: intent } = (await answer.json()) as { payment_intent: string }
    await stripe.paymentIntents.capture(intent, {}, { idempotencyKey: `capture ${intent}` })
    child.kill('SIGKILL')
    await ended
    intents.push(intent)
  }
})

test('the program ends by itself on SIGTERM and when its launcher is gone', async () => {
  for (const end of ['SIGTERM', 'disconnect'] as const) {
    const port = await freePort()
    const { child, ended } = await program({
      SANDBOX_PORT: String(port),
      DATA_DIR: folder(),
      SERVER_URL: 'http://127.0.0.1:9',
    })
    await until(() =>
      fetch(`http://127.0.0.1:${port}/healthz`)
        .then((answer) => answer.ok)
        .catch(() => false),
    )
    // An open desk must not keep it.
    const stream = await fetch(`http://127.0.0.1:${port}/desk/events`)
    if (end === 'SIGTERM') child.kill('SIGTERM')
    else child.disconnect()
    assert.equal(await ended, 0)
    await stream.body?.cancel().catch(() => {})
  }
})

test('a wrong setting, a port in use and books in use refuse the start with one sentence', async () => {
  const busy = await startSandbox({ port: 0, dataDir: folder(), serverUrl: 'http://127.0.0.1:9' })
  const shared = folder()
  const holder = await startSandbox({ port: 0, dataDir: shared, serverUrl: 'http://127.0.0.1:9' })
  for (const [environment, words] of [
    [{ SANDBOX_PORT: 'x', DATA_DIR: folder() }, /SANDBOX_PORT is "x": it must be a whole number/],
    [{ DATA_DIR: '' }, /DATA_DIR is missing/],
    [{ SANDBOX_PORT: String(busy.port), DATA_DIR: folder() }, /Port \d+ is in use/],
    [{ SANDBOX_PORT: '0', DATA_DIR: shared }, /another sandbox holds them/],
  ] as const) {
    const { ended, errors } = await program(environment)
    assert.equal(await ended, 1)
    assert.match(errors(), words)
    assert.equal(errors().trim().split('\n').length, 1, errors())
  }
  await busy.stop()
  await holder.stop()
})

test('settings have the defaults of the house and refuse what cannot be', () => {
  const settings = readSettings({ DATA_DIR: '/data' })
  assert.equal(settings.port, 3_001)
  assert.equal(settings.serverUrl, 'http://127.0.0.1:3000')
  assert.equal(settings.autoSmsSeconds, 6)
  assert.equal(readSettings({ DATA_DIR: '/d', STRIPE_WEBHOOK_SECRETS: 'new, old' }).webhookSecret, 'new')
  assert.equal(readSettings({ DATA_DIR: '/d', SANDBOX_AUTO_SMS_SECONDS: '0' }).autoSmsSeconds, 0)
  for (const wrong of [
    { SERVER_URL: 'localhost' },
    { PUBLIC_URL: 'ftp://x' },
    { SANDBOX_PORT: '70000' },
    { SANDBOX_AUTO_SMS_SECONDS: '-1' },
    { SMS_WEBHOOK_SECRETS: ',' },
    { STRIPE_SECRET_KEY: 'sk_live_x' },
  ])
    assert.throws(() => readSettings({ DATA_DIR: '/d', ...wrong }), new RegExp(Object.keys(wrong)[0]!))
})

test('another website may neither press a button nor reach the sandbox under its own name', async () => {
  const world = await startWorld()
  const press = (headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      // fetch would not let these headers be forged.
      const call = request(`${world.sandbox.url}/stripe/webhooks`, { method: 'POST', headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      call.on('error', reject)
      call.end('{"mode":"off"}')
    })
  assert.equal(await press({ origin: 'https://example.com' }), 403)
  assert.equal(await press({ origin: 'null' }), 403)
  assert.equal(await press({ 'sec-fetch-site': 'cross-site', origin: world.sandbox.url }), 403)
  assert.equal(await press({ 'sec-fetch-site': 'same-site' }), 403)
  assert.equal(await press({ host: 'evil.example' }), 421)
  assert.equal((await world.read('/stripe/webhooks'))['mode'], 'on')
  assert.equal(await press({ 'sec-fetch-site': 'same-origin', origin: world.sandbox.url }), 200)
  assert.equal(await press({}), 200)
  await world.stop()
})

test('files are served by their fixed names only', async () => {
  const world = await startWorld()
  for (const name of [
    'tokens.css',
    'desk.css',
    'desk.js',
    'checkout.css',
    'checkout.js',
    'icon.svg',
    'text.woff2',
    'mono-ext.woff2',
  ])
    assert.equal((await fetch(`${world.sandbox.url}/assets/${name}`)).status, 200, name)
  for (const name of ['..%2fmain.ts', '__proto__', 'constructor', 'main.ts'])
    assert.equal((await fetch(`${world.sandbox.url}/assets/${name}`)).status, 404, name)
  await world.stop()
})
