/** Somebody at a browser: it keeps cookies, says where its requests come from, and has an address of its own. */
import assert from 'node:assert/strict'
import type { Me } from '../contract/contract.ts'
import { policyVersions } from '../contract/policy-versions.ts'
import type { Problem } from '../contract/refusals.ts'
import type { Answer, World } from './world.ts'

export type Visitor = ReturnType<typeof createVisitor>

/** `address` is believed by a server that was started with TRUST_PROXY=1. */
export function createVisitor(world: World, who: { address?: string; userAgent?: string } = {}) {
  const jar = new Map<string, string>()

  async function request<Body>(method: string, path: string, body?: unknown, more: Record<string, string> = {}) {
    const answer = await world.stranger().request<Body>(method, path, body, {
      origin: world.server.publicUrl,
      'user-agent': who.userAgent ?? 'Browser of a test',
      ...(jar.size > 0 ? { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } : {}),
      ...(who.address ? { 'x-forwarded-for': who.address } : {}),
      ...more,
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (/Max-Age=0\b/.test(line)) jar.delete(name!)
      else jar.set(name!, value!)
    }
    return answer
  }

  const visitor = {
    jar,
    get: <Body = Record<string, unknown>>(path: string) => request<Body & Problem>('GET', path),
    post: <Body = Record<string, unknown>>(path: string, body: unknown = {}, more: Record<string, string> = {}) =>
      request<Body & Problem>('POST', path, body, more),

    /** Fills in the form, well unless it is said otherwise. */
    signUp: (wish: { username: string } & Record<string, unknown>): Promise<Answer<{ status: string } & Problem>> =>
      visitor.post('/api/auth/sign-up', {
        email: `${wish.username}@example.com`,
        password: 'a stone, a lamp, a river',
        adult: true,
        accepted: policyVersions,
        ...wish,
      }),
    signIn: (username: string, password: string) =>
      visitor.post<Me>('/api/auth/sign-in/username', { username, password }),
    /** Signs up, follows the link of the mail, and is signed in. */
    async join(username: string, password = 'a stone, a lamp, a river'): Promise<void> {
      const asked = await visitor.signUp({ username, password })
      assert.equal(asked.status, 202, JSON.stringify(asked.body))
      const token = tokenOf(await world.mail(`${username}@example.com`, /Confirm your e-mail/), '/join/confirm')
      const joined = await visitor.post<Me>('/api/auth/sign-up/confirm', { token })
      assert.equal(joined.status, 200, JSON.stringify(joined.body))
    },
    me: async () => (await visitor.get<Me>('/me')).status,
  }
  return visitor
}

/** What stands behind the # of the link that leads to this page. */
export function tokenOf(mail: { links: string[] }, page: string): string {
  const link = mail.links.find((each) => new URL(each).pathname === page)
  assert.ok(link, `${mail.links} has no link to ${page}`)
  assert.equal(new URL(link).search, '', 'a token stands behind the #, where no log and no Referer sees it')
  return new URL(link).hash.slice(1)
}
