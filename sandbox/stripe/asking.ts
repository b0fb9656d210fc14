/** What a control may be asked: read strictly, and refused in words as a problem. */
import type { Context } from 'hono'
import { type Bindings, problem } from '../web.ts'
import { StripeRefusal } from './errors.ts'

export type Asked = Record<string, unknown>

/** A control that was asked wrongly; answered as a problem. */
class Wrong extends Error {
  readonly field: string
  readonly status: number
  constructor(status: number, field: string, message: string) {
    super(message)
    this.status = status
    this.field = field
  }
}

export function wrong(field: string, what: string): never {
  throw new Wrong(400, field, `${field} is ${what}.`)
}

export function nothing(what: string, id: string): never {
  throw new Wrong(404, what, `There is no ${what} ${id}.`)
}

export function refusedPress(c: Context<Bindings>, error: unknown): Response {
  if (error instanceof Wrong)
    return problem(c, error.status, error.status === 404 ? 'not_found' : 'invalid_request', error.message, error.field)
  if (error instanceof StripeRefusal)
    return problem(c, 409, error.body.code ?? 'invalid_request', error.message, error.body.param)
  throw error
}

export function word<const Word extends string>(asked: Asked, field: string, words: readonly Word[]): Word | undefined {
  const said = asked[field]
  if (said === undefined || said === null || said === '') return undefined
  return words.find((each) => each === said) ?? wrong(field, `one of ${words.join(', ')}`)
}

/** A form sends its numbers as text. */
export function whole(asked: Asked, field: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const said = asked[field]
  if (said === undefined || said === null || said === '') return undefined
  const number = typeof said === 'string' && /^\d{1,15}$/.test(said) ? Number(said) : said
  if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max)
    wrong(field, `a whole number${max < Number.MAX_SAFE_INTEGER ? ` from ${min} to ${max}` : ` of at least ${min}`}`)
  return number
}
