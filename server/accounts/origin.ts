/**
 * May this request use the cookie that came with it? A page of another site can make a browser send our cookie along; it cannot make
 * the browser lie about where the request comes from.
 */
import type { Context } from 'hono'

/** Hosts under which the server of this very machine may be opened, where PUBLIC_URL is one without TLS. */
const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/

/**
 * A request that says nothing of where it comes from was not made by a browser (every browser in use names the origin of a POST),
 * so nobody's cookie was borrowed.
 */
export function comesFromOurPages(c: Context, publicUrl: string): boolean {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  const origin = c.req.header('origin')
  if (origin === undefined) return true
  if (origin === new URL(publicUrl).origin) return true
  if (publicUrl.startsWith('https:')) return false
  const host = c.req.header('host') ?? ''
  return LOCAL_HOST.test(host) && origin === `http://${host}`
}
