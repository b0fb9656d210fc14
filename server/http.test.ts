import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Site } from '../contract/contract.ts'
import type { Problem } from '../contract/refusals.ts'
import { type Client, startWorld, type World } from '../test/world.ts'

let world: World
let folder: string
let demo: Client
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pages-'))
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>the pages</title>')
  writeFileSync(join(folder, 'assets/index-abc123.js'), `// ${'x'.repeat(5000)}\n`)
  writeFileSync(join(folder, '.stamp'), 'not for visitors')
  world = await startWorld({ env: { WEB_DIST: folder, BRAND_LINK_COLOUR: '#1a5fb4' } })
  demo = await world.demo()
})
after(async () => {
  await world.stop()
  rmSync(folder, { recursive: true })
})

async function asOwner(): Promise<pg.Client> {
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  return owner
}

/** What every refusal looks like. */
function expectProblem(
  answer: { status: number; body: Problem; headers: Headers },
  status: number,
  code: string,
): Problem {
  const { body } = answer
  assert.equal(answer.status, status, JSON.stringify(body))
  assert.match(answer.headers.get('content-type')!, /^application\/problem\+json/)
  assert.equal(body.code, code)
  assert.equal(body.status, status)
  assert.equal(body.type, 'about:blank')
  assert.equal(body.request_id, answer.headers.get('x-request-id'))
  assert.match(body.request_id, /^req_[0-9a-f]{32}$/)
  assert.ok(body.detail.length > 10)
  assert.doesNotMatch(JSON.stringify(body), /\bat .*\.ts|node:internal|select |Error:/i, 'no stack, no statement')
  return body
}

test('an address that does not exist is not found, in every folder of the API', async () => {
  for (const path of ['/api/v1/nothing', '/api', '/api/v2/me', '/webhooks/paypal', '/api/auth/get-session']) {
    for (const method of ['GET', 'POST']) {
      expectProblem(
        await demo.request<Problem>(method, path.replace(/^\/api$/, '/api/'), undefined, {}),
        404,
        'not_found',
      )
    }
  }
})

test('a known address under another method says which methods it has', async () => {
  const cases = [
    ['DELETE', '/api/v1/me', 'GET'],
    ['POST', '/api/v1/balance', 'GET'],
    ['GET', '/webhooks/stripe', 'POST'],
    ['GET', '/api/sandbox/clock', 'POST'],
    ['PUT', '/api/v1/orders', 'GET, POST'],
    ['GET', '/api/auth/sign-in/username', 'POST'],
  ]
  for (const [method, path, allow] of cases) {
    const answer = await demo.request<Problem>(method!, path!, undefined, {})
    expectProblem(answer, 405, 'method_not_allowed')
    assert.equal(answer.headers.get('allow'), allow)
  }
})

test('a body that is no JSON, not sent as JSON, or not an object is refused before anything happens', async () => {
  const clock = (body: unknown, headers: Record<string, string> = {}) =>
    demo.post<Problem>('/api/sandbox/clock', body, headers)
  expectProblem(await clock('{"advance_seconds": 1', { 'content-type': 'application/json' }), 400, 'invalid_request')
  expectProblem(
    await clock('advance_seconds=1', { 'content-type': 'application/x-www-form-urlencoded' }),
    415,
    'unsupported_media_type',
  )
  expectProblem(await clock('{}', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type')
  expectProblem(await clock([]), 400, 'invalid_request')
  expectProblem(await clock('null'), 400, 'invalid_request')
  for (const advance_seconds of [0, -1, 1.5, '60', 31_536_001, null]) {
    assert.equal(expectProblem(await clock({ advance_seconds }), 400, 'invalid_request').field, 'advance_seconds')
  }
})

test('a body beyond the limit is refused: by its announced length, and by what really comes', async () => {
  const large = 'x'.repeat(5_000_000)
  for (const path of [
    '/webhooks/stripe',
    '/webhooks/sms/generic',
    '/api/v1/orders',
    '/api/sandbox/clock',
    '/api/auth/sign-out',
  ]) {
    expectProblem(await demo.post<Problem>(path, large, { 'content-type': 'application/json' }), 413, 'too_large')
  }
  const status = await new Promise<number>((resolve, reject) => {
    const sending = request(
      `${world.server.url}/webhooks/sms/generic`,
      { method: 'POST', headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' } },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode!)
      },
    )
    sending.on('error', reject)
    for (let i = 0; i < 30; i++) sending.write('x'.repeat(10_000))
  })
  assert.equal(status, 413)
})

test('a mistake of ours says nothing but its number', async () => {
  const owner = await asOwner()
  // A table that is gone is a mistake of ours.
  await owner.query('alter table house_clock rename to hidden')
  try {
    const answer = await world.stranger().get<Problem>('/site')
    const { detail, request_id } = expectProblem(answer, 500, 'internal_error')
    assert.match(detail, new RegExp(request_id))
    assert.doesNotMatch(JSON.stringify(answer.body), /house_clock|relation/)
    const alarm = world.alarms.at(-1)!
    assert.equal((alarm.about as { request: string }).request, request_id, 'the log tells the rest under this number')
  } finally {
    await owner.query('alter table hidden rename to house_clock')
    await owner.end()
  }
  assert.equal((await world.stranger().get('/site')).status, 200)
})

test('the site is told to anybody: brand, limits, house time, and the way to the desk', async () => {
  const { body, headers } = await world.stranger().get<Site>('/site')
  assert.deepEqual(
    { ...body, now: '' },
    {
      me: null,
      public_url: world.server.publicUrl,
      brand: { name: 'MobileSMS', link_colour: '#1a5fb4' },
      seller: {
        name: 'MobileSMS',
        address: 'a sandbox on this machine',
        support_email: 'support@sandbox.example',
      },
      now: '',
      topup: { minimum: '5.00', maximum: '1000.00' },
      order: { lifetime_seconds: 1200, cancel_after_seconds: 120, max_open: 20 },
      sandbox: { desk_url: world.sandbox.url, demo: { username: 'demo', password: 'demo-password' } },
    },
  )
  assert.match(body.now, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.equal(headers.get('cache-control'), 'no-store')
  const ana = await world.customer({ name: 'site_ana' })
  assert.deepEqual((await ana.get<Site>('/site')).body.me, { username: 'site_ana', role: 'customer', time_zone: 'UTC' })
})

test('every answer carries the headers that keep a browser from being used against its owner', async () => {
  for (const path of ['/', '/api/v1/site', '/api/v1/nothing', '/assets/index-abc123.js', '/healthz']) {
    const { headers } = await fetch(world.server.url + path)
    assert.match(
      headers.get('content-security-policy')!,
      /default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/,
    )
    assert.doesNotMatch(headers.get('content-security-policy')!, /unsafe|\*/)
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
  }
})

test('every page is the one document, which is asked for anew; its parts are kept for good', async () => {
  for (const path of ['/', '/top-up', '/numbers/ord_1', '/topups/top_1/return?session_id=cs_1', '/assets']) {
    const page = await fetch(world.server.url + path, { headers: { accept: 'text/html,*/*;q=0.8' } })
    assert.equal(page.status, 200, path)
    assert.match(await page.text(), /the pages/)
    assert.equal(page.headers.get('cache-control'), 'no-cache')
  }
  const script = await fetch(`${world.server.url}/assets/index-abc123.js`)
  assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8')
  assert.equal(script.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  assert.equal(script.headers.get('content-encoding'), 'gzip')
  assert.match(await script.text(), /^\/\/ x+\n$/)
  const again = await fetch(`${world.server.url}/`, {
    headers: { 'if-none-match': (await fetch(`${world.server.url}/`)).headers.get('etag')! },
  })
  assert.equal(again.status, 304)
})

test('a file that is not there is not a page, and nothing outside the folder is a file', async () => {
  for (const path of [
    '/assets/index-old.js',
    '/.stamp',
    '/favicon.ico',
    '/..%2fpackage.json',
    '/assets/..%2f..%2fpackage.json',
  ]) {
    const answer = await fetch(world.server.url + path, { headers: { accept: '*/*' } })
    assert.notEqual(answer.headers.get('content-type'), 'application/json', path)
    assert.doesNotMatch(await answer.text(), /mobilesms"|not for visitors/)
  }
  assert.equal((await fetch(`${world.server.url}/assets/index-old.js`)).status, 404)
})

test('HEAD is answered like GET, without a body', async () => {
  const answer = await fetch(`${world.server.url}/top-up`, { method: 'HEAD' })
  assert.equal(answer.status, 200)
  assert.equal(await answer.text(), '')
})

test('alive and ready are two questions', async () => {
  assert.deepEqual((await demo.request('GET', '/api/../healthz', undefined, {})).body, { status: 'alive' })
  assert.equal((await fetch(`${world.server.url}/readyz`)).status, 200)
  const owner = await asOwner()
  await owner.query("insert into migrations (name, checksum) values ('9999_from_the_future.sql', '')")
  const notReady = await fetch(`${world.server.url}/readyz`)
  assert.equal(notReady.status, 503)
  assert.match(await notReady.text(), /another version/)
  await owner.query("delete from migrations where name like '9999%'")
  await owner.end()
  assert.equal((await fetch(`${world.server.url}/readyz`)).status, 200)
})

test('house time moves when the sandbox is told to, and everything due has run when the answer comes', async () => {
  const ana = await world.customer({ name: 'ana', credit: '5.00' })
  const order = await ana.order()
  await world.expectBooks(`
    ana available 3.80
    ana held      1.20`)
  const before = new Date((await ana.get<Site>('/site')).body.now)
  const now = await world.advance(1200)
  assert.ok(now.getTime() - before.getTime() >= 1_200_000)
  assert.equal((await ana.orderNow(order.id)).status, 'expired')
  await world.expectBooks(`
    ana available 5.00
    ana held      0.00
    revenue       0.00`)
  await world.audit()
})

test('what is not HTTP is refused without a trace in the log', async () => {
  const said = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(new URL(world.server.url).port), '127.0.0.1', () => socket.write('HELLO\r\n\r\n'))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
  assert.match(said, /^HTTP\/1\.1 400/)
})
