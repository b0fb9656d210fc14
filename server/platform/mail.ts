/**
 * Mail: letters are written into an outbox in the transaction of their cause, and sent from there by SMTP.
 *
 * A letter is claimed, sent outside any transaction, and then marked as sent. Any number of processes may do so beside each other:
 * a claim belongs to one, until it runs out. Who dies between the mail server's yes and our mark leaves a letter that is sent again,
 * under the same Message-ID; nothing short of that sends one twice. No address, subject or word of a letter reaches the log.
 */
import { createTransport } from 'nodemailer'
import { atMost, pause } from './clock.ts'
import type { Database, Queryable } from './db.ts'
import { newId } from './ids.ts'
import { type Letter, type Letterhead, printLetter, switchOffUrl } from './letter.ts'
import type { Log } from './log.ts'
import { mails } from './metrics.ts'
import type { Tick } from './queue.ts'

export type Mail = ReturnType<typeof createMail>

/** A room that writes letters needs no more. */
export type Outbox = Pick<Mail, 'send'>

export type SmtpSettings = {
  host: string
  port: number
  /** From the first byte; by STARTTLS, without which nothing is sent; or none, which is for a mail server on this machine. */
  tls: 'at_once' | 'upgrade' | 'none'
  login: { user: string; password: string } | null
}

/**
 * Before the next attempt, by how many were made; after the last, nothing more is tried: a day and three quarters.
 * Source: RFC 5321, 4.5.4.1 asks relays for days; a person who waits for a link is helped by the first four only. Unit: seconds.
 */
const RETRY_SECONDS = [5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 21_600, 43_200, 43_200]
const ATTEMPTS_MAX = RETRY_SECONDS.length + 1
/** How long an attempt may take altogether. */
const ATTEMPT_MS_MAX = 40_000
/** Longer than an attempt: a claim that runs out belongs to somebody who died. */
const CLAIM_SECONDS = 60
const AT_ONCE_MAX = 10
const CONNECTIONS_MAX = 5
const CONNECT_MS_MAX = 10_000
/** A mail server checks for spam between the last byte and its yes. */
const SILENCE_MS_MAX = 30_000
const TURN_MS_MAX = 1_000
/** The mail server took it, and the database must hear of it before the claim runs out. */
const MARK_DELAYS_MS = [0, 250, 2_000]
const CLOSE_MS_MAX = 2_500
const LAST_ERROR_CHARACTERS_MAX = 500
/** From this attempt on it is more than a hiccup. */
const ALARM_FROM_ATTEMPT = 4
const ALARM_EVERY_MS = 600_000
/** The links inside are dead long before. */
const KEEP_WORDS_DAYS = 30
const EMPTY_ROWS_MAX = 500

type Claimed = {
  id: string
  to_address: string
  subject: string
  body_text: string
  body_html: string
  can_switch_off: boolean
  created_at: Date
  attempts: number
}

export function createMail(settings: {
  database: Database
  log: Log
  smtp: SmtpSettings
  from: { name: string; address: string }
  letterhead: Letterhead
  /** How long a turn waits for what it has begun; tests wait longer, or less. Unit: milliseconds. */
  turnMsMax?: number
}) {
  const { database, log, smtp, from, letterhead } = settings
  const turnMsMax = settings.turnMsMax ?? TURN_MS_MAX
  const transport = createTransport({
    pool: true,
    host: smtp.host,
    port: smtp.port,
    secure: smtp.tls === 'at_once',
    requireTLS: smtp.tls === 'upgrade',
    ignoreTLS: smtp.tls === 'none',
    ...(smtp.login ? { auth: { user: smtp.login.user, pass: smtp.login.password } } : {}),
    maxConnections: CONNECTIONS_MAX,
    maxRequeues: 1,
    connectionTimeout: CONNECT_MS_MAX,
    greetingTimeout: CONNECT_MS_MAX,
    dnsTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    // What a letter says comes from its row, never from a file or an address that it names.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  let quietUntil = 0

  /**
   * One turn: claims what is due and sends it, at most 10 at once, and returns when that is done, or after a second: a mail server that
   * hangs keeps those it has and no others.
   */
  async function sendDue(signal: AbortSignal): Promise<void> {
    const end = performance.now() + turnMsMax
    while (!signal.aborted && !stopping.signal.aborted && performance.now() < end) {
      const free = AT_ONCE_MAX - underWay.size
      const claimed = free > 0 ? await claim(free) : []
      for (const letter of claimed) track(deliver(letter))
      const done = claimed.length < free
      await atMost(done ? Promise.all(underWay) : Promise.race(underWay), end - performance.now())
      if (done) return
    }
  }

  async function claim(lettersMax: number): Promise<Claimed[]> {
    const { rows } = await database.pool.query<Claimed>({
      name: 'mail_claim',
      text: `
        with due as (
          select id
            from mail_outbox
           where next_attempt_at <= now()
           order by next_attempt_at
           limit $1
             for update skip locked
        )
        update mail_outbox m
           set attempts = m.attempts + 1,
               next_attempt_at = now() + make_interval(secs => $2)
          from due
         where m.id = due.id
        returning m.id, m.to_address, m.subject, m.body_text, m.body_html, m.can_switch_off, m.created_at, m.attempts`,
      values: [lettersMax, CLAIM_SECONDS],
    })
    return rows
  }

  async function deliver(letter: Claimed): Promise<void> {
    // Whoever began all of those died in the middle: perhaps of this letter.
    if (letter.attempts > ATTEMPTS_MAX) return giveUp(letter, { why: 'no attempt came to an end' })
    try {
      await transport.sendMail({
        messageId: `<${letter.id}@${from.address.split('@')[1]}>`,
        date: letter.created_at,
        from,
        to: { name: '', address: letter.to_address },
        // Said apart from the header, so that nothing in a header decides who gets the letter.
        envelope: { from: from.address, to: [letter.to_address] },
        subject: letter.subject,
        text: letter.body_text,
        html: letter.body_html,
        headers: {
          // RFC 3834: away notes are not answered to us. The second is what Exchange listens to.
          'Auto-Submitted': 'auto-generated',
          'X-Auto-Response-Suppress': 'All',
          ...(letter.can_switch_off ? { 'List-Unsubscribe': `<${switchOffUrl(letterhead)}>` } : {}),
        },
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(ATTEMPT_MS_MAX)]),
      })
    } catch (error) {
      return notTaken(letter, error)
    }
    await mark(letter, 'sent')
    mails.inc({ what: 'sent' })
  }

  async function notTaken(letter: Claimed, error: unknown): Promise<void> {
    const trouble = troubleOf(error)
    if (trouble.forGood) return giveUp(letter, trouble)
    const delay = RETRY_SECONDS[letter.attempts - 1]
    if (delay === undefined) return giveUp(letter, trouble)
    // A letter that another process took over in the meantime is that one's to judge.
    await database.pool.query(
      `update mail_outbox
          set next_attempt_at = now() + make_interval(secs => $3), last_error = $4
        where id = $1
          and attempts = $2
          and next_attempt_at is not null`,
      [letter.id, letter.attempts, delay, trouble.said],
    )
    mails.inc({ what: 'tried_again' })
    const about = { mail: letter.id, attempt: letter.attempts, next_seconds: delay, ...told(trouble) }
    log.warn(about, 'A mail was not taken; it is tried again')
    if ((trouble.ours || letter.attempts >= ALARM_FROM_ATTEMPT) && performance.now() >= quietUntil) {
      quietUntil = performance.now() + ALARM_EVERY_MS
      log.error({ alarm: true, ...about }, 'Alarm: the mail server does not take our mail; see SMTP_URL and MAIL_FROM')
    }
  }

  async function giveUp(letter: Claimed, trouble: Pick<Trouble, 'why'> & Partial<Trouble>): Promise<void> {
    await mark(letter, 'failed', trouble.said ?? trouble.why)
    mails.inc({ what: 'given_up' })
    const about = { mail: letter.id, attempt: letter.attempts, ...told(trouble) }
    // An address that does not exist is its owner's affair; that nothing gets through, or that what we write is refused, is ours.
    if (trouble.noSuchAddress) log.warn(about, 'A mail was refused for good: the mail server does not know its address')
    else log.error({ alarm: true, ...about }, 'Alarm: a mail was given up')
  }

  async function mark(letter: Claimed, as: 'sent' | 'failed', said: string | null = null): Promise<void> {
    let last: unknown
    for (const delay of MARK_DELAYS_MS) {
      if (delay > 0) await pause(delay)
      try {
        await database.pool.query(
          `update mail_outbox
              set next_attempt_at = null,
                  sent_at = case when $2 = 'sent' then now() end,
                  failed_at = case when $2 = 'failed' then now() end,
                  last_error = $3
            where id = $1
              and next_attempt_at is not null`,
          [letter.id, as, said],
        )
        return
      } catch (error) {
        last = error
      }
    }
    throw new Error(`Cannot mark mail ${letter.id} as ${as}: it is sent again`, { cause: last })
  }

  function track(work: Promise<void>): void {
    const settled = work
      .catch((error: unknown) => log.error({ err: error }, 'A mail could not be dealt with; its claim runs out'))
      .finally(() => underWay.delete(settled))
    underWay.add(settled)
  }

  return {
    /**
     * Writes a letter into the outbox, inside the caller's transaction (of either role of the server). It leaves within a second or
     * two of the commit. With `once`, a cause in up to 200 characters (`receipt:<top-up>`), a second letter of the same cause is not
     * written; the key is kept for good, so it must hold no secret and no address. `to` is one address (a check of the table): anything
     * else is the caller's bug and fails his transaction.
     */
    async send(tx: Queryable, mail: { to: string; letter: Letter; accountId?: bigint; once?: string }): Promise<void> {
      const { subject, text, html } = printLetter(mail.letter, letterhead)
      await tx.query('select public.mail_post($1, $2, $3, $4, $5, $6, $7, $8)', [
        newId(),
        mail.accountId ?? null,
        mail.to,
        subject,
        text,
        html,
        mail.letter.canSwitchOff ?? false,
        mail.once ?? null,
      ])
    },

    /** Every second: somebody is looking at a page that says "we sent you a link". */
    sendTick: { name: 'mail_send', everySeconds: 1, run: sendDue } satisfies Tick,

    /** Once a day: to whom letters went that are over for 30 days is removed; their words went when they were over. */
    emptyTick: {
      name: 'mail_empty',
      everySeconds: 86_400,
      async run(signal) {
        for (let emptied = EMPTY_ROWS_MAX; emptied === EMPTY_ROWS_MAX && !signal.aborted; ) {
          const { rows } = await database.pool.query<{ mail_empty: number }>('select mail_empty($1, $2)', [
            KEEP_WORDS_DAYS,
            EMPTY_ROWS_MAX,
          ])
          emptied = rows[0]!.mail_empty
        }
      },
    } satisfies Tick,

    /** Lets the letters under way end, two and a half seconds at most; what is cut off is sent after the next start. */
    async close(): Promise<void> {
      await atMost(Promise.all(underWay), CLOSE_MS_MAX)
      stopping.abort()
      await atMost(Promise.all(underWay), CLOSE_MS_MAX)
      transport.close()
    },
  }
}

type Trouble = {
  /** In a word or two, without anything of the letter. */
  why: string
  status: number | null
  /** The mail server's own words, which may name the address: for the row, never for the log. */
  said: string
  /** No other attempt of this letter can end otherwise. */
  forGood: boolean
  noSuchAddress: boolean
  /** The settings are wrong, or our own mail server is: every letter has the same trouble. */
  ours: boolean
}

function troubleOf(error: unknown): Trouble {
  const { code, command, responseCode } = error as { code?: string; command?: string; responseCode?: number }
  const status = responseCode || null
  const aboutTheLetter = command === 'RCPT TO' || command === 'DATA' || code === 'EMESSAGE'
  // The library refuses by itself what can be no address.
  const noAddress = code === 'EENVELOPE' && command === 'API'
  const forGood = noAddress || (aboutTheLetter && (status === null ? code === 'EMESSAGE' : status >= 500))
  return {
    why: [code, command].filter(Boolean).join(' ') || 'unknown',
    status,
    said: String(error).slice(0, LAST_ERROR_CHARACTERS_MAX),
    forGood,
    noSuchAddress: forGood && (noAddress || command === 'RCPT TO'),
    ours:
      code === 'EAUTH' || code === 'ETLS' || (command === 'MAIL FROM' && code !== 'EMESSAGE' && (status ?? 0) >= 500),
  }
}

function told({ why, status }: Pick<Trouble, 'why'> & Partial<Trouble>) {
  return { why, ...(status ? { smtp_status: status } : {}) }
}
