/** The API and its document say the same, and every address answers failures in one form. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import type { Problem } from '../contract/refusals.ts'
import { createRouteTable, policies, type Route } from '../server/platform/route.ts'
import { startWorld, type World } from './world.ts'

type Operation = { operationId: string; 'x-policy': string; summary: string; tags: string[]; security: object[] }
type Document = {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
  tags: { name: string }[]
}

let world: World
let document: Document
let routes: readonly Route[]

before(async () => {
  world = await startWorld()
  document = (await world.stranger().get<Document>('/api/openapi.json')).body
  routes = world.server.routes!
})
after(() => world.stop())

test('the document is OpenAPI 3.1, and anybody may read it', () => {
  assert.match(document.openapi, /^3\.1\./)
  assert.ok(Object.keys(document.paths).length >= 20)
})

test('what is declared and what is documented are the same', () => {
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )
  const declared = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
  assert.deepEqual(documented.toSorted(), declared.toSorted())
})

test('no address answers that is not declared', () => {
  // What the router knows beyond the table would have neither a policy nor a place in the document.
  const { http } = world.server.parts
  const known = http.routes
    .filter(({ method, path }) => method !== 'ALL' && !path.includes('*'))
    // The ending of a file's name is told to the router in its own way.
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replace(/\{.*\\(\.\w+)\}$/, '$1')}`)
  const declared = new Set(routes.map(({ method, path }) => `${method} ${path}`))
  assert.ok(known.length >= routes.length)
  assert.deepEqual(
    known.filter((route) => !declared.has(route)),
    [],
  )
})

test('every operation has its policy, its chapter, and a name of its own', () => {
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
  for (const operation of operations) {
    assert.ok(operation['x-policy'] in policies, operation.operationId)
    assert.ok(
      document.tags.some(({ name }) => operation.tags.includes(name)),
      operation.operationId,
    )
    assert.match(operation.summary, /^[A-Z].*[^.]$/, operation.operationId)
  }
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length)
})

test('every name that the document refers to is in it', () => {
  const names = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]!)
  assert.ok(names.length > 0)
  assert.deepEqual(
    names.filter((name) => !(name in document.components.schemas)),
    [],
  )
})

test('a route without a policy is refused before it serves anybody', () => {
  const guard = async () => {}
  const table = createRouteTable({
    read: guard,
    order: guard,
    topup: guard,
    session: guard,
    recent: guard,
    staff: guard,
    operator: guard,
  })
  const declaration = { summary: 'Do a thing', answers: { 200: 'text/plain' } }
  assert.throws(() => table.get('/x', declaration as never, () => new Response()), /has no policy/)
  table.get('/x', { ...declaration, policy: 'public' }, () => new Response())
  assert.throws(() => table.get('/x', { ...declaration, policy: 'public' }, () => new Response()), /declared twice/)
})

const addresses = ['/api/v1/nothing', '/api', '/api/', '/api/v1/orders/x/y/z', '/webhooks/nobody', '/api/auth/nothing']
for (const path of addresses) {
  test(`there is nothing at ${path}, and that is said as a problem`, async () => {
    const answer = await world.stranger().get<Problem>(path)
    assert.equal(answer.status, 404)
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
    assert.equal(answer.body.code, 'not_found')
    assert.match(answer.body.request_id, /^req_[0-9a-f]{32}$/)
    assert.equal(answer.headers.get('x-request-id'), answer.body.request_id)
  })
}

test('another method than the declared ones is told which there are, on every route', async () => {
  const byPath = Map.groupBy(routes, (route) => route.path)
  for (const [path, own] of byPath) {
    const methods = own.map(({ method }) => method.toUpperCase())
    const other = ['DELETE', 'PATCH', 'PUT', 'POST'].find((method) => !methods.includes(method))!
    const answer = await world.stranger().request<Problem>(other, path.replace(/:\w+/g, 'x'), undefined, {})
    assert.equal(answer.status, 405, `${other} ${path}`)
    assert.equal(answer.body.code, 'method_not_allowed')
    const allowed = answer.headers.get('allow')!.split(', ')
    for (const method of methods) assert.ok(allowed.includes(method), `${path} allows ${allowed}`)
  }
})

test('HEAD of a stream opens none, however often it is asked', async () => {
  const ana = await world.customer()
  const streams = routes.filter((route) => route.stream)
  assert.ok(streams.length > 0)
  for (const { path } of streams) {
    for (let i = 0; i < 25; i++) {
      const answer = await ana.request('HEAD', path, undefined, {})
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/event-stream'])
    }
  }
  await (await world.live(ana)).end()
})

/** Every route that reads a JSON body, asked by whoever its policy lets in. */
async function bodies() {
  const ana = await world.customer({ credit: '5.00' })
  const browser = await world.signIn(ana)
  return routes
    .filter((route) => route.body)
    .map((route) => ({
      route,
      path: route.path.replace(/:\w+/g, 'x'),
      client: ['session', 'recent'].includes(route.policy)
        ? browser
        : route.policy === 'public'
          ? world.stranger()
          : ana,
    }))
}

test('a body that is no JSON, of another kind, too large or with a zero character is refused on every route that reads one', async () => {
  const wrong: [body: string, headers: Record<string, string>, status: number, code: string][] = [
    ['{"a": ', { 'content-type': 'application/json' }, 400, 'invalid_request'],
    ['', { 'content-type': 'application/json' }, 400, 'invalid_request'],
    ['a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
    ['{}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    [`{"a": "${'x'.repeat(1024 * 1024)}"}`, { 'content-type': 'application/json' }, 413, 'too_large'],
    ['{"a": "\\u0000"}', { 'content-type': 'application/json' }, 400, 'invalid_request'],
  ]
  for (const { route, path, client } of await bodies()) {
    if (route.policy === 'staff') continue
    for (const [body, headers, status, code] of wrong) {
      const answer = await client.request<Problem>(route.method.toUpperCase(), path, body, headers)
      const at = `${route.method} ${route.path} with ${body.slice(0, 12)}`
      // A limit on tries stands before the body is looked at.
      if (answer.status === 429) continue
      assert.equal(answer.body.code, code, `${at}: ${JSON.stringify(answer.body)}`)
      assert.equal(answer.status, status, at)
    }
  }
})

test('every list has pages: limits 0, -1, 10⁹ and 1.5, and foreign cursors, are refused with the field', async () => {
  const ana = await world.customer()
  const browser = await world.signIn(ana)
  const staff = await world.signIn({ name: 'staff', password: 'staff-password' })
  const clients = { public: world.stranger(), session: browser, staff }
  const lists = routes.filter((route) => route.list)
  assert.ok(lists.length >= 3)
  for (const route of lists) {
    const client = route.policy in clients ? clients[route.policy as keyof typeof clients] : ana
    for (const limit of ['0', '-1', '1000000000', '1.5', 'x', '']) {
      const answer = await client.get<Problem>(`${route.path}?limit=${limit}`)
      assert.deepEqual([answer.status, answer.body.field], [400, 'limit'], `${route.path}?limit=${limit}`)
    }
    const answer = await client.get<Problem>(`${route.path}?cursor=${Buffer.from('nonsense!').toString('base64url')}`)
    assert.deepEqual([answer.status, answer.body.field], [400, 'cursor'], route.path)
    const first = await client.get(`${route.path}?limit=1`)
    assert.equal(first.status, 200)
    assert.ok('next_cursor' in first.body)
  }
})

test('a body that never ends is cut off at its limit', async () => {
  const { key } = await world.customer()
  const status = await new Promise<number>((resolve, reject) => {
    const sending = request(
      `${world.server.url}/api/v1/orders`,
      { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` } },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode!)
      },
    ).on('error', reject)
    // Chunks without a declared length, a megabyte of them.
    for (let chunk = 0; chunk < 16; chunk++) sending.write('x'.repeat(64 * 1024))
    sending.end()
  })
  assert.equal(status, 413)
})
