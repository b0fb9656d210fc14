import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import { type Database, openDatabase } from './db.ts'
import type { Letter } from './letter.ts'
import { type Log, openLog } from './log.ts'
import { createMail, type Mail } from './mail.ts'

const letter: Letter = {
  subject: 'Confirm your address',
  blocks: ['One step is left.', { button: 'Confirm', href: 'https://sms.example/join/confirm#canary-token' }],
  why: 'You get this mail because somebody joined with this address.',
}

/** A turn is over when what it began has ended, however slow the machine is. */
const TURN_MS_MAX = 30_000
/** A turn that will not end is not waited for. */
const SHORT_TURN_MS = 100

type Arrived = { to: string; mail: Email }

let db: TestDatabase
let server: SMTPServer
let port: number
let arrived: Arrived[]
/** What the mail server answers; null: taken. */
let answers: { recipient: (to: string) => number | null; mail: () => Promise<number | null>; login: number | null }
let lines: { level: 'warn' | 'error'; about: Record<string, unknown>; sentence: string }[]
const open: Mail[] = []

before(async () => {
  db = await freshDatabase({ connectionsMax: 16 })
})
after(() => db.close())

beforeEach(async () => {
  arrived = []
  lines = []
  answers = { recipient: () => null, mail: async () => null, login: null }
  server = mailServer()
  port = await listen(server)
})
afterEach(async () => {
  for (const mail of open.splice(0)) await mail.close()
  await new Promise<void>((resolve) => server.close(resolve))
  await db.database.pool.query('select mail_empty(30, 500)')
  await owner('delete from mail_outbox')
})

function mailServer(options: SMTPServerOptions = {}): SMTPServer {
  const refusal = (status: number) => Object.assign(new Error('said <canary@y.example>'), { responseCode: status })
  return new SMTPServer({
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    authOptional: true,
    allowInsecureAuth: true,
    logger: false,
    closeTimeout: 50,
    onAuth: (_login, _session, answer) =>
      answers.login === null ? answer(null, { user: 'x' }) : answer(refusal(answers.login)),
    onRcptTo({ address }, _session, answer) {
      const status = answers.recipient(address)
      answer(status === null ? null : refusal(status))
    },
    async onData(stream, session, answer) {
      const parts: Buffer[] = []
      for await (const part of stream as AsyncIterable<Buffer>) parts.push(part)
      const mail = await PostalMime.parse(Buffer.concat(parts))
      const status = await answers.mail()
      if (status === null) arrived.push(...session.envelope.rcptTo.map(({ address }) => ({ to: address, mail })))
      answer(status === null ? null : refusal(status))
    },
    ...options,
  })
}

async function listen(which: SMTPServer): Promise<number> {
  which.on('error', () => {})
  which.listen(0, '127.0.0.1')
  await once(which.server, 'listening')
  return (which.server.address() as AddressInfo).port
}

function startMail(settings: { database?: Database; port?: number; turnMsMax?: number; login?: boolean } = {}): Mail {
  const mail = createMail({
    database: settings.database ?? db.database,
    log: listening(),
    smtp: {
      host: '127.0.0.1',
      port: settings.port ?? port,
      tls: 'none',
      login: settings.login ? { user: 'us', password: 'canary-password' } : null,
    },
    from: { name: 'MobileSMS', address: 'hello@sms.example' },
    letterhead: {
      brandName: 'MobileSMS',
      linkColour: null,
      publicUrl: 'https://sms.example',
      seller: { name: 'MobileSMS', address: '1 Example Street', supportEmail: 'help@sms.example' },
    },
    turnMsMax: settings.turnMsMax ?? TURN_MS_MAX,
  })
  open.push(mail)
  return mail
}

function listening(): Log {
  const log = openLog({ level: 'silent' })
  for (const level of ['warn', 'error'] as const) {
    log[level] = ((about: Record<string, unknown>, sentence: string) => {
      lines.push({ level, about, sentence })
    }) as Log['warn']
  }
  return log
}

const owner = async (sql: string) => {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

const post = (mail: Mail, to: string, more: Partial<Parameters<Mail['send']>[1]> = {}) =>
  db.database.transaction((tx) => mail.send(tx, { to, letter, ...more }))

const turn = (...mails: Mail[]) => Promise.all(mails.map((mail) => mail.sendTick.run(new AbortController().signal)))

type OutboxRow = {
  to_address: string | null
  body_html: string | null
  attempts: number
  waits_seconds: number | null
  sent: boolean
  failed: boolean
  last_error: string | null
}

async function rows(): Promise<OutboxRow[]> {
  const { rows } = await db.database.pool.query<OutboxRow>(
    `select to_address, body_html, attempts, sent_at is not null as sent, failed_at is not null as failed, last_error,
            round(extract(epoch from next_attempt_at - now()))::int as waits_seconds
       from mail_outbox order by created_at`, // ids of one millisecond stand in any order
  )
  return rows
}

const becomeDue = () =>
  db.database.pool.query('update mail_outbox set next_attempt_at = now() where next_attempt_at is not null')

/** Nothing of a letter, its receiver or the login stands in what was logged. */
const expectDiscreetLog = () => assert.doesNotMatch(JSON.stringify(lines), /@|canary|Confirm|join/)

test('a letter leaves when its cause is committed, and not when it is rolled back', async () => {
  const mail = startMail()
  await assert.rejects(
    db.database.transaction(async (tx) => {
      await mail.send(tx, { to: 'ana@y.example', letter })
      throw new Error('the cause did not happen')
    }),
    /did not happen/,
  )
  await db.database.transaction(async (tx) => {
    await mail.send(tx, { to: 'bea@y.example', letter })
    await turn(mail)
    assert.deepEqual(arrived, [])
  })
  await turn(mail)
  assert.deepEqual(
    arrived.map(({ to }) => to),
    ['bea@y.example'],
  )
  assert.deepEqual(
    (await rows()).map(({ sent, attempts }) => ({ sent, attempts })),
    [{ sent: true, attempts: 1 }],
  )
})

test('what arrives is text and HTML with the headers of a machine’s mail', async () => {
  const mail = startMail()
  await post(mail, 'ana@y.example')
  await post(mail, 'bea@y.example', { letter: { ...letter, canSwitchOff: true } })
  await turn(mail)
  const [ana, bea] = ['ana', 'bea'].map((name) => arrived.find(({ to }) => to === `${name}@y.example`)!.mail)
  const header = (of: Email, key: string) => of.headers.find((each) => each.key === key)?.value
  assert.equal(ana!.subject, 'Confirm your address')
  assert.deepEqual([ana!.from?.name, ana!.from?.address], ['MobileSMS', 'hello@sms.example'])
  assert.deepEqual(
    ana!.to?.map(({ address }) => address),
    ['ana@y.example'],
  )
  assert.match(header(ana!, 'content-type')!, /^multipart\/alternative/)
  assert.ok(ana!.text!.includes('Confirm:\nhttps://sms.example/join/confirm#canary-token'))
  assert.ok(ana!.html!.includes('href="https://sms.example/join/confirm#canary-token"'))
  assert.equal(header(ana!, 'auto-submitted'), 'auto-generated')
  assert.match(ana!.messageId!, /^<[0-9a-f-]{36}@sms\.example>$/)
  assert.ok(Math.abs(Date.parse(ana!.date!) - Date.now()) < 60_000)
  assert.equal(header(ana!, 'list-unsubscribe'), undefined)
  assert.equal(header(bea!, 'list-unsubscribe'), '<https://sms.example/settings/mails>')
})

test('the same cause mails once, asked twice and twice at once', async () => {
  const mail = startMail()
  await Promise.all([1, 2, 3].map(() => post(mail, 'ana@y.example', { once: 'receipt:1' })))
  await post(mail, 'ana@y.example', { once: 'receipt:1' })
  await post(mail, 'ana@y.example', { once: 'receipt:2' })
  await turn(mail)
  await turn(mail)
  assert.equal(arrived.length, 2)
})

test('either role of the server may write a letter; neither may change its words, and one may not even read them', async () => {
  const mail = startMail()
  const auth = openDatabase({ url: db.url, role: 'mobilesms_auth', connectionsMax: 1, onIdleError: () => {} })
  try {
    await auth.transaction((tx) => mail.send(tx, { to: 'ana@y.example', letter }))
    await assert.rejects(auth.pool.query('select * from public.mail_outbox'), { code: '42501' })
  } finally {
    await auth.close()
  }
  for (const statement of [
    `update mail_outbox set to_address = 'thief@y.example'`,
    `update mail_outbox set body_html = 'x'`,
    'delete from mail_outbox',
    `insert into mail_outbox (id, can_switch_off) values (gen_random_uuid(), false)`,
  ])
    await assert.rejects(db.database.pool.query(statement), { code: '42501' }, statement)
  await turn(mail)
  assert.equal(arrived.length, 1)
})

test('two workers beside each other send every letter once', async () => {
  const workers = [startMail(), startMail()]
  const addresses = Array.from({ length: 60 }, (_, index) => `person${index}@y.example`)
  await Promise.all(addresses.map((to) => post(workers[0]!, to)))
  await until(async () => {
    await turn(...workers)
    return (await rows()).every((row) => row.sent)
  })
  assert.deepEqual(arrived.map(({ to }) => to).sort(), addresses.sort())
  assert.ok((await rows()).every((row) => row.attempts === 1))
})

test('who dies between the mail server’s yes and the mark sends again, under the same Message-ID', async () => {
  const pool = new Proxy(db.database.pool, {
    get(target, name) {
      if (name !== 'query') return Reflect.get(target, name)
      return (statement: string | { text: string }, values: unknown[]) =>
        JSON.stringify(statement).includes('sent_at =')
          ? Promise.reject(new Error('the process is gone'))
          : target.query(statement as string, values)
    },
  })
  const dies = startMail({ database: { ...db.database, pool }, turnMsMax: SHORT_TURN_MS })
  const lives = startMail()
  await post(dies, 'ana@y.example')
  await turn(dies)
  await until(async () => arrived.length === 1)
  await turn(lives)
  assert.equal(arrived.length, 1, 'it is claimed')
  await becomeDue()
  await turn(lives)
  assert.equal((await rows())[0]!.sent, true)
  assert.equal(arrived.length, 2)
  assert.equal(new Set(arrived.map(({ mail }) => mail.messageId)).size, 1)
  assert.equal(new Set(arrived.map(({ mail }) => mail.date)).size, 1)
  await turn(lives)
  assert.equal(arrived.length, 2)
})

test('a letter that is refused for now is sent when the mail server is well again', async () => {
  const mail = startMail()
  answers.recipient = () => 451
  await post(mail, 'ana@y.example')
  await turn(mail)
  await turn(mail)
  const [row] = await rows()
  assert.deepEqual([row!.attempts, row!.sent, row!.failed], [1, false, false])
  assert.ok(row!.waits_seconds! > 0 && row!.waits_seconds! <= 5, `${row!.waits_seconds}`)
  assert.deepEqual(
    lines.map(({ level, about }) => [level, about['smtp_status']]),
    [['warn', 451]],
  )
  answers.recipient = () => null
  await becomeDue()
  await turn(mail)
  assert.equal(arrived.length, 1)
  assert.deepEqual(
    (await rows()).map(({ sent, last_error }) => ({ sent, last_error })),
    [{ sent: true, last_error: null }],
  )
  expectDiscreetLog()
})

test('the pauses grow, and after two days it is given up with an alarm', async () => {
  const mail = startMail()
  answers.mail = async () => 421
  await post(mail, 'ana@y.example')
  const pauses: number[] = []
  await until(async () => {
    await turn(mail)
    const [row] = await rows()
    // To five seconds, the shortest of them: some time has gone by since it was written.
    if (row!.waits_seconds !== null) pauses.push(5 * Math.ceil(row!.waits_seconds / 5))
    await becomeDue()
    return row!.failed
  })
  assert.equal(pauses.length, 11)
  assert.deepEqual(
    pauses,
    pauses.toSorted((a, b) => a - b),
  )
  assert.ok(pauses.reduce((sum, each) => sum + each) <= 2 * 86_400)
  assert.equal(arrived.length, 0)
  const alarms = lines.filter(({ about }) => about['alarm'] === true)
  // One for the trouble, however many attempts, and one for the letter.
  assert.deepEqual(
    alarms.map(({ sentence }) => sentence),
    ['Alarm: the mail server does not take our mail; see SMTP_URL and MAIL_FROM', 'Alarm: a mail was given up'],
  )
  expectDiscreetLog()
})

test('an address that does not exist ends its letter at once and alarms nobody', async () => {
  const mail = startMail()
  answers.recipient = (to) => (to.startsWith('nobody') ? 550 : null)
  await post(mail, 'nobody@y.example')
  await post(mail, 'ana@y.example')
  await turn(mail)
  assert.deepEqual(
    (await rows()).map(({ sent, failed, waits_seconds }) => ({ sent, failed, waits_seconds })),
    [
      { sent: false, failed: true, waits_seconds: null },
      { sent: true, failed: false, waits_seconds: null },
    ],
  )
  assert.deepEqual(
    lines.map(({ level, sentence }) => [level, sentence]),
    [['warn', 'A mail was refused for good: the mail server does not know its address']],
  )
  expectDiscreetLog()
})

test('a letter whose content is refused for good raises an alarm', async () => {
  const mail = startMail()
  answers.mail = async () => 554
  await post(mail, 'ana@y.example')
  await turn(mail)
  assert.equal((await rows())[0]!.failed, true)
  assert.deepEqual(
    lines.map(({ level, about }) => [level, about['alarm'], about['smtp_status']]),
    [['error', true, 554]],
  )
  expectDiscreetLog()
})

test('a wrong password, or a mail server that is away, costs no letter and alarms once', async () => {
  const mail = startMail({ login: true })
  answers.login = 535
  await post(mail, 'ana@y.example')
  await post(mail, 'bea@y.example')
  await turn(mail)
  assert.ok((await rows()).every((row) => !row.failed && row.attempts === 1))
  assert.equal(lines.filter(({ about }) => about['alarm'] === true).length, 1)
  expectDiscreetLog()

  const away = startMail({ port: 1 })
  await becomeDue()
  await turn(away)
  assert.ok((await rows()).every((row) => !row.failed && row.attempts === 2))

  answers.login = null
  await becomeDue()
  await turn(mail)
  assert.equal(arrived.length, 2)
  expectDiscreetLog()
})

test('a mail server that hangs keeps the letter it has, and no other; the end waits for it only so long', async () => {
  const mail = startMail({ turnMsMax: SHORT_TURN_MS })
  let hangs = true
  let hanging = false
  answers.mail = () => {
    if (!hangs) return Promise.resolve(null)
    hanging = true
    return new Promise(() => {})
  }
  await post(mail, 'ana@y.example')
  await turn(mail)
  await until(async () => hanging)
  hangs = false
  await post(mail, 'bea@y.example')
  await turn(mail)
  await until(async () => arrived.length === 1)
  assert.equal(arrived[0]!.to, 'bea@y.example')
  await mail.close()
  const [ana] = await rows()
  assert.deepEqual([ana!.sent, ana!.failed], [false, false])

  await becomeDue()
  await turn(startMail())
  assert.deepEqual(
    arrived.map(({ to }) => to),
    ['bea@y.example', 'ana@y.example'],
  )
})

test('an address is one address: nothing in it can begin a header, another receiver or a command', async () => {
  const mail = startMail()
  for (const to of [
    'ana@y.example\r\nBcc: eve@y.example',
    'ana@y.example, eve@y.example',
    'Ana <ana@y.example>',
    'ana@y.example\nDATA',
    'ana@y.example;eve@y.example',
    '"ana b"@y.example',
    'ana@y@z.example',
    'ana',
    '@y.example',
    `${'a'.repeat(65)}@y.example`,
    '',
  ])
    await assert.rejects(post(mail, to), { constraint: 'one_address' }, JSON.stringify(to))
  assert.deepEqual(await rows(), [])

  await post(mail, 'ana@y.example', { letter: { ...letter, subject: 'Hello\r\nBcc: eve@y.example\r\n\r\nbody' } })
  await turn(mail)
  assert.deepEqual(
    arrived.map(({ to, mail }) => [to, mail.subject, mail.bcc, mail.cc]),
    [['ana@y.example', 'Hello Bcc: eve@y.example body', undefined, undefined]],
  )
})

test('the words of what is over are gone at once, its address after 30 days, and the fact stays', async () => {
  const mail = startMail()
  for (const name of ['old', 'waiting', 'young']) await post(mail, `${name}@y.example`)
  answers.recipient = (to) => (to.startsWith('waiting') ? 451 : null)
  await turn(mail)
  await owner(
    `update mail_outbox set created_at = created_at - interval '31 days' where to_address in ('old@y.example', 'waiting@y.example')`,
  )
  await mail.emptyTick.run(new AbortController().signal)
  assert.deepEqual(
    (await rows()).map(({ to_address, body_html, sent }) => [to_address, body_html !== null, sent]),
    [
      [null, false, true],
      ['waiting@y.example', true, false],
      ['young@y.example', false, true],
    ],
  )
})
