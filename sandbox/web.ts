/** What every page and door of the sandbox needs of HTTP: limited bodies, clear refusals, and no other website's hand. */
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Context, MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

export type Bindings = { Bindings: HttpBindings; Variables: { requestId: string } }

/** For a connection that was cut on purpose. */
export const NO_ANSWER = RESPONSE_ALREADY_SENT

/** The body as text; null: longer than allowed. */
export async function readBody(c: Context, bytesMax: number): Promise<string | null> {
  if (Number(c.req.header('content-length') ?? 0) > bytesMax) return null
  const stream = c.req.raw.body
  if (!stream) return ''
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of stream) {
    bytes += part.byteLength
    if (bytes > bytesMax) return null
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** A refusal in the shape of RFC 9457, as the product's own API answers. */
export function problem(c: Context, status: number, code: string, detail: string, field?: string): Response {
  return c.body(
    JSON.stringify({
      type: 'about:blank',
      title: detail.split('. ')[0],
      status,
      code,
      detail,
      ...(field && { field }),
    }),
    status as ContentfulStatusCode,
    { 'content-type': 'application/problem+json' },
  )
}

const DESK_BYTES_MAX = 16 * 1024

/** What a control is told: JSON from a program, a form from the desk. A `Response` is the refusal. */
export async function readAsked(c: Context): Promise<Record<string, unknown> | Response> {
  const body = await readBody(c, DESK_BYTES_MAX)
  if (body === null) return problem(c, 413, 'too_large', `Send at most ${DESK_BYTES_MAX / 1024} KB.`)
  if (isForm(c)) return Object.fromEntries(new URLSearchParams(body))
  try {
    const asked: unknown = JSON.parse(body)
    if (typeof asked === 'object' && asked !== null && !Array.isArray(asked)) return asked as Record<string, unknown>
  } catch {
    // Answered below, as any other body that is no object.
  }
  return problem(c, 400, 'invalid_request', 'Send a JSON object.')
}

export function isForm(c: Context): boolean {
  return (c.req.header('content-type') ?? '').startsWith('application/x-www-form-urlencoded')
}

/**
 * The sandbox listens on loopback, yet any website that the same browser shows could post to it, or reach it under a name of
 * its own that resolves to 127.0.0.1. Programs (no Origin, no Sec-Fetch-Site) are fine.
 */
export const onlyOurOwnPages: MiddlewareHandler = async (c, next) => {
  const host = c.req.header('host') ?? ''
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host))
    return problem(c, 421, 'misdirected_request', 'The sandbox answers at 127.0.0.1 and localhost only.')
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') {
    const site = c.req.header('sec-fetch-site')
    const origin = c.req.header('origin')
    const foreign = site
      ? site !== 'same-origin' && site !== 'none'
      : origin !== undefined && origin !== `http://${host}`
    if (foreign) return problem(c, 403, 'forbidden', 'Another website may not press the buttons of the sandbox.')
  }
  return next()
}

/**
 * What a page of ours may load and where its forms may lead. `formTargets` are origins that a form's answer redirects to:
 * browsers hold the redirect to the same rule as the form. `frames`: it shows another page of ours.
 */
export function pageHeaders(c: Context, page: { formTargets?: string[]; frames?: boolean } = {}): void {
  c.header(
    'content-security-policy',
    [
      "default-src 'none'",
      "style-src 'self'",
      "script-src 'self'",
      "font-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
      ...(page.frames ? ["frame-src 'self'"] : []),
      `form-action ${["'self'", ...(page.formTargets ?? [])].join(' ')}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
  )
  // Not no-referrer: a browser then sends `Origin: null` with our own forms.
  c.header('referrer-policy', 'same-origin')
  c.header('x-content-type-options', 'nosniff')
  c.header('cache-control', 'no-store')
}
