/** What an error of PostgreSQL, or of the way to it, means for whoever asked: is it about him, or about the database, and does it pass? */

const CAUSES_MAX = 5
/** Node's, of the way there. */
const AWAY = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/
/** pg says these without a code, whichever of the two notices first: the connection that was cut, or the next statement on it. */
export const AWAY_IN_WORDS =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error)/

export type NoWrites = 'full' | 'read_only'

/**
 * Why PostgreSQL takes no change from anybody at the moment; null: that is not what it says. SQLSTATE 53100 no space left, 58030 the disk
 * does not do it; 25006 it is read-only: told to be, or a standby since a failover.
 */
export function whyNoWrites(error: unknown): NoWrites | null {
  return noWritesBy((error as { code?: unknown } | null)?.code)
}

export function noWritesBy(sqlstate: unknown): NoWrites | null {
  if (sqlstate === '53100' || sqlstate === '58030') return 'full'
  return sqlstate === '25006' ? 'read_only' : null
}

/**
 * Trouble that passes, and is nobody's fault who asked: a database that is away, restarting, full, read-only or out of connections, a lock
 * waited for too long. Worth asking again.
 */
export function isPassing(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > CAUSES_MAX) return false
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && (/^(08|40|53|57)...$|^55P03$/.test(code) || AWAY.test(code))) return true
  return whyNoWrites(error) !== null || AWAY_IN_WORDS.test(error.message) || isPassing(error.cause, depth + 1)
}

/**
 * PostgreSQL's last word, with which it goes down: it may come after the commit was written, because who commits also begins the next part
 * of a log that is full. So, other than an ERROR, it does not say that nothing was done. The words are in the language of its messages,
 * and in every language an ERROR of the disk is the rarer one.
 */
export function isLastWord(error: unknown): boolean {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  if (severity === 'FATAL' || severity === 'PANIC') return true
  return typeof severity === 'string' && severity !== 'ERROR' && /^(53|58|XX)/.test(String(code))
}
