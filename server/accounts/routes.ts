/** Signing in and out, and who one is. */
import { setCookie } from 'hono/cookie'
import { z } from 'zod'
import { type Me, meSchema } from '../../contract/contract.ts'
import { Refusal } from '../platform/answer.ts'
import type { Accounts, Caller, Routes } from './accounts.ts'

const signInBody = z.object({ username: z.string().max(100), password: z.string().max(200) })

export function accountsRoutes(table: Routes, accounts: Accounts): void {
  table.post(
    '/api/auth/sign-in/username',
    {
      policy: 'public',
      summary: 'Sign in',
      description: 'For browsers: opens a session in a cookie. Programs use an API key instead.',
      body: signInBody,
      answers: { 200: meSchema },
      refuses: ['unauthenticated', 'forbidden', 'rate_limited'],
    },
    async (c, { body }) => {
      const outcome = await accounts.signIn(c, body)
      if (!outcome.ok) throw refusalOf(outcome.why)
      for (const cookie of outcome.setCookie) c.header('set-cookie', cookie, { append: true })
      return c.json(meOf(outcome.caller))
    },
  )

  table.post(
    '/api/auth/sign-out',
    {
      policy: 'public',
      summary: 'Sign out',
      description: 'Ends the session of the cookie. That there is none (any more) is fine.',
      answers: { 200: z.object({ status: z.literal('signed_out') }) },
      refuses: ['forbidden'],
    },
    async (c) => {
      const outcome = await accounts.signOut(c)
      if (outcome !== 'signed_out') throw refusalOf(outcome)
      const { name, secure } = accounts.cookie
      setCookie(c, name, '', { path: '/', maxAge: 0, httpOnly: true, sameSite: 'Lax', secure })
      return c.json({ status: outcome })
    },
  )

  table.get('/api/v1/me', { policy: 'read', summary: 'Read who you are', answers: { 200: meSchema } }, (c) =>
    c.json(meOf(c.get('caller'))),
  )
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
