/** Mail, from outside: what a customer finds in his mailbox, and what nobody finds in the log. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import PostalMime from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'

const VISA = '4000000000003220'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world?.stop())
afterEach(async () => {
  assert.deepEqual(world.alarms, [])
  await world.audit()
  await world.expectBankAgrees()
})

async function topUp(who: Awaited<ReturnType<World['customer']>>, amount = '10.00') {
  const topup = await who.startTopup(amount)
  await world.pay(topup, VISA, 'complete')
  await until(async () => (await who.get(`/topups/${topup.id}`)).body['status'] === 'credited')
  return topup
}

/** How many receipts were ever written to somebody. */
async function receipts(who: { accountId: bigint }): Promise<number> {
  const { rowCount } = await world.db.database.pool.query(
    `select from mail_outbox where account_id = $1 and once_key like 'receipt:%'`,
    [who.accountId],
  )
  return rowCount!
}

async function addressOf(who: { accountId: bigint }, of = world): Promise<string> {
  const { rows } = await of.db.database.pool.query<{ to: string }>('select mail_address_of($1) as to', [who.accountId])
  return rows[0]!.to
}

test('a receipt comes by mail when credits arrive, once, whoever brings the news', async (t) => {
  const ana = await world.customer({ name: 'ana', credit: '1.20' })
  await world.control('/stripe/webhooks', { mode: 'double' })
  const topup = await topUp(ana)
  const credited = performance.now()
  await Promise.all([1, 2].map(() => ana.post(`/topups/${topup.id}/return`, {})))
  const mail = await world.mail(await addressOf(ana), /^Receipt/, { byItself: true })
  t.diagnostic(
    `${Math.round(performance.now() - credited)} ms from the credit to the mailbox; a person waits a second or two`,
  )

  assert.equal(mail.subject, 'Receipt: $10.00 added')
  assert.equal(mail.from, 'MobileSMS <hello@sandbox.example>')
  for (const words of [
    '$10.00 added. You have $11.20 to spend.',
    'Paid by: Visa 3220',
    'On your statement: MOBILESMS* CREDITS',
    `Top-up: ${topup.id}`,
    'Account: ana',
    'Taken from your card, in US dollars: $10.00',
    'Prepaid credits added: $10.00',
  ])
    assert.ok(mail.text.includes(words), words)
  assert.match(mail.text, /Paid and credited: \d{1,2} \w{3,4} \d{4}, \d\d:\d\d:\d\d \(UTC\)/)
  assert.doesNotMatch(mail.text, /Company|[Tt]ax id/)
  assert.ok(mail.links.includes(`${world.server.publicUrl}/topups/${topup.id}/receipt`))
  assert.ok(mail.html.includes('Visa 3220'))
  assert.equal(await receipts(ana), 1)
})

test('company and tax id stand on the receipt, and no receipt comes when it is switched off', async () => {
  const bea = await world.customer({ name: 'bea' })
  const page = await world.signIn(bea)
  const change = async (settings: object) =>
    assert.equal((await page.request('PATCH', '/settings', settings, {})).status, 200)

  await change({ company: 'Bea & Söhne <GmbH>', tax_id: 'DE 123', time_zone: 'Europe/Berlin' })
  await topUp(bea)
  const mail = await world.mail(await addressOf(bea), /^Receipt/)
  assert.ok(mail.text.includes('Company: Bea & Söhne <GmbH>\nTax id: DE 123\n'))
  assert.ok(mail.html.includes('Bea &amp; Söhne &lt;GmbH&gt;'))
  assert.match(mail.text, /Paid and credited: .* \(Europe\/Berlin\)/)
  assert.ok(mail.links.includes(`${world.server.publicUrl}/settings/mails`))

  await change({ mails: { receipts: false } })
  await topUp(bea, '20.00')
  assert.equal(await receipts(bea), 1)
  await change({ mails: { receipts: true } })
  await topUp(bea, '30.00')
  await world.mail(await addressOf(bea), /\$30\.00/)
  assert.equal(await receipts(bea), 2)
})

test('a receipt that cannot be written keeps no credits back', async () => {
  const cem = await world.customer({ name: 'cem' })
  const { default: pg } = await import('pg')
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  await owner.query(`update auth."user" set "email" = 'no address, at all' where "username" = 'cem'`)
  await owner.end()
  await topUp(cem)
  assert.equal((await cem.balance()).available, '10.00')
  assert.equal(await receipts(cem), 0)
  assert.deepEqual(
    world.alarms.splice(0).map(({ sentence }) => sentence),
    ['A receipt could not be written; its top-up is credited all the same'],
  )
})

test('while the mail server refuses for now nothing is lost, and the receipt comes when it works again', async () => {
  const dan = await world.customer({ name: 'dan' })
  await world.control('/mail/server', { mode: 'refuses_for_now' })
  await topUp(dan)
  await until(async () => (await world.db.database.pool.query('select from mail_outbox where attempts > 0')).rowCount)
  await world.control('/mail/server', { mode: 'works' })
  await world.mail(await addressOf(dan), /^Receipt/)
})

test('killed while the mail server says yes, the server sends again under the same Message-ID, and its log names nobody', async () => {
  const seen: { messageId: string; to: string[] }[] = []
  let kill = true
  const smtp = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    async onData(stream, session, answer) {
      const parts: Buffer[] = []
      for await (const part of stream as AsyncIterable<Buffer>) parts.push(part)
      const { messageId } = await PostalMime.parse(Buffer.concat(parts))
      seen.push({ messageId: messageId!, to: session.envelope.rcptTo.map(({ address }) => address) })
      // The mail is with its receiver; the server that sent it will never hear so.
      if (kill) await other?.server.kill()
      answer()
    },
  })
  smtp.on('error', () => {})
  smtp.listen(0, '127.0.0.1')
  await once(smtp.server, 'listening')
  const { port } = smtp.server.address() as AddressInfo
  let other: World | undefined
  try {
    const world = await startWorld({
      asProcess: true,
      env: { SMTP_URL: `smtp://127.0.0.1:${port}`, LOG_LEVEL: 'trace' },
    })
    other = world
    const eve = await world.customer({ name: 'canary' })
    const topup = await eve.startTopup()
    await world.pay(topup, VISA, 'complete')
    await until(async () => seen.length === 1)
    kill = false
    // The claim of who died runs out.
    await world.db.database.pool.query(
      'update mail_outbox set next_attempt_at = now() where next_attempt_at is not null',
    )
    await world.server.start()
    await until(async () => seen.length === 2)
    await until(
      async () => (await world.db.database.pool.query('select from mail_outbox where sent_at is not null')).rowCount,
    )
    assert.deepEqual(seen[0], seen[1])
    assert.deepEqual(seen[0]!.to, [await addressOf(eve, world)])
    assert.equal((await eve.balance()).available, '10.00')
    await world.server.stop()
    assert.match(world.server.said(), /"Serving"/)
    assert.doesNotMatch(world.server.said(), /@sandbox\.|canary|Receipt|3220/)
  } finally {
    await other?.stop()
    await new Promise<void>((resolve) => smtp.close(resolve))
  }
})
