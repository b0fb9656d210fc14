/**
 * The mail server and everybody's mailbox: takes mail by SMTP, as the provider of a real house does, delivers none of it anywhere,
 * and shows it. Told to, it refuses: for now, or for good.
 */
import type { AddressInfo } from 'node:net'
import PostalMime from 'postal-mime'
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server'
import type { Books } from '../books.ts'
import type { Clock } from '../clock.ts'

const KEPT_MAX = 500
const MAIL_BYTES_MAX = 1024 * 1024
const CONNECTIONS_MAX = 50
const SILENCE_MILLISECONDS_MAX = 60_000
/** Clients keep connections open for their next mail; they need not be waited for. */
const STOP_MILLISECONDS_MAX = 300
const LINKS_MAX = 50

export const serverModes = ['works', 'refuses_for_now', 'refuses_for_good'] as const
export type ServerMode = (typeof serverModes)[number]

export type StoredMail = {
  id: number
  to: string
  /** As its header says it: `Name <address>`. */
  from: string
  subject: string
  text: string
  html: string
  message_id: string
  received_at: string
  /** Every address that its HTML and its text lead to, each once. */
  links: string[]
}

export type MailView = { mode: ServerMode; count: number; newest: { to: string; subject: string; at: number } | null }
export type Mailbox = ReturnType<typeof openMailbox>

export function openMailbox(world: { books: Books; clock: Clock; note: (sentence: string, link?: string) => void }) {
  const { books, clock } = world
  books.define(`
    create table if not exists mails (
      id integer primary key autoincrement,
      recipient text not null,
      sender text not null,
      subject text not null,
      text text not null,
      html text not null,
      message_id text not null,
      links text not null,
      -- Unix milliseconds of wire time.
      at integer not null
    )`)
  books.define('create index if not exists mails_of_recipient on mails (recipient, id)')

  function mode(): ServerMode {
    return serverModes.find((each) => each === books.setting('mail_server')) ?? 'works'
  }

  const server = new SMTPServer({
    banner: 'MobileSMS sandbox, nothing is delivered',
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    size: MAIL_BYTES_MAX,
    maxClients: CONNECTIONS_MAX,
    socketTimeout: SILENCE_MILLISECONDS_MAX,
    closeTimeout: STOP_MILLISECONDS_MAX,
    onRcptTo(address, _session, answer) {
      switch (mode()) {
        case 'works':
          return answer()
        case 'refuses_for_now':
          return answer(refusal(451, `${address.address}: try again later`))
        case 'refuses_for_good':
          return answer(refusal(550, `${address.address}: no such mailbox`))
      }
    },
    onData(stream, session, answer) {
      const recipients = session.envelope.rcptTo.map((each) => each.address)
      take(stream, recipients).then(
        () => answer(null, 'Stored'),
        (error: Error) => answer(error),
      )
    },
  })
  // A port that is taken is told by `listen`. Whoever hangs up in the middle, such as a house that was killed, sends the mail again.
  server.on('error', (error) => {
    if (server.server.listening && !hungUp(error)) console.error('sandbox: trouble with mail', error)
  })

  /** Answered only once it is in the books: what was taken is not lost with the process. */
  async function take(stream: SMTPServerDataStream, recipients: string[]): Promise<void> {
    const parts: Buffer[] = []
    // Past its limit a mail is read on, unkept, until its end: only there may it be answered.
    for await (const part of stream as AsyncIterable<Buffer>) if (!stream.sizeExceeded) parts.push(part)
    if (stream.sizeExceeded) throw refusal(552, `A mail may have at most ${MAIL_BYTES_MAX} bytes`)
    const mail = await PostalMime.parse(Buffer.concat(parts))
    const sender = mail.from?.address ?? ''
    const text = (mail.text ?? '').replaceAll('\r\n', '\n')
    const html = mail.html ?? ''
    books.transaction(() => {
      for (const recipient of recipients) {
        books.run(
          `insert into mails (recipient, sender, subject, text, html, message_id, links, at) values (?, ?, ?, ?, ?, ?, ?, ?)`,
          recipient.toLowerCase(),
          mail.from?.name ? `${mail.from.name} <${sender}>` : sender,
          mail.subject ?? '',
          text,
          html,
          mail.messageId ?? '',
          JSON.stringify(linksOf(html, text)),
          clock(),
        )
      }
      books.run('delete from mails where id <= (select max(id) from mails) - ?', KEPT_MAX)
    })
  }

  type MailRow = Omit<StoredMail, 'to' | 'from' | 'received_at' | 'links'> & {
    recipient: string
    sender: string
    links: string
    at: number
  }

  function told({ recipient, sender, links, at, ...mail }: MailRow): StoredMail {
    return { ...mail, to: recipient, from: sender, received_at: new Date(at).toISOString(), links: JSON.parse(links) }
  }

  return {
    /** Newest first; with `to` only those to that address. */
    list(to: string | null): StoredMail[] {
      const rows =
        to === null
          ? books.all<MailRow>('select * from mails order by id desc limit ?', KEPT_MAX)
          : books.all<MailRow>(
              'select * from mails where recipient = ? order by id desc limit ?',
              to.toLowerCase(),
              KEPT_MAX,
            )
      return rows.map(told)
    },
    find(id: number): StoredMail | undefined {
      const row = books.one<MailRow>('select * from mails where id = ?', id)
      return row && told(row)
    },
    clear(): number {
      const { changes } = books.run('delete from mails')
      world.note('The mailbox was emptied.')
      return changes
    },
    mode,

    setMode(wanted: ServerMode): void {
      books.set('mail_server', wanted)
      const done: Record<ServerMode, string> = {
        works: 'The mail server takes mail again.',
        refuses_for_now: 'The mail server refuses mail for now; what waits is tried again later.',
        refuses_for_good: 'The mail server refuses mail for good, as for addresses that do not exist.',
      }
      world.note(done[wanted])
    },

    view(): MailView {
      const newest = books.one<{ to: string; subject: string; at: number }>(
        'select recipient as "to", subject, at from mails order by id desc limit 1',
      )
      return {
        mode: mode(),
        count: books.one<{ count: number }>('select count(*) as count from mails')!.count,
        newest: newest ?? null,
      }
    },

    /** Opens the port, on 127.0.0.1 only; answers with it. 0: any free one. */
    listen(port: number): Promise<number> {
      return new Promise((resolve, reject) => {
        server.server.once('error', reject)
        server.listen(port, '127.0.0.1', () => {
          server.server.off('error', reject)
          resolve((server.server.address() as AddressInfo).port)
        })
      })
    },

    stop: () => new Promise<void>((resolve) => server.close(resolve)),
  }
}

function hungUp(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE'
}

function refusal(responseCode: number, sentence: string): Error {
  return Object.assign(new Error(sentence), { responseCode })
}

function linksOf(html: string, text: string): string[] {
  const inHtml = [...html.matchAll(/\bhref="(https?:[^"]+)"/gi)].map((match) => match[1]!.replaceAll('&amp;', '&'))
  const inText = [...text.matchAll(/https?:\/\/[^\s<>"]+/gi)].map((match) => match[0].replace(/[.,;:!?)]+$/, ''))
  return [...new Set([...inHtml, ...inText])].slice(0, LINKS_MAX)
}
