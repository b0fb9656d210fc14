import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Order } from '../contract/contract.ts'
import { startRig } from '../test/chains/anvil.ts'
import { freshDatabase, type TestDatabase } from '../test/database.ts'
import { until } from '../test/until.ts'
import { startWorld, type World } from '../test/world.ts'

const MAIN = join(import.meta.dirname, 'main.ts')

let db: TestDatabase
before(async () => {
  db = await freshDatabase()
})
after(() => db.close())

function settings(more: Record<string, string> = {}): Record<string, string> {
  return {
    PORT: '0',
    SANDBOX_PORT: '1',
    DATABASE_URL: db.url,
    AUTH_SECRET: 'the-secret-of-a-test-world-0123456789',
    STRIPE_SECRET_KEY: 'sk_test_sandbox',
    STRIPE_WEBHOOK_SECRETS: 'whsec_sandbox',
    STRIPE_API_URL: 'http://127.0.0.1:1',
    SMS_WEBHOOK_SECRETS: 'sms_sandbox',
    ...more,
  }
}

/** The program by itself: what it writes, and how it ends. */
function run(env: Record<string, string>): { child: ChildProcess; said: () => string; ended: Promise<number | null> } {
  // Read and compiled before: nothing of the machine's but that.
  const { NODE_COMPILE_CACHE = '' } = process.env
  const child = spawn(process.execPath, [MAIN], {
    env: { NODE_COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let said = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  // Not 'close', which never comes after the channel was cut from this side.
  const ended = Promise.all([once(child, 'exit'), once(child.stdout!, 'end'), once(child.stderr!, 'end')])
  return { child, said: () => said, ended: ended.then(() => child.exitCode) }
}

async function serving(program: ReturnType<typeof run>): Promise<string> {
  return until(async () => /"url":"(http:[^"]+)"/.exec(program.said())?.[1])
}

test('a token whose contract counts otherwise stops the start with a sentence that says which', async () => {
  const rig = await startRig()
  await rig.put('Eighteen', '0xdac17f958d2ee523a2206206994597c13d831ec7')
  await rig.put('Plain', '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48')
  const program = run(settings({ ETHEREUM_RPC_URLS: rig.url }))
  assert.equal(await program.ended, 1)
  assert.match(
    program.said(),
    /USDT: the contract at 0x\w{40} counts with 18 decimals, not with 6\. Either ETHEREUM_RPC_URLS/,
  )
})

test('wrong settings are told all at once, a sentence each, and nothing is started', async () => {
  const program = run(settings({ PORT: 'x', AUTH_SECRET: 'short' }))
  assert.equal(await program.ended, 1)
  const lines = program.said().trim().split('\n')
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    ['PORT', 'AUTH_SECRET'],
  )
})

test('a port in use is told in one sentence', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const program = run(settings({ PORT: String(port) }))
  assert.equal(await program.ended, 1)
  assert.equal(program.said(), `Port ${port} is in use: set PORT to another one, or end the program that holds it.\n`)
  holder.close()
})

test('a database that does not answer, or not to us, is told in one sentence', async () => {
  const nobody = run(settings({ DATABASE_URL: 'postgres://postgres:secret@127.0.0.1:1/mobilesms' }))
  assert.equal(await nobody.ended, 1)
  assert.equal(
    nobody.said(),
    'The database at 127.0.0.1:1/mobilesms does not answer: start it, or correct DATABASE_URL.\n',
  )
  const other = new URL(db.url)
  other.pathname = '/not_there'
  const missing = run(settings({ DATABASE_URL: other.toString() }))
  assert.equal(await missing.ended, 1)
  assert.match(missing.said(), /^The database at .*\/not_there refuses this login .*: correct DATABASE_URL\.\n$/)
})

test('a pooler that swallows the role of a connection is refused: the server would run with too much power', async () => {
  const pooler = await poolerWithoutOptions(db.url)
  try {
    const program = run(settings({ DATABASE_URL: pooler.url }))
    assert.equal(await program.ended, 1)
    assert.match(
      program.said(),
      /^Connections to the database run as postgres, although they ask to run as mobilesms_app: let DATABASE_URL name PostgreSQL itself, .*\n$/m,
    )
  } finally {
    pooler.close()
  }
})

test('a production start refuses the database of a sandbox', async () => {
  const program = run(
    settings({
      MODE: 'production',
      PUBLIC_URL: 'https://sms.example',
      STRIPE_SECRET_KEY: 'sk_live_1',
      STRIPE_WEBHOOK_SECRETS: 'whsec_1',
      STRIPE_API_URL: '',
      SMS_WEBHOOK_SECRETS: 'a-secret-that-is-long-enough',
      SELLER_NAME: 'Ada Example Ltd',
      SELLER_ADDRESS: '1 Example Street, London',
      SUPPORT_EMAIL: 'help@sms.example',
      SMTP_URL: 'smtps://user:word@mail.sms.example',
      MAIL_FROM: 'MobileSMS <hello@sms.example>',
    }),
  )
  assert.equal(await program.ended, 1)
  assert.match(program.said(), /^This database belongs to a sandbox installation and MODE is production\. .*\n$/)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends the server, without an error`, async (t) => {
    const program = run(settings())
    await serving(program)
    const begun = performance.now()
    program.child.kill(signal)
    assert.equal(await program.ended, 0)
    t.diagnostic(`ended ${Math.round(performance.now() - begun)} ms after the signal; the promise is five seconds`)
    // Nobody answers for the card company here, which is said.
    const lines = program.said().split('\n')
    const trouble = lines.filter(
      (line) => /"level":"(warn|error|fatal)"/.test(line) && !line.includes('our connection to Stripe'),
    )
    assert.deepEqual(trouble, [])
  })
}

test('the server ends with whoever started it', async () => {
  const program = run(settings())
  await serving(program)
  program.child.disconnect()
  assert.equal(await program.ended, 0)
})

test('servers that start at once on an empty database all serve, with one demo customer', async () => {
  const url = new URL(db.url)
  url.pathname = `/${db.name}_empty`
  const owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  await owner.query(`create database ${db.name}_empty`)
  try {
    const programs = [1, 2, 3].map(() => run(settings({ DATABASE_URL: url.toString() })))
    for (const program of programs) await serving(program)
    const fresh = new pg.Client({ connectionString: url.toString() })
    await fresh.connect()
    const { rows } = await fresh.query(
      `select (select count(*)::int from accounts) as accounts, (select count(*)::int from auth."account") as passwords,
              (select count(*)::int from api_keys) as keys, (select count(*)::int from ledger_accounts) as ledgers`,
    )
    assert.deepEqual(rows, [{ accounts: 3, passwords: 3, keys: 1, ledgers: 3 }])
    await fresh.end()
    for (const program of programs) program.child.kill()
    for (const program of programs) assert.equal(await program.ended, 0)
  } finally {
    await owner.query(`drop database ${db.name}_empty with (force)`)
    await owner.end()
  }
})

test('the log has no secret, no query and no body', async () => {
  const program = run(settings())
  const url = await serving(program)
  const login = { username: 'demo', password: 'demo-password' }
  await fetch(`${url}/api/v1/orders?api_key=msk_sandbox_demo`, {
    headers: { authorization: 'Bearer msk_sandbox_demo' },
  })
  const signedIn = await fetch(`${url}/api/auth/sign-in/username?token=in-the-query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(login),
  })
  assert.equal(signedIn.status, 200)
  const session = signedIn.headers.getSetCookie()[0]!.split(/[=;.]/)[1]!
  program.child.kill()
  await program.ended
  assert.match(program.said(), /"route":"\/api\/auth\/sign-in\/username","status":200/)
  for (const secret of [
    'msk_sandbox_demo',
    'demo-password',
    'in-the-query',
    session,
    'sk_test_sandbox',
    'whsec_sandbox',
  ])
    assert.doesNotMatch(program.said(), new RegExp(secret))
})

test('a stop lets the request under way finish, and its order stands', async () => {
  const world = await startWorld({ asProcess: true })
  try {
    const ana = await world.customer({ name: 'ana', credit: '5.00' })
    const hold = await holdAccount(world, ana.accountId)
    const ordering = ana.post<Order>('/orders', { service: 'telegram', country: 'GB' })
    await until(hold.somebodyWaits)
    const stopping = world.server.stop()
    // Until nothing new is taken on.
    await until(async () => {
      const answer = await fetch(`${world.server.url}/readyz`).catch(() => null)
      await answer?.body?.cancel()
      return answer === null
    })
    await hold.release()
    assert.equal((await ordering).status, 201)
    await stopping
    await world.expectBooks(`
      ana available 3.80
      ana held      1.20`)
    await world.audit()
  } finally {
    await world.stop()
  }
})

test('kill -9 in the middle of orders loses nothing that was acknowledged', async () => {
  const world = await startWorld({ asProcess: true })
  try {
    const ana = await world.customer({ name: 'ana', credit: '100.00' })
    const acknowledged: Order[] = []
    const ordering = Array.from({ length: 15 }, async () => {
      const placed = await ana.post<Order>('/orders', { service: 'telegram', country: 'GB' }).catch(() => null)
      if (placed?.status === 201) acknowledged.push(placed.body)
    })
    await until(async () => acknowledged.length > 0)
    await world.server.kill()
    await Promise.all(ordering)
    await world.server.start()
    for (const order of acknowledged) assert.equal((await ana.orderNow(order.id)).status, 'waiting')
    await world.audit()
    await world.advance(1200)
    await world.expectBooks(`
      ana available 100.00
      ana held      0.00
      revenue       0.00`)
    await world.audit()
  } finally {
    await world.stop()
  }
})

/** Somebody else's transaction on the account: whoever orders for it has to wait. */
async function holdAccount(world: World, accountId: bigint) {
  // As the owner: the server's role does not see what others wait for. And by two: within a transaction one sees the same all the time.
  const [owner, looking] = [1, 2].map(() => new pg.Client({ connectionString: world.db.url })) as [pg.Client, pg.Client]
  await Promise.all([owner.connect(), looking.connect()])
  await owner.query('begin')
  await owner.query('select from ledger_accounts where id = $1 for update', [accountId])
  return {
    async somebodyWaits(): Promise<boolean> {
      const { rows } = await looking.query(
        'select from pg_locks where not granted and pid in (select pid from pg_stat_activity where datname = current_database())',
      )
      return rows.length > 0
    },
    async release(): Promise<void> {
      await owner.query('commit')
      await Promise.all([owner.end(), looking.end()])
    },
  }
}

/** Stands before PostgreSQL and passes everything on but the options of a connection, as some poolers are set to do. */
async function poolerWithoutOptions(url: string): Promise<{ url: string; close: () => void }> {
  const behind = new URL(url)
  const sockets = new Set<Socket>()
  const pooler = createServer((client) => {
    const onward = connect(Number(behind.port), behind.hostname)
    for (const socket of [client, onward]) sockets.add(socket.on('error', () => {}))
    client.once('data', (startup: Buffer) => {
      // Length and version, then names and values, each ended by a zero.
      const words = startup.subarray(8).toString('utf8').split('\0')
      const kept = words.flatMap((name, at) =>
        at % 2 === 0 && name !== '' && name !== 'options' ? [name, words[at + 1]!] : [],
      )
      const rest = Buffer.from(`${kept.join('\0')}\0\0`)
      const head = Buffer.from(startup.subarray(0, 8))
      head.writeInt32BE(8 + rest.length, 0)
      onward.write(Buffer.concat([head, rest]))
      client.pipe(onward).pipe(client)
    })
  }).listen(0, '127.0.0.1')
  await once(pooler, 'listening')
  const at = new URL(url)
  at.port = String((pooler.address() as AddressInfo).port)
  return {
    url: at.toString(),
    close() {
      for (const socket of sockets) socket.destroy()
      pooler.close()
    },
  }
}
