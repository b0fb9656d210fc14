/**
 * A production installation as the internet meets it: the server on a loopback port, a proxy before it that speaks TLS, and another
 * database than any sandbox ever had.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as ask, createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { request as askTls, createServer as createTlsServer, Agent as TlsAgent } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { usd } from '../../contract/money.ts'
import { readConfig } from '../../server/config.ts'
import { type RunningServer, startServer } from '../../server/main.ts'
import { newId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { operatorsDatabase } from '../database.ts'
import { makeCertificate } from './certificate.ts'
import { asOwner } from './house.ts'

export const HOST = 'sms.test.localhost'
const PASSWORD = 'a-long-password'

export type Answer = { status: number; headers: IncomingMessage['headers']; setCookie: string[]; text: string }
export type Edge = Awaited<ReturnType<typeof startEdge>>

export async function startEdge() {
  const db = await operatorsDatabase()
  const { key, certificate } = makeCertificate(HOST)
  let running: RunningServer | null = null
  const lines = {
    tls: new TlsAgent({ keepAlive: true }),
    plain: new Agent({ keepAlive: true }),
    onward: new Agent({ keepAlive: true }),
  }
  const proxy = await listen(createTlsServer({ key, cert: certificate }, forward('https')))
  const plain = await listen(createServer(forward('http')))
  const port = portOf(proxy)
  const publicUrl = `https://${HOST}:${port}`
  const env = {
    MODE: 'production',
    ROLE: 'web',
    PORT: '0',
    PUBLIC_URL: publicUrl,
    TRUST_PROXY: '1',
    DATABASE_URL: db.serverUrl,
    MIGRATION_DATABASE_URL: db.ownerUrl,
    AUTH_SECRET: 'the-secret-of-a-test-edge-0123456789',
    STRIPE_SECRET_KEY: 'sk_live_of_nobody',
    STRIPE_WEBHOOK_SECRETS: 'whsec_of_nobody',
    SMS_WEBHOOK_SECRETS: 'a-secret-that-is-long-enough',
    TWILIO_AUTH_TOKENS: 'a-token-that-is-long-enough-too',
    SELLER_NAME: 'Ada Example Ltd',
    SELLER_ADDRESS: '1 Example Street, London',
    SUPPORT_EMAIL: 'help@sms.example',
    SMTP_URL: 'smtps://sms:password@127.0.0.1:1',
    MAIL_FROM: 'MobileSMS <hello@sms.example>',
    ...(process.env['WEB_DIST'] ? { WEB_DIST: process.env['WEB_DIST'] } : {}),
  }

  /** As nginx and Caddy do it: what the client says of itself stays, and the last word is the proxy's. */
  function forward(scheme: 'http' | 'https'): RequestListener {
    return (request, response) => {
      const said = request.headers['x-forwarded-for']
      const from = request.socket.remoteAddress!
      const onward = ask(
        running!.url + request.url,
        {
          method: request.method!,
          agent: lines.onward,
          headers: {
            ...request.headers,
            'x-forwarded-for': said === undefined ? from : `${said}, ${from}`,
            'x-forwarded-proto': scheme,
          },
        },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        },
      )
      onward.on('error', () => response.destroy())
      response.on('close', () => onward.destroy())
      request.pipe(onward)
    }
  }

  async function start(): Promise<void> {
    const read = readConfig(env)
    assert.ok(read.ok, read.ok ? '' : read.problems.join('\n'))
    running = await startServer(read.config, { log: openLog({ level: 'silent' }) })
  }

  function send(
    to: { port: number; tls: boolean },
    method: string,
    path: string,
    headers: Record<string, string>,
    body: string | null,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port: to.port,
        method,
        path,
        headers: { host: `${HOST}:${port}`, ...headers },
      }
      const hear = (answer: IncomingMessage) => {
        let text = ''
        answer
          .setEncoding('utf8')
          .on('data', (chunk) => {
            text += chunk
          })
          .on('error', reject)
          .on('end', () =>
            resolve({
              status: answer.statusCode!,
              headers: answer.headers,
              setCookie: answer.headers['set-cookie'] ?? [],
              text,
            }),
          )
      }
      const request = to.tls
        ? askTls({ ...options, agent: lines.tls, ca: certificate, servername: HOST }, hear)
        : ask({ ...options, agent: lines.plain }, hear)
      request.on('error', reject).end(body ?? undefined)
    })
  }

  try {
    await start()
    const server = () => running!
    return {
      db,
      publicUrl,
      server,
      plainPort: portOf(plain),

      /** As somebody on the internet: through the proxy, with TLS. */
      ask: (method: string, path: string, headers: Record<string, string> = {}, body: string | null = null) =>
        send({ port, tls: true }, method, path, headers, body),
      /** Through the proxy, without TLS. */
      askPlainly: (method: string, path: string, headers: Record<string, string> = {}, body: string | null = null) =>
        send({ port: portOf(plain), tls: false }, method, path, headers, body),

      /** A customer with credit, a key and a number that waits. */
      async customer(name: string) {
        const { accounts, ledger } = server().parts
        const accountId = await accounts.createLogin({ username: name, password: PASSWORD, role: 'customer' })
        const apiKey = `msk_test_${newId().replaceAll('-', '')}`
        await accounts.keys.give(accountId, apiKey)
        const given = await ledger.submit({
          id: newId(),
          kind: 'credit',
          accountId,
          code: 'gift',
          contra: 'goodwill',
          amount: usd('20.00'),
          reference: newId(),
        })
        assert.deepEqual(given, { done: true, result: 'ok' })
        return { name, password: PASSWORD, apiKey, accountId }
      },

      signIn: (who: { name: string }, headers: Record<string, string> = {}) =>
        send(
          { port, tls: true },
          'POST',
          '/api/auth/sign-in/username',
          { 'content-type': 'application/json', origin: publicUrl, ...headers },
          JSON.stringify({ username: who.name, password: PASSWORD }),
        ),

      async restart(): Promise<void> {
        for (const agent of Object.values(lines)) agent.destroy()
        await server().stop()
        await start()
      },

      async stop(): Promise<void> {
        for (const agent of Object.values(lines)) agent.destroy()
        for (const one of [proxy, plain]) {
          one.closeAllConnections()
          one.close()
        }
        await running?.stop()
        await db.close()
      },
    }
  } catch (error) {
    proxy.close()
    plain.close()
    await db.close()
    throw error
  }
}

/** Something for sale, so that orders can be tried. */
export async function fillShop(edge: Edge): Promise<void> {
  await asOwner(edge.db.url, async (owner) => {
    await owner.query(`
      insert into services (code, name, sender_pattern) values ('telegram', 'Telegram', '^telegram$');
      insert into countries (code, name, dial_code) values ('GB', 'United Kingdom', '+44');
      insert into prices (service, country, price, valid_from) values ('telegram', 'GB', 1200000, now());
      insert into numbers (phone_number, country) select '+4477' || lpad(n::text, 8, '0'), 'GB' from generate_series(1, 20) n;
      insert into offers (number_id, service, country) select id, 'telegram', 'GB' from numbers`)
  })
}

async function listen<Kind extends Server>(server: Kind): Promise<Kind> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
