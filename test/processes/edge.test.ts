/**
 * Cookies and origins, as the internet meets a production installation behind a TLS proxy: what the browser is told, whom the server
 * believes, and that no page of another site, no plain connection and no reading changes anything.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from '@playwright/test'
import type { Order } from '../../contract/contract.ts'
import type { Route } from '../../server/platform/route.ts'
import { type Answer, type Edge, fillShop, HOST, startEdge } from './edge.ts'
import { asOwner } from './house.ts'

let edge: Edge
let ana: Awaited<ReturnType<Edge['customer']>>
let order: Order
before(async () => {
  edge = await startEdge()
  await fillShop(edge)
  ana = await edge.customer('ana')
  const placed = await edge.ask(
    'POST',
    '/api/v1/orders',
    { authorization: `Bearer ${ana.apiKey}`, 'content-type': 'application/json' },
    '{"service":"telegram","country":"GB"}',
  )
  assert.equal(placed.status, 201, placed.text)
  order = JSON.parse(placed.text)
})
after(() => edge.stop())

const routes = (): readonly Route[] => edge.server().parts.routes

/** The address of a route, with ids that are the customer's own where there are some. */
function addressOf(route: Route): string {
  return route.path.replace(/:(\w+)/g, (_, name) =>
    route.path.startsWith('/api/v1/orders/')
      ? order.id
      : ({ service: 'telegram', country: 'GB' }[name as string] ?? 'something'),
  )
}

async function session(): Promise<string> {
  const entered = await edge.signIn(ana)
  assert.equal(entered.status, 200, entered.text)
  return sessionOf(entered)
}

/** The session's cookie alone, as a browser sends it. */
function sessionOf(entered: Answer): string {
  const cookie = entered.setCookie.find((each) => each.startsWith('__Host-mobilesms_session='))
  assert.ok(cookie, `no session among ${entered.setCookie}`)
  return cookie.split(';')[0]!
}

/**
 * Everything that is written down, table by table. But for when and from where a key or a session was last used: that is written in
 * batches, and says only that somebody was here.
 */
function books(): Promise<Record<string, string>> {
  return asOwner(edge.db.url, async (owner) => {
    const { rows } = await owner.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name
         from pg_tables
        where schemaname in ('public', 'auth') or (schemaname = 'pgboss' and tablename ~ '^job')
        order by 1`,
    )
    const found: Record<string, string> = {}
    for (const { name } of rows) {
      const { rows: sums } = await owner.query<{ sum: string }>(
        `select count(*) || ' ' || coalesce(md5(string_agg(row, '|' order by row)), '') as sum
           from (select (select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(t)) where key !~* '^last_?used')::text as row
                   from ${name} t) s`,
      )
      found[name] = sums[0]!.sum
    }
    return found
  })
}

test('the session is a cookie that only this host sets, over TLS, out of reach of scripts and of other sites', async () => {
  const entered = await edge.signIn(ana)
  assert.equal(entered.status, 200, entered.text)
  for (const cookie of entered.setCookie) {
    const [pair, ...attributes] = cookie.split('; ')
    assert.match(pair!, /^__Host-mobilesms_(session|browser)=[\w-]{43}$/)
    const words = attributes.map((attribute) => attribute.toLowerCase())
    for (const wanted of ['path=/', 'secure', 'httponly', 'samesite=lax']) assert.ok(words.includes(wanted), wanted)
    assert.ok(!words.some((word) => word.startsWith('domain')), 'a __Host- cookie names no domain')
  }
  const cookie = sessionOf(entered)
  assert.equal((await edge.ask('GET', '/api/v1/me', { cookie })).status, 200)
  const document = JSON.parse((await edge.ask('GET', '/api/openapi.json')).text)
  assert.equal(
    document.components.securitySchemes.session.name,
    cookie.split('=')[0],
    'the document names it as it is here',
  )
  // The name of before, without the prefix that only this host may set, is nobody's.
  assert.equal((await edge.ask('GET', '/api/v1/me', { cookie: cookie.replace('__Host-', '') })).status, 401)

  // Who reads the database cannot sign in with what stands there.
  const { rows } = await asOwner(edge.db.url, (owner) =>
    owner.query<{ token_sha256: Buffer }>('select token_sha256 from auth.sessions'),
  )
  for (const { token_sha256: kept } of rows)
    for (const form of [kept.toString('base64url'), kept.toString('hex'), kept.toString('base64')])
      assert.equal((await edge.ask('GET', '/api/v1/me', { cookie: `__Host-mobilesms_session=${form}` })).status, 401)

  const left = await edge.ask('POST', '/api/auth/sign-out', { cookie, origin: edge.publicUrl })
  assert.equal(left.status, 200, left.text)
  assert.match(left.setCookie[0]!, /^__Host-mobilesms_session=; .*Max-Age=0/)
  assert.match(left.setCookie[0]!, /Secure/)
  assert.equal((await edge.ask('GET', '/api/v1/me', { cookie })).status, 401)
})

test('every kind of answer says what a browser may do with it', async () => {
  const answers: [string, Answer][] = []
  for (const path of [
    '/',
    '/sign-in',
    '/nothing/here.png',
    '/api/v1/site',
    '/api/v1/me',
    '/api/openapi.json',
    '/healthz',
  ])
    answers.push([path, await edge.ask('GET', path)])
  answers.push(['POST', await edge.ask('POST', '/api/v1/orders', { 'content-type': 'text/plain' }, 'x')])
  const html = answers[0]![1].text
  for (const [, file] of html.matchAll(/(?:src|href)="([^"]+)"/g))
    answers.push([file!, await edge.ask('GET', new URL(file!, edge.publicUrl).pathname)])
  for (const [what, { headers }] of answers) {
    assert.equal(headers['strict-transport-security'], 'max-age=31536000', what)
    assert.equal(headers['referrer-policy'], 'no-referrer', what)
    assert.equal(headers['x-content-type-options'], 'nosniff', what)
    assert.equal(headers['x-frame-options'], 'DENY', what)
    assert.equal(headers['access-control-allow-origin'], undefined, what)
    const policy = new Map(
      String(headers['content-security-policy'])
        .split(';')
        .map((directive) => directive.trim().split(/\s+(.*)/) as [string, string]),
    )
    assert.equal(policy.get('default-src'), "'none'", what)
    assert.equal(policy.get('script-src'), "'self'", what)
    assert.equal(policy.get('style-src'), "'self'", what)
    assert.equal(policy.get('frame-ancestors'), "'none'", what)
    assert.equal(policy.get('base-uri'), "'none'", what)
    assert.equal(policy.get('form-action'), "'self'", what)
    assert.doesNotMatch([...policy.values()].join(' '), /unsafe|\*|https?:|blob:/, what)
  }
  assert.equal((await edge.ask('GET', '/api/v1/me')).headers['cache-control'], 'no-store')
})

/** No addresses to fetch from: names of standards, where a message is explained, and a link that a person may follow. */
const onlyNamed =
  /^https?:\/\/(www\.w3\.org\/|react\.dev\/|tanstack\.com\/|base-ui\.com\/|tailwindcss\.com|json-schema\.org\/|github\.com\/|localhost|example\.|sms\.example|[a-z]+\.invalid$|stripe\.com\/privacy$)/

test('nothing in the pages comes from anybody else', () => {
  const folder = edge.server().config.webFolder
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(html|css|js|svg|json|webmanifest)$/.test(name),
  )
  assert.ok(files.length > 3, 'the pages are built')
  for (const name of files) {
    const text = readFileSync(join(folder, name), 'utf8')
    const shown = name.endsWith('.css') ? text.replace(/\/\*.*?\*\//gs, '') : text
    const named = /\.(html|css)$/.test(name)
      ? (shown.match(/(?:https?:)?\/\/[a-z0-9-]+\.[a-z][^\s"')]*/gi) ?? [])
      : (shown.match(/https?:\/\/[^\s"'`<>\\)]+/g) ?? []).filter((address) => !onlyNamed.test(address))
    assert.deepEqual(named, [], `${name} names another origin`)
    if (name.endsWith('.html')) {
      const inline = shown.match(/<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)/gi) ?? []
      assert.deepEqual(inline, [], `${name} has something inline`)
    }
  }
})

/** Everything that a page of another site can make a browser send without asking: forms, images, links, simple requests. */
function corpus(route: Route): { headers: Record<string, string>; body: string }[] {
  const example = (route.example ?? { id: 'x', text: 'x' }) as Record<string, unknown>
  const json = JSON.stringify(example)
  const form = new URLSearchParams(Object.entries(example).map(([name, value]) => [name, String(value)])).toString()
  const part = `--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n${json}\r\n--x--\r\n`
  const bodies = [
    { type: 'text/plain', body: json },
    { type: 'text/plain; charset=application/json', body: json },
    { type: 'application/x-www-form-urlencoded', body: form },
    { type: 'multipart/form-data; boundary=x', body: part },
    { type: null, body: '' },
    // More than a browser would send unasked; it must not succeed either.
    { type: 'application/json', body: json },
  ]
  const origins: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `https://evil.${new URL(edge.publicUrl).host}` },
    { origin: edge.publicUrl.replace('https:', 'http:') },
    { origin: 'http://localhost:3000' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: edge.publicUrl, 'sec-fetch-site': 'cross-site' },
  ]
  return origins.flatMap((origin) =>
    bodies.map(({ type, body }) => ({ headers: { ...origin, ...(type ? { 'content-type': type } : {}) }, body })),
  )
}

test('of everything that a page of another site can send with the cookie, nothing succeeds', async (t) => {
  const cookie = await session()
  const before = await books()
  const changing = routes().filter((route) => route.method !== 'get' && !isOpenToAll(route))
  assert.ok(changing.length >= 8, 'there are routes to try')
  let tried = 0
  const succeeded: string[] = []
  for (const route of changing) {
    for (const { headers, body } of corpus(route)) {
      const answer = await edge.ask(route.method.toUpperCase(), addressOf(route), { ...headers, cookie }, body)
      tried++
      if (answer.status < 400 || answer.status >= 500)
        succeeded.push(`${route.method} ${route.path} ${JSON.stringify(headers)}: ${answer.status}`)
    }
  }
  t.diagnostic(`${tried} requests to ${changing.length} routes`)
  assert.deepEqual(succeeded, [])
  assert.deepEqual(await books(), before, 'and nothing is written')
  // Of the pages of this house it does succeed: it was the origin that was refused.
  const own = { cookie, origin: edge.publicUrl, 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' }
  const changed = await edge.ask('PATCH', '/api/v1/settings', own, '{"time_zone":"Europe/Berlin"}')
  assert.equal(changed.status, 200, changed.text)
})

/** No cookie is asked for: whoever sends this could have sent it himself. */
function isOpenToAll(route: Route): boolean {
  return route.policy === 'public' && !/sign-(in|out)/.test(route.path)
}

test('what is open to everybody takes JSON only, which another site cannot send unasked', async () => {
  for (const route of routes().filter((each) => each.method !== 'get' && isOpenToAll(each))) {
    for (const { headers, body } of corpus(route)) {
      if (headers['content-type'] === 'application/json') continue
      const answer = await edge.ask(route.method.toUpperCase(), addressOf(route), headers, body)
      assert.ok([403, 415].includes(answer.status), `${route.method} ${route.path}: ${answer.status} ${answer.text}`)
    }
  }
})

test('reading changes nothing: no route that is a GET writes', async () => {
  const cookie = await session()
  const reading = routes().filter((route) => route.method === 'get' && !route.stream)
  assert.ok(reading.length >= 12, 'there are routes to read')
  const paths = [...reading.map(addressOf), '/', '/sign-in', '/top-up', '/billing', `/numbers/${order.id}`]
  const keep = { cookie, authorization: `Bearer ${ana.apiKey}` }
  const before = await books()
  for (const path of paths) {
    for (const method of ['GET', 'HEAD']) {
      const asPerson = await edge.ask(method, path, { cookie: keep.cookie })
      assert.ok(asPerson.status < 500, `${method} ${path}: ${asPerson.status} ${asPerson.text}`)
      await edge.ask(method, path, { authorization: keep.authorization })
    }
  }
  assert.deepEqual(await books(), before)
})

test('whom a client says to be is not believed: the address is the one that our proxy saw', async () => {
  for (const said of ['6.6.6.6', '127.0.0.1, 6.6.6.6', '::1', 'nonsense', "6.6.6.6', now()) --"]) {
    const entered = await edge.signIn(ana, {
      'x-forwarded-for': said,
      'x-real-ip': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
    })
    assert.equal(entered.status, 200, entered.text)
  }
  const { rows } = await asOwner(edge.db.url, (owner) => owner.query('select distinct address from auth.sessions'))
  assert.deepEqual(rows, [{ address: '127.0.0.1' }])
  // The proxy speaks for somebody else, also where it stands beside the server.
  for (const said of ['127.0.0.1', '::1'])
    assert.notEqual((await edge.ask('GET', '/metrics', { 'x-forwarded-for': said })).status, 200)
})

test('the name under which it was asked is not believed', async () => {
  for (const host of ['evil.example', 'evil.example:443', `${HOST}.evil.example`]) {
    for (const path of ['/', '/api/v1/site', '/api/openapi.json', '/nothing', '/api/nothing']) {
      const { text, headers } = await edge.ask('GET', path, { host, 'x-forwarded-host': host })
      assert.doesNotMatch(text + JSON.stringify(headers), /evil\.example/, path)
    }
    const redirected = await edge.askPlainly('GET', '/numbers?q=gb', { host })
    assert.equal(redirected.headers.location, `${edge.publicUrl}/numbers?q=gb`)
  }
})

test('without TLS a page is shown where it is, and a program is refused', async () => {
  const before = await books()
  for (const path of ['/top-up', '/api/docs']) {
    const page = await edge.askPlainly('GET', path)
    assert.equal(page.status, 308)
    assert.equal(page.headers.location, `${edge.publicUrl}${path}`)
    assert.deepEqual(page.setCookie, [])
  }
  for (const [method, path, body] of [
    ['GET', '/api/v1/me', null],
    ['POST', '/api/v1/orders', '{"service":"telegram","country":"GB"}'],
    ['POST', '/api/auth/sign-in/username', JSON.stringify({ username: ana.name, password: ana.password })],
    ['POST', '/webhooks/stripe', '{}'],
  ] as const) {
    const headers = {
      authorization: `Bearer ${ana.apiKey}`,
      'content-type': 'application/json',
      origin: edge.publicUrl,
    }
    const refused = await edge.askPlainly(method, path, headers, body)
    assert.equal(refused.status, 403, `${method} ${path}`)
    assert.equal(JSON.parse(refused.text).code, 'forbidden')
    assert.match(JSON.parse(refused.text).detail, /without TLS, so nothing was done/)
    assert.deepEqual(refused.setCookie, [])
  }
  assert.deepEqual(await books(), before)
})

test('in a browser: signed in behind the proxy, still so after a restart, and not to be used by another site', async () => {
  const evil = createServer((request, response) => {
    const act = new URL(request.url!, 'http://evil').searchParams.get('act')
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end(
      act
        ? `<form method="post" action="${edge.publicUrl}${act}" enctype="text/plain"><input name='{"service":"telegram","country":"GB","x":"' value='"}'></form><script>document.forms[0].submit()</script>`
        : '<p>evil</p>',
    )
  }).listen(0, '127.0.0.1')
  await once(evil, 'listening')
  const evilUrl = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  })
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const complaints: string[] = []
    const strangers = new Set<string>()
    context.on('console', (message) => {
      if (/Content.Security.Policy|Refused to/i.test(message.text())) complaints.push(message.text())
    })
    context.on('request', (request) => {
      const url = new URL(request.url())
      if (/^https?:$/.test(url.protocol)) strangers.add(url.origin)
    })
    const page = await context.newPage()
    await page.goto(`${edge.publicUrl}/sign-in`)
    await page.getByLabel('Username').fill(ana.name)
    await page.getByLabel('Password', { exact: true }).fill(ana.password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()

    const cookies = await context.cookies()
    assert.deepEqual(
      cookies.map(({ name, secure, httpOnly, sameSite, path }) => ({ name, secure, httpOnly, sameSite, path })),
      ['session', 'browser'].map((what) => ({
        name: `__Host-mobilesms_${what}`,
        secure: true,
        httpOnly: true,
        sameSite: 'Lax',
        path: '/',
      })),
    )
    assert.equal(await page.evaluate<string>('document.cookie'), '')

    await edge.restart()
    await page.reload()
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()
    const second = await context.newPage()
    await second.goto(`${edge.publicUrl}/billing`)
    await second.getByRole('heading', { level: 1, name: 'Billing History' }).waitFor()
    assert.deepEqual([...strangers], [edge.publicUrl], 'nobody else was asked for anything')

    const before = await books()
    const visit = await context.newPage()
    for (const act of ['/api/v1/orders', `/api/v1/orders/${order.id}/cancel`, '/api/auth/sign-out']) {
      const answered = visit.waitForResponse((response) => response.url() === edge.publicUrl + act)
      await visit.goto(`${evilUrl}/?act=${encodeURIComponent(act)}`)
      assert.ok((await answered).status() >= 400, act)
    }
    assert.deepEqual(await books(), before)
    await page.reload()
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()
    assert.deepEqual(complaints, [])
  } finally {
    await browser.close()
    evil.close()
  }
})
