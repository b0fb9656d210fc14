/** Signing in and out, and who one is. */
import { Hono } from 'hono'
import { setCookie } from 'hono/cookie'
import { z } from 'zod'
import type { Me } from '../../contract/contract.ts'
import { Refusal, type RequestVariables, readJson } from '../platform/answer.ts'
import type { Accounts, Caller, SignedIn } from './accounts.ts'

const signInBody = z.object({ username: z.string().max(100), password: z.string().max(200) })

/** `/api/v1/me` */
export function accountsRoutes(accounts: Accounts) {
  const routes = new Hono<SignedIn>()
  routes.get('/me', accounts.signedIn, (c) => c.json(meOf(c.get('caller'))))
  return routes
}

/** `/api/auth/…` */
export function signInRoutes(accounts: Accounts) {
  const routes = new Hono<{ Variables: RequestVariables }>()

  routes.post('/sign-in/username', async (c) => {
    const outcome = await accounts.signIn(c, await readJson(c, signInBody))
    if (!outcome.ok) throw refusalOf(outcome.why)
    for (const cookie of outcome.setCookie) c.header('set-cookie', cookie, { append: true })
    return c.json(meOf(outcome.caller))
  })

  routes.post('/sign-out', async (c) => {
    const outcome = await accounts.signOut(c)
    if (outcome !== 'signed_out') throw refusalOf(outcome)
    const { name, secure } = accounts.cookie
    setCookie(c, name, '', { path: '/', maxAge: 0, httpOnly: true, sameSite: 'Lax', secure })
    return c.json({ status: outcome })
  })

  return routes
}

function refusalOf(why: 'wrong_name_or_password' | 'too_many_attempts' | 'not_from_our_pages'): Refusal {
  switch (why) {
    case 'wrong_name_or_password':
      return new Refusal({
        code: 'unauthenticated',
        detail: 'This username and password do not belong together. Check both and sign in again.',
      })
    case 'too_many_attempts':
      return new Refusal({
        code: 'rate_limited',
        detail: 'Too many sign-ins from your network have failed. Wait a minute, then sign in again.',
      })
    case 'not_from_our_pages':
      return new Refusal({
        code: 'forbidden',
        detail:
          "This request came from another site's page, so it was not carried out. Open our own page and repeat it.",
      })
  }
}

export function meOf(caller: Caller): Me {
  return {
    username: caller.username,
    role: caller.role === 'customer' ? 'customer' : 'staff',
    time_zone: caller.timeZone,
  }
}
