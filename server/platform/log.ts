/**
 * The log: one JSON line per event, to standard output. Secrets, codes and addresses never reach it: what may not be written is
 * listed here, and request URLs are written without their query.
 */
import pino from 'pino'

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
  }
  return settings.to ? pino(options, settings.to) : pino(options)
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
