/**
 * The log: one JSON line per event, to standard output. Secrets, codes and addresses never reach it: what may not be written is
 * listed here, and request URLs are written without their query.
 *
 * A database that is away or full would be complained of by every request, tick and order, for as long as it lasts: of each such sentence
 * a few lines a minute are written, and the next one says how many were left out. And the log's own disk may be full: what cannot
 * be written waits up to a limit, is lost beyond it, and ends nothing.
 */
import pino from 'pino'
import { isPassing } from './trouble.ts'

export type Log = pino.Logger

const secretNames = [
  'password',
  'token',
  'secret',
  'authorization',
  'cookie',
  'api_key',
  'apiKey',
  'code',
  'text',
  'email',
  'body',
  'checkout_url',
]

/** Of one sentence about trouble that passes. */
const LIKE_LINES_MAX = 3
const LIKE_MS = 60_000
/** Sentences are written in the code, so there are not many; a limit all the same. */
const SENTENCES_MAX = 1_000
/** Lines that wait until their disk takes them. Unit: characters. */
const WAITING_MAX = 1_000_000

/** `to`: where its lines go instead of standard output; for tests. */
export function openLog(settings: { level: string; to?: pino.DestinationStream }): Log {
  const options: pino.LoggerOptions = {
    level: settings.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      // `err.code` stays: it is PostgreSQL's or Node's word for what failed.
      paths: secretNames.flatMap((name) => [name, `*.${name}`]).filter((path) => path !== '*.code'),
      censor: '[redacted]',
    },
    serializers: { err: errorLine },
    hooks: { logMethod: lessOfTheSame() },
  }
  return pino(options, settings.to ?? standardOutput())
}

function standardOutput(): pino.DestinationStream {
  const stream = pino.destination({ fd: process.stdout.fd, sync: true, maxLength: WAITING_MAX })
  // Without a listener, a full disk would end the process in the middle of whatever it was to write about.
  stream.on('error', () => {})
  return stream
}

function lessOfTheSame(): NonNullable<NonNullable<pino.LoggerOptions['hooks']>['logMethod']> {
  const said = new Map<string, { since: number; lines: number; leftOut: number }>()
  return function write(args, method) {
    const [about, sentence] = args as [unknown, unknown]
    const error = (about as { err?: unknown } | null)?.err
    if (typeof sentence !== 'string' || !isPassing(error)) return method.apply(this, args)
    const now = performance.now()
    let like = said.get(sentence)
    if (!like || now - like.since >= LIKE_MS) {
      if (said.size >= SENTENCES_MAX) said.clear()
      const leftOut = like?.leftOut ?? 0
      like = { since: now, lines: 0, leftOut: 0 }
      said.set(sentence, like)
      if (leftOut > 0) args = [{ ...(about as object), left_out: leftOut }, sentence]
    }
    if (++like.lines > LIKE_LINES_MAX) like.leftOut++
    else method.apply(this, args)
  }
}

/** What a log line says of an error: its words and where it came from, never the values of the statement that failed. */
function errorLine(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code, constraint, table } = error as Error & { code?: string; constraint?: string; table?: string }
  return {
    name: error.name,
    message: error.message,
    code,
    constraint,
    table,
    stack: error.stack,
    cause: error.cause === undefined ? undefined : errorLine(error.cause),
  }
}
