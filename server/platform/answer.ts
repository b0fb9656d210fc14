/**
 * How HTTP requests are read and answered, the same for every room: refusals become problem+json, bodies have a limit, lists have
 * pages. Knows no business.
 */
import type { Context } from 'hono'
import type { ZodType, z } from 'zod'
import { type Problem, type RefusalCode, refusals } from '../../contract/refusals.ts'
import { printId } from './ids.ts'
import { PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, REQUEST_BODY_BYTES_MAX } from './limits.ts'
import { countRefusal } from './metrics.ts'

/** A refusal on its way to the caller. */
export type Refused = {
  code: RefusalCode
  /** What happened, where the money is, what to do next. */
  detail: string
  field?: string
  /** Further members of the problem document: amounts and limits that the sentence names. None of its own may be among them. */
  extra?: Record<string, string | number> & { [own in keyof Problem as string extends own ? never : own]?: never }
  /** When it is worth asking again. Unit: whole seconds; of `temporarily_unavailable` and `rate_limited` 2 unless told. */
  retryAfterSeconds?: number
}

const RETRY_AFTER_SECONDS = 2

/** Thrown where a value would have to travel through many hands: a request that cannot be read. http.ts answers it. */
export class Refusal extends Error {
  readonly refused: Refused
  constructor(refused: Refused) {
    super(refused.detail)
    this.refused = refused
  }
}

/** What http.ts puts into every request's context. */
export type RequestVariables = {
  requestId: string
  /** Where the request came from: the client's address, as far as our own proxies vouch for it. */
  address: string
  /** The body, which is read before a request is let in. */
  received?: Buffer
}

export function answerRefusal(c: Context, refused: Refused): Response {
  countRefusal(refused.code)
  const { status, title } = refusals[refused.code]
  const problem: Problem = {
    ...refused.extra,
    type: 'about:blank',
    title,
    status,
    code: refused.code,
    detail: refused.detail,
    ...(refused.field === undefined ? {} : { field: refused.field }),
    request_id: printId('req', c.get('requestId') as string),
  }
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  const passes = refused.code === 'temporarily_unavailable' || refused.code === 'rate_limited'
  if (passes || refused.retryAfterSeconds !== undefined)
    headers['retry-after'] = String(refused.retryAfterSeconds ?? RETRY_AFTER_SECONDS)
  if (refused.code === 'unauthenticated') headers['www-authenticate'] = 'Bearer'
  return c.body(JSON.stringify(problem), status, headers)
}

/** The raw body, refused beyond the limit before it is held in memory. Unit: bytes. */
export async function readBody(c: Context, bytesMax = REQUEST_BODY_BYTES_MAX): Promise<Buffer> {
  const tooLarge = new Refusal({
    code: 'too_large',
    detail: `The body may have at most ${bytesMax} bytes. Send a shorter one; nothing was stored.`,
    extra: { limit_bytes: bytesMax },
  })
  if (Number(c.req.header('content-length') ?? 0) > bytesMax) throw tooLarge
  const received = c.get('received') as Buffer | undefined
  if (received) {
    if (received.byteLength > bytesMax) throw tooLarge
    return received
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of c.req.raw.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw tooLarge
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** A JSON body that fits the schema; anything else is refused with the first offending field. */
export async function readJson<T>(c: Context, schema: ZodType<T>): Promise<T> {
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? '')) {
    throw new Refusal({
      code: 'unsupported_media_type',
      detail: 'Send the request as JSON, with the header Content-Type: application/json.',
    })
  }
  const value = parseJson(await readBody(c))
  if (ZERO_CHARACTER.test(value.text)) throw new Refusal(zeroCharacter())
  return fit(schema, value.content)
}

/** What a body says, and the text that says it; refused when it is not JSON. */
export function parseJson(body: Buffer): { content: unknown; text: string } {
  const text = body.toString('utf8')
  try {
    return { content: JSON.parse(text), text }
  } catch {
    throw new Refusal({
      code: 'invalid_request',
      detail: 'The body is not JSON. Check quotes and commas, and send it again; nothing was done.',
    })
  }
}

// `\u0000` in JSON, not the six characters that an escaped backslash begins.
const ZERO_CHARACTER = /(?<!\\)(?:\\\\)*\\u0000/

/** PostgreSQL's text cannot hold this character, and no field of ours can mean it. */
function zeroCharacter(field?: string): Refused {
  return {
    code: 'invalid_request',
    detail: `${field ? `The field "${field}"` : 'The request'} has a zero character (U+0000). Leave it out and send it again; nothing was done.`,
    ...(field ? { field } : {}),
  }
}

/** The query's parameters, fitted to the schema. */
export function readQuery<T>(c: Context, schema: ZodType<T>): T {
  const query = c.req.query()
  for (const [field, text] of Object.entries(query)) {
    if (text.includes('\0')) throw new Refusal(zeroCharacter(field))
  }
  return fit(schema, query)
}

/** The value as the schema has it; refused with the first field that does not fit. */
export function fit<T>(schema: ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { error: inWords })
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const field = issue.path.join('.')
  throw new Refusal({
    code: 'invalid_request',
    detail: `${field ? `The field "${field}"` : 'The request'} cannot be used: ${issue.message}. Correct it and send it again; nothing was done.`,
    ...(field ? { field } : {}),
  })
}

const kinds: Record<string, string> = {
  string: 'a text in quotes',
  number: 'a number',
  int: 'a whole number',
  object: 'a JSON object',
}

/** What is wrong with a value, as one says it to a person. A schema's own words go before these. */
function inWords(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'it is missing' : `it must be ${kinds[issue.expected] ?? issue.expected}`
    case 'too_small':
      if (issue.origin !== 'string') return `it must be ${issue.minimum} or more`
      return issue.minimum === 1 ? 'it is empty' : `it must have ${issue.minimum} characters or more`
    case 'too_big':
      return issue.origin === 'string'
        ? `it may have at most ${issue.maximum} characters`
        : `it must be ${issue.maximum} or less`
    case 'invalid_value':
      return `it must be ${issue.values.map(String).join(' or ')}`
    default:
      return 'it is not written as it should be'
  }
}

/** The `Idempotency-Key` of a POST, or null. 1 to 255 visible ASCII characters. */
export function readIdempotencyKey(c: Context): string | null {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return null
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Refusal({
      code: 'invalid_request',
      detail: 'The header Idempotency-Key has 1 to 255 visible ASCII characters. Send another one; nothing was done.',
      field: 'Idempotency-Key',
    })
  }
  return key
}

/** `?limit=` of a list: 1 to 100, 50 unless told. */
export function readLimit(c: Context): number {
  const text = c.req.query('limit')
  if (text === undefined) return PAGE_ITEMS_DEFAULT
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > PAGE_ITEMS_MAX) {
    throw new Refusal({
      code: 'invalid_request',
      detail: `"limit" is a whole number from 1 to ${PAGE_ITEMS_MAX}. Correct it, or leave it out for ${PAGE_ITEMS_DEFAULT}.`,
      field: 'limit',
    })
  }
  return limit
}

/** `?cursor=` of a list: what the previous page gave as `next_cursor`; the pattern says what this list's cursors look like. */
export function readCursor(c: Context, pattern: RegExp): string | null {
  const text = c.req.query('cursor')
  if (text === undefined || text === '') return null
  const cursor = Buffer.from(text, 'base64url').toString('utf8')
  if (!pattern.test(cursor)) {
    throw new Refusal({
      code: 'invalid_request',
      detail:
        'This cursor is not one of this list. Use "next_cursor" of the page before, or leave it out for the first page.',
      field: 'cursor',
    })
  }
  return cursor
}

export function printCursor(cursor: string): string {
  return Buffer.from(cursor, 'utf8').toString('base64url')
}
