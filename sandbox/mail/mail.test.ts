import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { createTransport } from 'nodemailer'
import type { Options } from 'nodemailer/lib/mailer'
import { startWorld, type World } from '../testing.ts'
import type { StoredMail } from './mail.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())
beforeEach(async () => {
  await world.control('/mail/clear', {})
  await world.control('/mail/server', { mode: 'works' })
})

const mail = (more: Options = {}): Options => ({
  from: 'MobileSMS <hello@sandbox.example>',
  to: 'ana@y.example',
  subject: 'Grüße − 1',
  text: 'Open https://sms.example/join/confirm#abc, then sign in. Or https://sms.example/help.',
  html: '<html><head><title>x</title></head><body><a href="https://sms.example/join/confirm#abc">Confirm</a> <a href="https://sms.example/?a=1&amp;b=2">b</a></body></html>',
  ...more,
})

async function send(what: Options = mail()) {
  const transport = createTransport({ host: '127.0.0.1', port: world.sandbox.smtpPort, ignoreTLS: true })
  try {
    return await transport.sendMail(what)
  } finally {
    transport.close()
  }
}

async function list(query = ''): Promise<StoredMail[]> {
  return (await world.read(`/mail${query}`))['items'] as StoredMail[]
}

const pageOf = async (path: string) => {
  const answer = await fetch(world.sandbox.url + path, { headers: { accept: 'text/html,*/*;q=0.8' } })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

test('who hangs up in the middle of a mail is no trouble, and nothing of it is taken', async (t) => {
  const said = t.mock.method(console, 'error', () => {})
  const socket = connect(world.sandbox.smtpPort, '127.0.0.1')
  socket.on('error', () => {})
  for (const line of ['EHLO sms.example', 'MAIL FROM:<a@y.example>', 'RCPT TO:<b@y.example>', 'DATA']) {
    await once(socket, 'data')
    socket.write(`${line}\r\n`)
  }
  await once(socket, 'data')
  socket.write('Subject: half')
  socket.resetAndDestroy()
  await send()
  assert.deepEqual(
    (await list()).map(({ to }) => to),
    ['ana@y.example'],
  )
  assert.deepEqual(said.mock.calls, [])
})

test('what was taken stands in the mailbox, newest first, with every link once', async () => {
  await send()
  await send(mail({ to: 'Bea@Y.example', subject: 'Second', messageId: '<2@sms.example>', html: '' }))
  const items = await list()
  assert.deepEqual(
    items.map(({ to, from, subject }) => [to, from, subject]),
    [
      ['bea@y.example', 'MobileSMS <hello@sandbox.example>', 'Second'],
      ['ana@y.example', 'MobileSMS <hello@sandbox.example>', 'Grüße − 1'],
    ],
  )
  assert.equal(items[0]!.message_id, '<2@sms.example>')
  assert.equal(typeof items[0]!.id, 'string')
  assert.ok(Math.abs(Date.parse(items[0]!.received_at) - Date.now()) < 60_000)
  assert.deepEqual(items[1]!.links, [
    'https://sms.example/join/confirm#abc',
    'https://sms.example/?a=1&b=2',
    'https://sms.example/help',
  ])
  assert.ok(items[1]!.text.startsWith('Open https://sms.example/join/confirm#abc'))
  assert.deepEqual(
    (await list('?to=BEA%40y.example')).map(({ subject }) => subject),
    ['Second'],
  )
  assert.deepEqual(await list('?to=nobody%40y.example'), [])
})

test('one mail to two people stands in both mailboxes', async () => {
  await send(mail({ to: ['ana@y.example', 'bea@y.example'] }))
  assert.deepEqual((await list()).map(({ to }) => to).sort(), ['ana@y.example', 'bea@y.example'])
})

test('a mail that was taken survives the end of the sandbox', async () => {
  await send()
  await world.restart()
  assert.equal((await list()).length, 1)
})

test('told to refuse, it says so in the words of SMTP, until it works again', async () => {
  for (const [mode, status] of [
    ['refuses_for_now', 451],
    ['refuses_for_good', 550],
  ] as const) {
    assert.deepEqual(await world.control('/mail/server', { mode }), { status: 200, body: { mode } })
    assert.deepEqual(await world.read('/mail/server'), { mode })
    await assert.rejects(send(), { responseCode: status })
  }
  await world.control('/mail/server', { mode: 'works' })
  await send()
  assert.equal((await list()).length, 1)
  const refused = await world.control('/mail/server', { mode: 'on fire' })
  assert.deepEqual([refused.status, refused.body['field']], [400, 'mode'])
})

test('a mail beyond 1 MB is refused, and the next one is not', async () => {
  await assert.rejects(send(mail({ text: 'x'.repeat(1_100_000) })), { responseCode: 552 })
  await send()
  assert.equal((await list()).length, 1)
})

test('the newest 500 are kept', async () => {
  const transport = createTransport({ host: '127.0.0.1', port: world.sandbox.smtpPort, ignoreTLS: true, pool: true })
  const to = Array.from({ length: 63 }, (_, index) => `p${index}@y.example`)
  for (let round = 0; round < 8; round++) await transport.sendMail(mail({ to, subject: String(round), html: '' }))
  transport.close()
  const items = await list()
  assert.equal(items.length, 500)
  assert.equal(items.at(-1)!.subject, '0')
  assert.equal(items[0]!.subject, '7')
  assert.deepEqual((await world.control('/mail/clear', {})).body, { cleared: 500 })
})

test('people see a page: the list, and each mail as HTML in a locked frame, as text, and its links', async () => {
  await send()
  const [{ id }] = (await list()) as [StoredMail]
  const listed = await pageOf('/mail')
  assert.match(listed.headers.get('content-type')!, /text\/html/)
  assert.ok(listed.text.includes(`<a href="/mail/${id}">Grüße − 1</a>`))
  const page = await pageOf(`/mail/${id}`)
  assert.ok(page.text.includes(`src="/mail/${id}/html"`))
  assert.ok(page.text.includes('sandbox="allow-popups allow-popups-to-escape-sandbox"'))
  assert.ok(page.text.includes('<a href="https://sms.example/join/confirm#abc"'))
  assert.ok(page.text.includes('Open https://sms.example/join/confirm#abc, then sign in.'))
  assert.match(page.headers.get('content-security-policy')!, /frame-src 'self'/)
  assert.ok(!/<script(?![^>]*src=)|<style|style=/.test(page.text))

  const html = await pageOf(`/mail/${id}/html`)
  assert.match(
    html.headers.get('content-security-policy')!,
    /^sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'/,
  )
  assert.ok(html.text.includes('<head><base target="_blank">'))
  assert.equal((await pageOf('/mail/999999')).status, 404)
  assert.equal((await pageOf('/mail/999999/html')).status, 404)
})

test('a mail’s words are words, also where it means harm', async () => {
  const evil = '<script>alert(1)</script><img src=x onerror=alert(1)>'
  await send(
    mail({
      subject: evil,
      text: `${evil} https://sms.example/"onclick="x`,
      html: `${evil}<a href="javascript:x">x</a>`,
    }),
  )
  const [item] = (await list()) as [StoredMail]
  for (const path of ['/mail', '/mail/list', `/mail/${item.id}`]) {
    const { text } = await pageOf(path)
    assert.ok(!/<script>|<img|"onclick|javascript:/.test(text), path)
  }
  // Its own HTML is as it came, where no script runs and nothing is loaded.
  assert.match(
    (await pageOf(`/mail/${item.id}/html`)).headers.get('content-security-policy')!,
    /^sandbox [^;]*; default-src 'none'/,
  )
})

test('it is emptied by DELETE, by POST, and never by another website’s page', async () => {
  await send()
  const foreign = await fetch(`${world.sandbox.url}/mail`, {
    method: 'DELETE',
    headers: { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' },
  })
  assert.equal(foreign.status, 403)
  const cleared = await fetch(`${world.sandbox.url}/mail`, { method: 'DELETE' })
  assert.deepEqual(await cleared.json(), { cleared: 1 })
  assert.deepEqual(await list(), [])
})

test('the desk tells of the newest mail, switches the mail server, and its forms come back to it', async () => {
  assert.ok((await pageOf('/')).text.includes('What MobileSMS mails to anybody'))
  await send()
  const desk = (await pageOf('/')).text
  assert.ok(desk.includes('Grüße − 1, to ana@y.example'))
  assert.ok(desk.includes('<a href="/mail">Mailbox</a>'))
  const answer = await fetch(`${world.sandbox.url}/mail/server`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'mode=refuses_for_now',
  })
  assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/#mail'])
  assert.ok((await pageOf('/')).text.includes('id="mail-refuses_for_now" aria-pressed="true"'))
})
